#include "receive/reception.hpp"

#include <algorithm>
#include <utility>

#include "mail/header.hpp"
#include "mail/received.hpp"
#include "net/digest.hpp"

namespace odmr::receive {

using net::Task;
using smtp::Reply;

// The transaction in hand.
struct Reception::Message {
  smtp::MailCommand mail;
  server::Hello hello;
  std::string id;
  std::vector<smtp::Mailbox> accepted;
  std::vector<std::pair<std::string, Reply>> refused;
  std::string trace;
  mail::HeaderWatch header;
  net::Sha256 digest;
  std::uint64_t bytes = 0;
  bool is_looping = false;
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

const Reply* first_of_class(const std::vector<Reply>& replies, int first_digit) {
  const auto found =
      std::find_if(replies.begin(), replies.end(), [&](const Reply& r) { return r.code / 100 == first_digit; });
  return found == replies.end() ? nullptr : &*found;
}

}  // namespace

Reception::Reception(const ReceptionOptions& options, History& history, const Guard& guard, deliver::Target& target,
                     BounceKeeper& bounces, Clock& clock, Log& log)
    : options_(options),
      history_(history),
      guard_(guard),
      target_(target),
      bounces_(bounces),
      clock_(clock),
      log_(log) {}

Reception::~Reception() = default;

Task<Reply> Reception::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  message_ = std::make_unique<Message>();
  message_->mail = mail;
  message_->hello = hello;
  message_->id = options_.session_id + "." + std::to_string(++sequence_);
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
  // No co_await inside ?: here or elsewhere: GCC 12 destroys its value twice.
  std::optional<Reply> objection = guard_.objection(rcpt.forward_path);
  Reply reply;
  if (objection)
    reply = std::move(*objection);
  else
    reply = co_await target_.rcpt(rcpt);
  if (reply.is_positive()) {
    message_->accepted.push_back(rcpt.forward_path.mailbox);
  } else {
    note_refused_recipient(rcpt.forward_path.text(), reply);
  }
  co_return reply;
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

std::string Reception::trace() {
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
  if (message.accepted.size() == 1) received.for_mailbox = message.accepted.front().text();
  return mail::format(received);
}

Task<std::optional<Reply>> Reception::on_data() {
  message_->trace = trace();
  deliver::Handover handover{message_->mail.reverse_path, message_->accepted, message_->trace};
  auto refused = co_await target_.data(handover);
  if (refused) {
    note_target_refusal(*refused);
    count_refusal(*refused, net::sha256("DATA " + message_->mail.reverse_path.text()));
    log_message(*refused, 0);
    message_->refused.clear();  // counted
    message_->accepted.clear();
  }
  co_return refused;
}

Task<> Reception::on_content(std::string_view piece) {
  Message& message = *message_;
  message.bytes += piece.size();
  message.digest.update(piece);
  if (!message.header.is_over()) message.header.see(piece);
  if (options_.on_progress) options_.on_progress(tally_, message.bytes);
  if (!message.is_looping && message.header.hops() > options_.max_hops) {
    message.is_looping = true;
    co_await target_.abandon();
  }
  if (!message.is_looping) co_await target_.content(piece);
}

Task<Reply> Reception::refuse_content(const Reply& reply) {
  if (!message_->is_looping) co_await target_.abandon();
  count_content_refusal(reply);
  co_return reply;
}

Task<Reply> Reception::on_end(const server::ContentEnd& end) {
  Reply reply;
  if (end.has_stray_newline) {
    reply = co_await refuse_content(Reply(550, "5.6.11 a CR or an LF stands alone in the message"));
  } else if (message_->is_looping) {
    reply = co_await refuse_content(Reply(554, "5.4.6 too many hops: this message goes round in a loop"));
  } else {
    const auto replies = co_await target_.finish();
    reply = verdict(replies, end.size);
  }
  log_message(reply, end.size);
  message_.reset();
  if (options_.on_progress) options_.on_progress(tally_, 0);
  co_return reply;
}

// One reply for all accepted recipients, and the counts that go with it.
Reply Reception::verdict(const std::vector<Reply>& replies, std::uint64_t size) {
  const auto taken = static_cast<std::uint64_t>(
      std::count_if(replies.begin(), replies.end(), [](const Reply& reply) { return reply.is_positive(); }));
  if (taken > 0) {
    history_.has_taken = true;
    ++tally_.messages;
    tally_.recipients += taken;
    tally_.bytes += size;
  }
  if (taken == replies.size()) {
    ++final_answers_;
    return replies.front();
  }
  if (taken > 0) return settle_mixed(replies);

  const Reply* put_off = first_of_class(replies, 4);
  Reply reply = put_off != nullptr ? *put_off : replies.front();
  note_target_refusal(reply);
  count_content_refusal(reply);
  return reply;
}

// Some took it, others did not (LMTP). SMTP has one answer for all of them.
Reply Reception::settle_mixed(const std::vector<Reply>& replies) {
  if (const Reply* put_off = first_of_class(replies, 4)) {
    has_put_off_ = true;
    return *put_off;
  }
  BounceRecord record;
  record.reverse_path = message_->mail.reverse_path;
  record.header = message_->trace + message_->header.header();
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!replies[i].is_positive()) record.failed.push_back({message_->accepted[i], replies[i]});
  }
  const auto kept = bounces_.keep(record);
  if (!kept) {
    state_error_ = kept.error();
    has_put_off_ = true;
    return Reply(451, "4.3.0 no room for the bounce that is due");
  }
  ++final_answers_;
  return *first_of_class(replies, 2);
}

void Reception::note_target_refusal(const Reply& reply) {
  if (reply.is_permanent() && !history_.has_taken) ++history_.refused_first;
}

bool Reception::has_had_enough() const {
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
  std::string fingerprint = message_->digest.finish();
  for (const auto& recipient : message_->accepted) fingerprint += recipient.text() + '\0';
  count_refusal(reply, net::sha256(fingerprint));
}

// A transaction that ended because none of its recipients was accepted is one message refused, or put off.
void Reception::count_recipients_refused() {
  const Message& message = *message_;
  if (message.refused.empty() || !message.accepted.empty()) return;
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
  log_.info(reply.is_positive()    ? "message received"
            : reply.is_transient() ? "message put off"
                                   : "message refused",
            {{"id", message_->id},
             {"reverse_path", message_->mail.reverse_path.text()},
             {"recipients", std::to_string(message_->accepted.size())},
             {"bytes", std::to_string(size)},
             {"reply", reply.joined()}});
}

}  // namespace odmr::receive
