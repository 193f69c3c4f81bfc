#include "app/submit.hpp"

#include <array>
#include <asio/co_spawn.hpp>
#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "app/attendance.hpp"
#include "app/confinement.hpp"
#include "app/owner.hpp"
#include "app/plan.hpp"
#include "app/run_as.hpp"
#include "app/state_dir.hpp"
#include "base/outcome.hpp"
#include "intake/pass_on.hpp"
#include "net/digest.hpp"
#include "net/standard_stream.hpp"
#include "queue/intake.hpp"
#include "submit/submission.hpp"

namespace odmr::app {

namespace {

using intake::Caller;
using net::Task;

constexpr std::size_t k_most_connections = 200;
constexpr std::size_t k_most_of_one_user = 100;  // so that nobody can keep all others out
// Commits beside each other share the disk's work: a file system writes its journal once for all who wait.
constexpr std::size_t k_disks = 4;

// Whatever socket we were given: what is submitted is sent on without a question, so it has to come from this machine.
bool is_from_here(const Caller& caller) {
  return caller.is_local() || caller.address == "::1" || caller.address.starts_with("127.");
}

tl::unexpected<Error> no_smart_host(const std::string& why) {
  return fail(Errc::malformed, "mail cannot be passed on directly: " + why);
}

// Where mail goes that is not to wait in the queue.
Result<deliver::TargetOptions> plan_direct(const Settings& settings) {
  const auto& outbound = settings.outbound;
  if (!outbound) return no_smart_host("there is no [outbound] in the configuration");
  if (outbound->to != OutboundSettings::To::smart_host) {
    return no_smart_host("[outbound] to names a provider, which is there during a run alone");
  }
  if (outbound->pop_before_smtp || !outbound->from.empty() || outbound->convert_8bit) {
    return no_smart_host("pop_before_smtp, from and convert_8bit in [outbound] need the queue");
  }
  Keyring keyring;
  auto flush = plan_flush(settings, keyring);
  if (!flush) return fail(flush.error());
  deliver::TargetOptions target;
  target.role = deliver::TargetOptions::Role::smart_host;
  target.server = std::move(flush->server);
  target.hostname = settings.hostname;
  target.final = settings.timeouts.final;
  return target;
}

int unusable(Log& log, const std::string& what, const Error& error, Outcome outcome) {
  log.error(what, {{"why", error.text}});
  return exit_status(outcome);
}

// The sessions, and what they share.
class SubmitServer {
 public:
  SubmitServer(const Settings& settings, Log& log)
      : settings_(settings),
        log_(log),
        network_(loop_),
        attendance_(loop_, network_.clock(), settings.stop_grace, {k_most_connections, 0}, log),
        name_(net::hex(net::random_octets(6))) {
    queue_options_.hostname = direct_options_.hostname = settings.hostname;
    queue_options_.limits.max_size = direct_options_.limits.max_size = settings.submit.max_size;
    const std::string directory = queue::directory_in(settings.state_dir);
    queue_options_.free_space = [directory] { return free_space(directory); };
    for (auto& disk : disks_) disk = net::make_worker();
  }

  /// Error: an address that cannot be listened on.
  Result<void> listen() {
    auto passed = net::Listener::passed(loop_, network_.clock());
    if (!passed) return fail(passed.error());
    listeners_ = std::move(*passed);
    if (!listeners_.empty()) return {};
    const char* named = std::getenv("ODMR_SUBMIT");
    auto addresses = settings_.submit.listen;
    if (named != nullptr && *named != '\0') addresses = {named};
    for (const auto& address : addresses) {
      auto listener = net::Listener::open(loop_, network_.clock(), address);
      if (!listener) return fail(listener.error());
      listeners_.push_back(std::move(*listener));
    }
    return {};
  }

  /// As root: the configured user, for good, or without one the owner of the state directory where mail is stored.
  Result<void> become_user(bool direct) {
    if (const auto user = to_become(settings_.run_as)) {
      if (auto given = direct ? Result<void>() : give_directory(settings_.state_dir, *user); !given) return given;
      if (auto given = give_sockets_to(user->id, user->group); !given) return given;
      return confine::become(*user);
    }
    const auto owner = direct ? Result<std::optional<Owner>>() : other_owner_of(settings_.state_dir);
    if (!owner) return fail(owner.error());
    if (!*owner) return become_configured(settings_.run_as, log_);
    if (auto given = give_sockets_to((*owner)->user, (*owner)->group); !given) return given;
    return become_owner_of(settings_.state_dir);
  }

