#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The language of IMAP (RFC 3501, RFC 9051) as far as who fetches messages needs it. Pure: bytes in, values out, and
/// what a hostile server can make grow is bounded.
namespace odmr::imap {

/// The longest line that is taken, literals and SEARCH apart.
inline constexpr std::size_t k_longest_line = 64 * 1024;

/// A line of the server's, without its CRLF: its kind and what is behind that.
struct Response {
  enum class Kind {
    tagged,        ///< "a1 OK …": the end of a command
    status,        ///< "* OK …" and its likes: NO, BAD, BYE, PREAUTH
    fetch,         ///< "* 12 FETCH …"
    exists,        ///< "* 12 EXISTS"
    capability,    ///< "* CAPABILITY …"
    continuation,  ///< "+ …"
    other,         ///< what we have no use for
  };
  enum class Verdict { none, ok, no, bad, bye, preauth };

  Kind kind = Kind::other;
  std::string tag;                  ///< of `tagged`
  Verdict verdict = Verdict::none;  ///< of `tagged` and `status`
  std::uint32_t number = 0;         ///< of `fetch` and `exists`
  std::string code;                 ///< in brackets: "UIDVALIDITY 17"; empty without
  std::string_view text;            ///< what follows, in the line

  bool is_ok() const { return verdict == Verdict::ok; }
};
/// No value: it does not follow the grammar.
std::optional<Response> parse_response(std::string_view line);

/// The number behind `name` in a response code: UIDVALIDITY, UIDNEXT.
std::optional<std::uint32_t> number_in_code(std::string_view code, std::string_view name);

/// RFC 5530: the server's trouble of the moment, and no verdict on the login.
bool is_temporary(std::string_view code);

/// How many octets of a literal follow a line that ends so (RFC 3501 4.3). No value: none.
std::optional<std::uint64_t> literal_behind(std::string_view line);

/// The words of a CAPABILITY response, or response code.
class Capabilities {
 public:
  /// What stands behind CAPABILITY.
  static Capabilities from(std::string_view words);
  bool has(std::string_view name) const;
  bool is_empty() const { return words_.empty(); }
  /// What AUTH= names.
  std::vector<std::string> mechanisms() const;
  std::string text() const;

 private:
  std::vector<std::string> words_;
};

/// The numbers of "* SEARCH 1 2 3", a line that may be as long as a mailbox is large, in any pieces.
class SearchReader {
 public:
  /// Whether a response that begins so is one. No value: too little has come to tell.
  static std::optional<bool> is_search(std::string_view bytes);

  struct Progress {
    std::size_t consumed = 0;
    bool ended = false;  ///< with its CRLF
  };
  /// From the response's first byte on; appends to `numbers`. No value: it does not follow the grammar.
  std::optional<Progress> read(std::string_view bytes, std::vector<std::uint32_t>& numbers);

 private:
  bool take(char c, std::vector<std::uint32_t>& numbers);

  std::size_t head_ = 0;  // octets of "* SEARCH" that have gone by
  std::optional<std::uint64_t> number_;
  bool is_beyond_ = false;  // of the numbers: RFC 7162 has "(MODSEQ 1)" behind them
};

}  // namespace odmr::imap
