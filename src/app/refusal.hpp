#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/fetch_plan.hpp"
#include "journal/receipt.hpp"

namespace odmr::app {

// A provider that refused us is not asked again at once, also by the next run: a line that goes up and down, or a cron
// job by the minute, would have the account locked. What is remembered is in the receipts of the sessions that were
// refused; one that was not tried leaves none, and so prolongs nothing.

/// Whether the provider refused us: the login, or ATRN.
bool is_refusal(Outcome outcome);

/// A refusal that is not long enough ago.
struct Refusal {
  Outcome outcome = Outcome::refused;
  Cause cause = Cause::unknown;
  std::string text;  ///< of the session that was refused last
  WallTime when;     ///< its end
  WallTime until;    ///< so long the provider is left alone
};

/// How many receipts that takes: no wait grows longer by more.
inline constexpr std::uint64_t k_refusals_looked_at = 40;

/// What `answers` (ReceiptBook::answers_of, the last one first) say: refusals in an unbroken row, of sessions that said
/// the same. `is_same` is asked once at most, of the last one: whether it is the fingerprint of what would be said now.
/// A refusal in the future is by a clock that was wrong since, and does not count.
std::optional<Refusal> remembered_refusal(const std::vector<journal::SessionReceipt>& answers,
                                          const std::function<bool(const std::string& fingerprint)>& is_same,
                                          const RetrySettings& retry, WallTime now);

/// As what a session that is not tried is shown.
Cause cause_of(const Refusal& refusal);

/// "not tried: the login failed 20 s ago (…); tried again after 10:05:12, or with --force"
std::string why_not_tried(const Refusal& refusal, WallTime now);

/// What the receipts say about one provider, and what this session's own will have to say.
class RefusalMemory {
 public:
  /// `answers` as above. The plan must outlive this.
  RefusalMemory(const FetchPlan& plan, std::vector<journal::SessionReceipt> answers)
      : plan_(plan), answers_(std::move(answers)) {}

  std::optional<Refusal> standing(const RetrySettings& retry, WallTime now);
  /// Of everything that is said to the provider up to ATRN, the password included, which nobody can find out from it
  /// (net::stretched). The one that the last refusal left, where that was said then too. Slow.
  std::string fingerprint();

 private:
  bool is_same();

  const FetchPlan& plan_;
  std::vector<journal::SessionReceipt> answers_;
  std::optional<bool> is_same_;
};

}  // namespace odmr::app
