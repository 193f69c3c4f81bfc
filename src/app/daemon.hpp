#pragma once

#include <asio/signal_set.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/attendance.hpp"
#include "app/notifier.hpp"
#include "app/provider_settings.hpp"
#include "confine/user.hpp"
#include "net/readiness.hpp"
#include "net/system_network.hpp"
#include "provider/held_in_directory.hpp"
#include "provider/intake.hpp"
#include "provider/push.hpp"

namespace odmr::app {

/// Gives the configuration as it is now; error: every fault.
using ReadAgain = std::function<tl::expected<DaemonSettings, std::vector<std::string>>()>;

/// `odmrd serve` once everything is there: its doors, and what is behind them.
class Daemon {
 public:
  /// What is given must outlive it.
  Daemon(const DaemonSettings& settings, std::shared_ptr<const provider::Customers> customers,
         std::shared_ptr<const provider::WayOut> way_out, provider::HeldInDirectory& held, net::Worker& disk,
         const ReadAgain& read_again, asio::io_context& loop, Log& log);

  /// Errors: tls and malformed, the configuration; others, an address that cannot be listened on.
  Result<void> listen();
  /// Of the sockets that we have made: for who is about to become that user.
  Result<void> give_to(const confine::User& user);
  /// Until a signal.
  void run(const std::function<void(const std::string&)>& on_listening);

 private:
  Result<void> listen_for_mail();
  net::Task<> take_mail(net::Stream stream, const IntakeSettings& intake, Log& log);
  net::Task<> send(provider::Push push);
  void follow_news();
  net::Task<> learn_news();
  void follow_hangups();
  void reload();
  Result<std::vector<provider::Door>> doors_of(const std::vector<ListenSettings>& listeners) const;

  const DaemonSettings& settings_;
  provider::HeldInDirectory& held_;
  const ReadAgain& read_again_;
  asio::io_context& loop_;
  net::SystemNetwork network_;
  provider::Provider provider_;
  Log& log_;
  const bool has_terminal_;
  Attendance attendance_;
  Notifier notifier_;
  asio::signal_set hangups_;
  std::unique_ptr<net::Readiness> news_;
  Stop::Listener on_stop_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<provider::Door> doors_;
  provider::IntakeOptions intake_;
  std::vector<std::unique_ptr<net::Listener>> intakes_;
};

}  // namespace odmr::app
