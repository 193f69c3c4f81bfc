#include "receive/reception.hpp"

#include <algorithm>
#include <utility>

#include "net/digest.hpp"
#include "receive/handover.hpp"

namespace odmr::receive {

using net::Task;
using smtp::Reply;
using RefusedBy = journal::RecipientReceipt::By;

Reception::Reception(const ReceptionOptions& options, History& history, const Guard& guard,
                     deliver::Connections& target, journal::Journal& journal, BounceKeeper& bounces, Shelf* shelf,
                     FileOps& files, Clock& clock, Log& log)
    : connection_{options, history, target, journal, bounces, shelf, files, clock, log}, guard_(guard) {}

Reception::~Reception() = default;

// --- the envelope

void Reception::on_ahead(smtp::Ahead&& ahead) {
  ahead_ = std::move(ahead);
}

// Whoever is to be withheld from the target is not in what it is told, nor is DATA then: the message goes to it later.
// What is decided of each recipient stays so until his turn comes.
void Reception::tell_target_ahead() {
  smtp::Ahead ahead = std::exchange(ahead_, {});
  smtp::Ahead told;
  told.content = ahead.content;
  for (auto& rcpt : ahead.recipients) {
    if (guard_.objection(rcpt.forward_path)) continue;
    const Recipient recipient{rcpt, 0, comparable(rcpt.forward_path.mailbox)};
    if (message_->origin.is_known() || message_->may_be_copied) {
      told.content = told.content && !message_->may_be_copied;
      if (part_of(recipient) == nullptr && !message_->may_be_copied) told.recipients.push_back(std::move(rcpt));
      continue;
    }
    const auto is_withheld =
        connection_.journal.may_be_had(connection_.address_of(*message_, recipient), connection_.options.connection);
    told.content = told.content && is_withheld && !*is_withheld;
    if (!is_withheld) break;  // it will be told when it is asked again
    message_->withheld.push_back(*is_withheld);
    if (!*is_withheld) told.recipients.push_back(std::move(rcpt));
  }
  told.content = told.content && !told.recipients.empty();
  message_->target->foresee(std::move(told));
}

// Of a message from a mailbox: what says that he has it.
const journal::Part* Reception::part_of(const Recipient& recipient) const {
  const auto part = std::find_if(parts_.begin(), parts_.end(),
                                 [&](const journal::Part& one) { return one.recipient == recipient.name; });
  return part == parts_.end() ? nullptr : &*part;
}

Task<Reply> Reception::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  co_await connection_.journal.relieve();
  message_ = std::make_unique<Message>(connection_.options.header_looked_at, digester_);
  message_->mail = mail;
  message_->reverse_path = mail.reverse_path.is_null ? "<>" : comparable(mail.reverse_path.mailbox);
  message_->hello = hello;
  message_->id = connection_.options.connection + "." + std::to_string(++sequence_);
  if (const auto recalled = recall_parts(); !recalled) {
    const Reply trouble = connection_.no_room(recalled.error());
    connection_.counter.refused(trouble, {});
    let_go(std::move(message_));
    co_return trouble;
  }
  // Never said in EHLO: a provider that reads a limit there bounces what is larger (RFC 1870 6.1).
  if (const auto larger = mail.size ? connection_.too_large(*mail.size) : std::nullopt) {
    connection_.counter.refused(*larger, {});
    connection_.log_message(*message_, *larger, *mail.size);
    let_go(std::move(message_));
    co_return *larger;
  }
  auto reply = co_await ask_target(mail);
  if (reply.is_positive()) co_return reply;
  if (reply.is_transient() && connection_.shelf != nullptr) {
    message_->put_off = std::move(reply);
    co_return Reply(250, "2.1.0 kept here until the local mail server takes it");
  }
  connection_.history.breaker.note(reply);
  connection_.counter.refused(reply, net::sha256("MAIL " + mail.reverse_path.text()));
  connection_.log_message(*message_, reply, 0);
  let_go(std::move(message_));
  co_return reply;
}

