#include <algorithm>
#include <utility>

#include "base/secret.hpp"
#include "collect/login.hpp"
#include "collect/pop3_mailbox.hpp"
#include "net/digest.hpp"
#include "smtp/command.hpp"

namespace odmr::collect {

namespace {

using client::OpenFailure;
using client::Step;
using client::TlsPolicy;
using net::Task;
using pop3::Status;
using Failed = tl::unexpected<OpenFailure>;
template <class T = void>
using Attempt = tl::expected<T, OpenFailure>;

// RFC 5034 4: an initial response that would make the line longer is an answer of its own.
constexpr std::size_t k_longest_auth = 255;

// RFC 1939's AUTHORIZATION state.
class Pop3Login final : public SaslCarrier {
 public:
  Pop3Login(Wire& wire, const client::OnStep* on_step) : wire_(wire), on_step_(on_step) {}

  /// Gives how we logged in.
  Task<Attempt<std::string>> run() {
    auto introduced = co_await introduce();
    if (!introduced) co_return Failed(introduced.error());
    co_return co_await log_in();
  }
  bool can_pipeline() const { return capabilities_.has("PIPELINING"); }

  Task<Result<LoginAnswer>> begin(std::string mechanism, std::optional<std::string> initial) override {
    std::string line = "AUTH " + mechanism;
    std::string shown = line;
    const bool is_short = initial && line.size() + 1 + initial->size() + 2 <= k_longest_auth;
    if (is_short) line += " " + *initial;
    if (is_short) shown += " *****";
    line += "\r\n";
    auto answer = co_await ask(line, shown);
    wipe(line);
    if (!initial || is_short || !answer || answer->kind != LoginAnswer::Kind::challenge) co_return answer;
    if (*initial == "=") initial->clear();
    co_return co_await respond(std::move(*initial));
  }

  Task<Result<LoginAnswer>> respond(std::string response) override {
    response += "\r\n";
    auto answer = co_await ask(response, "*****");
    wipe(response);
    co_return answer;
  }

 private:
  void tell(Step step, const std::string& text) const {
    if (on_step_ != nullptr) (*on_step_)(client::Reached{step, text, std::nullopt});
  }

  Task<Result<Status>> read_status() {
    auto line = co_await wire_.read_line(pop3::k_longest_line);
    if (!line) co_return fail(line.error());
    auto status = pop3::parse_status(*line);
    if (!status) co_return fail(out_of_step(wire_, "not POP3: " + *line));
    co_return std::move(*status);
  }

  // `line` with its CRLF.
  Task<Result<Status>> command(std::string_view line, std::string_view shown = {}) {
    // What has come already answers nothing: somebody put it in, or the server is out of step.
    if (!wire_.stream().buffered().empty()) co_return fail(out_of_step(wire_, "answers before it is asked"));
    const auto sent = co_await wire_.send(line, shown);
    if (!sent) co_return fail(sent.error());
    co_return co_await read_status();
  }

  Task<Result<LoginAnswer>> ask(std::string_view line, std::string_view shown) {
    const auto status = co_await command(line, shown);
    if (!status) co_return fail(status.error());
    LoginAnswer answer;
    if (status->kind == Status::Kind::challenge) answer.kind = LoginAnswer::Kind::challenge;
    if (status->is_ok()) answer.kind = LoginAnswer::Kind::yes;
    answer.is_temporary = status->is_temporary();
    answer.text = status->text;
    co_return answer;
  }

  // --- up to the login

  Task<Attempt<>> introduce() {
    const TlsPolicy policy = wire_.server().tls;
    if (policy == TlsPolicy::implicit) {
      const auto failed = co_await wire_.begin_tls(on_step_);
      if (failed) co_return Failed(*failed);
    }
    auto greeted = co_await greeting();
    if (!greeted) co_return greeted;
    auto known = co_await ask_capabilities();
    if (!known) co_return known;
    const bool offers_tls = capabilities_.has("STLS");
    if (policy == TlsPolicy::starttls || (policy == TlsPolicy::if_available && offers_tls))
      co_return co_await start_tls();
    co_return Attempt<>();
  }

  Task<Attempt<>> greeting() {
    const auto status = co_await read_status();
    if (!status) {
      OpenFailure failure = client::wire_failure(Step::greeting, status.error());
      if (failure.cause == Cause::no_answer || failure.cause == Cause::line_lost) failure.cause = Cause::no_greeting;
      if (failure.cause == Cause::out_of_step) failure.cause = Cause::not_smtp;
      co_return Failed(std::move(failure));
    }
    if (!status->is_ok()) {
      co_return Failed(OpenFailure{Step::greeting,
                                   Outcome::unavailable,
                                   {},
                                   "the server does not let us in: \"" + status->text + "\"",
                                   false,
                                   {},
                                   Cause::put_off});
    }
    timestamp_ = pop3::timestamp_in(status->text);
    tell(Step::greeting, status->text);
    co_return Attempt<>();
  }

