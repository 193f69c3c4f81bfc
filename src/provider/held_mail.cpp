#include "provider/held_mail.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "smtp/path.hpp"

namespace odmr::provider {

namespace {

constexpr std::size_t k_piece = 64 * 1024;

// Empty where nobody can be the customer for it.
std::string domain_of(const spool::Recipient& recipient) {
  const auto mailbox = smtp::parse_mailbox(recipient.address);
  if (!mailbox) return {};
  const auto domain = smtp::canonical_domain(mailbox->domain);
  return domain ? *domain : std::string();
}

// Hands every piece of the message to `see`, down to the checksum at its end.
template <class See>
Result<void> read_through(spool::MessageReader& message, See see) {
  std::array<char, k_piece> piece;
  for (;;) {
    const auto count = message.read(piece.data(), piece.size());
    if (!count) return fail(count.error());
    if (*count == 0) return {};
    if (auto seen = see(std::string_view(piece.data(), *count)); !seen) return seen;
  }
}

spool::Envelope bounce_envelope(const std::string& id, const spool::Envelope& original,
                                const std::vector<Refused>& refused) {
  spool::Envelope envelope{original.arrival, original.reverse_path, original.attributes, {}};
  envelope.attributes[k_held_as] = id;
  for (const auto& one : refused) {
    spool::Recipient recipient = original.recipients.at(one.recipient);
    recipient.attributes[k_reply] = one.reply.joined();
    envelope.recipients.push_back(std::move(recipient));
  }
  return envelope;
}

}  // namespace

Result<spool::Store> open_folder(const std::string& spool, Folder folder, FileOps& files) {
  switch (folder) {
    case Folder::held:
      break;
    case Folder::bounces:
      return spool::Store::in(spool + "/bounces", files);
    case Folder::failed:
      return spool::Store::in(spool + "/failed", files);
  }
  return spool::Store::in(spool, files);
}

HeldMail::Claim::~Claim() {
  if (!busy_) return;
  for (const auto& domain : mine_) busy_->erase(domain);
}

HeldMail::HeldMail(spool::Store held, spool::Store bounces, spool::Store failed, Log& log)
    : held_(std::move(held)),
      bounces_(std::move(bounces)),
      failed_(std::move(failed)),
      log_(&log),
      busy_(std::make_shared<Domains>()) {}

Result<HeldMail> HeldMail::in(const std::string& spool, Log& log, FileOps& files) {
  auto held = open_folder(spool, Folder::held, files);
  if (!held) return fail(held.error());
  auto bounces = open_folder(spool, Folder::bounces, files);
  if (!bounces) return fail(bounces.error());
  auto failed = open_folder(spool, Folder::failed, files);
  if (!failed) return fail(failed.error());
  HeldMail mail(std::move(*held), std::move(*bounces), std::move(*failed), log);
  if (auto recovered = mail.recover(); !recovered) return fail(recovered.error());
  return mail;
}

Result<void> HeldMail::recover() {
  for (spool::Store* store : {&held_, &bounces_, &failed_}) {
    const auto recovery = store->recover();
    if (!recovery) return fail(recovery.error());
    for (const auto& name : recovery->removed) log_->info("cleared what a crash left", {{"file", name}});
    say_skipped(recovery->skipped);
  }
  return {};
}

void HeldMail::say_skipped(const std::vector<spool::Store::Skipped>& skipped) {
  for (const auto& one : skipped) {
    if (!skipped_.insert(one.name).second) continue;
    log_->warn("left alone in the spool", {{"file", one.name}, {"why", one.why}});
  }
}

// --- who waits for what

Result<void> HeldMail::refresh() {
  const auto listing = held_.list();
  if (!listing) return fail(listing.error());
  say_skipped(listing->skipped);
  forget_what_is_gone(*listing);
  for (const auto& [id, recipients] : std::exchange(unrecorded_, {})) static_cast<void>(record(id, recipients));
  for (const auto& id : listing->ids) {
    if (!waiting_.contains(id)) learn(id);
  }
  return {};
}

void HeldMail::forget_what_is_gone(const spool::Store::Listing& listing) {
  std::vector<std::string> gone;
  for (const auto& waiting : waiting_) {
    const std::string& id = waiting.first;
    // What cannot be looked at now may be under way, and its customer's word is still to be noted.
    const bool is_there =
        std::binary_search(listing.ids.begin(), listing.ids.end(), id) ||
        std::any_of(listing.skipped.begin(), listing.skipped.end(), [&](const auto& one) { return one.name == id; });
    if (!is_there) gone.push_back(id);
  }
  for (const auto& id : gone) forget(id);
}

void HeldMail::forget(const std::string& id) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  for (const auto& one : found->second) {
    const auto messages = by_domain_.find(one.domain);
    if (messages == by_domain_.end()) continue;
    messages->second.erase(id);
    if (messages->second.empty()) by_domain_.erase(messages);
  }
  waiting_.erase(found);
  unrecorded_.erase(id);
}

