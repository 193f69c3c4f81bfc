#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mail/mailbox_envelope.hpp"

namespace odmr::mail {

/// What is the same in all copies of a message that a provider put into one mailbox, a copy for each recipient, as far
/// as the header goes: Message-ID and the fields that its author, a list or who resent it wrote. What each delivery
/// writes anew (Received, Return-Path, Delivered-To, X-anything, signatures, verdicts about spam) is left out, and so
/// are the folds. Two messages are copies when this and the bytes of the body, with CRLF line ends, are the same: take
/// a digest of both together. A Message-ID alone says nothing, for whoever knows one can use it again.
///
/// The first copy goes to all recipients in To and Cc; the others may be dropped once that one is delivered, also in a
/// later session: the collector has to remember. What is lost then is who got a blind copy beside one of ours in To.
/// What differs by a footer or a mark in Subject is not recognized and comes twice, which is the lesser evil.
///
/// No value where copies must not be merged: without a Message-ID, or with two; and where `envelope` is not from the
/// address fields: an envelope field makes each copy one for somebody else, and of a catch-all's nobody can tell.
std::optional<std::string> copy_identity(std::string_view header, const MailboxEnvelope& envelope);

}  // namespace odmr::mail
