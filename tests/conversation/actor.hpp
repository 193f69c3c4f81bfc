#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/held_lines.hpp"
#include "ledger.hpp"
#include "net/memory.hpp"
#include "net/stream.hpp"
#include "transcript.hpp"

namespace odmr::conversation {

/// A thing that was said or done, for people.
struct Event {
  std::string who;
  const char* what;
  std::string bytes;
};

/// What all that happens on stage shares.
struct Scene {
  net::Simulation& simulation;
  Stop& stop;
  Ledger& ledger;
  std::vector<std::string>& mismatches;
  std::vector<Event>& dialogue;
  app::HeldLines held_lines = app::HeldLines({});
  bool lenient = false;
  bool lmtp = false;       ///< the target
  std::size_t acting = 0;  ///< actors that have not come to their end
};

net::Task<> sleep(net::Simulation& simulation, Duration duration);

/// Makes the bytes of DATA: lines of printable text, some of them with leading dots.
std::string generated_content(std::size_t size);

/// A peer that plays its part of the transcript at the far end of a line.
class Actor {
 public:
  /// `may_die`: something is made to fail on this very line.
  Actor(Scene& scene, const Part& part, std::string title, bool may_die);

  /// To the end of the part, and of the line.
  net::Task<> play(net::MemoryLine line);
  /// A part without a line: only time and signals.
  net::Task<> play_without_line();
  /// All that was said on the line.
  const std::string& said() const { return said_; }

 private:
  struct OffTheScript {};  // thrown, and caught in play()

  net::Task<> play_steps();
  net::Task<> play_step(const Step& step);
  net::Task<> finish_part();

  net::Task<> say(std::string_view bytes);
  /// The next line without its CRLF; no value once the line is over.
  net::Task<std::optional<std::string>> hear();
  net::Task<std::string> hear_line(const Step& step);
  net::Task<> expect(const Step& step);
  net::Task<> expect_reply(const Step& step);
  net::Task<> expect_content(const Step& step);
  net::Task<> expect_end(const Step& step);
  net::Task<> begin_tls(const Step& step);
  net::Task<> part_by(const Step& step);
  net::Task<> authenticate(const Step& step);
  net::Task<std::string> hear_response(const Step& step);
  bool resembles(const Step& step, const std::string& line) const;

  net::Task<> improvise();
  net::Task<> improvise_as_server();
  std::string improvised_reply(const std::string& line) const;
  net::Task<> hear_to_the_end();

  void mismatch(const Step& step, const std::string& what);
  void note_our_close();
  void write_down(const char* what, std::string_view bytes = {});

  Scene& scene_;
  const Part& part_;
  std::string title_;
  bool may_die_;
  std::optional<net::Stream> stream_;
  std::shared_ptr<net::Transport> below_;  // the line itself, beneath any TLS
  std::function<void()> cut_;
  Ledger::ProviderEnd provider_;
  Ledger::TargetEnd target_;
  std::string said_;
  TimePoint last_event_;
  std::optional<std::string> unexpected_;  // a line that was not in the script: improvise() begins with it
  std::optional<std::string> gone_;        // why the line is over
  bool ended_by_script_ = false;
  bool end_is_due_ = false;  // the script has us close
  bool draining_ = false;    // whatever comes, a TLS handshake into nothing perhaps
};

/// A target that takes everything, for connections that no transcript has.
const Part& hospitable_target();

}  // namespace odmr::conversation
