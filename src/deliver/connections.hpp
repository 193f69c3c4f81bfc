#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/log.hpp"
#include "base/stop.hpp"
#include "deliver/target.hpp"
#include "net/wakeup.hpp"

namespace odmr::deliver {

/// The connections to the local target: one, and more while several messages are with it at once. A further one is
/// opened while others are in use, and nobody waits for it: a target that serves one client at a time would not greet
/// it before they are over. Where it cannot be had, those that are there have to do.
class Connections {
 public:
  /// Makes one that obeys this wish to stop.
  using Make = std::function<std::unique_ptr<Target>(Stop& stop)>;

  Connections(std::size_t most, const Make& make, Log& log, Stop& stop);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// The one that is always there: for who asks whether the target is ready, and what it can.
  Target& first();
  std::size_t most() const { return most_; }

  /// One that nobody has, as soon as there is one. It must be given back.
  net::Task<Target*> take();
  void give_back(Target* target);
  /// Waits until one has been given back, or has come.
  net::Task<> change();

  /// Ends all of them in good order. None may be in use.
  net::Task<> close();

 private:
  struct Line;
  Line* free_one();
  void open_another(const asio::any_io_executor& loop);
  net::Task<> open(Line* line);

  std::size_t most_;
  const Make make_;
  Log& log_;
  Stop& stop_;
  std::vector<std::unique_ptr<Line>> lines_;
  bool is_opening_ = false;  // the last of them
  std::optional<net::Wakeup> changed_;
};

}  // namespace odmr::deliver
