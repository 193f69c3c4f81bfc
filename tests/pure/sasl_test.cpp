#include <dlfcn.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.hpp"
#include "sasl/base64.hpp"
#include "sasl/client.hpp"
#include "sasl/mechanism.hpp"
#include "sasl/server.hpp"

namespace {

bool g_nonce_is_frozen = false;

/// While it lives libgsasl's nonces are 00 01 02 …: the only way to SCRAM messages that are known beforehand.
struct FrozenNonce {
  FrozenNonce() { g_nonce_is_frozen = true; }
  ~FrozenNonce() { g_nonce_is_frozen = false; }
};

}  // namespace

/// Stands in front of libgsasl's own, in this program.
extern "C" int gsasl_nonce(char* data, std::size_t size) {
  if (!g_nonce_is_frozen) {
    static const auto real = reinterpret_cast<int (*)(char*, std::size_t)>(dlsym(RTLD_NEXT, "gsasl_nonce"));
    return real(data, size);
  }
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i);
  return 0;
}

namespace odmr::sasl {
namespace {

const std::string k_exporter(32, '\7');
const std::string k_nonce = "AAECAwQFBgcICQoLDA0ODxAR";

class TestAccounts final : public Accounts {
 public:
  explicit TestAccounts(std::string user = "user", std::string password = "pencil")
      : user_(std::move(user)), password_(std::move(password)) {}
  std::optional<std::string_view> password(std::string_view user) const override {
    if (user != user_) return std::nullopt;
    return password_;
  }

