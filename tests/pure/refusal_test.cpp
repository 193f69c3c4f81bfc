// What is remembered of a provider that refused us.

#include <catch2/catch.hpp>
#include <functional>
#include <memory>

#include "app/refusal.hpp"

using namespace odmr;
using namespace odmr::app;
using namespace std::chrono_literals;
using journal::SessionReceipt;

namespace {

const WallTime k_now = WallTime(std::chrono::seconds(1'800'000'000));
const std::string k_print = "0123456789abcdefprint";

SessionReceipt ended(Outcome outcome, WallTime when, const std::string& fingerprint = k_print) {
  SessionReceipt receipt{"5f0c1e9ab27d", "isp", when - 2s, std::nullopt};
  receipt.end.emplace();
  receipt.end->time = when;
  receipt.end->outcome = outcome;
  receipt.end->text = "login refused: \"535 no\"";
  if (is_refusal(outcome)) receipt.end->fingerprint = fingerprint;
  return receipt;
}

bool same(const std::string& fingerprint) {
  return fingerprint == k_print;
}

// `times` refusals, the last one now.
std::vector<SessionReceipt> refused(std::size_t times) {
  std::vector<SessionReceipt> answers;
  for (std::size_t i = 0; i < times; ++i) answers.push_back(ended(Outcome::auth, k_now - i * 1min));
  return answers;
}

Duration wait_after(const std::vector<SessionReceipt>& answers, const RetrySettings& retry = {}) {
  const auto refusal = remembered_refusal(answers, same, retry, k_now);
  return refusal ? std::chrono::duration_cast<Duration>(refusal->until - k_now) : Duration::zero();
}

FetchPlan plan_of(const std::string& password = "secret") {
  FetchPlan plan;
  plan.provider = "isp";
  plan.hostname = "mail.example.org";
  plan.server.endpoint.host = "odmr.example.net";
  plan.server.endpoint.port = 366;
  plan.server.hostname = plan.hostname;
  plan.server.tls = client::TlsPolicy::starttls;
  auto login = std::make_shared<client::Login>();
  login->user = "example.org";
  login->password = Secret(password);
  plan.server.login = login;
  plan.domains = {"example.org", "example.com"};
  return plan;
}

// What a session with this plan leaves when it is refused.
SessionReceipt refused_with(const FetchPlan& plan) {
  return ended(Outcome::refused, k_now, RefusalMemory(plan, {}).fingerprint());
}

bool stands(const SessionReceipt& last, const FetchPlan& plan) {
  return RefusalMemory(plan, {last}).standing(RetrySettings(), k_now + 1s).has_value();
}

}  // namespace

TEST_CASE("a provider that is not asked again is left alone for the cause that it had", "[refusal]") {
  auto answers = refused(1);
  CHECK(cause_of(*remembered_refusal(answers, same, {}, k_now)) == Cause::login_refused);  // by an older version
  answers.front().end->cause = Cause::auth_not_offered;
  CHECK(cause_of(*remembered_refusal(answers, same, {}, k_now)) == Cause::auth_not_offered);
}

TEST_CASE("each refusal in a row doubles the wait, up to the longest", "[refusal]") {
  CHECK(wait_after({}) == 0s);
  const std::vector<Duration> waits{1min, 2min, 4min, 8min, 16min, 32min, 60min, 60min};
  for (std::size_t i = 0; i < waits.size(); ++i) CHECK(wait_after(refused(i + 1)) == waits[i]);
  CHECK(wait_after(refused(k_refusals_looked_at)) == 60min);
  CHECK(wait_after(refused(2), {10s, 15s}) == 15s);
  CHECK(wait_after(refused(40), {1ms, 24h}) == 24h);
  CHECK(wait_after(refused(3), {0s, 1h}) == 0s);
}

TEST_CASE("a provider that took us in between ends the row", "[refusal]") {
  for (const Outcome good : {Outcome::no_mail, Outcome::fetched, Outcome::deferred}) {
    auto answers = refused(3);
    answers[1] = ended(good, k_now - 1min);
    CHECK(wait_after(answers) == 1min);
    answers[0] = ended(good, k_now);
    CHECK(wait_after(answers) == 0s);
  }
}

TEST_CASE("both refusals count, of login and of ATRN", "[refusal]") {
  auto answers = refused(2);
  answers[0] = ended(Outcome::refused, k_now);
  const auto refusal = remembered_refusal(answers, same, {}, k_now + 20s);
  REQUIRE(refusal);
  CHECK(refusal->outcome == Outcome::refused);
  CHECK(refusal->until == k_now + 2min);
}

TEST_CASE("other settings end the row and the memory", "[refusal]") {
  auto answers = refused(3);
  answers[1].end->fingerprint = "another";
  CHECK(wait_after(answers) == 1min);
  answers[0].end->fingerprint = "another";
  CHECK(wait_after(answers) == 0s);
  answers[0].end->fingerprint.clear();  // of a version that had none
  CHECK(wait_after(answers) == 0s);
}

TEST_CASE("the wait is over at its end, and a clock that was set back does not prolong it", "[refusal]") {
  const auto answers = refused(1);
  CHECK(remembered_refusal(answers, same, {}, k_now + 1min - 1ms));
  CHECK_FALSE(remembered_refusal(answers, same, {}, k_now + 1min));
  CHECK_FALSE(remembered_refusal(answers, same, {}, k_now + 24h));
  CHECK_FALSE(remembered_refusal(answers, same, {}, k_now - 1ms));
  CHECK_FALSE(remembered_refusal(answers, same, {}, k_now - 24h));
}

TEST_CASE("the costly question is asked only while a refusal stands", "[refusal]") {
  int asked = 0;
  const auto count = [&](const std::string&) { return ++asked > 0; };
  CHECK_FALSE(remembered_refusal(refused(1), count, {}, k_now + 2min));
  CHECK_FALSE(remembered_refusal({ended(Outcome::no_mail, k_now)}, count, {}, k_now));
  CHECK(asked == 0);
  CHECK(remembered_refusal(refused(5), count, {}, k_now));
  CHECK(asked == 1);
}

TEST_CASE("whoever is not tried hears what was refused, when, and what can be done", "[refusal]") {
  Refusal refusal{Outcome::auth, Cause::login_refused, "login refused: \"535 no\"", k_now, k_now + 1min};
  const auto text = why_not_tried(refusal, k_now + 20s);
  CHECK(
      text.starts_with("not tried: the login failed 20 s ago (login refused: \"535 no\"); tried again "
                       "after "));
  CHECK(text.ends_with(":00, or with --force"));
  refusal.outcome = Outcome::refused;
  CHECK(why_not_tried(refusal, k_now + 5min).starts_with("not tried: ATRN was refused 5 min ago ("));
}

TEST_CASE("a fingerprint is that of everything that is said", "[refusal]") {
  const auto last = refused_with(plan_of());
  CHECK(last.end->fingerprint.find("secret") == std::string::npos);
  CHECK(stands(last, plan_of()));
  CHECK_FALSE(stands(last, plan_of("Secret")));
  const auto changed = [](const std::function<void(FetchPlan&)>& change) {
    auto plan = plan_of();
    change(plan);
    return plan;
  };
  const auto with_login = [](const std::function<void(client::Login&)>& change) {
    auto plan = plan_of();
    auto login = std::make_shared<client::Login>();
    login->user = "example.org";
    login->password = Secret("secret");
    change(*login);
    plan.server.login = login;
    return plan;
  };
  CHECK(stands(last, with_login([](client::Login&) {})));
  CHECK_FALSE(stands(last, with_login([](client::Login& login) { login.user = "example.com"; })));
  CHECK_FALSE(stands(last, with_login([](client::Login& login) { login.filter = {sasl::k_mechanisms[0]}; })));
  CHECK_FALSE(stands(last, changed([](FetchPlan& plan) { plan.server.endpoint.host = "other.example.net"; })));
  CHECK_FALSE(stands(last, changed([](FetchPlan& plan) { plan.server.endpoint.port = 386; })));
  CHECK_FALSE(stands(last, changed([](FetchPlan& plan) { plan.server.tls = client::TlsPolicy::none; })));
  CHECK_FALSE(stands(last, changed([](FetchPlan& plan) { plan.server.hostname = "mail.example.com"; })));
  CHECK_FALSE(stands(last, changed([](FetchPlan& plan) { plan.domains = {"example.org"}; })));
  CHECK_FALSE(stands(last, changed([](FetchPlan& plan) { plan.atrn_all = true; })));
  CHECK_FALSE(stands(last, changed([](FetchPlan& plan) { plan.certificate = "another"; })));
}

TEST_CASE("fingerprints of the same differ, unless one follows the other", "[refusal]") {
  const auto plan = plan_of();
  const auto last = refused_with(plan);
  CHECK(RefusalMemory(plan, {}).fingerprint() != last.end->fingerprint);
  CHECK(RefusalMemory(plan, {last}).fingerprint() == last.end->fingerprint);
  CHECK(RefusalMemory(plan_of("other"), {last}).fingerprint() != last.end->fingerprint);
}
