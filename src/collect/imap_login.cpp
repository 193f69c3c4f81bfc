#include <utility>

#include "base/ascii.hpp"
#include "base/secret.hpp"
#include "collect/imap_mailbox.hpp"
#include "collect/login.hpp"
#include "imap/command.hpp"

namespace odmr::collect {

namespace {

using client::OpenFailure;
using client::Step;
using client::TlsPolicy;
using imap::Response;
using net::Task;
using Kind = Response::Kind;
using Verdict = Response::Verdict;
using Failed = tl::unexpected<OpenFailure>;
template <class T = void>
using Attempt = tl::expected<T, OpenFailure>;

std::string quote(const Response& response) {
  return "\"" + std::string(response.text) + "\"";
}

// From the greeting to the selected folder (RFC 3501 3).
class ImapLogin final : public SaslCarrier {
 public:
  ImapLogin(ImapWire& imap, const Place& place, const client::OnStep* on_step)
      : imap_(imap), place_(place), on_step_(on_step) {}

  /// Gives how we logged in.
  Task<Attempt<std::string>> run() {
    auto introduced = co_await introduce();
    if (!introduced) co_return Failed(introduced.error());
    std::string mechanism = "PREAUTH";
    if (!is_known_already_) {
      auto in = co_await log_in();
      if (!in) co_return in;
      mechanism = *in;
    }
    auto selected = co_await select();
    if (!selected) co_return Failed(selected.error());
    co_return mechanism;
  }
  ImapMailbox::Selected& selected() { return selected_; }

  Task<Result<LoginAnswer>> begin(std::string mechanism, std::optional<std::string> initial) override {
    std::string text = "AUTHENTICATE " + mechanism;
    std::string shown = text;
    // RFC 4959.
    const bool is_at_once = initial && capabilities_.has("SASL-IR");
    if (is_at_once) text += " " + *initial;
    if (is_at_once) shown += " *****";
    auto tag = co_await imap_.send(std::move(text), std::move(shown));
    if (!tag) co_return fail(tag.error());
    tag_ = std::move(*tag);
    auto answer = co_await read_answer();
    if (!initial || is_at_once || !answer || answer->kind != LoginAnswer::Kind::challenge) co_return answer;
    if (*initial == "=") initial->clear();
    co_return co_await respond(std::move(*initial));
  }

  Task<Result<LoginAnswer>> respond(std::string response) override {
    response += "\r\n";
    const auto sent = co_await imap_.wire().send(response, "*****");
    wipe(response);
    if (!sent) co_return fail(sent.error());
    co_return co_await read_answer();
  }

 private:
  void tell(Step step, const std::string& text) const {
    if (on_step_ != nullptr) (*on_step_)(client::Reached{step, text, std::nullopt});
  }

  Task<Result<LoginAnswer>> read_answer() {
    for (;;) {
      const auto response = co_await imap_.read();
      if (!response) co_return fail(response.error());
      note(*response);
      LoginAnswer answer;
      answer.text = response->text;
      if (response->kind == Kind::continuation) {
        answer.kind = LoginAnswer::Kind::challenge;
        co_return answer;
      }
      if (response->kind != Kind::tagged) continue;
      if (response->tag != tag_) co_return fail(out_of_step(imap_.wire(), "an answer to no command"));
      answer.kind = response->is_ok() ? LoginAnswer::Kind::yes : LoginAnswer::Kind::no;
      answer.is_temporary = imap::is_temporary(response->code);
      co_return answer;
    }
  }

  // RFC 3501 7.2.1: what the server can is told by its own response, or in the code of another one.
  void note(const Response& response) {
    constexpr std::string_view k_word = "CAPABILITY ";
    if (response.kind == Kind::capability) capabilities_ = imap::Capabilities::from(response.text);
    if (starts_with_ignoring_case(response.code, k_word))
      capabilities_ = imap::Capabilities::from(std::string_view(response.code).substr(k_word.size()));
  }

  // --- up to the login

