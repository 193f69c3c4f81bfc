#include "mailbox_trial.hpp"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "app/collect.hpp"
#include "base/ascii.hpp"
#include "certificates.hpp"
#include "ledger.hpp"
#include "smtp/dot.hpp"

namespace odmr::conversation {

namespace {

using net::Task;

constexpr std::uint16_t k_mailbox_port = 110;
constexpr std::size_t k_most_runs = 6;
constexpr auto k_for_ever = std::chrono::hours(24);  // longer than any patience of ours

// A message in the mailbox.
struct Held {
  std::string content;  // as it is there
  std::size_t number = 0;
  std::size_t message = 0;  // of which it is a copy
  bool is_there = true;
  bool is_marked = false;  // IMAP: \Deleted

  std::string uid() const { return "uid" + std::to_string(number); }
  std::size_t imap_uid() const { return 10 + number; }
};

std::string content_of(const MailboxTrial& trial, std::size_t number) {
  if (trial.content) return *trial.content;
  const std::string id = std::to_string(number / trial.copies);
  if (trial.copies > 1) {
    return "Received: by hoster.example for copy " + std::to_string(number) + "\r\nMessage-ID: <" + id +
           "@example.org>\r\nTo: anna@customer.example,\r\n bob@customer.example\r\n\r\ntext " +
           (trial.differs ? std::to_string(number) : id) + "\r\n";
  }
  const std::string path = number == 1 ? "<>" : "<sender" + id + "@example.org>";
  // A line that begins with a dot, one that is a dot alone, and an LF that stands alone. IMAP's may lack a last CRLF.
  const std::string end = trial.imap && number == 0 ? "end" : "end\r\n";
  return "Return-Path: " + path + "\r\nMessage-ID: <" + id + "@example.org>\r\n\r\n.dot " + id +
         "\r\n.\r\nbare\nlf\r\n" + end;
}

// As it is to be delivered.
std::string mended(const std::string& raw) {
  const std::string content = odmr::mail::header_to_hand_on(raw, true);
  mail::LineEnds ends(mail::LineEnds::LoneCr::space);
  std::string out;
  ends.pass(content, out);
  ends.finish(out);
  return out;
}

struct World {
  explicit World(const MailboxTrial& of) : trial(of) {
    for (std::size_t i = 0; i < trial.messages * trial.copies; ++i)
      held.push_back({content_of(trial, i), i, i / trial.copies});
    open_journal();
  }

  void open_journal() {
    auto opened = journal::Journal::in_memory(simulation.loop().get_executor(), *disk, simulation, silent_log());
    if (!opened) throw std::runtime_error(opened.error().text);
    journal = std::move(*opened);
  }

  bool is_first_run() const { return findings.runs == 0; }

  const MailboxTrial& trial;
  MailboxFindings findings;
  net::Simulation simulation;
  std::unique_ptr<net::Worker> disk = net::make_inline_worker();
  std::unique_ptr<journal::Journal> journal;  // lasts beyond a session, as on disk
  Stop stop;
  std::deque<Held> held;
  std::map<std::string, std::size_t> stored;  // by content
  std::set<std::string> in_doubt;
  std::size_t dots = 0;
  std::size_t bounced = 0;
  std::vector<std::shared_ptr<net::Traffic>> traffics;  // of the connections with the mailbox, in the first run
};

// A peer's end of a line.
class Speaker {
 public:
  Speaker(World& world, net::Stream stream) : world_(world), stream_(std::move(stream)) {}

 protected:
  TimePoint for_ever() const { return world_.simulation.now() + k_for_ever; }
  Task<> say(std::string_view bytes) { co_await stream_.write(bytes, k_for_ever); }

  Task<std::optional<std::string>> hear() {
    for (;;) {
      const auto bytes = stream_.buffered();
      const auto end = bytes.find("\r\n");
      if (end != std::string_view::npos) {
        std::string line(bytes.substr(0, end));
        stream_.consume(end + 2);
        co_return line;
      }
      const auto filled = co_await stream_.fill(for_ever());
      if (!filled) co_return std::nullopt;
    }
  }

  Task<bool> begin_tls() {
    const auto begun = co_await stream_.start_tls_server(server_context("good"), for_ever());
    co_return begun.has_value();
  }

