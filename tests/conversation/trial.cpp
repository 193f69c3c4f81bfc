#include "trial.hpp"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include "app/fetch.hpp"
#include "app/fetch_spread.hpp"
#include "certificates.hpp"
#include "ledger.hpp"
#include "net/wakeup.hpp"
#include "smtp/dot.hpp"

namespace odmr::conversation {

namespace {

using net::Task;

constexpr const char* k_provider = "odmr.example.net";
constexpr std::uint16_t k_odmr_port = 366;
constexpr std::size_t k_most_runs = 12;
// Longer than any patience of ours.
constexpr auto k_for_ever = std::chrono::hours(24);

// A recipient at the provider.
struct Addressee {
  std::string name;
  bool is_waiting = true;
  bool is_refused = false;  // the provider was told, for good
};

// A message at the provider.
struct Held {
  std::string content;
  std::string domain;
  std::vector<Addressee> addressees;

  bool is_waiting() const {
    return std::any_of(addressees.begin(), addressees.end(), [](const Addressee& one) { return one.is_waiting; });
  }
};

std::string domain_of(std::size_t number) {
  return number == 0 ? "customer.example" : "domain" + std::to_string(number) + ".example";
}

std::string content_of(std::size_t number) {
  const std::string id = std::to_string(number);
  // A line that begins with a dot, one that is a dot alone, and no two messages alike.
  return "Message-ID: <" + id + "@example.org>\r\n\r\n.dot " + id + "\r\n.\r\nend\r\n";
}

// As content_of() has it.
std::string id_of(const std::string& content) {
  const auto begin = content.find('<') + 1;
  return content.substr(begin, content.find('@') - begin);
}

struct World {
  explicit World(const Trial& of) : trial(of) {
    for (std::size_t i = 0; i < trial.messages; ++i) {
      held.push_back({content_of(i), domain_of(i % trial.domains), {}});
      for (std::size_t j = 0; j < trial.recipients; ++j) held.back().addressees.push_back({"r" + std::to_string(j)});
    }
    open_journal();
  }

  void open_journal() {
    auto opened = journal::Journal::in_memory(simulation.loop().get_executor(), *disk, simulation, silent_log());
    if (!opened) throw std::runtime_error(opened.error().text);
    journal = std::move(*opened);
  }

  bool is_first_run() const { return findings.runs == 0; }

  /// It can be seen that nobody is there any more. Late cuts, and those of which nobody is told, do not count.
  bool is_seen_to_be_cut() const {
    const auto& faults = trial.faults;
    if (trial.parallel > 1) return false;  // of several lines it is not known here whose message it is
    if (faults.cut == net::Cut::silence || !is_first_run()) return false;
    // Who has said QUIT may go.
    if (trial.manner == Manner::hurried && faults.cut == net::Cut::closed) return false;
    const std::size_t connections = traffics.size();
    if (cut_connection == connections) return true;
    if (faults.cuts_late || connections != trial.connection + 1) return false;
    const auto& traffic = *traffics.back();
    return traffic.bytes_read >= faults.cut_after_read || traffic.bytes_written >= faults.cut_after_written;
  }

  const Trial& trial;
  Findings findings;
  net::Simulation simulation;
  std::unique_ptr<net::Worker> disk = net::make_inline_worker();
  std::unique_ptr<journal::Journal> journal;  // lasts beyond a session, as on disk
  Stop stop;
  std::deque<Held> held;
  std::map<std::pair<std::string, std::string>, std::size_t> stored;  // content and recipient: how often
  std::map<std::pair<std::string, std::string>, std::size_t> asked;   // likewise, of the target's mixed answers
  std::set<std::pair<std::string, std::string>> in_doubt;             // the target died with it, or may have
  std::set<std::pair<std::string, std::string>> bounced;
  std::vector<std::shared_ptr<net::Traffic>> traffics;  // of the connections with the provider, in the first run
  std::map<std::size_t, net::Traffic> turns;            // by connection, when ATRN came
  std::function<void()> cut;                            // the last of them
  std::size_t unanswered = 0;                           // dots that the target has
  std::size_t turned = 0;                               // lines, now
  std::size_t cut_connection = 0;                       // which was, counted from 1
};

// A peer's end of a line.
class Speaker {
 public:
  Speaker(World& world, net::Stream stream) : world_(world), stream_(std::move(stream)) {}

