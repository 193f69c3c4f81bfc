#include "receive/reception.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include "mail/header.hpp"
#include "mail/received.hpp"
#include "net/digest.hpp"
#include "receive/copy.hpp"

namespace odmr::receive {

using net::Task;
using smtp::Reply;
using Fate = journal::MessageReceipt::Fate;
using RefusedBy = journal::RecipientReceipt::By;

namespace {

constexpr std::size_t k_piece = std::size_t{64} * 1024;

}  // namespace

// Somebody whom we accepted.
struct Reception::Recipient {
  smtp::RcptCommand rcpt;
  std::size_t place = 0;                     // among those accepted
  std::string name;                          // as the journal has it
  bool is_withheld = false;                  // from the target: he may have the message
  std::optional<journal::EntryId> had = {};  // the entry that says that he has it
  std::optional<journal::EntryId> intended = {};
  Reply reply = {};  // the target's last word, for who is not had

  bool is_asked_for() const { return !had && !is_withheld_still() && reply.is_positive(); }
  bool is_withheld_still() const { return is_withheld && reply.code == 0; }
  bool is_taken() const { return !had && reply.is_positive(); }
  bool is_put_off() const { return !had && reply.is_transient(); }
  bool is_refused() const { return !had && reply.is_permanent(); }
};

// What is said of a message, and written down.
struct Reception::Verdict {
  Reply reply;
  std::vector<Reply> each;  // PRDR
  journal::Verdict entries;
  std::uint64_t taken = 0;  // recipients
  bool is_put_off = false;  // for some, by the provider
  bool is_kept = false;     // for some, by us
};

// The transaction in hand.
struct Reception::Message {
  smtp::MailCommand mail;
  std::string reverse_path;  // as the journal has it
  server::Hello hello;
  std::string id;
  std::optional<Reply> put_off;  // why the target was not asked for recipients
  std::vector<Recipient> recipients;
  std::deque<bool> withheld;  // what is decided already of recipients who come next
  struct Refused {
    std::size_t count = 0;
    Reply counted;  // the first one, unless a later one is 4xx
    net::Sha256 paths;
  } refused;
  std::string trace;
  mail::HeaderWatch header;
  net::LongSha256 hash;
  std::string digest;  // of the whole content
  std::uint64_t bytes = 0;
  bool is_bounce_kept = false;
  bool is_kept = false;           // for some, by us
  bool is_streaming = false;      // to the target
  bool is_handed_over = false;    // the target has had its say
  std::optional<Copy> copy;       // where a recipient is withheld, or we may have to keep the message
  std::optional<Reply> hopeless;  // why nothing of the rest is looked at
  journal::MessageReceipt receipt;

  Message(std::size_t header_kept, net::DigestThread& digester) : header(header_kept), hash(digester) {}

  template <class Is>
  bool has(Is is) const {
    return std::any_of(recipients.begin(), recipients.end(), is);
  }
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
  // Nor does a connection through a proxy, which shows the name alone.
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

void finish_receipt(journal::MessageReceipt& receipt, const std::string& connection, const Reply& reply, WallTime now) {
  receipt.connection = connection;
  receipt.reply = reply.joined();
  receipt.time = now;
}

}  // namespace

Reception::Reception(const ReceptionOptions& options, History& history, const Guard& guard, deliver::Target& target,
                     journal::Journal& journal, BounceKeeper& bounces, Shelf* shelf, FileOps& files, Clock& clock,
                     Log& log)
    : options_(options),
      history_(history),
      guard_(guard),
      target_(target),
      journal_(journal),
      bounces_(bounces),
      shelf_(shelf),
      files_(files),
      clock_(clock),
      log_(log),
      counter_(history) {}

Reception::~Reception() = default;

Reply Reception::soft(Reply reply) const {
  return options_.soft_bounce ? smtp::softened(std::move(reply)) : reply;
}

// --- the envelope

void Reception::on_ahead(smtp::Ahead ahead) {
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
    const auto is_withheld = journal_.may_be_had(address_of(recipient), options_.connection);
    told.content = told.content && is_withheld && !*is_withheld;
    if (!is_withheld) break;  // it will be told when it is asked again
    message_->withheld.push_back(*is_withheld);
    if (!*is_withheld) told.recipients.push_back(std::move(rcpt));
  }
  target_.foresee(std::move(told));
}

