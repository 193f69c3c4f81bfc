#include "provider/intake.hpp"

#include <algorithm>
#include <utility>

#include "mail/received.hpp"
#include "provider/recipient_book.hpp"
#include "provider/spool_folders.hpp"
#include "smtp/path.hpp"

namespace odmr::provider {

using net::Task;
using smtp::Reply;

// What one customer gets of a message.
struct Intake::Copy {
  const Customer* customer = nullptr;
  spool::Envelope envelope;
  std::unique_ptr<HeldMail::Draft> draft;
  std::optional<Reply> reply;  // once it is known
};

// The transaction in hand.
struct Intake::Message {
  smtp::MailCommand mail;
  server::Hello hello;
  std::vector<Copy> copies;
  std::vector<const Customer*> recipients;  // in their order
  std::uint64_t octets = 0;
  intake::LimitWatch limits;

  explicit Message(const intake::Limits& all) : limits(all) {}
};

Intake::Intake(const IntakeOptions& options, intake::Caller caller, bool is_lmtp,
               std::shared_ptr<const Customers> customers, HeldMail& held, Clock& clock, Log& log)
    : CallerHandler(std::move(caller), log),
      options_(options),
      is_lmtp_(is_lmtp),
      customers_(std::move(customers)),
      held_(held),
      clock_(clock) {}

Intake::~Intake() = default;

Task<Reply> Intake::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  const auto space = options_.free_space();
  const std::uint64_t announced = mail.size.value_or(0);
  if (space && (*space < options_.spare || *space - options_.spare < announced)) {
    log_.warn("message put off: the disk is full", {{"free", std::to_string(*space)}});
    co_return Reply(452, "4.3.1 the spool has no room for this now");
  }
  message_ = std::make_unique<Message>(options_.limits);
  message_->mail = mail;
  message_->hello = hello;
  co_return Reply(250, "2.1.0 OK");
}

Task<Reply> Intake::on_rcpt(const smtp::RcptCommand& rcpt) {
  const auto& mailbox = rcpt.forward_path.mailbox;
  const auto domain = smtp::canonical_domain(mailbox.domain);
  const Customer* const customer = domain ? customers_->with_domain(*domain) : nullptr;
  if (customer == nullptr) co_return Reply(550, "5.7.1 no customer here has this domain");
  if (!may_have(*customer, mailbox)) co_return Reply(550, "5.1.1 no such mailbox");
  if (!has_room_for(*customer, message_->mail.size.value_or(0))) {
    log_.warn("recipient put off: the customer's quota is used up",
              {{"customer", customer->name}, {"quota", std::to_string(customer->quota)}});
    co_return Reply(452, "4.2.2 more mail is held for this domain than is allowed: later");
  }
  copy_for(*customer).envelope.recipients.push_back({mailbox.text(), {}});
  message_->recipients.push_back(customer);
  co_return Reply(250, "2.1.5 OK");
}

// One list that has him is enough.
bool Intake::may_have(const Customer& customer, const smtp::Mailbox& mailbox) const {
  if (customer.recipients && customer.recipients->knows(mailbox)) return true;
  const bool is_told = customer.uploads_recipients && options_.uploaded != nullptr;
  if (!is_told) return customer.recipients == nullptr;
  if (customer.recipients && options_.uploaded->of(customer.name) == nullptr) return false;
  return options_.uploaded->may_have(customer.name, mailbox, customer.recipient_delimiter);
}

bool Intake::has_room_for(const Customer& customer, std::uint64_t octets) const {
  if (customer.quota == 0) return true;
  const std::uint64_t used = held_.waiting().sums(customer.domains).octets;
  return used < customer.quota && customer.quota - used >= octets;
}

Intake::Copy& Intake::copy_for(const Customer& customer) {
  auto& copies = message_->copies;
  const auto found =
      std::find_if(copies.begin(), copies.end(), [&](const Copy& one) { return one.customer == &customer; });
  if (found != copies.end()) return *found;
  copies.emplace_back();
  copies.back().customer = &customer;
  return copies.back();
}

Task<std::optional<Reply>> Intake::on_data() {
  for (auto& copy : message_->copies) {
    auto refused = begin(copy);
    if (refused) co_return refused;
  }
  co_return std::nullopt;
}

