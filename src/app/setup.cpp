#include "app/setup.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "app/host_port.hpp"
#include "app/places.hpp"
#include "base/ascii.hpp"
#include "net/digest.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

using client::TlsPolicy;
using Kind = deliver::TargetOptions::Kind;

constexpr std::size_t k_no_limit = std::string::npos;

// --- the file

// "key = value" lines of one table, their values in one column.
class TableText {
 public:
  explicit TableText(std::string header) : header_(std::move(header)) {}

  void add(const std::string& key, const std::string& value, const std::string& comment = {}) {
    lines_.push_back({key, value, comment});
  }
  void add_text(const std::string& key, const std::string& value, const std::string& comment = {}) {
    if (!value.empty()) add(key, toml_string(value), comment);
  }

  std::string text() const {
    if (lines_.empty()) return {};
    std::size_t width = 0;
    for (const auto& line : lines_) width = std::max(width, line.key.size());
    std::string out = header_.empty() ? "\n" : "\n[" + header_ + "]\n";
    for (const auto& line : lines_) {
      out += fmt::format("{:<{}} = {}", line.key, width, line.value);
      out += line.comment.empty() ? "\n" : "  # " + line.comment + "\n";
    }
    return out;
  }

 private:
  struct Line {
    std::string key;
    std::string value;
    std::string comment;
  };
  std::string header_;
  std::vector<Line> lines_;
};

std::string toml_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& one : texts) out += (out.empty() ? "" : ", ") + toml_string(one);
  return "[" + out + "]";
}

std::string provider_text(const SetupAnswers& answers, const std::string& password_file) {
  TableText table("provider." + answers.name);
  table.add_text("host", answers.host);
  table.add_text("tls", answers.tls);
  table.add_text("ca_file", answers.ca_file);
  if (!answers.pins.empty()) table.add("pin", toml_list(answers.pins));
  table.add_text("user", answers.user);
  table.add_text("password_file", password_file, "its first line is the password");
  table.add("domains", toml_list(answers.domains));
  return table.text();
}

std::string further_text(const FurtherProvider& provider) {
  TableText table("provider." + provider.name);
  for (const auto& [key, value] : provider.keys) {
    table.add(key, value);
    if (key == "user" && provider.has_password) table.add_text("password_file", provider.secret);
  }
  TableText deliver("provider." + provider.name + ".deliver");
  deliver.add_text("to", provider.deliver);
  return table.text() + deliver.text();
}

std::string outbound_text(const SetupAnswers& answers) {
  TableText table("outbound");
  table.add_text("to", answers.smart_host);
  if (answers.smart_host.empty() || answers.smart_host == "provider") return table.text();
  const auto where = split_host_port(std::string_view(answers.smart_host).substr(7));
  if (where && where->port == 465) table.add_text("tls", "implicit");
  if (answers.logs_in_at_smart_host) table.add_text("auth_as", answers.name, "its user and password");
  return table.text();
}