// A message from a mailbox has a name of its own: who has it is known by that, and not by its bytes.
Result<void> Reception::recall_parts() {
  parts_.clear();
  const auto& mailbox = connection_.options.mailbox;
  if (!mailbox) return {};
  message_->origin = {connection_.options.provider, mailbox->name, std::exchange(uid_, {})};
  if (!copies_.empty()) {
    message_->copies = journal::CopyKey{message_->origin, std::exchange(copies_, {}), {}};
    const auto may_be = connection_.journal.has_copies(*message_->copies);
    if (!may_be) return fail(may_be.error());
    message_->may_be_copied = *may_be;
  }
  if (!message_->origin.is_known()) return {};
  auto parts = connection_.journal.parts(message_->origin);
  if (!parts) return fail(parts.error());
  parts_ = std::move(*parts);
  return {};
}

Task<Reply> Reception::ask_target(const smtp::MailCommand& mail) {
  if (connection_.options.is_target_down) co_return Reply(451, "4.3.0 the local mail server is not ready");
  message_->target = co_await connection_.target.take();
  tell_target_ahead();
  auto reply = co_await message_->target->mail(mail);
  co_return connection_.soft(std::move(reply));
}

Task<Reply> Reception::on_rcpt(const smtp::RcptCommand& rcpt) {
  if (auto objection = guard_.objection(rcpt.forward_path)) {
    Reply refusal = connection_.soft(std::move(*objection));
    if (connection_.options.mailbox) {
      Recipient refused{rcpt, message_->recipients.size(), comparable(rcpt.forward_path.mailbox)};
      refused.reply = refusal;
      message_->recipients.push_back(std::move(refused));
      co_return refusal;
    }
    note_refused_recipient(rcpt.forward_path.text(), refusal, RefusedBy::guard);
    co_return refusal;
  }
  Recipient recipient{rcpt, message_->recipients.size(), comparable(rcpt.forward_path.mailbox)};
  co_await decide_on(recipient);
  Reply reply = said_of(recipient);
  // Where nobody but us hears of a refusal, it is for us to see what becomes of it (Handover).
  if (reply.is_positive() || connection_.options.mailbox)
    message_->recipients.push_back(std::move(recipient));
  else
    note_refused_recipient(rcpt.forward_path.text(), reply,
                           connection_.state_error ? RefusedBy::guard : RefusedBy::target);
  co_return reply;
}

Result<bool> Reception::may_be_had(const Recipient& recipient) {
  if (!message_->withheld.empty()) return message_->withheld.front();
  return connection_.journal.may_be_had(connection_.address_of(*message_, recipient), connection_.options.connection);
}

Task<> Reception::decide_on(Recipient& recipient) {
  if (message_->origin.is_known()) {
    const auto* part = part_of(recipient);
    if (part != nullptr) {
      recipient.had = part->id;
      co_return;
    }
    recipient.is_withheld = message_->may_be_copied;
    if (!recipient.is_withheld) co_await ask_for(recipient);
    co_return;
  }
  const auto is_withheld = may_be_had(recipient);
  if (!message_->withheld.empty()) message_->withheld.pop_front();
  if (!is_withheld) {
    connection_.state_error = is_withheld.error();
    recipient.reply = Reply(451, "4.3.0 the journal cannot be read");
  } else if (*is_withheld || message_->may_be_copied) {
    recipient.is_withheld = true;
  } else {
    co_await ask_for(recipient);
  }
}

Task<> Reception::ask_for(Recipient& recipient) {
  if (message_->put_off) {
    recipient.reply = *message_->put_off;
    co_return;
  }
  auto reply = co_await message_->target->rcpt(recipient.rcpt);
  recipient.reply = connection_.soft(std::move(reply));
}

