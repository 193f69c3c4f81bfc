#include "stage.hpp"

#include <deque>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "app/ask_to_send.hpp"
#include "app/probe_server.hpp"
#include "base/ascii.hpp"
#include "certificates.hpp"
#include "sasl/base64.hpp"

namespace odmr::conversation {

namespace {

using net::Task;

constexpr const char* k_provider_host = "odmr.example.net";
constexpr const char* k_target_host = "localhost";

class RecordingLog final : public Log {
 public:
  explicit RecordingLog(std::string& text, std::vector<app::TraceLine>* lines = nullptr) : text_(text), lines_(lines) {}
  bool wants(Level /*level*/) const override { return true; }

 private:
  void write(Level /*level*/, std::string_view event, const Writable& fields) override {
    text_ += event;
    for (const auto& [key, value] : fields) {
      text_ += ' ';
      text_ += key;
      text_ += '=';
      text_ += value;
    }
    text_ += '\n';
    if (lines_ == nullptr) return;
    auto& line = lines_->emplace_back();
    line.event = event;
    for (const auto& [key, value] : fields) line.fields.emplace_back(key, value);
  }
  std::string& text_;
  std::vector<app::TraceLine>* lines_;
};

class BounceShelf final : public receive::BounceKeeper {
 public:
  BounceShelf(Ledger& ledger, bool is_full) : ledger_(ledger), is_full_(is_full) {}
  Result<void> keep(const receive::BounceRecord& record) override {
    if (is_full_) return fail(Errc::no_space, "bounces: no space left on device");
    ledger_.bounces.push_back(record);
    return {};
  }

 private:
  Ledger& ledger_;
  bool is_full_;
};

class KeptPlace final : public receive::Shelf::Place {
 public:
  KeptPlace(Ledger& ledger, Kept kept) : ledger_(ledger), kept_(std::move(kept)) {}
  const std::string& id() const override { return id_; }
  Task<Result<void>> commit() override {
    ledger_.kept.push_back(kept_);
    co_return Result<void>();
  }

 private:
  Ledger& ledger_;
  Kept kept_;
  std::string id_ = "a-kept-one";
};

class MailShelf final : public receive::Shelf {
 public:
  MailShelf(Ledger& ledger, bool is_full) : ledger_(ledger), is_full_(is_full) {}
  Task<Result<std::unique_ptr<Place>>> put(const receive::KeptMessage& message, receive::Copy& content) override {
    if (is_full_) co_return fail(Errc::no_space, "kept: no space left on device");
    Kept kept{"<" + message.mail.reverse_path.text() + ">", {}, message.trace};
    for (const auto& [rcpt, reply] : message.recipients) {
      kept.recipients.emplace_back("<" + rcpt.forward_path.mailbox.text() + ">", reply.code);
    }
    std::vector<char> piece(100);
    for (;;) {
      const auto count = content.read(piece);
      if (!count) co_return fail(count.error());
      if (*count == 0) break;
      kept.content.append(piece.data(), *count);
    }
    co_return std::make_unique<KeptPlace>(ledger_, std::move(kept));
  }

 private:
  Ledger& ledger_;
  bool is_full_;
};

std::vector<std::string> split_at(const std::string& text, char separator) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string part; std::getline(in, part, separator);) out.push_back(part);
  return out;
}

class Settings {
 public:
  explicit Settings(const std::map<std::string, std::string>& values) : values_(values) {}
  std::string get(const std::string& key, const std::string& otherwise) const {
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : found->second;
  }
  bool has(const std::string& key) const { return values_.count(key) > 0; }
  std::size_t number(const std::string& key, std::size_t otherwise) const {
    return has(key) ? std::stoul(get(key, {})) : otherwise;
  }
  void set_duration(const std::string& key, Duration& duration) const {
    if (has(key)) duration = read_duration(get(key, {}));
  }

 private:
  const std::map<std::string, std::string>& values_;
};

client::TlsPolicy tls_policy(const std::string& word) {
  static const std::map<std::string, client::TlsPolicy> policies = {{"none", client::TlsPolicy::none},
                                                                    {"if-available", client::TlsPolicy::if_available},
                                                                    {"starttls", client::TlsPolicy::starttls},
                                                                    {"implicit", client::TlsPolicy::implicit}};
  return policies.at(word);
}

