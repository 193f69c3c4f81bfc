#include "app/daemon.hpp"

#include <unistd.h>

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <csignal>
#include <utility>

#include "app/way_out.hpp"
#include "base/ascii.hpp"

namespace odmr::app {

namespace {

// Of the disk, what stays free: marks and bounces need room when nothing else gets any.
constexpr std::uint64_t k_spare = std::uint64_t{16} * 1024 * 1024;
// Of the status page, at once: people and Prometheus need no more.
constexpr std::size_t k_most_readers = 8;

// One of them, as long as it lives.
class Counted {
 public:
  explicit Counted(std::size_t& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::size_t& count_;
};

bool is_same_door(const ListenSettings& a, const ListenSettings& b) {
  return a.name == b.name && a.address == b.address && a.tls == b.tls;
}

bool is_same_door(const IntakeSettings& a, const IntakeSettings& b) {
  return a.name == b.name && a.address == b.address && a.is_lmtp == b.is_lmtp;
}

template <class Settings>
bool are_same_doors(const std::vector<Settings>& a, const std::vector<Settings>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Settings& one, const Settings& other) { return is_same_door(one, other); });
}

}  // namespace

Daemon::Daemon(const DaemonSettings& settings, std::shared_ptr<const provider::Customers> customers,
               std::shared_ptr<const provider::WayOut> way_out, const confine::Helper& helper,
               provider::HeldInDirectory& held, provider::RecipientBook& recipients, net::Worker& disk,
               const ReadAgain& read_again, const StatusPages& pages, asio::io_context& loop, Log& log)
    : settings_(settings),
      settings_now_(std::make_shared<const DaemonSettings>(settings)),
      helper_(helper),
      held_(held),
      read_again_(read_again),
      pages_(pages),
      loop_(loop),
      network_(loop, begin_program_by(helper)),
      provider_{settings.session, std::move(customers), held, network_, std::move(way_out)},
      log_(log),
      has_terminal_(::isatty(STDIN_FILENO) != 0),
      attendance_(loop, network_.clock(), settings.stop_grace,
                  {settings.max_connections, settings.max_connections_per_address}, log, has_terminal_),
      notifier_({settings.spool, settings.session.hostname, settings.postmaster}, provider_, disk, log,
                attendance_.stop()),
      hangups_(loop),
      on_stop_(attendance_.stop(),
               [this](Stop::Phase) {
                 if (news_) news_->cancel();
                 std::error_code ignored;
                 hangups_.cancel(ignored);
               }),
      recorder_(settings.spool, loop, network_.clock(), log) {
  provider_.begin_push = [this](provider::Push push) { attendance_.begin(send(std::move(push))); };
  provider_.guard = provider::LoginGuard(settings.guard);
  provider_.access = settings.access;
  provider_.calls.tell(&recorder_);
  provider_.recipients = intake_.uploaded = &recipients;
  status_pages_.emplace("/", [this] { return status_page(); });
  status_pages_.emplace("/metrics", [this] { return status_metrics(); });
  intake_.hostname = settings.session.hostname;
  intake_.limits = settings.limits;
  intake_.spare = k_spare;
  intake_.free_space = [directory = settings.spool] { return free_space(directory); };
}

Result<std::vector<provider::Door>> Daemon::doors_of(const std::vector<ListenSettings>& listeners) const {
  std::vector<provider::Door> doors;
  for (const auto& one : listeners) {
    doors.push_back({one.tls, nullptr});
    if (one.tls == provider::DoorTls::none) continue;
    auto context = net::TlsContext::server(one.certificate);
    if (!context) return fail(context.error().code, "listen." + one.name + ": " + context.error().text);
    doors.back().context = std::move(*context);
  }
  return doors;
}