 protected:
  TimePoint for_ever() const { return world_.simulation.now() + k_for_ever; }

  // Errors are for who reads.
  Task<> say(std::string_view bytes) { co_await stream_.write(bytes, k_for_ever); }

  // Without its CRLF; nullopt: no whole line came.
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

  World& world_;
  net::Stream stream_;
};

// --- the provider

class Provider final : public Speaker {
 public:
  using Speaker::Speaker;

  Task<> attend() {
    const bool is_turned = co_await until_atrn();
    if (is_turned) {
      world_.findings.turned = std::max(world_.findings.turned, ++world_.turned);
      co_await hand_over();
      --world_.turned;
    }
    stream_.close();
  }

 private:
  Task<bool> until_atrn() {
    co_await say("220 provider ESMTP\r\n");
    for (;;) {
      const auto line = co_await hear();
      if (!line) co_return false;
      const std::string verb = line->substr(0, 4);
      if (verb == "STAR") {
        co_await say("220 go\r\n");
        const auto begun = co_await stream_.start_tls_server(server_context("good"), for_ever());
        if (!begun) co_return false;
      } else if (verb == "ATRN") {
        // Of a line that is silent it knows until the next run: that is hours later.
        if (world_.is_first_run() && world_.turned >= world_.trial.most_at_once) {
          co_await say("450 4.7.0 one at a time\r\n");
          continue;
        }
        due_ = waiting(line->substr(5) + ",");
        if (world_.is_first_run() && !due_.empty()) world_.turns[world_.traffics.size() - 1] = *world_.traffics.back();
        const std::string reply = due_.empty() ? "453 nothing\r\n" : "250 turning\r\n";
        co_await say(reply);
        if (!due_.empty()) co_return true;
      } else {
        const std::string reply = reply_to(verb);
        co_await say(reply);
        if (verb == "QUIT") co_return false;
      }
    }
  }

  std::string reply_to(const std::string& verb) const {
    if (verb == "EHLO") {
      const bool offers_tls = world_.trial.tls && !stream_.tls();
      return offers_tls ? "250-provider\r\n250 STARTTLS\r\n" : "250-provider\r\n250-AUTH CRAM-MD5\r\n250 ATRN\r\n";
    }
    if (verb == "AUTH") return "334 PDE3ODkzLjEzMjA2NzkxMjNAcHJvdmlkZXI+\r\n";
    if (verb == "QUIT") return "221 bye\r\n";
    return "235 whoever you are\r\n";  // to the response
  }

  // `domains`, each with a comma behind it.
  std::vector<Held*> waiting(const std::string& domains) const {
    std::vector<Held*> found;
    for (auto& one : world_.held) {
      const bool is_asked_for = domains.find(one.domain + ",") != std::string::npos;
      if (is_asked_for && one.is_waiting() && found.size() < world_.trial.per_connection) found.push_back(&one);
    }
    return found;
  }

  // The code of the next reply, 0 when the line is gone before it has been read to its end.
  Task<int> hear_reply() {
    for (;;) {
      const auto line = co_await hear();
      if (!line || line->size() < 4) co_return 0;
      if ((*line)[3] != ' ') continue;
      reply_ = *line;
      co_return std::stoi(*line);
    }
  }

  Task<int> ask(std::string command) {
    co_await say(command);
    co_return co_await hear_reply();
  }

  // The reply to a command that, where several are said at once, is said already.
  Task<int> step(std::string command) {
    if (world_.trial.manner == Manner::lockstep) co_await say(command);
    co_return co_await hear_reply();
  }

