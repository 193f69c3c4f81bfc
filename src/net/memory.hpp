#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "net/simulation.hpp"
#include "net/transport.hpp"

namespace odmr::net {

/// How a line is cut.
enum class Cut {
  reset,    ///< both ends are told; ours loses what it has not read
  closed,   ///< each end reads what has arrived, and then that the other one closed
  silence,  ///< nothing arrives any more, and nobody is told
};

/// What befalls one end of an in-memory line.
struct Faults {
  static constexpr std::size_t k_never = std::numeric_limits<std::size_t>::max();

  std::size_t largest_read = k_never;       ///< bytes that one read gives at the most
  std::set<std::size_t> breaks;             ///< offsets in the incoming bytes that no read goes across
  std::size_t fail_read = k_never;          ///< this read (counted from 0) and all later ones fail with `lost`
  std::size_t fail_write = k_never;         ///< likewise; the bytes of a failing write do not arrive
  std::size_t cut_after_read = k_never;     ///< after so many incoming bytes the line is cut
  std::size_t cut_after_written = k_never;  ///< after so many outgoing bytes: what fits arrives, then it is cut
  bool cuts_late = false;                   ///< these two cut when one byte more is due, not at once
  Cut cut = Cut::reset;                     ///< of these two, and of MemoryLine::cut
  std::size_t room = k_never;               ///< unread bytes that the peer's end holds before a write has to wait
};

/// Counts of what one end did, for drivers that make each step fail in turn.
struct Traffic {
  std::size_t reads = 0;
  std::size_t writes = 0;
  std::size_t bytes_read = 0;
  std::size_t bytes_written = 0;
};

struct MemoryLine {
  std::unique_ptr<Transport> first;
  std::unique_ptr<Transport> second;
  std::shared_ptr<Traffic> traffic;  ///< of the first end
  std::function<void()> cut;         ///< now; what has arrived can still be read, by both
};

/// Two transports, each the other's peer. The faults are the first end's.
MemoryLine memory_line(Simulation& simulation, std::string first_sees, std::string second_sees, Faults faults = {});

}  // namespace odmr::net
