#include "cli/probe_printer.hpp"

#include "show/print.hpp"
#include "show/probe_text.hpp"
#include "show/wrapped.hpp"

namespace odmr::cli {

void ProbePrinter::print(const app::ProbeStep& step) {
  if (options_.quiet && step.mark == app::ProbeStep::Mark::ok) return;
  if (options_.json) return show::print_line(stdout, show::as_json(step));
  const auto heading = show::heading_of(step);
  if (heading != heading_) show::print_wrapped(stdout, heading, 2);
  heading_ = heading;
  // The step, and below it what to do.
  const auto words = show::in_words(step);
  const auto line_end = words.find('\n');
  show::print_wrapped(stdout, words.substr(0, line_end), 6);
  if (line_end != std::string::npos) show::print_wrapped(stdout, words.substr(line_end + 1));
}

}  // namespace odmr::cli