  Task<> hand_over() {
    const int greeting = co_await hear_reply();
    if (greeting != 220) co_return;
    const int hello = co_await ask("EHLO provider\r\n");
    if (hello != 250) co_return;
    if (world_.trial.manner == Manner::chunked) co_return co_await hand_over_in_chunks();
    for (std::size_t i = 0; i < due_.size(); ++i) {
      const bool goes_on = co_await hand_over_one(i);
      if (!goes_on) co_return;
    }
    if (!is_said_) co_await say("QUIT\r\n");
    co_await hear_reply();
  }

  Task<> hand_over_in_chunks() {
    std::string all;
    for (auto* one : due_) {
      if (!all.empty()) all += "RSET\r\n";
      all += k_mail;
      for (const auto* addressee : waiting_of(*one)) all += rcpt_line(*one, *addressee);
      all += "BDAT " + std::to_string(one->content.size()) + " LAST\r\n" + one->content;
    }
    co_await say(all);
    for (std::size_t i = 0; i < due_.size(); ++i) {
      const bool goes_on = co_await hear_of_chunks(*due_[i], i > 0);
      if (!goes_on) co_return;
    }
    co_await ask("QUIT\r\n");
  }

  // False: the session is over.
  Task<bool> hear_of_chunks(Held& held, bool is_reset) {
    const auto addressees = waiting_of(held);
    int reset = 250;
    if (is_reset) reset = co_await hear_reply();
    if (reset != 250) co_return false;
    const int mail = co_await hear_reply();
    if (mail == 0 || mail == 421) co_return false;
    if (mail != 250) settle(addressees, mail);
    std::vector<Addressee*> accepted;
    for (auto* one : addressees) {
      const int rcpt = co_await hear_reply();
      if (rcpt == 0 || rcpt == 421) co_return false;
      if (rcpt == 250)
        accepted.push_back(one);
      else if (mail == 250)
        settle(*one, rcpt);
    }
    const int verdict = co_await hear_reply();
    if (verdict == 0) co_return false;
    const auto taken = reply_.find("taken ");
    if (taken != std::string::npos && reply_.substr(taken + 6) != id_of(held.content)) ++world_.findings.misplaced;
    settle(accepted, verdict);
    co_return verdict != 421;
  }

  static std::vector<Addressee*> waiting_of(Held& held) {
    std::vector<Addressee*> found;
    for (auto& one : held.addressees) {
      if (one.is_waiting) found.push_back(&one);
    }
    return found;
  }

  static std::string rcpt_line(const Held& held, const Addressee& addressee) {
    return "RCPT TO:<" + addressee.name + "@" + held.domain + ">\r\n";
  }

  // What begins message `i`, or ends the session.
  std::string group(std::size_t i) const {
    if (i == due_.size()) return "QUIT\r\n";
    std::string lines = k_mail;
    for (const auto* one : waiting_of(*due_[i])) lines += rcpt_line(*due_[i], *one);
    return lines + "DATA\r\n";
  }

  static void settle(Addressee& addressee, int code) {
    if (code / 100 == 2 || code / 100 == 5) addressee.is_waiting = false;
    if (code / 100 == 5) addressee.is_refused = true;
  }

  static void settle(const std::vector<Addressee*>& addressees, int code) {
    for (auto* one : addressees) settle(*one, code);
  }

  // False: the session is over.
  Task<bool> hand_over_one(std::size_t i) {
    const auto addressees = waiting_of(*due_[i]);
    const bool waits = world_.trial.manner == Manner::lockstep;
    if (!waits && !std::exchange(is_said_, false)) {
      const std::string lines = group(i);
      co_await say(lines);
    }
    const int mail = co_await step(k_mail);
    if (mail == 0 || mail == 421) co_return false;
    if (mail != 250) settle(addressees, mail);
    if (waits && mail != 250) co_return true;
    std::vector<Addressee*> accepted;
    for (auto* one : addressees) {
      const std::string line = rcpt_line(*due_[i], *one);
      const int rcpt = co_await step(line);
      if (rcpt == 0) co_return false;
      if (rcpt == 250)
        accepted.push_back(one);
      else if (mail == 250)
        settle(*one, rcpt);
    }
    int data = 554;
    if (!waits || !accepted.empty()) data = co_await step("DATA\r\n");
    if (data == 0) co_return false;
    if (data == 354) co_return co_await say_content(i, accepted);
    settle(accepted, data);
    // As Postfix has it: the transaction is still open.
    const int reset = co_await ask("RSET\r\n");
    co_return reset == 250;
  }