  World& world_;
  net::Stream stream_;
};

// --- POP3

class PopServer final : public Speaker {
 public:
  using Speaker::Speaker;

  Task<> attend() {
    co_await say("+OK maildrop <1896.697170952@mail.example>\r\n");
    for (bool goes_on = true; goes_on;) {
      const auto line = co_await hear();
      if (!line) break;
      world_.findings.commands.push_back(*line);
      if (*line == "STLS") {
        co_await say("+OK\r\n");
        goes_on = co_await begin_tls();
        continue;
      }
      const std::string reply = reply_to(*line);
      co_await say(reply);
      goes_on = *line != "QUIT";
    }
    stream_.close();
  }

 private:
  std::string reply_to(const std::string& line) {
    const std::string verb = line.substr(0, 4);
    if (verb == "CAPA") {
      const bool offers_tls = world_.trial.tls && !stream_.tls();
      return std::string("+OK\r\nUSER\r\n") + (world_.trial.pipelines ? "PIPELINING\r\n" : "") +
             (offers_tls ? "STLS\r\n" : "") + ".\r\n";
    }
    if (verb == "APOP" && world_.trial.refuses_login) return "-ERR [AUTH] no\r\n";
    if (verb == "APOP") return listing("+OK\r\n");
    if (verb == "LIST") return list([](const Held& one) { return std::to_string(one.content.size()); });
    if (verb == "UIDL" && !world_.trial.has_names) return "-ERR unknown\r\n";
    if (verb == "UIDL") return list([](const Held& one) { return one.uid(); });
    if (verb == "RETR") return retrieve(number_in(line));
    if (verb == "DELE") {
      marked_.insert(number_in(line));
      return "+OK\r\n";
    }
    if (verb != "QUIT") return "-ERR unknown\r\n";
    for (const auto number : marked_) shown_.at(number - 1)->is_there = false;
    return "+OK bye\r\n";
  }

  // Messages are numbered as they are when the session begins (RFC 1939 5).
  std::string listing(const char* reply) {
    for (auto& one : world_.held) {
      if (one.is_there) shown_.push_back(&one);
    }
    return reply;
  }

  template <class What>
  std::string list(What what) const {
    std::string reply = "+OK\r\n";
    for (std::size_t i = 0; i < shown_.size(); ++i) reply += std::to_string(i + 1) + " " + what(*shown_[i]) + "\r\n";
    return reply + ".\r\n";
  }

  static std::size_t number_in(const std::string& line) { return std::stoul(line.substr(5)); }

  std::string retrieve(std::size_t number) const {
    const Held& held = *shown_.at(number - 1);
    if (world_.is_first_run()) world_.findings.retrieved.push_back(held.uid());
    std::string text = held.content;
    for (auto at = text.find("\r\n."); at != std::string::npos; at = text.find("\r\n.", at + 3))
      text.insert(at + 2, ".");
    return "+OK\r\n" + text + ".\r\n";
  }

  std::vector<Held*> shown_;
  std::set<std::size_t> marked_;
};

// --- IMAP

class ImapServer final : public Speaker {
 public:
  using Speaker::Speaker;

  Task<> attend() {
    co_await say("* OK ready\r\n");
    for (bool goes_on = true; goes_on;) {
      const auto line = co_await hear();
      if (!line) break;
      const auto space = line->find(' ');
      tag_ = line->substr(0, space);
      const std::string command = space == std::string::npos ? std::string() : line->substr(space + 1);
      world_.findings.commands.push_back(command);
      if (command == "STARTTLS") {
        const std::string reply = tag_ + " OK\r\n";
        co_await say(reply);
        goes_on = co_await begin_tls();
        continue;
      }
      if (command == "AUTHENTICATE CRAM-MD5") {
        co_await say("+ PDE3ODkzLjEzMjA2NzkxMjNAcHJvdmlkZXI+\r\n");
        const auto response = co_await hear();
        if (!response) break;
      }
      const bool is_refused = (world_.trial.refuses_folder && command.starts_with("SELECT")) ||
                              (world_.trial.refuses_login && command.starts_with("AUTH"));
      const std::string verdict = is_refused ? " NO [NONEXISTENT] no such folder\r\n" : " OK done\r\n";
      const std::string reply = reply_to(command) + tag_ + verdict;
      co_await say(reply);
      goes_on = command != "LOGOUT";
    }
    stream_.close();
  }

