#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "smtp/reply.hpp"
#include "spool/store.hpp"

namespace odmr::queue {

struct QueueOptions {
  Duration lifetime = std::chrono::hours(120);  ///< then what was put off has failed
  std::optional<Duration> delay_notice;         ///< tell the sender when a message has waited so long; none: never
  /// What nobody can be told of waits for somebody to look at it. Else the caller removes it: undeliverable().
  bool keeps_undeliverable = true;
};

/// Where a recipient stands. The message goes when all are sent or told.
enum class Standing {
  waiting,
  sent,    ///< the smart host has said 250
  failed,  ///< for good, and a bounce is due
  told,    ///< failed, and the bounce is out (or none is due)
};

struct RecipientState {
  std::string address;
  spool::Attributes attributes;  ///< in show() only: a list does not open the messages
  Standing standing = Standing::waiting;
  std::string reply;  ///< the last one, joined; empty before the first attempt
};

/// What holds a message up, beside time.
enum class Stopped {
  no,
  held,           ///< by `odmr queue hold`
  undeliverable,  ///< failed, and nobody can be told: it stays for somebody to look at
};

/// A message that cannot be used.
struct Unusable {
  std::string file;  ///< below the queue's directory: "corrupt/ID" for one set aside, "held/ID" for one left alone
  std::string why;
};

/// A message as a list shows it.
struct Entry {
  std::string id;
  WallTime arrival;
  std::uint64_t size = 0;
  std::string reverse_path;
  std::vector<RecipientState> recipients;
  Stopped stopped = Stopped::no;
  bool is_untold = false;  ///< nobody waits for it any more, but its sender for the bounce
  WallTime next_try;       ///< of the bounce, where that is what waits
  std::uint64_t tries = 0;
  /// The last word about the message as a whole; of a bounce that waits, or that nobody could be told by, about that.
  std::string reply;
};

/// A message taken out to be worked on; nobody else can take it meanwhile, in no process.
struct Letter {
  std::string id;
  spool::MessageReader message;
  std::vector<std::size_t> waiting;  ///< places in the envelope
  Descriptor claim;
  WallTime since;  ///< when its lifetime began: at its arrival, unless that was in the future
};

/// What an attempt came to. A recipient that is in none of the lists waits on as before.
struct Attempt {
  struct Answer {
    std::size_t recipient = 0;  ///< place in the envelope
    smtp::Reply reply;
  };
  std::string id;
  std::vector<std::size_t> sent;
  std::vector<Answer> failed;   ///< for good
  std::vector<Answer> put_off;  ///< once the message is older than the lifetime, this is failed too
  std::string trouble;          ///< why the attempt broke off, where it did; counts as put off for all that wait
};

/// Something the sender has to be told about a message.
struct Notice {
  enum class About { failure, delay };
  About about = About::failure;
  Letter letter;
  std::vector<Attempt::Answer> recipients;  ///< those that failed (or are delayed), with the last reply
};

/// Outbound mail. The files of the store are the truth (message, and notes about it: sent, failed, told, held); the
/// index beside them knows what is due and answers lists, and is made again from the files when it is lost or damaged.
/// Putting a message in needs none of this (queue/intake.hpp).
///
/// Whenever the power goes, or the process, a message is in one of these states:
///
///   held/ID                it waits; nothing has come of it yet
///   held/ID, held/ID.done  the same, and the notes (queue/note.hpp) say what came of it, each of them whole or not
///   there held/ID.done           it is over: each recipient has it, or its sender has been told; recover() clears up
///   corrupt/ID …           it is damaged, and was set aside
///
/// whatever is in index.db: a row that knows other notes than the file has, or a message that is gone, is put right by
/// refresh(), which goes by names and sizes; take() believes the files alone. The schedule is in the index only, and
/// what it has lost is due.
///
/// An index that is damaged, or of another version, is made anew by who sends; that is said in the log. Where it cannot
/// be written (a full disk, another user's queue), it is in memory for as long as the object lives: nothing is held up,
/// and the next tries are forgotten.
///
/// Who sends must hold the state directory's lock; the calls for lists and for the hand may come from any process
/// meanwhile. All calls may come from several threads; none waits for a sync of another, but it may wait, for seconds
/// at worst, for another process that writes the index. An object is for one run: who repeats opens another.
class Queue {
 public:
  /// Opens store and index in `directory`, makes what is missing; nothing is read before refresh(). `clock`, `log` and
  /// `files` must outlive it. Errors: as spool::Store::in.
  static Result<Queue> in(const std::string& directory, const QueueOptions& options, Clock& clock, Log& log,
                          FileOps& files = system_files());
  ~Queue();
  Queue(Queue&&) noexcept;
  Queue& operator=(Queue&&) = delete;

