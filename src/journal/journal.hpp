#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "journal/book.hpp"
#include "journal/open_addresses.hpp"
#include "net/wakeup.hpp"
#include "net/worker.hpp"

namespace odmr::journal {

struct JournalOptions {
  std::string path;
  Duration duplicate_window = std::chrono::hours(7 * 24);  ///< how long an entry waits to be offered again
  Duration receipts = std::chrono::hours(90 * 24);         ///< how long they are kept
};

/// What recipients have, so that nobody gets it twice. Reading is done at once, on the loop, and so is what is written
/// without a sync while nobody else writes: it takes less than to wake a thread. All other writing is done on a thread
/// of its own, and what several sessions write at the same moment shares one sync.
class Journal {
 public:
  /// Opens it, makes it, or brings it up to this version; throws out what is older than the window. A damaged file is
  /// put aside, beside it, and a new one begun: that is said in the log. Blocks. `disk` and what else is given must
  /// outlive it; the state directory's lock is the caller's business. Errors: as Book.
  static Result<std::unique_ptr<Journal>> open(const JournalOptions& options, const asio::any_io_executor& loop,
                                               net::Worker& disk, Clock& clock, Log& log);

  /// One that lasts as long as this object.
  static Result<std::unique_ptr<Journal>> in_memory(const asio::any_io_executor& loop, net::Worker& disk, Clock& clock,
                                                    Log& log);

  /// Of messages that we keep ourselves: what a crash left open, settled by whether the message `is_there`. To be
  /// called before any of them may go, on disk when it returns. Blocks.
  Result<void> settle_kept(const std::function<Result<bool>(const std::string& id)>& is_there);

  /// Whether a message for this address may be one that the recipient has.
  Result<bool> may_be_had(const Address& address, const std::string& connection);
  /// The entry that says so of these bytes; none of `except`, which are matched already.
  Result<std::optional<EntryId>> find(const Address& address, std::string_view digest, const std::string& connection,
                                      const std::vector<EntryId>& except);

  // --- what was collected from mailboxes

  /// As Book::parts(), has_copies(), copied_to(), collected() and each_collected().
  Result<std::vector<Part>> parts(const Origin& origin) { return reader().parts(origin); }
  Result<bool> has_copies(const CopyKey& key) { return reader().has_copies(key); }
  Result<std::vector<std::string>> copied_to(const CopyKey& key) { return reader().copied_to(key); }
  Result<std::optional<WallTime>> collected(const Origin& origin) { return reader().collected(origin); }
  Result<void> each_collected(const Origin& origin, const std::function<void(std::string_view uid)>& see) {
    return reader().each_collected(origin, see);
  }
  /// These are not in the mailbox any more. Not synced.
  net::Task<Result<void>> forget_collected(const std::vector<Origin>& gone);

  // --- what was had

  /// Before our final dot: makes sure that there is room to write down what comes of it. Not synced.
  net::Task<Result<std::vector<EntryId>>> intend(const Intent& intent);
  /// Before the provider hears of it: on disk when it comes back, if anybody has the message.
  net::Task<Result<void>> settle(const Verdict& verdict);
  /// The provider has read all answers so far on this connection. Written with the next of the above, or by flush().
  void answers_read(const std::string& connection);
  /// For those who ask later what came. Written with what is settled next, or by flush(), never synced for its own
  /// sake; messages wait for each other, for a second at most as long as more is settled, since many take hardly longer
  /// to write than one. Where that fails, or it is too much for our memory until then, it is lost, which is said in the
  /// log and harms nobody else.
  void note(Receipt receipt);
  /// Writes what was noted if that has become much: for who notes without writing anything else.
  net::Task<> relieve();
  /// What answers_read() and note() were told is in the book.
  net::Task<Result<void>> flush();
  /// When all is done, and nobody waits for anything: leaves the file so that it is opened quickly. Blocks.
  void settle_down();
  /// For reading.
  ReceiptBook& receipts() { return reader().receipts(); }

 private:
  struct Job;

  Journal(JournalOptions options, Book writer, std::optional<Book> reader, const asio::any_io_executor& loop,
          net::Worker& disk, Clock& clock, Log& log);
  Book& reader() { return reader_ ? *reader_ : writer_; }
  static Result<std::unique_ptr<Journal>> open_whole(const JournalOptions& options, const asio::any_io_executor& loop,
                                                     net::Worker& disk, Clock& clock, Log& log);
  static Result<std::unique_ptr<Journal>> begin_anew(const JournalOptions& options, const Error& why,
                                                     const asio::any_io_executor& loop, net::Worker& disk, Clock& clock,
                                                     Log& log);
  Result<OpenAddresses::View*> learn_open(const Address& address, const std::string& connection);
  Result<void> tidy();
  Result<void> tidy_receipts();
  WallTime oldest_receipt() const;
  void tell_doubts(const std::vector<Entry>& in_doubt);
  net::Task<Result<void>> write(Job& job);
  bool may_write_at_once() const;
  Result<void> write_at_once(Job& job);
  bool wants_receipts(const std::vector<Job*>& batch) const;
  std::vector<Receipt> take_receipts();
  Result<void> write_batch(const std::vector<Job*>& batch, const std::vector<std::string>& read,
                           const std::vector<Receipt>& noted);
  Result<void> write_page(const std::vector<Job*>& batch, const std::vector<std::string>& read,
                          const std::vector<Receipt>& noted, bool synced);
  Result<void> write_entries(Book::Page& page, const std::vector<Job*>& batch, const std::vector<std::string>& read);
  Result<void> keep(Book::Page& page, const std::vector<Receipt>& noted);

  const JournalOptions options_;
  Book writer_;                 // the disk's thread has it
  std::optional<Book> reader_;  // none in memory
  net::Worker& disk_;
  Clock& clock_;
  Log& log_;
  OpenAddresses open_;
  std::vector<Job*> waiting_;
  std::vector<std::string> read_;  // connections
  std::vector<Receipt> noted_;
  std::size_t noted_weight_ = 0;
  bool is_more_than_messages_ = false;  // what is noted
  TimePoint noted_since_;
  bool is_overfull_ = false;       // some were not noted
  std::optional<Error> not_kept_;  // why the receipts of the last batch were lost
  bool is_writing_ = false;
  bool log_begins_anew_ = true;  // with the next write, which is then synced
  net::Wakeup changed_;
};

}  // namespace odmr::journal
