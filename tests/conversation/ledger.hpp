#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "receive/reception.hpp"

namespace odmr::conversation {

/// A message as the provider handed it to us.
struct Transaction {
  std::string reverse_path;             ///< "FROM:<…> …", as the command had it
  std::vector<std::string> recipients;  ///< those we accepted, "TO:<…>"
  std::string content;                  ///< dot-stuffing undone
  bool finished = false;                ///< the provider has sent the final dot
  int reply = 0;                        ///< what it heard to that
};

/// A message as the target had it from us.
struct Delivery {
  std::string reverse_path;
  std::vector<std::string> recipients;  ///< those the target accepted
  std::string content;                  ///< our trace in front
  bool complete = false;                ///< the target has seen the final dot
  bool lmtp = false;
  std::vector<int> replies;  ///< what it said to that
  std::map<std::string, std::size_t>
      answered;  ///< for whom a 250 to the provider stands on it, and on which connection
};

/// A message that we keep for the target.
struct Kept {
  std::string reverse_path;                             ///< "<…>"
  std::vector<std::pair<std::string, int>> recipients;  ///< "<…>", and what the target said
  std::string content;                                  ///< our trace in front
};

/// Whether at least one recipient of it was taken.
bool is_taken(const Delivery& delivery);
/// What follows our Received field, which the content must begin with; no value where it does not.
std::optional<std::string> without_trace(const std::string& content);

/// Keeps book of the mail from both ends, by nothing but the bytes that went over the lines, and notices at once when a
/// promise is broken.
class Ledger {
 public:
  /// The provider's end of one connection. Before the turn it only waits for that.
  class ProviderEnd {
   public:
    explicit ProviderEnd(Ledger& ledger) : ledger_(ledger), number_(ledger.quit_.size()) {
      ledger.quit_.push_back(false);
    }
    void said(std::string_view bytes);
    void heard(std::string_view line);
    bool has_turned() const { return turned_; }
    bool is_inside_message() const { return in_content_; }
    bool awaits_reply() const { return !commands_.empty(); }
    /// Whether the reply heard last was the one to a final dot.
    bool heard_a_verdict() const { return verdict_; }
    /// We closed. `allowed`: a dead line, our patience, or a second signal was the reason.
    void closed_by_us(bool allowed);

   private:
    void before_the_turn(std::string_view line);
    void content(std::string_view bytes);
    bool chunk(const std::string& command);
    void chunk_content();
    void heard_chunk_reply(int code);
    void heard_reply(int code);

    struct Chunk {
      std::size_t spoken;  // of the ledger's
      bool last;
    };
    Ledger& ledger_;
    std::size_t number_;                 // of the connection
    std::deque<Chunk> chunks_;           // BDAT said, and not answered
    std::optional<std::size_t> spoken_;  // the message of MAIL, while it is being said
    bool is_chunked_ = false;            // the transaction in hand
    std::uint64_t left_ = 0;             // octets of the chunk that is being said
    std::string unread_;                 // of what was said: not yet a whole line
    std::deque<std::string> commands_;
    Transaction* current_ = nullptr;
    bool asked_ = false;
    bool quit_waited_ = false;  // the last command was said once all before it were answered
    bool turned_ = false;
    bool greeted_ = false;
    bool in_content_ = false;
    bool verdict_ = false;
  };

  /// The target's end of one connection.
  class TargetEnd {
   public:
    TargetEnd(Ledger& ledger, bool lmtp) : ledger_(ledger), lmtp_(lmtp) {}
    void said(std::string_view bytes);
    void heard(std::string_view line);
    bool is_inside_message() const { return in_content_; }
    std::size_t recipients() const { return current_ == nullptr ? 0 : current_->recipients.size(); }
    const Delivery* current() const { return current_; }

   private:
    void said_reply(int code);

    Ledger& ledger_;
    bool lmtp_;
    std::string unread_;
    std::deque<std::string> commands_;
    Delivery* current_ = nullptr;
    bool in_content_ = false;
  };

  /// On disk, as far as this test has one.
  std::vector<receive::BounceRecord> bounces;
  std::vector<Kept> kept;
  std::vector<std::string> violations;

  /// The provider's lone CR and LF are to reach the target as spaces (stray_newlines = "fix").
  bool mends_stray_newlines = false;

  std::deque<Transaction> transactions;
  std::deque<Delivery> deliveries;
  /// What the provider has said by BDAT, whatever it heard to that: with pipelining that comes later.
  std::deque<Transaction> spoken;

  std::size_t quits = 0;  ///< turned lines that the provider ended by QUIT

  std::size_t taken() const;     ///< deliveries with a 2xx
  std::size_t accepted() const;  ///< transactions that heard a 2xx

 private:
  void check_dot(const Delivery& delivery);
  void check_acceptance(const Transaction& transaction, std::size_t connection);
  bool covers(const Delivery& delivery, const Transaction& transaction, const std::string& recipient,
              std::size_t connection) const;
  bool is_kept(const Transaction& transaction, const std::string& recipient) const;
  bool has_bounce(const std::string& recipient) const;

  std::vector<bool> quit_;  // per connection: the provider had all its answers, said QUIT, and was answered
};

}  // namespace odmr::conversation
