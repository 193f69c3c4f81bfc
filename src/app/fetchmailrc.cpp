#include "app/fetchmailrc.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.hpp"

namespace odmr::app {

namespace {

// --- words, as rcfile_l.l of fetchmail has them

enum class Kind { keyword, text, number, maps, end };

struct Token {
  Kind kind = Kind::end;
  std::string text;
  unsigned line = 0;
};

enum class Scope { statement, server, user, word };
enum class Takes {
  nothing,
  text,
  number,
  texts,
  text_or_number,
  numbers,
  map,
  protocol,
  authentication,
  envelope,
  word
};

struct Option {
  std::string_view name;   // as we call it
  std::string_view other;  // a second spelling
  Scope scope;
  Takes takes;
};

constexpr std::array k_options{
    Option{"set", {}, Scope::statement, Takes::nothing},
    Option{"poll", "server", Scope::statement, Takes::text},
    Option{"skip", {}, Scope::statement, Takes::text},
    Option{"defaults", {}, Scope::statement, Takes::nothing},
    Option{"via", {}, Scope::server, Takes::text},
    Option{"aka", {}, Scope::server, Takes::texts},
    Option{"localdomains", "local", Scope::server, Takes::texts},
    Option{"protocol", "proto", Scope::server, Takes::protocol},
    Option{"service", {}, Scope::server, Takes::text_or_number},
    Option{"port", {}, Scope::server, Takes::number},
    Option{"interval", {}, Scope::server, Takes::number},
    Option{"auth", "authenticate", Scope::server, Takes::authentication},
    Option{"preauth", "preauthenticate", Scope::server, Takes::authentication},
    Option{"timeout", {}, Scope::server, Takes::number},
    Option{"envelope", {}, Scope::server, Takes::envelope},
    Option{"qvirtual", {}, Scope::server, Takes::text},
    Option{"principal", {}, Scope::server, Takes::text},
    Option{"esmtpname", {}, Scope::server, Takes::text},
    Option{"esmtppassword", {}, Scope::server, Takes::text},
    Option{"interface", {}, Scope::server, Takes::text},
    Option{"monitor", {}, Scope::server, Takes::text},
    Option{"plugin", {}, Scope::server, Takes::text},
    Option{"plugout", {}, Scope::server, Takes::text},
    Option{"dns", {}, Scope::server, Takes::nothing},
    Option{"uidl", {}, Scope::server, Takes::nothing},
    Option{"checkalias", {}, Scope::server, Takes::nothing},
    Option{"tracepolls", {}, Scope::server, Takes::nothing},
    Option{"bad-header", {}, Scope::server, Takes::word},
    Option{"user", "username", Scope::user, Takes::map},
    Option{"is", {}, Scope::user, Takes::map},
    Option{"to", {}, Scope::user, Takes::map},
    Option{"password", "pass", Scope::user, Takes::text},
    Option{"folder", "folders", Scope::user, Takes::texts},
    Option{"smtphost", "smtp", Scope::user, Takes::texts},
    Option{"fetchdomains", {}, Scope::user, Takes::texts},
    Option{"smtpaddress", {}, Scope::user, Takes::text},
    Option{"smtpname", {}, Scope::user, Takes::text},
    Option{"antispam", {}, Scope::user, Takes::numbers},
    Option{"mda", {}, Scope::user, Takes::text},
    Option{"bsmtp", {}, Scope::user, Takes::text},
    Option{"lmtp", {}, Scope::user, Takes::nothing},
    Option{"preconnect", "pre", Scope::user, Takes::text},
    Option{"postconnect", "post", Scope::user, Takes::text},
    Option{"keep", {}, Scope::user, Takes::nothing},
    Option{"flush", {}, Scope::user, Takes::nothing},
    Option{"limitflush", {}, Scope::user, Takes::nothing},
    Option{"fetchall", {}, Scope::user, Takes::nothing},
    Option{"rewrite", {}, Scope::user, Takes::nothing},
    Option{"forcecr", {}, Scope::user, Takes::nothing},
    Option{"stripcr", {}, Scope::user, Takes::nothing},
    Option{"pass8bits", "pass8", Scope::user, Takes::nothing},
    Option{"dropstatus", {}, Scope::user, Takes::nothing},
    Option{"dropdelivered", {}, Scope::user, Takes::nothing},
    Option{"mimedecode", "mimedec", Scope::user, Takes::nothing},
    Option{"idle", {}, Scope::user, Takes::nothing},
    Option{"forceidle", {}, Scope::user, Takes::nothing},
    Option{"ssl", {}, Scope::user, Takes::nothing},
    Option{"sslcertck", {}, Scope::user, Takes::nothing},
    Option{"sslkey", {}, Scope::user, Takes::text},
    Option{"sslcert", {}, Scope::user, Takes::text},
    Option{"sslproto", {}, Scope::user, Takes::text},
    Option{"sslcertfile", {}, Scope::user, Takes::text},
    Option{"sslcertpath", {}, Scope::user, Takes::text},
    Option{"sslcommonname", {}, Scope::user, Takes::text},
    Option{"sslfingerprint", {}, Scope::user, Takes::text},
    Option{"limit", {}, Scope::user, Takes::number},
    Option{"warnings", {}, Scope::user, Takes::number},
    Option{"batchlimit", {}, Scope::user, Takes::number},
    Option{"fetchlimit", {}, Scope::user, Takes::number},
    Option{"fetchsizelimit", {}, Scope::user, Takes::number},
    Option{"fastuidl", {}, Scope::user, Takes::number},
    Option{"expunge", {}, Scope::user, Takes::number},
    Option{"properties", {}, Scope::user, Takes::text},
};

// Keywords that are no options: what `set` sets, and the words that stand behind others.
constexpr std::array<std::string_view, 18> k_words{
    "no",     "here",      "there",    "accept",     "reject",     "logfile",    "idfile",     "pidfile", "daemon",
    "syslog", "invisible", "showdots", "postmaster", "bouncemail", "spambounce", "softbounce", "sdps",    "kpop"};
constexpr std::array<std::string_view, 8> k_protocols{"auto", "pop2", "pop3", "imap", "apop", "rpop", "etrn", "odmr"};
constexpr std::array<std::string_view, 19> k_authentications{
    "any", "gssapi", "kerberos", "kerberos4", "kerberos_v4", "kerberos5", "kerberos_v5", "ssh", "implicit", "external",
    "otp", "opie",   "cram",     "cram-md5",  "msn",         "ntlm",      "password",    "",    ""};
constexpr std::array<std::string_view, 5> k_noise{"with", "and", "has", "wants", "options"};
// These may be written in one word with `no`.
constexpr std::array<std::string_view, 21> k_without{
    "bouncemail", "uidl",          "checkalias", "dns",     "envelope",   "keep",      "flush",
    "limitflush", "fetchall",      "rewrite",    "forcecr", "stripcr",    "pass8bits", "pass8",
    "dropstatus", "dropdelivered", "mimedecode", "mimedec", "spambounce", "idle",      "forceidle"};

template <class List>
bool holds(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

const Option* option_named(std::string_view word) {
  const auto found = std::find_if(k_options.begin(), k_options.end(), [&](const Option& one) {
    return one.name == word || (!one.other.empty() && one.other == word);
  });
  return found == k_options.end() ? nullptr : &*found;
}

// A protocol is written in small or in capital letters, not in both.
std::string protocol_named(const std::string& word) {
  const auto small = lower(word);
  const bool is_one = holds(k_protocols, small) || small == "sdps" || small == "kpop";
  return is_one && (word == small || word == upper(word)) ? small : std::string();
}

bool is_keyword(const std::string& word) {
  return option_named(word) != nullptr || holds(k_words, word) || !protocol_named(word).empty() ||
         (!word.empty() && word != "password" && holds(k_authentications, word));
}

bool ends_word(char c) {
  return c == '=' || c == ';' || c == ':' || c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// The number that begins `text`, of at most `most` digits of that base; takes them off.
unsigned take_digits(std::string_view& text, unsigned base, std::size_t most) {
  unsigned value = 0;
  for (; most > 0 && !text.empty(); --most) {
    const char c = to_lower(text.front());
    const unsigned digit = is_digit(c)            ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                                                  : 16;
    if (digit >= base) break;
    value = value * base + digit;
    text.remove_prefix(1);
  }
  return value;
}

// One escape, its backslash gone already; no value where it stands for nothing.
std::optional<char> take_escape(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const char c = text.front();
  if (to_lower(c) == 'x') {
    text.remove_prefix(1);
    return static_cast<char>(take_digits(text, 16, 2));
  }
  if (is_digit(c)) return static_cast<char>(take_digits(text, c == '0' ? 8 : 10, 3));
  text.remove_prefix(1);
  switch (c) {
    case '\n':
      return std::nullopt;
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'r':
      return '\r';
    default:
      return c;
  }
}

std::string without_escapes(std::string_view text) {
  std::string out;
  out.reserve(text.size());  // a secret leaves no smaller copies behind
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    const auto meant = c == '\\' ? take_escape(text) : std::optional<char>(c);
    // fetchmail's strings end at a NUL.
    if (meant && *meant == '\0') break;
    if (meant) out.push_back(*meant);
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  Token next() {
    if (!held_.empty()) {
      return {Kind::keyword, std::string(std::exchange(held_, {})), line_};
    }
    skip_what_means_nothing();
    if (rest_.empty()) return {Kind::end, {}, line_};
    if (rest_.front() == '=') {
      rest_.remove_prefix(1);
      state_ = State::name;
      return {Kind::maps, {}, line_};
    }
    const auto word = rest_.substr(0, word_size());
    // The longer match wins, and of two equal ones the quoted: "a"b is a word with quotes in it.
    if (const auto quoted = quoted_size(); quoted >= word.size()) return take_quoted(quoted);
    return take_word(word);
  }

 private:
  // What stands behind some keywords is a name, whatever it looks like.
  enum class State { initial, name, authentication };

  std::size_t word_size() const {
    return static_cast<std::size_t>(std::find_if(rest_.begin(), rest_.end(), ends_word) - rest_.begin());
  }

  std::size_t quoted_size() const {
    if (rest_.front() != '"' && rest_.front() != '\'') return 0;
    const auto end = rest_.find(rest_.front(), 1);
    return end == std::string_view::npos ? 0 : end + 1;
  }

  void skip_what_means_nothing() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      // fetchmail wants a newline behind the last comment, too; nobody means a word there.
      if (c == '#') rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      if (rest_.empty()) return;
      if (rest_.substr(0, 2) == "\\\n") rest_.remove_prefix(1);
      const char now = rest_.front();
      if (now == '\n') ++line_;
      if (!ends_word(now) || now == '=') return;
      rest_.remove_prefix(1);
    }
  }

  Token take_quoted(std::size_t size) {
    const auto inside = rest_.substr(1, size - 2);
    Token token{Kind::text, without_escapes(inside), line_};
    line_ += static_cast<unsigned>(std::count(inside.begin(), inside.end(), '\n'));
    rest_.remove_prefix(size);
    state_ = State::initial;
    return token;
  }

  Token take_word(std::string_view word) {
    rest_.remove_prefix(word.size());
    const auto before = std::exchange(state_, State::initial);
    if (before == State::name) return {Kind::text, without_escapes(word), line_};
    if (holds(k_noise, word)) {
      state_ = before;
      return next();
    }
    if (word.substr(0, 2) == "no" && holds(k_without, word.substr(2))) {
      held_ = word.substr(2);
      return {Kind::keyword, "no", line_};
    }
    std::string text(word);
    if (before == State::authentication && word == "password") return {Kind::keyword, "password", line_};
    if (is_keyword(text)) {
      if (const auto* option = option_named(text)) text = option->name;
      if (text == "user" || text == "password" || text == "is" || text == "to") state_ = State::name;
      if (text == "auth" || text == "preauth") state_ = State::authentication;
      return {Kind::keyword, text, line_};
    }
    const auto digits = text.front() == '-' ? text.substr(1) : text;
    const bool is_number = !digits.empty() && std::all_of(digits.begin(), digits.end(), is_digit);
    if (is_number) return {Kind::number, std::move(text), line_};
    return {Kind::text, without_escapes(word), line_};
  }

  std::string_view rest_;
  std::string_view held_;  // behind a `no` that was written in one word with it
  State state_ = State::initial;
  unsigned line_ = 1;
};

// --- what they say, as rcfile_y.y has it

// An entry under way: what is not said is not set, so that `defaults` can fill it.
struct Draft {
  FetchmailEntry entry;
  std::optional<bool> lmtp;
  std::optional<bool> ssl;
  std::optional<bool> keep;
  std::optional<bool> fetchall;
};

Draft copy_of_server(const Draft& from) {
  Draft to;
  to.entry.name = from.entry.name;
  to.entry.is_skipped = from.entry.is_skipped;
  to.entry.protocol = from.entry.protocol;
  to.entry.via = from.entry.via;
  to.entry.service = from.entry.service;
  to.entry.envelope = from.entry.envelope;
  to.entry.has_no_envelope = from.entry.has_no_envelope;
  to.entry.virtual_prefix = from.entry.virtual_prefix;
  to.entry.aliases = from.entry.aliases;
  to.entry.local_domains = from.entry.local_domains;
  return to;
}

template <class Value>
void fill(Value& value, const Value& otherwise) {
  if (value.empty()) value = otherwise;
}

void note_other(FetchmailEntry& entry, const std::string& option) {
  if (!holds(entry.others, option)) entry.others.push_back(option);
}

// What an entry does not say, `defaults` does.
void fill_from(Draft& draft, const Draft& defaults) {
  auto& entry = draft.entry;
  const auto& from = defaults.entry;
  fill(entry.protocol, from.protocol);
  fill(entry.via, from.via);
  fill(entry.service, from.service);
  fill(entry.user, from.user);
  if (!entry.password && from.password) entry.password.emplace(from.password->text());
  fill(entry.fetchdomains, from.fetchdomains);
  fill(entry.smtphosts, from.smtphosts);
  fill(entry.certificate_file, from.certificate_file);
  if (!draft.lmtp) draft.lmtp = defaults.lmtp;
  if (!draft.ssl) draft.ssl = defaults.ssl;
  if (!draft.keep) draft.keep = defaults.keep;
  if (!draft.fetchall) draft.fetchall = defaults.fetchall;
  if (!entry.ssl_protocol) entry.ssl_protocol = from.ssl_protocol;
  fill(entry.folders, from.folders);
  fill(entry.local_names, from.local_names);
  if (!entry.envelope && !entry.has_no_envelope) {
    entry.envelope = from.envelope;
    entry.has_no_envelope = from.has_no_envelope;
  }
  fill(entry.virtual_prefix, from.virtual_prefix);
  fill(entry.aliases, from.aliases);
  fill(entry.local_domains, from.local_domains);
  fill(entry.smtp_address, from.smtp_address);
  fill(entry.smtp_name, from.smtp_name);
  if (entry.limit == 0) entry.limit = from.limit;
  for (const auto& option : from.others) note_other(entry, option);
}

constexpr std::size_t k_most_entries = 1000;
constexpr std::size_t k_most_words = 1000;
constexpr std::size_t k_longest_word = 1024;

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) { step(); }

