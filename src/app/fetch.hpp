#pragma once

#include <cstdint>
#include <functional>

#include "app/fetch_plan.hpp"
#include "app/held_lines.hpp"
#include "app/session_account.hpp"
#include "receive/reception.hpp"

namespace odmr::app {

/// Who has something to say to the provider on the logged-in connection, before ATRN: outbound mail that goes that way.
class BeforeTurn {
 public:
  virtual ~BeforeTurn() = default;
  virtual bool has_something() const = 0;
  /// Errors: the connection is over.
  virtual net::Task<Result<void>> speak(client::Session& session) = 0;
};

using OnProgress = std::function<void(const receive::Tally&, std::uint64_t bytes_of_this_message)>;

/// Where a session writes down what it must not forget.
struct Books {
  FileOps& files;
  journal::Journal& journal;
  receive::BounceKeeper& bounces;
  receive::Shelf* shelf = nullptr;  ///< for mail that the target puts off; null: the provider keeps it
};

/// The session: local target, line, login, turn, mail; and again on a new connection while that brings mail.
/// `before_turn` may be null; it is asked once, on the first connection. `held_lines`: where it is not null, and the
/// provider can, the first ATRN waits for mail. Not so for a session that takes several ATRN, or has its time.
net::Task<SessionReport> fetch(const FetchPlan& plan, net::Network& network, const Books& books,
                               BeforeTurn* before_turn, OnProgress on_progress, Log& log, Stop& stop,
                               HeldLines* held_lines = nullptr);

}  // namespace odmr::app
