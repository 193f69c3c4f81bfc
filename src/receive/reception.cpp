#include "receive/reception.hpp"

#include <algorithm>
#include <utility>

#include "mail/header.hpp"
#include "mail/received.hpp"
#include "net/digest.hpp"
#include "receive/copy.hpp"

namespace odmr::receive {

using net::Task;
using smtp::Reply;

namespace {

constexpr std::size_t k_piece = std::size_t{64} * 1024;

}  // namespace

// Somebody whom we accepted.
struct Reception::Recipient {
  smtp::RcptCommand rcpt;
  std::string name;                          // as the journal has it
  bool is_withheld = false;                  // from the target: he may have the message
  std::optional<journal::EntryId> had = {};  // the entry that says that he has it
  std::optional<journal::EntryId> intended = {};
  Reply reply = {};  // the target's last word, for who is not had

  bool is_asked_for() const { return !had && reply.is_positive(); }
};

// The transaction in hand.
struct Reception::Message {
  smtp::MailCommand mail;
  std::string reverse_path;  // as the journal has it
  server::Hello hello;
  std::string id;
  std::vector<Recipient> recipients;
  std::vector<std::pair<std::string, Reply>> refused;
  std::string trace;
  mail::HeaderWatch header;
  net::Sha256 hash;
  std::string digest;  // of the whole content
  std::uint64_t bytes = 0;
  std::optional<Copy> copy;  // where a recipient is withheld
  bool is_looping = false;

  std::vector<smtp::Mailbox> asked_for() const {
    std::vector<smtp::Mailbox> found;
    for (const auto& one : recipients) {
      if (one.is_asked_for()) found.push_back(one.rcpt.forward_path.mailbox);
    }
    return found;
  }
};

namespace {

std::string protocol_keyword(const server::Hello& hello, bool smtputf8, bool tls) {
  if (!hello.is_extended) return "SMTP";
  return std::string(smtputf8 ? "UTF8SMTP" : "ESMTP") + (tls ? "S" : "");  // RFC 3848, RFC 6531 4.3
}

// "[2001:db8::1]:366" without its port and brackets; a Unix socket has no address to tell.
std::string address_alone(const std::string& peer) {
  const auto colon = peer.rfind(':');
  if (colon == std::string::npos || peer.find('/') != std::string::npos) return {};
  std::string address = peer.substr(0, colon);
  if (address.size() > 2 && address.front() == '[') address = address.substr(1, address.size() - 2);
  return address;
}

// An address as the journal compares it: domains are the same in either case (RFC 5321 2.4).
std::string comparable(const smtp::Mailbox& mailbox) {
  smtp::Mailbox same = mailbox;
  if (auto domain = smtp::canonical_domain(mailbox.domain)) same.domain = std::move(*domain);
  return same.text();
}

}  // namespace

Reception::Reception(const ReceptionOptions& options, History& history, const Guard& guard, deliver::Target& target,
                     journal::Journal& journal, BounceKeeper& bounces, FileOps& files, Clock& clock, Log& log)
    : options_(options),
      history_(history),
      guard_(guard),
      target_(target),
      journal_(journal),
      bounces_(bounces),
      files_(files),
      clock_(clock),
      log_(log) {}

Reception::~Reception() = default;

Task<Reply> Reception::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  message_ = std::make_unique<Message>();
  message_->mail = mail;
  message_->reverse_path = mail.reverse_path.is_null ? "<>" : comparable(mail.reverse_path.mailbox);
  message_->hello = hello;
  message_->id = options_.connection + "." + std::to_string(++sequence_);
  auto reply = co_await target_.mail(mail);
  if (!reply.is_positive()) {
    note_target_refusal(reply);
    count_refusal(reply, net::sha256("MAIL " + mail.reverse_path.text()));
    log_message(reply, 0);
    message_.reset();
  }
  co_return reply;
}

