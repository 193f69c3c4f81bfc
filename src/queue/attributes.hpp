#pragma once

namespace odmr::queue {

// Attributes of a message on its way (spool::Envelope::attributes, spool::Recipient::attributes), of outbound mail and
// of mail that a provider holds. Beside these, "ret", "envid", "notify" and "orcpt" are RFC 3461's parameters as
// written.
inline constexpr const char* k_smtputf8 = "smtputf8";  ///< RFC 6531 is needed: by "envelope", or by "header" alone
inline constexpr const char* k_body = "body";          ///< "8BITMIME"
/// Who handed it in: "uid 1000", or the peer's address.
inline constexpr const char* k_submitter = "submitter";
/// The size of our own Received field in front of the message, which counts for nobody.
inline constexpr const char* k_trace_size = "trace_size";

}  // namespace odmr::queue