// --- answers as they are typed

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : std::string(text) + " ") {
    if (c != ' ' && c != '\t' && c != ',' && c != ';') {
      word.push_back(c);
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  return words;
}

bool has_scheme(std::string_view text) {
  return text.find("://") != std::string_view::npos;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string target_of(const std::string& text) {
  if (text.empty() || has_scheme(text)) return text;
  if (text.front() == '/') return (is_directory(text) ? "maildir://" : "lmtp://") + text;
  return "smtp://" + text;
}

std::string smart_host_of(const std::string& text) {
  auto word = lower(text);
  if (word == "none" || word == "no" || word == "-") return {};
  if (word == "provider") return word;
  if (starts_with_ignoring_case(text, "smtps://")) {
    const auto where = split_host_port(std::string_view(text).substr(8));
    return where && !where->port ? "smtp://" + text.substr(8) + ":465" : "smtp://" + text.substr(8);
  }
  return has_scheme(text) ? text : "smtp://" + text;
}

std::string interval_of(const std::string& text) {
  return parse_number(text) ? text + "m" : text;
}

void put(Question question, const std::string& text, SetupAnswers& answers) {
  switch (question) {
    case Question::provider:
      answers.host = text;
      return;
    case Question::domains:
      answers.domains = words_of(text);
      return;
    case Question::user:
      answers.user = text;
      return;
    case Question::password:
      return;
    case Question::deliver:
      answers.deliver = target_of(text);
      return;
    case Question::smart_host:
      answers.smart_host = smart_host_of(text);
      return;
    case Question::interval:
      answers.interval = interval_of(text);
      return;
  }
}

// The key of the configuration that a question is about.
std::string key_of(Question question, const SetupAnswers& answers) {
  const auto of_provider = [&](const char* key) { return "provider." + answers.name + "." + key; };
  switch (question) {
    case Question::provider:
      return of_provider("host");
    case Question::domains:
      return of_provider("domains");
    case Question::user:
      return of_provider("user");
    case Question::password:
      return of_provider("password_file");
    case Question::deliver:
      return "deliver.to";
    case Question::smart_host:
      return "outbound.to";
    case Question::interval:
      return "watch.interval";
  }
  return {};
}

// The configuration takes any host; a person who has typed "odmr example net" should hear of it now.
std::string objection_to_host(const std::string& host) {
  if (net::ip_version_of(host) || smtp::canonical_domain(host)) return {};
  return "\"" + host + "\" is no host name; write HOST or HOST:PORT, such as odmr.example.net";
}

std::string objection_to_host_in(Question question, const SetupAnswers& answers) {
  std::optional<HostPort> where;
  if (question == Question::provider) where = split_host(answers.host);
  if (question == Question::smart_host && has_scheme(answers.smart_host))
    where = split_host_port(std::string_view(answers.smart_host).substr(7));
  const std::string_view to = answers.deliver;
  const bool is_tcp = to.starts_with("smtp://") || (to.starts_with("lmtp://") && !to.starts_with("lmtp:///"));
  if (question == Question::deliver && is_tcp) where = split_host_port(to.substr(7));
  return where ? objection_to_host(where->host) : std::string();
}

// What has not been told is as good as told.
SetupAnswers completed(SetupAnswers answers) {
  if (answers.host.empty()) answers.host = "odmr.example.net";
  if (answers.domains.empty()) answers.domains = {"example.org"};
  if (answers.user.empty()) answers.user = "example.org";
  if (answers.deliver.empty()) answers.deliver = "smtp://127.0.0.1:25";
  return answers;
}

// --- answers that a configuration gives

std::string word_for(TlsPolicy policy) {
  switch (policy) {
    case TlsPolicy::starttls:
      return {};
    case TlsPolicy::implicit:
      return "implicit";
    case TlsPolicy::if_available:
      return "if-available";
    case TlsPolicy::none:
      return "none";
  }
  return {};
}

std::string text_of(const DeliverSettings& deliver) {
  if (deliver.kind == Kind::maildir) return "maildir://" + deliver.directory;
  return (deliver.kind == Kind::lmtp ? "lmtp://" : "smtp://") + deliver.endpoint.text();
}

std::string in_whole_units(Duration interval) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(interval).count();
  if (seconds % 3600 == 0) return std::to_string(seconds / 3600) + "h";
  return seconds % 60 == 0 ? std::to_string(seconds / 60) + "m" : std::to_string(seconds) + "s";
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else if (is_control(c))
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    else
      out += c;
  }
  return out + "\"";
}

std::string configuration_text(const SetupAnswers& answers, const std::string& password_file) {
  TableText top("");
  top.add_text("hostname", answers.hostname);
  top.add_text("state_dir", answers.state_dir);
  top.add_text("run_as", answers.run_as, "whom root becomes");
  TableText deliver("deliver");
  deliver.add_text("to", answers.deliver, "where received mail goes");
  TableText watch("watch");
  watch.add_text("interval", answers.interval, "of \"odmr watch\"; a timer and cron have their own");
  std::string providers = answers.has_odmr ? provider_text(answers, password_file) : std::string();
  for (const auto& one : answers.further) providers += further_text(one);
  return "# Written by \"odmr setup\". Every key: odmr.toml(5).\n# Check it: odmr check. Try it: odmr probe\n" +
         top.text() + deliver.text() + providers + outbound_text(answers) + watch.text();
}

