#include "cli/probe_printer.hpp"

#include <utility>

#include "show/print.hpp"
#include "show/probe_text.hpp"
#include "show/terminal.hpp"
#include "show/wrapped.hpp"

namespace odmr::cli {

ProbePrinter::ProbePrinter(const CommonOptions& options)
    : options_(options), shows_next_(!options.quiet && !options.json && show::can_erase(stdout)) {}

void ProbePrinter::end() {
  if (std::exchange(is_next_shown_, false)) show::erase_line(stdout);
}

void ProbePrinter::print(const app::ProbeStep& step) {
  if (options_.quiet && step.mark == app::ProbeStep::Mark::ok) return;
  if (options_.json) return show::print_line(stdout, show::as_json(step));
  end();
  const auto heading = show::heading_of(step);
  if (heading != heading_) show::print_wrapped(stdout, heading, 2);
  heading_ = heading;
  // The step, and below it what to do.
  const auto words = show::in_words(step);
  const auto line_end = words.find('\n');
  show::print_wrapped(stdout, words.substr(0, line_end), 6);
  if (line_end != std::string::npos) show::print_wrapped(stdout, words.substr(line_end + 1));
  is_next_shown_ = shows_next_ && !step.next.empty();
  if (is_next_shown_) show::print_for_now(stdout, "  ...   " + step.next);
}

}  // namespace odmr::cli