 private:
  std::string reply_to(const std::string& command) {
    if (command == "CAPABILITY") {
      const bool offers_tls = world_.trial.tls && !stream_.tls();
      return std::string("* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5") + (world_.trial.uid_plus ? " UIDPLUS" : "") +
             (offers_tls ? " STARTTLS" : "") + "\r\n";
    }
    if (command.starts_with("SELECT") || command.starts_with("EXAMINE")) {
      return "* FLAGS (\\Seen \\Deleted)\r\n* " + std::to_string(there().size()) +
             " EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n";
    }
    if (command.starts_with("UID SEARCH ")) return search(command.substr(11));
    if (command.starts_with("UID FETCH ")) return fetch(command.substr(10));
    if (command.starts_with("UID STORE ")) {
      for (auto* one : chosen(command.substr(10))) {
        one->is_marked = one->is_marked || command.find("\\Deleted") != std::string::npos;
      }
    }
    if (command.starts_with("UID EXPUNGE ")) expunge(chosen(command.substr(12)));
    if (command == "EXPUNGE") expunge(there());
    return {};
  }

  std::vector<Held*> there() const {
    std::vector<Held*> found;
    for (auto& one : world_.held) {
      if (one.is_there) found.push_back(&one);
    }
    return found;
  }

  // Of "11:12,14 …" or "1:* …".
  std::vector<Held*> chosen(const std::string& set) const {
    std::vector<Held*> found;
    std::istringstream ranges(set.substr(0, set.find(' ')));
    for (std::string range; std::getline(ranges, range, ',');) {
      const auto colon = range.find(':');
      const std::size_t first = std::stoul(range);
      const std::string end = colon == std::string::npos ? range : range.substr(colon + 1);
      const std::size_t last = end == "*" ? 1000000 : std::stoul(end);
      for (auto* one : there()) {
        if (one->imap_uid() >= first && one->imap_uid() <= last) found.push_back(one);
      }
    }
    return found;
  }

  std::string search(const std::string& criteria) const {
    std::string reply = "* SEARCH";
    for (const auto* one : there()) {
      const bool is_it = criteria == "ALL" || (criteria == "DELETED") == one->is_marked;
      if (is_it) reply += " " + std::to_string(one->imap_uid());
    }
    return reply + "\r\n";
  }

  std::string fetch(const std::string& argument) const {
    const bool wants_content = argument.find("BODY.PEEK[]") != std::string::npos;
    std::string reply;
    for (const auto* one : chosen(argument)) {
      const std::string uid = "UID " + std::to_string(one->imap_uid());
      const std::string size = std::to_string(one->content.size());
      const std::string begin = "* " + std::to_string(one->number + 1) + " FETCH (";
      if (!wants_content) {
        reply += begin + uid + " RFC822.SIZE " + size + ")\r\n";
        continue;
      }
      if (world_.is_first_run()) world_.findings.retrieved.push_back(one->uid());
      reply += "* 1 FETCH (FLAGS (\\Recent))\r\n";  // which nobody has asked for
      reply += begin + (world_.trial.names_last ? "" : uid + " ") + "BODY[] {" + size + "}\r\n" + one->content +
               (world_.trial.names_last ? " " + uid : "") + ")\r\n";
    }
    return reply;
  }

  static void expunge(const std::vector<Held*>& which) {
    for (auto* one : which) one->is_there = one->is_there && !one->is_marked;
  }

  std::string tag_;
};

// --- the target

class Target final : public Speaker {
 public:
  using Speaker::Speaker;

  Task<> attend() {
    co_await say("220 target\r\n");
    for (bool goes_on = true; goes_on;) {
      const auto line = co_await hear();
      if (!line) break;
      goes_on = co_await obey(*line);
    }
    stream_.close();
  }

