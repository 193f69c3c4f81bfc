#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>

#include "share.hpp"
#include "trial.hpp"

// The provider's line is cut at every byte of a session with three messages, and the target fails at each of its steps:
// nothing is lost, nothing changed, and nothing comes twice.

namespace odmr::conversation {

namespace {

using net::Cut;

constexpr Cut k_cuts[] = {Cut::reset, Cut::closed, Cut::silence};

// The sums over many trials.
struct Sums {
  Findings of;
  std::size_t trials = 0;
  std::size_t unclean = 0;

  void add(const Trial& trial) {
    const Findings found = perform(trial);
    ++trials;
    of.lost += found.lost;
    of.corrupted += found.corrupted;
    of.doubled += found.doubled;
    of.forgiven += found.forgiven;
    of.in_vain += found.in_vain;
    of.stuck += found.stuck;
    of.misplaced += found.misplaced;
    of.at_once = std::max(of.at_once, found.at_once);
    if (found.are_clean()) return;
    if (++unclean <= 5) std::printf("%s: %s\n", trial.text().c_str(), found.text().c_str());
  }

  void print(const std::string& what) const {
    std::printf("%s: %zu trials, %s", what.c_str(), trials, of.text().c_str());
    if (of.forgiven > 0) std::printf("; %zu twice, as the target died with its answer", of.forgiven);
    std::printf("\n");
    std::fflush(stdout);
  }
};

// One cut: after so many bytes of one direction of a connection.
Trial with_cut(Trial trial, std::size_t connection, std::size_t net::Faults::*direction, std::size_t bytes, Cut cut,
               bool late) {
  trial.connection = connection;
  trial.faults.*direction = bytes;
  trial.faults.cut = cut;
  trial.faults.cuts_late = late;
  return trial;
}

// One direction of a connection, from a byte on.
struct Way {
  std::size_t connection = 0;
  std::size_t net::Faults::*direction;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::set<std::size_t> pauses;  ///< where one of our reads, or writes, ended
};

// At every byte at once behind it; and where one of our reads or writes ended also when the next is due: what happens
// in between is what the promises are about.
void cut_one_way(const Trial& trial, const Way& way, Share& choice, Sums& sums) {
  for (const Cut cut : k_cuts) {
    for (std::size_t at = way.begin; at <= way.end; ++at) {
      if (at > 0 && choice.takes_next()) sums.add(with_cut(trial, way.connection, way.direction, at, cut, false));
      if (way.pauses.count(at) == 0 || !choice.takes_next()) continue;
      sums.add(with_cut(trial, way.connection, way.direction, at, cut, true));
    }
  }
}

enum class From { start, turn };

void cut_everywhere(const Trial& trial, From from, Share& choice, Sums& sums) {
  const Findings whole = perform(trial);
  INFO(trial.text() << ": " << whole.text());
  REQUIRE(whole.are_clean());
  for (std::size_t i = 0; i < whole.carried.size(); ++i) {
    const Carried& carried = whole.carried[i];
    if (from == From::turn && !carried.turn) continue;
    const net::Traffic begin = from == From::turn ? *carried.turn : net::Traffic();
    const net::Traffic& end = carried.traffic;
    cut_one_way(trial, {i, &net::Faults::cut_after_read, begin.bytes_read, end.bytes_read, carried.read_up_to}, choice,
                sums);
    cut_one_way(trial,
                {i, &net::Faults::cut_after_written, begin.bytes_written, end.bytes_written, carried.written_up_to},
                choice, sums);
  }
}

// While the target is spoken to: between our dot and its answer, too.
void cut_at_moments(const Trial& trial, Share& choice, Sums& sums) {
  const std::size_t moments = perform(trial).moments.size();
  for (std::size_t at = 0; at < moments; ++at) {
    for (const Cut cut : k_cuts) {
      if (!choice.takes_next()) continue;
      Trial one = trial;
      one.cut_at = at;
      one.faults.cut = cut;
      sums.add(one);
    }
  }
}

Trial trial_of(Manner manner, bool lmtp, std::size_t recipients, bool is_mixed) {
  Trial trial;
  trial.manner = manner;
  trial.lmtp = lmtp;
  trial.recipients = recipients;
  trial.is_mixed = is_mixed;
  return trial;
}

// The ways of speaking, each with another kind of target. Before the turn they are one.
std::vector<Trial> ways(bool tls) {
  std::vector<Trial> all{trial_of(Manner::lockstep, false, 1, false), trial_of(Manner::pipelined, true, 3, true),
                         trial_of(Manner::hurried, false, 2, false), trial_of(Manner::hurried, false, 1, false)};
  all.back().per_connection = 1;
  all.push_back(trial_of(Manner::chunked, false, 2, false));
  for (auto& one : all) one.tls = tls;
  return all;
}

// Several messages with the target at once, each on a connection of its own, and answered in another order. The first
// one goes alone.
Trial side_by_side(bool lmtp, std::size_t connections, const std::vector<std::size_t>& lateness) {
  Trial trial = trial_of(Manner::chunked, lmtp, lmtp ? 3 : 1, lmtp);
  trial.messages = lateness.size();
  trial.connections = connections;
  trial.lateness = lateness;
  return trial;
}

// Domains on several lines; the target takes its time, so that these are up together.
Trial spread(Manner manner, std::size_t parallel, std::size_t most_at_once) {
  Trial trial = trial_of(manner, false, 1, false);
  trial.messages = 6;
  trial.lateness.assign(trial.messages, 1);
  trial.domains = 3;
  trial.parallel = parallel;
  trial.most_at_once = most_at_once;
  return trial;
}

constexpr Misdeed k_misdeeds[] = {Misdeed::dies,     Misdeed::dies_with_it,   Misdeed::answers_and_dies,
                                  Misdeed::stalls,   Misdeed::stalls_with_it, Misdeed::says_421,
                                  Misdeed::says_450, Misdeed::says_452,       Misdeed::says_550};

constexpr std::size_t k_recipients[] = {1, 2, 3, 10, 50};

void fail_everywhere(const Trial& trial, Share& choice, Sums& sums) {
  const Findings whole = perform(trial);
  INFO(trial.text() << ": " << whole.text());
  REQUIRE(whole.are_clean());
  for (std::size_t at = 0; at < whole.moments.size(); ++at) {
    for (const Misdeed misdeed : k_misdeeds) {
      const bool is_dot = whole.moments[at] == "dot";
      if (!is_dot && (misdeed == Misdeed::dies_with_it || misdeed == Misdeed::stalls_with_it)) continue;
      if (!choice.takes_next()) continue;
      Trial one = trial;
      one.misdeed_at = at;
      one.misdeed = misdeed;
      sums.add(one);
    }
  }
}

// Behind the first message's final dot: all that comes in one write is read at once.
std::size_t end_of_content(const Trial& trial) {
  const Findings whole = perform(trial);
  REQUIRE(whole.content_ends.size() == trial.messages);
  return whole.content_ends.front();
}

}  // namespace

TEST_CASE("the provider's line is reset, closed and stalled at every byte, in clear text", "[cuts]") {
  Sums sums;
  Share choice(36);
  From from = From::start;
  for (const auto& trial : ways(false)) cut_everywhere(trial, std::exchange(from, From::turn), choice, sums);
  sums.print("clear text, of bytes " + choice.text());
  CHECK(sums.unclean == 0);
}

TEST_CASE("the provider's line is reset, closed and stalled at every byte, under TLS", "[cuts]") {
  Sums sums;
  Share choice(120);
  From from = From::start;
  for (const auto& trial : ways(true)) cut_everywhere(trial, std::exchange(from, From::turn), choice, sums);
  sums.print("TLS, of bytes " + choice.text());
  CHECK(sums.unclean == 0);
}

TEST_CASE("the provider's line is cut at each moment of the target", "[cuts]") {
  Sums sums;
  Share choice(24);
  for (const bool tls : {false, true}) {
    for (const auto& trial : ways(tls)) cut_at_moments(trial, choice, sums);
    cut_at_moments(trial_of(Manner::lockstep, true, 3, true), choice, sums);
  }
  sums.print("cut at moments of the target, of them " + choice.text());
  CHECK(sums.unclean == 0);
}

TEST_CASE("the target dies, stalls, puts off and refuses at each of its steps", "[cuts]") {
  Sums sums;
  Share choice(64);
  for (const bool lmtp : {false, true}) {
    for (const bool is_mixed : {false, true}) {
      for (const std::size_t recipients : k_recipients) {
        const Manner manner = recipients % 2 == 0 ? Manner::pipelined
                              : recipients == 3   ? Manner::chunked
                                                  : Manner::lockstep;
        Trial trial = trial_of(manner, lmtp, recipients, is_mixed);
        trial.messages = recipients < 10 ? 3 : 2;
        fail_everywhere(trial, choice, sums);
      }
    }
  }
  sums.print("the target's misdeeds, of them " + choice.text());
  CHECK(sums.unclean == 0);
  CHECK(sums.of.forgiven > 0);  // it did die with its answer
}

TEST_CASE("answers stay in the order of messages, in whatever order the target gives them", "[cuts]") {
  Sums sums;
  std::vector<std::size_t> late{1, 2, 3, 4};
  do {
    for (const bool lmtp : {false, true}) {
      for (const std::size_t connections : {1U, 2U, 4U}) {
        std::vector<std::size_t> lateness{0};
        lateness.insert(lateness.end(), late.begin(), late.end());
        const Trial trial = side_by_side(lmtp, connections, lateness);
        const Findings found = perform(trial);
        INFO(trial.text() << ": " << found.text());
        CHECK(found.at_once == connections);
        sums.add(trial);
      }
    }
  } while (std::next_permutation(late.begin(), late.end()));
  sums.print("side by side, in every order");
  CHECK(sums.unclean == 0);
  CHECK(sums.of.forgiven == 0);
}

TEST_CASE("the provider's line is cut at every byte while messages are side by side with the target", "[cuts]") {
  Sums sums;
  Share choice(48);
  for (const bool tls : {false, true}) {
    for (const std::size_t connections : {2U, 4U}) {
      Trial trial = side_by_side(connections == 2, connections, {0, 4, 1, 3, 2});
      trial.tls = tls;
      cut_everywhere(trial, From::turn, choice, sums);
      cut_at_moments(trial, choice, sums);
    }
  }
  sums.print("side by side, of bytes and moments " + choice.text());
  CHECK(sums.unclean == 0);
  CHECK(sums.of.forgiven == 0);
}

TEST_CASE("the target fails at each of its steps while messages are side by side with it", "[cuts]") {
  Sums sums;
  Share choice(4);  // of one in sixteen it may be that none dies with its answer
  for (const bool lmtp : {false, true}) {
    for (const std::size_t connections : {2U, 4U}) {
      fail_everywhere(side_by_side(lmtp, connections, {0, 4, 1, 3, 2}), choice, sums);
    }
  }
  sums.print("side by side, the target's misdeeds, of them " + choice.text());
  CHECK(sums.unclean == 0);
  CHECK(sums.of.forgiven > 0);  // it did die with its answer
}

TEST_CASE("domains are spread over several ATRN sessions, as many as the provider allows", "[cuts]") {
  for (const Manner manner : {Manner::lockstep, Manner::hurried, Manner::chunked}) {
    for (const std::size_t parallel : {2U, 3U}) {
      for (const std::size_t most : {std::size_t{1}, std::size_t{2}, Trial::k_never}) {
        const Trial trial = spread(manner, parallel, most);
        const Findings found = perform(trial);
        INFO(trial.text() << ": " << found.text());
        CHECK(found.are_clean());
        CHECK(found.turned == std::min(parallel, most));
        CHECK(found.runs == perform(trial_of(manner, false, 1, false)).runs);  // all of them are asked for in the first
      }
    }
  }
}

TEST_CASE("one of several lines is cut at every byte", "[cuts]") {
  Sums sums;
  Share choice(36);
  cut_everywhere(spread(Manner::lockstep, 2, Trial::k_never), From::start, choice, sums);
  cut_everywhere(spread(Manner::chunked, 3, Trial::k_never), From::start, choice, sums);
  cut_everywhere(spread(Manner::hurried, 2, 1), From::start, choice, sums);
  sums.print("one of several lines, of bytes " + choice.text());
  CHECK(sums.unclean == 0);
  CHECK(sums.of.forgiven == 0);
}

// The tests of the test: two things taken out that the promises rest on.

TEST_CASE("without the journal, messages come twice, and it is seen", "[cuts]") {
  Sums sums;
  Share choice(8);
  Trial trial = trial_of(Manner::lockstep, false, 1, false);
  trial.forgets = true;
  cut_everywhere(trial, From::turn, choice, sums);
  sums.print("without the journal");
  CHECK(sums.of.doubled > 0);
  CHECK(sums.of.lost + sums.of.corrupted == 0);
}

TEST_CASE("without the look before the dot, messages are handed over in vain, and it is seen", "[cuts]") {
  Sums sums;
  Trial trial = trial_of(Manner::lockstep, false, 1, false);
  trial.is_blind = true;
  trial.faults.cut_after_read = end_of_content(trial);
  sums.add(trial);
  sums.print("without the look before the dot");
  CHECK(sums.of.in_vain == 1);
  CHECK(sums.of.lost + sums.of.corrupted + sums.of.doubled == 0);
  trial.is_blind = false;
  CHECK(perform(trial).are_clean());
}

}  // namespace odmr::conversation
