#include "smtp/command.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "base/ascii.hpp"

namespace odmr::smtp {

namespace {

constexpr std::array<std::pair<Verb, std::string_view>, 21> k_verbs{{
    {Verb::helo, "HELO"},   {Verb::ehlo, "EHLO"},         {Verb::lhlo, "LHLO"},
    {Verb::mail, "MAIL"},   {Verb::rcpt, "RCPT"},         {Verb::data, "DATA"},
    {Verb::bdat, "BDAT"},   {Verb::rset, "RSET"},         {Verb::noop, "NOOP"},
    {Verb::vrfy, "VRFY"},   {Verb::expn, "EXPN"},         {Verb::help, "HELP"},
    {Verb::quit, "QUIT"},   {Verb::starttls, "STARTTLS"}, {Verb::auth, "AUTH"},
    {Verb::atrn, "ATRN"},   {Verb::etrn, "ETRN"},         {Verb::turn, "TURN"},
    {Verb::xhold, "XHOLD"}, {Verb::xkeep, "XKEEP"},       {Verb::xrecipients, "XRECIPIENTS"},
}};

constexpr std::array<std::pair<BodyType, std::string_view>, 3> k_body_types{{
    {BodyType::seven_bit, "7BIT"},
    {BodyType::eight_bit_mime, "8BITMIME"},
    {BodyType::binary_mime, "BINARYMIME"},
}};

// How much longer than 512 octets a line may be for what it carries (RFC 1870 4, 6152 2, 6531 3.4, 3461 4).
constexpr std::size_t k_size_growth = 26;
constexpr std::size_t k_body_growth = 17;
constexpr std::size_t k_smtputf8_growth = 10;
constexpr std::size_t k_mail_dsn_growth = 116;
constexpr std::size_t k_notify_growth = 29;  // " NOTIFY=SUCCESS,FAILURE,DELAY"
constexpr std::size_t k_orcpt_growth = 507;  // " ORCPT=" and the 500 octets of RFC 3461 4.2

// RFC 3461 4.2 and 4.4
constexpr std::size_t k_longest_envid = 100;
constexpr std::size_t k_longest_orcpt = 500;
constexpr std::size_t k_longest_size = 20;  // RFC 1870 3

tl::unexpected<Refusal> refuse(int code, std::string text) {
  return tl::unexpected<Refusal>(Refusal{code, std::move(text)});
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char letter = to_lower(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

constexpr bool is_printable(int c) {
  return c >= 0x20 && c < 0x7f;
}

// RFC 3461 4: text that hides "+XX" in itself. What it hides is looked at too, for somebody will decode it: a newline
// in there has become a line of a spool file before (CVE-2020-28026).
bool is_safe_xtext(std::string_view text, bool allow_utf8) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '+') {
      if (text.size() - i < 3) return false;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0 || !is_printable(high * 16 + low)) return false;
      i += 2;
    } else if (c == '=' || c == ' ' || (!is_printable(c) && !(allow_utf8 && c >= 0x80))) {
      return false;
    }
  }
  return is_utf8(text);
}

bool is_envid(std::string_view value) {
  return !value.empty() && value.size() <= k_longest_envid && is_safe_xtext(value, false);
}

// addr-type ";" xtext (RFC 3461 4.2); RFC 6533 3 lets the type utf-8 hold UTF-8 as it is.
bool is_orcpt(std::string_view value) {
  const std::size_t semicolon = value.find(';');
  if (semicolon == std::string_view::npos || semicolon == 0 || value.size() > k_longest_orcpt) return false;
  const std::string_view type = value.substr(0, semicolon);
  return std::all_of(type.begin(), type.end(), [](char c) { return is_alnum(c) || c == '-'; }) &&
         is_safe_xtext(value.substr(semicolon + 1), equals_ignoring_case(type, "utf-8"));
}

