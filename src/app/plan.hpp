#pragma once

#include "app/fetch_plan.hpp"
#include "app/keyring.hpp"
#include "send/flush.hpp"

namespace odmr::app {

/// How we are to any server.
struct Manners {
  std::string hostname;  ///< ours
  Duration connect = client::Patience().connect;
  Duration command = client::Patience().command;
  smtp::ReplyLimits reply;
};

/// A server to speak to, as settings have it. `name`: as Keyring has it. Errors: as below.
Result<client::Server> server_of(const Manners& manners, const net::Endpoint& endpoint, const TlsSettings& tls,
                                 const LoginSettings& login, Keyring& keyring, const std::string& name = {});

/// Makes a session's plan from its settings: takes trust, certificates and secrets from the keyring, which
/// may read files, and run a configured command.
/// Error: what stands in the way, with the file it concerns.
Result<FetchPlan> plan_fetch(const Settings& settings, const ProviderSettings& provider, Keyring& keyring);

/// The flush's options, likewise.
Result<send::FlushOptions> plan_flush(const Settings& settings, Keyring& keyring);

/// A local target, likewise.
Result<deliver::TargetOptions> plan_target(const Settings& settings, const DeliverSettings& deliver, Keyring& keyring);

}  // namespace odmr::app