  Task<Attempt<>> introduce() {
    const TlsPolicy policy = imap_.wire().server().tls;
    if (policy == TlsPolicy::implicit) {
      const auto failed = co_await imap_.wire().begin_tls(on_step_);
      if (failed) co_return Failed(*failed);
    }
    auto greeted = co_await greeting();
    if (!greeted) co_return greeted;
    auto known = co_await ask_capabilities();
    if (!known) co_return known;
    const bool offers_tls = capabilities_.has("STARTTLS");
    if (policy != TlsPolicy::starttls && !(policy == TlsPolicy::if_available && offers_tls)) co_return Attempt<>();
    co_return co_await start_tls();
  }

  Task<Attempt<>> greeting() {
    const auto response = co_await imap_.read();
    const bool is_good = response && response->kind == Kind::status;
    if (!is_good) {
      const Error error = response ? out_of_step(imap_.wire(), "not IMAP") : response.error();
      OpenFailure failure = client::wire_failure(Step::greeting, error);
      if (error.code == Errc::closed && error.text.starts_with("the server closes")) failure.cause = Cause::put_off;
      if (failure.cause == Cause::no_answer || failure.cause == Cause::line_lost) failure.cause = Cause::no_greeting;
      if (failure.cause == Cause::out_of_step) failure.cause = Cause::not_smtp;
      co_return Failed(std::move(failure));
    }
    is_known_already_ = response->verdict == Verdict::preauth;
    note(*response);
    tell(Step::greeting, std::string(response->text));
    co_return Attempt<>();
  }

  Task<Attempt<>> ask_capabilities() {
    if (capabilities_.is_empty()) {
      const std::function<void(const Response&)> see = [this](const Response& response) { note(response); };
      const auto answer = co_await imap_.ask("CAPABILITY", see);
      if (!answer) co_return Failed(client::wire_failure(Step::hello, answer.error()));
      note(*answer);
    }
    tell(Step::hello, capabilities_.text());
    co_return Attempt<>();
  }

  // What keeps TLS from coming about ends the session: nobody can tell a server that cannot from a line on which
  // somebody takes the word away. PREAUTH leaves no place for STARTTLS, and is such a way (CVE-2020-12398).
  Task<Attempt<>> start_tls() {
    if (is_known_already_ || !capabilities_.has("STARTTLS")) {
      co_return Failed(OpenFailure{
          Step::tls, Outcome::tls, {}, "the server does not offer STARTTLS", false, {}, Cause::starttls_not_offered});
    }
    const auto answer = co_await imap_.ask("STARTTLS");
    if (!answer) co_return Failed(client::wire_failure(Step::tls, answer.error()));
    if (!answer->is_ok()) {
      co_return Failed(OpenFailure{
          Step::tls, Outcome::tls, {}, "STARTTLS is refused: " + quote(*answer), false, {}, Cause::starttls_refused});
    }
    capabilities_ = imap::Capabilities();  // what was said in clear text counts no more
    const auto failed = co_await imap_.wire().begin_tls(on_step_);
    if (failed) co_return Failed(*failed);
    co_return co_await ask_capabilities();
  }

  // --- the login

  Task<Attempt<std::string>> log_in() {
    const client::Login& login = *imap_.wire().server().login;
    const auto situation = situation_of(imap_.wire());
    const auto chosen = sasl::choose(capabilities_.mechanisms(), login.filter, situation);
    const auto before = capabilities_.text();
    Attempt<std::string> in;
    if (chosen) {
      const std::string name(sasl::name(*chosen));
      tell(Step::mechanism, name);
      const auto failed = co_await log_in_by_sasl(imap_.wire(), *this, *chosen);
      if (failed) co_return Failed(*failed);
      in = name;
    } else if (!capabilities_.has("LOGINDISABLED") && is_let_through(login, sasl::Mechanism::login) &&
               sasl::is_usable(sasl::Mechanism::login, situation)) {
      in = co_await log_in_by_command();
      if (!in) co_return in;
    } else {
      const bool needs_tls = chosen.error().cause == Cause::auth_not_offered && !situation.tls;
      co_return Failed(not_in(Outcome::auth, needs_tls ? Cause::mechanism_needs_tls : chosen.error().cause,
                              "no way to log in can be used: " + chosen.error().text));
    }
    // They differ once we are known; most servers tell with their answer.
    if (capabilities_.text() == before) capabilities_ = imap::Capabilities();
    auto known = co_await ask_capabilities();
    if (!known) co_return Failed(known.error());
    co_return in;
  }

