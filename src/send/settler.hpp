#pragma once

#include <asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "base/log.hpp"
#include "net/wakeup.hpp"
#include "net/worker.hpp"
#include "queue/queue.hpp"

namespace odmr::send {

/// Takes what attempts came to, from all lines, and has it written down on the disk's own thread: all that has come
/// while the disk was busy goes in one batch, and one sync serves it. A batch waits, for less than a sync takes, for
/// lines that are just about to have their answer: else two lines would keep the disk busy in turn, each alone.
class Settler {
 public:
  Settler(queue::Queue& queue, net::Worker& disk, Clock& clock, Log& log, const asio::any_io_executor& executor);

  /// What is to be known about one attempt later.
  class Receipt {
   public:
    explicit Receipt(const asio::any_io_executor& executor) : settled_(executor) {}

   private:
    friend class Settler;
    bool is_settled_ = false;
    net::Wakeup settled_;
  };

  /// Comes back when it is known whether answers could be written down now; failure() says so.
  net::Task<> try_out();
  /// A line has sent a final dot, and will soon have an answer; and that it has none any more to wait for, or has it.
  void expect() { ++expected_; }
  void expect_no_more();
  /// Hands an attempt in. `claim` (of whatever type) is kept until it is on disk: nobody else may have the letter
  /// before.
  std::shared_ptr<Receipt> settle(queue::Attempt attempt, std::shared_ptr<const void> claim);
  /// Comes back when the attempt is on disk, or cannot be. Errors: something could not be written, this or another.
  net::Task<Result<void>> settled(std::shared_ptr<Receipt> receipt);
  /// Why something could not be written down: nothing more must be sent then.
  const std::optional<Error>& failure() const { return failure_; }

  /// Does the work; comes back after close(), when all is done.
  net::Task<> run();
  void close();

 private:
  struct Item {
    queue::Attempt attempt;
    std::shared_ptr<const void> claim;
    std::shared_ptr<Receipt> receipt;
  };
  net::Task<> gather();
  net::Task<> settle_all(std::vector<Item> batch);
  void note(const queue::Attempt& attempt, const Result<void>& result);

  queue::Queue& queue_;
  net::Worker& disk_;
  Clock& clock_;
  Log& log_;
  asio::any_io_executor executor_;
  std::vector<Item> waiting_;
  net::Wakeup changed_;
  std::size_t expected_ = 0;
  std::unique_ptr<Alarm> alarm_;  // ends gather()
  Duration last_took_{};          // a batch
  bool is_closed_ = false;
  std::optional<Error> failure_;
};

}  // namespace odmr::send