std::shared_ptr<const client::Login> login_of(const Settings& settings, const std::string& prefix) {
  auto login = std::make_shared<client::Login>();
  login->user = settings.get(prefix + "user", "customer");
  login->password = Secret(settings.get(prefix + "password", "tanstaaftanstaaf"));
  for (const auto& name : split_at(settings.get(prefix + "auth", ""), ',')) {
    login->filter.push_back(sasl::mechanism_named(name).value());
  }
  return login;
}

app::LimitSettings limits_of(const Settings& settings) {
  app::LimitSettings limits;
  limits.reply.line = settings.number("reply_line", limits.reply.line);
  limits.reply.lines = settings.number("reply_lines", limits.reply.lines);
  limits.reply.total = settings.number("reply_size", limits.reply.total);
  limits.command_line = settings.number("command_line", limits.command_line);
  limits.recipients = settings.number("recipients", limits.recipients);
  limits.message_size = settings.number("message_size", 0);
  limits.hops = settings.number("hops", limits.hops);
  limits.errors = settings.number("errors", limits.errors);
  limits.idle_commands = settings.number("idle_commands", limits.idle_commands);
  limits.data_rate = settings.number("data_rate", limits.data_rate);
  limits.session_size = settings.number("session_size", 0);
  limits.header_size = settings.number("header_size", limits.header_size);
  if (settings.has("session_time")) limits.session_time = read_duration(settings.get("session_time", {}));
  return limits;
}

client::Server server_of(const Settings& settings, const app::TimeoutSettings& timeouts, const std::string& prefix) {
  client::Server server;
  server.hostname = "mail.customer.example";
  server.tls = tls_policy(settings.get(prefix + "tls", "none"));
  const bool has_pin = settings.get(prefix + "pin", "no") == "another";
  if (server.tls != client::TlsPolicy::none) server.tls_context = has_pin ? pinning_context() : client_context();
  server.patience.connect = timeouts.connect;
  server.patience.command = timeouts.command;
  server.patience.silence = timeouts.command;
  server.reply_limits = limits_of(settings).reply;
  return server;
}

app::TimeoutSettings timeouts_of(const Settings& settings) {
  app::TimeoutSettings timeouts;
  settings.set_duration("connect", timeouts.connect);
  settings.set_duration("command", timeouts.command);
  settings.set_duration("atrn", timeouts.atrn);
  settings.set_duration("idle", timeouts.idle);
  settings.set_duration("data", timeouts.data);
  settings.set_duration("target-patience", timeouts.target);
  settings.set_duration("final", timeouts.final);
  return timeouts;
}

// What app::plan_fetch() would make of a configuration.
app::FetchPlan plan_of(const Settings& settings) {
  app::FetchPlan plan;
  plan.provider = "isp";
  plan.session_id = "5e551017";
  plan.scratch_directory = std::filesystem::temp_directory_path();
  plan.hostname = "mail.customer.example";
  plan.timeouts = timeouts_of(settings);
  plan.server = server_of(settings, plan.timeouts, "");
  plan.server.endpoint.host = k_provider_host;
  plan.server.endpoint.port = static_cast<std::uint16_t>(settings.number("port", 366));
  plan.server.login = login_of(settings, "");
  plan.domains = split_at(settings.get("domains", "customer.example"), ',');
  const std::string protocol = settings.get("protocol", "odmr");
  plan.only_asks = protocol != "odmr";
  if (protocol == "etrn") plan.nodes = plan.domains;
  if (settings.has("signal")) {
    plan.signal.emplace();
    plan.signal->endpoint.host = k_provider_host;
    plan.signal->endpoint.port = 79;
    plan.signal->text = settings.get("signal", "") + "\r\n";
    plan.signal->expected = settings.get("expect", "");
  }
  if (settings.get("login", "yes") == "no") plan.server.login = nullptr;
  if (settings.has("many-domains")) {
    // For "split over several ATRN": d001.customer.example and so on.
    for (unsigned long i = 1; i <= std::stoul(settings.get("many-domains", "")); ++i) {
      plan.domains.push_back("d" + std::to_string(1000 + i).substr(1) + ".customer.example");
    }
  }
  plan.atrn_all = settings.get("atrn_all", "no") == "yes";
  plan.max_sessions = std::stoul(settings.get("max_sessions", "1000"));
  plan.soft_bounce = settings.get("soft_bounce", "no") == "yes";
  plan.breaker = settings.number("breaker", 5);
  plan.mend_stray_newlines = settings.get("stray_newlines", "reject") == "fix";
  plan.limits = limits_of(settings);
  plan.largest_for_now = settings.number("max_message_size", 0);
  for (std::size_t i = 2; i <= settings.number("hosts", 1); ++i) {
    plan.server.alternatives.push_back(net::Endpoint{"odmr" + std::to_string(i) + ".example.net", 366, {}, {}});
  }
  const bool lmtp = settings.get("target", "smtp") == "lmtp";
  plan.target.kind = lmtp ? deliver::TargetOptions::Kind::lmtp : deliver::TargetOptions::Kind::smtp;
  plan.target.hostname = plan.hostname;
  plan.target.max_connections = settings.number("max_connections", 1);
  plan.target.final = plan.timeouts.final;
  plan.target.server = server_of(settings, plan.timeouts, "target-");
  plan.target.server.endpoint.host = k_target_host;
  plan.target.server.endpoint.port = 25;
  plan.target.server.patience.silence = plan.timeouts.target;
  if (settings.has("target-user")) plan.target.server.login = login_of(settings, "target-");
  if (lmtp) plan.target.server.dialect = client::Dialect::lmtp;
  return plan;
}

