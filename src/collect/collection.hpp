#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/stop.hpp"
#include "collect/envelope.hpp"
#include "collect/mailbox.hpp"
#include "mail/line_ends.hpp"
#include "net/digest.hpp"
#include "receive/reception.hpp"

namespace odmr::collect {

/// What stays in the mailbox of what has been collected.
struct Keeping {
  bool leaves = false;                ///< false: it is deleted there once it is delivered
  std::optional<Duration> leave_for;  ///< so long; none: for ever
  std::uint64_t leave_up_to = 0;  ///< octets of all that is there: beyond it the oldest that are collected go; 0: any
};

struct CollectionOptions {
  std::string provider;  ///< as receive::ReceptionOptions has it
  std::string hostname;  ///< ours: mail that has come through here too often goes round
  std::string server;    ///< the provider's host, for Received
  Keeping keeping;
  bool unseen_only = false;
  bool marks_seen = false;
  std::uint64_t max_size = 0;          ///< of a message; a larger one is not asked for; 0: any
  std::uint64_t max_size_for_now = 0;  ///< likewise, and it is for another time
  std::size_t most_at_once = 10'000;   ///< messages of one connection
};

/// How it came to its end.
struct CollectionEnd {
  enum class How {
    done,     ///< all that is there has been looked at
    more,     ///< so many that another connection is needed
    stopped,  ///< a signal, a budget, the target or the state directory: between messages
    lost,     ///< the line
    left,     ///< we closed it: the end of the grace, or a second signal
    refused,  ///< the server did not do what has to be done before any message
  };
  How how = How::done;
  bool inside_message = false;
  std::string text;           ///< why, in words
  std::uint64_t listed = 0;   ///< messages in the mailbox
  std::uint64_t fresh = 0;    ///< not collected before
  std::uint64_t refused = 0;  ///< for good, and left there
  std::uint64_t loops = 0;    ///< of these, that go round
  std::string first_refusal;  ///< of these
  bool lacks_names = false;   ///< the server has no lasting names for messages, and they were to be left there
};

/// Goes through a mailbox and hands each message over that was not collected before: the provider's part in the
/// dialogue that receive::Reception answers.
///
/// What has been delivered is on disk, in the journal, before the server hears that it may be deleted. A message that
/// is known from there is deleted, or left, and not asked for.
class Collection {
 public:
  /// All must outlive it.
  Collection(const CollectionOptions& options, const Addressing& addressing, Mailbox& mailbox,
             receive::Reception& reception, journal::Journal& journal, Clock& clock, Log& log, Stop& stop);

  net::Task<CollectionEnd> run();

 private:
  journal::Origin origin(std::string uid) const;
  net::Task<Result<void>> look();
  Result<void> see(Listed&& message);
  net::Task<Result<void>> forget_what_is_gone();
  net::Task<Result<void>> collect_all();
  bool goes_on() const;
  void ask_ahead();
  bool is_too_large(const Listed& message);

  net::Task<Result<void>> collect(const Listed& message);
  net::Task<Result<void>> read_header();
  net::Task<Result<bool>> read_piece(std::string& into);
  net::Task<Result<void>> pass_over();
  void begin_copy_digest(const std::string& identity);
  net::Task<bool> say_envelope(const Listed& message);
  net::Task<Result<void>> pass_content();
  net::Task<Result<void>> hand_over(std::uint64_t size);
  void settle(const Listed& message, const smtp::Reply& reply);
  void remove_for_room();
  net::Task<> finish();
  void lost(const Error& error);

  const CollectionOptions& options_;
  const Addressing& addressing_;
  Mailbox& mailbox_;
  receive::Reception& reception_;
  journal::Journal& journal_;
  Clock& clock_;
  Log& log_;
  Stop& stop_;
  CollectionEnd end_;
  bool is_looking_ = false;             // at what is there: nothing is lost by an end
  std::vector<std::uint64_t> present_;  // hashes of the names of what is there
  std::uint64_t known_ = 0;
  std::deque<Listed> due_;    // not collected yet
  std::deque<Listed> kept_;   // collected, and left there
  std::uint64_t size_ = 0;    // of all that is there
  std::deque<Listed> asked_;  // of the due
  std::uint64_t asked_size_ = 0;
  Listed in_hand_;
  bool has_whole_header_ = false;
  std::string header_;                      // of the message in hand; all of it that has been read
  bool is_whole_ = false;                   // it has been read to its end
  std::optional<net::Sha256> copy_digest_;  // of the message in hand, where there may be copies of it
  mail::LineEnds line_ends_{mail::LineEnds::LoneCr::space};
};

}  // namespace odmr::collect