Task<Reply> Reception::on_rcpt(const smtp::RcptCommand& rcpt) {
  std::optional<Reply> objection = guard_.objection(rcpt.forward_path);
  if (objection) {
    note_refused_recipient(rcpt.forward_path.text(), *objection);
    co_return std::move(*objection);
  }
  Recipient recipient{rcpt, comparable(rcpt.forward_path.mailbox)};
  const auto may_be_had = journal_.may_be_had(address_of(recipient), options_.connection);
  if (!may_be_had) {
    state_error_ = may_be_had.error();
    recipient.reply = Reply(451, "4.3.0 the journal cannot be read");
  } else if (*may_be_had) {
    recipient.is_withheld = true;
    recipient.reply = Reply(250, "2.1.5 OK");
  } else {
    recipient.reply = co_await target_.rcpt(rcpt);
  }
  const Reply reply = recipient.reply;
  if (reply.is_positive())
    message_->recipients.push_back(std::move(recipient));
  else
    note_refused_recipient(rcpt.forward_path.text(), reply);
  co_return reply;
}

journal::Address Reception::address_of(const Recipient& recipient) const {
  return {options_.provider, message_->reverse_path, recipient.name};
}

void Reception::note_refused_recipient(std::string path, const Reply& reply) {
  has_put_off_ = has_put_off_ || reply.is_transient();
  log_.info("recipient refused", {{"id", message_->id},
                                  {"reverse_path", message_->mail.reverse_path.text()},
                                  {"recipient", path},
                                  {"reply", reply.joined()}});
  message_->refused.emplace_back(std::move(path), reply);
}

void Reception::on_rcpt_refused(std::string_view argument, const Reply& reply) {
  note_refused_recipient(std::string(argument), reply);
}

void Reception::on_mail_refused(std::string_view argument, const Reply& reply) {
  count_refusal(reply, net::sha256("MAIL " + std::string(argument)));
  log_.info("message refused", {{"mail", std::string(argument)}, {"reply", reply.joined()}});
}

std::string Reception::trace(const std::vector<smtp::Mailbox>& recipients) {
  const Message& message = *message_;
  mail::Received received;
  received.from_name = message.hello.name;
  received.from_address = address_alone(options_.provider_address);
  received.by = options_.hostname;
  received.with = protocol_keyword(message.hello, message.mail.smtputf8, !options_.tls.empty());
  received.id = message.id;
  received.tls = options_.tls;
  received.time = clock_.wall();
  // RFC 5321 7.2: with several recipients, naming them would tell each of the others.
  if (recipients.size() == 1) received.for_mailbox = recipients.front().text();
  return mail::format(received);
}

Task<std::optional<Reply>> Reception::on_data() {
  Message& message = *message_;
  const bool has_withheld = std::any_of(message.recipients.begin(), message.recipients.end(),
                                        [](const Recipient& one) { return one.is_withheld; });
  std::optional<Reply> refused;
  if (has_withheld) {
    auto copy = Copy::in(options_.scratch_directory, files_);
    if (copy)
      message.copy.emplace(std::move(*copy));
    else
      refused = no_room(copy.error());
  } else {
    refused = co_await begin_content();
  }
  if (refused) {
    note_target_refusal(*refused);
    count_refusal(*refused, net::sha256("DATA " + message.mail.reverse_path.text()));
    log_message(*refused, 0);
    message.refused.clear();  // counted
    message.recipients.clear();
  }
  co_return refused;
}

// From here on the target hears the message.
Task<std::optional<Reply>> Reception::begin_content() {
  const auto recipients = message_->asked_for();
  message_->trace = trace(recipients);
  deliver::Handover handover{message_->mail.reverse_path, recipients, message_->trace};
  co_return co_await target_.data(handover);
}