  // RFC 3501 6.2.3.
  Task<Attempt<std::string>> log_in_by_command() {
    const client::Login& login = *imap_.wire().server().login;
    tell(Step::mechanism, "LOGIN");
    const auto user = imap::quoted(login.user);
    auto password = imap::quoted(login.password.text());
    if (!user || !password)
      co_return Failed(
          not_in(Outcome::auth, Cause::credentials_unusable,
                 "user or password cannot be sent by LOGIN: " + (user ? password.error() : user.error()).text));
    std::string text = "LOGIN " + *user + " " + *password;
    wipe(*password);
    auto tag = co_await imap_.send(std::move(text), std::string("LOGIN *****"));
    if (!tag) co_return Failed(client::wire_failure(Step::auth, tag.error()));
    tag_ = std::move(*tag);
    const auto answer = co_await read_answer();
    if (!answer) co_return Failed(client::wire_failure(Step::auth, answer.error()));
    if (answer->kind == LoginAnswer::Kind::yes) co_return std::string("LOGIN");
    co_return Failed(login_refused("LOGIN", *answer));
  }

  // --- the folder

  Task<Attempt<>> select() {
    const auto name = imap::quoted(imap::mailbox_name(place_.folder));
    if (!name)
      co_return Failed(OpenFailure{
          Step::auth, Outcome::refused, {}, "the folder's name cannot be sent", false, {}, Cause::folder_refused});
    const std::function<void(const Response&)> see = [this](const Response& response) {
      if (response.kind == Kind::exists) selected_.exists = response.number;
      if (const auto validity = imap::number_in_code(response.code, "UIDVALIDITY")) selected_.validity = validity;
      if (equals_ignoring_case(response.code, "UIDNOTSTICKY")) does_not_last_ = true;
    };
    std::string text = (place_.is_read_only ? "EXAMINE " : "SELECT ") + *name;
    const auto answer = co_await imap_.ask(std::move(text), see);
    if (!answer) co_return Failed(client::wire_failure(Step::auth, answer.error()));
    if (!answer->is_ok()) {
      const bool is_temporary = imap::is_temporary(answer->code);
      co_return Failed(OpenFailure{Step::auth,
                                   is_temporary ? Outcome::unavailable : Outcome::refused,
                                   {},
                                   "the folder \"" + place_.folder + "\" cannot be opened: " + quote(*answer),
                                   false,
                                   {},
                                   is_temporary ? Cause::put_off : Cause::folder_refused});
    }
    if (does_not_last_) selected_.validity.reset();
    selected_.folder = place_.folder;
    selected_.has_uid_expunge = capabilities_.has("UIDPLUS") || capabilities_.has("IMAP4REV2");
    co_return Attempt<>();
  }

  ImapWire& imap_;
  const Place& place_;
  const client::OnStep* on_step_;
  imap::Capabilities capabilities_;
  ImapMailbox::Selected selected_;
  std::string tag_;  // of the command that is under way
  bool is_known_already_ = false;
  bool does_not_last_ = false;
};

}  // namespace

Task<tl::expected<ImapMailbox::Begun, OpenFailure>> ImapMailbox::begin(std::unique_ptr<Wire> wire, const Place& place,
                                                                       const client::OnStep* on_step) {
  ImapWire imap(std::move(wire));
  std::string mechanism;
  ImapMailbox::Selected selected;
  {
    ImapLogin login(imap, place, on_step);
    auto in = co_await login.run();
    if (!in) {
      const bool is_in_step = is_in_step_after(in.error());
      std::string good_bye = imap.next_tag() + " LOGOUT\r\n";
      if (is_in_step) co_await imap.wire().part(std::move(good_bye));
      co_return Failed(std::move(in.error()));
    }
    mechanism = std::move(*in);
    selected = login.selected();
  }
  Begun begun;
  begun.mechanism = std::move(mechanism);
  begun.mailbox = std::make_unique<ImapMailbox>(std::move(imap), std::move(selected));
  co_return begun;
}

}  // namespace odmr::collect