  Task<bool> say_content(std::size_t i, const std::vector<Addressee*>& accepted) {
    smtp::DotEncoder encoder;
    std::string text;
    encoder.encode(due_[i]->content, text);
    encoder.finish(text);
    if (world_.trial.manner == Manner::hurried) {
      text += group(i + 1);
      is_said_ = true;
    }
    const int verdict = co_await ask(text);
    if (verdict == 0) co_return false;
    settle(accepted, verdict);
    co_return verdict != 421;
  }

  static constexpr const char* k_mail = "MAIL FROM:<sender@example.org>\r\n";

  std::vector<Held*> due_;
  std::string reply_;     // the last line of the one heard last
  bool is_said_ = false;  // what comes next, with the last dot
};

// --- the target

class Target final : public Speaker {
 public:
  /// `was_cut`: the provider's line, when we last wrote to the target.
  Target(World& world, net::Stream stream, std::shared_ptr<bool> was_cut)
      : Speaker(world, std::move(stream)), was_cut_(std::move(was_cut)) {}

  Task<> attend() {
    bool goes_on = co_await act("greeting", "220 target\r\n");
    while (goes_on) {
      const auto line = co_await hear();
      if (!line) break;
      goes_on = co_await obey(*line);
    }
    stream_.close();
  }

 private:
  // One of the moments at which something may go wrong: what does now.
  Misdeed moment(const std::string& what) {
    if (!world_.is_first_run()) return Misdeed::none;
    const std::size_t number = world_.findings.moments.size();
    world_.findings.moments.push_back(what);
    if (number == world_.trial.cut_at && world_.cut) {
      world_.cut_connection = world_.traffics.size();
      world_.cut();
    }
    return number == world_.trial.misdeed_at ? world_.trial.misdeed : Misdeed::none;
  }

  // Answers, or does its misdeed. False: the connection is over.
  Task<bool> act(std::string what, std::string reply) {
    const Misdeed misdeed = moment(what);
    co_return co_await act(misdeed, reply);
  }

  Task<bool> act(Misdeed misdeed, std::string reply) {
    said_ = false;
    switch (misdeed) {
      case Misdeed::dies:
      case Misdeed::dies_with_it:
        co_return false;
      case Misdeed::stalls:
      case Misdeed::stalls_with_it:
        co_await hear_to_the_end();
        co_return false;
      case Misdeed::says_421:
        reply = "421 4.3.2 going down\r\n";
        break;
      case Misdeed::says_450:
        reply = "450 4.2.0 later\r\n";
        break;
      case Misdeed::says_452:
        reply = "452 4.3.1 full\r\n";
        break;
      case Misdeed::says_550:
        reply = "550 5.7.1 never\r\n";
        break;
      default:
        break;
    }
    co_await say(reply);
    said_ = reply[0] == '2' || reply[0] == '3';
    co_return misdeed != Misdeed::answers_and_dies&& misdeed != Misdeed::says_421;
  }

  Task<> hear_to_the_end() {
    for (bool goes_on = true; goes_on;) {
      const auto filled = co_await stream_.fill(for_ever());
      goes_on = filled.has_value();
      stream_.consume(stream_.buffered().size());
    }
  }

