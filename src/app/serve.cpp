#include "app/serve.hpp"

#include <asio/io_context.hpp>
#include <csignal>
#include <memory>
#include <utility>
#include <vector>

#include "app/attendance.hpp"
#include "app/confinement.hpp"
#include "app/run_as.hpp"
#include "base/outcome.hpp"
#include "net/system_network.hpp"
#include "spool/lock.hpp"

namespace odmr::app {

namespace {

class Daemon {
 public:
  Daemon(const DaemonSettings& settings, const provider::Customers& customers, provider::HeldMail& held, Log& log)
      : settings_(settings),
        provider_{settings.session, customers, held},
        clock_(loop_),
        attendance_(loop_, clock_, settings.stop_grace,
                    {settings.max_connections, settings.max_connections_per_address}, log) {}

  Result<void> listen() {
    for (const auto& one : settings_.listeners) {
      provider::Door door{one.tls, nullptr};
      if (one.tls != provider::DoorTls::none) {
        auto context = net::TlsContext::server(one.certificate);
        if (!context) return fail(context.error().code, "listen." + one.name + ": " + context.error().text);
        door.context = std::move(*context);
      }
      auto listener = net::Listener::open(loop_, clock_, one.address);
      if (!listener) return fail(listener.error().code, "listen." + one.name + ": " + listener.error().text);
      listeners_.push_back(std::move(*listener));
      doors_.push_back(std::move(door));
    }
    return {};
  }

  void run(const std::function<void(const std::string&)>& on_listening) {
    for (const auto& listener : listeners_) on_listening(listener->address());
    const std::string too_many = "421 4.3.2 " + settings_.session.hostname + " has too many connections\r\n";
    for (std::size_t i = 0; i < doors_.size(); ++i) {
      const provider::Door& door = doors_[i];
      const auto session = [this, &door](net::Stream stream, std::uint64_t /*number*/, Log& log) {
        return provider::attend(std::move(stream), door, provider_, log, attendance_.stop());
      };
      // Under TLS from the first byte there is nothing that could be said in time.
      const bool can_hear = door.tls != provider::DoorTls::implicit;
      attendance_.open({std::move(listeners_[i]), session, can_hear ? too_many : std::string()});
    }
    attendance_.run();
  }

 private:
  const DaemonSettings& settings_;
  provider::Provider provider_;
  asio::io_context loop_;
  net::SystemClock clock_;
  Attendance attendance_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<provider::Door> doors_;
};

int unusable(Log& log, const std::string& what, const Error& error, Outcome outcome) {
  log.error(what, {{"why", error.text}});
  return exit_status(outcome);
}

}  // namespace

int serve(const DaemonSettings& settings, const std::function<void(const std::string&)>& on_listening, Log& log) {
  std::signal(SIGPIPE, SIG_IGN);  // whoever reads our stdout may go
  const auto customers = customers_with_secrets(settings);
  if (!customers) return unusable(log, "the configuration cannot be used", customers.error(), Outcome::config);
  const auto user = to_become(settings.run_as);
  if (user) {
    if (const auto given = give_directory(settings.spool, *user); !given)
      return unusable(log, "the spool cannot be used", given.error(), Outcome::state);
  }
  auto acting = confine::ActingAs::begin(user);
  if (!acting) return unusable(log, "the configuration cannot be used", acting.error(), Outcome::config);
  const auto made = provider::open_folder(settings.spool, provider::Folder::held);
  if (!made) return unusable(log, "the spool cannot be used", made.error(), Outcome::state);
  const auto lock = spool::DirectoryLock::take(settings.spool);
  if (!lock && lock.error().code == Errc::busy) {
    return unusable(log, "another odmrd serves this spool", lock.error(), Outcome::locked);
  }
  if (!lock) return unusable(log, "the spool cannot be used", lock.error(), Outcome::state);
  auto held = provider::HeldMail::in(settings.spool, log);
  if (!held) return unusable(log, "the spool cannot be used", held.error(), Outcome::state);
  // So that the first customer does not wait for it; what is wrong here shows again, and is answered, at an ATRN.
  static_cast<void>(held->refresh());

  Daemon daemon(settings, *customers, *held, log);
  acting->end();  // certificates, and ports below 1024, are root's
  const auto listening = daemon.listen();
  if (!listening) {
    const bool is_config = listening.error().code == Errc::malformed || listening.error().code == Errc::tls;
    return unusable(log, "cannot listen", listening.error(), is_config ? Outcome::config : Outcome::unavailable);
  }
  if (const auto done = become_configured(settings.run_as, log); !done) {
    return unusable(log, "the configuration cannot be used", done.error(), Outcome::config);
  }
  shut_in(rules_for_serve(settings), log);
  daemon.run(on_listening);
  log.info("stopped");
  return 0;
}

}  // namespace odmr::app
