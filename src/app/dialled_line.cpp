#include "app/dialled_line.hpp"

#include <functional>

#include "base/ascii.hpp"

namespace odmr::app {

using net::Task;

Result<std::string> HelperCommands::begin(const line::Command& command, Duration patience) {
  return helper_ ? helper_->begin(command, patience, &interruption_) : fail(helper_.error());
}

Result<std::string> HelperCommands::complete(const line::Command& command, Duration patience) {
  return helper_ ? helper_->complete(command, patience) : fail(helper_.error());
}

Result<void> HelperCommands::bequeath(const line::Command& command, Duration patience) {
  return helper_ ? helper_->bequeath(command, patience) : fail(helper_.error());
}

DialledLine::DialledLine(const LineSettings& settings, const Result<confine::Helper>& helper, net::Worker& worker,
                         Clock& clock, Log& log, Stop& stop)
    : settings_(settings),
      commands_(helper),
      line_(settings.dialled, commands_, log),
      worker_(worker),
      clock_(clock),
      log_(log),
      stop_(stop) {}

Task<Result<void>> DialledLine::bring_up() {
  if (stop_.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
  Result<void> up;
  if (line_.is_dialled()) {
    const Stop::Listener listener(stop_, [this](Stop::Phase) { line_.interrupt(); });
    std::function<void()> work = [&] { up = line_.bring_up(); };
    co_await worker_.run(std::move(work));
  }
  due_ = clock_.now() + settings_.wait;
  if (stop_.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
  if (!up) co_return fail(up.error().code, escape(up.error().text, 1000));
  co_return Result<void>();
}

Task<> DialledLine::take_down() {
  if (!line_.is_dialled()) co_return;
  Result<void> down;
  std::function<void()> work = [&] { down = line_.take_down(); };
  co_await worker_.run(std::move(work));
  if (!down) log_.error("the line may still be up", {{"why", down.error().text}});
}

}  // namespace odmr::app
