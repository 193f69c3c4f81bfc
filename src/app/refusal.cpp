#include "app/refusal.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/digest.hpp"

namespace odmr::app {

namespace {

using journal::SessionReceipt;

constexpr std::size_t k_salt = 16;  // hex digits

Duration wait_after(std::uint64_t refusals, const RetrySettings& retry) {
  Duration wait = retry.refused;
  for (std::uint64_t i = 1; i < refusals && wait < retry.longest; ++i) wait *= 2;
  return std::min(wait, retry.longest);
}

// Each with its length, so that no two plans look the same.
class Words {
 public:
  ~Words() { wipe(text_); }
  Words() { text_.reserve(k_room); }
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;
  void add(std::string_view word) {
    const std::string length = std::to_string(word.size()) + ":";
    if (text_.size() + length.size() + word.size() > text_.capacity()) grow(length.size() + word.size());
    text_ += length;
    text_ += word;
  }
  const std::string& text() const { return text_; }

 private:
  // A string that grows by itself leaves its old bytes behind, and a password may be among them.
  void grow(std::size_t more) {
    std::string larger;
    larger.reserve(2 * (text_.size() + more));
    larger += text_;
    wipe(text_);
    text_ = std::move(larger);
  }
  static constexpr std::size_t k_room = 4096;
  std::string text_;
};

// Where, and as whom we come: a provider may know customers by their address.
void add_way(const net::Endpoint& endpoint, Words& said) {
  said.add(endpoint.text());
  said.add(std::to_string(static_cast<int>(endpoint.way.ip)));
  said.add(endpoint.way.source_address);
  said.add(endpoint.way.proxy ? endpoint.way.proxy->text() : std::string());
}

std::string digest_of(const FetchPlan& plan, const std::string& salt) {
  Words said;
  add_way(plan.server.endpoint, said);
  for (const auto& other : plan.server.alternatives) add_way(other, said);
  said.add(plan.server.hostname);
  said.add(std::to_string(static_cast<int>(plan.server.tls)));
  said.add(plan.certificate);
  if (const auto& login = plan.server.login) {
    said.add(login->user);
    said.add(login->password.text());
    for (const auto mechanism : login->filter) said.add(sasl::name(mechanism));
  }
  said.add(plan.atrn_all ? "all" : "");
  if (plan.mailbox) said.add(plan.mailbox->place.folder);
  for (const auto& domain : plan.domains) said.add(domain);
  for (const auto& node : plan.nodes) said.add("ETRN " + node);
  return net::hex(net::stretched(said.text(), salt).substr(0, 16));
}

std::string in_words(Duration ago) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(ago);
  if (seconds < std::chrono::minutes(2)) return std::to_string(seconds.count()) + " s";
  if (seconds < std::chrono::hours(2)) return std::to_string(seconds.count() / 60) + " min";
  return std::to_string(seconds.count() / 3600) + " h";
}

// As the clock on the wall here has it; with the day where that is not today.
std::string local_text(WallTime time, WallTime now) {
  // Up to the next second: at the time that was named, it is over.
  const auto local =
      fmt::localtime(std::chrono::system_clock::to_time_t(std::chrono::ceil<std::chrono::seconds>(time)));
  const auto today = fmt::localtime(std::chrono::system_clock::to_time_t(now));
  const bool is_today = local.tm_yday == today.tm_yday && local.tm_year == today.tm_year;
  return is_today ? fmt::format("{:%H:%M:%S}", local) : fmt::format("{:%Y-%m-%d %H:%M:%S}", local);
}

}  // namespace

bool is_refusal(Outcome outcome) {
  return outcome == Outcome::auth || outcome == Outcome::refused;
}

std::optional<Refusal> remembered_refusal(const std::vector<SessionReceipt>& answers,
                                          const std::function<bool(const std::string&)>& is_same,
                                          const RetrySettings& retry, WallTime now) {
  if (retry.refused <= Duration::zero() || answers.empty()) return std::nullopt;
  const auto& last = answers.front();
  if (!last.end || !is_refusal(last.end->outcome) || last.end->fingerprint.empty()) return std::nullopt;
  const auto broken = std::find_if(answers.begin(), answers.end(), [&](const SessionReceipt& one) {
    return !one.end || !is_refusal(one.end->outcome) || one.end->fingerprint != last.end->fingerprint;
  });
  const auto wait = wait_after(static_cast<std::uint64_t>(broken - answers.begin()), retry);
  const auto until = last.end->time + std::chrono::duration_cast<WallTime::duration>(wait);
  if (now < last.end->time || now >= until) return std::nullopt;
  if (!is_same(last.end->fingerprint)) return std::nullopt;
  return Refusal{last.end->outcome, last.end->cause, last.end->text, last.end->time, until};
}

Cause cause_of(const Refusal& refusal) {
  if (refusal.cause != Cause::unknown) return refusal.cause;
  return refusal.outcome == Outcome::auth ? Cause::login_refused : Cause::atrn_refused;
}

std::string why_not_tried(const Refusal& refusal, WallTime now) {
  return fmt::format("not tried: {} {} ago ({}); tried again after {}, or with --force",
                     refusal.outcome == Outcome::auth         ? "the login failed"
                     : refusal.cause == Cause::folder_refused ? "the folder was refused"
                     : refusal.cause == Cause::etrn_refused   ? "ETRN was refused"
                                                              : "ATRN was refused",
                     in_words(now - refusal.when), refusal.text, local_text(refusal.until, now));
}

std::optional<Refusal> RefusalMemory::standing(const RetrySettings& retry, WallTime now) {
  return remembered_refusal(
      answers_, [this](const std::string&) { return is_same(); }, retry, now);
}

std::string RefusalMemory::fingerprint() {
  if (is_same()) return answers_.front().end->fingerprint;
  const std::string salt = net::hex(net::random_octets(k_salt / 2));
  return salt + digest_of(plan_, salt);
}

bool RefusalMemory::is_same() {
  if (!is_same_) {
    const std::string last = answers_.empty() || !answers_.front().end ? "" : answers_.front().end->fingerprint;
    const std::string salt = last.substr(0, k_salt);
    is_same_ = !last.empty() && salt + digest_of(plan_, salt) == last;
  }
  return *is_same_;
}

}  // namespace odmr::app
