#include "app/way_out.hpp"

#include <utility>

#include "app/plan.hpp"

namespace odmr::app {

namespace {

// From the end of the conversation on: a mail server may have a file to sync still, or to remove.
constexpr auto k_farewell = std::chrono::seconds(10);

}  // namespace

Result<std::shared_ptr<const provider::WayOut>> way_out_of(const DaemonSettings& settings,
                                                           const confine::Helper& helper,
                                                           const provider::WayOut* before) {
  if (!settings.outbound) return std::shared_ptr<const provider::WayOut>();
  const auto& outbound = *settings.outbound;
  const auto& program = outbound.endpoint.program;
  if (!program.empty() && !helper.knows(program)) {
    return fail(Errc::denied,
                "[outbound]: sendmail names a program that was not there at the start, and who is shut in "
                "can start no other; restart odmrd");
  }
  LoginSettings login = outbound.login;
  const bool keeps_login = before != nullptr && is_by_command(login);
  if (keeps_login) login = {};
  Keyring keyring;
  Manners manners;
  manners.hostname = settings.session.hostname;
  auto server = server_of(manners, outbound.endpoint, outbound.tls, login, keyring);
  if (!server) return fail(server.error().code, "[outbound]: " + server.error().text);
  auto way_out = std::make_shared<provider::WayOut>();
  way_out->smart_host.role = deliver::TargetOptions::Role::smart_host;
  way_out->smart_host.server = std::move(*server);
  way_out->smart_host.hostname = settings.session.hostname;
  if (keeps_login) way_out->smart_host.server.login = before->smart_host.server.login;
  way_out->max_connections = outbound.max_connections;
  way_out->lifetime = outbound.lifetime;
  way_out->options = {settings.session.hostname, settings.limits};
  return std::shared_ptr<const provider::WayOut>(std::move(way_out));
}

std::vector<confine::Command> commands_of(const DaemonSettings& settings) {
  if (!settings.outbound || settings.outbound->endpoint.program.empty()) return {};
  return {settings.outbound->endpoint.program};
}

net::BeginProgram begin_program_by(const confine::Helper& helper) {
  return [&helper](const std::vector<std::string>& words) -> Result<net::ProgramOnItsWay> {
    auto asked = helper.converse(words, k_farewell);
    if (!asked) return fail(asked.error());
    return net::ProgramOnItsWay{std::move(asked->line), std::move(asked->answer), &confine::Helper::begun};
  };
}

}  // namespace odmr::app