Task<Reply> Reception::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  co_await journal_.relieve();
  message_ = std::make_unique<Message>(options_.header_looked_at, digester_);
  message_->mail = mail;
  message_->reverse_path = mail.reverse_path.is_null ? "<>" : comparable(mail.reverse_path.mailbox);
  message_->hello = hello;
  message_->id = options_.connection + "." + std::to_string(++sequence_);
  // Never said in EHLO: a provider that reads a limit there bounces what is larger (RFC 1870 6.1).
  if (const auto larger = mail.size ? too_large(*mail.size) : std::nullopt) {
    counter_.refused(*larger, {});
    log_message(*larger, *mail.size);
    message_.reset();
    co_return *larger;
  }
  auto reply = co_await ask_target(mail);
  if (reply.is_positive()) co_return reply;
  if (reply.is_transient() && shelf_ != nullptr) {
    message_->put_off = std::move(reply);
    co_return Reply(250, "2.1.0 kept here until the local mail server takes it");
  }
  history_.breaker.note(reply);
  counter_.refused(reply, net::sha256("MAIL " + mail.reverse_path.text()));
  log_message(reply, 0);
  message_.reset();
  co_return reply;
}

std::optional<Reply> Reception::too_large(std::uint64_t size) const {
  if (options_.max_size_for_now == 0 || size <= options_.max_size_for_now) return std::nullopt;
  return Reply(452, "4.3.4 over this line at most " + std::to_string(options_.max_size_for_now) +
                        " octets are taken; keep it for another time");
}

Task<Reply> Reception::ask_target(const smtp::MailCommand& mail) {
  if (options_.is_target_down) co_return Reply(451, "4.3.0 the local mail server is not ready");
  tell_target_ahead();
  auto reply = co_await target_.mail(mail);
  co_return soft(std::move(reply));
}

Task<Reply> Reception::on_rcpt(const smtp::RcptCommand& rcpt) {
  if (auto objection = guard_.objection(rcpt.forward_path)) {
    Reply refusal = soft(std::move(*objection));
    note_refused_recipient(rcpt.forward_path.text(), refusal, RefusedBy::guard);
    co_return refusal;
  }
  Recipient recipient{rcpt, message_->recipients.size(), comparable(rcpt.forward_path.mailbox)};
  co_await decide_on(recipient);
  Reply reply = said_of(recipient);
  if (reply.is_positive())
    message_->recipients.push_back(std::move(recipient));
  else
    note_refused_recipient(rcpt.forward_path.text(), reply, state_error_ ? RefusedBy::guard : RefusedBy::target);
  co_return reply;
}

Result<bool> Reception::may_be_had(const Recipient& recipient) {
  if (!message_->withheld.empty()) return message_->withheld.front();
  return journal_.may_be_had(address_of(recipient), options_.connection);
}

Task<> Reception::decide_on(Recipient& recipient) {
  const auto is_withheld = may_be_had(recipient);
  if (!message_->withheld.empty()) message_->withheld.pop_front();
  if (!is_withheld) {
    state_error_ = is_withheld.error();
    recipient.reply = Reply(451, "4.3.0 the journal cannot be read");
  } else if (*is_withheld) {
    recipient.is_withheld = true;
  } else if (message_->put_off) {
    recipient.reply = *message_->put_off;
  } else {
    auto reply = co_await target_.rcpt(recipient.rcpt);
    recipient.reply = soft(std::move(reply));
  }
}

// What the provider hears, before the content: whether the recipient is worth sending it.
Reply Reception::said_of(const Recipient& recipient) const {
  if (recipient.is_withheld) return Reply(250, "2.1.5 OK");
  if (recipient.is_put_off() && shelf_ != nullptr && !state_error_) {
    return Reply(250, "2.1.5 kept here until the local mail server takes it");
  }
  return recipient.reply;
}

journal::Address Reception::address_of(const Recipient& recipient) const {
  return {options_.provider, message_->reverse_path, recipient.name};
}