// NEVER stands alone; the others may be listed, each once (RFC 3461 4.1).
bool is_notify(std::string_view value) {
  if (equals_ignoring_case(value, "NEVER")) return true;
  constexpr std::array<std::string_view, 3> events{"SUCCESS", "FAILURE", "DELAY"};
  std::array<bool, 3> seen{};
  for (;;) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view word = value.substr(0, comma);
    const auto* event =
        std::find_if(events.begin(), events.end(), [&](auto e) { return equals_ignoring_case(e, word); });
    if (event == events.end()) return false;
    bool& known = seen.at(static_cast<std::size_t>(event - events.begin()));
    if (known) return false;
    known = true;
    if (comma == value.size()) return true;
    value.remove_prefix(comma + 1);
  }
}

bool is_ret(std::string_view value) {
  return equals_ignoring_case(value, "FULL") || equals_ignoring_case(value, "HDRS");
}

// RFC 5321 4.1.2 esmtp-value, and UTF-8 (RFC 6531 3.3).
bool is_value(std::string_view text) {
  return !text.empty() && text.find('=') == std::string_view::npos && text.find(' ') == std::string_view::npos &&
         std::none_of(text.begin(), text.end(), is_control) && is_utf8(text);
}

bool is_keyword(std::string_view text) {
  return !text.empty() && is_alnum(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

// The parameters behind a path; `rest` is empty or begins with a space.
std::optional<Parameters> split_parameters(std::string_view rest) {
  Parameters out;
  while (!rest.empty()) {
    if (rest.front() != ' ') return std::nullopt;
    rest = rest.substr(std::min(rest.find_first_not_of(' '), rest.size()));
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (word.empty()) break;
    const std::size_t equals = std::min(word.find('='), word.size());
    if (!is_keyword(word.substr(0, equals))) return std::nullopt;
    Parameter& parameter = out.emplace_back(Parameter{upper(word.substr(0, equals)), std::nullopt});
    if (equals < word.size()) {
      if (!is_value(word.substr(equals + 1))) return std::nullopt;
      parameter.value = word.substr(equals + 1);
    }
    rest.remove_prefix(word.size());
  }
  return out;
}

// What one command understands: each parameter, and how it is read into the command. False: a bad value.
template <class Command>
struct ParameterRule {
  std::string_view keyword;
  bool (*read)(Command& command, const std::optional<std::string>& value);
};

template <class Command, std::size_t N>
Parsed<void> read_parameters(const Parameters& parameters, const std::array<ParameterRule<Command>, N>& rules,
                             Command& command) {
  std::array<bool, N> seen{};
  for (const Parameter& parameter : parameters) {
    const auto rule =
        std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return r.keyword == parameter.keyword; });
    if (rule == rules.end()) return refuse(555, "5.5.4 Parameter not known: " + parameter.keyword);
    bool& given = seen.at(static_cast<std::size_t>(rule - rules.begin()));
    if (given) return refuse(555, "5.5.4 Parameter given twice: " + parameter.keyword);
    given = true;
    if (!rule->read(command, parameter.value)) return refuse(501, "5.5.4 Bad value for " + parameter.keyword);
  }
  return {};
}

bool read_size(MailCommand& mail, const std::optional<std::string>& value) {
  if (!value || value->size() > k_longest_size || !std::all_of(value->begin(), value->end(), is_digit)) return false;
  // Twenty digits may say more than 64 bits hold; that is too much for anybody, and not a mistake in writing.
  mail.size = parse_number(*value).value_or(std::numeric_limits<std::uint64_t>::max());
  return true;
}

bool read_body(MailCommand& mail, const std::optional<std::string>& value) {
  for (const auto& [type, word] : k_body_types) {
    if (!value || !equals_ignoring_case(*value, word)) continue;
    mail.body = type;
    return true;
  }
  return false;
}

bool read_smtputf8(MailCommand& mail, const std::optional<std::string>& value) {
  mail.smtputf8 = true;
  return !value;
}

bool read_ret(MailCommand& mail, const std::optional<std::string>& value) {
  mail.ret = upper(value.value_or(""));
  return is_ret(mail.ret);
}

bool read_envid(MailCommand& mail, const std::optional<std::string>& value) {
  mail.envid = value.value_or("");
  return is_envid(mail.envid);
}

bool read_prdr(MailCommand& mail, const std::optional<std::string>& value) {
  mail.prdr = true;
  return !value;
}

bool read_auth(MailCommand& mail, const std::optional<std::string>& value) {
  mail.auth = value.value_or("");
  return !mail.auth.empty();
}