  Result<Fetchmailrc> run() {
    while (!error_ && token_.kind != Kind::end) statement();
    if (error_) return fail(std::move(*error_));
    return std::move(found_);
  }

 private:
  void step() {
    token_ = lexer_.next();
    if (token_.text.size() > k_longest_word) refuse(Errc::too_long, "a word is longer than any option wants it");
  }

  void refuse(Errc code, const std::string& text) {
    if (!error_) error_ = Error{code, fmt::format("line {}: {}", token_.line, text)};
    token_ = Token();
  }

  // Words that are no keywords are not repeated: they may be a password, or half of one.
  void refuse_here(const std::string& wanted) {
    std::string what = "the end of the file";
    if (token_.kind == Kind::keyword) what = "\"" + token_.text + "\"";
    if (token_.kind == Kind::text || token_.kind == Kind::number) what = "a word that is no keyword";
    if (token_.kind == Kind::maps) what = "\"=\"";
    refuse(Errc::malformed, "fetchmail would not take " + what + " here" + (wanted.empty() ? "" : "; " + wanted));
  }

  bool is(std::string_view keyword) const { return token_.kind == Kind::keyword && token_.text == keyword; }
  bool take(std::string_view keyword) {
    if (!is(keyword)) return false;
    step();
    return true;
  }

