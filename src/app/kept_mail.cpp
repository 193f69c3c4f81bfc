#include "app/kept_mail.hpp"

#include <functional>
#include <utility>
#include <vector>

#include "mail/header.hpp"
#include "queue/attributes.hpp"
#include "queue/schedule.hpp"

namespace odmr::app {

namespace {

using net::Task;
using smtp::Reply;
using spool::attribute;
using How = queue::Queue::NoticeOutcome::How;

constexpr std::size_t k_piece = std::size_t{64} * 1024;
constexpr std::size_t k_at_once = 100;

// Attributes of a kept message beside those of queue/attributes.hpp.
constexpr const char* k_provider = "provider";
constexpr const char* k_digest = "digest";

void set(spool::Attributes& attributes, const char* name, const std::string& value) {
  if (!value.empty()) attributes[name] = value;
}

spool::Envelope envelope_of(const receive::KeptMessage& message, WallTime now) {
  spool::Envelope envelope;
  envelope.arrival = now;
  if (!message.mail.reverse_path.is_null) envelope.reverse_path = message.mail.reverse_path.mailbox.text();
  auto& attributes = envelope.attributes;
  set(attributes, k_provider, message.provider);
  set(attributes, k_digest, message.digest);
  set(attributes, queue::k_body, message.mail.body == smtp::BodyType::eight_bit_mime ? "8BITMIME" : "");
  set(attributes, queue::k_smtputf8, message.mail.smtputf8 ? "envelope" : "");
  set(attributes, "ret", message.mail.ret);
  set(attributes, "envid", message.mail.envid);
  for (const auto& [rcpt, reply] : message.recipients) {
    spool::Recipient recipient{rcpt.forward_path.mailbox.text(), {}};
    set(recipient.attributes, "notify", rcpt.notify);
    set(recipient.attributes, "orcpt", rcpt.orcpt);
    set(recipient.attributes, "reply", reply.joined());
    envelope.recipients.push_back(std::move(recipient));
  }
  return envelope;
}

smtp::MailCommand mail_of(const queue::Letter& letter) {
  const auto& envelope = letter.message.envelope();
  smtp::MailCommand mail;
  const auto sender = smtp::parse_mailbox(envelope.reverse_path);
  mail.reverse_path.is_null = !sender;
  if (sender) mail.reverse_path.mailbox = *sender;
  mail.size = letter.message.size();
  if (!attribute(envelope.attributes, queue::k_body).empty()) mail.body = smtp::BodyType::eight_bit_mime;
  mail.smtputf8 = !attribute(envelope.attributes, queue::k_smtputf8).empty();
  mail.ret = attribute(envelope.attributes, "ret");
  mail.envid = attribute(envelope.attributes, "envid");
  return mail;
}

// A bare <postmaster> has no domain (RFC 5321 4.5.1).
std::optional<smtp::RcptCommand> rcpt_of(const spool::Recipient& recipient) {
  auto parsed = smtp::parse_rcpt("TO:<" + recipient.address + ">");
  if (!parsed) return std::nullopt;
  parsed->notify = attribute(recipient.attributes, "notify");
  parsed->orcpt = attribute(recipient.attributes, "orcpt");
  return *parsed;
}

class KeptPlace final : public receive::Shelf::Place {
 public:
  KeptPlace(spool::Store store, spool::Store::Draft draft, net::Worker& disk)
      : store_(std::move(store)), draft_(std::move(draft)), id_(draft_.id()), disk_(disk) {}
  const std::string& id() const override { return id_; }
  Task<Result<void>> commit() override {
    Result<std::string> committed = fail(Errc::io, "not tried");
    std::function<void()> work = [&] { committed = draft_.commit(); };
    co_await disk_.run(std::move(work));
    if (!committed) co_return fail(committed.error());
    co_return Result<void>();
  }

