#pragma once

#include <optional>
#include <set>
#include <string>

#include "base/log.hpp"
#include "base/stop.hpp"
#include "net/worker.hpp"
#include "provider/dialogue.hpp"

namespace odmr::app {

/// Tells people what came to nothing: of odmrd's held mail.
///
/// A message that its customer has not fetched within the lifetime is refused, as if by the customer. Of what is
/// refused, now or ever, the sender gets a bounce (RFC 3464) through the smart host, by way of a queue of odmrd's own
/// in SPOOL/queue, which tries again where the smart host puts it off. A bounce that nobody takes is logged, and gone
/// (RFC 5321 6.1). The postmaster is told, once for each spell, where mail has waited for a customer longer than
/// its warn_after; a file in SPOOL/warned, named after a digest of the customer's name, says that he was.
///
/// Without a way out nothing expires and nothing is sent; records stay in SPOOL/bounces. The lock of the spool is the
/// caller's business.
class Notifier {
 public:
  struct Options {
    std::string spool;
    std::string hostname;
    std::string postmaster;  ///< an address; empty: nobody is warned
  };

  /// What is given must outlive it. `provider`: its customers and way out, as they are at each round.
  Notifier(Options options, const provider::Provider& provider, net::Worker& disk, Log& log, Stop& stop);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  /// Until `stop`. A round at once, then each time that something is refused or due, and each hour.
  net::Task<> run();

 private:
  void wake();
  net::Task<Duration> round();
  net::Task<> see_to(const provider::Customer& customer);
  net::Task<> expire(const provider::Customer& customer);
  net::Task<> warn_of(const provider::Customer& customer);
  net::Task<std::optional<WallTime>> oldest_of(const provider::Customer& customer);
  Result<void> put_warning(const provider::Customer& customer, WallTime oldest);
  net::Task<> spell_over(const std::string& key);
  void recall_warnings();
  Result<void> mark(const std::string& key) const;
  Result<void> unmark(const std::string& key) const;
  std::string marks() const { return options_.spool + "/warned"; }
  bool is_too_old(WallTime arrival, Duration age) const;
  net::Task<Duration> send(const provider::WayOut& way_out);
  std::string queue() const { return options_.spool + "/queue"; }

  const Options options_;
  const provider::Provider& provider_;
  net::Worker& disk_;
  Log& log_;
  Stop& stop_;
  Stop::Listener on_stop_;
  Stop* pause_ = nullptr;  // while run() waits
  bool is_woken_ = false;
  TimePoint looked_ = TimePoint::min();  // for mail that is too old
  std::set<std::string> warned_of_;      // customers, by what their marks are called
};

}  // namespace odmr::app