  std::string text() {
    if (token_.kind != Kind::text) {
      refuse_here("a name or a quoted text has to stand there");
      return {};
    }
    std::string value = token_.text;
    step();
    return value;
  }

  std::string number() {
    if (token_.kind != Kind::number) {
      refuse_here("a number has to stand there");
      return {};
    }
    std::string value = token_.text;
    step();
    return value;
  }

  std::vector<std::string> texts() {
    std::vector<std::string> values{text()};
    while (!error_ && token_.kind == Kind::text) {
      values.push_back(text());
      if (values.size() > k_most_words) refuse(Errc::too_long, "a list is longer than any option wants it");
    }
    return values;
  }

  const Option* option_here() const { return token_.kind == Kind::keyword ? option_named(token_.text) : nullptr; }

  // --- statements

  void statement() {
    const auto* option = option_here();
    if (option == nullptr || option->scope != Scope::statement)
      return refuse_here("poll, skip, defaults or set begins");
    const std::string what(option->name);
    step();
    if (what == "set") return setting();
    Draft server;
    server.entry.is_skipped = what == "skip";
    if (what != "defaults") server.entry.name = text();
    is_defaults_ = what == "defaults";
    server_options(server);
    users(std::move(server));
  }

  void setting() {
    take("no");
    const std::string what = token_.kind == Kind::keyword ? token_.text : std::string();
    step();
    if (token_.kind == Kind::maps) step();
    if (what == "daemon") {
      found_.daemon = parse_number(number());
    } else if (what == "postmaster") {
      found_.postmaster = text();
    } else if (what == "logfile" || what == "idfile" || what == "pidfile" || what == "properties") {
      text();
    } else if (what != "syslog" && what != "invisible" && what != "showdots" && what != "bouncemail" &&
               what != "spambounce" && what != "softbounce") {
      refuse_here("set knows no such word");
    }
  }