  // RFC 2449 5. A server without CAPA can USER, and is tried for the rest.
  Task<Attempt<>> ask_capabilities() {
    capabilities_ = pop3::Capabilities();
    const auto status = co_await command("CAPA\r\n");
    if (!status) co_return Failed(client::wire_failure(Step::hello, status.error()));
    has_capabilities_ = status->is_ok();
    for (std::size_t lines = 0; has_capabilities_; ++lines) {
      const auto line = co_await wire_.read_line(pop3::k_longest_line);
      if (!line) co_return Failed(client::wire_failure(Step::hello, line.error()));
      if (*line == ".") break;
      if (lines == 1000) co_return Failed(client::wire_failure(Step::hello, out_of_step(wire_, "CAPA has no end")));
      capabilities_.add(*line);
    }
    tell(Step::hello, has_capabilities_ ? capabilities_.text() : "the server does not know CAPA");
    co_return Attempt<>();
  }

  // RFC 2595 4. What keeps TLS from coming about ends the session: nobody can tell a server that cannot from a line on
  // which somebody takes the word away.
  Task<Attempt<>> start_tls() {
    if (has_capabilities_ && !capabilities_.has("STLS")) {
      co_return Failed(OpenFailure{
          Step::tls, Outcome::tls, {}, "the server does not offer STLS", false, {}, Cause::starttls_not_offered});
    }
    const auto status = co_await command("STLS\r\n");
    if (!status) co_return Failed(client::wire_failure(Step::tls, status.error()));
    if (!status->is_ok()) {
      co_return Failed(OpenFailure{Step::tls,
                                   Outcome::tls,
                                   {},
                                   "STLS is refused: \"" + status->text + "\"",
                                   false,
                                   {},
                                   Cause::starttls_refused});
    }
    const auto failed = co_await wire_.begin_tls(on_step_);
    if (failed) co_return Failed(*failed);
    co_return co_await ask_capabilities();
  }

  // --- the login

  // In our order of strength: APOP shows as little as CRAM-MD5, USER as much as LOGIN.
  Task<Attempt<std::string>> log_in() {
    const client::Login& login = *wire_.server().login;
    const auto situation = situation_of(wire_);
    const auto chosen = sasl::choose(capabilities_.mechanisms(), login.filter, situation);
    const bool is_strong = chosen && *chosen <= sasl::Mechanism::cram_md5;
    const bool can_apop =
        !timestamp_.empty() && situation.has_password && is_let_through(login, sasl::Mechanism::cram_md5);
    const bool can_user =
        is_let_through(login, sasl::Mechanism::login) && sasl::is_usable(sasl::Mechanism::login, situation);
    if (can_apop && !is_strong) co_return co_await log_in_by_apop();
    if (chosen) {
      const std::string name(sasl::name(*chosen));
      tell(Step::mechanism, name);
      const auto failed = co_await log_in_by_sasl(wire_, *this, *chosen);
      if (failed) co_return Failed(*failed);
      co_return name;
    }
    if (can_user) co_return co_await log_in_by_user();
    co_return Failed(not_in(Outcome::auth,
                            chosen.error().cause == Cause::auth_not_offered && !situation.tls
                                ? Cause::mechanism_needs_tls
                                : chosen.error().cause,
                            "no way to log in can be used: " + chosen.error().text));
  }

  // RFC 1939 7.
  Task<Attempt<std::string>> log_in_by_apop() {
    const client::Login& login = *wire_.server().login;
    tell(Step::mechanism, "APOP");
    std::string signed_text = timestamp_ + login.password.text();
    const std::string digest = net::hex(net::md5(signed_text));
    wipe(signed_text);
    std::string text = "APOP " + login.user + " " + digest;
    co_return co_await say(std::move(text), "APOP *****", "APOP");
  }

  Task<Attempt<std::string>> log_in_by_user() {
    const client::Login& login = *wire_.server().login;
    tell(Step::mechanism, "USER");
    std::string text = "USER " + login.user;
    auto named = co_await say(std::move(text), {}, "USER");
    if (!named) co_return named;
    text = "PASS " + login.password.text();
    co_return co_await say(std::move(text), "PASS *****", "USER");
  }

  Task<Attempt<std::string>> say(std::string text, std::string_view shown, std::string_view mechanism_name) {
    const std::string mechanism(mechanism_name);
    auto line = smtp::command_line(text);
    wipe(text);
    if (!line)
      co_return Failed(
          not_in(Outcome::auth, Cause::credentials_unusable,
                 "user or password cannot be sent by " + mechanism + ": it has a control character, or is too long"));
    auto answer = co_await ask(*line, shown);
    wipe(*line);
    if (!answer) co_return Failed(client::wire_failure(Step::auth, answer.error()));
    if (answer->kind == LoginAnswer::Kind::yes) co_return mechanism;
    co_return Failed(login_refused(mechanism, *answer));
  }

  Wire& wire_;
  const client::OnStep* on_step_;
  std::string timestamp_;
  pop3::Capabilities capabilities_;
  bool has_capabilities_ = false;
};

}  // namespace

Task<tl::expected<Pop3Mailbox::Begun, OpenFailure>> Pop3Mailbox::begin(std::unique_ptr<Wire> wire,
                                                                       const client::OnStep* on_step) {
  Pop3Login login(*wire, on_step);
  auto mechanism = co_await login.run();
  if (!mechanism) {
    const bool is_in_step = is_in_step_after(mechanism.error());
    std::string good_bye = "QUIT\r\n";
    if (is_in_step) co_await wire->part(std::move(good_bye));
    co_return Failed(std::move(mechanism.error()));
  }
  Begun begun;
  begun.mechanism = std::move(*mechanism);
  begun.mailbox = std::make_unique<Pop3Mailbox>(std::move(wire), login.can_pipeline());
  co_return begun;
}

}  // namespace odmr::collect