 private:
  Task<bool> obey(const std::string& line) {
    const std::string verb = line.substr(0, 4);
    if (verb == "MAIL") world_.findings.reverse_paths.push_back(line.substr(10, line.find('>') - 9));
    if (verb == "MAIL") recipients_.clear();
    if (verb == "RCPT") {
      const std::string who = line.substr(9, line.find('>') - 9);
      const bool is_put_off = world_.trial.puts_off == who && world_.is_first_run();
      if (is_put_off) {
        co_await say("450 4.2.1 later\r\n");
        co_return true;
      }
      recipients_ += who + " ";
    }
    if (verb == "EHLO")
      co_await say("250-target\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
    else if (verb == "QUIT")
      co_await say("221 bye\r\n");
    else if (verb == "DATA" && recipients_.empty())
      co_await say("554 5.5.1 for nobody\r\n");
    else if (verb != "DATA")
      co_await say("250 ok\r\n");
    else
      co_return co_await take();
    co_return verb != "QUIT";
  }

  Task<bool> take() {
    co_await say("354 go on\r\n");
    smtp::DotDecoder decoder;
    std::string text;
    for (bool ended = false; !ended;) {
      if (stream_.buffered().empty()) {
        const auto filled = co_await stream_.fill(for_ever());
        if (!filled) co_return false;
      }
      const auto progress = decoder.decode(stream_.buffered(), text);
      stream_.consume(progress.consumed);
      ended = progress.ended;
    }
    const bool is_first = world_.dots++ == 0;
    world_.findings.taken_for.push_back(recipients_);
    const AtDot at_dot = world_.trial.at_dot;
    if (at_dot == AtDot::says_550 || (at_dot == AtDot::says_450 && world_.is_first_run())) {
      const std::string reply = at_dot == AtDot::says_550 ? "550 5.7.1 never\r\n" : "450 4.2.0 later\r\n";
      co_await say(reply);
      co_return true;
    }
    store(text);
    if (is_first && at_dot == AtDot::dies_with_it) {
      world_.in_doubt.insert(without_trace(text).value_or(std::string()));
      co_return false;
    }
    co_await say("250 taken\r\n");
    co_return true;
  }

  std::string recipients_;

  void store(const std::string& text) {
    world_.findings.received.push_back(text.substr(0, text.find("\r\n ;")));
    const auto content = without_trace(text).value_or("no trace");
    const bool is_known = std::any_of(world_.held.begin(), world_.held.end(),
                                      [&](const Held& one) { return mended(one.content) == content; });
    if (!is_known) ++world_.findings.corrupted;
    ++world_.stored[content];
  }
};

// --- between them

// Our end of a line, to see where reads and writes end.
class OurEnd final : public net::Transport {
 public:
  OurEnd(net::MemoryLine line, std::set<std::size_t>& read_up_to, std::set<std::size_t>& written_up_to)
      : below_(std::move(line.first)), traffic_(std::move(line.traffic)), read_(read_up_to), written_(written_up_to) {}

  Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override {
    auto count = co_await below_->read_some(into, deadline);
    read_.insert(traffic_->bytes_read);
    co_return count;
  }
  Task<Result<void>> write(std::string_view bytes, Duration patience) override {
    auto written = co_await below_->write(bytes, patience);
    written_.insert(traffic_->bytes_written);
    co_return written;
  }
  Task<> finish(TimePoint deadline) override { return below_->finish(deadline); }
  void interrupt() override { below_->interrupt(); }
  void close() override { below_->close(); }
  std::string peer() const override { return below_->peer(); }

 private:
  std::unique_ptr<net::Transport> below_;
  std::shared_ptr<net::Traffic> traffic_;
  std::set<std::size_t>& read_;
  std::set<std::size_t>& written_;
};

template <class Peer>
Task<> attend(World& world, net::Stream stream) {
  Peer peer(world, std::move(stream));
  co_await peer.attend();
}

class TrialNetwork final : public net::Network {
 public:
  explicit TrialNetwork(World& world) : world_(world) {}
  Clock& clock() override { return world_.simulation; }

  Task<Result<net::Stream>> connect(const net::Endpoint& endpoint, Duration /*patience*/, Stop& /*stop*/) override {
    if (endpoint.port == k_mailbox_port) co_return to_mailbox();
    auto line = net::memory_line(world_.simulation, "127.0.0.1:25", "127.0.0.1:4711");
    world_.simulation.start(
        conversation::attend<Target>(world_, net::Stream(std::move(line.second), world_.simulation)));
    co_return net::Stream(std::move(line.first), world_.simulation);
  }

