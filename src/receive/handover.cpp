#include "receive/handover.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "net/digest.hpp"

namespace odmr::receive {

using net::Task;
using smtp::Reply;

namespace {

constexpr std::size_t k_piece = std::size_t{64} * 1024;

}  // namespace

// What is said of a message, and written down.
struct Handover::Verdict {
  Reply reply;
  std::vector<Reply> each;  // PRDR
  journal::Verdict entries;
  std::uint64_t taken = 0;  // recipients
  bool is_put_off = false;  // for some, by the provider
  bool is_kept = false;     // for some, by us
};

Task<server::Answer> Handover::run(server::ContentEnd end, server::Peer& peer) {
  server::Answer answer;
  answer.reply = co_await reply_to(end, peer);
  answer.each = std::move(each_);
  co_return answer;
}

Task<Reply> Handover::reply_to(server::ContentEnd end, server::Peer& peer) {
  if (end.has_stray_newline) {
    co_return co_await refuse_content(Reply(550, "5.6.11 a CR or an LF stands alone in the message"));
  }
  if (message_.hopeless) co_return co_await refuse_content(*message_.hopeless);
  message_.bytes = end.size;
  bool is_same_again = false;
  if (!message_.origin.is_known()) is_same_again = co_await wait_for_twins();
  if (is_same_again) co_return co_await come_again();
  if (message_.has([](const Recipient& one) { return one.is_withheld; })) {
    const auto matched = match();
    if (!matched) co_return co_await give_up_for(matched.error());
    co_await ask_for_withheld();
  }
  co_return co_await hand_over(peer);
}

// Whether two messages of the same bytes are one that comes twice is not known before the first is answered for. Gives
// whether somebody to whom the target has been told of this one has it now, and the provider will offer it again.
Task<bool> Handover::wait_for_twins() {
  bool has_waited = false;
  while (connection_.has_twin(message_)) {
    has_waited = true;
    co_await connection_.target.change();
  }
  if (!has_waited) co_return false;
  for (const auto& one : message_.recipients) {
    if (one.is_withheld) continue;
    const auto found = connection_.journal.find(connection_.address_of(message_, one), message_.digest,
                                                connection_.options.connection, {});
    if (!found || *found) co_return true;
  }
  co_return false;
}

// When it does, he is withheld from the target.
Task<Reply> Handover::come_again() {
  co_await message_.abandon();
  const Reply reply(451, "4.3.0 the same message has just been put off");
  connection_.count_content_refusal(message_, reply);
  co_return reply;
}

// --- whoever has it is not served again

Task<Reply> Handover::refuse_content(const Reply& reply) {
  if (!message_.hopeless) co_await message_.abandon();
  const Reply refusal = connection_.soft(reply);
  connection_.count_content_refusal(message_, refusal);
  co_return refusal;
}

Result<void> Handover::match() {
  std::vector<std::string> copied;
  if (message_.may_be_copied) {
    auto found = connection_.journal.copied_to(*message_.copies);
    if (!found) return fail(found.error());
    copied = std::move(*found);
  }
  std::vector<journal::EntryId> matched;
  for (auto& one : message_.recipients) {
    if (!one.is_withheld) continue;
    const bool has_copy = std::find(copied.begin(), copied.end(), one.name) != copied.end();
    // What has a name of its own is not known by its bytes.
    if (message_.origin.is_known()) {
      one.has_copy = has_copy;
      continue;
    }
    const auto found = connection_.journal.find(connection_.address_of(message_, one), message_.digest,
                                                connection_.options.connection, matched);
    if (!found) return fail(found.error());
    one.had = *found;
    if (one.had) matched.push_back(*one.had);
    one.has_copy = !one.had && has_copy;
  }
  return {};
}

// To the provider they are accepted; what the target says of them now is told with the answer to the message.
Task<> Handover::ask_for_withheld() {
  // The target answers in the order in which it was asked (RFC 2033 4.2).
  std::stable_partition(message_.recipients.begin(), message_.recipients.end(),
                        [](const Recipient& one) { return !one.is_withheld; });
  for (auto& one : message_.recipients) {
    if (!one.is_withheld || one.is_served()) continue;
    if (message_.put_off) {
      one.reply = *message_.put_off;
    } else {
      auto reply = co_await message_.target->rcpt(one.rcpt);
      one.reply = connection_.soft(std::move(reply));
    }
  }
  if (message_.asked_for().empty()) co_return co_await message_.abandon();
  const auto refused = co_await connection_.begin_content(message_);
  if (refused) co_return co_await message_.give_up_content(*refused);
  co_await pass_copy();
}

Task<> Handover::pass_copy() {
  std::vector<char> piece(k_piece);
  for (;;) {
    const auto count = message_.copy->read(piece);
    if (!count) {
      const Reply trouble = connection_.no_room(count.error());
      co_return co_await message_.give_up_content(trouble);
    }
    if (*count == 0) co_return;
    const std::string_view bytes(piece.data(), *count);
    const bool goes_on = co_await message_.target->content(bytes);
    if (!goes_on) co_return;  // finish() says why
  }
}

Task<Reply> Handover::hand_over(server::Peer& peer) {
  const auto intended = co_await intend();
  if (!intended) co_return co_await give_up_for(intended.error());
  // Nobody would hear that it was taken, and it would be offered again: so it is not (RFC 1047).
  const bool is_there = co_await peer.is_there();
  if (!is_there) {
    co_await withdraw();
    co_return Reply(451, "4.4.2 the line broke before the message was handed over");
  }
  if (!message_.is_streaming) {
    co_await message_.abandon();
  } else {
    const auto replies = co_await message_.target->finish();
    message_.is_handed_over = true;
    auto reply = replies.begin();
    for (auto& one : message_.recipients) {
      if (one.is_asked_for() && reply != replies.end()) one.reply = connection_.soft(*reply++);
    }
  }
  co_return co_await settle();
}

// Nothing comes of the message.
Task<> Handover::withdraw() {
  co_await message_.abandon();
  journal::Verdict nothing;
  nothing.connection = connection_.options.connection;
  for (const auto& one : message_.recipients) {
    if (one.intended) nothing.not_had.push_back(*one.intended);
  }
  const auto written = co_await connection_.journal.settle(nothing);
  if (!written) static_cast<void>(connection_.no_room(written.error()));
}

// Written down before the target hears our dot: afterwards it would be too late to find that there is no room.
Task<Result<void>> Handover::intend() {
  journal::Intent intent;
  intent.provider = connection_.options.provider;
  intent.reverse_path = message_.reverse_path;
  intent.digest = message_.digest;
  intent.size = message_.bytes;
  intent.connection = connection_.options.connection;
  intent.origin = message_.origin;
  for (const auto& one : message_.recipients) {
    if (!one.is_served()) intent.recipients.push_back(one.name);
  }
  if (intent.recipients.empty()) co_return Result<void>();
  const auto ids = co_await connection_.journal.intend(intent);
  if (!ids) co_return fail(ids.error());
  auto id = ids->begin();
  for (auto& one : message_.recipients) {
    if (!one.is_served()) one.intended = *id++;
  }
  co_return Result<void>();
}

// The message is refused for now, and the target has nothing of it.
Task<Reply> Handover::give_up_for(const Error& trouble) {
  co_await message_.abandon();
  const Reply reply = connection_.no_room(trouble);
  connection_.count_content_refusal(message_, reply);
  co_return reply;
}

// One reply for all accepted recipients, unless the provider wants one for each. Who has the message is written down,
// on disk, before the provider hears it.
Task<Reply> Handover::settle() {
  std::sort(message_.recipients.begin(), message_.recipients.end(),
            [](const Recipient& a, const Recipient& b) { return a.place < b.place; });
  std::unique_ptr<Shelf::Place> place;
  if (connection_.shelf != nullptr && message_.has([](const Recipient& one) { return one.is_put_off(); })) {
    auto put = co_await put_on_shelf();
    if (put)
      place = std::move(*put);
    else
      static_cast<void>(connection_.no_room(put.error()));  // so the provider keeps it
  }
  Verdict settled = verdict(place != nullptr);
  if (place) settled.entries.kept = place->id();
  const Reply reply = co_await write_down(settled, place.get());
  settled.reply = reply;
  message_.is_kept = settled.is_kept && reply.is_positive();
  count(settled);
  if (reply.is_positive()) each_ = std::move(settled.each);
  co_return reply;
}

Task<Result<std::unique_ptr<Shelf::Place>>> Handover::put_on_shelf() {
  KeptMessage kept;
  kept.provider = connection_.options.provider;
  kept.mail = message_.mail;
  kept.digest = message_.digest;
  std::vector<smtp::Mailbox> mailboxes;
  for (const auto& one : message_.recipients) {
    if (!one.is_put_off()) continue;
    kept.recipients.push_back({one.rcpt, one.reply});
    mailboxes.push_back(one.rcpt.forward_path.mailbox);
  }
  kept.trace = connection_.trace(message_, mailboxes);
  message_.copy->rewind();
  co_return co_await connection_.shelf->put(kept, *message_.copy);
}

// Entries first: a message on the shelf of which no entry tells could come again, while an entry whose message never
// came onto the shelf is known for that (journal::Journal::forget_kept_unless).
Task<Reply> Handover::write_down(Verdict& settled, Shelf::Place* place) {
  // Not before what is kept here is there: until then the message in its mailbox is all there is of it.
  std::optional<journal::Origin> collected;
  if (place != nullptr) collected = std::exchange(settled.entries.collected, std::nullopt);
  if (collected) settled.entries.answer = journal::Answer::put_off;
  const auto written = co_await connection_.journal.settle(settled.entries);
  if (!written) {
    const Reply trouble = connection_.no_room(written.error());
    // What the target has now must not be offered again; what it had before may, since its entry stands.
    if (settled.taken == 0) co_return trouble;
  }
  if (place == nullptr) co_return settled.reply;
  const auto committed = co_await place->commit();
  if (committed && collected) co_return co_await close_collected(std::move(*collected), settled.reply);
  if (committed) co_return settled.reply;
  const Reply trouble = connection_.no_room(committed.error());
  settled = verdict(false);
  settled.reply = trouble;
  settled.each.clear();
  settled.entries.answer = journal::Answer::put_off;
  const auto taken_back = co_await connection_.journal.settle(settled.entries);
  if (!taken_back) static_cast<void>(connection_.no_room(taken_back.error()));
  co_return trouble;
}

// All with whom it is not, and not with us, is done.
Task<Reply> Handover::close_collected(journal::Origin collected, Reply reply) {
  journal::Verdict verdict;
  verdict.connection = connection_.options.connection;
  verdict.collected = std::move(collected);
  const auto written = co_await connection_.journal.settle(verdict);
  if (!written) static_cast<void>(connection_.no_room(written.error()));  // its entries know of it
  co_return reply;
}

Handover::Verdict Handover::verdict(bool keeps_here) {
  const Reply* put_off = nullptr;
  const Reply* refused = nullptr;
  const Reply* taken = nullptr;
  const auto& mailbox = connection_.options.mailbox;
  Verdict settled;
  bool is_had = false;
  for (const auto& one : message_.recipients) {
    is_had = is_had || one.is_served();
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
  if (is_good_for_some && (put_off != nullptr || refused != nullptr) && message_.mail.prdr) {
    settled.each = each_answer(keeps_here);
  } else if (put_off != nullptr) {
    settled.reply = *put_off;
  } else if (refused != nullptr && !is_good_for_some && !(mailbox && mailbox->bounces_refused)) {
    settled.reply = *refused;
  } else if (refused != nullptr) {
    const auto kept = message_.is_bounce_kept ? Result<void>() : keep_bounces();
    message_.is_bounce_kept = kept.has_value();
    if (!is_good_for_some) settled.reply = Reply(250, "2.0.0 refused for good, and its sender is told");
    if (!kept) settled.reply = connection_.no_room(kept.error());
  }
  for (const auto& one : message_.recipients) {
    if (one.has_copy) continue;
    if (one.had)
      settled.entries.had.push_back({*one.had, journal::Fate::delivered});
    else if (one.is_taken())
      settled.entries.had.push_back({*one.intended, journal::Fate::delivered});
    else if (one.is_put_off() && keeps_here)
      settled.entries.had.push_back({*one.intended, journal::Fate::kept});
    else if (one.is_refused() && message_.is_bounce_kept)
      settled.entries.had.push_back({*one.intended, journal::Fate::bounced});
    else
      settled.entries.not_had.push_back(*one.intended);
  }
  note_copies(settled.entries);
  settled.entries.connection = connection_.options.connection;
  settled.entries.answer = settled.reply.is_transient() ? journal::Answer::put_off : journal::Answer::accepted;
  if (message_.origin.is_known() && settled.reply.is_positive()) settled.entries.collected = message_.origin;
  return settled;
}

// Who needs no other copy. What is kept here is not delivered yet, and may never be.
void Handover::note_copies(journal::Verdict& entries) const {
  if (!message_.copies || message_.copies->whole.empty()) return;
  journal::Verdict::Copied copied{*message_.copies, {}};
  for (const auto& one : message_.recipients) {
    const bool is_told = one.is_refused() && message_.is_bounce_kept;
    if (one.had || one.is_taken() || is_told) copied.recipients.push_back(one.name);
  }
  if (!copied.recipients.empty()) entries.copied = std::move(copied);
}

std::vector<Reply> Handover::each_answer(bool keeps_here) const {
  std::vector<Reply> each;
  for (const auto& one : message_.recipients) {
    if (one.is_served())
      each.emplace_back(250, "2.0.0 delivered before");
    else if (one.is_put_off() && keeps_here)
      each.emplace_back(250, "2.0.0 kept here until the local mail server takes it");
    else
      each.push_back(one.reply);
  }
  return each;
}

// Some took it, others refused it for good (LMTP). SMTP has one answer for all of them.
Result<void> Handover::keep_bounces() {
  BounceRecord record;
  record.reverse_path = message_.mail.reverse_path;
  record.header = message_.trace + message_.header.header();
  for (const auto& one : message_.recipients) {
    if (one.is_refused()) record.failed.push_back({one.rcpt.forward_path.mailbox, one.reply});
  }
  return connection_.bounces.keep(record);
}

void Handover::count(const Verdict& settled) {
  for (const auto& one : message_.recipients) {
    if (one.is_put_off()) connection_.counter.put_off_with(one.reply);
  }
  if (settled.reply.is_transient()) connection_.counter.put_off_with(settled.reply);
  if (settled.taken > 0) {
    if (settled.is_kept) connection_.counter.kept_for_some();
    connection_.counter.taken(settled.taken, message_.bytes, settled.is_put_off || settled.reply.is_transient());
    return;
  }
  if (settled.is_kept) return connection_.counter.kept();
  const auto refused = std::find_if(message_.recipients.begin(), message_.recipients.end(),
                                    [](const Recipient& one) { return one.is_refused(); });
  const bool is_had = message_.has([](const Recipient& one) { return one.is_served(); });
  if (settled.reply.is_positive() && !is_had && refused != message_.recipients.end()) {
    connection_.history.breaker.note(refused->reply);
    return connection_.count_content_refusal(message_, refused->reply);
  }
  if (settled.reply.is_positive()) return connection_.counter.duplicate();
  connection_.history.breaker.note(settled.reply);
  connection_.count_content_refusal(message_, settled.reply);
}

}  // namespace odmr::receive
