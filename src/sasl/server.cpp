#include "sasl/server.hpp"

#include <utility>

#include "base/secret.hpp"
#include "sasl/base64.hpp"
#include "sasl/gsasl.hpp"

namespace odmr::sasl {
namespace {

constexpr std::size_t k_nobodys_length = 12;

/// Random bytes of this process, as text; empty where the system has none to give.
const std::string& process_key() {
  static const std::string key = [] {
    std::string bytes(32, '\0');
    if (gsasl_random(bytes.data(), bytes.size()) != GSASL_OK) return std::string();
    return to_base64(bytes);
  }();
  return key;
}

/// Bytes that stay the same for `user` as long as `key` does, and that nobody else can compute: HMAC under it, which is
/// what one round of PBKDF2 is. Empty on failure.
std::string derived(const std::string& key, std::string_view purpose, std::string_view user) {
  const std::string salt = std::string(purpose) + '\0' + std::string(user);
  std::string salted(GSASL_HASH_SHA256_SIZE, '\0');
  std::string client_key = salted;
  std::string server_key = salted;
  std::string stored_key = salted;
  const int code =
      gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, key.c_str(), 1, salt.data(), salt.size(), salted.data(),
                                        client_key.data(), server_key.data(), stored_key.data());
  return code == GSASL_OK && !key.empty() ? stored_key : std::string();
}

/// In a time that depends on the size of `given` alone.
bool same(std::string_view given, std::string_view expected) {
  std::size_t difference = given.size() ^ expected.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char other = expected.empty() ? '\0' : expected[i % expected.size()];
    difference |= static_cast<unsigned char>(given[i] ^ other);
  }
  return difference == 0;
}

/// As it is compared: after SASLprep where that takes it, else as it stands.
Secret comparable(std::string_view password) {
  auto prepared = saslprep(password);
  return prepared ? Secret(std::move(*prepared)) : Secret(password);
}

}  // namespace

class Server::Exchange final : public Asked {
 public:
  Exchange(Mechanism mechanism, const Accounts& accounts, const Channel& channel)
      : mechanism_(mechanism), accounts_(accounts), certificate_user_(channel.certificate_user) {}

  Result<void> open(std::string_view tls_exporter);
  Result<Step> begin(std::optional<std::string_view> initial);
  Result<Step> step(std::string_view response);
  Mechanism mechanism() const { return mechanism_; }
  const std::string& user_without_password() const { return user_without_password_; }

 private:
  /// `proved`: SCRAM's client has shown the password, and owes an empty answer to our own proof.
  enum class State { fresh, running, proved, over };

  int answer(Gsasl_session* session, Gsasl_property wanted) override;
  int give_iterations(Gsasl_session* session);
  int give_salt(Gsasl_session* session);
  int give_password(Gsasl_session* session);
  int give_key(Gsasl_session* session, Gsasl_property wanted);
  int check_password(Gsasl_session* session);
  int check_certificate(Gsasl_session* session) const;
  void find_user(Gsasl_session* session);
  std::string derived_for(std::string_view purpose) const;
  bool does_verifier_do() const;

  Result<Step> advance(std::string_view response);
  Result<Step> accept(std::string challenge);
  Result<void> check_response(std::string_view response) const;
  tl::unexpected<Error> refuse(Errc code);

  Mechanism mechanism_;
  const Accounts& accounts_;
  std::string certificate_user_;
  Session session_;
  State state_ = State::fresh;
  std::string user_;

  // Of the user who was asked for, once he was.
  bool is_looked_up_ = false;
  bool is_known_ = false;
  std::string name_;                         // as users are told apart
  Secret password_;                          // his, or one that nobody knows
  const ScramVerifier* verifier_ = nullptr;  // in place of the password: his, or nobodys_
  ScramVerifier nobodys_;
  std::string user_without_password_;
};

Result<void> Server::Exchange::open(std::string_view tls_exporter) {
  auto session = start_server(mechanism_, *this);
  if (!session) return fail(session.error());
  session_ = std::move(*session);
  if (tls_exporter.empty() || !is_scram(mechanism_)) return {};
  // Without -PLUS this makes libgsasl refuse the gs2 flag "y".
  if (!set(session_.get(), GSASL_CB_TLS_EXPORTER, to_base64(tls_exporter))) {
    return fail(Errc::io, "libgsasl does not take the channel binding");
  }
  return {};
}