// Hands out memory lines, with the actors of the transcript at their far ends.
class StageNetwork final : public net::Network {
 public:
  StageNetwork(const Transcript& transcript, const Variation& variation, Scene& scene)
      : transcript_(transcript), variation_(variation), scene_(scene) {}

  Clock& clock() override { return scene_.simulation; }

  Task<Result<net::Stream>> connect(const net::Endpoint& endpoint, Duration patience, Stop& stop) override {
    const bool is_provider = endpoint.host != k_target_host;
    const LineName line{is_provider ? Peer::provider : Peer::target, next_[is_provider ? 0 : 1]++};
    const Part* part = part_of(line);
    if (part == nullptr) co_return fail(Errc::unreachable, endpoint.text() + ": Connection refused");
    if (part->fate == Part::Fate::hangs) co_return co_await wait_in_vain(*part, endpoint, patience, stop);
    if (part->fate == Part::Fate::refused) {
      co_return fail(Errc::unreachable, endpoint.text() + ": Connection refused", Cause::connection_refused);
    }
    if (part->fate == Part::Fate::unresolved) {
      co_return fail(Errc::unresolved, endpoint.host + ": has no address", Cause::name_not_found);
    }
    co_return take(line, *part);
  }

  void note_traffic(Performance& performance) const {
    for (const auto& [line, made] : made_) {
      performance.traffic[line] = *made.traffic;
      performance.input[line] = made.actor->said();
    }
  }

  /// Connections that the transcript has and that were not made.
  void check_all_made() const {
    for (const Peer peer : {Peer::provider, Peer::target}) {
      std::size_t there = 0;
      for (const auto& part : transcript_.parts) there += part.peer == peer ? 1 : 0;
      const std::size_t made = next_[peer == Peer::provider ? 0 : 1];
      if (made < there) {
        scene_.mismatches.push_back(std::to_string(there) + " connections with the " + std::string(name(peer)) +
                                    " were due, " + std::to_string(made) + " were made");
      }
    }
  }

 private:
  struct Made {
    std::shared_ptr<net::Traffic> traffic;
    Actor* actor = nullptr;
  };

  const Part* part_of(const LineName& line) {
    std::size_t number = 0;
    for (const auto& part : transcript_.parts) {
      if (part.peer == line.peer && number++ == line.number) return &part;
    }
    if (!scene_.lenient) {
      scene_.mismatches.push_back("a connection with the " + std::string(name(line.peer)) + " too many");
    } else if (line.peer == Peer::target && variation_.has_other_target) {
      return &hospitable_target();
    }
    return nullptr;
  }