// What the provider hears, before the content: whether the recipient is worth sending it.
Reply Reception::said_of(const Recipient& recipient) const {
  if (recipient.is_withheld || recipient.had) return Reply(250, "2.1.5 OK");
  if (recipient.is_put_off() && connection_.shelf != nullptr && !connection_.state_error) {
    return Reply(250, "2.1.5 kept here until the local mail server takes it");
  }
  return recipient.reply;
}

void Reception::note_refused_recipient(const std::string& path, const Reply& reply, RefusedBy by) {
  if (reply.is_transient()) connection_.counter.put_off_recipient(reply);
  log_refused_recipient(path, reply);
  message_->receipt.add_refused(path, by, reply.joined());
  auto& refused = message_->refused;
  if (refused.count++ == 0 || reply.is_transient()) refused.counted = reply;
  refused.paths.update(path + '\0');
}

// A provider that tries names inside one transaction, which nothing ends, may not fill the disk with them.
void Reception::log_refused_recipient(const std::string& path, const Reply& reply) {
  constexpr auto k_most = journal::MessageReceipt::k_most_refused;
  const auto before = message_->refused.count;
  if (before == k_most) connection_.log.info("more recipients are refused, and counted only", {{"id", message_->id}});
  if (before >= k_most) return;
  connection_.log.info("recipient refused", {{"id", message_->id},
                                             {"reverse_path", message_->mail.reverse_path.text()},
                                             {"recipient", path},
                                             {"reply", reply.joined()}});
}

void Reception::on_rcpt_refused(std::string_view argument, const Reply& reply) {
  note_refused_recipient(std::string(argument), reply, RefusedBy::guard);
}

void Reception::on_left_there(const std::string& what, const Reply& reply) {
  connection_.counter.refused(reply, net::sha256("LEFT " + what));
  connection_.log.info(reply.is_transient() ? "message put off" : "message refused",
                       {{"message", what}, {"reply", reply.joined()}});
  connection_.note_refused_mail(what, reply);
}

void Reception::on_mail_refused(std::string_view argument, const Reply& reply) {
  connection_.counter.refused(reply, net::sha256("MAIL " + std::string(argument)));
  connection_.log.info("message refused", {{"mail", std::string(argument)}, {"reply", reply.joined()}});
  connection_.note_refused_mail(argument, reply);
}

void Reception::comes_whole(std::string digest) {
  if (message_ && message_->copies) message_->copies->whole = std::move(digest);
}

// --- the content

Task<std::optional<Reply>> Reception::on_data() {
  Message& message = *message_;
  const bool has_withheld = message.has([](const Recipient& one) { return one.is_withheld; });
  std::optional<Reply> refused;
  if (has_withheld || connection_.shelf != nullptr) refused = begin_copy();
  if (!refused && !has_withheld && !message.asked_for().empty()) {
    refused = co_await connection_.begin_content(message);
    if (refused && refused->is_transient() && connection_.shelf != nullptr) {
      co_await message.give_up_content(*refused);
      refused.reset();
    }
  }
  if (refused) {
    connection_.history.breaker.note(*refused);
    connection_.counter.refused(*refused, net::sha256("DATA " + message.mail.reverse_path.text()));
    connection_.log_message(*message_, *refused, 0);
    message.refused.count = 0;  // counted
    message.recipients.clear();
  }
  co_return refused;
}

std::optional<Reply> Reception::begin_copy() {
  auto copy = Copy::in(connection_.options.scratch_directory, connection_.files);
  if (!copy) return connection_.no_room(copy.error());
  message_->copy.emplace(std::move(*copy));
  return std::nullopt;
}

