#include "app/foreign_queue.hpp"

#include "base/ascii.hpp"
#include "net/delay.hpp"

namespace odmr::app {

namespace {

using net::Task;

constexpr auto k_between_looks = std::chrono::seconds(1);

// On the worker: a command may take its time.
Task<Result<std::string>> output_from(const std::vector<std::string>& argv, Duration patience,
                                      const config::RunCommand& run, net::Worker& worker) {
  Result<std::string> output;
  std::function<void()> work = [&] { output = run(argv, patience); };
  co_await worker.run(std::move(work));
  co_return output;
}

// "postqueue -j" and "smtpctl show queue" print nothing about an empty queue, "exim -bpc" prints 0.
bool says_empty(const std::string& output) {
  const auto text = trim(output);
  return text.empty() || text == "0";
}

}  // namespace

Task<Result<void>> flush_foreign_queue(const CommandSettings& settings, config::RunCommand run, net::Worker& worker,
                                       Clock& clock, Log& log, Stop& stop) {
  const TimePoint end = clock.now() + settings.limit;
  const auto begun = co_await output_from(settings.command, settings.limit, run, worker);
  if (!begun) co_return fail(begun.error());
  log.info("the other queue is being flushed", {{"command", settings.command.back()}});
  if (settings.is_empty.empty()) co_return Result<void>();
  for (;;) {
    const auto left = co_await output_from(settings.is_empty, settings.limit, run, worker);
    const bool is_long = !left && left.error().code == Errc::too_long;
    if (!left && !is_long) co_return fail(left.error());
    if (left && says_empty(*left)) co_return Result<void>();
    if (stop.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
    if (clock.now() >= end) co_return fail(Errc::timed_out, "the other queue is not empty yet");
    co_await net::delay(clock, k_between_looks, stop);
  }
}

}  // namespace odmr::app
