#include "app/plan.hpp"

#include <utility>

#include "base/ascii.hpp"
#include "base/own_program.hpp"
#include "config/file.hpp"
#include "net/digest.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

Result<std::shared_ptr<const client::Login>> load_login(const LoginSettings& settings, const TlsSettings& tls,
                                                        Keyring& keyring) {
  const bool has_certificate = !tls.client_certificate.empty();
  if (settings.user.empty() && !has_certificate) return std::shared_ptr<const client::Login>();
  auto login = std::make_shared<client::Login>();
  login->user = settings.user;
  login->filter = settings.filter;
  login->has_client_certificate = has_certificate;
  if (settings.password) {
    auto secret = keyring.password(*settings.password);
    if (!secret) return fail(secret.error());
    login->password = std::move(*secret);
  }
  return login;
}

// The proxy's password is for whoever goes that way.
Result<net::Way> load_way(const WaySettings& settings, Keyring& keyring) {
  net::Way way = settings.way;
  if (!way.proxy || !settings.proxy_password) return way;
  auto secret = keyring.password(*settings.proxy_password);
  if (!secret) return fail(secret.error());
  way.proxy =
      std::make_shared<net::Proxy>(net::Proxy{way.proxy->host, way.proxy->port, way.proxy->user, std::move(*secret)});
  return way;
}

template <class Size>
Size smaller_limit(Size a, Size b) {
  return a == 0 || (b != 0 && b < a) ? b : a;
}

// What a metered line allows acts as the limits do that are always there.
void add_budget(const BudgetSettings& budget, FetchPlan& plan) {
  auto& limits = plan.limits;
  if (budget.time && (!limits.session_time || *budget.time < *limits.session_time)) limits.session_time = budget.time;
  limits.session_size = smaller_limit(limits.session_size, budget.bytes);
  plan.largest_for_now = budget.message_size;
}

// A certificate that was renewed is another one. What cannot be read has been said already, or cannot be read any more.
std::string digest_of(const std::string& certificate) {
  if (certificate.empty()) return {};
  const auto contents = config::read_file(certificate, std::size_t{1} << 20U);
  return contents ? net::sha256(contents->bytes.text()) : std::string();
}

Manners manners_of(const Settings& settings) {
  return {settings.hostname, settings.timeouts.connect, settings.timeouts.command, settings.limits.reply};
}

MailboxPlan plan_mailbox(const MailboxSettings& settings, const Settings& all) {
  MailboxPlan plan;
  plan.place = settings.place;
  plan.keeping = settings.keeping;
  plan.unseen_only = settings.unseen_only;
  plan.marks_seen = settings.marks_seen;
  plan.bounces_refused = settings.bounces_refused;
  mail::MailboxPolicy policy = settings.policy;
  policy.own_hosts = {lower(all.hostname)};
  policy.max_recipients = all.limits.recipients;
  policy.max_hops = all.limits.hops;
  plan.addressing = collect::by_policy(std::move(policy), settings.drops_delivered_to);
  return plan;
}

}  // namespace

Result<client::Server> server_of(const Manners& manners, const net::Endpoint& endpoint, const TlsSettings& tls,
                                 const LoginSettings& login, Keyring& keyring, const std::string& name) {
  client::Server server;
  server.endpoint = endpoint;
  server.hostname = manners.hostname;
  server.tls = tls.policy;
  auto context = keyring.context(tls, name);
  if (!context) return fail(context.error());
  server.tls_context = std::move(*context);
  auto loaded = load_login(login, tls, keyring);
  if (!loaded) return fail(loaded.error());
  server.login = std::move(*loaded);
  server.patience.connect = manners.connect;
  server.patience.command = manners.command;
  server.patience.silence = manners.command;
  server.reply_limits = manners.reply;
  return server;
}