  Task<bool> obey(const std::string& line) {
    const std::string verb = line.substr(0, 4);
    if (verb == "EHLO" || verb == "LHLO") {
      // Who speaks in groups meets one who takes them.
      const bool takes_groups = world_.trial.manner != Manner::lockstep;
      const std::string offer = takes_groups ? "250-target\r\n250-PIPELINING\r\n" : "250-target\r\n";
      co_return co_await act(verb, offer + "250 SIZE 1000000\r\n");
    }
    if (verb == "QUIT") {
      co_await act(verb, "221 bye\r\n");
      co_return false;
    }
    if (verb == "MAIL") co_return co_await mail();
    if (verb == "RSET") is_mail_taken_ = false;
    if (verb == "RCPT" && is_mail_taken_) co_return co_await rcpt(line);
    if (verb == "DATA" && is_mail_taken_ && !recipients_.empty()) co_return co_await data();
    if (verb == "RCPT" || verb == "DATA") co_return co_await act(verb, "503 5.5.1 not now\r\n");
    co_return co_await act(verb, "250 ok\r\n");
  }

  Task<bool> mail() {
    recipients_.clear();
    const bool goes_on = co_await act("MAIL", "250 ok\r\n");
    is_mail_taken_ = said_;
    co_return goes_on;
  }

  Task<bool> rcpt(const std::string& line) {
    const auto begin = line.find('<') + 1;
    const std::string name = line.substr(begin, line.find('@') - begin);
    std::string reply = "250 ok\r\n";
    // The message is not known yet: who is put off is so in the first session.
    if (!world_.trial.lmtp) reply = answer_for(std::to_string(world_.findings.runs), name);
    const bool goes_on = co_await act("RCPT", reply);
    if (said_) recipients_.push_back(name);
    co_return goes_on;
  }

  // With mixed answers the second of three is put off once, and the third always refused.
  std::string answer_for(const std::string& what, const std::string& name) {
    const auto number = std::stoul(name.substr(1)) % 3;
    if (world_.trial.is_mixed && number == 2) return "550 5.1.1 nobody\r\n";
    const bool is_first = world_.trial.lmtp ? world_.asked[{what, name}]++ == 0 : what == "0";
    if (world_.trial.is_mixed && number == 1 && is_first) return "450 4.2.1 later\r\n";
    return "250 taken\r\n";
  }

  Task<bool> data() {
    const bool goes_on = co_await act("DATA", "354 go on\r\n");
    if (!goes_on || !said_) co_return goes_on;
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
      if (!ended) {
        const Misdeed misdeed = moment("content");
        const bool is_well = misdeed == Misdeed::none || co_await act(misdeed, "250 too early\r\n");
        if (!is_well) co_return false;
      }
    }
    co_return co_await store(without_trace(text).value_or("no trace"));
  }

  // The dot has come.
  Task<bool> store(std::string content) {
    const auto is_it = [&](const Held& one) { return one.content == content; };
    if (std::none_of(world_.held.begin(), world_.held.end(), is_it)) ++world_.findings.corrupted;
    if (*was_cut_) ++world_.findings.in_vain;
    if (world_.is_first_run()) world_.findings.content_ends.push_back(world_.traffics.back()->bytes_read);
    co_await be_late(content);
    const std::size_t answers = world_.trial.lmtp ? recipients_.size() : 1;
    for (std::size_t i = 0; i < answers; ++i) {
      const Misdeed misdeed = moment("dot");
      std::string reply = world_.trial.lmtp ? answer_for(content, recipients_[i]) : "250 taken\r\n";
      if (reply == "250 taken\r\n") reply = "250 taken " + id_of(content) + "\r\n";
      if (misdeed == Misdeed::dies_with_it || misdeed == Misdeed::stalls_with_it) note_without_answer(content, i);
      const bool goes_on = co_await act(misdeed, reply);
      if (said_) note(content, i);
      if (!goes_on) co_return false;
    }
    co_return true;
  }

  Task<> be_late(const std::string& content) {
    const auto& lateness = world_.trial.lateness;
    if (lateness.empty() || content == "no trace") co_return;
    ++world_.unanswered;
    world_.findings.at_once = std::max(world_.findings.at_once, world_.unanswered);
    const TimePoint until = world_.simulation.now() + std::chrono::seconds(lateness.at(std::stoul(id_of(content))));
    net::Wakeup rung(world_.simulation.loop().get_executor());
    const auto alarm = world_.simulation.alarm([&rung] { rung.wake(); });
    alarm->set(until);
    while (world_.simulation.now() < until) co_await rung.wait();
    --world_.unanswered;
  }

