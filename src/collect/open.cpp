#include "collect/open.hpp"

#include <utility>

#include "collect/imap_mailbox.hpp"
#include "collect/pop3_mailbox.hpp"

namespace odmr::collect {

namespace {

using client::OpenFailure;
using client::Step;
using net::Task;
using Failed = tl::unexpected<OpenFailure>;

class MailboxDoor final : public client::Door {
 public:
  MailboxDoor(net::Network& network, const Place& place, Log& log, Stop& stop, const client::OnStep* on_step)
      : network_(network), place_(place), log_(log), stop_(stop), on_step_(on_step) {}

  Task<std::optional<OpenFailure>> knock(const client::Server& server) override {
    auto stream = co_await network_.connect(server.endpoint, server.patience.connect, stop_);
    if (!stream) co_return client::wire_failure(Step::connect, stream.error());
    if (on_step_ != nullptr) (*on_step_)(client::Reached{Step::connect, stream->peer(), std::nullopt});
    auto wire = std::make_unique<Wire>(std::move(*stream), server, log_);
    Wire& there = *wire;
    // Gone with the wire where the login fails.
    is_there_ = true;
    const Stop::Listener listener(stop_, [this, &there](Stop::Phase) {
      if (is_there_) there.stream().interrupt();
    });
    auto failed = co_await begin(std::move(wire));
    is_there_ = !failed;
    if (!failed && stop_.requested()) {
      opened_.mailbox->leave();
      failed = OpenFailure{Step::auth, Outcome::unavailable, {}, "stopped by a signal", true, {}, Cause::stopped};
    }
    if (failed) failed->connections = 1;
    co_return failed;
  }
  Opened take() { return std::move(opened_); }

 private:
  Task<std::optional<OpenFailure>> begin(std::unique_ptr<Wire> wire) {
    if (place_.protocol == Protocol::pop3) {
      auto begun = co_await Pop3Mailbox::begin(std::move(wire), on_step_);
      if (!begun) co_return begun.error();
      opened_.mailbox = std::move(begun->mailbox);
      opened_.mechanism = std::move(begun->mechanism);
    } else {
      auto begun = co_await ImapMailbox::begin(std::move(wire), place_, on_step_);
      if (!begun) co_return begun.error();
      opened_.mailbox = std::move(begun->mailbox);
      opened_.mechanism = std::move(begun->mechanism);
    }
    const auto tls = opened_.mailbox->tls();
    opened_.tls = tls.substr(0, tls.find(' '));
    if (on_step_ != nullptr) (*on_step_)(client::Reached{Step::auth, opened_.mechanism, std::nullopt});
    co_return std::nullopt;
  }

  net::Network& network_;
  const Place& place_;
  Log& log_;
  Stop& stop_;
  const client::OnStep* on_step_;
  Opened opened_;
  bool is_there_ = false;
};

}  // namespace

Task<tl::expected<Opened, OpenFailure>> open(net::Network& network, const client::Server& server, const Place& place,
                                             Log& log, Stop& stop, const client::OnStep* on_step,
                                             const client::OnNextHost* on_next_host) {
  if (!server.login)
    co_return Failed(OpenFailure{
        Step::auth, Outcome::auth, {}, "there is no login for the mailbox", false, {}, Cause::credentials_unusable});
  MailboxDoor door(network, place, log, stop, on_step);
  const auto found = co_await client::find_host(door, network.clock(), server, log, stop, on_next_host);
  if (!found) co_return Failed(found.error());
  Opened opened = door.take();
  opened.connections = found->connections;
  opened.host = found->host;
  co_return opened;
}

}  // namespace odmr::collect