 private:
  std::string user_;
  std::string password_;
};

/// How a login ended, seen from both sides.
struct Login {
  std::string user;    ///< for whom the server let in; empty: nobody
  Error refusal;       ///< of the server
  Result<void> trust;  ///< of the client in the server's 235, or its own error
  std::size_t challenges = 0;
};

/// The two halves against each other, base64 and all, as RFC 4954 carries them.
Login log_in(Mechanism mechanism, const Credentials& credentials, const Accounts& accounts, const Channel& channel,
             const std::string& client_exporter) {
  Login login;
  auto client = Client::start(mechanism, credentials, client_exporter);
  auto server = Server::start(mechanism, accounts, channel);
  REQUIRE(client);
  REQUIRE(server);
  std::optional<std::string> initial;
  if (client->speaks_first()) initial = *from_initial_response(to_initial_response(*client->step("")));
  Result<Step> step = server->begin(initial);
  while (step && !step->done) {
    REQUIRE(++login.challenges < 5);
    const auto answer = client->step(*from_base64(to_base64(step->challenge)));
    if (!answer) {
      login.trust = fail(answer.error());
      return login;
    }
    step = server->step(*answer);
  }
  if (!step) {
    login.refusal = step.error();
    return login;
  }
  login.user = step->user;
  login.trust = client->check_success();
  CHECK(client->server_proved() == is_scram(mechanism));
  return login;
}

Login log_in(Mechanism mechanism, const Credentials& credentials, const Accounts& accounts = TestAccounts()) {
  const Channel channel{needs_channel_binding(mechanism) ? std::string_view(k_exporter) : "", "user"};
  return log_in(mechanism, credentials, accounts, channel, k_exporter);
}

// The server has no tokens.
std::vector<Mechanism> of_both_halves() {
  std::vector<Mechanism> found;
  std::copy_if(k_mechanisms.begin(), k_mechanisms.end(), std::back_inserter(found),
               [](Mechanism mechanism) { return !is_for_token(mechanism); });
  return found;
}

Client client_for(Mechanism mechanism, std::string_view user = "user", std::string_view password = "pencil") {
  auto client = Client::start(mechanism, {user, password}, k_exporter);
  REQUIRE(client);
  return std::move(*client);
}

Server server_for(Mechanism mechanism, const Accounts& accounts, const Channel& channel = {}) {
  auto server = Server::start(mechanism, accounts, channel);
  REQUIRE(server);
  return std::move(*server);
}

Errc code_of(const Result<std::string>& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

Errc code_of(const Result<Step>& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

}  // namespace

TEST_CASE("each mechanism logs the right user in", "[sasl]") {
  for (const Mechanism mechanism : of_both_halves()) {
    INFO(name(mechanism));
    const Login login = log_in(mechanism, {"user", "pencil"});
    CHECK(login.user == "user");
    CHECK(login.trust);
  }
}

TEST_CASE("a wrong password and an unknown user are refused in the same words", "[sasl]") {
  for (const Mechanism mechanism : of_both_halves()) {
    if (mechanism == Mechanism::external) continue;
    INFO(name(mechanism));
    const Login wrong = log_in(mechanism, {"user", "pencils"});
    const Login unknown = log_in(mechanism, {"nobody", "pencil"});
    CHECK(wrong.user.empty());
    CHECK(wrong.refusal.code == Errc::denied);
    CHECK(wrong.refusal == unknown.refusal);
    CHECK(wrong.challenges == unknown.challenges);
  }
}

TEST_CASE("an account without a password lets nobody in", "[sasl]") {
  const TestAccounts accounts("user", "");
  for (const Mechanism mechanism : of_both_halves()) {
    if (mechanism == Mechanism::external) continue;
    INFO(name(mechanism));
    CHECK(log_in(mechanism, {"user", "x"}, accounts).refusal.code == Errc::denied);
  }
  CHECK(code_of(server_for(Mechanism::plain, accounts).begin(std::string_view("\0user\0", 6))) != Errc::io);
}

TEST_CASE("names and passwords beyond ASCII travel", "[sasl]") {
  // The last is changed by SASLprep, and has to be on both sides.
  for (const std::string password : {"p\xc3\xa4ssw\xc3\xb6rd", "with space", "a,b=c", "x\xe2\x84\xa2"}) {
    const TestAccounts accounts("j\xc3\xbcrg, =x", password);
    for (const Mechanism mechanism : of_both_halves()) {
      if (mechanism == Mechanism::external) continue;
      INFO(name(mechanism) << " " << password);
      CHECK(log_in(mechanism, {"j\xc3\xbcrg, =x", password}, accounts).user == "j\xc3\xbcrg, =x");
    }
  }
}

TEST_CASE("what a mechanism cannot send is said before anything is sent, and not repeated", "[sasl]") {
  const std::string latin1 = "p\xe4ss";
  for (const Mechanism mechanism : of_both_halves()) {
    if (mechanism == Mechanism::external) continue;
    INFO(name(mechanism));
    for (const Credentials& bad :
         {Credentials{"", "pencil"}, Credentials{"user", ""}, Credentials{"user", std::string_view("pen\0cil", 7)}}) {
      const auto client = Client::start(mechanism, bad, k_exporter);
      REQUIRE_FALSE(client);
      CHECK(client.error().code == Errc::malformed);
    }
    const auto client = Client::start(mechanism, {"user", latin1}, k_exporter);
    CHECK(client.has_value() == (mechanism == Mechanism::plain || mechanism == Mechanism::login));
    if (!client) CHECK(client.error().text.find("p\xe4") == std::string::npos);
  }
  const TestAccounts accounts("user", latin1);
  CHECK(log_in(Mechanism::plain, {"user", latin1}, accounts).user.empty());
  CHECK(log_in(Mechanism::login, {"user", latin1}, accounts).user == "user");
}

TEST_CASE("EXTERNAL rests on the certificate alone", "[sasl]") {
  const TestAccounts accounts;
  const auto begin = [&](std::string_view certificate_user, std::string_view wish) {
    return server_for(Mechanism::external, accounts, {{}, certificate_user}).begin(wish);
  };
  CHECK(begin("user", "")->user == "user");
  CHECK(begin("user", "user")->done);
  CHECK(code_of(begin("user", "other")) == Errc::denied);
  CHECK(code_of(begin("", "")) == Errc::denied);
  CHECK(code_of(begin("", "user")) == Errc::denied);
  CHECK(code_of(begin("user", std::string_view("user\0x", 6))) == Errc::malformed);

  Server asked_first = server_for(Mechanism::external, accounts, {{}, "user"});
  CHECK_FALSE(asked_first.begin(std::nullopt)->done);
  CHECK(asked_first.step("")->user == "user");
  CHECK(Client::start(Mechanism::external, {})->step("") == std::string());
}

TEST_CASE("CRAM-MD5 answers known challenges", "[sasl]") {
  const auto answer = [](std::string_view user, std::string_view password, std::string_view challenge) {
    return *client_for(Mechanism::cram_md5, user, password).step(challenge);
  };
  // RFC 2195 2.
  CHECK(answer("tim", "tanstaaftanstaaf", "<1896.697170952@postoffice.reston.mci.net>") ==
        "tim b913a602c7eda7a495b4e6e7334d3890");
  // RFC 2645 4: no angle brackets, and hashed as it came.
  CHECK(*from_base64("MTg5Ni42OTcxNzA5NTJASVNQLkNPTQ==") == "1896.697170952@ISP.COM");
  CHECK(answer("foobar.net", "secret", "1896.697170952@ISP.COM") == "foobar.net 1c2634bb652870e1eb2b165074f5e8e8");
  CHECK(answer("u", "p\xc3\xa4ssw\xc3\xb6rd", "<1@x>") == "u 265cbf0eee5ba37421e797f218983603");
  CHECK(answer("u", std::string(100, 'k'), "<1@x>") == "u 386f82315f78ae2cbad709d59516436c");
}

namespace {

struct ScramVector {
  Mechanism mechanism;
  std::string client_first, server_first, client_final, server_final;
};

/// RFC 7677 3 and RFC 5802 5 with another client nonce (theirs has a length that libgsasl's has not), computed by
/// Python's hashlib with code that gives the RFCs' own messages for the RFCs' own nonces.
std::vector<ScramVector> scram_vectors() {
  const std::string sha256_nonce = k_nonce + "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const std::string sha1_nonce = k_nonce + "3rfcNHYJY1ZVvWVs7j";
  return {
      {Mechanism::scram_sha_256, "n,,n=user,r=" + k_nonce, "r=" + sha256_nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
       "c=biws,r=" + sha256_nonce + ",p=8QS33EhirvJVF1wlDy2kfegYqh3j3fjIAt5stYxh9/8=",
       "v=7gfjB7Dp2uv9ETuPebgbpQ7F1XDhhBqtaw8MfsWNi+s="},
      {Mechanism::scram_sha_1, "n,,n=user,r=" + k_nonce, "r=" + sha1_nonce + ",s=QSXCR+Q6sek8bf92,i=4096",
       "c=biws,r=" + sha1_nonce + ",p=FIzUhqmTr3LPUAEFZTV0s2J3nwQ=", "v=bmV95HMfnUGB0UeLiF2HZgCtaFk="},
      {Mechanism::scram_sha_256_plus, "p=tls-exporter,,n=user,r=" + k_nonce,
       "r=" + sha256_nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
       "c=cD10bHMtZXhwb3J0ZXIsLAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH,r=" + sha256_nonce +
           ",p=b9HW6i4wnL1yCzOaPAaFWyHTrAZ4wlYlrTqn5D1di3k=",
       "v=Dpb6hzjHxAGWrAm7vgHTcZTC4LCO6cakiKBiM7Jyrec="}};
}

/// A client of SCRAM-SHA-256 that has said its first message, its nonce known.
Client begun_scram() {
  const FrozenNonce frozen;
  Client client = client_for(Mechanism::scram_sha_256);
  REQUIRE(client.step(""));
  return client;
}

/// One that awaits the server's proof.
Client almost_proved_scram() {
  Client client = begun_scram();
  REQUIRE(client.step(scram_vectors()[0].server_first));
  return client;
}

}  // namespace

TEST_CASE("SCRAM's messages are those of the RFC", "[sasl]") {
  const FrozenNonce frozen;
  for (const ScramVector& vector : scram_vectors()) {
    INFO(name(vector.mechanism));
    Client client = client_for(vector.mechanism);
    CHECK(client.step("") == vector.client_first);
    CHECK(client.step(vector.server_first) == vector.client_final);
    CHECK_FALSE(client.is_complete());
    CHECK_FALSE(client.check_success());
    CHECK(client.step(vector.server_final) == std::string());
    CHECK(client.is_complete());
    CHECK(client.server_proved());
    CHECK(client.check_success());
    CHECK(code_of(client.step("")) == Errc::malformed);
    CHECK_FALSE(client.server_proved());
  }
}

TEST_CASE("a hostile first message of a SCRAM server goes no further", "[sasl]") {
  const std::string nonce = "r=" + k_nonce;
  const struct {
    std::string message;
    Errc code;
  } rows[] = {
      {"", Errc::malformed},
      {"r=another,s=QUJD,i=4096", Errc::denied},
      {"r=,s=QUJD,i=4096", Errc::denied},
      {nonce + ",s=QUJD,i=4096", Errc::denied},  // nothing of its own
      {nonce.substr(0, 10) + ",s=QUJD,i=4096", Errc::denied},
      {nonce + "x,s=QUJD,i=0", Errc::malformed},
      {nonce + "x,s=QUJD,i=1", Errc::denied},
      {nonce + "x,s=QUJD,i=4095", Errc::denied},
      {nonce + "x,s=QUJD,i=1000001", Errc::denied},
      {nonce + "x,s=QUJD,i=2147483647", Errc::denied},
      {nonce + "x,s=QUJD,i=4294971392", Errc::denied},  // 4096 + 2^32
      {nonce + "x,s=QUJD,i=99999999999999999999999", Errc::malformed},
      {nonce + "x,s=QUJD,i=-4096", Errc::malformed},
      {nonce + "x,s=QUJD,i=+4096", Errc::malformed},
      {nonce + "x,s=QUJD,i=04096", Errc::malformed},
      {nonce + "x,s=QUJD,i=4096 ", Errc::malformed},
      {nonce + "x,s=QUJD,i=", Errc::malformed},
      {nonce + "x,s=QUJD,i", Errc::malformed},
      {nonce + "x,s=QUJD", Errc::malformed},
      {nonce + "x", Errc::malformed},
      {nonce + "x,s=QUJD,i=4096,", Errc::malformed},
      {nonce + "x,,s=QUJD,i=4096", Errc::malformed},
      {nonce + "x,s=,i=4096", Errc::denied},
      {nonce + "x,s====,i=4096", Errc::malformed},
      {nonce + "x,s=QUJ,i=4096", Errc::malformed},
      {nonce + "x,i=4096,s=QUJD", Errc::malformed},
      {nonce + "x,s=QUJD,i=4096,i=5000", Errc::malformed},
      {nonce + "x,s=QUJD,s=QUJE,i=4096", Errc::malformed},
      {nonce + "x," + nonce + "y,s=QUJD,i=4096", Errc::malformed},
      {nonce + "x,s=QUJD,i=4096,x=1,x=2", Errc::malformed},
      {nonce + "x,s=QUJD,i=4096,m=1", Errc::denied},
      {"m=1," + nonce + "x,s=QUJD,i=4096", Errc::denied},
      {"e=unknown-user", Errc::denied},
      {nonce + "x,s=QUJD,i=4096,e=other-error", Errc::denied},
      {nonce + std::string("\0x,s=QUJD,i=4096", 16), Errc::malformed},
      {"v=7gfjB7Dp2uv9ETuPebgbpQ7F1XDhhBqtaw8MfsWNi+s=", Errc::malformed},
      {nonce + "x,s=" + to_base64(std::string(1 << 20, 's')) + ",i=4096", Errc::too_long},
      {std::string(1 << 20, ','), Errc::too_long},
      {std::string(5'000, ','), Errc::malformed},
  };
  for (const auto& row : rows) {
    INFO(row.message.substr(0, 100));
    Client client = begun_scram();
    CHECK(code_of(client.step(row.message)) == row.code);
    CHECK_FALSE(client.is_complete());
    CHECK_FALSE(client.check_success());
    // And no second try.
    CHECK(code_of(client.step(scram_vectors()[0].server_first)) == Errc::malformed);
  }
}

TEST_CASE("unusual but lawful first messages of a SCRAM server are taken", "[sasl]") {
  CHECK(begun_scram().step("r=" + k_nonce + "x,s=QUJD,i=4096,x=ignored"));
  CHECK(begun_scram().step("r=" + k_nonce + "x,s=QQ==,i=5000"));
  CHECK(begun_scram().step("r=" + k_nonce + "x,s=" + to_base64(std::string(3'000, 's')) + ",i=4096"));
}

TEST_CASE("a SCRAM server that does not prove itself is not believed", "[sasl]") {
  const std::string good = scram_vectors()[0].server_final;
  const struct {
    std::string message;
    Errc code;
  } rows[] = {
      {"", Errc::malformed},
      {"v=", Errc::denied},
      {"v=AAAA", Errc::denied},
      {"v=AAfjB7Dp2uv9ETuPebgbpQ7F1XDhhBqtaw8MfsWNi+s=", Errc::denied},
      {good.substr(0, good.size() - 1), Errc::denied},
      {good + "," + good, Errc::malformed},
      {good + ",e=other-error", Errc::denied},
      {good + ",m=1", Errc::denied},
      {"e=invalid-proof", Errc::denied},
      {"x=1," + good, Errc::malformed},
      {good + '\0', Errc::malformed},
      {"OK", Errc::malformed},
      {std::string(1 << 20, 'v'), Errc::too_long},
  };
  for (const auto& row : rows) {
    INFO(row.message.substr(0, 100));
    Client client = almost_proved_scram();
    const Errc code = code_of(client.step(row.message));
    // An empty or short signature is one that libgsasl cannot parse, or one that is wrong: both end it.
    CHECK((code == row.code || (row.code == Errc::denied && code == Errc::malformed)));
    CHECK_FALSE(client.server_proved());
    CHECK_FALSE(client.check_success());
    CHECK_FALSE(client.step(good));
  }
  Client reported = almost_proved_scram();
  CHECK(reported.step("e=invalid-proof").error().text.find("invalid-proof") != std::string::npos);
}

TEST_CASE("235 before the end is no success", "[sasl]") {
  for (const Mechanism mechanism : of_both_halves()) {
    INFO(name(mechanism));
    Client client = client_for(mechanism);
    CHECK_FALSE(client.check_success());
    REQUIRE(client.step(client.speaks_first() ? "" : "<1@x>"));
    const bool one_step =
        mechanism == Mechanism::plain || mechanism == Mechanism::external || mechanism == Mechanism::cram_md5;
    CHECK(client.check_success().has_value() == one_step);
    if (one_step) CHECK(code_of(client.step("")) == Errc::malformed);
  }
}

TEST_CASE("a client bears other hostile challenges", "[sasl]") {
  CHECK(code_of(client_for(Mechanism::cram_md5).step("")) == Errc::malformed);
  CHECK(code_of(client_for(Mechanism::cram_md5).step(std::string(1 << 20, 'x'))) == Errc::too_long);
  CHECK(client_for(Mechanism::cram_md5).step(std::string("a\0b", 3)));
  Client login = client_for(Mechanism::login);
  CHECK(login.step("") == std::string("user"));
  CHECK(login.step("") == std::string("pencil"));
  CHECK(code_of(login.step("")) == Errc::malformed);
}

TEST_CASE("a SCRAM server shows the same face for users that are not there", "[sasl]") {
  const TestAccounts accounts;
  const auto first = [&](Mechanism mechanism, const std::string& user) {
    const auto step = server_for(mechanism, accounts).begin("n,,n=" + user + ",r=abcdefgh");
    REQUIRE(step);
    return step->challenge.substr(step->challenge.find(",s="));
  };
  for (const Mechanism mechanism : {Mechanism::scram_sha_256, Mechanism::scram_sha_1}) {
    CHECK(first(mechanism, "user") == first(mechanism, "user"));
    CHECK(first(mechanism, "nobody") == first(mechanism, "nobody"));
    CHECK(first(mechanism, "user") != first(mechanism, "nobody"));
    CHECK(first(mechanism, "user").size() == first(mechanism, "nobody").size());
    CHECK(first(mechanism, "nobody").ends_with(",i=4096"));
  }
}

TEST_CASE("a SCRAM server wants what RFC 5802 wants", "[sasl]") {
  const TestAccounts accounts;
  const Channel bound{k_exporter, {}};
  const auto begin = [&](Mechanism mechanism, const Channel& channel, std::string_view message) {
    return server_for(mechanism, accounts, channel).begin(message);
  };
  const auto plain = Mechanism::scram_sha_256;
  const auto plus = Mechanism::scram_sha_256_plus;
  CHECK(begin(plain, {}, "y,,n=user,r=abcdefgh"));
  CHECK(begin(plain, bound, "n,,n=user,r=abcdefgh"));
  // "I could bind, but you do not": somebody took -PLUS out of our list.
  CHECK(code_of(begin(plain, bound, "y,,n=user,r=abcdefgh")) == Errc::denied);
  CHECK_FALSE(begin(plain, bound, "p=tls-exporter,,n=user,r=abcdefgh"));
  CHECK(begin(plus, bound, "p=tls-exporter,,n=user,r=abcdefgh"));
  CHECK_FALSE(begin(plus, bound, "p=tls-unique,,n=user,r=abcdefgh"));
  CHECK_FALSE(begin(plus, bound, "n,,n=user,r=abcdefgh"));
  CHECK_FALSE(begin(plus, bound, "y,,n=user,r=abcdefgh"));
  for (const std::string message : {"n", "n,", "n,,", "n,,n=user", "n,,n=,r=abc", "n,,r=abc", "n,,m=x,n=user,r=abc",
                                    "x,,n=user,r=abc", "n,,n=user,r=", ",,,,,,,", "n,,n=\xff\xfe,r=abc"}) {
    INFO(message);
    CHECK_FALSE(begin(plain, {}, message));
  }
  CHECK_FALSE(Server::start(plus, accounts));
}

TEST_CASE("a SCRAM client bound to another channel is refused", "[sasl]") {
  const std::string other(32, '\x08');
  const Login login =
      log_in(Mechanism::scram_sha_256_plus, {"user", "pencil"}, TestAccounts(), {k_exporter, {}}, other);
  CHECK(login.user.empty());
  CHECK(login.refusal.code == Errc::denied);
}

TEST_CASE("nobody acts for another", "[sasl]") {
  const TestAccounts accounts;
  const auto plain = [&](std::string_view message) { return server_for(Mechanism::plain, accounts).begin(message); };
  CHECK(plain(std::string_view("user\0user\0pencil", 16))->user == "user");
  CHECK(code_of(plain(std::string_view("other\0user\0pencil", 17))) == Errc::denied);

  // SCRAM: a=other, signed correctly otherwise. The client of libgsasl does not say it, so the grammar is tried.
  Server scram = server_for(Mechanism::scram_sha_256, accounts);
  CHECK(scram.begin("n,a=other,n=user,r=abcdefgh"));
  CHECK_FALSE(scram.step("c=bixhPW90aGVyLA==,r=abcdefgh,p=AAAA"));
}

TEST_CASE("SCRAM's end waits for the client's empty answer", "[sasl]") {
  const TestAccounts accounts;
  for (const std::string last : {"", "x"}) {
    Client client = client_for(Mechanism::scram_sha_256);
    Server server = server_for(Mechanism::scram_sha_256, accounts);
    const auto first = server.begin(*client.step(""));
    const auto proof = server.step(*client.step(first->challenge));
    REQUIRE(proof);
    CHECK_FALSE(proof->done);
    CHECK(proof->challenge.starts_with("v="));
    const auto end = server.step(last);
    CHECK(end.has_value() == last.empty());
    if (end) CHECK(end->user == "user");
    CHECK_FALSE(server.step(""));
  }
}

TEST_CASE("LOGIN takes a name with the command and without", "[sasl]") {
  const TestAccounts accounts;
  Server with = server_for(Mechanism::login, accounts);
  CHECK(with.begin("user")->challenge == "Password");
  CHECK(with.step("pencil")->user == "user");
  Server without = server_for(Mechanism::login, accounts);
  CHECK(without.begin(std::nullopt)->challenge == "User Name");
  CHECK(without.step("user")->challenge == "Password");
  CHECK(without.step("pencil")->user == "user");
}

TEST_CASE("a server bears malformed responses", "[sasl]") {
  const TestAccounts accounts;
  const std::string_view rows[] = {
      std::string_view(),
      {"user pencil", 11},       // no NUL
      {"user\0pencil", 11},      // one
      {"\0user\0pencil\0", 13},  // three
      {"\0\0\0", 3},
      {"\0\0pencil", 8},
      {"\0user\0", 6},
      {"\0", 1},
  };
  for (const std::string_view row : rows) {
    INFO(to_base64(row));
    CHECK(code_of(server_for(Mechanism::plain, accounts).begin(row)) != Errc::io);
  }
  const std::string twelve_kilobytes(12'288, 'x');
  for (const Mechanism mechanism : of_both_halves()) {
    INFO(name(mechanism));
    const auto answered = [&](std::string_view response) {
      Server server = server_for(mechanism, accounts, {k_exporter, {}});
      REQUIRE(server.begin(std::nullopt));
      auto step = server.step(response);
      // LOGIN asks for the password whatever the name.
      if (mechanism == Mechanism::login && step && !step->done) step = server.step(response);
      if (!step) CHECK_FALSE(server.step(response));
      return step;
    };
    for (const std::string& response :
         {std::string(), twelve_kilobytes, std::string("\0", 1), std::string("\0\0\0\0", 4), std::string("\xff\xfe"),
          std::string("*"), std::string("user "), " " + std::string(32, '0'), std::string(33, ' '),
          "user " + std::string(32, 'z'), "\xff " + std::string(32, '0')}) {
      const Errc code = code_of(answered(response));
      CHECK((code == Errc::malformed || code == Errc::denied));
    }
    CHECK(code_of(answered(std::string(1 << 20, 'x'))) == Errc::too_long);
  }
  CHECK(code_of(server_for(Mechanism::cram_md5, accounts).begin("user")) == Errc::malformed);
  CHECK(code_of(server_for(Mechanism::cram_md5, accounts).begin("")) == Errc::malformed);
  Server twice = server_for(Mechanism::plain, accounts);
  CHECK(twice.begin(std::nullopt));
  CHECK_FALSE(twice.begin(std::nullopt));
  CHECK_FALSE(server_for(Mechanism::plain, accounts).step("x"));
}

TEST_CASE("every truncation of a good exchange is a clean failure", "[sasl]") {
  const TestAccounts accounts;
  const ScramVector vector = scram_vectors()[0];
  for (std::size_t size = 0; size < vector.server_first.size() - 2; ++size) {
    INFO(size);
    CHECK_FALSE(begun_scram().step(vector.server_first.substr(0, size)));
  }
  const std::string first = "n,,n=user,r=abcdefgh";
  for (std::size_t size = 0; size < first.size() - 8; ++size) {
    INFO(size);
    CHECK_FALSE(server_for(Mechanism::scram_sha_256, accounts).begin(first.substr(0, size)));
  }
  Client client = client_for(Mechanism::scram_sha_256);
  const std::string opening = *client.step("");
  for (std::size_t size = 0; size < 104; ++size) {
    INFO(size);
    Server server = server_for(Mechanism::scram_sha_256, accounts);
    Client fresh = client_for(Mechanism::scram_sha_256);
    const auto challenge = server.begin(*fresh.step(""));
    const std::string proof = *fresh.step(challenge->challenge);
    REQUIRE(proof.size() == 104);
    CHECK_FALSE(server.step(proof.substr(0, size)));
  }
}

// --- verifiers

namespace {

/// "user" has a verifier of "pencil"; "old" a password, "secret".
class VerifiedAccounts final : public Accounts {
 public:
  explicit VerifiedAccounts(unsigned iterations = 4'096, std::string key = "key")
      : verifier_(*make_verifier("pencil", iterations)), key_(std::move(key)) {}
  std::optional<std::string_view> password(std::string_view user) const override {
    return user == "old" ? std::optional<std::string_view>("secret") : std::nullopt;
  }
  const ScramVerifier* verifier(std::string_view user) const override {
    return user == "user" || user == "USER" ? &verifier_ : nullptr;
  }
  const ScramVerifier* stand_in(std::uint32_t /*number*/) const override { return &verifier_; }
  std::string name_of(std::string_view user) const override {
    std::string name(user);
    std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    return name;
  }
  std::string_view salting_key() const override { return key_; }

 private:
  ScramVerifier verifier_;
  std::string key_;
};

}  // namespace

TEST_CASE("a verifier is written as RFC 5803 has it, and read back", "[sasl]") {
  // PostgreSQL's own for "pencil" with RFC 7677's salt; the keys are those of Python's hashlib.
  const std::string text =
      "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
      "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
  const auto verifier = parse_verifier(text);
  REQUIRE(verifier);
  CHECK(to_text(*verifier) == text);
  CHECK(is_password_of(*verifier, "pencil"));
  CHECK_FALSE(is_password_of(*verifier, "pencils"));
  CHECK_FALSE(is_password_of(*verifier, ""));
  CHECK_FALSE(is_password_of(*verifier, std::string_view("pencil\0", 7)));
  CHECK_FALSE(is_password_of(*verifier, "p\xe4"));
  const auto own = make_verifier("p\xc3\xa4ss\xe2\x84\xa2");
  REQUIRE(own);
  CHECK(parse_verifier(to_text(*own)));
  CHECK(is_password_of(*own, "p\xc3\xa4ssTM"));  // SASLprep
  CHECK(to_text(*make_verifier("x")) != to_text(*make_verifier("x")));
  for (const std::string_view bad : {std::string_view(""), std::string_view("p\xe4ss"), std::string_view("a\0b", 3)}) {
    const auto none = make_verifier(bad);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::malformed);
  }
}

TEST_CASE("what is no verifier is refused in words that do not repeat it", "[sasl]") {
  const std::string key = to_base64(std::string(32, 'k'));
  const std::string salt = to_base64(std::string(16, 's'));
  const auto made = [&](const std::string& count, const std::string& its_salt, const std::string& stored,
                        const std::string& server) {
    return "SCRAM-SHA-256$" + count + ":" + its_salt + "$" + stored + ":" + server;
  };
  CHECK(parse_verifier(made("4096", salt, key, key)));
  CHECK(parse_verifier("scram-sha-256$20000:" + salt + "$" + key + ":" + key));
  for (const std::string& bad :
       {std::string(), std::string("SCRAM-SHA-256"), std::string("SCRAM-SHA-1$4096:") + salt + "$" + key + ":" + key,
        made("4095", salt, key, key), made("20001", salt, key, key), made("", salt, key, key),
        made("-1", salt, key, key), made("99999999999999999999999", salt, key, key), made("4096", "", key, key),
        made("4096", "AAAA", key, key), made("4096", to_base64(std::string(33, 's')), key, key),
        made("4096", salt, key.substr(1), key), made("4096", salt, key, ""), made("4096", salt, key, key + "\n"),
        made("4096", salt, key, key + ":" + key), made("4096", salt + "$" + salt, key, key)}) {
    INFO(bad);
    const auto none = parse_verifier(bad);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::malformed);
    CHECK(none.error().text.find(salt) == std::string::npos);
  }
}

TEST_CASE("with a verifier SCRAM-SHA-256, PLAIN and LOGIN log in, and the others do not", "[sasl]") {
  const VerifiedAccounts accounts(5'000);
  const Channel bound{k_exporter, {}};
  for (const Mechanism mechanism : {Mechanism::scram_sha_256_plus, Mechanism::scram_sha_256, Mechanism::scram_sha_1,
                                    Mechanism::cram_md5, Mechanism::plain, Mechanism::login}) {
    INFO(name(mechanism));
    const bool does = mechanism != Mechanism::scram_sha_1 && mechanism != Mechanism::cram_md5;
    const Channel channel = needs_channel_binding(mechanism) ? bound : Channel{};
    const Login right = log_in(mechanism, {"user", "pencil"}, accounts, channel, k_exporter);
    const Login wrong = log_in(mechanism, {"user", "pencils"}, accounts, channel, k_exporter);
    const Login unknown = log_in(mechanism, {"nobody", "pencil"}, accounts, channel, k_exporter);
    CHECK(right.user == (does ? "user" : ""));
    CHECK(right.trust.has_value());
    CHECK(wrong.user.empty());
    CHECK(wrong.refusal.code == Errc::denied);
    CHECK(wrong.refusal == unknown.refusal);
    CHECK(wrong.challenges == unknown.challenges);
    if (!does) CHECK(right.refusal == unknown.refusal);
    CHECK(log_in(mechanism, {"old", "secret"}, accounts, channel, k_exporter).user == "old");
  }
}

TEST_CASE("why the right password is refused, the administrator is told", "[sasl]") {
  const VerifiedAccounts accounts;
  const auto refused = [&](const std::string& user) {
    Server server = server_for(Mechanism::cram_md5, accounts);
    Client client = client_for(Mechanism::cram_md5, user, "pencil");
    CHECK_FALSE(server.step(*client.step(server.begin(std::nullopt)->challenge)));
    return server.user_without_password();
  };
  CHECK(refused("user") == "user");
  CHECK(refused("nobody").empty());
  CHECK(refused("old").empty());
}

TEST_CASE("nobody can tell by SCRAM who has a verifier and who does not exist", "[sasl]") {
  const auto first = [](const Accounts& accounts, Mechanism mechanism, const std::string& user) {
    const auto step = server_for(mechanism, accounts).begin("n,,n=" + user + ",r=abcdefgh");
    REQUIRE(step);
    return step->challenge.substr(step->challenge.find(",s="));
  };
  const VerifiedAccounts accounts(5'000);
  const auto mechanism = Mechanism::scram_sha_256;
  CHECK(first(accounts, mechanism, "user").ends_with(",i=5000"));
  CHECK(first(accounts, mechanism, "nobody").ends_with(",i=5000"));
  CHECK(first(accounts, mechanism, "user").size() == first(accounts, mechanism, "nobody").size());
  CHECK(first(accounts, mechanism, "user") == first(accounts, mechanism, "USER"));
  CHECK(first(accounts, mechanism, "nobody") == first(accounts, mechanism, "NOBODY"));
  CHECK(first(accounts, mechanism, "nobody") != first(accounts, mechanism, "somebody"));
  // As after a restart: what is kept of a user has its salt for ever, so has who does not exist.
  CHECK(first(accounts, mechanism, "nobody") == first(VerifiedAccounts(5'000), mechanism, "nobody"));
  CHECK(first(accounts, mechanism, "nobody") != first(VerifiedAccounts(5'000, "other"), mechanism, "nobody"));
  for (const std::string user : {"user", "nobody"})
    CHECK(first(accounts, Mechanism::scram_sha_1, user).ends_with(",i=4096"));
}

TEST_CASE("a bad user costs the work of a bad password", "[sasl][.timing]") {
  const auto cost = [](Mechanism mechanism, std::string_view user) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 50; ++i) CHECK(log_in(mechanism, {user, "wrong"}).user.empty());
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / 50;
  };
  for (const Mechanism mechanism :
       {Mechanism::scram_sha_256, Mechanism::cram_md5, Mechanism::plain, Mechanism::login}) {
    const double bad_password = cost(mechanism, "user");
    const double bad_user = cost(mechanism, "nobody");
    WARN(name(mechanism) << ": bad password " << bad_password << " us, bad user " << bad_user << " us");
  }
}

TEST_CASE("base64 is what RFC 4648 says and nothing else", "[sasl]") {
  const std::pair<std::string, std::string> pairs[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {std::string("\0\xff", 2), "AP8="},
  };
  for (const auto& [bytes, text] : pairs) {
    CHECK(to_base64(bytes) == text);
    CHECK(from_base64(text) == bytes);
  }
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all += static_cast<char>(i);
    CHECK(from_base64(to_base64(all)) == all);
  }
  for (const std::string text :
       {"=",    "==",     "====",  "A",    "AA",    "AAA",     "A===", "AA=A",  "AA==AA==", "AB==",
        "AAB=", "AA==\n", " AAAA", "AA A", "AA\nA", "AAA\xff", "AA-_", "AAAAA", "=AAA",     "AAAA="}) {
    INFO(text);
    CHECK(code_of(from_base64(text)) == Errc::malformed);
  }
  CHECK_FALSE(from_base64(std::string(4, '\0')));
  CHECK(from_base64(to_base64(std::string(1 << 20, 'x')))->size() == 1 << 20);
}

TEST_CASE("an empty initial response is an equals sign", "[sasl]") {
  CHECK(to_initial_response("") == "=");
  CHECK(from_initial_response("=") == std::string());
  CHECK(to_initial_response("foo") == "Zm9v");
  CHECK(from_initial_response("Zm9v") == std::string("foo"));
  for (const std::string_view text : {"", "==", "*", "Zm9", "Zm9v Zm9v"}) CHECK_FALSE(from_initial_response(text));
}

TEST_CASE("a wiped string is empty and its bytes are gone", "[sasl]") {
  std::string secret = "a secret that is longer than the small buffer of a string";
  const char* bytes = secret.data();
  secret.resize(3);
  wipe(secret);
  CHECK(secret.empty());
  CHECK(std::all_of(bytes, bytes + 50, [](char c) { return c == '\0'; }));
}

TEST_CASE("a token is said at once, and what is asked after it is answered as the RFC has it", "[sasl]") {
  auto bearer = Client::start(Mechanism::oauthbearer, {"user,=@example.com", "vF9dft4qmT"});
  REQUIRE(bearer);
  CHECK(bearer->speaks_first());
  CHECK(bearer->check_success().has_value() == false);
  CHECK(*bearer->step("") ==
        "n,a=user=2C=3D@example.com,\x01"
        "auth=Bearer vF9dft4qmT\x01\x01");
  CHECK(bearer->check_success());
  CHECK(*bearer->step(R"({"status":"invalid_token"})") == "\x01");  // RFC 7628 3.2.3
  CHECK_FALSE(bearer->step("again"));

  auto other =
      Client::start(Mechanism::xoauth2, {"someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"});
  REQUIRE(other);
  CHECK(*other->step("") ==
        "user=someuser@example.com\x01"
        "auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01");
  CHECK(other->step("{}")->empty());
  CHECK_FALSE(Client::start(Mechanism::xoauth2, {"user", ""}));
}

TEST_CASE("a token is said only where the configuration names its mechanism, and inside verified TLS", "[sasl]") {
  Situation inside;
  inside.tls = inside.has_password = true;
  const std::vector<std::string> offered{"PLAIN", "XOAUTH2", "OAUTHBEARER"};
  CHECK(*choose(offered, {}, inside) == Mechanism::plain);
  CHECK_FALSE(is_usable(Mechanism::xoauth2, inside));
  inside.has_token = names_token({Mechanism::xoauth2});
  CHECK(*choose(offered, {Mechanism::xoauth2}, inside) == Mechanism::xoauth2);
  CHECK(*choose(offered, {Mechanism::xoauth2, Mechanism::plain}, inside) == Mechanism::xoauth2);
  inside.verified = false;
  CHECK_FALSE(choose(offered, {Mechanism::xoauth2}, inside));
  inside.verified = true;
  inside.tls = false;
  CHECK_FALSE(choose(offered, {Mechanism::xoauth2}, inside));
}

TEST_CASE("mechanisms have names", "[sasl]") {
  for (const Mechanism mechanism : k_mechanisms) CHECK(mechanism_named(name(mechanism)) == mechanism);
  CHECK(mechanism_named("scram-sha-256") == Mechanism::scram_sha_256);
  CHECK_FALSE(mechanism_named("SCRAM-SHA-25"));
  CHECK_FALSE(mechanism_named(""));
}

TEST_CASE("the strongest usable mechanism is chosen", "[sasl]") {
  using enum Mechanism;
  const std::vector<std::string> all = {"LOGIN",       "PLAIN",         "CRAM-MD5",          "EXTERNAL",
                                        "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"};
  const Situation clear{.has_password = true};
  const Situation tls{.tls = true, .has_password = true};
  const Situation bound{.tls = true, .has_channel_binding = true, .has_password = true};
  const Situation both{.tls = true, .has_client_certificate = true, .has_password = true};
  const Situation certificate{.tls = true, .has_client_certificate = true};
  const Situation unverified{.tls = true, .verified = false, .has_password = true};
  const struct {
    std::vector<std::string> offered;
    std::vector<Mechanism> filter;
    Situation situation;
    Mechanism chosen;
  } rows[] = {
      {all, {}, bound, scram_sha_256_plus},
      {all, {}, tls, scram_sha_256},
      {all, {}, clear, scram_sha_256},
      {all, {}, certificate, external},
      {all, {}, both, scram_sha_256},
      {all, {external, plain}, both, external},
      {all, {login, plain}, tls, plain},
      {all, {scram_sha_256}, bound, scram_sha_256},  // exact: not its -PLUS
      {all, {cram_md5, scram_sha_256}, tls, scram_sha_256},
      {all, {cram_md5}, unverified, cram_md5},
      {{"CRAM-MD5", "PLAIN"}, {}, clear, cram_md5},
      {{"CRAM-MD5", "PLAIN"}, {}, tls, cram_md5},
      {{"CRAM-MD5", "EXTERNAL"}, {}, both, external},
      {{"SCRAM-SHA-1", "CRAM-MD5"}, {}, clear, scram_sha_1},
      {{"login", "plain", "NTLM"}, {}, tls, plain},
      {{"LOGIN"}, {}, tls, login},
  };
  for (const auto& row : rows) {
    const auto chosen = choose(row.offered, row.filter, row.situation);
    REQUIRE(chosen);
    CHECK(name(*chosen) == name(row.chosen));
  }
}

TEST_CASE("where no mechanism is usable the reason is told", "[sasl]") {
  using enum Mechanism;
  const Situation clear{.has_password = true};
  const Situation tls{.tls = true, .has_password = true};
  const Situation certificate{.tls = true, .has_client_certificate = true};
  const Situation unverified{.tls = true, .verified = false, .has_password = true};
  const std::string none = "the server offers no way to log in that can be used: ";
  const struct {
    std::vector<std::string> offered;
    std::vector<Mechanism> filter;
    Situation situation;
    std::string reason;
  } rows[] = {
      {{}, {}, tls, "the server does not offer AUTH"},
      {{}, {}, clear, "the server does not offer AUTH; many offer it only inside TLS"},
      {{"PLAIN"}, {}, {}, "there is nothing to log in with: configure user and a password, or client_certificate"},
      {{"LOGIN"}, {}, clear, none + "LOGIN (sent only inside TLS, which this connection does not have)"},
      {{"NTLM", "LOGIN", "PLAIN", "LOGIN"},
       {},
       clear,
       none + "LOGIN, PLAIN (sent only inside TLS, which this connection does not have); NTLM (not spoken here)"},
      {{"CRAM-MD5", "PLAIN"},
       {scram_sha_256, scram_sha_1},
       tls,
       none + "CRAM-MD5, PLAIN (auth = [\"SCRAM-SHA-256\", \"SCRAM-SHA-1\"] in the configuration excludes it)"},
      {{"PLAIN"},
       {},
       unverified,
       none + "PLAIN (would tell the password to a server whose certificate was not verified)"},
      {{"SCRAM-SHA-256", "PLAIN"},
       {},
       certificate,
       none + "SCRAM-SHA-256, PLAIN (needs a password, and none is configured)"},
      {{"EXTERNAL"}, {}, tls, none + "EXTERNAL (needs client_certificate and client_key in the configuration)"},
      {{"SCRAM-SHA-256-PLUS"},
       {},
       tls,
       none + "SCRAM-SHA-256-PLUS (needs TLS 1.3 to bind to, which this connection does not have)"},
  };
  for (const auto& row : rows) {
    const auto chosen = choose(row.offered, row.filter, row.situation);
    REQUIRE_FALSE(chosen);
    CHECK(chosen.error().code == Errc::denied);
    CHECK(chosen.error().text == row.reason);
  }
}

TEST_CASE("a server announces what it can check", "[sasl]") {
  using enum Mechanism;
  const std::vector<Mechanism> in_clear = {scram_sha_256, scram_sha_1, cram_md5};
  CHECK(usable({.has_password = true}) == in_clear);
  // Nobody here can tell whether a token is good.
  std::vector<Mechanism> everything(k_mechanisms.begin(), k_mechanisms.end());
  std::erase_if(everything, [](Mechanism one) { return one == oauthbearer || one == xoauth2; });
  CHECK(usable({.tls = true, .has_channel_binding = true, .has_client_certificate = true, .has_password = true}) ==
        everything);
}

}  // namespace odmr::sasl