std::vector<std::string> objections_to(const SetupAnswers& answers, std::optional<Question> about) {
  const auto whole = completed(answers);
  auto text = configuration_text(whole, {});
  // The password is judged elsewhere; there has to be one.
  const std::string header = "[provider." + whole.name + "]\n";
  if (const auto at = text.find(header); at != std::string::npos) text.insert(at + header.size(), "password = \"x\"\n");
  auto document = config::Document::parse(text, {});
  if (!document) return {document.error().text};
  (void)read_settings(*document);
  std::vector<std::string> objections;
  for (const auto& fault : document->faults()) {
    if (!about) objections.push_back(fault.key + ": " + fault.text);
    if (about && fault.key == key_of(*about, whole)) objections.push_back(fault.text);
  }
  return objections;
}

Result<void> take_answer(Question question, std::string_view text, SetupAnswers& answers) {
  const std::string answer(trim(text));
  if (!is_utf8(answer)) return fail(Errc::malformed, "it is not UTF-8");
  if (std::any_of(answer.begin(), answer.end(), is_control))
    return fail(Errc::malformed, "there are control characters in it");
  // Marks that turn the direction of what is read, and such.
  if (escape(answer, k_no_limit) != answer) return fail(Errc::malformed, "there are characters in it that mislead");
  auto changed = answers;
  put(question, answer, changed);
  if (answer.empty() || (question == Question::domains && changed.domains.empty()))
    return fail(Errc::malformed, "there has to be an answer");
  const auto objections = objections_to(changed, question);
  if (!objections.empty()) return fail(Errc::malformed, objections.front());
  const auto of_host = objection_to_host_in(question, changed);
  if (!of_host.empty()) return fail(Errc::malformed, of_host);
  answers = std::move(changed);
  return {};
}

Result<void> check_password(std::string_view password) {
  if (password.empty()) return fail(Errc::malformed, "a password has to be there");
  if (password.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos)
    return fail(Errc::malformed, "a password is one line, without NUL");
  return {};
}

Result<void> check_provider_name(std::string_view name) {
  const bool is_name = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return is_alnum(c) || c == '-' || c == '_';
  });
  if (!is_name) return fail(Errc::malformed, "a provider's name has letters, digits, - and _ alone, such as isp");
  return {};
}

SetupAnswers answers_in(const Settings& settings) {
  SetupAnswers answers;
  answers.state_dir = settings.state_dir_is_default ? std::string() : settings.state_dir;
  answers.hostname = settings.hostname == default_hostname() ? std::string() : settings.hostname;
  answers.deliver = text_of(settings.deliver);
  answers.interval = in_whole_units(settings.watch.interval);
  const auto asked = std::find_if(settings.providers.begin(), settings.providers.end(),
                                  [](const ProviderSettings& one) { return one.protocol == Protocol::odmr; });
  if (asked != settings.providers.end()) {
    const auto& provider = *asked;
    answers.name = provider.name;
    answers.host = provider.endpoint.port == 366 ? provider.endpoint.host : provider.endpoint.text();
    answers.tls = word_for(provider.tls.policy);
    answers.ca_file = provider.tls.ca_file;
    for (const auto& pin : provider.tls.pins) answers.pins.push_back("sha256:" + net::hex(pin));
    answers.domains = provider.domains;
    answers.user = provider.login.user;
    answers.deliver = text_of(provider.deliver);
  }
  if (settings.outbound) {
    const bool by_provider = settings.outbound->to == OutboundSettings::To::provider;
    answers.smart_host = by_provider ? "provider" : "smtp://" + settings.outbound->endpoint.text();
    answers.logs_in_at_smart_host = !settings.outbound->login.user.empty();
  }
  return answers;
}

std::string likely_domain(std::string_view mailname, std::string_view hostname) {
  const auto given = trim(mailname.substr(0, mailname.find('\n')));
  if (given.find('.') != std::string_view::npos && smtp::canonical_domain(given)) return lower(given);
  const auto dot = hostname.find('.');
  if (dot == std::string_view::npos) return {};
  const auto parent = hostname.substr(dot + 1);
  if (parent.find('.') == std::string_view::npos || !smtp::canonical_domain(parent)) return {};
  return lower(parent);
}

}  // namespace odmr::app
