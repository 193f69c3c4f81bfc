#include "smtp/reply.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"

namespace odmr::smtp {

namespace {

// RFC 5321 4.5.3.1.5: 512 octets, CRLF included.
constexpr std::size_t k_longest_line = 510;

// One to three digits and what ends them (RFC 3463 2); -1 when they are not there.
int take_number(std::string_view& text) {
  const std::size_t length = std::min(text.find_first_not_of("0123456789"), text.size());
  if (length == 0 || length > 3) return -1;
  int value = 0;
  for (const char digit : text.substr(0, length)) value = value * 10 + (digit - '0');
  text.remove_prefix(length);
  return value;
}

bool take(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

std::string one_line(int code, char separator, std::string_view text) {
  // "250 " with the space also where no text follows: RFC 5321 4.2 asks servers to send it.
  std::string line = std::to_string(code) + separator;
  const std::size_t room = k_longest_line - std::min(line.size(), k_longest_line);
  std::size_t cut = std::min(room, text.size());
  // Not in the middle of a UTF-8 sequence.
  while (cut > 0 && cut < text.size() && (static_cast<unsigned char>(text[cut]) & 0xc0U) == 0x80) --cut;
  line += text.substr(0, cut);
  std::replace_if(line.begin(), line.end(), is_control, '?');
  return line + "\r\n";
}

}  // namespace

std::optional<EnhancedCode> Reply::enhanced() const {
  if (lines.empty()) return std::nullopt;
  std::string_view text = lines.front();
  EnhancedCode found;
  found.status = take_number(text);
  if (found.status != code / 100 || found.status < 2 || found.status == 3 || !take(text, '.')) return std::nullopt;
  found.subject = take_number(text);
  if (found.subject < 0 || !take(text, '.')) return std::nullopt;
  found.detail = take_number(text);
  if (found.detail < 0 || (!text.empty() && text.front() != ' ')) return std::nullopt;
  return found;
}

std::string Reply::joined() const {
  std::string out = std::to_string(code);
  for (const std::string& line : lines) {
    if (!line.empty()) out += " " + line;
  }
  return out;
}

Reply softened(Reply reply) {
  if (!reply.is_permanent()) return reply;
  const bool has_enhanced = reply.enhanced().has_value();
  reply.code -= 100;
  for (auto& line : reply.lines) {
    if (has_enhanced && line.starts_with("5.")) line.front() = '4';
  }
  return reply;
}

std::string format(const Reply& reply) {
  if (reply.lines.empty()) return one_line(reply.code, ' ', {});
  std::string out;
  for (const std::string& line : reply.lines) {
    out += one_line(reply.code, &line == &reply.lines.back() ? ' ' : '-', line);
  }
  return out;
}

Result<ReplyParser::Progress> ReplyParser::feed(std::string_view bytes) {
  Progress progress;
  while (progress.consumed < bytes.size()) {
    const std::string_view rest = bytes.substr(progress.consumed);
    const std::size_t newline = rest.find('\n');
    const std::string_view piece = newline == std::string_view::npos ? rest : rest.substr(0, newline + 1);
    if (piece.size() > limits_.line - line_.size()) return fail(Errc::too_long, "a line of the reply is too long");
    if (piece.size() > limits_.total - total_) return fail(Errc::too_long, "the reply is too long");
    line_ += piece;
    total_ += piece.size();
    progress.consumed += piece.size();
    if (newline == std::string_view::npos) break;

    const Result<bool> complete = take_line();
    if (!complete) return fail(complete.error());
    if (*complete) {
      progress.reply = std::exchange(reply_, Reply());
      total_ = 0;
      break;
    }
  }
  return progress;
}

// Whether the line in line_, newline included, was the reply's last.
Result<bool> ReplyParser::take_line() {
  const std::string whole = std::exchange(line_, std::string());
  std::string_view line = whole;
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);

  const bool has_code = line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && is_digit(line[1]) && is_digit(line[2]);
  if (!has_code) return fail(Errc::malformed, "not a reply: " + std::string(line.substr(0, 200)));
  // RFC 5321 4.2.1: three digits alone are a last line without text.
  const char separator = line.size() == 3 ? ' ' : line[3];
  if (separator != ' ' && separator != '-') {
    return fail(Errc::malformed, "neither space nor hyphen after the code: " + std::string(line.substr(0, 200)));
  }
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (!reply_.lines.empty() && code != reply_.code) {
    return fail(Errc::malformed, "the code changes inside one reply, from " + std::to_string(reply_.code) + " to " +
                                     std::to_string(code));
  }
  if (reply_.lines.size() >= limits_.lines) return fail(Errc::too_long, "the reply has too many lines");
  reply_.code = code;
  reply_.lines.emplace_back(line.substr(std::min<std::size_t>(4, line.size())));
  return separator == ' ';
}

}  // namespace odmr::smtp