void HeldMail::learn(const std::string& id) {
  const auto message = held_.open(id);
  if (!message && message.error().code == Errc::malformed) return set_aside(id, message.error().text);
  // What may have been taken already must not be offered again: without its marks a message waits.
  const auto done = message ? held_.done(id) : fail(message.error());
  if (!done) {
    if (done.error().code != Errc::not_found) say_skipped({{id, done.error().text}});
    return;
  }
  const auto& recipients = message->envelope().recipients;
  std::vector<Waiting> waiting;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    if (!done->contains(i)) waiting.push_back({i, domain_of(recipients[i])});
  }
  for (const auto& one : waiting) by_domain_[one.domain].insert(id);
  const bool is_over = waiting.empty();  // a crash came between the last mark and the removal
  waiting_[id] = std::move(waiting);
  if (is_over) static_cast<void>(record(id, {}));
}

void HeldMail::set_aside(const std::string& id, const std::string& why) {
  forget(id);
  const auto moved = held_.set_aside(id, why);
  if (moved) {
    log_->error("a held message is damaged and was set aside in corrupt/", {{"id", id}, {"why", why}});
  } else {
    say_skipped({{id, why + "; it cannot be set aside: " + moved.error().text}});
  }
}

bool HeldMail::has_mail_for(const Domains& domains) const {
  return std::any_of(domains.begin(), domains.end(),
                     [this](const std::string& domain) { return by_domain_.contains(domain); });
}

std::optional<Due> HeldMail::next_for(const Domains& domains, const std::string& after) const {
  const std::string* first = nullptr;
  for (const auto& domain : domains) {
    const auto messages = by_domain_.find(domain);
    if (messages == by_domain_.end()) continue;
    const auto next = messages->second.upper_bound(after);
    if (next != messages->second.end() && (first == nullptr || *next < *first)) first = &*next;
  }
  if (first == nullptr) return std::nullopt;
  Due due{*first, {}};
  for (const auto& one : waiting_.at(*first)) {
    if (domains.contains(one.domain)) due.recipients.push_back(one.recipient);
  }
  return due;
}

std::optional<HeldMail::Claim> HeldMail::claim(const Domains& domains) {
  for (const auto& domain : domains) {
    if (busy_->contains(domain)) return std::nullopt;
  }
  busy_->insert(domains.begin(), domains.end());
  return Claim(busy_, domains);
}

// --- what becomes of a message

Result<spool::MessageReader> HeldMail::open(const std::string& id) {
  auto message = held_.open(id);
  Result<void> whole = message ? Result<void>() : fail(message.error());
  if (message) whole = read_through(*message, [](std::string_view) { return Result<void>(); });
  if (!whole) {
    if (whole.error().code == Errc::malformed) set_aside(id, whole.error().text);
    if (whole.error().code == Errc::not_found) forget(id);
    return fail(whole.error());
  }
  message->rewind();
  return message;
}

Result<void> HeldMail::done(const std::string& id, const std::vector<std::size_t>& recipients) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return {};  // removed by hand meanwhile
  for (const std::size_t recipient : recipients) {
    const auto place = std::find_if(found->second.begin(), found->second.end(),
                                    [&](const Waiting& one) { return one.recipient == recipient; });
    if (place == found->second.end()) continue;
    const std::string domain = place->domain;
    found->second.erase(place);
    const bool has_more = std::any_of(found->second.begin(), found->second.end(),
                                      [&](const Waiting& one) { return one.domain == domain; });
    if (has_more) continue;
    by_domain_[domain].erase(id);
    if (by_domain_[domain].empty()) by_domain_.erase(domain);
  }
  return record(id, recipients);
}

// The last recipient's mark is the removal itself.
Result<void> HeldMail::record(const std::string& id, const std::vector<std::size_t>& recipients) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return {};
  const bool is_over = found->second.empty();
  auto recorded = is_over ? held_.remove(id) : held_.mark_done(id, recipients);
  const bool is_gone = !recorded && recorded.error().code == Errc::not_found;
  if (recorded || is_gone) {
    if (is_over || is_gone) forget(id);
    return {};
  }
  auto& owed = unrecorded_[id];
  owed.insert(owed.end(), recipients.begin(), recipients.end());
  log_->error("the spool does not take the mark that a message was handed over",
              {{"id", id}, {"why", recorded.error().text}});
  return recorded;
}

Result<std::string> HeldMail::refuse(const std::string& id, spool::MessageReader& message,
                                     const std::vector<Refused>& refused) {
  const auto envelope = bounce_envelope(id, message.envelope(), refused);
  // RFC 5321 6.1: no notice about mail from the null reverse-path; but it is not to vanish without a trace either.
  spool::Store& store = envelope.reverse_path.empty() ? failed_ : bounces_;
  auto draft = store.begin(envelope);
  if (!draft) return fail(draft.error());
  message.rewind();
  const auto copied = read_through(message, [&](std::string_view piece) { return draft->write(piece); });
  if (!copied) return fail(copied.error());
  auto bounce = draft->commit();
  if (!bounce) return bounce;
  std::vector<std::size_t> recipients;
  recipients.reserve(refused.size());
  for (const auto& one : refused) recipients.push_back(one.recipient);
  if (auto marked = done(id, recipients); !marked) return fail(marked.error());
  return bounce;
}

}  // namespace odmr::provider
