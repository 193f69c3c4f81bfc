#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "db/database.hpp"
#include "provider/calls.hpp"

namespace odmr::provider {

/// What came of a day's calls, of all customers. Days are those of UTC.
struct CallDay {
  std::uint64_t ago = 0;  ///< 0: today
  std::uint64_t calls = 0;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

/// Logins that were refused to one address.
struct RefusedLogins {
  std::string address;
  std::uint64_t count = 0;
  WallTime first;
  WallTime last;
};

/// The sum over all calls ever: of "calls", "good" ones, "messages", "recipients", "bytes", "put_off", "refused"; with
/// no customer, of "refused_logins".
struct CallTotal {
  std::string customer;
  std::string of;
  std::uint64_t count = 0;
};

/// Something that happened, to be written down.
struct CallEvent {
  enum class Kind : std::int8_t { call, over, refused_login };
  Kind kind = Kind::call;
  Call call;            ///< but for refused logins
  std::string address;  ///< of those
  WallTime time;
};

/// What customers did, in a database of the spool (calls.db): the last calls, sums of days, and what is under way.
/// Bounded, whatever comes. Nothing in it is needed to hold mail or to hand it over: who serves writes it behind what
/// happens, and syncs nothing. For one thread at a time. Errors as db::Database.
class CallBook {
 public:
  /// How much is kept.
  static constexpr std::int64_t k_calls = 5'000;       ///< and the last one of each customer
  static constexpr std::int64_t k_addresses = 10'000;  ///< with refused logins, for a week
  static constexpr std::int64_t k_days = 400;

  static std::string path_in(const std::string& spool) { return spool + "/calls.db"; }

  /// For who serves: made where it is missing; a damaged one is thrown away.
  static Result<CallBook> open(const std::string& spool);
  /// None where nobody has served yet.
  static Result<std::optional<CallBook>> open_to_read(const std::string& spool);
  CallBook(CallBook&&) noexcept;
  CallBook& operator=(CallBook&&) noexcept;
  ~CallBook();

  /// Nothing is under way: what a process left that died.
  Result<void> begin();
  /// All of them or none.
  Result<void> note(const std::vector<CallEvent>& events);
  bool wants_checkpoint() const;

  /// The last one of each customer, by its name.
  Result<std::map<std::string, Call>> last_calls();
  /// When the last good one of each customer ended.
  Result<std::map<std::string, WallTime>> last_good();
  /// The last ones of all, the newest first.
  Result<std::vector<Call>> newest(std::uint64_t most);
  Result<std::vector<Call>> under_way();
  /// Those of the last `days` on which there was a call, today first.
  Result<std::vector<CallDay>> days(WallTime now, std::uint64_t days);
  /// Since then, the last one first, at most `most`.
  Result<std::vector<RefusedLogins>> refused_logins(WallTime since, std::uint64_t most);
  Result<std::vector<CallTotal>> totals();

 private:
  struct Statements;
  CallBook(db::Database database, std::unique_ptr<Statements> statements);
  static Result<CallBook> over(db::Database database);
  Result<void> note_one(const CallEvent& event);
  Result<void> note_over(const Call& call);
  Result<void> add_up(const Call& call);
  Result<void> make_room(WallTime now);

  db::Database database_;
  std::unique_ptr<Statements> statements_;
};

}  // namespace odmr::provider