  Task<Result<net::Stream>> wait_in_vain(const Part& part, const net::Endpoint& endpoint, Duration patience,
                                         Stop& stop) {
    actors_.emplace_back(scene_, part, title(part), false);
    ++scene_.acting;
    scene_.simulation.start(actors_.back().play_without_line());
    const TimePoint deadline = scene_.simulation.now() + patience;
    while (scene_.simulation.now() < deadline && !stop.requested()) {
      co_await sleep(scene_.simulation, std::chrono::seconds(1));
    }
    if (stop.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
    co_return fail(Errc::timed_out, endpoint.text() + ": no connection in time", Cause::no_connection_in_time);
  }

  static std::string title(const Part& part) { return std::string(name(part.peer)) + "@" + std::to_string(part.line); }

  net::Stream take(const LineName& name, const Part& part) {
    const auto special = variation_.faults.find(name);
    net::Faults faults = special == variation_.faults.end() ? variation_.everywhere : special->second;
    if (part.room) faults.room = *part.room;
    const bool is_provider = name.peer == Peer::provider;
    auto line = net::memory_line(scene_.simulation, is_provider ? "192.0.2.1:366" : "127.0.0.1:25", "192.0.2.99:4711",
                                 std::move(faults));
    auto ours = std::move(line.first);
    actors_.emplace_back(scene_, part, title(part), scene_.lenient && special != variation_.faults.end());
    made_[name] = Made{line.traffic, &actors_.back()};
    ++scene_.acting;
    scene_.simulation.start(actors_.back().play(std::move(line)));
    return net::Stream(std::move(ours), scene_.simulation);
  }

  const Transcript& transcript_;
  const Variation& variation_;
  Scene& scene_;
  std::deque<Actor> actors_;
  std::array<std::size_t, 2> next_{};
  std::map<LineName, Made> made_;
};

Task<> run_fetch(const app::FetchPlan& plan, net::Network& network, journal::Journal& journal,
                 receive::BounceKeeper& bounces, receive::Shelf* shelf, Log& log, Stop& stop,
                 app::HeldLines* held_lines, app::SessionReport& report) {
  const app::Books books{system_files(), journal, bounces, shelf};
  if (plan.only_asks) {
    report = co_await app::ask_to_send(plan, network, books, log, stop);
    co_return;
  }
  if (plan.signal) {
    auto failed = co_await app::signal_first(plan, network, books, log, stop);
    if (failed) report = std::move(*failed);
    if (failed) co_return;
  }
  report = co_await app::fetch(plan, network, books, nullptr, app::OnProgress(), log, stop, held_lines);
}

Task<> wait_for_actors(Scene& scene) {
  for (int patience = 0; scene.acting > 0 && patience < 1000; ++patience) {
    co_await sleep(scene.simulation, std::chrono::minutes(1));
  }
  if (scene.acting > 0) scene.ledger.violations.emplace_back("a line was left open");
}

void compare_kept(const Expectation& expected, const Ledger& ledger, std::vector<std::string>& mismatches) {
  std::vector<std::string> kept;
  for (const auto& one : ledger.kept) {
    for (const auto& [recipient, code] : one.recipients) {
      kept.push_back(one.reverse_path + " " + recipient + " " + std::to_string(code));
    }
  }
  if (kept == expected.kept) return;
  std::string all;
  for (const auto& one : kept) all += "; " + one;
  mismatches.push_back("kept: " + std::to_string(expected.kept.size()) + " were due, there are" + all);
}

// Throws where the journal cannot be read.
Receipts receipts_in(journal::Journal& journal) {
  journal::ReceiptBook& book = journal.receipts();
  Receipts receipts;
  receipts.sessions = book.sessions_named("", 10).value();
  for (const auto& session : receipts.sessions) {
    const auto connections = book.connections(session.id, 0, 1000).value();
    for (const auto& connection : connections) {
      receipts.connections.push_back(connection);
      const auto lines = book.messages(connection.name, 0, 1000).value();
      for (const auto& line : lines) receipts.messages.push_back(line.message);
    }
  }
  return receipts;
}

void compare_bounces(const Expectation& expected, const Ledger& ledger, std::vector<std::string>& mismatches) {
  std::vector<std::string> kept;
  for (const auto& record : ledger.bounces) {
    for (const auto& failed : record.failed) {
      kept.push_back("<" + record.reverse_path.text() + "> <" + failed.recipient.text() + "> " +
                     std::to_string(failed.reply.code));
    }
  }
  if (kept == expected.bounces) return;
  std::string all;
  for (const auto& one : kept) all += "; " + one;
  mismatches.push_back("bounces: " + std::to_string(expected.bounces.size()) + " were due, kept are" + all);
}

class Comparison {
 public:
  Comparison(const Transcript& transcript, Performance& performance)
      : expected_(transcript.expectation), performance_(performance) {
    for (const auto& part : transcript.parts) {
      if (part.peer == Peer::provider && part.fate == Part::Fate::taken) ++connections_;
    }
  }

