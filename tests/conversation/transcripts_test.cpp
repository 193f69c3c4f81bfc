#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "catalogue.hpp"
#include "share.hpp"
#include "stage.hpp"

namespace odmr::conversation {

namespace {

constexpr std::size_t k_most_splits = 600;     // of one line; at fewer bytes every place is tried
constexpr std::size_t k_most_tls_splits = 60;  // the same under TLS, where most bytes are the handshake's

// The receipts say what the report says, whatever failed on the lines: each message that was counted has its own.
std::string faults_of_receipts(const Performance& performance) {
  const auto& report = performance.report;
  const auto& receipts = performance.receipts;
  if (receipts.sessions.size() != 1) return "there is no receipt of the session\n";
  const auto& end = receipts.sessions.front().end;
  if (!end) return "the session's receipt has no end\n";
  if (end->outcome != report.outcome || end->text != report.text.substr(0, journal::k_longest_text)) {
    return "the receipt has another outcome\n";
  }
  std::string faults;
  const auto& received = report.received;
  // One that was withdrawn because the line had gone has a receipt, and is none that anybody was answered for.
  const auto answered =
      static_cast<std::uint64_t>(std::count_if(receipts.messages.begin(), receipts.messages.end(), [](const auto& one) {
        return !one.reply.starts_with("451 4.4.2 the line broke");
      }));
  if (answered != received.messages + received.rejected + received.deferred + received.duplicates) {
    faults += std::to_string(answered) + " messages have receipts\n";
  }
  std::uint64_t bytes = 0;
  for (const auto& message : receipts.messages) {
    const bool is_taken = std::any_of(message.recipients.begin(), message.recipients.end(), [](const auto& one) {
      return one.by == journal::RecipientReceipt::By::target && one.reply.starts_with('2');
    });
    if (is_taken) bytes += message.size;
  }
  if (bytes != received.bytes) faults += "the receipts have " + std::to_string(bytes) + " bytes\n";
  const auto made = static_cast<std::uint64_t>(std::count_if(receipts.connections.begin(), receipts.connections.end(),
                                                             [](const auto& one) { return !one.address.empty(); }));
  if (made != report.connections) faults += std::to_string(made) + " connections have receipts\n";
  const bool all_ended = std::all_of(receipts.connections.begin(), receipts.connections.end(),
                                     [](const auto& one) { return one.ended && !one.how.empty(); });
  if (!all_ended) faults += "a connection's receipt has no end\n";
  return faults;
}

// What is wrong with a run, for people; empty when nothing is.
std::string faults_of(const Transcript& transcript, const Performance& performance) {
  std::string faults;
  if (!performance.ended) faults += "the session never ends\n";
  if (performance.took > std::chrono::hours(48)) faults += "the session takes days\n";
  for (const auto& one : performance.mismatches) faults += one + "\n";
  for (const auto& one : performance.ledger.violations) faults += "PROMISE BROKEN: " + one + "\n";
  for (const auto& one : unspeakable(transcript)) {
    if (performance.log.find(one) != std::string::npos) faults += "the log shows \"" + one + "\"\n";
  }
  return faults + faults_of_receipts(performance);
}

// What must hold of a session whatever fails in it, and what of one that went as it should.
std::string faults_of_counts(const Performance& performance) {
  const auto& received = performance.report.received;
  const std::uint64_t taken = performance.ledger.taken();
  const std::uint64_t accepted = performance.ledger.accepted();
  if (received.messages > taken) return "more messages were counted than the target took\n";
  if (received.messages + received.duplicates + performance.ledger.kept.size() < accepted)
    return "fewer messages were counted than the provider heard 250 for\n";
  return {};
}

// Which transcripts fail, one report each.
class Verdicts {
 public:
  void add(const Transcript& transcript, const Variation& variation, const std::string& faults,
           const Performance& performance) {
    ++runs_;
    if (faults.empty() || !failed_.insert(transcript.name).second) return;
    FAIL_CHECK(transcript.name << " [" << variation.text() << "]\n"
                               << faults << written_out(performance.dialogue) << "outcome "
                               << odmr::name(performance.report.outcome) << ": " << performance.report.text << "\n");
  }
  std::size_t runs() const { return runs_; }
  bool has_failed(const Transcript& transcript) const { return failed_.count(transcript.name) > 0; }

 private:
  std::size_t runs_ = 0;
  std::set<std::string> failed_;
};

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

void run_exactly(const Transcript& transcript, const Variation& variation, Verdicts& verdicts) {
  const auto performance = perform(transcript, variation);
  auto faults = faults_of(transcript, performance);
  if (performance.report.received.messages != performance.ledger.taken()) faults += "not all messages were counted\n";
  verdicts.add(transcript, variation, faults, performance);
}

// Where the input of each line is to be split: one run splits all lines at once, each at its next place. Where another
// transcript began with the same bytes, they have been split there already.
class Splits {
 public:
  std::vector<Variation> of(const Transcript& transcript, const Performance& whole) {
    std::vector<Variation> out;
    for (const auto& [line, traffic] : whole.traffic) {
      const std::string& input = whole.input.at(line);
      const bool is_tls = traffic.bytes_read > input.size();
      const std::size_t begin = is_tls ? 1 : 1 + known_prefix(line.peer, input);
      const bool all = !is_tls || transcript.settings.count("cuts") > 0;
      const std::size_t stride = 1 + traffic.bytes_read / (all ? k_most_splits : k_most_tls_splits);
      std::size_t run = 0;
      for (std::size_t at = begin; at < traffic.bytes_read; at += stride, ++run) {
        if (run == out.size()) out.emplace_back();
        out[run].faults[line].breaks.insert(at);
      }
      inputs_[line.peer].insert(input);
    }
    return out;
  }

