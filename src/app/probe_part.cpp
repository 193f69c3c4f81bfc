#include "app/probe_part.hpp"

#include <algorithm>
#include <utility>

namespace odmr::app {

ProbePart::ProbePart(ProbeStep head, Scene scene, std::vector<std::string> steps, Clock& clock,
                     const OnProbeStep& on_step)
    : head_(std::move(head)),
      scene_(std::move(scene)),
      to_come_(std::move(steps)),
      clock_(clock),
      on_step_(on_step),
      begun_(clock.now()) {}

void ProbePart::ok(const std::string& step, const std::string& text) {
  ProbeStep told = head_;
  told.step = step;
  told.text = text;
  tell(std::move(told));
}

void ProbePart::warn(const std::string& step, const std::string& text, const std::string& remedy) {
  ProbeStep told = head_;
  told.step = step;
  told.mark = ProbeStep::Mark::warn;
  told.text = text;
  told.remedy = remedy;
  tell(std::move(told));
}

void ProbePart::failed(const std::string& step, const std::string& text, Outcome outcome, Cause cause) {
  ProbeStep told = head_;
  told.step = step;
  told.mark = ProbeStep::Mark::failed;
  told.text = text;
  told.outcome = outcome;
  told.cause = cause;
  if (outcome_ == Outcome::no_mail) told.remedy = remedy(outcome, cause, scene_, text);
  outcome_ = worst(outcome_, outcome);
  tell(std::move(told));
}

void ProbePart::pass_over(const std::string& step) {
  const auto found = std::find(to_come_.begin(), to_come_.end(), step);
  if (found != to_come_.end()) to_come_.erase(found);
}

void ProbePart::end() {
  if (outcome_ == Outcome::no_mail || to_come_.empty()) return;
  ProbeStep told = head_;
  told.mark = ProbeStep::Mark::skipped;
  for (const auto& step : to_come_) told.step += (told.step.empty() ? "" : ", ") + step;
  told.text = "not tried";
  to_come_.clear();
  tell(std::move(told));
}

void ProbePart::tell(ProbeStep step) {
  // EHLO comes twice, before TLS and inside it: the first is followed by others that are still to come.
  pass_over(step.step);
  const TimePoint now = clock_.now();
  if (outcome_ == Outcome::no_mail && !to_come_.empty()) step.next = to_come_.front();
  step.seconds = std::chrono::duration<double>(now - std::exchange(begun_, now)).count();
  on_step_(step);
}

}  // namespace odmr::app
