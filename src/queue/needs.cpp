#include "queue/needs.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "queue/attributes.hpp"

namespace odmr::queue {

spool::Attributes needs_of(bool has_utf8_address, std::string_view header, bool is_eight_bit) {
  spool::Attributes found;
  // A header in another charset was never legal: it goes as it is.
  const bool has_utf8_header = !is_ascii(header) && is_utf8(header);
  if (has_utf8_address || has_utf8_header) found[k_smtputf8] = has_utf8_address ? "envelope" : "header";
  if (is_eight_bit) found[k_body] = "8BITMIME";
  return found;
}

bool has_utf8_address(const spool::Envelope& envelope) {
  return !is_ascii(envelope.reverse_path) ||
         std::any_of(envelope.recipients.begin(), envelope.recipients.end(),
                     [](const spool::Recipient& one) { return !is_ascii(one.address); });
}

}  // namespace odmr::queue
