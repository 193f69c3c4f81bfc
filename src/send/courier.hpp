#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/stop.hpp"
#include "client/transaction.hpp"
#include "send/feed.hpp"
#include "send/flush.hpp"
#include "send/letter_text.hpp"
#include "send/settler.hpp"
#include "send/verdict.hpp"

namespace odmr::send {

/// What a flush has come to so far.
struct Sum {
  FlushTally tally;
  bool has_put_off = false;  ///< somebody waits on
  std::uint64_t bytes_on_line = 0;
  OnFlushProgress on_progress;
  std::string why_is_put_off = {};  ///< the first one, where it is known
};

/// What the couriers of one flush share. All of it outlives them.
struct Office {
  const FlushOptions& options;
  Feed& feed;
  Settler& settler;
  Sum& sum;
  net::Worker& disk;
  Log& log;
  Stop& stop;
};

/// Carries letters over one line, one after the other. What the host has answered is handed to the settler at once, and
/// the next letter is begun; but its final dot waits until that answer is on disk. So a crash at any instant leaves at
/// most one message per line of which we do not know that the host has it.
class Courier final : private client::DotGate {
 public:
  Courier(client::Session& session, const Office& office);

  /// What a letter's way over this line came to.
  struct Trip {
    bool is_over = false;       ///< of the letter nothing is left to be done now; otherwise it can go over another line
    bool line_is_over = false;  ///< and `why`
    bool is_our_fault = false;  ///< that the line is over: our disk failed, or we were told to leave
    bool got_through = false;   ///< the host has spoken its last word about a recipient
    std::optional<Grievance> grievance;
    std::string why;
  };
  /// `spares_mail`: a grievance puts nothing off.
  net::Task<Trip> carry(std::shared_ptr<Errand> errand, bool spares_mail);

  /// Comes back when all answers are on disk. Errors: they are not.
  net::Task<Result<void>> settled();
  /// The stop has come to its second step: the line is closed, in the middle of whatever it is.
  void leave();
  /// Whether a message got through.
  bool has_served() const { return has_served_; }

 private:
  net::Task<Result<void>> open() override;  // the gate
  net::Task<> prepare(LetterText& text, std::shared_ptr<Errand> errand);
  net::Task<> convert(LetterText& text, std::shared_ptr<Errand> errand);
  net::Task<> transact(std::shared_ptr<Errand> errand, LetterText& text, Trip& trip, bool spares_mail);
  net::Task<> stumbled(std::shared_ptr<Errand> errand, const Error& problem);
  void file(const std::shared_ptr<Errand>& errand, Verdict verdict);
  void give_up_when_old(Errand& errand);
  void note_put_off(const queue::Attempt& attempt);
  void add_up(Errand& errand, const queue::Attempt& attempt);
  void refuse(const std::shared_ptr<Errand>& errand, const std::vector<std::size_t>& group, const Error& why);
  void finish(const Errand& errand);

  client::Session& session_;
  const Office& office_;
  std::shared_ptr<Settler::Receipt> last_;  // of the answer before
  bool has_served_ = false;
  bool is_left_ = false;
  bool is_gate_shut_ = false;
  bool is_expected_ = false;  // by the settler: a dot is out
};

}  // namespace odmr::send