  void shut_in(bool direct) {
    std::vector<std::string> sockets;
    for (const auto& listener : listeners_) sockets.push_back(listener->address());
    app::shut_in(rules_for_submit(settings_, direct, sockets), log_);
  }

  Result<void> open_queue() {
    if (auto made = make_state_dir(settings_.state_dir, settings_.state_dir_is_default); !made) return made;
    const auto store = spool::Store::in(queue::directory_in(settings_.state_dir));
    if (!store) return fail(store.error());
    return {};
  }

  Result<void> go_direct() {
    auto planned = plan_direct(settings_);
    if (!planned) return fail(planned.error());
    smart_host_.emplace(std::move(*planned));
    return {};
  }

  void serve(const std::function<void(const std::string&)>& on_listening) {
    const std::string too_many = "421 4.3.2 " + settings_.hostname + " has too many connections\r\n";
    for (auto& listener : listeners_) {
      const std::string address = listener->address();
      attendance_.open({std::move(listener), session(), too_many});
      on_listening(address);
    }
    attendance_.run();
  }

  /// Gives the exit status.
  int serve_one() {
    auto stream = net::standard_stream(loop_, network_.clock());
    if (!stream) return unusable(log_, "there is nobody to speak to", stream.error(), Outcome::unavailable);
    const Attendance::Session only = session();
    attendance_.begin(std::move(*stream), only);
    attendance_.run();
    return exit_;
  }

 private:
  // He will have to remove them.
  Result<void> give_sockets_to(uid_t user, gid_t group) {
    for (const auto& listener : listeners_) {
      if (auto given = listener->give_to(user, group); !given) return given;
    }
    return {};
  }

  Attendance::Session session() {
    return
        [this](net::Stream stream, std::uint64_t number, Log& log) { return attend(std::move(stream), number, log); };
  }

  Task<> attend(net::Stream stream, std::uint64_t number, Log& log) {
    const Caller caller = Caller::of(stream.peer());
    const std::string id = name_ + "." + std::to_string(number);
    if (!is_from_here(caller)) {
      log.error("turned away: mail is taken from this machine alone");
      exit_ = exit_status(Outcome::config);
      co_await say_and_close(std::move(stream), smtp::Reply(554, "5.7.1 mail is taken from this machine alone"));
      co_return;
    }
    std::size_t& present = present_[caller.is_local() ? caller.name : std::string()];
    if (caller.is_local() && present >= k_most_of_one_user) {
      log.warn("turned away: too many connections of this user");
      co_return co_await say_and_close(std::move(stream), smtp::Reply(421, "4.7.0 too many connections of this user"));
    }
    ++present;
    co_await attend_local(std::move(stream), caller, id, number, log);
    --present;
  }

  Task<> attend_local(net::Stream stream, const Caller& caller, const std::string& id, std::uint64_t number, Log& log) {
    if (smart_host_) {
      co_await attend_directly(std::move(stream), caller, id, log);
    } else {
      // Opened each time: somebody may have put another queue in the place of the one that was there.
      auto store = spool::Store::in(queue::directory_in(settings_.state_dir));
      if (!store) {
        log.error("the queue cannot be used", {{"why", store.error().text}});
        exit_ = exit_status(Outcome::state);
        co_await say_and_close(std::move(stream), smtp::Reply(421, "4.3.0 the queue cannot be used now"));
        co_return;
      }
      const auto options = options_for(caller);
      submit::Submission handler(queue_options_, caller, std::move(*store), *disks_.at(number % k_disks),
                                 network_.clock(), log);
      co_await converse(std::move(stream), handler, options, log);
    }
  }

  Task<> attend_directly(net::Stream stream, Caller caller, std::string id, Log& log) {
    deliver::SmtpTarget smart_host(*smart_host_, network_, log, attendance_.stop());
    const auto ready = co_await smart_host.ready();
    if (!ready) {
      log.warn("the smart host is not ready", {{"why", ready.error().text}});
      exit_ = exit_status(submit::outcome_of_refusal(smart_host.failure()));
      const smtp::Reply reply(421, "4.4.1 the smart host is not ready: " + ready.error().text);
      co_await say_and_close(std::move(stream), reply);
      co_return;
    }
    auto options = options_for(caller);
    const auto& abilities = smart_host.abilities();
    options.offer.smtputf8 = abilities.smtputf8;
    options.offer.dsn = abilities.dsn;
    if (abilities.size != 0) options.offer.size = std::min(options.offer.size, abilities.size);
    intake::PassOn handler(direct_options_, std::move(caller), std::move(id), smart_host, network_.clock(), log);
    co_await converse(std::move(stream), handler, options, log);
    co_await smart_host.close();
  }