Task<> Reception::on_content(std::string_view piece) {
  Message& message = *message_;
  message.bytes += piece.size();
  message.hash.update(piece);
  if (!message.header.is_over()) message.header.see(piece);
  if (options_.on_progress) options_.on_progress(tally_, message.bytes);
  if (!message.is_looping && message.header.hops() > options_.max_hops) {
    message.is_looping = true;
    co_await target_.abandon();
  }
  if (message.is_looping) co_return;
  if (message.copy)
    static_cast<void>(message.copy->write(piece));  // reading it tells
  else
    co_await target_.content(piece);
}

Task<Reply> Reception::refuse_content(const Reply& reply) {
  if (!message_->is_looping) co_await target_.abandon();
  count_content_refusal(reply);
  co_return reply;
}

Task<Reply> Reception::on_end(const server::ContentEnd& end, server::Peer& peer) {
  message_->digest = message_->hash.finish();
  Reply reply = co_await answer(end, peer);
  log_message(reply, end.size);
  message_.reset();
  if (options_.on_progress) options_.on_progress(tally_, 0);
  co_return reply;
}

Task<Reply> Reception::answer(const server::ContentEnd& end, server::Peer& peer) {
  if (end.has_stray_newline) {
    co_return co_await refuse_content(Reply(550, "5.6.11 a CR or an LF stands alone in the message"));
  }
  if (message_->is_looping) {
    co_return co_await refuse_content(Reply(554, "5.4.6 too many hops: this message goes round in a loop"));
  }
  message_->bytes = end.size;
  if (message_->copy) {
    const auto matched = match();
    if (!matched) co_return co_await give_up_for(matched.error());
    co_await ask_for_withheld();
  }
  co_return co_await hand_over(peer);
}

// --- whoever has it is not served again

Result<void> Reception::match() {
  std::vector<journal::EntryId> matched;
  for (auto& one : message_->recipients) {
    if (!one.is_withheld) continue;
    const auto found = journal_.find(address_of(one), message_->digest, options_.connection, matched);
    if (!found) return fail(found.error());
    one.had = *found;
    if (one.had) matched.push_back(*one.had);
  }
  return {};
}

// To the provider they are accepted; what the target says of them now is told with the answer to the message.
Task<> Reception::ask_for_withheld() {
  // The target answers in the order in which it was asked (RFC 2033 4.2).
  std::stable_partition(message_->recipients.begin(), message_->recipients.end(),
                        [](const Recipient& one) { return !one.is_withheld; });
  for (auto& one : message_->recipients) {
    if (one.is_withheld && !one.had) one.reply = co_await target_.rcpt(one.rcpt);
  }
  if (message_->asked_for().empty()) co_return co_await target_.abandon();
  const auto refused = co_await begin_content();
  if (!refused) co_return co_await pass_copy();
  for (auto& one : message_->recipients) {
    if (one.is_asked_for()) one.reply = *refused;
  }
  co_await target_.abandon();
}

Task<> Reception::pass_copy() {
  std::vector<char> piece(k_piece);
  for (;;) {
    const auto count = message_->copy->read(piece);
    if (!count) {
      const Reply trouble = no_room(count.error());
      for (auto& one : message_->recipients) {
        if (one.is_asked_for()) one.reply = trouble;
      }
      co_return co_await target_.abandon();
    }
    if (*count == 0) co_return;
    const std::string_view bytes(piece.data(), *count);
    const bool goes_on = co_await target_.content(bytes);
    if (!goes_on) co_return;  // finish() says why
  }
}

// --- the end of a message

Task<Reply> Reception::hand_over(server::Peer& peer) {
  const auto intended = co_await intend();
  if (!intended) co_return co_await give_up_for(intended.error());
  if (!message_->asked_for().empty()) {
    // Nobody would hear that it was taken, and it would be offered again: so it is not (RFC 1047).
    const bool is_there = co_await peer.is_there();
    if (!is_there) {
      co_await withdraw();
      co_return Reply(451, "4.4.2 the line broke before the message was handed over");
    }
    const auto replies = co_await target_.finish();
    auto reply = replies.begin();
    for (auto& one : message_->recipients) {
      if (one.is_asked_for() && reply != replies.end()) one.reply = *reply++;
    }
  }
  co_return co_await settle();
}