  // Of one answer in LMTP, of all in SMTP.
  void note(const std::string& content, std::size_t i) {
    for (std::size_t j = i; j < (world_.trial.lmtp ? i + 1 : recipients_.size()); ++j) {
      ++world_.stored[{content, recipients_[j]}];
    }
  }

  // All that it has not answered for it has, and nobody will hear of it.
  void note_without_answer(const std::string& content, std::size_t i) {
    for (std::size_t j = i; j < recipients_.size(); ++j) {
      const bool is_refused = world_.trial.lmtp && answer_for(content, recipients_[j])[0] != '2';
      if (is_refused) continue;
      ++world_.stored[{content, recipients_[j]}];
      world_.in_doubt.emplace(content, recipients_[j]);
    }
  }

  std::shared_ptr<bool> was_cut_;
  std::vector<std::string> recipients_;
  bool is_mail_taken_ = false;
  bool said_ = false;  // the last answer was a good one, and went out
};

// --- between them

// Our end of a line, to see where reads and writes end; and blind where it is to be.
class OurEnd final : public net::Transport {
 public:
  OurEnd(net::MemoryLine line, Carried& carried, bool is_blind, Clock& clock)
      : below_(std::move(line.first)),
        traffic_(std::move(line.traffic)),
        carried_(carried),
        is_blind_(is_blind),
        clock_(clock) {}

  Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override {
    auto count = co_await below_->read_some(into, deadline);
    carried_.traffic = *traffic_;
    carried_.read_up_to.insert(traffic_->bytes_read);
    if (is_blind_ && !count && deadline <= clock_.now()) co_return fail(Errc::timed_out, "nothing there now");
    co_return count;
  }
  Task<Result<void>> write(std::string_view bytes, Duration patience) override {
    auto written = co_await below_->write(bytes, patience);
    carried_.traffic = *traffic_;
    carried_.written_up_to.insert(traffic_->bytes_written);
    co_return written;
  }
  Task<> finish(TimePoint deadline) override { return below_->finish(deadline); }
  void interrupt() override { below_->interrupt(); }
  void close() override { below_->close(); }
  std::string peer() const override { return below_->peer(); }

 private:
  std::unique_ptr<net::Transport> below_;
  std::shared_ptr<net::Traffic> traffic_;
  Carried& carried_;
  bool is_blind_;
  Clock& clock_;
};

// Our end of a line to the target, to see how it stood with the provider's when we wrote.
class EndAtTarget final : public net::Transport {
 public:
  EndAtTarget(std::unique_ptr<net::Transport> below, World& world, std::shared_ptr<bool> was_cut)
      : below_(std::move(below)), world_(world), was_cut_(std::move(was_cut)) {}

  Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override {
    return below_->read_some(into, deadline);
  }
  Task<Result<void>> write(std::string_view bytes, Duration patience) override {
    *was_cut_ = world_.is_seen_to_be_cut();
    return below_->write(bytes, patience);
  }
  Task<> finish(TimePoint deadline) override { return below_->finish(deadline); }
  void interrupt() override { below_->interrupt(); }
  void close() override { below_->close(); }
  std::string peer() const override { return below_->peer(); }

 private:
  std::unique_ptr<net::Transport> below_;
  World& world_;
  std::shared_ptr<bool> was_cut_;
};

Task<> attend_provider(World& world, net::Stream stream) {
  Provider provider(world, std::move(stream));
  co_await provider.attend();
}

Task<> attend_target(World& world, net::Stream stream, std::shared_ptr<bool> was_cut) {
  Target target(world, std::move(stream), std::move(was_cut));
  co_await target.attend();
}

class TrialNetwork final : public net::Network {
 public:
  explicit TrialNetwork(World& world) : world_(world) {}
  Clock& clock() override { return world_.simulation; }