  std::deque<std::set<std::size_t>> read_up_to;
  std::deque<std::set<std::size_t>> written_up_to;

 private:
  net::Stream to_mailbox() {
    net::Faults faults;
    faults.cut = world_.trial.faults.cut;
    if (world_.is_first_run() && world_.traffics.size() == world_.trial.connection) faults = world_.trial.faults;
    auto line = net::memory_line(world_.simulation, "192.0.2.1:110", "192.0.2.99:4711", faults);
    if (world_.is_first_run()) world_.traffics.push_back(line.traffic);
    net::Stream theirs(std::move(line.second), world_.simulation);
    if (world_.trial.imap)
      world_.simulation.start(conversation::attend<ImapServer>(world_, std::move(theirs)));
    else
      world_.simulation.start(conversation::attend<PopServer>(world_, std::move(theirs)));
    auto ours = std::make_unique<OurEnd>(std::move(line), read_up_to.emplace_back(), written_up_to.emplace_back());
    return {std::move(ours), world_.simulation};
  }

  World& world_;
};

class Bounces final : public receive::BounceKeeper {
 public:
  explicit Bounces(World& world) : world_(world) {}
  Result<void> keep(const receive::BounceRecord& record) override {
    world_.findings.bounced += record.failed.size();
    return {};
  }