  // --- options of a server

  void server_options(Draft& server) {
    for (;;) {
      const bool is_negated = take("no");
      const auto* option = option_here();
      if (is_negated && is("envelope")) {
        step();
        server.entry.has_no_envelope = true;
        server.entry.envelope.reset();
        note_other(server.entry, "envelope");
        continue;
      }
      if (option == nullptr || option->scope != Scope::server) {
        // A user's: `no keep`.
        is_negated_ = is_negated;
        return;
      }
      if (is_negated && option->takes != Takes::nothing) return refuse_here("no such option can be negated");
      step();
      if (!is_negated) server_option(*option, server.entry);
    }
  }

  void server_option(const Option& option, FetchmailEntry& entry) {
    if (option.name == "via") {
      entry.via = text();
    } else if (option.name == "protocol") {
      entry.protocol = protocol();
    } else if (option.name == "port" || option.name == "service") {
      entry.service = token_.kind == Kind::text && option.name == "service" ? text() : number();
    } else {
      if (!mailbox_option_of_server(option, entry)) pass_over(option);
      note_other(entry, std::string(option.name));
    }
  }

  // True: its value has been read.
  bool mailbox_option_of_server(const Option& option, FetchmailEntry& entry) {
    if (option.name == "envelope") {
      entry.envelope = FetchmailEnvelope();
      auto& field = *entry.envelope;
      entry.has_no_envelope = false;
      if (token_.kind == Kind::number) field.skipped = parse_number(number()).value_or(0);
      field.name = text();
    } else if (option.name == "qvirtual") {
      entry.virtual_prefix = text();
    } else if (option.name == "aka") {
      append(entry.aliases, texts());
    } else if (option.name == "localdomains") {
      append(entry.local_domains, texts());
    } else {
      return false;
    }
    return true;
  }

