#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>

#include "db/database.hpp"
#include "queue_stage.hpp"

using namespace odmr;
using namespace odmr::queue;
using namespace odmr::test;
using namespace std::chrono_literals;

namespace {

using How = Queue::NoticeOutcome::How;

// What the queue promises, told in the simplest way: who stands where, and when what is due.
class Model {
 public:
  struct Recipient {
    Standing standing = Standing::waiting;
    bool is_stuck = false;
  };
  struct Message {
    WallTime arrival;
    bool is_null = false;
    bool is_held = false;
    bool is_settled = false;  // its schedule is its own, until the index is lost
    std::vector<Recipient> recipients;

    std::size_t count(Standing standing, bool is_stuck = false) const {
      std::size_t number = 0;
      for (const auto& one : recipients) {
        if (one.standing == standing && one.is_stuck == is_stuck) ++number;
      }
      return number;
    }
    bool is_over() const { return count(Standing::sent) + count(Standing::told) == recipients.size(); }
    Stopped stopped() const {
      if (is_held) return Stopped::held;
      const bool has_work = count(Standing::waiting) + count(Standing::failed) > 0;
      return has_work ? Stopped::no : Stopped::undeliverable;
    }
  };

  void clear_up() {
    std::erase_if(messages, [](const auto& one) { return one.second.is_over(); });
  }

  std::map<std::string, Message> messages;
};

// One run of random operations, after each of which queue and model must agree.
class Play {
 public:
  explicit Play(unsigned seed) : random_(seed), queue_(std::make_unique<Queue>(stage_.start())) {}

  void step() {
    switch (pick(14)) {
      case 0:
      case 1:
      case 2:
        return put();
      case 3:
      case 4:
      case 5:
      case 6:
        return attempt();
      case 7:
        return hold_or_release();
      case 8:
        return retry();
      case 9:
        return pick(4) == 0 ? remove() : put();
      case 10:
      case 11:
        return notice();
      case 12:
        return reopen();
      default:
        stage_.clock.pass(std::chrono::minutes(pick(300)));
        return expire();
    }
  }

  void compare() {
    REQUIRE(queue_->refresh());
    model_.clear_up();
    const auto all = entries(*queue_);
    REQUIRE(all.size() == model_.messages.size());
    for (const auto& entry : all) {
      CAPTURE(entry.id);
      REQUIRE(model_.messages.contains(entry.id));
      const auto& message = model_.messages.at(entry.id);
      CHECK(entry.stopped == message.stopped());
      CHECK(entry.arrival == message.arrival);
      REQUIRE(entry.recipients.size() == message.recipients.size());
      for (std::size_t i = 0; i < entry.recipients.size(); ++i) {
        CHECK(entry.recipients[i].standing == message.recipients[i].standing);
      }
      if (!message.is_settled) CHECK(entry.next_try <= stage_.clock.time);
    }
  }

  // Every message that has somebody waiting is given by somebody new, and nothing else is.
  void compare_due() {
    Queue fresh = stage_.open();
    REQUIRE(fresh.refresh());
    auto due = all_due(fresh, true);
    std::sort(due.begin(), due.end());
    std::vector<std::string> expected;
    for (const auto& [id, message] : model_.messages) {
      if (!message.is_held && message.count(Standing::waiting) > 0) expected.push_back(id);
    }
    CHECK(due == expected);
    CHECK(stage_.log.count("error a message in the queue is damaged") == 0);
  }

 private:
  std::size_t pick(std::size_t below) { return random_() % below; }

  const std::string* any() {
    model_.clear_up();
    if (model_.messages.empty()) return nullptr;
    return &std::next(model_.messages.begin(), static_cast<std::ptrdiff_t>(pick(model_.messages.size())))->first;
  }

  void put() {
    const bool is_null = pick(4) == 0;
    const std::size_t number = 1 + pick(3);
    const auto id = stage_.put(number, is_null ? "" : "a@example.org");
    model_.messages[id] = {stage_.clock.time, is_null, false, false, std::vector<Model::Recipient>(number)};
  }

  void attempt() {
    std::vector<Attempt> attempts;
    std::vector<Letter> letters;
    for (std::size_t i = 1 + pick(3); i > 0; --i) {
      const auto* id = any();
      if (id == nullptr) return;
      auto letter = queue_->take(*id);
      REQUIRE(letter);
      auto& message = model_.messages.at(*id);
      const bool is_mine =
          std::any_of(letters.begin(), letters.end(), [&](const Letter& one) { return one.id == *id; });
      const bool can_be = !message.is_held && message.count(Standing::waiting) > 0 && !is_mine;
      REQUIRE(letter->has_value() == can_be);
      if (!can_be) continue;
      REQUIRE((*letter)->waiting.size() == message.count(Standing::waiting));
      attempts.push_back(attempt_for(**letter, message));
      letters.push_back(std::move(**letter));
    }
    for (const auto& result : queue_->settle(attempts)) CHECK(result);
  }