int Server::Exchange::answer(Gsasl_session* session, Gsasl_property wanted) {
  switch (wanted) {
    case GSASL_PASSWORD:
      return give_password(session);
    case GSASL_SCRAM_ITER:
      return give_iterations(session);
    case GSASL_SCRAM_SALT:
      return give_salt(session);
    case GSASL_SCRAM_STOREDKEY:
    case GSASL_SCRAM_SERVERKEY:
      return give_key(session, wanted);
    case GSASL_VALIDATE_SIMPLE:
      return check_password(session);
    case GSASL_VALIDATE_EXTERNAL:
      return check_certificate(session);
    default:
      return GSASL_NO_CALLBACK;
  }
}

std::string Server::Exchange::derived_for(std::string_view purpose) const {
  const std::string_view key = accounts_.salting_key();
  return derived(key.empty() ? process_key() : std::string(key), purpose, name_);
}

bool Server::Exchange::does_verifier_do() const {
  return mechanism_ == Mechanism::scram_sha_256_plus || mechanism_ == Mechanism::scram_sha_256 ||
         mechanism_ == Mechanism::plain || mechanism_ == Mechanism::login;
}

/// The account's password or verifier, or one that nobody knows, found with the same work.
void Server::Exchange::find_user(Gsasl_session* session) {
  if (std::exchange(is_looked_up_, true)) return;
  const std::string_view user = get(session, GSASL_AUTHID);
  name_ = accounts_.name_of(user);
  // As long as passwords are, since SASLprep takes its time by length.
  const std::string nobodys = to_base64(derived_for("password")).substr(0, k_nobodys_length);
  const std::string number = derived_for("stand-in");
  std::uint32_t place = 0;
  for (std::size_t i = 0; i < sizeof place && i < number.size(); ++i)
    place = place << 8U | static_cast<unsigned char>(number[i]);
  const ScramVerifier* const like = accounts_.stand_in(place);

  const auto found = user.empty() ? std::nullopt : accounts_.password(user);
  const ScramVerifier* const kept = user.empty() ? nullptr : accounts_.verifier(user);
  const bool has_password = found && !found->empty() && found->find('\0') == found->npos;
  password_ = has_password ? Secret(*found) : Secret(nobodys);
  if (kept != nullptr && !has_password && !does_verifier_do()) user_without_password_ = user;
  is_known_ = has_password || (kept != nullptr && does_verifier_do());
  if (has_password || !does_verifier_do()) return;
  if (kept != nullptr) {
    verifier_ = kept;
  } else if (like != nullptr) {
    nobodys_ = {like->iterations, derived_for(name(mechanism_)).substr(0, like->salt.size()),
                Secret(derived_for("stored key")), Secret(derived_for("server key"))};
    verifier_ = &nobodys_;
  }
}

int Server::Exchange::give_iterations(Gsasl_session* session) {
  find_user(session);
  const unsigned iterations = verifier_ != nullptr ? verifier_->iterations : k_fewest_iterations;
  return set(session, GSASL_SCRAM_ITER, std::to_string(iterations)) ? GSASL_OK : GSASL_MALLOC_ERROR;
}

int Server::Exchange::give_salt(Gsasl_session* session) {
  find_user(session);
  const std::string salt =
      verifier_ != nullptr ? verifier_->salt : derived_for(name(mechanism_)).substr(0, k_kept_salt_bytes);
  return !salt.empty() && set(session, GSASL_SCRAM_SALT, to_base64(salt)) ? GSASL_OK : GSASL_CRYPTO_ERROR;
}

int Server::Exchange::give_password(Gsasl_session* session) {
  find_user(session);
  if (verifier_ != nullptr) return GSASL_NO_CALLBACK;
  return set(session, GSASL_PASSWORD, password_.text()) ? GSASL_OK : GSASL_CRYPTO_ERROR;
}

int Server::Exchange::give_key(Gsasl_session* session, Gsasl_property wanted) {
  find_user(session);
  if (verifier_ == nullptr) return GSASL_NO_CALLBACK;
  const Secret& key = wanted == GSASL_SCRAM_STOREDKEY ? verifier_->stored_key : verifier_->server_key;
  const Secret text(to_base64(key.text()));
  return set(session, wanted, text.text()) ? GSASL_OK : GSASL_CRYPTO_ERROR;
}

