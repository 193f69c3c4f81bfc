#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/transaction.hpp"
#include "send/seven_bit.hpp"
#include "spool/message_file.hpp"

namespace odmr::send {

/// The text of a letter as it goes to a smart host: what is in the queue, or a substitute for it, with another header
/// in front where one is wanted. It can be read several times.
class LetterText final : public client::Content {
 public:
  explicit LetterText(spool::MessageReader& message);

  /// From now on these bytes.
  void replace_by(Substitute substitute);
  /// Puts `from` into the header (mail::with_from), which is kept in memory for that: too_long beyond a mebibyte.
  /// Other errors are those of reading.
  Result<void> set_from(const std::string& from);

  /// As it goes, in bytes.
  std::uint64_t size() const { return size_; }
  bool is_substitute() const { return substitute_.has_value(); }
  /// Back to the first byte.
  void rewind();
  Result<std::size_t> read(char* into, std::size_t size) override;
  /// Why the last read() failed: then it was our disk that ended a transaction.
  const std::optional<Error>& problem() const { return problem_; }

 private:
  Result<std::size_t> read_source(char* into, std::size_t size);
  Result<void> skip_head();
  Result<std::string> read_head(std::size_t& header);

  spool::MessageReader& message_;
  std::optional<Substitute> substitute_;
  std::uint64_t offset_ = 0;  // in the substitute
  std::string head_;          // goes in place of the source's first bytes
  std::size_t replaced_ = 0;  // so many of them
  std::size_t given_ = 0;     // of head_
  bool is_skipped_ = true;    // the source stands behind the bytes that head_ replaces
  std::uint64_t size_;
  std::optional<Error> problem_;
};

}  // namespace odmr::send