std::optional<Reply> Intake::begin(Copy& copy) {
  auto& envelope = copy.envelope;
  const auto& mail = message_->mail;
  envelope.arrival = clock_.wall();
  if (!mail.reverse_path.is_null) envelope.reverse_path = mail.reverse_path.mailbox.text();
  // Who says nothing of it may send either (Exim does): a next hop that offers 8BITMIME takes both.
  if (mail.body != smtp::BodyType::seven_bit) envelope.attributes[k_body] = "8BITMIME";
  if (mail.smtputf8) envelope.attributes[k_smtputf8] = "envelope";
  auto draft = held_.begin(envelope);
  if (!draft) return refusal(draft.error());
  copy.draft = std::move(*draft);
  const auto& recipients = envelope.recipients;
  auto received = intake::trace(caller_, message_->hello, mail,
                                recipients.size() == 1 ? recipients.front().address : std::string(), envelope.arrival);
  if (is_lmtp_) received.with = mail.smtputf8 ? "UTF8LMTP" : "LMTP";  // RFC 3848, RFC 6531 4.3
  received.by = options_.hostname;
  received.id = copy.draft->id();
  const auto written = copy.draft->write(mail::format(received));
  return written ? std::nullopt : std::optional(refusal(written.error()));
}

// The rest of the message is still to come, and is read; nothing of it stays.
void Intake::give_up(const Reply& reply) {
  for (auto& copy : message_->copies) {
    copy.draft.reset();
    if (!copy.reply) copy.reply = reply;
  }
}

Reply Intake::refusal(const Error& error) {
  log_.error("a message cannot be put into the spool", {{"why", error.text}});
  if (error.code == Errc::no_space) return Reply(452, "4.3.1 the spool has no room for this now");
  return Reply(451, "4.3.0 the spool cannot take this now");
}

Task<> Intake::on_content(std::string_view piece) {
  Message& message = *message_;
  message.octets += piece.size();
  if (const auto refused = message.limits.see(piece)) give_up(*refused);
  for (auto& copy : message.copies) {
    if (copy.reply) continue;
    if (!has_room_for(*copy.customer, message.octets)) {
      copy.draft.reset();
      copy.reply = Reply(452, "4.2.2 more mail is held for this domain than is allowed: later");
    } else if (const auto written = copy.draft->write(piece); !written) {
      give_up(refusal(written.error()));
    }
  }
  co_return;
}

Task<server::Answer> Intake::on_end(server::ContentEnd end, server::Peer& /*peer*/) {
  if (end.has_stray_newline) give_up(Reply(550, "5.6.11 a CR or an LF stands alone in the message"));
  // SMTP has one answer for all: what one customer has no room for comes again for the others, too.
  const auto& copies = message_->copies;
  const auto refused = std::find_if(copies.begin(), copies.end(), [](const Copy& one) { return one.reply; });
  if (!is_lmtp_ && refused != copies.end()) give_up(Reply(*refused->reply));
  co_await commit();
  server::Answer answered = answer();
  log_message(end.size);
  message_.reset();
  co_return answered;
}

Task<> Intake::commit() {
  std::vector<std::unique_ptr<HeldMail::Draft>> drafts;
  for (auto& copy : message_->copies) {
    if (copy.reply) continue;
    copy.reply = Reply(250, "2.0.0 held as " + copy.draft->id());
    drafts.push_back(std::move(copy.draft));
  }
  if (drafts.empty()) co_return;
  const auto put = co_await held_.put(std::move(drafts));
  if (put) co_return;
  const Reply later = refusal(put.error());
  for (auto& copy : message_->copies) {
    if (copy.reply->is_positive()) copy.reply = later;
  }
}

server::Answer Intake::answer() const {
  server::Answer answer(*message_->copies.front().reply);
  if (!is_lmtp_) return answer;
  for (const Customer* const customer : message_->recipients) {
    const auto copy = std::find_if(message_->copies.begin(), message_->copies.end(),
                                   [&](const Copy& one) { return one.customer == customer; });
    answer.each.push_back(*copy->reply);
  }
  return answer;
}

void Intake::log_message(std::uint64_t size) const {
  for (const auto& copy : message_->copies) {
    log_.info("message in", {{"customer", copy.customer->name},
                             {"from", "<" + copy.envelope.reverse_path + ">"},
                             {"recipients", std::to_string(copy.envelope.recipients.size())},
                             {"bytes", std::to_string(size)},
                             {"caller", caller_.name},
                             {"reply", copy.reply->joined()}});
  }
}

Task<> Intake::on_abandon() {
  message_.reset();
  co_return;
}

}  // namespace odmr::provider
