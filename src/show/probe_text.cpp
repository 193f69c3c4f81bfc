#include "show/probe_text.hpp"

#include <fmt/format.h>

#include "base/ascii.hpp"

namespace odmr::show {

namespace {

using app::ProbeStep;
using app::With;

constexpr std::size_t k_long = 2000;

std::string line_of(const char* mark, const std::string& step, double seconds, const std::string& text) {
  return fmt::format("{:<5} {:<13} {:>8.3f} s  {}", mark, step, seconds, text);
}

const char* word_for(ProbeStep::Mark mark) {
  switch (mark) {
    case ProbeStep::Mark::ok:
      return "ok";
    case ProbeStep::Mark::warn:
      return "warn";
    case ProbeStep::Mark::failed:
      return "FAIL";
    case ProbeStep::Mark::skipped:
      return "skip";
  }
  return "";
}

const char* word_for(With part) {
  switch (part) {
    case With::provider:
      return "provider";
    case With::target:
      return "target";
    case With::smart_host:
      return "smart-host";
    case With::state:
      return "state";
  }
  return "";
}

}  // namespace

std::string heading_of(const ProbeStep& step) {
  switch (step.part) {
    case With::provider:
      return "provider " + escape(step.provider.value_or("")) + ", " + escape(step.where);
    case With::target:
      return "local target, " + escape(step.where);
    case With::smart_host:
      return "smart host, " + escape(step.where);
    case With::state:
      return "state directory, " + escape(step.where);
  }
  return {};
}

std::string in_words(const ProbeStep& step) {
  if (step.mark == ProbeStep::Mark::skipped) return "  skip  not tried: " + escape(step.step);
  const std::string line = "  " + line_of(word_for(step.mark), step.step, step.seconds, escape(step.text, k_long));
  return step.remedy.empty() ? line : line + "\n        What to do: " + escape(step.remedy, k_long);
}

ordered_json json_of(const ProbeStep& step) {
  const std::string mark(word_for(step.mark));
  ordered_json out;
  out["part"] = word_for(step.part);
  out["provider"] = step.provider ? ordered_json(escape(*step.provider)) : ordered_json(nullptr);
  out["where"] = escape(step.where);
  out["step"] = step.step;
  out["result"] = step.mark == ProbeStep::Mark::failed ? "fail" : mark;
  out["good"] = step.mark == ProbeStep::Mark::ok || step.mark == ProbeStep::Mark::warn;
  out["text"] = escape(step.text, k_long);
  out["seconds"] = step.seconds;
  const bool is_failure = step.mark == ProbeStep::Mark::failed;
  out["outcome"] = is_failure ? ordered_json(name(step.outcome)) : ordered_json(nullptr);
  out["cause"] = is_failure && step.cause != Cause::unknown ? ordered_json(name(step.cause)) : ordered_json(nullptr);
  out["remedy"] = text_or_null(step.remedy);
  return out;
}

std::string as_json(const ProbeStep& step) {
  return line_of_json(json_of(step));
}

std::string summary_of_probe(Outcome outcome, const std::string& how_far) {
  const int status = exit_status(outcome);
  if (status == 0) return "all is well" + (how_far.empty() ? "" : ": a run would get as far as " + how_far);
  return fmt::format("a run would end as {} ({})", name(outcome), status);
}

std::string in_words(const app::TestStep& step) {
  return line_of(step.is_good ? "ok" : "FAIL", step.name, step.seconds, escape(step.text, 400));
}

std::string as_json(const app::TestStep& step) {
  return line_of_json(
      {{"step", step.name}, {"good", step.is_good}, {"text", escape(step.text)}, {"seconds", step.seconds}});
}

}  // namespace odmr::show
