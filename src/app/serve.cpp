#include "app/serve.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <csignal>
#include <exception>
#include <memory>
#include <utility>

#include "base/outcome.hpp"
#include "net/system_network.hpp"
#include "net/delay.hpp"
#include "spool/lock.hpp"

namespace odmr::app {

namespace {

using net::Task;

struct OpenDoor {
  provider::Door door;
  std::unique_ptr<net::Listener> listener;
};

class Daemon {
 public:
  Daemon(const DaemonSettings& settings, const provider::Customers& customers, provider::HeldMail& held, Log& log)
      : settings_(settings),
        provider_{settings.session, customers, held},
        log_(log),
        clock_(loop_),
        signals_(loop_, SIGTERM, SIGINT) {}

  Result<void> listen(const std::function<void(const std::string&)>& on_listening) {
    for (const auto& one : settings_.listeners) {
      OpenDoor open{{one.tls, nullptr}, nullptr};
      if (one.tls != provider::DoorTls::none) {
        auto context = net::TlsContext::server(one.certificate);
        if (!context) return fail(context.error().code, "listen." + one.name + ": " + context.error().text);
        open.door.context = std::move(*context);
      }
      auto listener = net::Listener::open(loop_, clock_, one.address);
      if (!listener) return fail(listener.error().code, "listen." + one.name + ": " + listener.error().text);
      open.listener = std::move(*listener);
      doors_.push_back(std::move(open));
    }
    for (const auto& open : doors_) on_listening(open.listener->address());
    return {};
  }

  void run() {
    wait_for_signal();
    for (auto& open : doors_) {
      asio::co_spawn(loop_, accept_all(open), [this](const std::exception_ptr& bug) { report(bug); });
    }
    loop_.run();
  }

 private:
  void wait_for_signal() {
    signals_.async_wait([this](std::error_code error, int /*signal*/) {
      if (error) return;
      on_signal();
      wait_for_signal();
      leave_when_idle();
    });
  }

  void on_signal() {
    if (stop_.requested()) return stop_.advance(Stop::Phase::leave);
    log_.info("stopping", {{"sessions", std::to_string(sessions_)}});
    for (auto& open : doors_) open.listener->close();
    grace_ = clock_.alarm([this] { stop_.advance(Stop::Phase::leave); });
    grace_->set(clock_.now() + settings_.stop_grace);
    stop_.advance(Stop::Phase::finish);
  }

  // The loop ends when nobody waits for anything any more.
  void leave_when_idle() {
    if (!stop_.requested() || sessions_ > 0) return;
    grace_.reset();
    std::error_code ignored;
    signals_.cancel(ignored);
  }

  Task<> accept_all(OpenDoor& open) {
    for (;;) {
      auto stream = co_await open.listener->accept();
      if (stream) {
        begin(std::move(*stream), open.door);
      } else if (stream.error().code == Errc::interrupted || stop_.requested()) {
        co_return;
      } else {
        // Out of descriptors, mostly: asking again at once would only burn time.
        log_.warn("a connection cannot be accepted", {{"why", stream.error().text}});
        co_await net::delay(clock_, std::chrono::seconds(1), stop_);
      }
    }
  }

  void begin(net::Stream stream, const provider::Door& door) {
    ++sessions_;
    asio::co_spawn(loop_, session(std::move(stream), door, ++last_session_), [this](const std::exception_ptr& bug) {
      report(bug);
      --sessions_;
      leave_when_idle();
    });
  }

  Task<> session(net::Stream stream, const provider::Door& door, std::uint64_t number) {
    ScopedLog log(log_, {{"session", std::to_string(number)}, {"peer", stream.peer()}});
    if (sessions_ > settings_.max_connections) {
      log.warn("turned away: too many connections");
      const std::string reply = "421 4.3.2 " + settings_.session.hostname + " has too many connections\r\n";
      if (door.tls != provider::DoorTls::implicit) co_await stream.write(reply, std::chrono::seconds(1));
      co_await stream.finish();
      co_return;
    }
    co_await provider::attend(std::move(stream), door, provider_, log, stop_);
  }

  // One session's bug is not the others' end.
  void report(const std::exception_ptr& bug) {
    if (!bug) return;
    try {
      std::rethrow_exception(bug);
    } catch (const std::exception& error) {
      log_.error("bug: a session ended in an exception", {{"what", error.what()}});
    }
  }

  const DaemonSettings& settings_;
  provider::Provider provider_;
  Log& log_;
  Stop stop_;
  std::size_t sessions_ = 0;
  std::uint64_t last_session_ = 0;
  asio::io_context loop_;
  net::SystemClock clock_;
  asio::signal_set signals_;
  std::unique_ptr<Alarm> grace_;
  std::vector<OpenDoor> doors_;
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
  const auto listening = daemon.listen(on_listening);
  if (!listening) {
    const bool is_config = listening.error().code == Errc::malformed || listening.error().code == Errc::tls;
    return unusable(log, "cannot listen", listening.error(), is_config ? Outcome::config : Outcome::unavailable);
  }
  daemon.run();
  log.info("stopped");
  return 0;
}

}  // namespace odmr::app
