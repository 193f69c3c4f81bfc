#include "net/memory.hpp"

#include <algorithm>
#include <cstring>

#include "net/wakeup.hpp"

namespace odmr::net {

namespace {

// One direction of a line.
struct Pipe {
  explicit Pipe(asio::io_context& loop) : arrived(loop.get_executor()), taken(loop.get_executor()) {}

  std::string bytes;
  bool ended = false;
  bool lost = false;
  bool silent = false;  // takes bytes, and gives none
  Wakeup arrived;
  Wakeup taken;

  void change() {
    arrived.wake();
    taken.wake();
  }

  void cut(Cut how) {
    if (how == Cut::reset) lost = true;
    if (how == Cut::closed) ended = true;
    if (how == Cut::silence) silent = true;
    change();
  }
};

class MemoryTransport final : public Transport {
 public:
  MemoryTransport(Simulation& simulation, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, std::string peer,
                  Faults faults)
      : simulation_(simulation),
        in_(std::move(in)),
        out_(std::move(out)),
        peer_(std::move(peer)),
        faults_(std::move(faults)),
        traffic_(std::make_shared<Traffic>()) {}
  ~MemoryTransport() override { MemoryTransport::close(); }
  MemoryTransport(const MemoryTransport&) = delete;
  MemoryTransport& operator=(const MemoryTransport&) = delete;

  Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override {
    if (traffic_->reads++ >= faults_.fail_read) lose(Cut::reset);
    bool late = false;
    const auto pipe = in_;
    auto alarm = simulation_.alarm([pipe, &late] {
      late = true;
      pipe->arrived.wake();
    });
    alarm->set(deadline);
    for (;;) {
      if (faults_.cuts_late && !in_->bytes.empty() && traffic_->bytes_read >= faults_.cut_after_read) lose(faults_.cut);
      if (!in_->bytes.empty() && !closed_) co_return take(into);
      if (in_->lost || closed_) co_return fail(Errc::lost, peer_ + ": connection reset");
      if (in_->ended) co_return fail(Errc::closed, peer_ + ": connection closed");
      if (late || deadline <= simulation_.now()) co_return fail(Errc::timed_out, peer_ + ": no answer in time");
      reading_ = true;
      co_await in_->arrived.wait();
      reading_ = false;
      if (std::exchange(interrupted_, false)) co_return fail(Errc::interrupted, "interrupted");
    }
  }

  Task<Result<void>> write(std::string_view bytes, Duration patience) override {
    if (traffic_->writes++ >= faults_.fail_write) lose(Cut::reset);
    while (!bytes.empty()) {
      if (out_->lost || out_->ended || closed_) co_return fail(Errc::lost, peer_ + ": broken pipe");
      if (out_->silent) co_return Result<void>();
      const auto space = faults_.room - std::min(faults_.room, out_->bytes.size());
      if (space == 0) {
        if (!co_await wait_for_room(patience)) co_return fail(Errc::timed_out, peer_ + ": takes no bytes");
        continue;
      }
      give(bytes.substr(0, space));
      bytes.remove_prefix(std::min(space, bytes.size()));
    }
    co_return Result<void>();
  }

  Task<> finish(TimePoint /*deadline*/) override {
    end_output();
    co_return;
  }

  void interrupt() override {
    if (!reading_) return;
    interrupted_ = true;
    in_->arrived.wake();
  }

  void close() override {
    if (std::exchange(closed_, true)) return;
    // What the peer sent and nobody read makes a close a reset, as TCP has it.
    if (!in_->bytes.empty() && !out_->silent) out_->lost = true;
    in_->lost = true;
    end_output();
    in_->change();
  }

  std::string peer() const override { return peer_; }

  std::shared_ptr<Traffic> traffic() const { return traffic_; }
  const Faults& faults() const { return faults_; }

 private:
  std::size_t take(std::span<char> into) {
    std::size_t count = std::min({into.size(), in_->bytes.size(), faults_.largest_read});
    const auto next_break = faults_.breaks.upper_bound(traffic_->bytes_read);
    if (next_break != faults_.breaks.end()) count = std::min(count, *next_break - traffic_->bytes_read);
    if (faults_.cut_after_read > traffic_->bytes_read) {
      count = std::min(count, faults_.cut_after_read - traffic_->bytes_read);
    }
    std::memcpy(into.data(), in_->bytes.data(), count);
    in_->bytes.erase(0, count);
    in_->taken.wake();
    traffic_->bytes_read += count;
    if (!faults_.cuts_late && traffic_->bytes_read >= faults_.cut_after_read) lose(faults_.cut);
    return count;
  }

  void give(std::string_view bytes) {
    const auto fits = faults_.cut_after_written - std::min(faults_.cut_after_written, traffic_->bytes_written);
    const bool is_cut = faults_.cuts_late ? bytes.size() > fits : bytes.size() >= fits;
    bytes = bytes.substr(0, fits);
    out_->bytes += bytes;
    traffic_->bytes_written += bytes.size();
    if (is_cut) lose(faults_.cut);
    out_->arrived.wake();
  }

  Task<bool> wait_for_room(Duration patience) {
    bool late = false;
    const auto pipe = out_;
    auto alarm = simulation_.alarm([pipe, &late] {
      late = true;
      pipe->taken.wake();
    });
    alarm->set(simulation_.now() + patience);
    co_await out_->taken.wait();
    co_return !late;
  }

  // Told to nobody on a line that is silent.
  void end_output() {
    if (!out_->silent) out_->ended = true;
    out_->change();
  }

  void lose(Cut how) {
    in_->bytes.clear();
    in_->cut(how);
    out_->cut(how);
  }

  Simulation& simulation_;
  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  std::string peer_;
  Faults faults_;
  std::shared_ptr<Traffic> traffic_;
  bool closed_ = false;
  bool reading_ = false;
  bool interrupted_ = false;
};

}  // namespace

MemoryLine memory_line(Simulation& simulation, std::string first_sees, std::string second_sees, Faults faults) {
  auto there = std::make_shared<Pipe>(simulation.loop());
  auto back = std::make_shared<Pipe>(simulation.loop());
  auto first = std::make_unique<MemoryTransport>(simulation, back, there, std::move(first_sees), std::move(faults));
  auto second = std::make_unique<MemoryTransport>(simulation, there, back, std::move(second_sees), Faults());
  auto traffic = first->traffic();
  auto cut = [there, back, how = first->faults().cut] {
    there->cut(how);
    back->cut(how);
  };
  return MemoryLine{std::move(first), std::move(second), std::move(traffic), std::move(cut)};
}

}  // namespace odmr::net
