#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "net/wakeup.hpp"
#include "net/worker.hpp"
#include "queue/queue.hpp"

namespace odmr::send {

/// A letter on its way: over several transactions perhaps, and over several lines.
struct Errand {
  Errand(queue::Letter taken, TimePoint now) : letter(std::move(taken)), rest(letter.waiting), begun(now) {}

  queue::Letter letter;
  std::vector<std::size_t> rest;  ///< places of recipients that nobody has spoken about yet
  TimePoint begun;
  bool one_by_one = false;   ///< its recipients
  bool was_on_line = false;  ///< that was over before anything was said about it: once is no fault of its own
  std::size_t sent = 0;      ///< recipients
  std::size_t failed = 0;
  std::size_t put_off = 0;
  std::string words;  ///< what the host said
};

/// The letters that are due, one after the other, opened one by one: of the rest no more than ids are in memory, and of
/// those no more than a page.
class Feed {
 public:
  Feed(queue::Queue& queue, net::Worker& disk, bool all, Clock& clock, Log& log, const asio::any_io_executor& executor);

  /// The next letter. When there seems to be none the directory is looked at once more, so that what was submitted
  /// meanwhile goes too; no value when there is nothing left.
  net::Task<std::shared_ptr<Errand>> next();
  /// A letter that could not go over a line, through no fault of its own: it is the next one.
  void give_back(std::shared_ptr<Errand> errand);
  /// Gives up what was given back and not taken again: it waits as before.
  void let_go() { given_back_.clear(); }
  /// A letter whose text proved damaged on its way, and of which all that is known is on disk: the queue looks at it
  /// again, and sets it aside.
  void reconsider(Errand& errand);
  /// Whether letters are known to be waiting for somebody to take them.
  bool has_more() const { return !given_back_.empty() || !ids_.empty(); }

  /// The queue could not say what is due.
  const std::optional<Error>& failure() const { return failure_; }
  /// A letter could not be taken and waits, or was set aside.
  bool has_left_out() const { return has_left_out_; }

 private:
  net::Task<bool> look();
  bool turn_page();
  std::shared_ptr<Errand> take_next();

  queue::Queue& queue_;
  net::Worker& disk_;
  bool all_;
  Clock& clock_;
  Log& log_;
  std::deque<std::shared_ptr<Errand>> given_back_;
  std::deque<std::string> ids_;
  net::Wakeup looked_;
  bool is_looking_ = false;
  std::optional<Error> failure_;
  bool has_left_out_ = false;
};

}  // namespace odmr::send
