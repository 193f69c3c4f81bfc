#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/cause.hpp"
#include "base/error.hpp"
#include "base/outcome.hpp"

namespace odmr::app {

/// With whom something came to nothing.
enum class With { provider, target, smart_host, state };

/// Of ODMR (RFC 2645 4): of it nothing has to be said.
inline constexpr std::uint16_t k_odmr_port = 366;

/// What a remedy may have to name; a word in capitals where it is not known.
struct Scene {
  With with = With::provider;
  std::string table = "[provider.NAME]";  ///< of the configuration: whose keys are meant
  std::uint16_t port = 0;                 ///< that was tried; 0: not known
  std::string state_dir = "STATE_DIR";
  std::string user = "USER";  ///< that runs odmr
};

/// What can be done about a failure: which key, which file, which command. One line without a final dot; empty where
/// nothing failed. `text` is the failure's own sentence, in which the pin of a certificate stands.
std::string remedy(Outcome outcome, Cause cause, const Scene& scene, const std::string& text = {});

/// What a failure to use the state directory comes from.
Cause cause_of_state(const Error& error);

/// A row of the table behind it, as odmr(1) prints it.
struct Diagnosis {
  Outcome outcome;
  Cause cause;
  std::string remedy;      ///< with a provider
  std::string for_target;  ///< with the local target; empty: the same
};
/// Every cause with the outcome that it has with a provider, or by itself, in the order of the outcomes.
std::vector<Diagnosis> diagnoses();

}  // namespace odmr::app
