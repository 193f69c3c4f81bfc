#pragma once

#include <functional>
#include <string_view>

#include "seven_bit/plan.hpp"

namespace odmr::seven_bit {

/// Gives the message as the plan changes it, piece by piece, with CRLF line ends where it adds any.
void convert(const Source& source, const Plan& plan, const std::function<void(std::string_view)>& write);

}  // namespace odmr::seven_bit
