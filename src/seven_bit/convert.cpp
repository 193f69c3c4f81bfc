#include "seven_bit/convert.hpp"

#include <gmime/gmime.h>

#include <algorithm>

namespace odmr::seven_bit {

namespace {

using Write = std::function<void(std::string_view)>;

// GMime's encoders know LF line ends, the message has CRLF.
class Encoder {
 public:
  Encoder(Edit::How how, const Write& write) : is_text_(how == Edit::How::quoted_printable), write_(write) {
    g_mime_encoding_init_encode(&state_,
                                is_text_ ? GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE : GMIME_CONTENT_ENCODING_BASE64);
  }

  void encode(std::string_view piece) {
    in_ = piece;
    // Text has no CR but before LF (Content::has_lines_only).
    if (is_text_) in_.erase(std::remove(in_.begin(), in_.end(), '\r'), in_.end());
    out_.resize(g_mime_encoding_outlen(&state_, in_.size()));
    out_.resize(g_mime_encoding_step(&state_, in_.data(), in_.size(), out_.data()));
    put();
  }

  void finish(bool ends_message) {
    out_.resize(g_mime_encoding_outlen(&state_, 0));
    out_.resize(g_mime_encoding_flush(&state_, "", 0, out_.data()));
    // A text that ends inside a line needs no soft line break behind it.
    if (is_text_ && out_.ends_with("=\n")) out_.resize(out_.size() - 2);
    // The line end before a boundary belongs to that.
    if (!is_text_ && !ends_message && out_.ends_with('\n')) out_.pop_back();
    put();
  }

 private:
  void put() {
    crlf_.clear();
    for (const char c : out_) {
      if (c == '\n') crlf_ += '\r';
      crlf_ += c;
    }
    write_(crlf_);
  }

  bool is_text_;
  const Write& write_;
  GMimeEncoding state_{};
  std::string in_;
  std::string out_;
  std::string crlf_;
};

}  // namespace

void convert(const Source& source, const Plan& plan, const Write& write) {
  std::uint64_t done = 0;
  for (const Edit& edit : plan.edits) {
    source.read({done, edit.range.begin}, write);
    done = edit.range.end;
    if (edit.how == Edit::How::text) {
      write(edit.text);
      continue;
    }
    Encoder encoder(edit.how, write);
    source.read(edit.range, [&](std::string_view piece) { encoder.encode(piece); });
    encoder.finish(edit.range.end == source.size());
  }
  source.read({done, source.size()}, write);
}

}  // namespace odmr::seven_bit
