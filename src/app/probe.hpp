#pragma once

#include <string>
#include <vector>

#include "app/probe_part.hpp"
#include "app/settings.hpp"
#include "base/log.hpp"

namespace odmr::app {

/// How far a run would get with the providers named (all for none) where nothing stands in the way, in words: "ATRN",
/// "the mail in the mailbox" …
std::string how_far(const Settings& settings, const std::vector<std::string>& providers);

/// `odmr probe`: all that a run would do up to ATRN, which is never said, with the providers named (all for none), then
/// their local targets without a message, the smart host, and the state directory, whose lock is not taken and in which
/// nothing is written. A part that fails keeps no other from being tried. Gives the outcome that a run would have;
/// no_mail where all is well.
Outcome probe(const Settings& settings, const std::vector<std::string>& providers, const OnProbeStep& on_step,
              Log& log);

}  // namespace odmr::app