// Nothing comes of the message.
Task<> Reception::withdraw() {
  co_await target_.abandon();
  journal::Verdict nothing;
  nothing.connection = options_.connection;
  for (const auto& one : message_->recipients) {
    if (one.intended) nothing.not_had.push_back(*one.intended);
  }
  const auto written = co_await journal_.settle(nothing);
  if (!written) static_cast<void>(no_room(written.error()));
}

// Written down before the target hears our dot: afterwards it would be too late to find that there is no room.
Task<Result<void>> Reception::intend() {
  journal::Intent intent;
  intent.provider = options_.provider;
  intent.reverse_path = message_->reverse_path;
  intent.digest = message_->digest;
  intent.size = message_->bytes;
  intent.connection = options_.connection;
  for (const auto& one : message_->recipients) {
    if (!one.had) intent.recipients.push_back(one.name);
  }
  if (intent.recipients.empty()) co_return Result<void>();
  const auto ids = co_await journal_.intend(intent);
  if (!ids) co_return fail(ids.error());
  auto id = ids->begin();
  for (auto& one : message_->recipients) {
    if (!one.had) one.intended = *id++;
  }
  co_return Result<void>();
}

// The message is refused for now, and the target has nothing of it.
Task<Reply> Reception::give_up_for(const Error& trouble) {
  co_await target_.abandon();
  const Reply reply = no_room(trouble);
  count_content_refusal(reply);
  co_return reply;
}

Reply Reception::no_room(const Error& trouble) {
  state_error_ = trouble;
  log_.error("the state directory is not to be used", {{"why", trouble.text}});
  if (trouble.code == Errc::no_space) return Reply(452, "4.3.1 no room for this now");
  return Reply(451, "4.3.0 this cannot be taken now");
}

// One reply for all accepted recipients. Who has the message is written down, on disk, before the provider hears it.
Task<Reply> Reception::settle() {
  journal::Verdict settled;
  settled.connection = options_.connection;
  Reply reply = verdict(settled);
  settled.answer = reply.is_transient() ? journal::Answer::put_off : journal::Answer::accepted;
  const bool is_new = std::any_of(settled.had.begin(), settled.had.end(), [this](const auto& had) {
    return std::any_of(message_->recipients.begin(), message_->recipients.end(),
                       [&](const Recipient& one) { return one.intended == had.id; });
  });
  const auto written = co_await journal_.settle(settled);
  if (!written) {
    const Reply trouble = no_room(written.error());
    // What the target has now must not be offered again; what it had before may, since its entry stands.
    if (!is_new) reply = trouble;
  }
  count(reply);
  co_return reply;
}

Reply Reception::verdict(journal::Verdict& settled) {
  const Reply* put_off = nullptr;
  const Reply* refused = nullptr;
  const Reply* taken = nullptr;
  bool is_had = false;
  for (const auto& one : message_->recipients) {
    if (one.had)
      is_had = true;
    else if (one.reply.is_positive())
      taken = taken != nullptr ? taken : &one.reply;
    else if (one.reply.is_transient())
      put_off = put_off != nullptr ? put_off : &one.reply;
    else
      refused = refused != nullptr ? refused : &one.reply;
  }
  Reply reply = put_off != nullptr ? *put_off : taken != nullptr ? *taken : Reply(250, "2.0.0 delivered before");
  bool is_bounced = false;
  if (refused != nullptr && put_off == nullptr) {
    is_bounced = taken != nullptr || is_had;
    if (!is_bounced) {
      reply = *refused;
    } else if (const auto kept = keep_bounces(); !kept) {
      is_bounced = false;
      reply = no_room(kept.error());
    }
  }
  for (const auto& one : message_->recipients) {
    if (one.had)
      settled.had.push_back({*one.had, journal::Fate::delivered});
    else if (one.reply.is_positive())
      settled.had.push_back({*one.intended, journal::Fate::delivered});
    else if (is_bounced)
      settled.had.push_back({*one.intended, journal::Fate::bounced});
    else
      settled.not_had.push_back(*one.intended);
  }
  return reply;
}

