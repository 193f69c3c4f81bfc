#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace odmr::imap {

/// The items of a FETCH response (RFC 3501 7.4.2) as far as we ask for them: UID, RFC822.SIZE, BODY[]. What a server
/// tells besides is passed over. In lines, since literals stand between them.
class FetchItems {
 public:
  enum class Next {
    end,      ///< the response is whole
    body,     ///< the literal behind this line is the message
    literal,  ///< the literal behind this line is to be passed over
  };
  /// A line of it: the first from "(" on, each further one is what follows a literal. No value: it does not follow the
  /// grammar.
  std::optional<Next> read(std::string_view line);

  const std::optional<std::uint32_t>& uid() const { return uid_; }
  const std::optional<std::uint64_t>& size() const { return size_; }
  /// Of the literal behind the line that was read last.
  std::uint64_t literal() const { return literal_; }
  /// The message, where it came as a quoted string, or NIL.
  const std::optional<std::string>& quoted_body() const { return quoted_body_; }
  /// There is a message in it, in whatever form.
  bool has_body() const { return has_body_; }

 private:
  enum class Item { none, uid, size, body, other };

  bool take_name(std::string_view& line);
  bool take_value(std::string_view& line);
  bool take_quoted(std::string_view& line);
  bool take_atom(std::string_view& line);

  std::optional<std::uint32_t> uid_;
  std::optional<std::uint64_t> size_;
  std::optional<std::string> quoted_body_;
  std::uint64_t literal_ = 0;
  Item item_ = Item::none;  // whose value is due
  std::size_t depth_ = 0;   // of the parentheses, those of the whole included
  bool has_begun_ = false;
  bool has_body_ = false;
};

}  // namespace odmr::imap