bool read_notify(RcptCommand& rcpt, const std::optional<std::string>& value) {
  rcpt.notify = value.value_or("");
  return is_notify(rcpt.notify);
}

bool read_orcpt(RcptCommand& rcpt, const std::optional<std::string>& value) {
  rcpt.orcpt = value.value_or("");
  return is_orcpt(rcpt.orcpt);
}

constexpr std::array<ParameterRule<MailCommand>, 7> k_mail_parameters{{
    {"SIZE", read_size},
    {"BODY", read_body},
    {"SMTPUTF8", read_smtputf8},
    {"RET", read_ret},
    {"ENVID", read_envid},
    {"AUTH", read_auth},
    {"PRDR", read_prdr},
}};

constexpr std::array<ParameterRule<RcptCommand>, 2> k_rcpt_parameters{{
    {"NOTIFY", read_notify},
    {"ORCPT", read_orcpt},
}};

// How MAIL and RCPT differ before their parameters.
struct PathRule {
  std::string_view keyword;  // with its colon
  std::string_view syntax;
  std::string_view bad_path;  // enhanced code (RFC 3463 3.2)
  bool allow_null;
  bool allow_bare_postmaster;
};
constexpr PathRule k_mail_path{"FROM:", "MAIL FROM:<address>", "5.1.7 ", true, false};
constexpr PathRule k_rcpt_path{"TO:", "RCPT TO:<address>", "5.1.3 ", false, true};

struct PathAndParameters {
  Path path;
  Parameters parameters;
};

Parsed<PathAndParameters> split_argument(std::string_view argument, const PathRule& rule, bool allow_bare_names) {
  const std::string usage = "5.5.4 Syntax: " + std::string(rule.syntax);
  if (!starts_with_ignoring_case(argument, rule.keyword)) return refuse(501, usage);
  argument = trim(argument.substr(rule.keyword.size()));

  auto parsed = parse_path(argument, rule.allow_null, rule.allow_bare_postmaster, allow_bare_names);
  if (!parsed) {
    const bool not_allowed = parsed.error().code == Errc::too_long || !is_utf8(argument);
    return refuse(not_allowed ? 553 : 501, std::string(rule.bad_path) + parsed.error().text);
  }
  auto parameters = split_parameters(parsed->rest);
  if (!parameters) return refuse(501, usage);
  return PathAndParameters{std::move(parsed->path), std::move(*parameters)};
}

// Whether, written between angle brackets, the mailbox is read as itself and as nothing more.
bool is_one_mailbox(const Mailbox& mailbox) {
  const std::string written = "<" + mailbox.text() + ">";
  const auto read = parse_path(written, false, true);
  return read && read->path.mailbox == mailbox;
}

tl::unexpected<Error> bad_value(std::string_view parameter) {
  return fail(Errc::malformed, "not a value of " + std::string(parameter));
}

std::string_view word(BodyType body) {
  for (const auto& [type, word] : k_body_types) {
    if (type == body) return word;
  }
  return {};
}

}  // namespace

Command parse_command(std::string_view line) {
  line = trim(line).empty() ? std::string_view() : line.substr(0, line.find_last_not_of(" \t") + 1);
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  Command command;
  command.argument = trim(line.substr(word.size()));
  for (const auto& [verb, written] : k_verbs) {
    if (equals_ignoring_case(word, written)) command.verb = verb;
  }
  return command;
}

std::string without_secret(std::string_view line) {
  if (!starts_with_ignoring_case(line, "AUTH ")) return std::string(line);
  const auto mechanism = std::min(line.find_first_not_of(' ', 4), line.size());
  const auto end = line.find(' ', mechanism);
  return end == std::string_view::npos ? std::string(line) : std::string(line.substr(0, end)) + " *****";
}

std::string without_secret(const Reply& reply) {
  return reply.code == 334 ? "334 *****" : reply.joined();
}

std::string_view name(Verb verb) {
  for (const auto& [known, written] : k_verbs) {
    if (known == verb) return written;
  }
  return "unknown";
}

const Parameter* find(const Parameters& parameters, std::string_view keyword) {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const Parameter& p) { return equals_ignoring_case(p.keyword, keyword); });
  return found == parameters.end() ? nullptr : &*found;
}