void Reception::note_refused_recipient(const std::string& path, const Reply& reply, RefusedBy by) {
  if (reply.is_transient()) counter_.put_off_recipient();
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
  if (before == k_most) log_.info("more recipients are refused, and counted only", {{"id", message_->id}});
  if (before >= k_most) return;
  log_.info("recipient refused", {{"id", message_->id},
                                  {"reverse_path", message_->mail.reverse_path.text()},
                                  {"recipient", path},
                                  {"reply", reply.joined()}});
}

void Reception::on_rcpt_refused(std::string_view argument, const Reply& reply) {
  note_refused_recipient(std::string(argument), reply, RefusedBy::guard);
}

void Reception::on_mail_refused(std::string_view argument, const Reply& reply) {
  counter_.refused(reply, net::sha256("MAIL " + std::string(argument)));
  log_.info("message refused", {{"mail", std::string(argument)}, {"reply", reply.joined()}});
  journal::MessageReceipt receipt;
  receipt.reverse_path = argument;
  receipt.fate = reply.is_transient() ? Fate::put_off : Fate::refused;
  finish_receipt(receipt, options_.connection, reply, clock_.wall());
  journal_.note(std::move(receipt));
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

// --- the content

Task<std::optional<Reply>> Reception::on_data() {
  Message& message = *message_;
  const bool has_withheld = message.has([](const Recipient& one) { return one.is_withheld; });
  std::optional<Reply> refused;
  if (has_withheld || shelf_ != nullptr) refused = begin_copy();
  if (!refused && !has_withheld && !message.asked_for().empty()) {
    refused = co_await begin_content();
    if (refused && refused->is_transient() && shelf_ != nullptr) {
      co_await give_up_content(*refused);
      refused.reset();
    }
  }
  if (refused) {
    history_.breaker.note(*refused);
    counter_.refused(*refused, net::sha256("DATA " + message.mail.reverse_path.text()));
    log_message(*refused, 0);
    message.refused.count = 0;  // counted
    message.recipients.clear();
  }
  co_return refused;
}

std::optional<Reply> Reception::begin_copy() {
  auto copy = Copy::in(options_.scratch_directory, files_);
  if (!copy) return no_room(copy.error());
  message_->copy.emplace(std::move(*copy));
  return std::nullopt;
}

// From here on the target hears the message.
Task<std::optional<Reply>> Reception::begin_content() {
  const auto recipients = message_->asked_for();
  message_->trace = trace(recipients);
  deliver::Handover handover{message_->mail.reverse_path, recipients, message_->trace};
  auto refused = co_await target_.data(handover);
  message_->is_streaming = !refused;
  if (refused) refused = soft(std::move(*refused));
  co_return refused;
}

// The target gets no more of it: whoever it was asked for hears this.
Task<> Reception::give_up_content(const Reply& reply) {
  for (auto& one : message_->recipients) {
    if (one.is_asked_for()) one.reply = reply;
  }
  message_->is_streaming = false;
  co_await target_.abandon();
}

Task<> Reception::on_content(std::string_view piece) {
  Message& message = *message_;
  message.bytes += piece.size();
  message.hash.update(piece);
  history_.bytes += piece.size();
  // The limit that comes first in the message is the one that is told, however its bytes come.
  const bool is_too_large = options_.max_size != 0 && message.bytes > options_.max_size;
  const auto beyond = is_too_large ? std::min<std::uint64_t>(message.bytes - options_.max_size, piece.size()) : 0;
  if (!message.header.is_over()) message.header.see(piece.substr(0, piece.size() - beyond));
  if (options_.on_progress) options_.on_progress(counter_.tally(), message.bytes);
  if (message.hopeless) co_return;
  if (message.header.hops() > options_.max_hops)
    message.hopeless = Reply(554, "5.4.6 too many hops: this message goes round in a loop");
  else if (is_too_large)
    message.hopeless = Reply(552, "5.3.4 at most " + std::to_string(options_.max_size) + " octets are taken here");
  else if (auto larger = too_large(message.bytes)) {
    message.hopeless = std::move(larger);
    history_.has_read_in_vain = true;
  }
  if (message.hopeless) {
    message.is_streaming = false;
    message.copy.reset();
    co_return co_await target_.abandon();
  }
  if (message.copy) static_cast<void>(message.copy->write(piece));  // reading it tells
  if (message.is_streaming) co_await target_.content(piece);        // and so does finish()
}

Task<Reply> Reception::refuse_content(const Reply& reply) {
  if (!message_->hopeless) co_await target_.abandon();
  const Reply refusal = soft(reply);
  count_content_refusal(refusal);
  co_return refusal;
}

Task<Reply> Reception::on_end(const server::ContentEnd& end, server::Peer& peer) {
  message_->digest = message_->hash.finish();
  Reply reply = co_await answer(end, peer);
  log_message(reply, end.size);
  message_.reset();
  if (options_.on_progress) options_.on_progress(counter_.tally(), 0);
  co_return reply;
}

Task<Reply> Reception::answer(const server::ContentEnd& end, server::Peer& peer) {
  if (end.has_stray_newline) {
    co_return co_await refuse_content(Reply(550, "5.6.11 a CR or an LF stands alone in the message"));
  }
  if (message_->hopeless) co_return co_await refuse_content(*message_->hopeless);
  message_->bytes = end.size;
  if (message_->has([](const Recipient& one) { return one.is_withheld; })) {
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
    if (!one.is_withheld || one.had) continue;
    if (message_->put_off) {
      one.reply = *message_->put_off;
    } else {
      auto reply = co_await target_.rcpt(one.rcpt);
      one.reply = soft(std::move(reply));
    }
  }
  if (message_->asked_for().empty()) co_return co_await target_.abandon();
  const auto refused = co_await begin_content();
  if (refused) co_return co_await give_up_content(*refused);
  co_await pass_copy();
}

Task<> Reception::pass_copy() {
  std::vector<char> piece(k_piece);
  for (;;) {
    const auto count = message_->copy->read(piece);
    if (!count) {
      const Reply trouble = no_room(count.error());
      co_return co_await give_up_content(trouble);
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
  // Nobody would hear that it was taken, and it would be offered again: so it is not (RFC 1047).
  const bool is_there = co_await peer.is_there();
  if (!is_there) {
    co_await withdraw();
    co_return Reply(451, "4.4.2 the line broke before the message was handed over");
  }
  if (!message_->is_streaming) {
    co_await target_.abandon();
  } else {
    const auto replies = co_await target_.finish();
    message_->is_handed_over = true;
    auto reply = replies.begin();
    for (auto& one : message_->recipients) {
      if (one.is_asked_for() && reply != replies.end()) one.reply = soft(*reply++);
    }
  }
  co_return co_await settle(peer);
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

// One reply for all accepted recipients, unless the provider wants one for each. Who has the message is written down,
// on disk, before the provider hears it.
Task<Reply> Reception::settle(server::Peer& peer) {
  std::sort(message_->recipients.begin(), message_->recipients.end(),
            [](const Recipient& a, const Recipient& b) { return a.place < b.place; });
  std::unique_ptr<Shelf::Place> place;
  if (shelf_ != nullptr && message_->has([](const Recipient& one) { return one.is_put_off(); })) {
    auto put = co_await put_on_shelf();
    if (put)
      place = std::move(*put);
    else
      static_cast<void>(no_room(put.error()));  // so the provider keeps it
  }
  Verdict settled = verdict(place != nullptr);
  if (place) settled.entries.kept = place->id();
  const Reply reply = co_await write_down(settled, place.get());
  settled.reply = reply;
  message_->is_kept = settled.is_kept && reply.is_positive();
  if (reply.is_positive() && !settled.each.empty()) peer.reply_each(settled.each);
  count(settled);
  co_return reply;
}

Task<Result<std::unique_ptr<Shelf::Place>>> Reception::put_on_shelf() {
  KeptMessage kept;
  kept.provider = options_.provider;
  kept.mail = message_->mail;
  kept.digest = message_->digest;
  std::vector<smtp::Mailbox> mailboxes;
  for (const auto& one : message_->recipients) {
    if (!one.is_put_off()) continue;
    kept.recipients.push_back({one.rcpt, one.reply});
    mailboxes.push_back(one.rcpt.forward_path.mailbox);
  }
  kept.trace = trace(mailboxes);
  message_->copy->rewind();
  co_return co_await shelf_->put(kept, *message_->copy);
}

// Entries first: a message on the shelf of which no entry tells could come again, while an entry whose message never
// came onto the shelf is known for that (journal::Journal::forget_kept_unless).
Task<Reply> Reception::write_down(Verdict& settled, Shelf::Place* place) {
  const auto written = co_await journal_.settle(settled.entries);
  if (!written) {
    const Reply trouble = no_room(written.error());
    // What the target has now must not be offered again; what it had before may, since its entry stands.
    if (settled.taken == 0) co_return trouble;
  }
  if (place == nullptr) co_return settled.reply;
  const auto committed = co_await place->commit();
  if (committed) co_return settled.reply;
  const Reply trouble = no_room(committed.error());
  settled = verdict(false);
  settled.reply = trouble;
  settled.each.clear();
  settled.entries.answer = journal::Answer::put_off;
  const auto taken_back = co_await journal_.settle(settled.entries);
  if (!taken_back) static_cast<void>(no_room(taken_back.error()));
  co_return trouble;
}

Reception::Verdict Reception::verdict(bool keeps_here) {
  const Reply* put_off = nullptr;
  const Reply* refused = nullptr;
  const Reply* taken = nullptr;
  Verdict settled;
  bool is_had = false;
  for (const auto& one : message_->recipients) {
    is_had = is_had || one.had;
    if (one.is_taken()) ++settled.taken;
    settled.is_kept = settled.is_kept || (one.is_put_off() && keeps_here);
    if (one.is_taken() && taken == nullptr) taken = &one.reply;
    if (one.is_put_off() && put_off == nullptr && !keeps_here) put_off = &one.reply;
    if (one.is_refused() && refused == nullptr) refused = &one.reply;
  }
  settled.is_put_off = put_off != nullptr;
  const bool is_good_for_some = taken != nullptr || is_had || settled.is_kept;
  if (taken != nullptr)
    settled.reply = *taken;
  else
    settled.reply =
        Reply(250, settled.is_kept ? "2.0.0 kept here until the local mail server takes it" : "2.0.0 delivered before");
  if (is_good_for_some && (put_off != nullptr || refused != nullptr) && message_->mail.prdr) {
    settled.each = each_answer(keeps_here);
  } else if (put_off != nullptr) {
    settled.reply = *put_off;
  } else if (refused != nullptr && !is_good_for_some) {
    settled.reply = *refused;
  } else if (refused != nullptr) {
    const auto kept = message_->is_bounce_kept ? Result<void>() : keep_bounces();
    message_->is_bounce_kept = kept.has_value();
    if (!kept) settled.reply = no_room(kept.error());
  }
  for (const auto& one : message_->recipients) {
    if (one.had)
      settled.entries.had.push_back({*one.had, journal::Fate::delivered});
    else if (one.is_taken())
      settled.entries.had.push_back({*one.intended, journal::Fate::delivered});
    else if (one.is_put_off() && keeps_here)
      settled.entries.had.push_back({*one.intended, journal::Fate::kept});
    else if (one.is_refused() && message_->is_bounce_kept)
      settled.entries.had.push_back({*one.intended, journal::Fate::bounced});
    else
      settled.entries.not_had.push_back(*one.intended);
  }
  settled.entries.connection = options_.connection;
  settled.entries.answer = settled.reply.is_transient() ? journal::Answer::put_off : journal::Answer::accepted;
  return settled;
}

std::vector<Reply> Reception::each_answer(bool keeps_here) const {
  std::vector<Reply> each;
  for (const auto& one : message_->recipients) {
    if (one.had)
      each.emplace_back(250, "2.0.0 delivered before");
    else if (one.is_put_off() && keeps_here)
      each.emplace_back(250, "2.0.0 kept here until the local mail server takes it");
    else
      each.push_back(one.reply);
  }
  return each;
}

// Some took it, others refused it for good (LMTP). SMTP has one answer for all of them.
Result<void> Reception::keep_bounces() {
  BounceRecord record;
  record.reverse_path = message_->mail.reverse_path;
  record.header = message_->trace + message_->header.header();
  for (const auto& one : message_->recipients) {
    if (one.is_refused()) record.failed.push_back({one.rcpt.forward_path.mailbox, one.reply});
  }
  return bounces_.keep(record);
}

// --- the books

void Reception::count(const Verdict& settled) {
  if (settled.taken > 0) {
    if (settled.is_kept) counter_.kept_for_some();
    counter_.taken(settled.taken, message_->bytes, settled.is_put_off || settled.reply.is_transient());
    return;
  }
  if (settled.is_kept) return counter_.kept();
  if (settled.reply.is_positive()) return counter_.duplicate();
  history_.breaker.note(settled.reply);
  count_content_refusal(settled.reply);
}

void Reception::on_answers_read() {
  journal_.answers_read(options_.connection);
}

bool Reception::has_had_enough() const {
  return state_error_ || is_target_at_fault();
}

TimePoint Reception::takes_mail_until() const {
  const bool has_had_its_bytes = options_.max_bytes != 0 && history_.bytes >= options_.max_bytes;
  return has_had_its_bytes ? TimePoint::min() : options_.until;
}

bool Reception::is_target_at_fault() const {
  return history_.breaker.is_broken();
}

bool Reception::is_budget_used_up() const {
  return clock_.now() >= takes_mail_until();
}

// The content has come: it and its recipients tell the message from others.
void Reception::count_content_refusal(const Reply& reply) {
  std::string fingerprint = message_->digest;
  for (const auto& one : message_->recipients) fingerprint += one.name + '\0';
  counter_.refused(reply, net::sha256(fingerprint));
}

// A transaction that ended because none of its recipients was accepted is one message refused, or put off.
void Reception::count_recipients_refused() {
  auto& refused = message_->refused;
  if (refused.count == 0 || !message_->recipients.empty()) return;
  const std::string fingerprint = "RCPT " + message_->mail.reverse_path.text() + '\0' + refused.paths.finish();
  counter_.refused(refused.counted, net::sha256(fingerprint));
  note_receipt(refused.counted, 0);
}

Task<> Reception::on_abandon() {
  if (!message_) co_return;
  count_recipients_refused();
  if (!message_->hopeless) co_await target_.abandon();
  message_.reset();
}

void Reception::log_message(const Reply& reply, std::uint64_t size) {
  const auto& recipients = message_->recipients;
  const bool is_had = !recipients.empty() && !message_->has([](const Recipient& one) { return !one.had; });
  log_.info(is_had && reply.is_positive() ? "message delivered before, and not again"
            : message_->is_kept           ? "message put off by the target, and kept here"
            : reply.is_positive()         ? "message received"
            : reply.is_transient()        ? "message put off"
                                          : "message refused",
            {{"id", message_->id},
             {"reverse_path", message_->mail.reverse_path.text()},
             {"recipients", std::to_string(recipients.size())},
             {"bytes", std::to_string(size)},
             {"reply", reply.joined()}});
  note_receipt(reply, size);
}

// What came of the message, for who asks later.
void Reception::note_receipt(const Reply& reply, std::uint64_t size) {
  journal::MessageReceipt& receipt = message_->receipt;
  receipt.id = message_->id;
  receipt.reverse_path = message_->reverse_path;
  receipt.size = size;
  receipt.digest = message_->digest;
  for (const auto& one : message_->recipients) {
    using By = journal::RecipientReceipt::By;
    const bool is_unheard = one.is_withheld_still() || (one.reply.is_positive() && !message_->is_handed_over);
    const By by = one.had ? By::journal : is_unheard ? By::accepted : By::target;
    const bool has_reply = !one.had && !one.is_withheld_still();
    receipt.recipients.push_back({one.name, by, has_reply ? one.reply.joined() : std::string()});
  }
  receipt.fate = fate(reply);
  finish_receipt(receipt, options_.connection, reply, clock_.wall());
  journal_.note(std::move(receipt));
}

Fate Reception::fate(const Reply& reply) const {
  if (!reply.is_positive()) return reply.is_transient() ? Fate::put_off : Fate::refused;
  if (message_->has([](const Recipient& one) { return one.is_taken(); })) return Fate::received;
  return message_->is_kept ? Fate::kept_here : Fate::duplicate;
}

}  // namespace odmr::receive