 private:
  std::size_t known_prefix(Peer peer, const std::string& input) const {
    const auto known = inputs_.find(peer);
    if (known == inputs_.end()) return 0;
    std::size_t longest = 0;
    for (const auto& other : known->second) {
      const auto size = std::min(other.size(), input.size());
      const auto end = std::mismatch(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size), other.begin());
      longest = std::max(longest, static_cast<std::size_t>(end.first - input.begin()));
    }
    return longest;
  }

  std::map<Peer, std::set<std::string>> inputs_;
};

// Success must not be claimed where nobody said so.
std::string faults_of_success(const Performance& performance) {
  const auto& received = performance.report.received;
  const bool has_453 = std::any_of(performance.input.begin(), performance.input.end(), [](const auto& line) {
    return line.first.peer == Peer::provider && line.second.find("453 ") != std::string::npos;
  });
  // Who gave up a wait has not asked whether there is any, and says that.
  const bool has_given_up = performance.report.text.starts_with("the wait for mail, with the line ");
  const auto& reply = performance.report.reply;
  const bool has_asked = performance.report.only_asks && reply &&
                         std::any_of(performance.input.begin(), performance.input.end(), [&](const auto& line) {
                           return line.first.peer == Peer::provider && line.second.find(*reply) != std::string::npos;
                         });
  if (performance.report.outcome == Outcome::no_mail && !has_asked && !has_453 && !has_given_up &&
      performance.ledger.quits == 0) {
    return "no mail, and nobody said so\n";
  }
  if (performance.report.outcome == Outcome::fetched &&
      received.messages + received.rejected + received.duplicates == 0) {
    return "fetched, and nothing was\n";
  }
  return {};
}

// The outcomes that a failing line may leave behind, beside the one of the transcript.
bool is_sane(const Transcript& transcript, const Performance& performance) {
  static const std::set<Outcome> always = {Outcome::no_mail,     Outcome::fetched,    Outcome::deferred,
                                           Outcome::unavailable, Outcome::local_down, Outcome::tls};
  const Outcome outcome = performance.report.outcome;
  return always.count(outcome) > 0 || odmr::name(outcome) == transcript.expectation.outcome;
}

void run_failing(const Transcript& transcript, Variation variation, Verdicts& verdicts) {
  variation.lenient = true;
  const auto performance = perform(transcript, variation);
  auto faults = faults_of(transcript, performance) + faults_of_counts(performance) + faults_of_success(performance);
  if (!is_sane(transcript, performance)) faults += "such an outcome is not due\n";
  verdicts.add(transcript, variation, faults, performance);
}

void fail_each_step(const Transcript& transcript, const LineName& line, const net::Traffic& traffic, Share& share,
                    Verdicts& verdicts) {
  for (std::size_t i = 0; i <= traffic.reads; ++i) {
    if (!share.takes_next()) continue;
    Variation variation;
    variation.faults[line].fail_read = i;
    variation.has_other_target = i % 2 == 0;
    run_failing(transcript, variation, verdicts);
  }
  for (std::size_t i = 0; i <= traffic.writes; ++i) {
    if (!share.takes_next()) continue;
    Variation variation;
    variation.faults[line].fail_write = i;
    variation.has_other_target = i % 2 == 1;
    run_failing(transcript, variation, verdicts);
  }
}

// Cuts the line at byte after byte, both ways.
void cut_everywhere(const Transcript& transcript, const LineName& line, const net::Traffic& traffic, Share& share,
                    Verdicts& verdicts) {
  for (std::size_t i = 1; i < traffic.bytes_read; i += 1 + traffic.bytes_read / k_most_splits) {
    if (!share.takes_next()) continue;
    Variation variation;
    variation.faults[line].cut_after_read = i;
    run_failing(transcript, variation, verdicts);
  }
  for (std::size_t i = 1; i < traffic.bytes_written; i += 1 + traffic.bytes_written / k_most_splits) {
    if (!share.takes_next()) continue;
    Variation variation;
    variation.faults[line].cut_after_written = i;
    run_failing(transcript, variation, verdicts);
  }
}

}  // namespace

TEST_CASE("transcripts go as they are written") {
  Verdicts verdicts;
  for (const auto& transcript : all_transcripts()) run_exactly(transcript, {}, verdicts);
  std::printf("transcripts: %zu\n", verdicts.runs());
}

TEST_CASE("it does not matter where the bytes are cut into pieces") {
  const Stopwatch watch;
  Verdicts verdicts;
  Splits splits;
  Share share(8);
  for (const auto& transcript : all_transcripts()) {
    if (transcript.settings.count("splits") > 0) continue;  // "no"
    Variation single_bytes;
    single_bytes.everywhere.largest_read = 1;
    run_exactly(transcript, single_bytes, verdicts);
    for (const auto& split : splits.of(transcript, perform(transcript))) {
      if (share.takes_next() && !verdicts.has_failed(transcript)) run_exactly(transcript, split, verdicts);
    }
  }
  std::printf("runs with split input: %zu, %s (%.1f s)\n", verdicts.runs(), share.text().c_str(), watch.seconds());
}

TEST_CASE("no failing line breaks a promise") {
  const Stopwatch watch;
  Verdicts verdicts;
  Share share(8);
  for (const auto& transcript : all_transcripts()) {
    const auto whole = perform(transcript);
    for (const auto& [line, traffic] : whole.traffic) {
      fail_each_step(transcript, line, traffic, share, verdicts);
      if (transcript.settings.count("cuts") > 0) cut_everywhere(transcript, line, traffic, share, verdicts);
    }
  }
  std::printf("runs with a failing line: %zu, %s (%.1f s)\n", verdicts.runs(), share.text().c_str(), watch.seconds());
}

}  // namespace odmr::conversation