 private:
  World& world_;
};

app::FetchPlan plan_for(const World& world) {
  const MailboxTrial& trial = world.trial;
  auto login = std::make_shared<client::Login>();
  login->user = "customer";
  login->password = Secret("tanstaaftanstaaf");
  app::FetchPlan plan;
  plan.provider = "isp";
  plan.session_id = "run" + std::to_string(world.findings.runs);
  plan.scratch_directory = std::filesystem::temp_directory_path();
  plan.hostname = "mail.customer.example";
  plan.domains = {"customer.example"};
  plan.limits.message_size = trial.max_size;
  if (trial.is_once_a_run || trial.forgets) plan.max_sessions = 1;
  plan.server.hostname = plan.hostname;
  plan.server.login = login;
  plan.server.endpoint.host = "odmr.example.net";
  plan.server.endpoint.port = k_mailbox_port;
  if (trial.tls) {
    plan.server.tls = client::TlsPolicy::starttls;
    plan.server.tls_context = client_context();
  }
  plan.target.server.hostname = plan.hostname;
  plan.target.server.endpoint.host = "localhost";
  plan.target.server.endpoint.port = 25;
  app::MailboxPlan mailbox;
  mailbox.place.protocol = trial.imap ? collect::Protocol::imap : collect::Protocol::pop3;
  mailbox.place.is_read_only = trial.leaves;
  mailbox.keeping.leaves = trial.leaves;
  mailbox.keeping.leave_up_to = trial.leave_up_to;
  mailbox.bounces_refused = trial.bounces;
  odmr::mail::MailboxPolicy policy;
  policy.only = {smtp::Mailbox{"bob", "customer.example"}};
  if (trial.is_multidrop) policy.only.clear();
  policy.domains = {"customer.example"};
  policy.envelope = {{"Delivered-To", 1, "mbox-"}};
  policy.use_address_fields = trial.copies > 1;
  if (trial.copies > 1) {
    policy.only.clear();
    policy.envelope.clear();
  }
  policy.own_hosts = {"mail.customer.example"};
  mailbox.addressing = collect::by_policy(std::move(policy), true);
  plan.mailbox = std::move(mailbox);
  return plan;
}

Task<> collect_once(World& world, TrialNetwork& network, Bounces& bounces, app::SessionReport& report) {
  const app::FetchPlan plan = plan_for(world);
  const app::Books books{system_files(), *world.journal, bounces};
  report = co_await app::collect_mail(plan, network, books, app::OnProgress(), silent_log(), world.stop);
}

void run_once(World& world, Bounces& bounces) {
  TrialNetwork network(world);
  app::SessionReport report;
  report.outcome = Outcome::bug;
  if (!world.simulation.run(collect_once(world, network, bounces, report))) ++world.findings.stuck;
  world.simulation.settle();
  world.findings.outcomes.push_back(report.outcome);
  world.findings.texts.push_back(report.text);
  world.findings.causes.push_back(report.cause);
  world.findings.remedies.push_back(report.remedy);
  if (world.is_first_run()) {
    for (const auto& traffic : world.traffics) world.findings.traffics.push_back(*traffic);
    world.findings.read_up_to.assign(network.read_up_to.begin(), network.read_up_to.end());
    world.findings.written_up_to.assign(network.written_up_to.begin(), network.written_up_to.end());
  }
  ++world.findings.runs;
  if (world.trial.forgets) world.open_journal();
}

// One of the copies is to be delivered, whichever.
void judge_copies(World& world) {
  MailboxFindings& findings = world.findings;
  for (std::size_t i = 0; i < world.trial.messages; ++i) {
    std::size_t had = 0;
    bool is_in_doubt = false;
    for (const auto& one : world.held) {
      if (one.message != i) continue;
      had += world.stored[mended(one.content)];
      is_in_doubt = is_in_doubt || world.in_doubt.count(mended(one.content)) > 0;
    }
    if (had == 0) ++findings.lost;
    if (had > 1) (is_in_doubt && had == 2 ? findings.forgiven : findings.doubled) += had - 1;
  }
  if (!world.trial.leaves) findings.undeleted = findings.left;
  if (world.trial.leaves) findings.lost += world.held.size() - findings.left;
}

void judge(World& world) {
  MailboxFindings& findings = world.findings;
  std::map<std::string, std::size_t> due;
  for (const auto& one : world.held) {
    if (one.is_there) ++findings.left;
    ++due[mended(one.content)];
  }
  const bool is_refused = world.trial.at_dot == AtDot::says_550;
  if (world.trial.copies > 1) return judge_copies(world);
  for (const auto& [content, times] : due) {
    const auto found = world.stored.find(content);
    const std::size_t had = found == world.stored.end() ? 0 : found->second;
    if (had < times && !is_refused) findings.lost += times - had;
    if (had > times)
      (world.in_doubt.count(content) > 0 && had == times + 1 ? findings.forgiven : findings.doubled) += had - times;
  }
  const bool keeps = world.trial.leaves || (is_refused && !world.trial.bounces);
  if (!keeps && world.trial.max_size == 0) findings.undeleted = findings.left;
  if (keeps && world.trial.leave_up_to == 0) findings.lost += world.held.size() - findings.left;
}

}  // namespace

std::string MailboxTrial::text() const {
  std::string out = imap ? "IMAP" : "POP3";
  out += tls ? ", TLS" : "";
  out += leaves ? ", left there" : ", deleted";
  if (!has_names) out += ", no UIDL";
  if (!pipelines) out += ", no PIPELINING";
  if (copies > 1) out += ", copies";
  out += ", connection " + std::to_string(connection);
  if (faults.cut_after_read != net::Faults::k_never)
    out += ", cut after reading " + std::to_string(faults.cut_after_read);
  if (faults.cut_after_written != net::Faults::k_never)
    out += ", cut after writing " + std::to_string(faults.cut_after_written);
  out += ", cut " + std::to_string(static_cast<int>(faults.cut)) + (faults.cuts_late ? " late" : "");
  return out;
}

std::string MailboxFindings::text() const {
  std::string out = std::to_string(lost) + " lost, " + std::to_string(corrupted) + " corrupted, " +
                    std::to_string(doubled) + " doubled, " + std::to_string(stuck) + " stuck, " +
                    std::to_string(undeleted) + " not deleted";
  for (std::size_t i = 0; i < outcomes.size(); ++i) out += "\n  " + std::string(name(outcomes[i])) + ": " + texts[i];
  return out;
}

MailboxFindings perform(const MailboxTrial& trial) {
  World world(trial);
  Bounces bounces(world);
  for (bool goes_on = true; goes_on;) {
    run_once(world, bounces);
    const Outcome last = world.findings.outcomes.back();
    goes_on = last != Outcome::no_mail && world.findings.runs < k_most_runs;
  }
  judge(world);
  return world.findings;
}

}  // namespace odmr::conversation
