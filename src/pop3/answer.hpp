#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The language of POP3 (RFC 1939, RFC 2449) as a client hears it. Pure: lines in, values out.
namespace odmr::pop3 {

/// The longest line of an answer that is taken, CRLF included. RFC 2449 4 has 512 octets; SASL challenges are longer.
inline constexpr std::size_t k_longest_line = 16 * 1024;

/// The first line of an answer, or a continuation (RFC 5034 4).
struct Status {
  enum class Kind { ok, error, challenge };
  Kind kind = Kind::error;
  std::string code;  ///< RFC 2449 8: "IN-USE", "SYS/TEMP" …, in upper case; empty without
  std::string text;  ///< behind "+OK", "-ERR" or "+"; the code included

  bool is_ok() const { return kind == Kind::ok; }
  /// RFC 2449 8.1.1, RFC 3206: the server's trouble of the moment, and no verdict on the login.
  bool is_temporary() const;
};
/// `line` without its CRLF. No value: it is none.
std::optional<Status> parse_status(std::string_view line);

/// The timestamp of a greeting, angle brackets included, which APOP signs (RFC 1939 7). Empty: APOP is not offered.
std::string timestamp_in(std::string_view greeting);

/// A line of LIST: which message, and how large.
struct Listed {
  std::uint32_t number = 0;
  std::uint64_t size = 0;
};
std::optional<Listed> parse_listed(std::string_view line);

/// A line of UIDL. RFC 1939 7: 1 to 70 characters from 0x21 to 0x7E; up to 255 are taken, since there are such.
struct Named {
  std::uint32_t number = 0;
  std::string_view uid;  ///< in the line
};
std::optional<Named> parse_named(std::string_view line);

/// What CAPA lists (RFC 2449 5).
class Capabilities {
 public:
  /// A line of it. More than can be meant are not kept.
  void add(std::string_view line);
  bool has(std::string_view name) const;
  /// The words behind SASL.
  std::vector<std::string> mechanisms() const;
  /// All lines, for people.
  std::string text() const;

 private:
  std::vector<std::string> lines_;
};

}  // namespace odmr::pop3
