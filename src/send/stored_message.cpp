#include "send/stored_message.hpp"

#include <utility>

#include "queue/attributes.hpp"

namespace odmr::send {

namespace {

using spool::attribute;

smtp::MailOptions mail_options(const spool::Attributes& attributes, std::uint64_t size,
                               const smtp::Capabilities& offered) {
  smtp::MailOptions options;
  options.size = size;
  if (attribute(attributes, queue::k_body) == "8BITMIME") options.body = smtp::BodyType::eight_bit_mime;
  // An address beyond ASCII cannot go without the extension. A raw header can, and has since before there was one:
  // bouncing it would do nobody a service.
  const std::string needed_by = attribute(attributes, queue::k_smtputf8);
  options.smtputf8 = needed_by == "header" ? offered.has("SMTPUTF8") : !needed_by.empty();
  options.ret = attribute(attributes, "ret");
  options.envid = attribute(attributes, "envid");
  return options;
}

}  // namespace

Result<client::Envelope> envelope_for(const spool::Envelope& stored, const std::vector<std::size_t>& recipients,
                                      std::uint64_t size, const smtp::Capabilities& offered) {
  client::Envelope envelope;
  const auto reverse_path = smtp::parse_path("<" + stored.reverse_path + ">", true, false);
  if (!reverse_path) return fail(Errc::malformed, "reverse-path: " + reverse_path.error().text);
  envelope.reverse_path = reverse_path->path;
  envelope.options = mail_options(stored.attributes, size, offered);
  for (const std::size_t recipient : recipients) {
    const auto& one = stored.recipients.at(recipient);
    auto mailbox = smtp::parse_mailbox(one.address);
    if (!mailbox) return fail(Errc::malformed, "recipient: " + mailbox.error().text);
    envelope.recipients.push_back(
        {std::move(*mailbox), attribute(one.attributes, "notify"), attribute(one.attributes, "orcpt")});
  }
  return envelope;
}

std::string words_of(const client::Delivery& delivery) {
  std::string text;
  int last = 0;
  for (const auto& reply : delivery.recipients) {
    if (!reply || reply->code == std::exchange(last, reply->code)) continue;
    text += (text.empty() ? "" : "; ") + reply->joined();
  }
  if (delivery.broken) text += (text.empty() ? "" : "; ") + delivery.broken->text;
  return text;
}

}  // namespace odmr::send
