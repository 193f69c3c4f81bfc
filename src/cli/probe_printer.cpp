#include "cli/probe_printer.hpp"

#include "show/print.hpp"
#include "show/probe_text.hpp"

namespace odmr::cli {

void ProbePrinter::print(const app::ProbeStep& step) {
  if (options_.quiet && step.mark == app::ProbeStep::Mark::ok) return;
  if (options_.json) return show::print_line(stdout, show::as_json(step));
  const auto heading = show::heading_of(step);
  if (heading != heading_) show::print_line(stdout, heading);
  heading_ = heading;
  show::print_line(stdout, show::in_words(step));
}

}  // namespace odmr::cli
