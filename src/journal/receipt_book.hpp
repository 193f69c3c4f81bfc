#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "db/database.hpp"
#include "journal/receipt.hpp"

namespace odmr::journal {

/// How much the receipts may come to, whatever providers do; the oldest go first.
struct ReceiptLimits {
  std::int64_t sessions = 100'000;
  std::int64_t connections = 100'000;
  std::int64_t messages = 100'000;
  std::int64_t recipients = 400'000;
  std::int64_t flushes = 100'000;
};

/// What came in, or went out, in 24 hours.
struct Day {
  std::uint64_t ago = 0;  ///< 0: those that end now
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

/// The sums of all sessions ever, or of all flushes, also of those whose receipts are gone.
struct Total {
  std::string provider;  ///< empty: of the flushes
  std::string of;        ///< "messages" …, as SessionEnding and FlushReceipt call it; or "sessions"
  std::string outcome;   ///< of "sessions"; else empty
  std::uint64_t count = 0;
};

/// The receipts' tables, in the journal's database, which must outlive it. Errors as db::Database.
class ReceiptBook {
 public:
  /// SQL that makes the tables; as version 2 of the journal had them; and what version 3 adds to that.
  static const char* tables();
  static const char* tables_of_version_2();
  static const char* added_in_version_3();
  static Result<ReceiptBook> over(db::Database& database, const ReceiptLimits& limits = {});
  ReceiptBook(ReceiptBook&&) noexcept;
  ReceiptBook& operator=(ReceiptBook&&) noexcept;
  ~ReceiptBook();

  // --- writing, inside a transaction of the caller's

  /// All of them or none: what else the transaction does stands, whatever becomes of this.
  Result<void> keep(const std::vector<Receipt>& receipts);
  /// Drops a bounded piece of what sessions that began before then have left. False: there was nothing to drop.
  Result<bool> forget_piece(WallTime before);

  // --- reading

  /// The last session of each provider, by the provider's name.
  Result<std::vector<SessionReceipt>> last_sessions();
  /// The last one that ended with exit status 0.
  Result<std::optional<SessionReceipt>> last_good(const std::string& provider);
  /// Sessions in which the provider took us (a turned line, or no mail) or refused us (auth, refused), the last one
  /// first, at most `most`.
  Result<std::vector<SessionReceipt>> answers_of(const std::string& provider, std::uint64_t most);
  Result<std::uint64_t> sessions_of(const std::string& provider);
  /// The last connection on which the provider showed a certificate.
  Result<std::optional<ConnectionReceipt>> last_certificate(const std::string& provider);
  Result<std::optional<FlushReceipt>> last_flush();
  Result<std::optional<FlushReceipt>> last_flush_with_certificate();
  /// Days on which something came in from the provider, of the last `days`, the last one first.
  Result<std::vector<Day>> received(const std::string& provider, WallTime now, std::uint64_t days);
  /// Likewise what went out.
  Result<std::vector<Day>> sent(WallTime now, std::uint64_t days);
  /// By provider and what it is of.
  Result<std::vector<Total>> totals();
  /// Sessions whose id begins so, at most `most`.
  Result<std::vector<SessionReceipt>> sessions_named(const std::string& beginning, std::uint64_t most);
  /// In the order of their number, behind `after`, at most `most`.
  Result<std::vector<ConnectionReceipt>> connections(const std::string& session, std::uint64_t after,
                                                     std::uint64_t most);
  /// A message, and its place in the order in which they came.
  struct Line {
    std::int64_t place = 0;
    MessageReceipt message;
  };
  /// The messages of a connection behind that place, at most `most`.
  Result<std::vector<Line>> messages(const std::string& connection, std::int64_t after, std::uint64_t most);

 private:
  struct Statements;
  ReceiptBook(std::unique_ptr<Statements> statements, const ReceiptLimits& limits);

  Result<void> keep_all(const std::vector<Receipt>& receipts);
  Result<void> keep_one(const SessionReceipt& session);
  Result<void> keep_one(const ConnectionReceipt& connection);
  Result<void> keep_one(const MessageReceipt& message);
  Result<void> keep_one(const FlushReceipt& flush);
  using Sums = std::vector<std::pair<const char*, std::uint64_t>>;
  Result<void> add_up(const std::string& provider, Outcome outcome, const Sums& sums);
  Result<void> make_room_behind(std::int64_t message, std::int64_t recipient);
  Result<bool> forget_piece_of(const std::string& session);
  Result<void> read_recipients(Line& line);

  std::unique_ptr<Statements> statements_;
  ReceiptLimits limits_;
};

}  // namespace odmr::journal
