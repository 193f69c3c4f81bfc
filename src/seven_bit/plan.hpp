#pragma once

#include <string>
#include <variant>
#include <vector>

#include "seven_bit/content.hpp"

namespace odmr::seven_bit {

/// A place of the message where the converted one differs; all other bytes are the same.
struct Edit {
  enum class How { text, quoted_printable, base64 };
  Range range;  ///< empty: something is put in before it
  How how = How::text;
  std::string text;  ///< what comes in its place; of How::text
};

/// In the order of the message, none over another. Empty: the message is to go as it is, and `why` says why.
struct Plan {
  std::vector<Edit> edits;
  std::string why;
};

/// What makes the message's content 7-bit (RFC 2045 6): parts with bytes beyond ASCII become quoted-printable where
/// they are text made of lines, else base64; the labels of multipart and message/rfc822 around them follow; a message
/// without MIME fields gets them. It is all or nothing: where one part with such bytes must stay as it is, everything
/// does. Such are parts in multipart/signed and multipart/encrypted (RFC 1847), application/pkcs7-mime (RFC 8551),
/// message/* that is not a message (RFC 2046 5.2), and whatever cannot be understood. Bytes beyond ASCII in headers,
/// and around the parts of a multipart, are left.
///
/// A DKIM-Signature does not stop it, as it does not in other MTAs: the signature breaks, and without converting the
/// message could not be sent at all.
Plan plan(const Source& source);

}  // namespace odmr::seven_bit
