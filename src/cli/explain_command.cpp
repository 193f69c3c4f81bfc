#include "cli/explain_command.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>

#include "base/ascii.hpp"
#include "show/json.hpp"
#include "show/print.hpp"
#include "show/trace_reader.hpp"

namespace odmr::cli {

namespace {

using app::Explanation;

constexpr int k_no_data = 65;   // EX_DATAERR: no trace
constexpr int k_no_input = 66;  // EX_NOINPUT
constexpr std::size_t k_long = 2000;
constexpr std::size_t k_longest_line = std::size_t{64} * 1024;

struct Closed {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

int complain(int exit, const std::string& text) {
  show::print_line(stderr, "odmr: " + escape(text, k_long));
  return exit;
}

// Line by line, each cut where it is too long for any of ours, so that any file can be read.
void each_line(std::FILE* file, const std::function<void(std::string_view)>& take) {
  std::array<char, 16 * 1024> piece{};
  std::string line;
  for (std::size_t count = 0; (count = std::fread(piece.data(), 1, piece.size(), file)) > 0;) {
    std::string_view rest(piece.data(), count);
    while (!rest.empty()) {
      const auto end = std::min(rest.find('\n'), rest.size());
      line += rest.substr(0, std::min(end, k_longest_line - std::min(k_longest_line, line.size())));
      if (end < rest.size()) {
        if (line.ends_with('\r')) line.pop_back();
        take(line);
        line.clear();
      }
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  if (!line.empty()) take(line);
}

std::string verdict_of(const Explanation& told) {
  if (!told.outcome) return told.text.empty() ? "the trace ends before the session" : told.text;
  const std::string word(name(*told.outcome));
  return told.text.empty() ? word : word + ": " + told.text;
}

void print(const Explanation& told) {
  const std::string with = told.provider.empty() ? std::string() : " with " + told.provider;
  const std::string at = told.server.empty() ? std::string() : ", " + told.server;
  const std::string id = told.session.empty() ? std::string("a session") : "session " + told.session;
  show::print_line(stdout, escape(id + with + at, k_long));
  for (const auto& [step, what] : told.steps)
    show::print_line(stdout, fmt::format("  {:<12} {}", step, escape(what, 300)));
  for (const auto& warning : told.warnings) show::print_line(stdout, "  said         " + escape(warning, 300));
  show::print_line(stdout, "  outcome      " + escape(verdict_of(told), k_long));
  if (!told.remedy.empty()) show::print_line(stdout, "  What to do:  " + escape(told.remedy, k_long));
}

void print_as_json(const Explanation& told) {
  show::ordered_json steps = show::ordered_json::array();
  for (const auto& [step, what] : told.steps) steps.push_back({{"step", escape(step)}, {"text", escape(what, k_long)}});
  show::ordered_json out;
  out["session"] = show::text_or_null(told.session);
  out["provider"] = show::text_or_null(told.provider);
  out["where"] = show::text_or_null(told.server);
  out["steps"] = steps;
  out["outcome"] = told.outcome ? show::ordered_json(name(*told.outcome)) : show::ordered_json(nullptr);
  out["exit"] = told.outcome ? show::ordered_json(exit_status(*told.outcome)) : show::ordered_json(nullptr);
  out["text"] = show::text_or_null(verdict_of(told));
  out["cause"] = told.cause == Cause::unknown ? show::ordered_json(nullptr) : show::ordered_json(name(told.cause));
  out["remedy"] = show::text_or_null(told.remedy);
  show::print_json(out);
}

}  // namespace

int explain_command(const ExplainOptions& options) {
  const bool is_stdin = options.transcript == "-";
  const std::unique_ptr<std::FILE, Closed> file(is_stdin ? stdin : std::fopen(options.transcript.c_str(), "rbe"));
  if (!file) return complain(k_no_input, options.transcript + ": " + std::strerror(errno));
  app::Explainer explainer;
  bool is_trace = false;
  each_line(file.get(), [&](std::string_view line) { is_trace = show::take_trace_line(line, explainer) || is_trace; });
  if (std::ferror(file.get()) != 0) return complain(k_no_input, options.transcript + " cannot be read");
  if (!is_trace) {
    return complain(k_no_data,
                    options.transcript + " holds no trace of odmr; one is made by: odmr run -vv 2>&1 | tee TRANSCRIPT");
  }
  if (explainer.left_out() > 0) complain(0, std::to_string(explainer.left_out()) + " older sessions are left out");
  for (const auto& told : explainer.explain()) {
    if (options.json)
      print_as_json(told);
    else
      print(told);
  }
  return 0;
}

}  // namespace odmr::cli