Result<void> Daemon::listen() {
  auto doors = doors_of(settings_.listeners);
  if (!doors) return fail(doors.error());
  doors_ = std::move(*doors);
  auto passed = net::Listener::passed_by_name(loop_, network_.clock());
  if (!passed) return fail(passed.error());
  passed_ = std::move(*passed);
  for (const auto& one : settings_.listeners) {
    auto listener = listener_for("listen." + one.name, one.address);
    if (!listener) return fail(listener.error());
    listeners_.push_back(std::move(*listener));
  }
  if (auto listening = listen_for_mail(); !listening) return listening;
  if (auto listening = listen_for_status(); !listening) return listening;
  if (passed_.empty()) return {};
  return fail(Errc::malformed, "the socket \"" + escape(passed_.begin()->first) +
                                   "\" that was passed on is no table's; FileDescriptorName= of its unit has to be "
                                   "listen.NAME, intake.NAME or status");
}

Result<std::unique_ptr<net::Listener>> Daemon::listener_for(const std::string& table, const std::string& address) {
  if (const auto passed = passed_.find(table); passed != passed_.end()) {
    auto listener = std::move(passed->second);
    passed_.erase(passed);
    return listener;
  }
  auto listener = net::Listener::open(loop_, network_.clock(), address);
  if (!listener) return fail(listener.error().code, table + ": " + listener.error().text);
  return listener;
}

Result<void> Daemon::listen_for_mail() {
  for (const auto& one : settings_.intakes) {
    auto listener = listener_for("intake." + one.name, one.address);
    if (!listener) return fail(listener.error());
    intakes_.push_back(std::move(*listener));
  }
  return {};
}

Result<void> Daemon::listen_for_status() {
  if (settings_.status.address.empty()) return {};
  auto listener = listener_for("status", settings_.status.address);
  if (!listener) return fail(listener.error());
  status_listener_ = std::move(*listener);
  return {};
}

Result<void> Daemon::give_to(const confine::User& user) {
  if (status_listener_) {
    if (auto given = status_listener_->give_to(user.id, user.group); !given) return given;
  }
  for (const auto& listener : intakes_) {
    if (auto given = listener->give_to(user.id, user.group); !given) return given;
  }
  return {};
}

void Daemon::run(const std::function<void(const std::string&)>& on_listening) {
  for (const auto& listener : listeners_) on_listening(listener->address());
  for (const auto& listener : intakes_) on_listening(listener->address());
  if (status_listener_) on_listening(status_listener_->address());
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
  for (std::size_t i = 0; i < intakes_.size(); ++i) {
    const IntakeSettings& intake = settings_.intakes[i];
    const auto session = [this, &intake](net::Stream stream, std::uint64_t /*number*/, Log& log) {
      return take_mail(std::move(stream), intake, log);
    };
    attendance_.open({std::move(intakes_[i]), session, too_many});
  }
  attendance_.begin(notifier_.run());
  if (status_listener_) {
    const auto session = [this](net::Stream stream, std::uint64_t /*number*/, Log& log) {
      return show_status(std::move(stream), log);
    };
    attendance_.open({std::move(status_listener_), session, {}});
  }
  follow_news();
  follow_hangups();
  attendance_.run();
}

net::Task<> Daemon::send(provider::Push push) {
  co_await provider::push(std::move(push), provider_, log_, attendance_.stop());
}

net::Task<> Daemon::take_mail(net::Stream stream, const IntakeSettings& intake, Log& log) {
  server::MailSessionOptions session;
  session.hostname = settings_.session.hostname;
  session.is_lmtp = intake.is_lmtp;
  session.offer.size = intake_.limits.max_size;
  session.offer.smtputf8 = true;
  session.offer.chunking = true;
  const auto caller = intake::Caller::of(stream.peer());
  provider::Intake handler(intake_, caller, intake.is_lmtp, provider_.customers, held_, network_.clock(), log);
  const auto end = co_await server::serve_mail(std::move(stream), handler, session, log, attendance_.stop());
  log.debug("intake ended", {{"why", end.text}, {"transactions", std::to_string(end.transactions)}});
}

// --- how it stands

net::Task<> Daemon::show_status(net::Stream stream, Log& log) {
  if (status_readers_ >= k_most_readers) {
    const std::string busy = http::busy_reply(network_.clock().wall());
    co_await stream.write(busy, std::chrono::seconds(1));
    co_return co_await stream.finish();
  }
  const Counted counted(status_readers_);
  const http::Patience patience;
  co_await http::answer(std::move(stream), status_pages_, patience, log, attendance_.stop());
}

