#pragma once

#include <cstdint>
#include <map>
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
///   held/ID.done    notes about it: recipients that need no more work, and what else its keeper writes down
///   corrupt/ID      set aside, with ID.why and perhaps ID.done
///
/// Nothing else is ever there, whenever the power goes. Any number of processes may put messages while one works on
/// them (that one holds a DirectoryLock). begin() is for one thread at a time; the other calls keep nothing between
/// them, and may be made from several. Errors of the disk keep their code, so no_space is a full disk wherever it comes
/// up.
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
    /// What commit() will give: for a Received line of the message itself.
    const std::string& id() const { return id_; }

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
    std::vector<std::string> ids;                ///< in the order of arrival
    std::map<std::string, std::uint64_t> notes;  ///< size of the notes, of the messages that have a file of them
    std::vector<Skipped> skipped;
  };
  Result<Listing> list() const;
  /// Whether the message is there, whole or not.
  Result<bool> contains(const std::string& id) const;
  /// Ids of what was set aside.
  Result<std::vector<std::string>> list_aside() const;

  /// Errors: not_found; malformed for a file that is no whole message (set it aside); denied for one that list()
  /// skips.
  Result<MessageReader> open(const std::string& id) const;

  /// The sole right to work on the message, in all processes, until the descriptor is closed. Errors: not_found; busy;
  /// denied for one that list() skips.
  Result<Descriptor> lock(const std::string& id) const;

  struct Notes {
    std::vector<std::string> texts;  ///< in the order in which they were written
    std::uint64_t size = 0;          ///< of their file, which only ever grows
  };
  /// None where there is no message. A note torn by a crash does not count.
  Result<Notes> notes(const std::string& id) const;

  /// What becomes of a message.
  struct Change {
    std::string id;
    std::vector<std::string> notes;  ///< short texts without line ends, written behind those before
    bool ends = false;               ///< the message goes, and after it all notes about it
  };
  /// Makes the changes, on disk when this returns. What begins or ends shares one sync of the directory, each file of
  /// notes has its own. Gives one result per change, in their order. After an error it is not known what is on disk,
  /// and asking again does not tell: the system reports a page that it lost only once. Errors: not_found, denied (the
  /// store belongs to another user than we are), malformed (a line end in a note), those of the disk.
  std::vector<Result<void>> change(const std::vector<Change>& changes);

  /// One message's notes.
  Result<void> note(const std::string& id, const std::vector<std::string>& texts);
  /// Whether notes can be written now: writes one about no message, on disk, and takes it away again. What a crash
  /// leaves of it recover() clears. For the holder of the DirectoryLock. Errors: denied, and those of the disk.
  Result<void> try_note() const;
  /// What a note adds to Notes::size.
  static std::uint64_t size_of_note(std::string_view text);

  /// The note that these recipients (by their place in the envelope) need no more work: their numbers.
  Result<void> mark_done(const std::string& id, const std::vector<std::size_t>& recipients);
  /// Those marked so.
  Result<std::set<std::size_t>> done(const std::string& id) const;

  /// Ends the message: gone from disk when this returns. It needs no mark_done before when it ends all recipients at
  /// once, since it is as durable; notes made before go after it, so that no crash brings it back without them.
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

  /// Whether the store belongs to the user we are.
  bool is_ours() const;

  /// Whether the text has the form of an id: what list() and commit() give, safe as a file's name.
  static bool is_id(std::string_view text);
  /// When the message arrived, to which an id was given: ids are in that order. No value for what is no id.
  static std::optional<WallTime> arrival_of(std::string_view id);
  /// As long as every id.
  static std::string sample_id();

 private:
  explicit Store(std::shared_ptr<const Places> places) : places_(std::move(places)) {}
  std::string next_id(WallTime arrival);
  Result<std::optional<Draft>> try_begin(const Envelope& envelope);
  Result<Descriptor> open_checked(const std::string& name) const;
  Result<bool> is_in(const Descriptor& place, const std::string& name) const;
  Result<void> append_notes(const Change& change);
  Result<void> append(const std::string& name, std::string_view bytes) const;
  void recover_tmp(const std::string& name, Recovery& recovery);
  void recover_held(const std::string& name, Recovery& recovery);
  Result<bool> clear_marks(const std::string& id);

  std::shared_ptr<const Places> places_;
  std::uint64_t last_stamp_ = 0;
};

}  // namespace odmr::spool