  std::string protocol() {
    auto name = token_.kind == Kind::keyword ? protocol_named(token_.text) : std::string();
    if (name.empty()) refuse_here("it knows no such protocol");
    step();
    return name;
  }

  // What an option takes that is nothing to us.
  void pass_over(const Option& option) {
    switch (option.takes) {
      case Takes::nothing:
      case Takes::map:
      case Takes::protocol:
        return;
      case Takes::text:
        text();
        return;
      case Takes::number:
        number();
        return;
      case Takes::text_or_number:
        return;
      case Takes::texts:
        texts();
        return;
      case Takes::numbers:
        number();
        while (!error_ && token_.kind == Kind::number) number();
        return;
      case Takes::envelope:
        if (token_.kind == Kind::number) number();
        text();
        return;
      case Takes::authentication:
        if (token_.kind != Kind::keyword || token_.text.empty() || !holds(k_authentications, token_.text))
          return refuse_here("it knows no such way to log in");
        step();
        return;
      case Takes::word:
        if (!is("accept") && !is("reject")) return refuse_here("accept or reject has to stand there");
        step();
        return;
    }
  }

  // --- its users

  bool has_user_option() const {
    const auto* option = option_here();
    return is("no") || is_negated_ || (option != nullptr && option->scope == Scope::user);
  }

