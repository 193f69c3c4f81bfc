// Fills a queue, and flushes it into a host on this machine:
//
//   flush_bench fill DIRECTORY MESSAGES BYTES
//   flush_bench send DIRECTORY PORT CONNECTIONS

#include <sys/resource.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>

#include "base/log.hpp"
#include "net/system_network.hpp"
#include "queue/intake.hpp"
#include "send/flush.hpp"

namespace {

using namespace odmr;

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

int fill(const std::string& directory, std::size_t messages, std::size_t bytes) {
  auto store = spool::Store::in(queue::directory_in(directory));
  if (!store) die(store.error().text);
  const std::string line = std::string(70, 'x') + "\r\n";
  for (std::size_t i = 0; i < messages; ++i) {
    spool::Envelope envelope{std::chrono::system_clock::now(), "sender@example.org", {}, {}};
    envelope.recipients.push_back({"recipient@example.net", {}});
    auto draft = store->begin(envelope);
    if (!draft) die(draft.error().text);
    std::size_t size = 0;
    for (std::string text = "Subject: " + std::to_string(i) + "\r\n\r\n"; size < bytes; text = line) {
      if (const auto written = draft->write(text); !written) die(written.error().text);
      size += text.size();
    }
    if (const auto id = draft->commit(); !id) die(id.error().text);
  }
  return 0;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string highest_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return line.substr(line.find_first_not_of(" \t", 6));
  }
  return "?";
}

net::Task<> run(send::FlushOptions& options, queue::Queue& queue, net::Network& network, net::Worker& disk, Log& log,
                Stop& stop, send::FlushReport& report) {
  const send::OnFlushProgress nobody;
  report = co_await send::flush(options, queue, network, disk, nobody, log, stop);
}

int flush_all(const std::string& directory, int port, std::size_t connections) {
  asio::io_context loop;
  net::SystemNetwork network(loop);
  const auto log = make_stderr_log(Level::info, LogFormat::text);
  Stop stop;
  auto queue = queue::Queue::in(queue::directory_in(directory), {}, network.clock(), *log);
  if (!queue) die(queue.error().text);
  if (const auto recovered = queue->recover(); !recovered) die(recovered.error().text);
  const auto start = std::chrono::steady_clock::now();
  if (const auto refreshed = queue->refresh(); !refreshed) die(refreshed.error().text);
  const std::chrono::duration<double> refreshing = std::chrono::steady_clock::now() - start;

  send::FlushOptions options;
  options.server.endpoint = net::Endpoint{"127.0.0.1", static_cast<std::uint16_t>(port), {}};
  options.server.hostname = "bench.example.org";
  options.max_connections = connections;
  const auto disk = net::make_worker();
  send::FlushReport report;
  const double cpu_before = cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  asio::co_spawn(loop, run(options, *queue, network, *disk, *log, stop, report), [](const std::exception_ptr& problem) {
    if (problem) std::rethrow_exception(problem);
  });
  loop.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto messages = static_cast<double>(report.tally.messages);
  std::printf("%s: %.0f messages in %.2f s: %.0f a second, %.3f ms of CPU each, %s at most; refresh %.2f s\n",
              std::string(name(report.outcome)).c_str(), messages, took.count(), messages / took.count(),
              (cpu_seconds() - cpu_before) * 1000 / messages, highest_memory().c_str(), refreshing.count());
  std::fflush(stdout);
  return report.outcome == Outcome::sent ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 5 ? argv[1] : "";
  if (mode == "fill") return fill(argv[2], std::strtoul(argv[3], nullptr, 10), std::strtoul(argv[4], nullptr, 10));
  if (mode == "send") return flush_all(argv[2], std::atoi(argv[3]), std::strtoul(argv[4], nullptr, 10));
  die("flush_bench fill DIRECTORY MESSAGES BYTES | send DIRECTORY PORT CONNECTIONS");
}
