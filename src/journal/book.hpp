#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "db/database.hpp"
#include "journal/entry.hpp"
#include "journal/receipt_book.hpp"

namespace odmr::journal {

/// A recipient of a message from a mailbox, who has it.
struct Part {
  EntryId id = 0;
  std::string recipient;
};

/// The journal's tables. For one thread at a time; one more may be opened on the same file, for reading meanwhile.
/// Errors as db::Database.
class Book {
 public:
  static Result<Book> open(const std::string& path);
  static Result<Book> in_memory();
  /// For reading alone, as db::Database::open_to_read: all but begin().
  static Result<Book> open_to_read(const std::string& path);
  /// For check() and entries() of one that is damaged somewhere.
  static Result<Book> open_damaged(const std::string& path);
  Book(Book&&) noexcept;
  Book& operator=(Book&&) noexcept;
  ~Book();

  // --- what was had

  /// Whether a message for this address might be one that the recipient has: an entry from another connection, or one
  /// answered 4xx.
  Result<bool> may_be_had(const Address& address, const std::string& connection);
  /// All such addresses of a provider, at most `most`.
  Result<void> each_open(const std::string& provider, const std::string& connection, std::uint64_t most,
                         const std::function<void(const Address&)>& see);
  /// The oldest such entry for these very bytes; none of `except`.
  Result<std::optional<EntryId>> find(const Address& address, std::string_view digest, const std::string& connection,
                                      const std::vector<EntryId>& except);

  // --- what was collected from mailboxes

  /// Who has this message already, while others do not.
  Result<std::vector<Part>> parts(const Origin& origin);
  /// Whether a copy of a message that begins like this one was delivered to anybody.
  Result<bool> has_copies(const CopyKey& key);
  /// Who got a copy of this very message.
  Result<std::vector<std::string>> copied_to(const CopyKey& key);
  /// When it was collected; no value: it was not.
  Result<std::optional<WallTime>> collected(const Origin& origin);
  /// All that was collected from the mailbox, `origin`'s uid aside: `see` gets each uid.
  Result<void> each_collected(const Origin& origin, const std::function<void(std::string_view uid)>& see);
  /// All that was collected from anywhere.
  Result<void> each_collected(const std::function<Result<void>(const Origin& origin, WallTime time)>& see);

  // --- writing; nothing of it is on disk before the transaction's commit

  class Page;
  /// Begins a transaction; `synced`: on disk when it is committed.
  Result<Page> begin(bool synced);
  /// The same, not synced, and waits for nobody: busy where another process writes.
  Result<Page> begin_at_once();

  // --- housekeeping

  /// Reads all that was had, and looks for damage that opening does not come upon.
  Result<void> check();
  /// Damage has been found in the receipts: whoever opens it next is to begin a new one.
  Result<void> mark_as_damaged() { return database_.mark_as_damaged(); }
  /// Those of which nobody knows what became of them: we died between our final dot and its answer.
  Result<std::vector<Entry>> in_doubt();
  /// In the order in which they were written, behind `after`, at most `most`.
  Result<std::vector<Entry>> entries(EntryId after, std::uint64_t most);
  Result<std::optional<Entry>> entry(EntryId id);
  /// What came of sessions, for reading; Page writes it.
  ReceiptBook& receipts();

  /// Under which ids we keep messages of which it is not known whether they got there.
  Result<std::vector<std::string>> kept();

  bool wants_checkpoint(bool at_leisure = false) const { return database_.wants_checkpoint(at_leisure); }

 private:
  struct Statements;
  Book(db::Database database, std::unique_ptr<Statements> statements);
  static Result<Book> over(Result<db::Database> database);
  Result<Page> page_of(Result<db::Transaction> transaction);
  static Result<std::vector<Entry>> all_of(Result<db::Rows> rows);

  db::Database database_;
  std::unique_ptr<Statements> statements_;
};

/// A transaction of a Book, which must outlive it. Undone when it is destroyed before commit().
class Book::Page {
 public:
  /// Gives the entries' ids, in the order of the recipients.
  Result<std::vector<EntryId>> intend(const Intent& intent, WallTime now);
  Result<void> settle(const Verdict& verdict, WallTime now);
  /// One that another journal had, under the same id.
  Result<void> take_over(const Entry& entry);
  /// The provider has read all answers on this connection: it will not offer those messages again.
  Result<void> forget_answered(const std::string& connection);
  /// Counts the age of each entry, to be called once in a run, and drops those that have become older than the window.
  /// A clock that is set forward or back, however far, makes no entry go that has not been counted eight times.
  Result<std::uint64_t> forget_older_than(Duration window, WallTime now);
  /// What became of the message that is kept under this id: it is there, so that its entries stand by themselves; or it
  /// never got there, and they mean nothing.
  Result<void> settle_kept(const std::string& id, bool is_there);
  Result<void> remember_copies(const Verdict::Copied& copied, WallTime now);
  Result<void> remember_collected(const Origin& origin, WallTime time);
  /// It is not in the mailbox any more.
  Result<void> forget_collected(const Origin& origin);
  Result<bool> forget(EntryId id);
  Result<std::uint64_t> forget_provider(const std::string& provider);
  Result<std::uint64_t> forget_all();

  /// As ReceiptBook::keep() and forget_piece().
  Result<void> keep(const std::vector<Receipt>& receipts);
  Result<bool> forget_receipts(WallTime before);

  Result<void> commit() { return transaction_.commit(); }

 private:
  friend class Book;
  Page(Statements& statements, db::Transaction transaction)
      : statements_(&statements), transaction_(std::move(transaction)) {}

  Statements* statements_;
  db::Transaction transaction_;
};

}  // namespace odmr::journal
