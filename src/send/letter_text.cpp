#include "send/letter_text.hpp"

#include <algorithm>
#include <utility>

#include "mail/from_policy.hpp"
#include "mail/header.hpp"

namespace odmr::send {

namespace {

constexpr std::size_t k_piece = std::size_t{64} * 1024;
constexpr std::size_t k_longest_header = std::size_t{1024} * 1024;

}  // namespace

LetterText::LetterText(spool::MessageReader& message) : message_(message), size_(message.size()) {
  message_.rewind();
}

void LetterText::replace_by(Substitute substitute) {
  size_ = substitute.size;
  substitute_ = std::move(substitute);
}

Result<void> LetterText::set_from(const std::string& from) {
  rewind();
  std::size_t header = 0;
  auto read = read_head(header);
  if (!read) return fail(read.error());
  std::string head = mail::with_from(std::string_view(*read).substr(0, header), from);
  head.append(*read, header);
  replaced_ = read->size();
  size_ = size_ - replaced_ + head.size();
  head_ = std::move(head);
  rewind();
  return {};
}

// The source's first bytes, the header at least; `header` is how many of them that has, without the line that ends it.
Result<std::string> LetterText::read_head(std::size_t& header) {
  mail::HeaderWatch watch(k_longest_header + 1);
  std::string head;
  std::string piece(k_piece, '\0');
  while (!watch.is_over() && watch.header().size() <= k_longest_header) {
    const auto count = read_source(piece.data(), piece.size());
    if (!count) return fail(count.error());
    if (*count == 0) break;
    const std::string_view bytes = std::string_view(piece).substr(0, *count);
    watch.see(bytes);
    head += bytes;
  }
  if (watch.header().size() > k_longest_header) return fail(Errc::too_long, "the header is longer than a mebibyte");
  header = watch.header().size();
  return head;
}

void LetterText::rewind() {
  message_.rewind();
  offset_ = 0;
  given_ = 0;
  is_skipped_ = false;
  problem_.reset();
}

Result<std::size_t> LetterText::read(char* into, std::size_t size) {
  if (given_ < head_.size()) {
    const std::size_t count = head_.copy(into, size, given_);
    given_ += count;
    return count;
  }
  if (!std::exchange(is_skipped_, true)) {
    if (auto skipped = skip_head(); !skipped) return fail(skipped.error());
  }
  return read_source(into, size);
}

Result<void> LetterText::skip_head() {
  std::string piece(k_piece, '\0');
  for (std::size_t left = replaced_; left > 0;) {
    const auto count = read_source(piece.data(), std::min(left, piece.size()));
    if (!count) return fail(count.error());
    if (*count == 0) return fail(Errc::io, "the message became shorter while it was read");
    left -= *count;
  }
  return {};
}

Result<std::size_t> LetterText::read_source(char* into, std::size_t size) {
  Result<std::size_t> count;
  if (!substitute_) {
    count = message_.read(into, size);
  } else {
    count = system_files().read_at(substitute_->file.get(), offset_, into, size);
    if (count) offset_ += *count;
  }
  if (!count) problem_ = count.error();
  return count;
}

}  // namespace odmr::send