  server::MailSessionOptions options_for(const Caller& caller) const {
    server::MailSessionOptions options;
    options.hostname = settings_.hostname;
    options.offer.size = settings_.submit.max_size;
    options.offer.smtputf8 = options.offer.dsn = true;
    options.bare_names = caller.is_local();
    options.limits_cut_transactions = true;
    options.first_command = options.idle;
    return options;
  }

  Task<> converse(net::Stream stream, server::MailHandler& handler, server::MailSessionOptions options, Log& log) {
    using How = server::SessionEnd::How;
    log.debug("connected");
    const auto end = co_await server::serve_mail(std::move(stream), handler, options, log, attendance_.stop());
    log.debug("disconnected", {{"why", end.text}});
    if (end.inside_transaction || end.how == How::stopped) exit_ = exit_status(Outcome::unavailable);
  }

  static Task<> say_and_close(net::Stream stream, smtp::Reply reply) {
    const std::string bytes = smtp::format(reply);
    co_await stream.write(bytes, std::chrono::seconds(10));
    co_await stream.finish();
  }

  const Settings& settings_;
  Log& log_;
  asio::io_context loop_{1};
  net::SystemNetwork network_;
  Attendance attendance_;
  std::string name_;  // of this process, in Received
  submit::SubmissionOptions queue_options_;
  intake::PassOnOptions direct_options_;
  std::array<std::unique_ptr<net::Worker>, k_disks> disks_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::optional<deliver::TargetOptions> smart_host_;  // where mail goes directly
  std::map<std::string, std::size_t> present_;        // sessions, by user
  int exit_ = 0;                                      // of the one session
};

Outcome outcome_of_listening(const Error& error) {
  return error.code == Errc::malformed ? Outcome::config : Outcome::unavailable;
}

}  // namespace

int submit(const Settings& settings, const SubmitRunOptions& options,
           const std::function<void(const std::string&)>& on_listening, Log& log) {
  std::signal(SIGPIPE, SIG_IGN);  // whoever reads our stdout may go
  if (!settings.outbound) {
    const Error error{Errc::malformed, "there is no [outbound] in the configuration: nothing would send it"};
    return unusable(log, "mail cannot be taken", error, Outcome::config);
  }
  // Never destroyed: a resolver's thread that waits for a dead name server would hold up the end.
  auto* server = new SubmitServer(settings, log);
  if (!options.stdio) {
    const auto listening = server->listen();
    if (!listening) {
      return unusable(log, "cannot listen", listening.error(), outcome_of_listening(listening.error()));
    }
  }
  if (options.direct) {
    const auto planned = server->go_direct();
    if (!planned) return unusable(log, "the configuration cannot be used", planned.error(), Outcome::config);
  }
  const auto owned = server->become_user(options.direct);
  if (!owned) return unusable(log, "the queue cannot be used", owned.error(), Outcome::state);
  if (!options.direct) {
    const auto opened = server->open_queue();
    if (!opened) return unusable(log, "the queue cannot be used", opened.error(), Outcome::state);
  }
  server->shut_in(options.direct);
  if (options.stdio) return server->serve_one();
  server->serve(on_listening);
  log.info("stopped");
  return 0;
}

namespace {

// What one message on its way needs.
struct DirectRun {
  explicit DirectRun(const Settings& settings, deliver::TargetOptions planned, Log& log)
      : network(loop),
        signals(loop, network.clock(), stop, settings.stop_grace, log),
        target(std::move(planned)),
        smart_host(target, network, log, stop) {}

  asio::io_context loop{1};
  net::SystemNetwork network;
  Stop stop;
  SignalStop signals;
  deliver::TargetOptions target;
  deliver::SmtpTarget smart_host;
};

}  // namespace

submit::DirectResult send_direct(const Settings& settings, const client::Envelope& envelope, const std::string& trace,
                                 client::Content& content, Log& log) {
  auto planned = plan_direct(settings);
  if (!planned) return {exit_status(Outcome::config), planned.error().text};
  auto* run = new DirectRun(settings, std::move(*planned), log);  // never destroyed, likewise
  std::optional<submit::DirectResult> result;
  asio::co_spawn(run->loop, submit::send_direct(run->smart_host, envelope, trace, content),
                 [&result](const std::exception_ptr& bug, submit::DirectResult ended) {
                   if (bug) std::rethrow_exception(bug);
                   result = std::move(ended);
                 });
  while (!result) run->loop.run_one();
  return *result;
}

}  // namespace odmr::app
