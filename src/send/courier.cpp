#include "send/courier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "queue/attributes.hpp"
#include "queue/schedule.hpp"
#include "send/stored_message.hpp"

namespace odmr::send {

namespace {

using net::Task;

constexpr std::size_t k_recipients_in_log = 5;

std::string addressees(const spool::Envelope& envelope) {
  std::string text;
  for (std::size_t i = 0; i < std::min(envelope.recipients.size(), k_recipients_in_log); ++i) {
    text += (i == 0 ? "<" : ",<") + envelope.recipients[i].address + ">";
  }
  const std::size_t all = envelope.recipients.size();
  if (all > k_recipients_in_log) text += " and " + std::to_string(all - k_recipients_in_log) + " more";
  return text;
}

// The next recipients, taken off the errand.
std::vector<std::size_t> take_group(Errand& errand, std::size_t most) {
  const std::size_t limit = errand.one_by_one ? 1 : std::max<std::size_t>(most, 1);
  const auto end = errand.rest.begin() + static_cast<std::ptrdiff_t>(std::min(limit, errand.rest.size()));
  std::vector<std::size_t> group(errand.rest.begin(), end);
  errand.rest.erase(errand.rest.begin(), end);
  return group;
}

void put_back(Errand& errand, const std::vector<std::size_t>& places) {
  errand.rest.insert(errand.rest.begin(), places.begin(), places.end());
}

bool says_anything(const queue::Attempt& attempt) {
  return !attempt.sent.empty() || !attempt.failed.empty() || !attempt.put_off.empty() || !attempt.trouble.empty();
}

}  // namespace

Courier::Courier(client::Session& session, const Office& office) : session_(session), office_(office) {}

void Courier::leave() {
  is_left_ = true;
  session_.close();
}

Task<Result<void>> Courier::settled() {
  co_return co_await office_.settler.settled(last_);
}

Task<Result<void>> Courier::open() {
  auto settled = co_await office_.settler.settled(last_);
  is_gate_shut_ = !settled;
  if (settled) office_.settler.expect();
  is_expected_ = settled.has_value();
  co_return settled;
}

Task<Courier::Trip> Courier::carry(std::shared_ptr<Errand> errand, bool spares_mail) {
  Trip trip;
  LetterText text(errand->letter.message);
  co_await prepare(text, errand);
  while (!errand->rest.empty() && !trip.line_is_over && !trip.grievance) {
    co_await transact(errand, text, trip, spares_mail);
    if (office_.stop.requested()) break;
  }
  trip.is_over = errand->rest.empty();
  if (trip.is_over) finish(*errand);
  errand->was_on_line = true;
  co_return trip;
}

// --- the text

Task<> Courier::prepare(LetterText& text, std::shared_ptr<Errand> errand) {
  const auto& options = office_.options;
  const bool may_need_converting = !options.seven_bit_argv.empty() && !session_.capabilities().has("8BITMIME");
  if (may_need_converting && errand->letter.message.envelope().attributes.contains(queue::k_body)) {
    co_await convert(text, errand);
  }
  if (!options.from) co_return;
  const auto set = text.set_from(options.from->text());
  if (set) co_return;
  office_.log.warn("a message goes with the From that it has", {{"id", errand->letter.id}, {"why", set.error().text}});
}

Task<> Courier::convert(LetterText& text, std::shared_ptr<Errand> errand) {
  const auto& options = office_.options;
  Result<std::optional<Substitute>> made;
  const std::function<void()> work = [&] {
    made = to_seven_bit(errand->letter.message, options.seven_bit_argv, options.scratch_directory);
  };
  co_await office_.disk.run(work);
  if (!made) {
    office_.log.warn("a message goes with its 8-bit text as it is",
                     {{"id", errand->letter.id}, {"why", made.error().text}});
  } else if (*made) {
    text.replace_by(std::move(**made));
  }
}

// --- the transaction

Task<> Courier::transact(std::shared_ptr<Errand> errand, LetterText& text, Trip& trip, bool spares_mail) {
  const auto& options = office_.options;
  const auto group = take_group(*errand, options.most_recipients);
  auto envelope = envelope_for(errand->letter.message.envelope(), group, text.size(), session_.capabilities());
  if (!envelope) {
    refuse(errand, group, envelope.error());
    co_return;
  }
  if (options.from && !envelope->reverse_path.is_null) envelope->reverse_path.mailbox = *options.from;
  if (text.is_substitute()) envelope->options.body = smtp::BodyType::unspecified;

  text.rewind();
  const auto delivery = co_await client::transact(session_, *envelope, text, options.patience, this);
  if (std::exchange(is_expected_, false)) {
    office_.settler.expect_no_more();
    office_.sum.bytes_on_line += text.size();
  }
  if (delivery.broken) {
    trip.line_is_over = true;
    trip.why = delivery.broken->text;
    errand->words += (errand->words.empty() ? "" : "; ") + words_of(delivery);
  } else {
    errand->words = words_of(delivery);
  }
  trip.is_our_fault = is_left_ || is_gate_shut_ || text.problem().has_value();
  if (text.problem()) {
    const Error problem = *text.problem();
    co_await stumbled(errand, problem);
    co_return;
  }
  // Before a dot that may not go out nothing has become of the message.
  if (is_gate_shut_) co_return put_back(*errand, group);

  const Circumstances circumstances{has_served_, errand->was_on_line, is_left_};
  auto verdict = judge(delivery, group, circumstances);
  if (spares_mail && verdict.grievance) {
    for (const auto& one : std::exchange(verdict.attempt.put_off, {})) verdict.again.push_back(one.recipient);
  }
  if (delivery.in_doubt) {
    office_.log.warn("the line broke before the answer to a message came: it may arrive twice",
                     {{"id", errand->letter.id}, {"why", trip.why}});
  }
  trip.got_through = trip.got_through || verdict.got_through();
  trip.grievance = verdict.grievance;
  file(errand, std::move(verdict));
}

// Our own disk ended the transaction, and the line with it: the message has begun and must not end.
Task<> Courier::stumbled(std::shared_ptr<Errand> errand, const Error& problem) {
  errand->rest.clear();
  if (problem.code != Errc::malformed) {
    Verdict verdict;
    verdict.attempt.trouble = "the message cannot be read: " + problem.text;
    file(errand, std::move(verdict));
    co_return;
  }
  co_await settled();
  office_.feed.reconsider(*errand);
}

// Who cannot be named to the host has failed. One bad address must not take the others with it.
void Courier::refuse(const std::shared_ptr<Errand>& errand, const std::vector<std::size_t>& group, const Error& why) {
  if (group.size() > 1) {
    errand->one_by_one = true;
    return put_back(*errand, group);
  }
  Verdict verdict;
  verdict.attempt.failed.push_back({group.front(), smtp::Reply(553, "5.1.3 " + why.text)});
  errand->words = "553 5.1.3 " + why.text;
  file(errand, std::move(verdict));
}

void Courier::file(const std::shared_ptr<Errand>& errand, Verdict verdict) {
  put_back(*errand, verdict.again);
  add_up(*errand, verdict.attempt);
  // What is put off as a whole is not tried further now, on this line or another.
  const bool is_put_off_whole = !verdict.attempt.trouble.empty() || (verdict.grievance && verdict.again.empty());
  if (is_put_off_whole) {
    errand->put_off = errand->letter.waiting.size() - errand->sent - errand->failed;
    errand->rest.clear();
  }
  give_up_when_old(*errand);
  if (errand->put_off > 0) note_put_off(verdict.attempt);
  has_served_ = has_served_ || verdict.got_through();
  if (!says_anything(verdict.attempt)) return;
  verdict.attempt.id = errand->letter.id;
  last_ = office_.settler.settle(std::move(verdict.attempt), errand);
}

void Courier::note_put_off(const queue::Attempt& attempt) {
  auto& sum = office_.sum;
  sum.has_put_off = true;
  if (!sum.why_is_put_off.empty()) return;
  if (!attempt.put_off.empty())
    sum.why_is_put_off = "the first answer was \"" + attempt.put_off.front().reply.joined() + "\"";
  else if (!attempt.trouble.empty())
    sum.why_is_put_off = "the first time because of: " + attempt.trouble;
}

namespace {

// As RFC 1870 counts, without the line that is ours.
std::uint64_t size_for_others(const spool::MessageReader& message) {
  const auto& attributes = message.envelope().attributes;
  const auto trace = attributes.find(queue::k_trace_size);
  const auto ours = trace == attributes.end() ? std::nullopt : parse_number(trace->second);
  return message.size() - std::min(message.size(), ours.value_or(0));
}

}  // namespace

void Courier::add_up(Errand& errand, const queue::Attempt& attempt) {
  auto& tally = office_.sum.tally;
  if (!attempt.sent.empty() && errand.sent == 0) {
    ++tally.messages;
    tally.bytes += size_for_others(errand.letter.message);
  }
  if (!attempt.failed.empty() && errand.failed == 0) ++tally.bounced;
  tally.recipients += attempt.sent.size();
  errand.sent += attempt.sent.size();
  errand.failed += attempt.failed.size();
  errand.put_off += attempt.put_off.size();
}

// What is put off after the end of its lifetime has failed: the queue makes the same of it.
void Courier::give_up_when_old(Errand& errand) {
  const auto age = queue::age(errand.letter.since, session_.stream().clock().wall());
  if (errand.put_off == 0 || age <= office_.options.lifetime) return;
  if (errand.failed == 0) ++office_.sum.tally.bounced;
  errand.failed += std::exchange(errand.put_off, 0);
}

void Courier::finish(const Errand& errand) {
  auto& sum = office_.sum;
  if (errand.sent == 0 && errand.put_off > 0) ++sum.tally.deferred;
  if (sum.on_progress) sum.on_progress(sum.tally);
  const auto& envelope = errand.letter.message.envelope();
  const std::chrono::duration<double> seconds = session_.stream().clock().now() - errand.begun;
  office_.log.info("message", {{"id", errand.letter.id},
                               {"from", "<" + envelope.reverse_path + ">"},
                               {"to", addressees(envelope)},
                               {"bytes", std::to_string(errand.letter.message.size())},
                               {"sent", std::to_string(errand.sent)},
                               {"put_off", std::to_string(errand.put_off)},
                               {"failed", std::to_string(errand.failed)},
                               {"reply", errand.words},
                               {"seconds", fmt::format("{:.3f}", seconds.count())}});
}

}  // namespace odmr::send