 private:
  spool::Store store_;
  spool::Store::Draft draft_;
  std::string id_;
  net::Worker& disk_;
};

Result<std::unique_ptr<receive::Shelf::Place>> write(const std::string& directory, const receive::KeptMessage& message,
                                                     receive::Copy& content, WallTime now, net::Worker& disk,
                                                     FileOps& files) {
  auto store = spool::Store::in(directory, files);
  if (!store) return fail(store.error());
  auto draft = store->begin(envelope_of(message, now));
  if (!draft) return fail(draft.error());
  if (auto written = draft->write(message.trace); !written) return fail(written.error());
  std::vector<char> piece(k_piece);
  for (;;) {
    const auto count = content.read(piece);
    if (!count) return fail(count.error());
    if (*count == 0) break;
    if (auto written = draft->write({piece.data(), *count}); !written) return fail(written.error());
  }
  return std::make_unique<KeptPlace>(std::move(*store), std::move(*draft), disk);
}

}  // namespace

std::string kept_mail_in(const std::string& state_dir) {
  return state_dir + "/kept";
}

Task<Result<std::unique_ptr<receive::Shelf::Place>>> KeptFolder::put(const receive::KeptMessage& message,
                                                                     receive::Copy& content) {
  Result<std::unique_ptr<Place>> place = fail(Errc::io, "not tried");
  std::function<void()> work = [&] { place = write(directory_, message, content, clock_.wall(), disk_, files_); };
  co_await disk_.run(std::move(work));
  co_return std::move(place);
}

// --- handing it over

struct KeptMail::Door {
  std::unique_ptr<deliver::Target> target;
  bool is_ready = false;
  bool soft_bounce = false;
  deliver::Breaker breaker{0};
};

KeptMail::KeptMail(std::string directory, Duration lifetime, Ways ways, receive::BounceKeeper& bounces,
                   net::Network& network, net::Worker& disk, FileOps& files, Log& log, Stop& stop)
    : directory_(std::move(directory)),
      lifetime_(lifetime),
      ways_(std::move(ways)),
      bounces_(bounces),
      network_(network),
      disk_(disk),
      files_(files),
      log_(log),
      stop_(stop) {}

KeptMail::~KeptMail() = default;

Result<void> KeptMail::open() {
  const auto is_there = files_.open_dir(directory_);
  if (!is_there && is_there.error().code == Errc::not_found) return {};
  if (!is_there) return fail(is_there.error());
  queue::QueueOptions options;
  options.lifetime = lifetime_;
  auto opened = queue::Queue::in(directory_, options, network_.clock(), log_, files_);
  if (!opened) return fail(opened.error());
  queue_.emplace(std::move(*opened));
  if (auto recovered = queue_->recover(); !recovered) return recovered;
  auto store = spool::Store::in(directory_, files_);
  if (!store) return fail(store.error());
  store_.emplace(std::move(*store));
  return queue_->refresh();
}

Result<bool> KeptMail::has(const std::string& id) const {
  if (!store_ || !spool::Store::is_id(id)) return false;
  return store_->contains(id);
}

Task<KeptMailReport> KeptMail::hand_over() {
  if (!queue_) co_return report_;
  bool is_more = true;
  while (is_more) is_more = co_await next_few();
  if (!report_.state_error) co_await tell_senders();
  for (auto& [name, door] : doors_) {
    if (door->target) co_await door->target->close();
  }
  co_return report_;
}

// Gives whether to go on.
Task<bool> KeptMail::next_few() {
  if (stop_.requested()) co_return false;
  // The target is here, and this run is now: the schedule of the smart host is not for it.
  const auto due = queue_->due(true, k_at_once);
  if (!due) co_return has_failed(due.error());
  for (const auto& id : *due) {
    if (stop_.requested()) co_return false;
    auto letter = queue_->take(id);
    if (!letter) co_return has_failed(letter.error());
    if (!*letter) continue;
    const bool goes_on = co_await try_one(std::move(**letter));
    if (!goes_on) co_return false;
  }
  co_return !due->empty();
}

Task<bool> KeptMail::try_one(queue::Letter letter) {
  const auto provider = provider_of(letter);
  if (!is_for_this_run(provider)) co_return true;
  queue::Attempt attempt;
  attempt.id = letter.id;
  Door* door = co_await door_for(provider);
  if (!ways_.targets.contains(provider))
    attempt.trouble = "no provider is configured any more whose mail this is";
  else if (door == nullptr)
    attempt.trouble = "the local target is not ready";
  else if (door->breaker.is_broken())
    attempt.trouble = "the local target refuses everything";
  else
    co_await offer(*door, letter, attempt);
  count(letter, attempt);
  const auto settled = co_await settle(attempt);
  if (!settled) co_return has_failed(settled.error());
  co_return true;
}

// Whose target it is for; empty where no provider has to do with it any more.
std::string KeptMail::provider_of(const queue::Letter& letter) const {
  const auto& envelope = letter.message.envelope();
  auto named = attribute(envelope.attributes, k_provider);
  if (ways_.targets.contains(named)) return named;
  for (const auto place : letter.waiting) {
    const auto rcpt = rcpt_of(envelope.recipients[place]);
    const auto domain = smtp::canonical_domain(rcpt ? rcpt->forward_path.mailbox.domain : std::string());
    if (!domain) continue;
    const auto found = ways_.providers.find(*domain);
    if (found != ways_.providers.end()) return found->second;
  }
  return {};
}

bool KeptMail::is_for_this_run(const std::string& provider) const {
  const auto way = ways_.targets.find(provider);
  return way == ways_.targets.end() || way->second.has_value();
}

// Asked once in a run; no value where it is not ready.
Task<KeptMail::Door*> KeptMail::door_for(const std::string& name) {
  const auto known = doors_.find(name);
  if (known != doors_.end()) co_return known->second->is_ready ? known->second.get() : nullptr;
  Door& door = *doors_.emplace(name, std::make_unique<Door>()).first->second;
  const auto way = ways_.targets.find(name);
  if (way == ways_.targets.end() || !way->second) co_return nullptr;
  door.soft_bounce = way->second->soft_bounce;
  door.breaker = deliver::Breaker(way->second->breaker);
  door.target = deliver::make_target(way->second->target, network_, files_, log_, stop_);
  const auto ready = co_await door.target->ready();
  door.is_ready = ready.has_value();
  if (!ready) log_.warn("kept mail waits: the local target is not ready", {{"why", ready.error().text}});
  co_return door.is_ready ? &door : nullptr;
}

Task<> KeptMail::offer(Door& door, queue::Letter& letter, queue::Attempt& attempt) {
  auto& target = *door.target;
  const auto mail = mail_of(letter);
  const auto reply = co_await target.mail(mail);
  const auto answer = [&](std::size_t place, Reply said) {
    if (door.soft_bounce) said = smtp::softened(std::move(said));
    if (said.is_positive())
      attempt.sent.push_back(place);
    else
      (said.is_permanent() ? attempt.failed : attempt.put_off).push_back({place, std::move(said)});
  };
  const auto answer_all = [&](const Reply& said) {
    door.breaker.note(said);
    for (const auto place : letter.waiting) answer(place, said);
  };
  if (!reply.is_positive()) co_return answer_all(reply);
  deliver::Handover handover{mail.reverse_path, {}, {}};
  std::vector<std::size_t> accepted;
  for (const auto place : letter.waiting) {
    const auto rcpt = rcpt_of(letter.message.envelope().recipients[place]);
    auto said = Reply(550, "5.1.3 no address");
    if (rcpt) said = co_await target.rcpt(*rcpt);
    if (said.is_positive()) {
      accepted.push_back(place);
      handover.recipients.push_back(rcpt->forward_path.mailbox);
    } else {
      answer(place, said);
    }
  }
  letter.waiting = accepted;
  if (accepted.empty()) co_return co_await target.abandon();
  const auto refused = co_await target.data(handover);
  if (refused) {
    co_await target.abandon();
    co_return answer_all(*refused);
  }
  const bool is_whole = co_await pass(target, letter, attempt);
  if (!is_whole) co_return co_await target.abandon();
  const auto replies = co_await target.finish();
  for (std::size_t i = 0; i < accepted.size() && i < replies.size(); ++i) answer(accepted[i], replies[i]);
  if (!replies.empty()) door.breaker.note(replies.front());
}

Task<bool> KeptMail::pass(deliver::Target& target, queue::Letter& letter, queue::Attempt& attempt) {
  std::vector<char> piece(k_piece);
  for (;;) {
    const auto count = letter.message.read(piece.data(), piece.size());
    if (!count) {
      attempt.trouble = "the message cannot be read: " + count.error().text;
      log_.error("a kept message cannot be read", {{"id", letter.id}, {"why", count.error().text}});
      co_return false;
    }
    if (*count == 0) co_return true;
    const std::string_view bytes(piece.data(), *count);
    (void)co_await target.content(bytes);  // a target that stops taking it says why at the end
  }
}

Task<Result<void>> KeptMail::settle(const queue::Attempt& attempt) {
  const std::vector<queue::Attempt> attempts{attempt};
  std::vector<Result<void>> settled;
  std::function<void()> work = [&] { settled = queue_->settle(attempts); };
  co_await disk_.run(std::move(work));
  co_return settled.front();
}

void KeptMail::count(const queue::Letter& letter, const queue::Attempt& attempt) {
  // What is put off at the end of its lifetime has failed (queue::Attempt): it waits no more.
  const bool is_over = queue::age(letter.since, network_.clock().wall()) > lifetime_;
  const bool waits = !is_over && (!attempt.put_off.empty() || !attempt.trouble.empty());
  const std::string said = !attempt.trouble.empty()   ? attempt.trouble
                           : !attempt.put_off.empty() ? attempt.put_off.front().reply.joined()
                           : !attempt.failed.empty()  ? attempt.failed.front().reply.joined()
                                                      : std::string("250");
  if (waits) {
    ++report_.waiting;
    if (report_.why.empty()) report_.why = said;
  } else {
    ++report_.delivered;
  }
  log_.info(waits                  ? "kept message put off again"
            : attempt.sent.empty() ? "kept message came to nothing"
                                   : "kept message handed over",
            {{"id", letter.id},
             {"reverse_path", letter.message.envelope().reverse_path},
             {"sent", std::to_string(attempt.sent.size())},
             {"failed", std::to_string(attempt.failed.size())},
             {"put_off", std::to_string(attempt.put_off.size())},
             {"reply", said}});
}

// --- what its senders have to be told goes the way of all bounces of received mail

Task<> KeptMail::tell_senders() {
  for (bool is_more = true; is_more && !stop_.requested();) {
    const auto due = queue_->notices_due(true, k_at_once);
    if (!due) {
      has_failed(due.error());
      co_return;
    }
    is_more = !due->empty();
    for (const auto& id : *due) {
      auto notice = queue_->take_notice(id);
      if (!notice) {
        has_failed(notice.error());
        co_return;
      }
      if (!*notice) continue;
      Result<void> told;
      std::function<void()> work = [&] {
        told = record_bounce(**notice);
        if (told) told = queue_->settle_notice(**notice, {How::told, "bounced"});
      };
      co_await disk_.run(std::move(work));
      if (!told) {
        has_failed(told.error());
        co_return;
      }
      ++report_.bounced;
    }
  }
}

Result<void> KeptMail::record_bounce(queue::Notice& notice) {
  auto& message = notice.letter.message;
  receive::BounceRecord record;
  const auto sender = smtp::parse_mailbox(message.envelope().reverse_path);
  record.reverse_path.is_null = !sender;
  if (sender) record.reverse_path.mailbox = *sender;
  for (const auto& [place, reply] : notice.recipients) {
    const auto rcpt = rcpt_of(message.envelope().recipients[place]);
    if (rcpt) record.failed.push_back({rcpt->forward_path.mailbox, reply});
  }
  mail::HeaderWatch watch;
  std::vector<char> piece(k_piece);
  while (!watch.is_over()) {
    const auto count = message.read(piece.data(), piece.size());
    if (!count || *count == 0) break;  // a damaged message bounces as far as it can be read
    watch.see({piece.data(), *count});
  }
  record.header = watch.header();
  return bounces_.keep(record);
}

bool KeptMail::has_failed(const Error& error) {
  log_.error("kept mail cannot be worked on", {{"why", error.text}});
  report_.state_error = error;
  return false;
}

}  // namespace odmr::app