  Task<Result<net::Stream>> connect(const net::Endpoint& endpoint, Duration /*patience*/, Stop& /*stop*/) override {
    if (endpoint.port == k_odmr_port) co_return to_provider();
    auto line = net::memory_line(world_.simulation, "127.0.0.1:25", "127.0.0.1:4711");
    const auto was_cut = std::make_shared<bool>(false);
    world_.simulation.start(attend_target(world_, net::Stream(std::move(line.second), world_.simulation), was_cut));
    auto ours = std::make_unique<EndAtTarget>(std::move(line.first), world_, was_cut);
    co_return net::Stream(std::move(ours), world_.simulation);
  }

 private:
  net::Stream to_provider() {
    net::Faults faults;
    faults.cut = world_.trial.faults.cut;
    if (world_.is_first_run() && world_.traffics.size() == world_.trial.connection) faults = world_.trial.faults;
    auto line = net::memory_line(world_.simulation, "192.0.2.1:366", "192.0.2.99:4711", faults);
    if (world_.is_first_run()) {
      world_.traffics.push_back(line.traffic);
      world_.cut = line.cut;
    }
    world_.simulation.start(attend_provider(world_, net::Stream(std::move(line.second), world_.simulation)));
    auto ours =
        std::make_unique<OurEnd>(std::move(line), carried_.emplace_back(), world_.trial.is_blind, world_.simulation);
    return {std::move(ours), world_.simulation};
  }

 public:
  std::deque<Carried> carried_;

 private:
  World& world_;
};

class Bounces final : public receive::BounceKeeper {
 public:
  explicit Bounces(World& world) : world_(world) {}
  Result<void> keep(const receive::BounceRecord& record) override {
    for (const auto& held : world_.held) {
      const std::string header = held.content.substr(0, held.content.find("\r\n\r\n"));
      if (record.header.find(header) == std::string::npos) continue;
      for (const auto& failed : record.failed) world_.bounced.emplace(held.content, failed.recipient.local_part);
    }
    return {};
  }

 private:
  World& world_;
};

app::FetchPlan plan_for(const World& world) {
  const Trial& trial = world.trial;
  auto login = std::make_shared<client::Login>();
  login->user = "customer";
  login->password = Secret("tanstaaftanstaaf");
  app::FetchPlan plan;
  plan.provider = "isp";
  plan.session_id = "run" + std::to_string(world.findings.runs);
  plan.scratch_directory = std::filesystem::temp_directory_path();
  plan.hostname = "mail.customer.example";
  for (std::size_t i = 0; i < trial.domains; ++i) plan.domains.push_back(domain_of(i));
  plan.parallel = trial.parallel;
  // Who asks again in the same run still knows what he had.
  if (trial.forgets) plan.max_sessions = 1;
  plan.server.hostname = plan.hostname;
  plan.server.login = login;
  plan.server.endpoint.host = k_provider;
  plan.server.endpoint.port = k_odmr_port;
  if (trial.tls) {
    plan.server.tls = client::TlsPolicy::starttls;
    plan.server.tls_context = client_context();
  }
  plan.target.server.hostname = plan.hostname;
  plan.target.server.endpoint.host = "localhost";
  plan.target.server.endpoint.port = 24;
  plan.target.max_connections = trial.connections;
  plan.target.kind = trial.lmtp ? deliver::TargetOptions::Kind::lmtp : deliver::TargetOptions::Kind::smtp;
  if (trial.lmtp) plan.target.server.dialect = client::Dialect::lmtp;
  return plan;
}

Task<> fetch(World& world, TrialNetwork& network, Bounces& bounces) {
  const app::FetchPlan plan = plan_for(world);
  const app::Books books{system_files(), *world.journal, bounces};
  if (plan.parallel > 1)
    co_await app::fetch_spread(plan, network, books, nullptr, app::OnProgress(), silent_log(), world.stop);
  else
    co_await app::fetch(plan, network, books, nullptr, app::OnProgress(), silent_log(), world.stop);
}

void run_once(World& world, Bounces& bounces) {
  TrialNetwork network(world);
  const bool is_over = world.simulation.run(fetch(world, network, bounces));
  if (!is_over) ++world.findings.stuck;
  if (world.is_first_run()) world.findings.carried.assign(network.carried_.begin(), network.carried_.end());
  for (const auto& [connection, traffic] : world.turns) world.findings.carried.at(connection).turn = traffic;
  ++world.findings.runs;
  world.cut = nullptr;
  if (world.trial.forgets) world.open_journal();
}

void judge(World& world) {
  Findings& findings = world.findings;
  for (const auto& held : world.held) {
    for (const auto& one : held.addressees) {
      const std::pair<std::string, std::string> pair(held.content, one.name);
      const auto found = world.stored.find(pair);
      const std::size_t times = found == world.stored.end() ? 0 : found->second;
      const std::size_t told = (one.is_refused ? 1 : 0) + world.bounced.count(pair);
      if (one.is_waiting || times + told == 0) ++findings.lost;
      const bool is_forgiven = world.in_doubt.count(pair) > 0 && times + told == 2;
      if (times + told > 1) ++(is_forgiven ? findings.forgiven : findings.doubled);
    }
  }
}

}  // namespace

