#include "mail/submission.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "base/random.hpp"
#include "mail/addresses.hpp"
#include "mail/fields.hpp"
#include "mail/received.hpp"

namespace odmr::mail {

namespace {

constexpr std::string_view k_line_end = "\r\n";

bool is_bcc(const Field& field) {
  return field.is("Bcc") || field.is("Resent-Bcc");
}

// --- mailbox files

enum class MailboxLine { no, perhaps, yes };

// "From someone Sat Jan 31 …", quoted by ">" or not. "From : someone" is a field (RFC 5322 4.5).
MailboxLine mailbox_line(std::string_view line) {
  if (line.starts_with('>')) line.remove_prefix(1);
  constexpr std::string_view word = "From ";
  if (line.size() < word.size()) return word.starts_with(line) ? MailboxLine::perhaps : MailboxLine::no;
  if (!line.starts_with(word)) return MailboxLine::no;
  const auto after = line.find_first_not_of(" \t", word.size());
  if (after == std::string_view::npos) return MailboxLine::perhaps;
  return line[after] == ':' ? MailboxLine::no : MailboxLine::yes;
}

// --- names

constexpr bool is_atom_letter(char c) {
  return is_alnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// The character at the beginning of UTF-8 text.
std::string_view first_character(std::string_view text) {
  const auto* const next = std::find_if(text.begin() + 1, text.end(),
                                        [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; });
  return text.substr(0, static_cast<std::size_t>(next - text.begin()));
}

// RFC 2047 4.2 and 5 (3): what may stand for itself in a phrase.
std::string q_encoded(std::string_view character) {
  std::string out;
  for (const char c : character) {
    if (c == ' ') {
      out += '_';
    } else if (is_alnum(c) || c == '-' || c == '!' || c == '*' || c == '+' || c == '/') {
      out += c;
    } else {
      out += fmt::format("={:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

std::string encoded(std::string_view name) {
  constexpr std::size_t longest = 75;  // of one encoded word (RFC 2047 2)
  const bool is_unicode = is_utf8(name);
  const std::string begin = is_unicode ? "=?utf-8?Q?" : "=?iso-8859-1?Q?";
  std::string out;
  std::string word = begin;
  while (!name.empty()) {
    const auto character = is_unicode ? first_character(name) : name.substr(0, 1);
    const std::string text = q_encoded(character);
    if (word.size() + text.size() + 2 > longest) {
      out += word + "?=\r\n ";
      word = begin;
    }
    word += text;
    name.remove_prefix(character.size());
  }
  return out + word + "?=";
}

std::string phrase(std::string_view name) {
  if (!is_ascii(name)) return encoded(name);
  const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) { return is_atom_letter(c) || c == ' '; });
  return is_plain ? std::string(name) : quoted(name);
}

// --- header

std::string added_fields(std::string_view header, const Completion& completion) {
  std::string out;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty() && !find_field(header, name)) out += fmt::format("{}: {}\r\n", name, value);
  };
  add("From", completion.from);
  add("Date", date_time(completion.date));
  add("Message-ID", completion.message_id);
  return out;
}

// Those of one kind: "Resent-" ones, or the others.
Result<std::vector<std::string>> recipients_of_kind(std::string_view header, const std::array<const char*, 3>& names,
                                                    bool& has_any) {
  std::vector<std::string> all;
  FieldReader reader(header);
  for (auto field = reader.next(); field; field = reader.next()) {
    if (std::none_of(names.begin(), names.end(), [&](const char* name) { return field->is(name); })) continue;
    has_any = true;
    auto found = addresses_in(field->body);
    if (!found) return fail(found.error().code, std::string(field->name) + ": " + found.error().text);
    all.insert(all.end(), found->begin(), found->end());
  }
  return all;
}

}  // namespace

Result<void> Beginning::add(std::string_view piece) {
  text_ += piece;
  if (!is_begun_) is_begun_ = drop_mailbox_lines();
  if (is_begun_ && !watch_.is_over()) {
    watch_.see(std::string_view(text_).substr(watched_));
    watched_ = text_.size();
  }
  if (watch_.is_over() || text_.size() <= k_longest_header) return {};
  return fail(Errc::too_long, "the message's header is longer than a mebibyte");
}

// Whether it is known by now where the header begins.
bool Beginning::drop_mailbox_lines() {
  for (;;) {
    const auto end = text_.find('\n');
    const auto kind = mailbox_line(std::string_view(text_).substr(0, end));
    if (kind == MailboxLine::no) return true;
    if (end == std::string::npos) return false;
    text_.erase(0, end + 1);
  }
}

std::string_view Beginning::header() const {
  FieldReader reader(text_);
  while (reader.next()) {
  }
  return std::string_view(text_).substr(0, text_.size() - reader.rest().size());
}

std::string completed(std::string_view beginning, const Completion& completion) {
  if (!completion.add_missing && !completion.remove_bcc) return std::string(beginning);
  std::string out;
  FieldReader reader(beginning);
  for (auto field = reader.next(); field; field = reader.next()) {
    if (!completion.remove_bcc || !is_bcc(*field)) out += field->raw;
  }
  if (!completion.add_missing) return out.append(reader.rest());
  if (!out.empty() && !out.ends_with('\n')) out += k_line_end;
  out += added_fields(beginning, completion);
  if (!reader.rest().starts_with(k_line_end)) out += k_line_end;
  return out.append(reader.rest());
}

std::string new_message_id(WallTime now, std::string_view hostname) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  return fmt::format("<{:x}.{:016x}@{}>", since, random_bits(), hostname);
}

std::string named_address(std::string_view name, std::string_view address) {
  std::string clean(name);
  std::replace_if(clean.begin(), clean.end(), is_control, ' ');
  const auto trimmed = trim(clean);
  return trimmed.empty() ? std::string(address) : fmt::format("{} <{}>", phrase(trimmed), address);
}

Result<std::vector<std::string>> recipients_in(std::string_view header) {
  bool has_any = false;
  auto found = recipients_of_kind(header, {"Resent-To", "Resent-Cc", "Resent-Bcc"}, has_any);
  if (!found || has_any) return found;
  return recipients_of_kind(header, {"To", "Cc", "Bcc"}, has_any);
}

}  // namespace odmr::mail
