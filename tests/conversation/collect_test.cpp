// Mail from a mailbox, over POP3 and IMAP: what is said, and the line cut at every byte.

#include <catch2/catch.hpp>
#include <cstdio>

#include "mailbox_trial.hpp"
#include "share.hpp"

namespace odmr::conversation {

namespace {

using net::Cut;

constexpr Cut k_cuts[] = {Cut::reset, Cut::closed, Cut::silence};

struct Sums {
  MailboxFindings of;
  std::size_t trials = 0;
  std::size_t unclean = 0;

  void add(const MailboxTrial& trial) {
    const auto found = perform(trial);
    ++trials;
    of.lost += found.lost;
    of.corrupted += found.corrupted;
    of.doubled += found.doubled;
    of.forgiven += found.forgiven;
    of.stuck += found.stuck;
    of.undeleted += found.undeleted;
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

void cut_one_way(const MailboxTrial& trial, std::size_t connection, std::size_t net::Faults::*direction,
                 std::size_t end, const std::set<std::size_t>& pauses, Share& choice, Sums& sums) {
  for (const Cut cut : k_cuts) {
    for (std::size_t at = 1; at <= end; ++at) {
      MailboxTrial one = trial;
      one.connection = connection;
      one.faults.*direction = at;
      one.faults.cut = cut;
      one.is_once_a_run = at % 2 == 0;
      if (choice.takes_next()) sums.add(one);
      if (pauses.count(at) == 0 || !choice.takes_next()) continue;
      one.faults.cuts_late = true;
      sums.add(one);
    }
  }
}

void cut_everywhere(const MailboxTrial& trial, Share& choice, Sums& sums) {
  const auto whole = perform(trial);
  INFO(trial.text() << ": " << whole.text());
  REQUIRE(whole.are_clean());
  REQUIRE(whole.traffics.size() == 1);
  const auto& traffic = whole.traffics.front();
  cut_one_way(trial, 0, &net::Faults::cut_after_read, traffic.bytes_read, whole.read_up_to.front(), choice, sums);
  cut_one_way(trial, 0, &net::Faults::cut_after_written, traffic.bytes_written, whole.written_up_to.front(), choice,
              sums);
}

MailboxTrial trial_of(bool imap, bool leaves, bool tls = false) {
  MailboxTrial trial;
  trial.imap = imap;
  trial.leaves = leaves;
  trial.tls = tls;
  return trial;
}

bool has(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

TEST_CASE("a mailbox is emptied into the target, over POP3 and IMAP", "[collect]") {
  for (const bool imap : {false, true}) {
    for (const bool tls : {false, true}) {
      const auto trial = trial_of(imap, false, tls);
      const auto found = perform(trial);
      INFO(trial.text() << ": " << found.text());
      CHECK(found.are_clean());
      CHECK(found.outcomes == std::vector<Outcome>{Outcome::fetched, Outcome::no_mail});
      CHECK(found.left == 0);
      CHECK(found.reverse_paths == std::vector<std::string>{"<sender0@example.org>", "<>", "<sender2@example.org>"});
      REQUIRE(found.received.size() == 3);
      const std::string way = std::string("with ") + (imap ? "IMAP" : "POP3");
      CHECK(found.received.front().find(way) != std::string::npos);
      CHECK((found.received.front().find(way + "S") != std::string::npos) == tls);
    }
  }
}

TEST_CASE("what is left in the mailbox is collected once, and nothing is changed there", "[collect]") {
  for (const bool imap : {false, true}) {
    const auto trial = trial_of(imap, true);
    const auto found = perform(trial);
    INFO(trial.text() << ": " << found.text());
    CHECK(found.are_clean());
    CHECK(found.outcomes == std::vector<Outcome>{Outcome::fetched, Outcome::no_mail});
    CHECK(found.left == 3);
    CHECK(has(found.commands, "EXAMINE \"INBOX\"") == imap);
    for (const auto& one : found.commands) {
      CHECK_FALSE(one.starts_with("DELE"));
      CHECK_FALSE(one.starts_with("UID STORE"));
    }
  }
}

TEST_CASE("servers without PIPELINING, UIDL or UIDPLUS, and those that name a message last, are served", "[collect]") {
  auto trial = trial_of(false, false);
  trial.pipelines = false;
  CHECK(perform(trial).are_clean());
  trial.has_names = false;
  CHECK(perform(trial).are_clean());
  trial = trial_of(true, false);
  trial.uid_plus = false;
  CHECK(perform(trial).are_clean());
  trial.names_last = true;
  CHECK(perform(trial).are_clean());
}

TEST_CASE("without UIDL nothing can be left on a POP3 server, and that is said before any mail comes", "[collect]") {
  auto trial = trial_of(false, true);
  trial.has_names = false;
  const auto found = perform(trial);
  CHECK(found.outcomes.front() == Outcome::config);
  CHECK(found.texts.front().find("leave_on_server = false") != std::string::npos);
  CHECK(found.retrieved.empty());
  CHECK(found.left == 3);
}

TEST_CASE("two messages of the same bytes are two, where the server names them", "[collect]") {
  for (const bool imap : {false, true}) {
    for (const bool leaves : {false, true}) {
      auto trial = trial_of(imap, leaves);
      trial.content = "Subject: the same\r\n\r\nagain\r\n";
      const auto found = perform(trial);
      INFO(trial.text() << ": " << found.text());
      CHECK(found.are_clean());
      CHECK(found.received.size() == 3);
    }
  }
}

TEST_CASE("what the target puts off stays in the mailbox, and comes with the next run", "[collect]") {
  for (const bool imap : {false, true}) {
    for (const bool leaves : {false, true}) {
      auto trial = trial_of(imap, leaves);
      trial.at_dot = AtDot::says_450;
      const auto found = perform(trial);
      INFO(trial.text() << ": " << found.text());
      CHECK(found.are_clean());
      CHECK(found.outcomes == std::vector<Outcome>{Outcome::deferred, Outcome::fetched, Outcome::no_mail});
    }
  }
}

TEST_CASE("what the target refuses for good stays in the mailbox and is told of, or its sender is", "[collect]") {
  for (const bool imap : {false, true}) {
    auto trial = trial_of(imap, false);
    trial.at_dot = AtDot::says_550;
    auto found = perform(trial);
    INFO(trial.text() << ": " << found.text());
    CHECK(found.are_clean());
    CHECK(found.left == 3);
    CHECK(found.outcomes.front() == Outcome::deferred);
    CHECK(found.texts.front().find("550 5.7.1 never") != std::string::npos);
    CHECK(found.causes.front() == Cause::mail_left_there);
    CHECK(found.remedies.front().find("refused = \"bounce\" in [provider.isp]") != std::string::npos);
    trial.bounces = true;
    found = perform(trial);
    CHECK(found.are_clean());
    CHECK(found.left == 0);
    CHECK(found.bounced == 3);
    CHECK(found.outcomes == std::vector<Outcome>{Outcome::fetched, Outcome::no_mail});
  }
}

TEST_CASE("a folder that is not there is named, and the key", "[collect]") {
  auto trial = trial_of(true, false);
  trial.refuses_folder = true;
  const auto found = perform(trial);
  CHECK(found.outcomes.front() == Outcome::refused);
  CHECK(found.causes.front() == Cause::folder_refused);
  CHECK(found.texts.front().find("\"INBOX\"") != std::string::npos);
  CHECK(found.remedies.front().find("folder in [provider.isp]") != std::string::npos);
}

TEST_CASE("a message that is too large is not asked for", "[collect]") {
  for (const bool imap : {false, true}) {
    auto trial = trial_of(imap, false);
    trial.max_size = 20;
    const auto found = perform(trial);
    CHECK(found.retrieved.empty());
    CHECK(found.left == 3);
    CHECK(found.outcomes.front() == Outcome::deferred);
    CHECK(found.texts.front().find("at most 20 octets") != std::string::npos);
  }
}

TEST_CASE("beyond a size the oldest of what has been collected are deleted", "[collect]") {
  for (const bool imap : {false, true}) {
    auto trial = trial_of(imap, true);
    trial.leave_up_to = 250;
    const auto found = perform(trial);
    INFO(trial.text() << ": " << found.text());
    CHECK(found.received.size() == 3);
    CHECK(found.left == 2);
  }
}

TEST_CASE("of a mailbox of many only who lacks a message gets it with the next run", "[collect]") {
  for (const bool imap : {false, true}) {
    for (const bool leaves : {false, true}) {
      auto trial = trial_of(imap, leaves);
      trial.messages = 1;
      trial.is_multidrop = true;
      trial.puts_off = "bert@customer.example";
      trial.content =
          "Return-Path: <a@example.org>\r\nDelivered-To: mbox-anna@customer.example\r\n"
          "Delivered-To: mbox-bert@customer.example\r\nSubject: two\r\n\r\ntext\r\n";
      const auto found = perform(trial);
      INFO(trial.text() << ": " << found.text());
      CHECK(found.outcomes == std::vector<Outcome>{Outcome::deferred, Outcome::fetched, Outcome::no_mail});
      CHECK(found.taken_for == std::vector<std::string>{"anna@customer.example ", "bert@customer.example "});
      CHECK(found.left == (leaves ? 1 : 0));
    }
  }
}

TEST_CASE("of several copies of a message in a mailbox of many each recipient gets one", "[collect]") {
  for (const bool imap : {false, true}) {
    for (const bool leaves : {false, true}) {
      for (const bool has_names : {false, true}) {
        if (!has_names && (imap || leaves)) continue;
        auto trial = trial_of(imap, leaves);
        trial.copies = 3;
        trial.has_names = has_names;
        auto found = perform(trial);
        INFO(trial.text() << ": " << found.text());
        CHECK(found.are_clean());
        CHECK(found.outcomes == std::vector<Outcome>{Outcome::fetched, Outcome::no_mail});
        CHECK(found.taken_for == std::vector<std::string>(3, "anna@customer.example bob@customer.example "));
        CHECK(found.left == (leaves ? 9 : 0));
        // The first copy did not reach one of the two: the second brings it to him alone.
        trial.puts_off = "bob@customer.example";
        found = perform(trial);
        CHECK(found.left == (leaves ? 9 : 0));
        CHECK(found.taken_for.size() == 6);
        CHECK(std::count(found.taken_for.begin(), found.taken_for.end(), "anna@customer.example ") == 3);
        CHECK(std::count(found.taken_for.begin(), found.taken_for.end(), "bob@customer.example ") == 3);
      }
    }
  }
}

TEST_CASE("a copy that differs in one octet of its body is another message", "[collect]") {
  for (const bool imap : {false, true}) {
    auto trial = trial_of(imap, false);
    trial.copies = 2;
    trial.differs = true;
    const auto found = perform(trial);
    INFO(trial.text() << ": " << found.text());
    CHECK(found.received.size() == 6);
    CHECK(found.left == 0);
    CHECK(found.corrupted == 0);
  }
}

TEST_CASE("the line to a mailbox with copies is cut at every byte, and the target dies with one", "[collect]") {
  Share choice(24);
  for (const bool imap : {false, true}) {
    Sums sums;
    auto trial = trial_of(imap, imap);
    trial.messages = 2;
    trial.copies = 2;
    cut_everywhere(trial, choice, sums);
    sums.print(trial.text() + ", of bytes " + choice.text());
    CHECK(sums.unclean == 0);
    CHECK(sums.of.forgiven == 0);
    trial.at_dot = AtDot::dies_with_it;
    sums.add(trial);
    CHECK(sums.unclean == 0);
    CHECK(sums.of.forgiven == 1);
  }
}

TEST_CASE("who is not let in says good-bye", "[collect]") {
  for (const bool imap : {false, true}) {
    auto trial = trial_of(imap, false);
    trial.refuses_login = true;
    const auto found = perform(trial);
    CHECK(found.outcomes.front() == Outcome::auth);
    REQUIRE_FALSE(found.commands.empty());
    CHECK(has(found.commands, imap ? "LOGOUT" : "QUIT"));
    CHECK(found.stuck == 0);
  }
}

TEST_CASE("what names nobody, and what goes round, stays in the mailbox and is told of", "[collect]") {
  auto trial = trial_of(false, false);
  trial.messages = 1;
  trial.is_multidrop = true;
  trial.content = "Subject: for whom?\r\n\r\ntext\r\n";
  auto found = perform(trial);
  CHECK(found.outcomes.front() == Outcome::deferred);
  CHECK(found.texts.front().find("nobody can be told whom it is for") != std::string::npos);
  CHECK(found.received.empty());
  CHECK(found.left == 1);
  trial.is_multidrop = false;
  std::string rounds;
  for (int i = 0; i < 4; ++i)
    rounds += "Received: from a.example by mail.customer.example with POP3S id 1; Sat, 31 Jan 2026 10:00:00 +0000\r\n";
  trial.content = rounds + "Subject: round\r\n\r\ntext\r\n";
  found = perform(trial);
  CHECK(found.outcomes.front() == Outcome::deferred);
  CHECK(found.texts.front().find("loop") != std::string::npos);
  CHECK(found.received.empty());
  CHECK(found.left == 1);
}

TEST_CASE("the line to the mailbox is reset, closed and stalled at every byte", "[collect]") {
  Share choice(72);
  for (const bool tls : {false, true}) {
    for (const bool imap : {false, true}) {
      for (const bool leaves : {false, true}) {
        Sums sums;
        const auto trial = trial_of(imap, leaves, tls);
        cut_everywhere(trial, choice, sums);
        sums.print(trial.text().substr(0, trial.text().find(", connection")) + ", of bytes " + choice.text());
        CHECK(sums.unclean == 0);
        CHECK(sums.of.forgiven == 0);
      }
    }
  }
}

TEST_CASE("the line to a server without UIDL, or PIPELINING, or UIDPLUS, is cut at every byte", "[collect]") {
  Share choice(72);
  auto trial = trial_of(false, false);
  trial.has_names = trial.pipelines = false;
  Sums sums;
  cut_everywhere(trial, choice, sums);
  trial = trial_of(true, false);
  trial.uid_plus = false;
  trial.names_last = true;
  cut_everywhere(trial, choice, sums);
  sums.print("poorer servers, of bytes " + choice.text());
  CHECK(sums.unclean == 0);
}

TEST_CASE("the target dies with a message from a mailbox: that one may come twice, and no other", "[collect]") {
  Sums sums;
  for (const bool imap : {false, true}) {
    for (const bool leaves : {false, true}) {
      auto trial = trial_of(imap, leaves);
      trial.at_dot = AtDot::dies_with_it;
      sums.add(trial);
    }
  }
  sums.print("the target dies with a message");
  CHECK(sums.unclean == 0);
  CHECK(sums.of.forgiven == 4);
}

// The test of the test.

TEST_CASE("without the journal, messages from a mailbox come twice, and it is seen", "[collect]") {
  Sums sums;
  Share choice(4);
  auto trial = trial_of(false, false);
  trial.forgets = true;
  cut_everywhere(trial, choice, sums);
  sums.print("without the journal");
  CHECK(sums.of.doubled > 0);
  CHECK(sums.of.lost + sums.of.corrupted == 0);
}

}  // namespace odmr::conversation
