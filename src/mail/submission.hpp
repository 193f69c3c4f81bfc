#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "mail/header.hpp"

// What a submission agent may do to a message (RFC 6409 8), and reads from it for `sendmail -t`.
namespace odmr::mail {

/// The beginning of a submitted message, with CRLF line ends, gathered until its header is over.
class Beginning {
 public:
  static constexpr std::size_t k_longest_header = std::size_t{1024} * 1024;

  /// `drop_mailbox_lines`: "From …" lines of a mailbox file in front of the header are left out.
  explicit Beginning(bool drop_mailbox_lines) : is_begun_(!drop_mailbox_lines) {}

  /// The next piece, any size. Errors: too_long, a header of more than a mebibyte.
  Result<void> add(std::string_view piece);
  /// Whether the header has ended within what was added.
  bool has_header() const { return watch_.is_over(); }
  /// Header and all that was added behind it.
  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }
  /// The fields alone; once has_header(), or at the message's end.
  std::string_view header() const;

 private:
  bool drop_mailbox_lines();

  bool is_begun_;
  HeaderWatch watch_{0};
  std::string text_;
  std::size_t watched_ = 0;
};

struct Completion {
  bool add_missing = true;  ///< Date, Message-ID, and From where there is a value for it
  bool remove_bcc = false;  ///< Bcc and Resent-Bcc
  std::string from;         ///< "Anna <anna@example.org>"
  std::string message_id;   ///< with its brackets
  WallTime date;
};
/// The beginning of a message, header and what follows it, made whole; what the header lacks comes at its end, and an
/// empty line where there is none between header and body. With nothing to do it stays to the byte.
std::string completed(std::string_view beginning, const Completion& completion);

/// "<…@hostname>", as good as certainly never given before.
std::string new_message_id(WallTime now, std::string_view hostname);

/// A From field's value: the name quoted (RFC 5322 3.2.4) or encoded (RFC 2047) where it has to be; without a name the
/// address alone. Control characters in the name become spaces.
std::string named_address(std::string_view name, std::string_view address);

/// All addresses in To, Cc and Bcc, or where there are such in Resent-To, Resent-Cc and Resent-Bcc alone (RFC 5322
/// 3.6.6). Errors: malformed, and says in which field.
Result<std::vector<std::string>> recipients_in(std::string_view header);

}  // namespace odmr::mail