Task<> Reception::on_content(std::string_view piece) {
  Message& message = *message_;
  message.bytes += piece.size();
  message.hash->update(piece);
  connection_.history.bytes += piece.size();
  // The limit that comes first in the message is the one that is told, however its bytes come.
  const bool is_too_large = connection_.options.max_size != 0 && message.bytes > connection_.options.max_size;
  const auto beyond =
      is_too_large ? std::min<std::uint64_t>(message.bytes - connection_.options.max_size, piece.size()) : 0;
  if (!message.header.is_over()) message.header.see(piece.substr(0, piece.size() - beyond));
  if (connection_.options.on_progress) connection_.options.on_progress(connection_.counter.tally(), message.bytes);
  if (message.hopeless) co_return;
  if (message.header.hops() > connection_.options.max_hops)
    message.hopeless = Reply(554, "5.4.6 too many hops: this message goes round in a loop");
  else if (is_too_large)
    message.hopeless =
        Reply(552, "5.3.4 at most " + std::to_string(connection_.options.max_size) + " octets are taken here");
  else if (auto larger = connection_.too_large(message.bytes)) {
    message.hopeless = std::move(larger);
    connection_.history.has_read_in_vain = true;
  }
  if (message.hopeless) {
    message.is_streaming = false;
    message.copy.reset();
    co_return co_await message_->abandon();
  }
  if (message.copy) static_cast<void>(message.copy->write(piece));      // reading it tells
  if (message.is_streaming) co_await message_->target->content(piece);  // and so does finish()
}

bool Reception::goes_on_meanwhile() const {
  // Until it is known that the target takes mail at all, no second message is put at risk (deliver::Breaker).
  return connection_.target.most() > 1 && connection_.history.breaker.has_taken() &&
         !connection_.options.is_target_down;
}

// No coroutine: the message is out of hand when this returns, and the next one may come.
Task<server::Answer> Reception::on_end(server::ContentEnd end, server::Peer& peer) {
  message_->digest = message_->hash->finish();
  message_->hash.reset();
  connection_.under_way.push_back(message_.get());
  return conclude(std::move(message_), end, peer);
}

Task<server::Answer> Reception::conclude(std::unique_ptr<Message> message, server::ContentEnd end, server::Peer& peer) {
  Handover handover(connection_, *message);
  server::Answer answer = co_await handover.run(end, peer);
  connection_.log_message(*message, answer.reply, end.size);
  std::erase(connection_.under_way, message.get());
  let_go(std::move(message));
  if (connection_.options.on_progress) connection_.options.on_progress(connection_.counter.tally(), 0);
  co_return answer;
}

// Its connection with the target is for others now.
void Reception::let_go(std::unique_ptr<Message> message) {
  if (message->target != nullptr) connection_.target.give_back(message->target);
}

// --- the books

void Reception::on_answers_read() {
  connection_.journal.answers_read(connection_.options.connection);
}

bool Reception::has_had_enough() const {
  return connection_.state_error || is_target_at_fault();
}

TimePoint Reception::takes_mail_until() const {
  const bool has_had_its_bytes =
      connection_.options.max_bytes != 0 && connection_.history.bytes >= connection_.options.max_bytes;
  return has_had_its_bytes ? TimePoint::min() : connection_.options.until;
}

bool Reception::is_target_at_fault() const {
  return connection_.history.breaker.is_broken();
}

bool Reception::is_budget_used_up() const {
  return connection_.clock.now() >= takes_mail_until();
}

// A transaction that ended because none of its recipients was accepted is one message refused, or put off.
void Reception::count_recipients_refused() {
  auto& refused = message_->refused;
  if (refused.count == 0 || !message_->recipients.empty()) return;
  const std::string fingerprint = "RCPT " + message_->mail.reverse_path.text() + '\0' + refused.paths.finish();
  connection_.counter.refused(refused.counted, net::sha256(fingerprint));
  connection_.note_receipt(*message_, refused.counted, 0);
}

Task<> Reception::on_abandon() {
  if (!message_) co_return;
  count_recipients_refused();
  if (!message_->hopeless) co_await message_->abandon();
  let_go(std::move(message_));
}

}  // namespace odmr::receive
