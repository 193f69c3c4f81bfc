#pragma once

#include <string_view>

#include "spool/message_file.hpp"

namespace odmr::queue {

/// What a message asks of every hop that takes it, as its envelope's attributes (k_smtputf8, k_body). `header` is
/// without the line that ends it; `is_eight_bit`: bytes outside ASCII are in the message, or may be.
spool::Attributes needs_of(bool has_utf8_address, std::string_view header, bool is_eight_bit);
/// Whether a path or a recipient of the envelope needs SMTPUTF8 (RFC 6531).
bool has_utf8_address(const spool::Envelope& envelope);

}  // namespace odmr::queue
