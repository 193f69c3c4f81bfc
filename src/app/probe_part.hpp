#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/remedy.hpp"
#include "base/clock.hpp"

namespace odmr::app {

/// One thing that `odmr probe` has tried.
struct ProbeStep {
  enum class Mark { ok, warn, failed, skipped };

  With part = With::provider;
  std::optional<std::string> provider;  ///< by name, where it is about one
  std::string where;                    ///< "odmr.example.net:366", or a directory
  std::string step;                     ///< "name", "connect" …; of Mark::skipped: all that could not be tried
  Mark mark = Mark::ok;
  std::string text;
  double seconds = 0;  ///< since the step before
  Outcome outcome = Outcome::no_mail;
  Cause cause = Cause::unknown;
  std::string remedy;  ///< of the first failure of a part, and of warnings
  std::string next;    ///< the step that is waited for now; empty where none is
};
using OnProbeStep = std::function<void(const ProbeStep&)>;

/// A part of a probe: its steps in their order, told as they happen. After the first failure the rest of them are named
/// as skipped, once.
class ProbePart {
 public:
  /// `steps`: those that are to come, by name.
  ProbePart(ProbeStep head, Scene scene, std::vector<std::string> steps, Clock& clock, const OnProbeStep& on_step);

  void ok(const std::string& step, const std::string& text);
  void warn(const std::string& step, const std::string& text, const std::string& remedy = {});
  void failed(const std::string& step, const std::string& text, Outcome outcome, Cause cause);
  /// There is no such step here, or nothing to be said of it.
  void pass_over(const std::string& step);
  /// No more steps: those that have not been told are skipped, if one failed.
  void end();

  /// The outcome that a run would have for it; no_mail where all is well.
  Outcome outcome() const { return outcome_; }
  const Scene& scene() const { return scene_; }
  WallTime now() const { return clock_.wall(); }

 private:
  void tell(ProbeStep step);

  const ProbeStep head_;
  const Scene scene_;
  std::vector<std::string> to_come_;
  Clock& clock_;
  const OnProbeStep& on_step_;
  TimePoint begun_;
  Outcome outcome_ = Outcome::no_mail;
};

}  // namespace odmr::app