  void users(Draft server) {
    if (error_) return;
    if (!has_user_option()) return record(std::move(server));
    if (!is("user")) {
      // Options without a user: those of one who has the caller's name.
      user_options(server);
      if (is("user")) return refuse_here("user comes before the user's options");
      return record(std::move(server));
    }
    while (!error_ && is("user")) {
      Draft one = copy_of_server(server);
      one.entry.others = server.entry.others;
      step();
      user_name(one.entry);
      user_options(one);
      record(std::move(one));
    }
  }

  // `user NAME [there]` is the name at the server; `user NAME… here` are names of this host.
  void user_name(FetchmailEntry& entry) {
    auto names = name_list();
    if (take("here")) return append_names(entry, std::move(names));
    if (is_list(names)) return refuse_here("");
    take("there");
    entry.user = names.front().there;
  }

  // "NAME", or several, each perhaps "NAME=NAME".
  std::vector<FetchmailEntry::LocalName> name_list() {
    std::vector<FetchmailEntry::LocalName> names;
    do {
      auto& name = names.emplace_back();
      name.there = text();
      if (token_.kind == Kind::maps) {
        step();
        name.here = text();
      }
      if (names.size() > k_most_words) refuse(Errc::too_long, "a list is longer than any option wants it");
    } while (!error_ && token_.kind == Kind::text);
    return names;
  }

  static bool is_list(const std::vector<FetchmailEntry::LocalName>& names) {
    return names.size() > 1 || !names.front().here.empty();
  }

  static void append_names(FetchmailEntry& entry, std::vector<FetchmailEntry::LocalName> names) {
    for (auto& one : names) {
      if (one.here.empty()) one.here = one.there;
      entry.local_names.push_back(std::move(one));
    }
  }

