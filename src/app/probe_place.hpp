#pragma once

#include "app/probe_part.hpp"
#include "app/settings.hpp"

namespace odmr::app {

/// Less room than that, in bytes, is worth a warning: a few large messages fill it.
inline constexpr std::uint64_t k_little_space = std::uint64_t{64} * 1024 * 1024;

/// Who holds the lock of a state directory, as the system tells without taking it: a process's number, 0 for one that
/// cannot be seen, no value for nobody.
std::optional<long> holder_of_lock(const std::string& state_dir);

/// The state directory: whose it is, its mode, room, and whether the journal opens. Makes and writes nothing.
/// `holder`: of its lock, which is asked for before the process shuts itself in.
Outcome probe_state(const Settings& settings, std::optional<long> holder, Clock& clock, const OnProbeStep& on_step);

/// A Maildir: whether it is there, its rights, and room.
Outcome probe_maildir(const std::string& directory, const std::string& table, Clock& clock, const OnProbeStep& on_step);

}  // namespace odmr::app
