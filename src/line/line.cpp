#include "line/line.hpp"

#include <utility>

namespace odmr::line {

namespace {

tl::unexpected<Error> about(const char* key, const Error& error) {
  return fail(error.code, std::string("[line] ") + key + ": " + error.text);
}

}  // namespace

Line::Line(LineOptions options, Commands& commands, Log& log)
    : options_(std::move(options)), commands_(commands), log_(log) {}

Result<void> Line::bring_up() {
  is_down_due_ = !options_.down.empty();
  if (is_down_due_) {
    // Before `up`: there must be no moment at which the line is up and nobody knows how to take it down.
    const auto ready = commands_.bequeath(options_.down, options_.down_timeout);
    if (!ready) return about("down", ready.error());
  }
  if (options_.up.empty()) return {};
  log_.info("line: bringing it up", {{"command", options_.up.back()}});
  const auto up = commands_.begin(options_.up, options_.up_timeout);
  if (!up) return about("up", up.error());
  log_.info("line: up", {{"said", *up}});
  return {};
}

Result<void> Line::take_down() {
  if (!std::exchange(is_down_due_, false)) return {};
  const auto down = commands_.complete(options_.down, options_.down_timeout);
  if (!down) return about("down", down.error());
  log_.info("line: down", {{"said", *down}});
  return {};
}

}  // namespace odmr::line
