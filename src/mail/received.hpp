#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace odmr::mail {

/// What one Received line says (RFC 5321 4.4).
struct Received {
  std::string from_name;     ///< what the peer called itself in EHLO; used only when it is a name or literal
  std::string from_address;  ///< the peer's address, "192.0.2.1" or "2001:db8::1"; empty for a local one
  std::string by;            ///< our name
  std::string with;          ///< "ESMTPS" … (RFC 3848, RFC 6531)
  std::string id;            ///< ours, atom characters
  std::string for_mailbox;   ///< the only recipient, empty when there are several or it is not ASCII
  std::string tls;           ///< "TLSv1.3 TLS_AES_256_GCM_SHA384" for a comment, empty without TLS
  WallTime time;
  std::string from_note{};  ///< for a comment where there is no address: "uid 1000"; empty without
};

/// The header field, folded, with CRLF line ends; never longer than 998 octets a line.
std::string format(const Received& received);

/// RFC 5322 3.3 with an explicit offset: "Sat, 31 Jan 2026 10:00:00 +0000".
std::string date_time(WallTime time);

}  // namespace odmr::mail
