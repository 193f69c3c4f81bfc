// The turned line: a provider that may send anything. The first byte of the input sets the size of segments. Whatever
// comes, the session ends, nothing half-read is delivered, and each 250 to a message stands for a delivered one.

#include <algorithm>

#include "input.hpp"
#include "net/memory.hpp"
#include "receive/reception.hpp"

using namespace odmr;
using net::Task;
using smtp::Reply;

namespace {

class CountingTarget final : public deliver::Target {
 public:
  Task<Result<void>> ready() override { co_return Result<void>(); }
  const deliver::Abilities& abilities() const override { return abilities_; }
  Task<Reply> mail(const smtp::MailCommand&) override {
    recipients_ = 0;
    co_return Reply(250, "2.1.0 OK");
  }
  Task<Reply> rcpt(const smtp::RcptCommand&) override {
    ++recipients_;
    co_return Reply(250, "2.1.5 OK");
  }
  Task<std::optional<Reply>> data(const deliver::Handover&) override { co_return std::nullopt; }
  Task<bool> content(std::string_view piece) override {
    fuzz::require(!piece.empty(), "pieces are not empty");
    co_return true;
  }
  Task<std::vector<Reply>> finish() override {
    ++delivered;
    co_return std::vector<Reply>(recipients_, Reply(250, "2.0.0 delivered"));
  }
  Task<> abandon() override { co_return; }
  Task<> close() override { co_return; }

  std::size_t delivered = 0;

 private:
  deliver::Abilities abilities_;
  std::size_t recipients_ = 0;
};

class NoBounces final : public receive::BounceKeeper {
 public:
  Result<void> keep(const receive::BounceRecord&) override { return {}; }
};

Task<> provide(std::unique_ptr<net::Transport> line, std::string_view bytes) {
  (void)co_await line->write(bytes, std::chrono::minutes(1));
  co_await line->finish(TimePoint());
  std::string sink(4096, '\0');
  for (;;) {
    const auto count = co_await line->read_some(sink, TimePoint::max());
    if (!count) co_return;
  }
}

Task<> customer(net::Stream stream, receive::Reception& reception, Stop& stop, server::SessionEnd& end) {
  server::MailSessionOptions options;
  options.hostname = "mail.customer.example";
  end = co_await server::serve_mail(std::move(stream), reception, options, silent_log(), stop);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  net::Simulation simulation;
  net::Faults faults;
  faults.largest_read = static_cast<std::size_t>(data[0]) + 1;
  auto line = net::memory_line(simulation, "192.0.2.1:366", "customer", faults);

  CountingTarget target;
  NoBounces bounces;
  Stop stop;
  const receive::Guard guard({"customer.example"});
  receive::ReceptionOptions options;
  options.hostname = "mail.customer.example";
  options.session_id = "f";
  receive::History history;
  receive::Reception reception(options, history, guard, target, bounces, simulation, silent_log());
  server::SessionEnd end;
  simulation.start(provide(std::move(line.second), fuzz::text(data + 1, size - 1)));
  net::Stream stream(std::move(line.first), simulation);
  const bool ended = simulation.run(customer(std::move(stream), reception, stop, end));
  fuzz::require(ended, "the session ends");
  fuzz::require(reception.tally().messages == target.delivered, "each 250 is a delivery");
  return 0;
}
