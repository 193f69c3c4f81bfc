#include "http/request.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace odmr::http {

namespace {

constexpr std::size_t k_most_fields = 64;

tl::unexpected<Refusal> refuse(int status) {
  return tl::unexpected(Refusal{status});
}

// RFC 9110 5.6.2
bool is_token(std::string_view text) {
  constexpr std::string_view k_marks = "!#$%&'*+-.^_`|~";
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_alnum(c) || k_marks.find(c) != k_marks.npos; });
}

bool is_visible(char c) {
  return c > ' ' && c < '\x7f';
}

struct Field {
  std::string_view name;
  std::string_view value;
};

// RFC 9112 5: no white space before the colon, none at the beginning of the line.
std::optional<Field> field_in(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon))) return std::nullopt;
  const auto value = trim(line.substr(colon + 1));
  const bool is_text = std::all_of(value.begin(), value.end(), [](char c) { return c == '\t' || !is_control(c); });
  if (!is_text) return std::nullopt;
  return Field{line.substr(0, colon), value};
}

// RFC 9112 3
std::optional<Refusal> read_request_line(std::string_view line, Request& request) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == line.npos || first == last) return Refusal{400};
  const auto method = line.substr(0, first);
  const auto target = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  const bool is_target = !target.empty() && std::all_of(target.begin(), target.end(), is_visible);
  if (!is_token(method) || !is_target || !version.starts_with("HTTP/")) return Refusal{400};
  if (target.size() > k_longest_target) return Refusal{414};
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return Refusal{505};
  if (target.front() != '/') return Refusal{400};
  request.method = method;
  request.target = target.substr(0, target.find('?'));
  return std::nullopt;
}

class Reader {
 public:
  tl::expected<std::optional<Request>, Refusal> read(std::string_view bytes) {
    // RFC 9112 2.2: an empty line in front is passed over.
    if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
    if (const auto refusal = read_lines(bytes)) return tl::unexpected(*refusal);
    if (is_whole_) return finish();
    if (bytes.size() >= k_longest_request) return refuse(lines_ == 0 ? 414 : 431);
    return std::nullopt;
  }

 private:
  std::optional<Refusal> read_lines(std::string_view bytes) {
    bytes = bytes.substr(0, k_longest_request);
    for (auto end = bytes.find('\n'); end != bytes.npos; end = bytes.find('\n')) {
      if (end == 0 || bytes[end - 1] != '\r') return Refusal{400};
      const auto line = bytes.substr(0, end - 1);
      bytes.remove_prefix(end + 1);
      if (line.empty() && lines_ > 0) {
        is_whole_ = true;
        return std::nullopt;
      }
      if (const auto refusal = lines_++ == 0 ? read_request_line(line, request_) : read_field(line)) return refusal;
    }
    return std::nullopt;
  }

  std::optional<Refusal> read_field(std::string_view line) {
    if (lines_ > k_most_fields + 1) return Refusal{431};
    const auto field = field_in(line);
    if (!field) return Refusal{400};
    const std::string name = lower(field->name);
    if (name == "host" && ++hosts_ == 1) request_.host = field->value;
    // RFC 9112 6: one of the two says that there is a body.
    if (name == "transfer-encoding" || (name == "content-length" && field->value != "0")) return Refusal{400};
    return std::nullopt;
  }

  // RFC 9112 3.2: one Host, no more and no less.
  tl::expected<std::optional<Request>, Refusal> finish() {
    if (hosts_ != 1) return refuse(400);
    return std::move(request_);
  }

  Request request_;
  std::size_t lines_ = 0;
  std::size_t hosts_ = 0;
  bool is_whole_ = false;
};

}  // namespace

tl::expected<std::optional<Request>, Refusal> parse_request(std::string_view bytes) {
  return Reader().read(bytes);
}

bool is_loopback_host(std::string_view host) {
  std::string_view name = host;
  std::string_view rest;
  if (const auto bracket = host.find(']'); bracket != host.npos) {
    name = host.substr(0, bracket + 1);
    rest = host.substr(bracket + 1);
  } else if (const auto colon = host.find(':'); colon != host.npos) {
    name = host.substr(0, colon);
    rest = host.substr(colon);
  }
  const bool is_port = rest.empty() || (rest.front() == ':' && std::all_of(rest.begin() + 1, rest.end(), is_digit));
  if (!is_port) return false;
  if (lower(name) == "localhost" || name == "[::1]") return true;
  // "127.evil.example" is a name.
  return name.starts_with("127.") && std::count(name.begin(), name.end(), '.') == 3 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c == '.' || is_digit(c); });
}

}  // namespace odmr::http
