#include "app/way_out.hpp"

#include <utility>

#include "app/plan.hpp"

namespace odmr::app {

Result<std::shared_ptr<const provider::WayOut>> way_out_of(const DaemonSettings& settings,
                                                           const provider::WayOut* before) {
  if (!settings.outbound) return std::shared_ptr<const provider::WayOut>();
  const auto& outbound = *settings.outbound;
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

}  // namespace odmr::app
