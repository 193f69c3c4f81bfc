#include "app/serve.hpp"

#include <asio/io_context.hpp>
#include <csignal>
#include <memory>
#include <utility>

#include "app/confinement.hpp"
#include "app/daemon.hpp"
#include "app/run_as.hpp"
#include "app/way_out.hpp"
#include "base/outcome.hpp"
#include "net/worker.hpp"
#include "provider/salting_key.hpp"
#include "spool/lock.hpp"

namespace odmr::app {

namespace {

// Syncs beside each other share the disk's work: a file system writes its journal once for all who wait.
constexpr std::size_t k_disks = 4;

int unusable(Log& log, const std::string& what, const Error& error, Outcome outcome) {
  log.error(what, {{"why", error.text}});
  return exit_status(outcome);
}

}  // namespace

int serve(const DaemonSettings& settings, const ReadAgain& read_again, const StatusPages& pages,
          const std::function<void(const std::string&)>& on_listening, Log& log) {
  std::signal(SIGPIPE, SIG_IGN);  // whoever reads our stdout may go
  const auto user = to_become(settings.run_as);
  // Before all else: it takes a process that has no threads, and little that others should not have.
  const auto helper = confine::Helper::start(commands_of(settings), user);
  if (!helper) return unusable(log, "the program of [outbound] cannot be run", helper.error(), Outcome::unavailable);
  auto customers = customers_with_secrets(settings);
  if (!customers) return unusable(log, "the configuration cannot be used", customers.error(), Outcome::config);
  auto way_out = way_out_of(settings, *helper);
  if (!way_out) return unusable(log, "the configuration cannot be used", way_out.error(), Outcome::config);
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
  asio::io_context loop;
  const auto disk = net::make_worker(k_disks);
  auto held = provider::HeldInDirectory::in(settings.spool, *disk, log);
  if (!held) return unusable(log, "the spool cannot be used", held.error(), Outcome::state);

  auto recipients = provider::RecipientBook::in(settings.spool, *disk, log);
  if (!recipients) return unusable(log, "the spool cannot be used", recipients.error(), Outcome::state);
  auto key = provider::salting_key_in(settings.spool);
  if (!key) return unusable(log, "the spool cannot be used", key.error(), Outcome::state);
  customers->use_salting_key(std::make_shared<const Secret>(std::move(*key)));
  auto shared = std::make_shared<const provider::Customers>(std::move(*customers));
  // While we act as the user: what it makes in the spool is his.
  Daemon daemon(settings, std::move(shared), std::move(*way_out), *helper, **held, **recipients, *disk, read_again,
                pages, loop, log);
  acting->end();  // certificates, and ports below 1024, are root's
  const auto listening = daemon.listen();
  if (!listening) {
    const bool is_config = listening.error().code == Errc::malformed || listening.error().code == Errc::tls;
    return unusable(log, "cannot listen", listening.error(), is_config ? Outcome::config : Outcome::unavailable);
  }
  if (user) {
    if (const auto given = daemon.give_to(*user); !given)
      return unusable(log, "cannot listen", given.error(), Outcome::unavailable);
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
