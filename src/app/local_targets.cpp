#include "app/local_targets.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <filesystem>
#include <optional>
#include <utility>

#include "app/host_port.hpp"
#include "net/system_network.hpp"
#include "smtp/reply.hpp"

namespace odmr::app {

namespace {

using net::Task;

// Exim looks its caller's name up before it greets, for five seconds where that takes so long.
constexpr auto k_patience = std::chrono::seconds(6);
constexpr std::uint16_t k_first_of_all_users = 1024;

std::optional<net::Endpoint> endpoint_of(std::string_view to) {
  const bool is_lmtp = to.starts_with("lmtp://");
  if (!is_lmtp && !to.starts_with("smtp://")) return std::nullopt;
  to.remove_prefix(7);
  net::Endpoint endpoint;
  if (is_lmtp && to.starts_with('/')) {
    endpoint.socket_path = to;
    return endpoint;
  }
  const auto where = split_host_port(to);
  if (!where) return std::nullopt;
  endpoint.host = where->host;
  endpoint.port = where->port.value_or(25);
  return endpoint;
}

// The first line is enough: Postfix's postscreen has a second one only after six seconds.
Task<Result<std::string>> read_line(net::Stream& stream, TimePoint deadline) {
  for (;;) {
    const auto line_end = stream.buffered().find('\n');
    if (line_end != std::string_view::npos) {
      std::string line(stream.buffered().substr(0, line_end));
      while (!line.empty() && line.back() == '\r') line.pop_back();
      co_return line;
    }
    const auto more = co_await stream.fill(deadline);
    if (!more) co_return fail(more.error());
  }
}

Task<void> note_greeting(std::string to, net::Network& network, Stop& stop, Result<std::string>& greeting) {
  greeting = co_await greeting_of(to, network, stop);
}

// A place under two names (/run and /var/run) is one.
std::string real_name(const std::string& to) {
  if (!to.starts_with("lmtp:///")) return to;
  std::error_code problem;
  const auto real = std::filesystem::canonical(to.substr(7), problem);
  return problem ? to : "lmtp://" + real.string();
}

// Never destroyed: a resolver's thread that waits for a dead name server would hold up the end.
struct Asking {
  asio::io_context loop{1};
  net::SystemNetwork network{loop};
  Stop stop;
};

}  // namespace

const std::vector<std::string>& usual_places() {
  static const std::vector<std::string> places{
      "smtp://127.0.0.1:25",
      "smtp://[::1]:25",
      "lmtp:///run/dovecot/lmtp",
      "lmtp:///var/run/dovecot/lmtp",
      "lmtp:///var/spool/postfix/private/dovecot-lmtp",
      "lmtp:///run/cyrus/socket/lmtp",
      "lmtp:///var/run/cyrus/socket/lmtp",
      "lmtp://127.0.0.1:24",
      "smtp://127.0.0.1:2525",
  };
  return places;
}

net::Task<Result<std::string>> greeting_of(std::string to, net::Network& network, Stop& stop) {
  const auto endpoint = endpoint_of(to);
  if (!endpoint) co_return fail(Errc::malformed, to + " is nothing that can be asked");
  auto stream = co_await network.connect(*endpoint, k_patience, stop);
  if (!stream) co_return fail(stream.error());
  const auto line = co_await read_line(*stream, network.clock().now() + k_patience);
  if (line) {
    const auto said = co_await stream->write("QUIT\r\n", k_patience);
    (void)said;
  }
  co_await stream->finish();
  if (!line) co_return fail(line.error());
  if (line->substr(0, 3) != "220") co_return fail(Errc::malformed, "it says \"" + *line + "\"");
  if (line->ends_with(" ESMTP odmr")) {
    co_return fail(Errc::malformed, "that is odmr itself (odmr submit), which would send the mail out again");
  }
  co_return line->substr(std::min<std::size_t>(4, line->size()));
}

std::vector<LocalTarget> find_local_targets(const std::vector<std::string>& places) {
  auto& asking = *new Asking;
  std::vector<Result<std::string>> greetings(places.size(), fail(Errc::not_found, "not asked"));
  for (std::size_t i = 0; i < places.size(); ++i) {
    asio::co_spawn(asking.loop, note_greeting(places[i], asking.network, asking.stop, greetings[i]),
                   [](const std::exception_ptr& problem) {
                     if (problem) std::rethrow_exception(problem);
                   });
  }
  asking.loop.run();
  std::vector<LocalTarget> found;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto name = real_name(places[i]);
    const bool is_known =
        std::any_of(found.begin(), found.end(), [&](const LocalTarget& one) { return real_name(one.to) == name; }) ||
        (places[i] == "smtp://[::1]:25" && !found.empty() && found.front().to == "smtp://127.0.0.1:25");
    if (greetings[i] && !is_known) found.push_back({places[i], *greetings[i]});
  }
  return found;
}

std::optional<LocalTarget> target_to_take_unasked(const std::vector<LocalTarget>& targets) {
  const auto found = std::find_if(targets.begin(), targets.end(), [](const LocalTarget& one) {
    const auto endpoint = endpoint_of(one.to);
    return endpoint && (!endpoint->socket_path.empty() || endpoint->port < k_first_of_all_users);
  });
  return found == targets.end() ? std::nullopt : std::optional(*found);
}

Result<std::string> ask_target(const std::string& to) {
  auto& asking = *new Asking;
  Result<std::string> greeting = fail(Errc::not_found, "not asked");
  asio::co_spawn(asking.loop, note_greeting(to, asking.network, asking.stop, greeting),
                 [](const std::exception_ptr& problem) {
                   if (problem) std::rethrow_exception(problem);
                 });
  asking.loop.run();
  return greeting;
}

}  // namespace odmr::app