  void user_options(Draft& draft) {
    while (!error_) {
      const bool is_negated = std::exchange(is_negated_, false) || take("no");
      const auto* option = option_here();
      if (option == nullptr || option->scope != Scope::user || (is("user") && !is_negated)) {
        if (is_negated) return refuse_here("no such option can be negated");
        if (option != nullptr && option->scope == Scope::server)
          return refuse_here("options of the server come before those of a user");
        return;
      }
      if (is_negated && option->takes != Takes::nothing) return refuse_here("no such option can be negated");
      step();
      if (is_negated)
        negated(*option, draft);
      else
        user_option(*option, draft);
    }
  }

  static void negated(const Option& option, Draft& draft) {
    if (option.name == "ssl") draft.ssl = false;
    if (option.name == "keep") draft.keep = false;
    if (option.name == "fetchall") draft.fetchall = false;
    if (option.name == "sslcertck") note_other(draft.entry, "no sslcertck");
  }

  void user_option(const Option& option, Draft& draft) {
    auto& entry = draft.entry;
    if (option.name == "password") {
      std::string value = text();
      entry.password.emplace(value);
      wipe(value);
    } else if (option.name == "is" || option.name == "to") {
      local_names(option, entry);
    } else if (option.name == "fetchdomains") {
      append(entry.fetchdomains, texts());
    } else if (option.name == "smtphost") {
      append(entry.smtphosts, texts());
    } else if (option.name == "sslcertfile") {
      entry.certificate_file = text();
    } else if (option.name == "lmtp") {
      draft.lmtp = true;
    } else if (option.name == "ssl") {
      draft.ssl = true;
    } else {
      if (!mailbox_option_of_user(option, draft)) pass_over(option);
      // The first is what odmr always does.
      if (option.name != "sslcertck") note_other(entry, std::string(option.name));
    }
  }

  // True: its value has been read.
  bool mailbox_option_of_user(const Option& option, Draft& draft) {
    auto& entry = draft.entry;
    if (option.name == "keep") {
      draft.keep = true;
    } else if (option.name == "fetchall") {
      draft.fetchall = true;
    } else if (option.name == "folder") {
      append(entry.folders, texts());
    } else if (option.name == "sslproto") {
      entry.ssl_protocol = text();
    } else if (option.name == "smtpaddress") {
      entry.smtp_address = text();
    } else if (option.name == "smtpname") {
      entry.smtp_name = text();
    } else if (option.name == "limit") {
      entry.limit = parse_number(number()).value_or(0);
    } else {
      return false;
    }
    return true;
  }

  static void append(std::vector<std::string>& to, std::vector<std::string> from) {
    for (auto& one : from) {
      if (!holds(to, one)) to.push_back(std::move(one));
    }
  }

  void local_names(const Option& option, FetchmailEntry& entry) {
    auto names = name_list();
    if (option.name == "is" && !is_list(names) && take("there")) {
      entry.user = names.front().there;
      return;
    }
    take("here");
    append_names(entry, std::move(names));
    note_other(entry, std::string(option.name));
  }

  void record(Draft draft) {
    if (error_) return;
    if (is_defaults_) {
      defaults_ = std::move(draft);
      return;
    }
    fill_from(draft, defaults_);
    draft.entry.is_lmtp = draft.lmtp.value_or(false);
    draft.entry.is_ssl = draft.ssl.value_or(false);
    draft.entry.keeps = draft.keep.value_or(false);
    draft.entry.fetches_all = draft.fetchall.value_or(false);
    found_.entries.push_back(std::move(draft.entry));
    if (found_.entries.size() > k_most_entries) refuse(Errc::too_long, "there are more servers than anybody has");
  }

  Lexer lexer_;
  Token token_;
  Draft defaults_;
  bool is_defaults_ = false;
  bool is_negated_ = false;  // a `no` has been read whose option belongs to a user
  Fetchmailrc found_;
  std::optional<Error> error_;
};

}  // namespace

Result<Fetchmailrc> parse_fetchmailrc(std::string_view text) {
  if (text.size() > k_longest_fetchmailrc)
    return fail(Errc::too_long, fmt::format("it is longer than {} bytes", k_longest_fetchmailrc));
  return Parser(text).run();
}

}  // namespace odmr::app
