#pragma once

#include <asio/signal_set.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/attendance.hpp"
#include "app/call_recorder.hpp"
#include "app/daemon_status.hpp"
#include "app/notifier.hpp"
#include "app/provider_settings.hpp"
#include "confine/helper.hpp"
#include "confine/user.hpp"
#include "http/server.hpp"
#include "net/readiness.hpp"
#include "net/system_network.hpp"
#include "provider/held_in_directory.hpp"
#include "provider/intake.hpp"
#include "provider/push.hpp"
#include "provider/recipient_book.hpp"

namespace odmr::app {

/// Gives the configuration as it is now; error: every fault.
using ReadAgain = std::function<tl::expected<DaemonSettings, std::vector<std::string>>()>;

/// The pages of the status listener, made of how it stands.
struct StatusPages {
  std::function<std::string(const DaemonStatus&)> page;
  std::string policy;  ///< its Content-Security-Policy
  std::function<std::string(const DaemonStatus&)> metrics;
};

/// `odmrd serve` once everything is there: its doors, and what is behind them.
class Daemon {
 public:
  /// What is given must outlive it. `helper`: who starts the program of [outbound].
  Daemon(const DaemonSettings& settings, std::shared_ptr<const provider::Customers> customers,
         std::shared_ptr<const provider::WayOut> way_out, const confine::Helper& helper,
         provider::HeldInDirectory& held, provider::RecipientBook& recipients, net::Worker& disk,
         const ReadAgain& read_again, const StatusPages& pages, asio::io_context& loop, Log& log);

  /// On the sockets that were passed to this process, named after their tables; else on those of its own. Errors: tls
  /// and malformed, the configuration or what was passed; others, an address that cannot be listened on.
  Result<void> listen();
  /// Of the sockets that we have made: for who is about to become that user.
  Result<void> give_to(const confine::User& user);
  /// Until a signal.
  void run(const std::function<void(const std::string&)>& on_listening);

 private:
  Result<void> listen_for_mail();
  net::Task<> take_mail(net::Stream stream, const IntakeSettings& intake, Log& log);
  net::Task<> send(provider::Push push);
  Result<std::unique_ptr<net::Listener>> listener_for(const std::string& table, const std::string& address);
  Result<void> listen_for_status();
  net::Task<> show_status(net::Stream stream, Log& log);
  net::Task<DaemonStatus> status();
  net::Task<http::Response> status_page();
  net::Task<http::Response> status_metrics();
  void follow_news();
  net::Task<> learn_news();
  void follow_hangups();
  void reload();
  Result<std::vector<provider::Door>> doors_of(const std::vector<ListenSettings>& listeners) const;

  const DaemonSettings& settings_;
  std::shared_ptr<const DaemonSettings> settings_now_;  // as they were read last
  const confine::Helper& helper_;
  provider::HeldInDirectory& held_;
  const ReadAgain& read_again_;
  const StatusPages& pages_;
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
  std::map<std::string, std::unique_ptr<net::Listener>> passed_;  // by systemd; for the table of that name
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<provider::Door> doors_;
  provider::IntakeOptions intake_;
  std::vector<std::unique_ptr<net::Listener>> intakes_;
  CallRecorder recorder_;
  std::unique_ptr<net::Listener> status_listener_;
  http::Pages status_pages_;
  std::size_t status_readers_ = 0;
};

}  // namespace odmr::app