Parsed<MailCommand> parse_mail(std::string_view argument, bool allow_bare_names) {
  auto split = split_argument(argument, k_mail_path, allow_bare_names);
  if (!split) return tl::unexpected<Refusal>(std::move(split.error()));
  MailCommand command;
  command.reverse_path = std::move(split->path);
  auto read = read_parameters(split->parameters, k_mail_parameters, command);
  if (!read) return tl::unexpected<Refusal>(std::move(read.error()));
  return command;
}

Parsed<RcptCommand> parse_rcpt(std::string_view argument, bool allow_bare_names) {
  auto split = split_argument(argument, k_rcpt_path, allow_bare_names);
  if (!split) return tl::unexpected<Refusal>(std::move(split.error()));
  RcptCommand command;
  command.forward_path = std::move(split->path);
  auto read = read_parameters(split->parameters, k_rcpt_parameters, command);
  if (!read) return tl::unexpected<Refusal>(std::move(read.error()));
  return command;
}

Parsed<BdatCommand> parse_bdat(std::string_view argument) {
  constexpr std::string_view usage = "5.5.4 Syntax: BDAT size [LAST]";
  const std::string_view number = argument.substr(0, argument.find(' '));
  const std::string_view rest = trim(argument.substr(number.size()));
  const auto size = parse_number(number);
  if (!size || number.size() > k_longest_size) return refuse(501, std::string(usage));
  if (!rest.empty() && !equals_ignoring_case(rest, "LAST")) return refuse(501, std::string(usage));
  return BdatCommand{*size, !rest.empty()};
}

Result<std::string> command_line(std::string_view text, std::size_t longest) {
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return fail(Errc::malformed, "a control character in a command: " + std::string(text.substr(0, 200)));
  }
  if (text.size() + 2 > longest) {
    return fail(Errc::too_long, "a command of more than " + std::to_string(longest) + " octets");
  }
  return std::string(text) + "\r\n";
}

Result<std::string> mail_line(const Path& reverse_path, const MailOptions& options) {
  if (!reverse_path.is_null && !is_one_mailbox(reverse_path.mailbox)) {
    return fail(Errc::malformed, "not a reverse-path: " + reverse_path.text());
  }
  if (!options.ret.empty() && !is_ret(options.ret)) return bad_value("RET");
  if (!options.envid.empty() && !is_envid(options.envid)) return bad_value("ENVID");

  std::string line = "MAIL FROM:<" + reverse_path.text() + ">";
  std::size_t longest = k_longest_command;
  const auto add = [&](std::string_view keyword, std::string_view value, std::size_t growth) {
    line += " " + std::string(keyword);
    line += value;
    longest += growth;
  };
  if (options.size) add("SIZE=", std::to_string(*options.size), k_size_growth);
  if (options.body != BodyType::unspecified) add("BODY=", word(options.body), k_body_growth);
  if (options.smtputf8) add("SMTPUTF8", "", k_smtputf8_growth);
  if (!options.ret.empty()) add("RET=", options.ret, 0);
  if (!options.envid.empty()) add("ENVID=", options.envid, 0);
  if (!options.ret.empty() || !options.envid.empty()) longest += k_mail_dsn_growth;
  return command_line(line, longest);
}

Result<std::string> rcpt_line(const Mailbox& recipient, std::string_view notify, std::string_view orcpt) {
  if (!is_one_mailbox(recipient)) return fail(Errc::malformed, "not a recipient: " + recipient.text());
  if (!notify.empty() && !is_notify(notify)) return bad_value("NOTIFY");
  if (!orcpt.empty() && !is_orcpt(orcpt)) return bad_value("ORCPT");

  std::string line = "RCPT TO:<" + recipient.text() + ">";
  std::size_t longest = k_longest_command;
  if (!notify.empty()) {
    line += " NOTIFY=" + std::string(notify);
    longest += k_notify_growth;
  }
  if (!orcpt.empty()) {
    line += " ORCPT=" + std::string(orcpt);
    longest += k_orcpt_growth;
  }
  return command_line(line, longest);
}

}  // namespace odmr::smtp