  void compare() {
    const auto& report = performance_.report;
    say_unless(expected_.outcome == odmr::name(report.outcome),
               "the outcome was to be " + expected_.outcome + " and is " + std::string(odmr::name(report.outcome)) +
                   " (" + report.text + ")");
    compare_counts(report);
    compare_word("reply", expected_.reply, report.reply);
    compare_word("tls", expected_.tls, report.tls);
    compare_word("auth", expected_.auth, report.auth);
    say_unless(!expected_.text || std::regex_search(report.text, *expected_.text), "the text is: " + report.text);
    for (const auto& pattern : expected_.logged) {
      say_unless(std::regex_search(performance_.log, pattern), "the log has no such line as was due");
    }
    compare_bounces(expected_, performance_.ledger, performance_.mismatches);
    compare_kept(expected_, performance_.ledger, performance_.mismatches);
  }

 private:
  void compare_counts(const app::SessionReport& report) {
    const auto& received = report.received;
    compare_count("connections", report.connections, connections_);
    compare_count("messages", received.messages, 0);
    compare_count("recipients", received.recipients, 0);
    compare_count("bytes", received.bytes, received.bytes);
    compare_count("rejected", received.rejected, 0);
    compare_count("deferred", received.deferred, 0);
    compare_count("duplicates", received.duplicates, 0);
    compare_count("holds", report.holds ? 1 : 0, 0);
  }

  void compare_count(const std::string& key, std::uint64_t actual, std::uint64_t otherwise) {
    const auto named = expected_.counts.find(key);
    const std::uint64_t expected = named == expected_.counts.end() ? otherwise : std::stoull(named->second);
    say_unless(expected == actual,
               key + " was to be " + std::to_string(expected) + " and is " + std::to_string(actual));
  }

  void compare_word(const char* what, const std::optional<std::string>& expected,
                    const std::optional<std::string>& actual) {
    if (!expected) return;
    const std::string is = actual.value_or("null");
    say_unless(is == *expected, std::string(what) + " was to be \"" + *expected + "\" and is \"" + is + "\"");
  }

  void say_unless(bool good, const std::string& what) {
    if (!good) performance_.mismatches.push_back(what);
  }

  const Expectation& expected_;
  Performance& performance_;
  std::uint64_t connections_ = 0;
};

}  // namespace

std::vector<std::string> unspeakable(const Transcript& transcript) {
  const Settings settings(transcript.settings);
  std::vector<std::string> out{"of a message that is long enough"};
  for (const std::string prefix : {"", "target-"}) {
    const std::string user = settings.get(prefix + "user", "customer");
    const std::string password = settings.get(prefix + "password", "tanstaaftanstaaf");
    out.push_back(password);
    out.push_back(sasl::to_base64(password));
    out.push_back(sasl::to_base64(std::string(1, '\0') + user + std::string(1, '\0') + password));
  }
  return out;
}

std::string written_out(const std::vector<Event>& dialogue) {
  std::string out;
  for (const auto& event : dialogue) {
    std::string_view bytes = event.bytes;
    do {
      const auto line = bytes.substr(0, std::min(bytes.find('\n'), bytes.size() - 1) + 1);
      out += event.who + " " + event.what + " " + escape(line, 120) + "\n";
      bytes.remove_prefix(line.size());
    } while (!bytes.empty());
  }
  return out;
}