std::string_view name(Misdeed misdeed) {
  switch (misdeed) {
    case Misdeed::none:
      return "nothing";
    case Misdeed::dies:
      return "dies";
    case Misdeed::dies_with_it:
      return "dies with the message";
    case Misdeed::answers_and_dies:
      return "answers and dies";
    case Misdeed::stalls:
      return "stalls";
    case Misdeed::stalls_with_it:
      return "stalls with the message";
    case Misdeed::says_421:
      return "says 421";
    case Misdeed::says_450:
      return "says 450";
    case Misdeed::says_452:
      return "says 452";
    case Misdeed::says_550:
      return "says 550";
  }
  return "?";
}

std::string Trial::text() const {
  const auto number = [](const char* what, std::size_t value) {
    return value == k_never ? std::string() : std::string(" ") + what + " " + std::to_string(value);
  };
  const char* manners[] = {"lockstep", "pipelined", "hurried", "chunked"};
  const char* cuts[] = {"reset", "closed", "silent"};
  std::string out = manners[static_cast<int>(manner)];
  out += tls ? ", TLS" : ", clear text";
  out += lmtp ? ", LMTP" : ", SMTP";
  out += is_mixed ? ", mixed" : "";
  out += connections > 1 ? number(", connections", connections) : "";
  if (parallel > 1) out += number(", ATRN sessions", parallel) + number(", allowed", most_at_once);
  out += number(", recipients", recipients) + number(", messages a connection", per_connection);
  if (misdeed != Misdeed::none)
    return out + number("; at moment", misdeed_at) + " the target " + std::string(name(misdeed));
  out += std::string("; ") + cuts[static_cast<int>(faults.cut)] + number("on connection", connection);
  out += number("after reading", faults.cut_after_read) + number("after writing", faults.cut_after_written);
  return out + (faults.cuts_late ? ", late" : "") + number("at the target's moment", cut_at);
}

std::string Findings::text() const {
  return std::to_string(lost) + " lost, " + std::to_string(corrupted) + " corrupted, " + std::to_string(doubled) +
         " doubled, " + std::to_string(in_vain) + " handed over in vain, " + std::to_string(stuck) + " stuck, " +
         std::to_string(misplaced) + " answers misplaced";
}

Findings perform(const Trial& trial) {
  World world(trial);
  Bounces bounces(world);
  const auto is_left = [&world] {
    return std::any_of(world.held.begin(), world.held.end(), [](const Held& one) { return one.is_waiting(); });
  };
  do run_once(world, bounces);
  while (is_left() && world.findings.runs < k_most_runs && world.findings.stuck == 0);
  judge(world);
  return std::move(world.findings);
}

}  // namespace odmr::conversation
