#include "receive/connection.hpp"

#include <utility>

#include "mail/received.hpp"

namespace odmr::receive {

using smtp::Reply;
using Fate = journal::MessageReceipt::Fate;

namespace {

std::string protocol_keyword(const server::Hello& hello, bool smtputf8, bool tls) {
  if (!hello.is_extended) return "SMTP";
  return std::string(smtputf8 ? "UTF8SMTP" : "ESMTP") + (tls ? "S" : "");  // RFC 3848, RFC 6531 4.3
}

// "[2001:db8::1]:366" without its port and brackets; a Unix socket has no address to tell.
std::string address_alone(const std::string& peer) {
  const auto colon = peer.rfind(':');
  // Nor does a connection through a proxy, which shows the name alone.
  if (colon == std::string::npos || peer.find('/') != std::string::npos) return {};
  std::string address = peer.substr(0, colon);
  if (address.size() > 2 && address.front() == '[') address = address.substr(1, address.size() - 2);
  return address;
}

void finish_receipt(journal::MessageReceipt& receipt, const std::string& connection, const Reply& reply, WallTime now) {
  receipt.connection = connection;
  receipt.reply = reply.joined();
  receipt.time = now;
}

}  // namespace

Reply Connection::soft(Reply reply) const {
  return options.soft_bounce ? smtp::softened(std::move(reply)) : reply;
}

Reply Connection::no_room(const Error& trouble) {
  state_error = trouble;
  log.error("the state directory is not to be used", {{"why", trouble.text}});
  if (trouble.code == Errc::no_space) return Reply(452, "4.3.1 no room for this now");
  return Reply(451, "4.3.0 this cannot be taken now");
}

std::optional<Reply> Connection::too_large(std::uint64_t size) const {
  if (options.max_size_for_now == 0 || size <= options.max_size_for_now) return std::nullopt;
  return Reply(452, "4.3.4 over this line at most " + std::to_string(options.max_size_for_now) +
                        " octets are taken; keep it for another time");
}

std::string Connection::trace(const Message& message, const std::vector<smtp::Mailbox>& recipients) const {
  mail::Received received;
  received.from_name = message.hello.name;
  received.from_address = address_alone(options.provider_address);
  received.by = options.hostname;
  received.with = options.mailbox ? options.mailbox->with
                                  : protocol_keyword(message.hello, message.mail.smtputf8, !options.tls.empty());
  received.id = message.id;
  received.tls = options.tls;
  received.time = clock.wall();
  // RFC 5321 7.2: with several recipients, naming them would tell each of the others.
  if (recipients.size() == 1) received.for_mailbox = recipients.front().text();
  return mail::format(received);
}

journal::Address Connection::address_of(const Message& message, const Recipient& recipient) const {
  return {options.provider, message.reverse_path, recipient.name};
}

// The content has come: it and its recipients tell the message from others.
void Connection::count_content_refusal(const Message& message, const Reply& reply) {
  std::string fingerprint = message.digest;
  for (const auto& one : message.recipients) fingerprint += one.name + '\0';
  counter.refused(reply, net::sha256(fingerprint));
}

void Connection::log_message(Message& message, const Reply& reply, std::uint64_t size) {
  const auto& recipients = message.recipients;
  const bool is_had = !recipients.empty() && !message.has([](const Recipient& one) { return !one.is_served(); });
  log.info(is_had && reply.is_positive() ? "message delivered before, and not again"
           : message.is_kept             ? "message put off by the target, and kept here"
           : reply.is_positive()         ? "message received"
           : reply.is_transient()        ? "message put off"
                                         : "message refused",
           {{"id", message.id},
            {"reverse_path", message.mail.reverse_path.text()},
            {"recipients", std::to_string(recipients.size())},
            {"bytes", std::to_string(size)},
            {"reply", reply.joined()}});
  note_receipt(message, reply, size);
}

// What came of the message, for who asks later.
void Connection::note_receipt(Message& message, const Reply& reply, std::uint64_t size) {
  journal::MessageReceipt& receipt = message.receipt;
  receipt.id = message.id;
  receipt.reverse_path = message.reverse_path;
  receipt.size = size;
  receipt.digest = message.digest;
  for (const auto& one : message.recipients) {
    using By = journal::RecipientReceipt::By;
    const bool is_unheard = one.is_withheld_still() || (one.reply.is_positive() && !message.is_handed_over);
    const By by = one.is_served() ? By::journal : is_unheard ? By::accepted : By::target;
    const bool has_reply = !one.is_served() && !one.is_withheld_still();
    receipt.recipients.push_back({one.name, by, has_reply ? one.reply.joined() : std::string()});
  }
  receipt.fate = fate(message, reply);
  finish_receipt(receipt, options.connection, reply, clock.wall());
  journal.note(std::move(receipt));
}

Fate Connection::fate(const Message& message, const Reply& reply) const {
  if (!reply.is_positive()) return reply.is_transient() ? Fate::put_off : Fate::refused;
  if (message.has([](const Recipient& one) { return one.is_taken(); })) return Fate::received;
  return message.is_kept ? Fate::kept_here : Fate::duplicate;
}

net::Task<std::optional<Reply>> Connection::begin_content(Message& message) const {
  const auto recipients = message.asked_for();
  message.trace = trace(message, recipients);
  const deliver::Handover handover{message.mail.reverse_path, recipients, message.trace};
  auto refused = co_await message.target->data(handover);
  message.is_streaming = !refused;
  if (refused) refused = soft(std::move(*refused));
  co_return refused;
}

bool Connection::has_twin(const Message& message) const {
  for (const auto* one : under_way) {
    if (one == &message) return false;
    if (one->digest == message.digest) return true;
  }
  return false;
}

void Connection::note_refused_mail(std::string_view argument, const Reply& reply) {
  journal::MessageReceipt receipt;
  receipt.reverse_path = argument;
  receipt.fate = reply.is_transient() ? Fate::put_off : Fate::refused;
  finish_receipt(receipt, options.connection, reply, clock.wall());
  journal.note(std::move(receipt));
}

}  // namespace odmr::receive
