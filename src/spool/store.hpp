#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "spool/message_file.hpp"

namespace odmr::spool {

/// A directory of messages, with three below it (0700):
///
///   tmp/ID          being written; its writer holds a lock on it
///   held/ID         a whole message, on disk
///   held/ID.done    recipients that need no more work
///   corrupt/ID      set aside, with ID.why and perhaps ID.done
///
/// Nothing else is ever there, whenever the power goes. Any number of processes may put messages while one works on
/// them (that one holds a DirectoryLock). A Store is for one thread at a time. Errors of the disk keep their code, so
/// no_space is a full disk wherever it comes up.
class Store {
 private:
  struct Places;

 public:
  /// A message being put. Destroyed before commit() it leaves nothing behind.
  class Draft {
   public:
    ~Draft();
    Draft(Draft&&) noexcept = default;
    Draft& operator=(Draft&&) = delete;

    /// The next bytes of the message, with CRLF line ends, in pieces of any size. After an error the draft is gone
    /// and every call fails.
    Result<void> write(std::string_view piece);
    /// Gives the message's id when it is on disk: file written, synced and closed, moved to held/, that synced too.
    /// After an error nothing is kept; only where even undoing fails is the message there, whole, nevertheless.
    Result<std::string> commit();

   private:
    friend class Store;
    Draft(std::shared_ptr<const Places> places, std::string id, Descriptor file, Descriptor lock, MessageWriter writer);
    Result<void> publish();
    void discard();

    std::shared_ptr<const Places> places_;
    std::string id_;
    Descriptor file_;
    Descriptor lock_;
    MessageWriter writer_;
    int unfinished_in_ = -1;  // the directory that holds it, while it must not stay
  };

  /// Opens the store in `directory`, making what is missing; the directory above must be there. Denied where others
  /// could write into it.
  static Result<Store> in(const std::string& directory, FileOps& files = system_files());

  /// Begins a message. Errors: denied also when the store belongs to another user than we are (root included: its
  /// files would be in the owner's way).
  Result<Draft> begin(const Envelope& envelope);

  /// Something in held/ that is not touched: a link, a FIFO, a file of another user …
  struct Skipped {
    std::string name;
    std::string why;
    friend bool operator==(const Skipped&, const Skipped&) = default;
  };
  struct Listing {
    std::vector<std::string> ids;  ///< in the order of arrival
    std::vector<Skipped> skipped;
  };
  Result<Listing> list() const;

  /// Errors: not_found; malformed for a file that is no whole message (set it aside); denied for one that list()
  /// skips.
  Result<MessageReader> open(const std::string& id) const;

  /// Says, on disk when this returns, that these recipients (by their place in the envelope) need no more work.
  Result<void> mark_done(const std::string& id, const std::vector<std::size_t>& recipients);
  /// Those marked so. A mark torn by a crash does not count.
  Result<std::set<std::size_t>> done(const std::string& id) const;

  /// Ends the message: gone from disk when this returns. It needs no mark_done before when it ends all recipients at
  /// once, since it is as durable; marks made before go after it, so that no crash brings it back without them.
  Result<void> remove(const std::string& id);

  /// Moves the message out of the way, to corrupt/, with `why` beside it. Nothing is deleted.
  Result<void> set_aside(const std::string& id, std::string_view why);

  struct Recovery {
    std::vector<std::string> removed;  ///< "tmp/ID" whose writer is gone, "held/ID.done" without a message
    std::vector<Skipped> skipped;
  };
  /// Clears what crashes left. To be called by who holds the DirectoryLock, at its start; living writers of other
  /// processes are not disturbed.
  Result<Recovery> recover();

  /// Whether the text has the form of an id: what list() and commit() give, safe as a file's name.
  static bool is_id(std::string_view text);

 private:
  explicit Store(std::shared_ptr<const Places> places) : places_(std::move(places)) {}
  std::string next_id(WallTime arrival);
  Result<std::optional<Draft>> try_begin(const Envelope& envelope);
  Result<Descriptor> open_checked(const std::string& name) const;
  Result<bool> is_in(const Descriptor& place, const std::string& name) const;
  void recover_tmp(const std::string& name, Recovery& recovery);
  void recover_held(const std::string& name, Recovery& recovery);
  Result<bool> clear_marks(const std::string& id);

  std::shared_ptr<const Places> places_;
  std::uint64_t last_stamp_ = 0;
};

}  // namespace odmr::spool
