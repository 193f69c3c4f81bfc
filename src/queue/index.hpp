#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "db/database.hpp"
#include "queue/record.hpp"

namespace odmr::queue {

/// The queue's memory beside the files: what each message's record came to when it was last read, for lists; and the
/// one thing that no file knows, the schedule. Losing it makes every message due, and no more. For one thread at a
/// time; errors as db::Database.
class Index {
 public:
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  ~Index();

  static Result<Index> open(const std::string& path);
  static Result<Index> in_memory();
  Result<Index> copy_in_memory();

  /// Every message, in the order of arrival, with what its row knows: the size of the notes, and the arrival.
  using See = std::function<void(std::string_view id, std::uint64_t notes, WallTime arrival)>;
  Result<void> each(const See& see);

  /// What an attempt changes in the schedule.
  struct Tried {
    std::optional<WallTime> next_try;  ///< none: as before
    std::string reply;                 ///< the last word about the message
    std::vector<Attempt::Answer> put_off;
  };
  struct Update {
    Record record;
    std::optional<Tried> tried = std::nullopt;
  };
  /// Makes the rows say what the records say, except where they know more notes than these. New ones are due at once.
  Result<void> write(const std::vector<Update>& updates, WallTime now);
  Result<void> forget(const std::vector<std::string>& ids);
  /// When to try next, and when to tell the sender.
  Result<void> set_next_try(const std::string& id, WallTime when);
  Result<void> set_next_notice(const std::string& id, WallTime when);
  /// The last word about a message, or about all that are due now.
  Result<void> set_reply(const std::string& id, const std::string& reply);
  Result<void> not_tried(const std::string& why, WallTime now);

  /// Those with recipients who wait; the longest due first.
  Result<std::vector<std::string>> due(bool all, WallTime now);
  /// Those about which a bounce is due, or (with `delayed_since`) a notice of delay, since they arrived before that.
  Result<std::vector<std::string>> notices_due(bool all, WallTime now, std::optional<WallTime> delayed_since);
  /// Those that wait and arrived before that.
  Result<std::vector<std::string>> older_than(WallTime arrival);

  /// At most `most` messages behind the one called `after`, in the order of arrival.
  Result<std::vector<Entry>> page(const std::string& after, std::uint64_t most);
  Result<std::optional<Entry>> find(const std::string& id);
  /// Those that are undeliverable, at most `most`, without their recipients.
  Result<std::vector<Entry>> undeliverable(std::uint64_t most);
  Result<Queue::Sums> sums();

  bool wants_checkpoint() const { return database_.wants_checkpoint(); }

 private:
  struct Statements;
  Index(db::Database database, std::unique_ptr<Statements> statements);
  static Result<Index> over(Result<db::Database> database);
  Result<void> write_one(const Update& update, WallTime now);
  Result<void> write_tried(const std::string& id, const Tried& tried);
  Result<std::vector<std::string>> ids(Result<db::Rows> rows);
  Result<std::vector<Entry>> entries(Result<db::Rows> rows);
  Result<void> add_recipients(std::vector<Entry>& found);

  db::Database database_;
  std::unique_ptr<Statements> statements_;
};

}  // namespace odmr::queue