  /// Clears what crashes left; for the holder of the lock, at its start.
  Result<void> recover();
  /// Makes the index follow the directory: learns new messages and new notes, forgets those that are gone, sets damaged
  /// ones aside. What it cannot read it leaves alone, and says so. Opens only the messages that it does not know.
  Result<void> refresh();
  /// Messages that this object has set aside. Sums::set_aside counts all that are there.
  std::vector<Unusable> set_aside() const;
  /// Messages that it could not read, and left where they are.
  std::vector<Unusable> left_alone() const;

  // --- for the sender

  /// Whether what becomes of a message could be written down now: to be asked before anything is sent, since what
  /// cannot be written down is sent again by every run. Two syncs. Errors: those of the disk.
  Result<void> try_note();
  /// Ids of messages to try now, the longest due first, at most `most`, none when there are no more; `all`: also what
  /// is not due yet (held ones never). Those given before by this object are left out unless retry() named them since.
  Result<std::vector<std::string>> due(bool all, std::size_t most);
  /// Whether due() would give any.
  Result<bool> has_due(bool all);
  /// No value when the message is gone, held, or in somebody else's hands meanwhile. A damaged one is set aside.
  Result<std::optional<Letter>> take(const std::string& id);
  /// Writes down, on disk when this returns, what some attempts came to; one sync serves all of them. A put-off message
  /// gets its next time. Gives one result per attempt.
  std::vector<Result<void>> settle(const std::vector<Attempt>& attempts);
  /// What is older than the lifetime and still waits has failed, with `reply` or its own last one: for when no attempt
  /// can be made at all. Gives the number of messages.
  Result<std::uint64_t> expire(const smtp::Reply& reply);
  /// What is due now stays due, and the last word about it is why it was not tried.
  Result<void> not_tried(const std::string& why);

  // --- for bounces and delay notices

  /// Ids of messages about which a notice is due now, at most `most`; `all`: also those whose notice was put off. None
  /// twice in a run.
  Result<std::vector<std::string>> notices_due(bool all, std::size_t most);
  /// Whether it would give any.
  Result<bool> has_notices_due(bool all);
  Result<std::optional<Notice>> take_notice(const std::string& id);
  struct NoticeOutcome {
    enum class How {
      told,           ///< the notice is out, or none is due
      put_off,        ///< again later; a bounce that cannot go within the lifetime, from the failure, is undeliverable
      undeliverable,  ///< nobody can be told
    };
    How how = How::told;
    std::string reply;
  };
  /// On disk when this returns. After an error this object gives the message out no more.
  Result<void> settle_notice(const Notice& notice, const NoticeOutcome& outcome);

  // --- for lists and for the hand

  /// Undeliverable messages, at most `most`, without their recipients. Sums::undeliverable counts all.
  Result<std::vector<Entry>> undeliverable(std::size_t most);
  /// As of the last refresh(), in the order of arrival. `see` gives whether to go on; it may take its time.
  Result<void> list(const std::function<bool(const Entry&)>& see);
  /// From the files. Errors: as spool::Store::open.
  Result<Entry> show(const std::string& id);
  /// Its bytes. Errors: as spool::Store::open.
  Result<spool::MessageReader> open(const std::string& id) const;
  /// Due now; what is undeliverable waits again, too. A held one stays held, and that is what it gives. Errors of these
  /// four: not_found; busy, it is being sent at this moment; denied, the queue is another user's; those of the disk.
  Result<Stopped> retry(const std::string& id);
  Result<void> hold(const std::string& id);
  Result<void> release(const std::string& id);
  Result<void> remove(const std::string& id);

  struct Sums {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t held = 0;
    std::uint64_t undeliverable = 0;
    std::uint64_t set_aside = 0;       ///< damaged ones in corrupt/, for somebody to look at
    std::optional<WallTime> oldest;    ///< arrival
    std::optional<WallTime> next_try;  ///< the earliest
  };
  Result<Sums> sums();

 private:
  struct State;
  explicit Queue(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace odmr::queue