// Some took it, others refused it for good (LMTP). SMTP has one answer for all of them.
Result<void> Reception::keep_bounces() {
  BounceRecord record;
  record.reverse_path = message_->mail.reverse_path;
  record.header = message_->trace + message_->header.header();
  for (const auto& one : message_->recipients) {
    if (!one.had && one.reply.is_permanent()) record.failed.push_back({one.rcpt.forward_path.mailbox, one.reply});
  }
  return bounces_.keep(record);
}

void Reception::count(const Reply& reply) {
  const auto taken = static_cast<std::uint64_t>(
      std::count_if(message_->recipients.begin(), message_->recipients.end(),
                    [](const Recipient& one) { return !one.had && one.reply.is_positive(); }));
  if (taken > 0) {
    history_.has_taken = true;
    ++tally_.messages;
    tally_.recipients += taken;
    tally_.bytes += message_->bytes;
    has_put_off_ = has_put_off_ || reply.is_transient();
    if (!reply.is_transient()) ++final_answers_;
  } else if (reply.is_positive()) {
    ++tally_.duplicates;
    ++final_answers_;
  } else {
    note_target_refusal(reply);
    count_content_refusal(reply);
  }
}

void Reception::on_answers_read() {
  journal_.answers_read(options_.connection);
}

void Reception::note_target_refusal(const Reply& reply) {
  if (reply.is_permanent() && !history_.has_taken) ++history_.refused_first;
}

bool Reception::has_had_enough() const {
  return state_error_ || is_target_at_fault();
}

bool Reception::is_target_at_fault() const {
  return !history_.has_taken && history_.refused_first >= options_.breaker;
}

void Reception::count_refusal(const Reply& reply, const std::string& fingerprint) {
  if (reply.is_transient()) {
    ++tally_.deferred;
    has_put_off_ = true;
    return;
  }
  ++tally_.rejected;
  const bool is_new = history_.refused.insert(fingerprint).second;
  if (is_new) ++final_answers_;
}

// The content has come: it and its recipients tell the message from others.
void Reception::count_content_refusal(const Reply& reply) {
  std::string fingerprint = message_->digest;
  for (const auto& one : message_->recipients) fingerprint += one.name + '\0';
  count_refusal(reply, net::sha256(fingerprint));
}

// A transaction that ended because none of its recipients was accepted is one message refused, or put off.
void Reception::count_recipients_refused() {
  const Message& message = *message_;
  if (message.refused.empty() || !message.recipients.empty()) return;
  std::string fingerprint = "RCPT " + message.mail.reverse_path.text();
  const Reply* counted = &message.refused.front().second;
  for (const auto& [path, reply] : message.refused) {
    fingerprint += '\0' + path;
    if (reply.is_transient()) counted = &reply;
  }
  count_refusal(*counted, net::sha256(fingerprint));
}

Task<> Reception::on_abandon() {
  if (!message_) co_return;
  count_recipients_refused();
  if (!message_->is_looping) co_await target_.abandon();
  message_.reset();
}

void Reception::log_message(const Reply& reply, std::uint64_t size) {
  const bool is_had =
      !message_->recipients.empty() && std::all_of(message_->recipients.begin(), message_->recipients.end(),
                                                   [](const Recipient& one) { return one.had.has_value(); });
  log_.info(is_had && reply.is_positive() ? "message delivered before, and not again"
            : reply.is_positive()         ? "message received"
            : reply.is_transient()        ? "message put off"
                                          : "message refused",
            {{"id", message_->id},
             {"reverse_path", message_->mail.reverse_path.text()},
             {"recipients", std::to_string(message_->recipients.size())},
             {"bytes", std::to_string(size)},
             {"reply", reply.joined()}});
}

}  // namespace odmr::receive
