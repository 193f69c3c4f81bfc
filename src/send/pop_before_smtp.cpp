#include "send/pop_before_smtp.hpp"

#include <utility>

#include "base/ascii.hpp"
#include "smtp/command.hpp"

namespace odmr::send {

namespace {

using client::OpenFailure;
using client::Step;
using client::TlsPolicy;
using net::Task;
using Failed = tl::unexpected<OpenFailure>;
template <class T = void>
using Attempt = tl::expected<T, OpenFailure>;

constexpr std::size_t k_longest_line = 4096;  // RFC 1939 3 has 512 octets
constexpr auto k_farewell = std::chrono::seconds(2);

OpenFailure failure(Step step, Outcome outcome, Cause cause, std::string text) {
  return OpenFailure{step, outcome, {}, std::move(text), false, {}, cause};
}

class PopSession {
 public:
  PopSession(net::Stream stream, const client::Server& server, Log& log)
      : stream_(std::move(stream)), server_(server), log_(log) {}

  Task<Attempt<>> log_in() {
    if (server_.tls == TlsPolicy::implicit) {
      auto begun = co_await begin_tls();
      if (!begun) co_return begun;
    }
    const auto greeting = co_await read_line(Step::greeting);
    if (!greeting) co_return Failed(greeting.error());
    if (!is_ok(*greeting)) {
      co_return Failed(failure(Step::greeting, Outcome::unavailable, Cause::put_off,
                               refusal("the POP3 server does not let us in", *greeting)));
    }
    // Where STLS is optional we still demand it: the only login there is shows the password.
    if (server_.tls == TlsPolicy::starttls || server_.tls == TlsPolicy::if_available) {
      auto begun = co_await start_tls();
      if (!begun) co_return begun;
    }
    co_return co_await say_who();
  }

  Task<> quit() {
    const std::string farewell = "QUIT";
    const auto said = co_await say(farewell, false);
    if (said) co_await read_line(Step::auth, k_farewell);
    co_await stream_.finish();
  }

  net::Stream& stream() { return stream_; }

 private:
  Task<Attempt<>> start_tls() {
    const std::string line = "STLS";
    const auto answer = co_await ask(line, Step::tls);
    if (!answer) co_return Failed(answer.error());
    if (!is_ok(*answer))
      co_return Failed(failure(Step::tls, Outcome::tls, Cause::starttls_refused, refusal("STLS is refused", *answer)));
    co_return co_await begin_tls();
  }

  Task<Attempt<>> begin_tls() {
    const TimePoint deadline = stream_.clock().now() + server_.patience.connect;
    const auto begun = co_await stream_.start_tls_client(server_.tls_context, server_.endpoint.host, deadline);
    if (begun) co_return Attempt<>();
    OpenFailure failed = client::wire_failure(Step::tls, begun.error());
    if (begun.error().code == Errc::malformed) failed.outcome = Outcome::tls;
    co_return Failed(std::move(failed));
  }

  Task<Attempt<>> say_who() {
    const client::Login& login = *server_.login;
    std::string line = "USER " + login.user;
    const auto named = co_await ask(line, Step::auth);
    if (!named) co_return Failed(named.error());
    if (!is_ok(*named)) co_return not_in(*named);
    line = "PASS " + login.password.text();
    const auto in = co_await ask(line, Step::auth, true);
    wipe(line);
    if (!in) co_return Failed(in.error());
    if (!is_ok(*in)) co_return not_in(*in);
    co_return Attempt<>();
  }

  // RFC 2449 8.1, RFC 3206: what is in the brackets tells the server's own trouble from a wrong password.
  static Failed not_in(const std::string& answer) {
    bool is_temporary = false;
    for (const std::string_view code : {"-ERR [IN-USE]", "-ERR [LOGIN-DELAY", "-ERR [SYS/TEMP"}) {
      is_temporary = is_temporary || starts_with_ignoring_case(answer, code);
    }
    return Failed(failure(Step::auth, is_temporary ? Outcome::unavailable : Outcome::auth,
                          is_temporary ? Cause::login_put_off : Cause::login_refused,
                          refusal("the POP3 login is refused", answer)));
  }

  static bool is_ok(const std::string& answer) { return answer == "+OK" || answer.starts_with("+OK "); }
  static std::string refusal(const std::string& what, const std::string& answer) {
    return what + ": \"" + answer + "\"";
  }

  Task<Attempt<std::string>> ask(std::string line, Step step, bool is_secret = false) {
    // What has come already answers nothing: somebody put it in, or the server is out of step.
    if (!stream_.buffered().empty()) {
      co_return Failed(
          failure(step, Outcome::unavailable, Cause::out_of_step, stream_.peer() + ": answers before it is asked"));
    }
    const auto said = co_await say(std::move(line), is_secret);
    if (!said) co_return Failed(client::wire_failure(step, said.error()));
    co_return co_await read_line(step);
  }

  Task<Result<void>> say(std::string text, bool is_secret) {
    auto line = smtp::command_line(text);
    if (is_secret) wipe(text);
    if (!line) co_return fail(Errc::malformed, is_secret ? "the password cannot be sent by POP3" : line.error().text);
    if (log_.wants(Level::trace)) {
      log_.trace(">", {{"peer", stream_.peer()},
                       {"line", is_secret ? std::string("PASS *****") : line->substr(0, line->size() - 2)}});
    }
    auto sent = co_await stream_.write(*line, server_.patience.silence);
    if (is_secret) wipe(*line);
    co_return sent;
  }

  Task<Attempt<std::string>> read_line(Step step) { co_return co_await read_line(step, server_.patience.command); }

  Task<Attempt<std::string>> read_line(Step step, Duration patience) {
    const TimePoint deadline = stream_.clock().now() + patience;
    for (;;) {
      const std::string_view bytes = stream_.buffered();
      const auto end = bytes.find('\n');
      if (end != std::string_view::npos) {
        std::string line(trim(bytes.substr(0, end > 0 && bytes[end - 1] == '\r' ? end - 1 : end)));
        stream_.consume(end + 1);
        if (log_.wants(Level::trace)) log_.trace("<", {{"peer", stream_.peer()}, {"line", line}});
        if (is_ok(line) || line == "-ERR" || line.starts_with("-ERR ")) co_return line;
        co_return Failed(
            failure(step, Outcome::unavailable, Cause::out_of_step, stream_.peer() + ": not POP3: " + line));
      }
      if (bytes.size() > k_longest_line) {
        co_return Failed(
            failure(step, Outcome::unavailable, Cause::out_of_step, stream_.peer() + ": a line that is too long"));
      }
      const auto filled = co_await stream_.fill(deadline);
      if (!filled) co_return Failed(client::wire_failure(step, filled.error()));
    }
  }

  net::Stream stream_;
  const client::Server& server_;
  Log& log_;
};

}  // namespace

Task<std::optional<OpenFailure>> log_in_by_pop(net::Network& network, const client::Server& server, Log& log,
                                               Stop& stop) {
  if (!server.login)
    co_return failure(Step::auth, Outcome::auth, Cause::configuration, "there is no login for the POP3 server");
  auto stream = co_await network.connect(server.endpoint, server.patience.connect, stop);
  if (!stream) co_return client::wire_failure(Step::connect, stream.error());
  PopSession session(std::move(*stream), server, log);
  const Stop::Listener listener(stop, [&session](Stop::Phase) { session.stream().interrupt(); });
  const auto in = co_await session.log_in();
  if (!in) {
    session.stream().close();
    co_return in.error();
  }
  co_await session.quit();
  co_return std::nullopt;
}

}  // namespace odmr::send