// What is in memory is taken here, what is on disk in the recorder's thread.
net::Task<DaemonStatus> Daemon::status() {
  const auto settings = settings_now_;
  LiveFacts live{held_by_customer(held_, *settings), std::vector<provider::Call>(), {}, true};
  live.recipients = recipients_by_customer(
      *settings, [this](const std::string& customer) { return provider_.recipients->of(customer); });
  for (const auto& [number, call] : provider_.calls.under_way()) live.under_way->push_back(call);
  DaemonStatus status;
  const WallTime now = network_.clock().wall();
  const std::function<void(provider::CallBook*)> look = [&](provider::CallBook* book) {
    status = daemon_status(*settings, std::move(live), book, now);
  };
  co_await recorder_.look(look);
  co_return status;
}

net::Task<http::Response> Daemon::status_page() {
  const DaemonStatus now = co_await status();
  http::Response response{200, "text/html; charset=utf-8", pages_.page(now), pages_.policy};
  co_return response;
}

net::Task<http::Response> Daemon::status_metrics() {
  const DaemonStatus now = co_await status();
  http::Response response{200, "text/plain; version=0.0.4; charset=utf-8", pages_.metrics(now), {}};
  co_return response;
}

// --- what others put into the spool wakes who waits for it

void Daemon::follow_news() {
  const auto descriptor = held_.news();
  if (!descriptor) return;
  auto news = net::readiness_of(*descriptor, loop_.get_executor());
  if (!news) return log_.warn("mail that others put into the spool wakes nobody", {{"why", news.error().text}});
  news_ = std::move(*news);
  asio::co_spawn(loop_, learn_news(), [](const std::exception_ptr& bug) {
    if (bug) std::rethrow_exception(bug);
  });
}

net::Task<> Daemon::learn_news() {
  for (;;) {
    const auto ready = co_await news_->wait();
    if (!ready) co_return;
    const auto looked = co_await held_.look();
    if (!looked) log_.error("the spool cannot be read", {{"why", looked.error().text}});
  }
}

// --- SIGHUP

void Daemon::follow_hangups() {
  if (has_terminal_) return;
  std::error_code failed;
  hangups_.add(SIGHUP, failed);
  if (failed) return;
  hangups_.async_wait([this](std::error_code error, int /*number*/) {
    if (error) return;
    reload();
    if (!attendance_.stop().requested()) follow_hangups();
  });
}

// Sessions under way go on as they began.
void Daemon::reload() {
  const auto settings = read_again_();
  if (!settings) {
    for (const auto& fault : settings.error()) log_.error("fault", {{"what", fault}});
    return log_.error("the configuration is faulty: the one before stays in force",
                      {{"faults", std::to_string(settings.error().size())}});
  }
  auto customers = customers_with_secrets(*settings, provider_.customers.get());
  auto doors = doors_of(settings->listeners);
  auto way_out = way_out_of(*settings, helper_, provider_.way_out.get());
  const Error* const error = !customers ? &customers.error()
                             : !doors   ? &doors.error()
                             : !way_out ? &way_out.error()
                                        : nullptr;
  if (error != nullptr) {
    return log_.error("the configuration cannot be used: the one before stays in force", {{"why", error->text}});
  }
  const bool is_same_house = are_same_doors(settings->listeners, settings_.listeners) &&
                             are_same_doors(settings->intakes, settings_.intakes) &&
                             settings->status.address == settings_.status.address;
  if (!is_same_house) {
    log_.warn("[listen], [intake] and [status] have changed, which counts after a restart; the rest counts now");
  } else {
    // Sessions have their door's address.
    for (std::size_t i = 0; i < doors_.size(); ++i) doors_[i].context = (*doors)[i].context;
  }
  provider_.customers = std::make_shared<const provider::Customers>(std::move(*customers));
  provider_.way_out = std::move(*way_out);
  provider_.access = settings->access;
  intake_.limits = settings->limits;
  settings_now_ = std::make_shared<const DaemonSettings>(*settings);
  log_.info("the configuration was read again", {{"customers", std::to_string(settings->customers.size())}});
}

}  // namespace odmr::app
