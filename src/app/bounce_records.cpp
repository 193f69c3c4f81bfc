#include "app/bounce_records.hpp"

#include <algorithm>

#include "app/header_of.hpp"
#include "base/ascii.hpp"
#include "mail/notice.hpp"
#include "net/digest.hpp"
#include "queue/intake.hpp"
#include "queue/needs.hpp"
#include "smtp/path.hpp"
#include "spool/store.hpp"

namespace odmr::app {

namespace {

constexpr std::string_view k_queued_as = "queued ";

class Records {
 public:
  Records(spool::Store bounces, spool::Store queue, const std::string& hostname, Clock& clock, Log& log)
      : bounces_(std::move(bounces)), queue_(std::move(queue)), hostname_(hostname), clock_(clock), log_(log) {}

  Result<void> queue_all() {
    const auto listing = bounces_.list();
    if (!listing) return fail(listing.error());
    for (const auto& [name, why] : listing->skipped) {
      log_.warn("a bounce record is not touched", {{"file", name}, {"why", why}});
    }
    for (const auto& id : listing->ids) {
      auto done = queue_one(id);
      if (!done) return done;
    }
    return {};
  }

 private:
  Result<void> queue_one(const std::string& id) {
    const auto is_queued = is_in_queue(id);
    if (!is_queued) return fail(is_queued.error());
    if (*is_queued) return bounces_.remove(id);
    auto record = bounces_.open(id);
    if (!record) return set_aside_or_fail(id, record.error());
    const auto& envelope = record->envelope();
    if (!smtp::parse_mailbox(envelope.reverse_path)) return give_up(id, envelope);
    const auto header = header_of(*record, Damaged::is_refused);
    if (!header) return set_aside_or_fail(id, header.error());
    auto queued = put(id, envelope, *header);
    if (!queued) return queued;
    return bounces_.remove(id);
  }

  Result<bool> is_in_queue(const std::string& id) const {
    const auto notes = bounces_.notes(id);
    if (!notes) return fail(notes.error());
    for (const auto& text : notes->texts) {
      const auto queue_id = text.starts_with(k_queued_as) ? text.substr(k_queued_as.size()) : std::string();
      if (!spool::Store::is_id(queue_id)) continue;
      auto is_there = queue_.contains(queue_id);
      if (!is_there || *is_there) return is_there;
    }
    return false;
  }

  Result<void> set_aside_or_fail(const std::string& id, const Error& error) {
    if (error.code != Errc::malformed) return fail(error);
    log_.error("a bounce record is damaged and set aside: a sender will not be told",
               {{"id", id}, {"why", error.text}});
    return bounces_.set_aside(id, error.text);
  }

  Result<void> give_up(const std::string& id, const spool::Envelope& envelope) {
    for (const auto& recipient : envelope.recipients) {
      const auto reply = recipient.attributes.find("reply");
      log_.error("received mail was refused and has no sender to tell; its header is set aside",
                 {{"id", id},
                  {"reverse_path", envelope.reverse_path},
                  {"recipient", recipient.address},
                  {"reply", reply == recipient.attributes.end() ? "" : reply->second}});
    }
    return bounces_.set_aside(id, "nobody can be told: the reverse-path <" + envelope.reverse_path + "> is no address");
  }

  mail::DeliveryStatus status_of(const std::string& id, const spool::Envelope& record) const {
    mail::DeliveryStatus status;
    status.hostname = hostname_;
    status.addressee = record.reverse_path;
    status.arrival = record.arrival;
    status.now = clock_.wall();
    status.message_id = id + "." + net::hex(net::random_octets(16));
    // What the smart host takes is not known here, and what every host takes says the same.
    status.internationalized = !is_ascii(record.reverse_path);
    for (const auto& recipient : record.recipients) {
      const auto reply = recipient.attributes.find("reply");
      status.recipients.push_back(
          {recipient.address, "", reply == recipient.attributes.end() ? "" : reply->second, std::string()});
    }
    return status;
  }

  Result<void> put(const std::string& id, const spool::Envelope& record, const std::string& header) {
    const auto frame = mail::frame(status_of(id, record), !is_ascii(header), false);
    spool::Envelope envelope;
    envelope.arrival = clock_.wall();
    envelope.attributes = queue::needs_of(frame.needs_smtputf8, "", frame.needs_8bit);
    envelope.recipients.push_back({record.reverse_path, {}});
    auto draft = queue_.begin(envelope);
    if (!draft) return fail(draft.error());
    for (const std::string_view piece :
         {std::string_view(frame.before), std::string_view(header), std::string_view(frame.after)}) {
      auto written = draft->write(piece);
      if (!written) return written;
    }
    auto noted = bounces_.note(id, {std::string(k_queued_as) + draft->id()});
    if (!noted) return noted;
    const auto queued = draft->commit();
    if (!queued) return fail(queued.error());
    log_.info("received mail was refused: a bounce is queued",
              {{"id", id}, {"queue_id", *queued}, {"to", record.reverse_path}});
    return {};
  }

  spool::Store bounces_;
  spool::Store queue_;
  const std::string& hostname_;
  Clock& clock_;
  Log& log_;
};

}  // namespace

Result<void> queue_bounce_records(const BouncePlace& place, Clock& clock, Log& log, FileOps& files) {
  auto bounces = spool::Store::in(place.records, files);
  if (!bounces) return fail(bounces.error());
  auto queue = spool::Store::in(place.queue, files);
  if (!queue) return fail(queue.error());
  return Records(std::move(*bounces), std::move(*queue), place.hostname, clock, log).queue_all();
}

}  // namespace odmr::app