int Server::Exchange::check_password(Gsasl_session* session) {
  find_user(session);
  const std::string_view given = get(session, GSASL_PASSWORD);
  const bool is_right = verifier_ != nullptr ? is_password_of(*verifier_, given)
                                             : same(comparable(given).text(), comparable(password_.text()).text());
  return is_right && is_known_ ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

int Server::Exchange::check_certificate(Gsasl_session* session) const {
  const std::string_view wish = get(session, GSASL_AUTHZID);
  const bool is_right = !certificate_user_.empty() && (wish.empty() || wish == certificate_user_);
  return is_right ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

/// The texts depend on the code alone, never on who asked.
tl::unexpected<Error> Server::Exchange::refuse(Errc code) {
  state_ = State::over;
  const std::string mechanism(name(mechanism_));
  switch (code) {
    case Errc::malformed:
      return fail(code, "the response does not follow the grammar of " + mechanism);
    case Errc::too_long:
      return fail(code, "the response is too long");
    case Errc::denied:
      return fail(code, "the credentials are not valid");
    default:
      return fail(code, mechanism + " failed on our side");
  }
}

Result<void> Server::Exchange::check_response(std::string_view response) const {
  if (response.size() > k_longest_message) return fail(Errc::too_long, "");
  if (mechanism_ != Mechanism::external && response.empty()) return fail(Errc::malformed, "");
  // Bound, but to nothing: libgsasl would let it pass.
  const bool is_unbound_scram = is_scram(mechanism_) && !needs_channel_binding(mechanism_);
  if (is_unbound_scram && response.starts_with('p')) return fail(Errc::malformed, "");
  // Only PLAIN uses NUL; libgsasl reads the others up to the first.
  if (mechanism_ != Mechanism::plain && response.find('\0') != response.npos) return fail(Errc::malformed, "");
  return {};
}

Result<Step> Server::Exchange::begin(std::optional<std::string_view> initial) {
  if (state_ != State::fresh) return refuse(Errc::malformed);
  state_ = State::running;
  if (!client_speaks_first(mechanism_)) {
    // Also with LOGIN's initial response: libgsasl's server throws away what its first step is given.
    const Stepped question = sasl::step(session_.get(), "");
    if (question.code != GSASL_NEEDS_MORE) return refuse(errc_of(question.code));
    if (!initial) return Step{question.output, false, {}};
    if (mechanism_ != Mechanism::login) return refuse(Errc::malformed);
  }
  return initial ? advance(*initial) : Step{};
}

Result<Step> Server::Exchange::step(std::string_view response) {
  if (state_ == State::running) return advance(response);
  if (state_ != State::proved || !response.empty()) return refuse(Errc::malformed);
  state_ = State::over;
  return Step{{}, true, user_};
}

Result<Step> Server::Exchange::advance(std::string_view response) {
  if (auto fine = check_response(response); !fine) return refuse(fine.error().code);
  Stepped stepped = sasl::step(session_.get(), response);
  if (stepped.code == GSASL_OK) return accept(std::move(stepped.output));
  if (stepped.code == GSASL_NEEDS_MORE) return Step{std::move(stepped.output), false, {}};
  return refuse(errc_of(stepped.code));
}

Result<Step> Server::Exchange::accept(std::string challenge) {
  if (mechanism_ == Mechanism::external) {
    user_ = certificate_user_;
  } else {
    user_ = get(session_.get(), GSASL_AUTHID);
    // Nobody acts for another here.
    const std::string_view wish = get(session_.get(), GSASL_AUTHZID);
    if (!is_known_ || user_.empty() || (!wish.empty() && wish != user_)) return refuse(Errc::denied);
  }
  if (is_scram(mechanism_)) {
    state_ = State::proved;
    return Step{std::move(challenge), false, {}};
  }
  state_ = State::over;
  return Step{{}, true, user_};
}

Result<Server> Server::start(Mechanism mechanism, const Accounts& accounts, const Channel& channel) {
  if (needs_channel_binding(mechanism) && channel.tls_exporter.empty()) {
    return fail(Errc::denied, std::string(name(mechanism)) + " needs a TLS channel to bind to");
  }
  auto exchange = std::make_unique<Exchange>(mechanism, accounts, channel);
  if (auto fine = exchange->open(channel.tls_exporter); !fine) return fail(fine.error());
  return Server(std::move(exchange));
}

Server::Server(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Mechanism Server::mechanism() const {
  return exchange_->mechanism();
}
const std::string& Server::user_without_password() const {
  return exchange_->user_without_password();
}
Result<Step> Server::begin(std::optional<std::string_view> initial) {
  return exchange_->begin(initial);
}
Result<Step> Server::step(std::string_view response) {
  return exchange_->step(response);
}

}  // namespace odmr::sasl
