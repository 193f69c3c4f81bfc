#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

// Base64 as RFC 4954 has it around SASL: RFC 4648 4 to the letter, and "=" for an initial response that is empty.
namespace odmr::sasl {

std::string to_base64(std::string_view bytes);
/// Errc::malformed for anything that to_base64 would not have written: other letters, white space, a length that is not
/// a multiple of four, "=" elsewhere than at the end, bits set in the padding. The text never repeats the input.
Result<std::string> from_base64(std::string_view text);

/// The argument that AUTH carries after the mechanism.
std::string to_initial_response(std::string_view bytes);
Result<std::string> from_initial_response(std::string_view argument);

}  // namespace odmr::sasl
