#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "db/database.hpp"
#include "provider/waiting_mail.hpp"

namespace odmr::provider {

/// What of a held message it takes to know who waits for it.
struct IndexedMessage {
  std::string id;
  std::uint64_t octets = 0;
  std::vector<WaitingMail::Place> places;  ///< all recipients of its envelope
};

/// What has come into the spool, and gone, since the index was written.
struct IndexChanges {
  std::vector<IndexedMessage> come;
  std::vector<std::string> gone;  ///< ids

  bool empty() const { return come.empty() && gone.empty(); }
  std::size_t size() const { return come.size() + gone.size(); }
};

/// An index of the spool, in a database beside it (held.db), so that a start need not open each message. The spool is
/// the truth: what the index lacks is read there, and what it has too much means nothing, since no id is given twice. A
/// message with notes is never read from it. Nothing is synced. For one thread at a time. Errors as db::Database.
class HeldIndex {
 public:
  static std::string path_in(const std::string& spool) { return spool + "/held.db"; }

  /// Whether there is one.
  static Result<bool> is_begun(const std::string& spool);
  /// Made where it is missing; a damaged one is thrown away.
  static Result<HeldIndex> open(const std::string& spool);
  HeldIndex(HeldIndex&&) noexcept;
  HeldIndex& operator=(HeldIndex&&) noexcept;
  ~HeldIndex();

  /// All that it has, in the order of the ids.
  Result<void> each(const std::function<void(IndexedMessage message)>& see);
  /// All of it or nothing.
  Result<void> write(const IndexChanges& changes);

 private:
  struct Statements;
  HeldIndex(std::string path, db::Database database, std::unique_ptr<Statements> statements);

  std::string path_;
  db::Database database_;
  std::unique_ptr<Statements> statements_;
};

}  // namespace odmr::provider