Result<FetchPlan> plan_fetch(const Settings& settings, const ProviderSettings& provider, Keyring& keyring) {
  FetchPlan plan;
  plan.provider = provider.name;
  plan.session_id = net::hex(net::random_octets(6));
  plan.scratch_directory = settings.state_dir;
  plan.hostname = settings.hostname;
  auto server =
      server_of(manners_of(settings), provider.endpoint, provider.tls, provider.login, keyring, name_of(provider));
  if (!server) return fail(server.error());
  plan.server = std::move(*server);
  auto way = load_way(provider.way, keyring);
  if (!way) return fail(way.error());
  plan.server.alternatives = provider.alternatives;
  plan.server.endpoint.way = *way;
  for (auto& one : plan.server.alternatives) one.way = *way;
  plan.domains = provider.domains;
  plan.only_asks = provider.only_asks();
  plan.nodes = provider.nodes;
  plan.signal = provider.signal;
  if (plan.signal) plan.signal->endpoint.way = *way;
  plan.atrn_all = provider.atrn_all;
  plan.max_sessions = provider.max_sessions;
  plan.parallel = provider.parallel;
  auto target = plan_target(settings, provider.deliver, keyring);
  if (!target) return fail(target.error());
  plan.target = std::move(*target);
  plan.timeouts = settings.timeouts;
  plan.limits = settings.limits;
  add_budget(provider.budget, plan);
  plan.soft_bounce = provider.deliver.soft_bounce;
  plan.breaker = provider.deliver.breaker;
  plan.keeps_deferred = provider.deliver.keeps_deferred;
  plan.deliver_table = provider.deliver.table;
  plan.mend_stray_newlines = provider.mend_stray_newlines;
  plan.certificate = digest_of(provider.tls.client_certificate);
  if (provider.mailbox) plan.mailbox = plan_mailbox(*provider.mailbox, settings);
  return plan;
}

Result<deliver::TargetOptions> plan_target(const Settings& settings, const DeliverSettings& deliver, Keyring& keyring) {
  deliver::TargetOptions target;
  target.kind = deliver.kind;
  target.directory = deliver.directory;
  target.hostname = settings.hostname;
  target.final = settings.timeouts.final;
  if (deliver.kind == deliver::TargetOptions::Kind::maildir) return target;
  auto server = server_of(manners_of(settings), deliver.endpoint, deliver.tls, deliver.login, keyring);
  if (!server) return fail(server.error());
  target.server = std::move(*server);
  target.server.patience.silence = settings.timeouts.target;
  target.max_connections = deliver.max_connections;
  if (deliver.kind == deliver::TargetOptions::Kind::lmtp) target.server.dialect = client::Dialect::lmtp;
  return target;
}

Result<send::FlushOptions> plan_flush(const Settings& settings, Keyring& keyring) {
  const auto& outbound = *settings.outbound;
  send::FlushOptions options;
  auto way = load_way(outbound.way, keyring);
  if (!way) return fail(way.error());
  if (outbound.to == OutboundSettings::To::smart_host) {
    auto server =
        server_of(manners_of(settings), outbound.endpoint, outbound.tls, outbound.login, keyring, k_smart_host);
    if (!server) return fail(server.error());
    options.server = std::move(*server);
    options.server.endpoint.way = *way;
  }
  if (outbound.pop_before_smtp) {
    const auto& pop = *outbound.pop_before_smtp;
    auto server = server_of(manners_of(settings), pop.endpoint, pop.tls, pop.login, keyring);
    if (!server) return fail(server.error());
    options.pop_before_smtp = send::PopBeforeSmtp{std::move(*server)};
    options.pop_before_smtp->server.endpoint.way = *way;
  }
  options.max_connections = outbound.max_connections;
  options.lifetime = outbound.lifetime;
  options.patience =
      client::TransactionPatience{settings.timeouts.command, settings.timeouts.command, settings.timeouts.final};
  if (!outbound.from.empty()) options.from = *smtp::parse_mailbox(outbound.from);
  options.scratch_directory = settings.state_dir;
  if (outbound.convert_8bit) {
    auto program = own_program("odmr-7bit");
    if (!program) return fail(program.error().code, "convert_8bit: " + program.error().text);
    options.seven_bit_argv = {*program};
  }
  return options;
}

}  // namespace odmr::app
