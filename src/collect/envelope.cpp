#include "collect/envelope.hpp"

#include <utility>

#include "mail/copies.hpp"

namespace odmr::collect {

Addressing by_policy(mail::MailboxPolicy policy, bool drop_delivered_to) {
  return [policy = std::move(policy), drop_delivered_to](std::string_view beginning, bool is_whole) {
    auto found = mail::mailbox_envelope(beginning, policy, is_whole);
    Envelope envelope;
    envelope.found = mail::describe(found);
    envelope.is_loop = found.found == mail::MailboxEnvelope::Found::loop;
    if (is_whole) envelope.copy_identity = mail::copy_identity(beginning, found);
    envelope.reverse_path = std::move(found.reverse_path);
    envelope.recipients = std::move(found.recipients);
    envelope.beginning = mail::header_to_hand_on(beginning, drop_delivered_to);
    return envelope;
  };
}

}  // namespace odmr::collect
