#include "queue/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "queue/schedule.hpp"

namespace odmr::queue {

namespace {

using Kind = Note::Kind;

// Whether NOTIFY, a list of words, has this one. Without NOTIFY the choice is ours (RFC 3461 4.1).
bool wants(const spool::Recipient& recipient, std::string_view word) {
  const auto notify = recipient.attributes.find("notify");
  if (notify == recipient.attributes.end()) return true;
  std::string_view rest = notify->second;
  while (!rest.empty()) {
    const auto comma = std::min(rest.find(','), rest.size());
    if (equals_ignoring_case(trim(rest.substr(0, comma)), word)) return true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return false;
}

template <class Is>
std::vector<std::size_t> places_where(const std::vector<Record::Recipient>& recipients, Is is) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    if (is(recipients[i])) places.push_back(i);
  }
  return places;
}

bool is_waiting(const Record::Recipient& one) {
  return one.standing == Standing::waiting;
}

bool is_to_be_told(const Record::Recipient& one) {
  return one.standing == Standing::failed && !one.is_stuck;
}

}  // namespace

Record::Record(std::string message_id, const spool::MessageReader& message, const spool::Store::Notes& notes_about_it)
    : id(std::move(message_id)),
      arrival(message.envelope().arrival),
      size(message.size()),
      reverse_path(message.envelope().reverse_path),
      notes(notes_about_it.size) {
  for (const auto& one : message.envelope().recipients) {
    Recipient recipient;
    recipient.address = one.address;
    recipient.wants_failure = wants(one, "FAILURE");
    recipient.wants_delay = wants(one, "DELAY");
    recipients.push_back(std::move(recipient));
  }
  for (const auto& text : notes_about_it.texts) {
    if (const auto note = parse_note(text)) add(*note);
  }
}

void Record::add(const Note& note) {
  switch (note.kind) {
    case Kind::sent:
    case Kind::failed:
    case Kind::told:
    case Kind::undeliverable:
      if (note.recipient < recipients.size()) add_about(recipients[note.recipient], note);
      return;
    case Kind::retry:
      for (auto& one : recipients) {
        if (one.standing != Standing::failed || !one.is_stuck) continue;
        one.standing = Standing::waiting;
        one.is_stuck = false;
      }
      return;
    case Kind::hold:
    case Kind::release:
      is_held = note.kind == Kind::hold;
      return;
    case Kind::delay_told:
      is_delay_told = true;
      return;
    case Kind::seen:
      first_seen = note.when;
      return;
  }
}

void Record::add_about(Recipient& recipient, const Note& note) const {
  switch (note.kind) {
    case Kind::sent:
      recipient.standing = Standing::sent;
      return;
    case Kind::failed:
      recipient.standing = Standing::failed;
      recipient.reply = note.reply;
      recipient.failed_at = note.when;
      // RFC 5321 6.1: a failure of mail from the null reverse-path is told to nobody.
      recipient.is_stuck = reverse_path.empty();
      return;
    case Kind::told:
      recipient.standing = Standing::told;
      return;
    default:
      recipient.is_stuck = recipient.standing == Standing::failed;
      recipient.why_stuck = note.reply;
      return;
  }
}

bool Record::is_ahead(WallTime now) const {
  return arrival > now + std::chrono::hours(24);
}

WallTime Record::waits_since(WallTime now) const {
  return is_ahead(now) ? first_seen.value_or(now) : arrival;
}

std::vector<std::size_t> Record::waiting() const {
  return places_where(recipients, is_waiting);
}

std::vector<std::size_t> Record::to_be_told() const {
  return places_where(recipients, is_to_be_told);
}

std::vector<std::size_t> Record::to_hear_of_delay() const {
  if (is_delay_told || reverse_path.empty()) return {};
  return places_where(recipients, [](const Recipient& one) { return is_waiting(one) && one.wants_delay; });
}

bool Record::is_over() const {
  return std::all_of(recipients.begin(), recipients.end(), [](const Recipient& one) {
    return one.standing == Standing::sent || one.standing == Standing::told;
  });
}

Stopped Record::stopped() const {
  if (is_held) return Stopped::held;
  const bool has_work = std::any_of(recipients.begin(), recipients.end(),
                                    [](const Recipient& one) { return is_waiting(one) || is_to_be_told(one); });
  return has_work || is_over() ? Stopped::no : Stopped::undeliverable;
}

bool Record::is_untold() const {
  return waiting().empty() && !to_be_told().empty();
}

std::string Record::why_untold() const {
  const auto stuck = std::find_if(recipients.begin(), recipients.end(),
                                  [](const Recipient& one) { return one.is_stuck && !one.why_stuck.empty(); });
  return stuck == recipients.end() ? std::string() : stuck->why_stuck;
}

WallTime Record::failed_since() const {
  auto since = WallTime::max();
  for (const auto& one : recipients) {
    if (is_to_be_told(one)) since = std::min(since, one.failed_at);
  }
  return since;
}

// --- judging an attempt

namespace {

class Verdict {
 public:
  Verdict(const Record& record, WallTime now) : now_(now) {
    for (const auto& one : record.recipients) {
      waits_.push_back(is_waiting(one));
      wants_failure_.push_back(one.wants_failure);
    }
  }

  bool waits(std::size_t recipient) const { return recipient < waits_.size() && waits_[recipient]; }

  void sent(std::size_t recipient) {
    if (!waits(recipient)) return;
    notes_.push_back({Kind::sent, recipient, {}, {}});
    waits_[recipient] = false;
  }

  void failed(std::size_t recipient, const std::string& reply) {
    if (!waits(recipient)) return;
    notes_.push_back({Kind::failed, recipient, now_, reply});
    // Who does not want to hear of it needs to hear no more.
    if (!wants_failure_[recipient]) notes_.push_back({Kind::told, recipient, {}, {}});
    waits_[recipient] = false;
  }

  std::vector<Note> notes() && { return std::move(notes_); }

 private:
  WallTime now_;
  std::vector<bool> waits_;
  std::vector<bool> wants_failure_;
  std::vector<Note> notes_;
};

}  // namespace

std::vector<Note> judge(const Record& record, const Attempt& attempt, WallTime now, Duration lifetime) {
  Verdict verdict(record, now);
  for (const std::size_t recipient : attempt.sent) verdict.sent(recipient);
  for (const auto& one : attempt.failed) verdict.failed(one.recipient, one.reply.joined());
  if (age(record.waits_since(now), now) <= lifetime) return std::move(verdict).notes();

  // RFC 3463 X.4.7: delivery time expired.
  const auto late = [&](const std::string& last) {
    return fmt::format("451 4.4.7 not sent within {}; last: {}", in_words(lifetime), last);
  };
  for (const auto& one : attempt.put_off) verdict.failed(one.recipient, late(one.reply.joined()));
  for (std::size_t i = 0; i < record.recipients.size() && !attempt.trouble.empty(); ++i) {
    verdict.failed(i, late(attempt.trouble));
  }
  return std::move(verdict).notes();
}

}  // namespace odmr::queue
