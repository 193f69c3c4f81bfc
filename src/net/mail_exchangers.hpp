#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace odmr::net {

/// A host that takes a domain's mail.
struct MailExchanger {
  std::uint16_t preference = 0;  ///< the lowest comes first
  std::string host;
  friend bool operator==(const MailExchanger&, const MailExchanger&) = default;
};

/// The MX records in a name server's answer, a whole DNS message (RFC 1035 4), as they stand there; none is no error.
/// Errors: malformed.
Result<std::vector<MailExchanger>> parse_mail_exchangers(std::string_view answer);

/// The hosts to try for `domain` (RFC 5321 5.1), those of one preference in the order of `chance`, a number for each;
/// without any record the domain itself. Errors: not_found, the domain takes no mail (RFC 7505).
Result<std::vector<std::string>> in_order(std::vector<MailExchanger> exchangers, const std::string& domain,
                                          const std::vector<std::uint32_t>& chance);

/// Asks the name servers of /etc/resolv.conf. Blocks, for as long as they have been given there. Errors: not_found, no
/// such domain, or one that takes no mail; unresolved, no name server answers.
Result<std::vector<std::string>> look_up_mail_exchangers(const std::string& domain);

}  // namespace odmr::net
