#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "deliver/breaker.hpp"
#include "smtp/reply.hpp"

namespace odmr::receive {

/// What came in, as `--json` counts it: `messages` were newly taken for at least one recipient; of the others each is
/// in exactly one of the last three.
struct Tally {
  std::uint64_t messages = 0;
  std::uint64_t recipients = 0;
  std::uint64_t bytes = 0;  ///< as RFC 1870 counts, without our own lines
  std::uint64_t rejected = 0;
  std::uint64_t deferred = 0;
  std::uint64_t duplicates = 0;

  Tally& operator+=(const Tally& more);
};

/// What a session remembers from one of its connections to the next.
struct History {
  /// `most_refused`: as deliver::Breaker has it.
  explicit History(std::size_t most_refused) : breaker(most_refused) {}
  std::set<std::string> refused;  ///< digests of what was refused for good, so many as fit
  std::uint64_t bytes = 0;        ///< of content, whatever became of it
  bool has_read_in_vain = false;  ///< a message that proved too large for this line; it would come again
  deliver::Breaker breaker;
};

/// Counts the messages of one connection.
class Counter {
 public:
  explicit Counter(History& history) : history_(history) {}

  /// Newly taken for so many recipients; `put_off`: others of the same message hear 4xx.
  void taken(std::uint64_t recipients, std::uint64_t bytes, bool put_off);
  void duplicate();
  /// We keep it, and the provider does not.
  void kept();
  /// The same for some of a message's recipients, while others have it.
  void kept_for_some() { has_put_off_ = has_kept_ = true; }
  /// A refusal of the whole message. `fingerprint` tells it from others: one that was refused for good before in this
  /// session is no new answer.
  void refused(const smtp::Reply& reply, const std::string& fingerprint);
  void put_off_recipient(const smtp::Reply& reply) { has_put_off_ = true, put_off_with(reply); }
  /// Why a message, or a recipient, was put off. The first of a connection is told.
  void put_off_with(const smtp::Reply& reply);

  const Tally& tally() const { return tally_; }
  /// Messages that got a final answer: 250, or a 5xx to one that was not refused before in this session.
  std::uint64_t final_answers() const { return final_answers_; }
  /// Whether any recipient, or message, was put off.
  bool has_put_off() const { return has_put_off_; }
  bool has_kept() const { return has_kept_; }
  /// In the words of who put it off, first; empty where nothing was.
  const std::string& first_put_off() const { return first_put_off_; }

 private:
  History& history_;
  Tally tally_;
  std::uint64_t final_answers_ = 0;
  bool has_put_off_ = false;
  bool has_kept_ = false;
  std::string first_put_off_;
};

}  // namespace odmr::receive