std::string Variation::text() const {
  const auto describe = [](const net::Faults& of_line) {
    const auto number = [](const char* what, std::size_t value) {
      return value == net::Faults::k_never ? std::string() : std::string(" ") + what + "=" + std::to_string(value);
    };
    std::string out = number("largest_read", of_line.largest_read) + number("fail_read", of_line.fail_read) +
                      number("fail_write", of_line.fail_write) + number("cut_after_read", of_line.cut_after_read) +
                      number("cut_after_written", of_line.cut_after_written);
    for (const auto at : of_line.breaks) out += number("break", at);
    return out;
  };
  std::string out = "everywhere:" + describe(everywhere);
  for (const auto& [line, fault] : faults) {
    out += "; " + std::string(name(line.peer)) + " " + std::to_string(line.number + 1) + ":" + describe(fault);
  }
  return out + (has_other_target ? "; another target" : "");
}

Performance perform(const Transcript& transcript, const Variation& variation) {
  Performance performance;
  const Settings settings(transcript.settings);
  Stop stop;
  net::Simulation simulation;
  RecordingLog log(performance.log, &performance.trace);
  Scene scene{simulation, stop, performance.ledger, performance.mismatches, performance.dialogue};
  scene.lenient = variation.lenient;
  scene.lmtp = settings.get("target", "smtp") == "lmtp";
  BounceShelf bounces(performance.ledger, settings.get("bounces", "kept") == "full");
  MailShelf shelf(performance.ledger, settings.get("shelf", "empty") == "full");
  performance.ledger.mends_stray_newlines = settings.get("stray_newlines", "reject") == "fix";
  const bool keeps_deferred = settings.get("deferred", "provider") == "here";
  app::FetchPlan plan = plan_of(settings);
  if (settings.has("wait")) plan.server.line_due = simulation.now() + read_duration(settings.get("wait", {}));
  StageNetwork network(transcript, variation, scene);

  const auto disk = net::make_inline_worker();
  const auto journal = journal::Journal::in_memory(simulation.loop().get_executor(), *disk, simulation, log);
  if (!journal) throw std::runtime_error(journal.error().text);

  const TimePoint begin = simulation.now();
  performance.ended =
      simulation.run(run_fetch(plan, network, **journal, bounces, keeps_deferred ? &shelf : nullptr, log, stop,
                               settings.get("hold", "no") == "yes" ? &scene.held_lines : nullptr, performance.report));
  performance.took = simulation.now() - begin;
  performance.receipts = receipts_in(**journal);
  simulation.run(wait_for_actors(scene));
  network.note_traffic(performance);
  if (variation.lenient) return performance;
  network.check_all_made();
  Comparison(transcript, performance).compare();
  return performance;
}

namespace {

Task<> run_probe(const app::FetchPlan& plan, net::Network& network, Log& log, Stop& stop, ProbePerformance& performed) {
  const app::OnProbeStep on_step = [&performed](const app::ProbeStep& step) { performed.steps.push_back(step); };
  if (plan.signal) performed.outcome = co_await app::probe_signal(plan, network, stop, on_step);
  if (!plan.only_asks || !plan.nodes.empty()) {
    const auto of_server = co_await app::probe_provider(plan, network, log, stop, on_step);
    performed.outcome = worst(performed.outcome, of_server);
  }
  const auto of_target =
      co_await app::probe_target(plan.target, plan.deliver_table, plan.domains, network, log, stop, on_step);
  performed.outcome = worst(performed.outcome, of_target);
}

}  // namespace

ProbePerformance perform_probe(const Transcript& transcript) {
  ProbePerformance performed;
  const Settings settings(transcript.settings);
  Stop stop;
  net::Simulation simulation;
  RecordingLog log(performed.log);
  Ledger ledger;
  Scene scene{simulation, stop, ledger, performed.mismatches, performed.dialogue};
  scene.lmtp = settings.get("target", "smtp") == "lmtp";
  app::FetchPlan plan = plan_of(settings);
  app::be_impatient(plan.server.patience);
  app::be_impatient(plan.target.server.patience);
  const Variation variation;
  StageNetwork network(transcript, variation, scene);
  performed.ended = simulation.run(run_probe(plan, network, log, stop, performed));
  simulation.run(wait_for_actors(scene));
  network.check_all_made();
  for (const auto& one : ledger.violations) performed.mismatches.push_back("PROMISE BROKEN: " + one);
  return performed;
}

}  // namespace odmr::conversation