  Attempt attempt_for(const Letter& letter, Model::Message& message) {
    Attempt attempt{letter.id, {}, {}, {}, {}};
    const bool is_late = stage_.clock.time - message.arrival > stage_.options.lifetime;
    for (const std::size_t place : letter.waiting) {
      auto& recipient = message.recipients[place];
      const smtp::Reply reply(550, std::string(pick(50), 'x'));
      switch (pick(4)) {
        case 0:
          attempt.sent.push_back(place);
          recipient.standing = Standing::sent;
          break;
        case 1:
          attempt.failed.push_back({place, reply});
          recipient = {Standing::failed, message.is_null};
          break;
        case 2:
          attempt.put_off.push_back({place, reply});
          message.is_settled = true;
          if (is_late) recipient = {Standing::failed, message.is_null};
          break;
        default:
          break;
      }
    }
    return attempt;
  }

  void hold_or_release() {
    const auto* id = any();
    if (id == nullptr) return;
    auto& message = model_.messages.at(*id);
    message.is_held = pick(3) == 0;
    CHECK((message.is_held ? queue_->hold(*id) : queue_->release(*id)));
  }

  void retry() {
    const auto* id = any();
    if (id == nullptr) return;
    CHECK(queue_->retry(*id));
    auto& message = model_.messages.at(*id);
    message.is_settled = false;
    for (auto& one : message.recipients) {
      if (one.is_stuck) one = {};
    }
  }

  void remove() {
    const auto* id = any();
    if (id == nullptr) return;
    CHECK(queue_->remove(*id));
    model_.messages.erase(*id);
  }

  void notice() {
    const auto* id = any();
    if (id == nullptr) return;
    auto& message = model_.messages.at(*id);
    auto notice = queue_->take_notice(*id);
    REQUIRE(notice);
    const bool is_due = !message.is_held && message.count(Standing::failed) > 0;
    REQUIRE(notice->has_value() == is_due);
    if (!is_due) return;
    CHECK((*notice)->recipients.size() == message.count(Standing::failed));
    const bool is_told = pick(3) > 0;
    CHECK(queue_->settle_notice(**notice, {is_told ? How::told : How::undeliverable, "550 no"}));
    for (auto& one : message.recipients) {
      if (one.standing != Standing::failed || one.is_stuck) continue;
      if (is_told) one.standing = Standing::told;
      one.is_stuck = !is_told;
    }
  }

  void expire() {
    REQUIRE(queue_->expire(smtp::Reply(451, "never tried")));
    for (auto& [id, message] : model_.messages) {
      if (message.is_held || stage_.clock.time - message.arrival <= stage_.options.lifetime) continue;
      for (auto& one : message.recipients) {
        if (one.standing == Standing::waiting) one = {Standing::failed, message.is_null};
      }
    }
  }

  // As another process, with the index as it was left, spoiled or without one.
  void reopen() {
    const std::string path = stage_.directory / "index.db";
    queue_.reset();
    switch (pick(4)) {
      case 0:
        break;
      case 1:
        REQUIRE(db::Database::remove(path));
        forget_schedule();
        break;
      case 2:
        REQUIRE(db::Database::remove(path));
        write_file(path, std::string(pick(10'000), 'x') + "y");
        forget_schedule();
        break;
      default:
        std::filesystem::resize_file(path, pick(std::filesystem::file_size(path)));
        for (auto& one : model_.messages) one.second.is_settled = true;  // it may have been too little to notice
        break;
    }
    queue_ = std::make_unique<Queue>(stage_.start());
  }

  void forget_schedule() {
    for (auto& one : model_.messages) one.second.is_settled = false;
  }

  QueueStage stage_;
  std::mt19937 random_;
  Model model_;
  std::unique_ptr<Queue> queue_;
};

}  // namespace

TEST_CASE("whatever is done in whatever order, the queue and a simple model agree", "[queue]") {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Play play(seed);
    for (int step = 0; step < 150; ++step) {
      CAPTURE(step);
      play.step();
      play.compare();
      if (step % 10 == 0) play.compare_due();
    }
  }
}
