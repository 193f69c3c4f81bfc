#include "queue/intake.hpp"

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "mail/submission.hpp"
#include "queue/attributes.hpp"
#include "queue/needs.hpp"

namespace odmr::queue {

namespace {

// So much of a message is kept back to see whether it has 8-bit text. Of a longer one it is assumed: a hop that offers
// 8BITMIME takes either.
constexpr std::size_t k_look = std::size_t{256} * 1024;

}  // namespace

struct Intake::State {
  spool::Store& store;
  spool::Envelope envelope;
  IntakeOptions options;
  mail::Beginning beginning;
  std::optional<spool::Store::Draft> draft;
  bool is_begun = false;
  std::uint64_t size = 0;  // then
  std::optional<Error> failed;

  Result<void> write(std::string_view piece);
  Result<std::string> commit();
  Result<void> begin(bool is_all);
  Result<void> put(std::string_view piece);
  Result<void> within_limit(std::uint64_t size_so_far) const;
  std::string made_whole() const;
  void note_trace_size();
};

Result<void> Intake::State::write(std::string_view piece) {
  if (draft) return put(piece);
  if (auto added = beginning.add(piece); !added) return added;
  const auto so_far = beginning.text().size();
  if (auto small = within_limit(so_far); !small) return small;
  return beginning.has_header() && so_far >= k_look ? begin(false) : Result<void>();
}

Result<std::string> Intake::State::commit() {
  if (!draft) {
    if (auto begun = begin(true); !begun) return fail(begun.error());
  }
  return draft->commit();
}

std::string Intake::State::made_whole() const {
  mail::Completion completion;
  completion.add_missing = options.complete;
  completion.remove_bcc = options.remove_bcc;
  completion.date = envelope.arrival;
  if (options.complete) {
    completion.from = options.from;
    completion.message_id = mail::new_message_id(envelope.arrival, options.hostname);
  }
  return mail::completed(beginning.text(), completion);
}

// The envelope is written before the id is known; every id has the same length.
void Intake::State::note_trace_size() {
  if (!options.received) return;
  mail::Received received = *options.received;
  if (received.id.empty()) received.id = spool::Store::sample_id();
  envelope.attributes[k_trace_size] = std::to_string(mail::format(received).size());
}

Result<void> Intake::State::begin(bool is_all) {
  mail::Beginning whole(false);
  if (auto added = whole.add(made_whole()); !added) return added;
  const bool is_eight_bit = !is_all || !is_ascii(whole.text());
  note_trace_size();
  envelope.attributes.merge(needs_of(has_utf8_address(envelope), whole.header(), is_eight_bit));
  auto begun = store.begin(envelope);
  if (!begun) return fail(begun.error());
  draft.emplace(std::move(*begun));
  is_begun = true;
  if (options.received) {
    if (options.received->id.empty()) options.received->id = draft->id();
    if (auto traced = put(mail::format(*options.received)); !traced) return traced;
  }
  return put(whole.text());
}

Result<void> Intake::State::put(std::string_view piece) {
  if (auto small = within_limit(size + piece.size()); !small) return small;
  size += piece.size();
  return draft->write(piece);
}

Result<void> Intake::State::within_limit(std::uint64_t size_so_far) const {
  if (options.max_size == 0 || size_so_far <= options.max_size) return {};
  return fail(Errc::too_long, fmt::format("the message is larger than {} bytes", options.max_size));
}

std::string directory_in(const std::string& state_dir) {
  return state_dir + "/queue";
}

Intake::Intake(spool::Store& store, spool::Envelope envelope, IntakeOptions options)
    : state_(std::make_unique<State>(
          State{store, std::move(envelope), std::move(options), mail::Beginning(false), {}, false, 0, {}})) {
  if (state_->options.complete) state_->beginning = mail::Beginning(true);
}

Intake::~Intake() = default;
Intake::Intake(Intake&&) noexcept = default;

Result<void> Intake::write(std::string_view piece) {
  if (state_->failed) return fail(*state_->failed);
  auto written = state_->write(piece);
  if (!written) {
    state_->failed = written.error();
    state_->draft.reset();
  }
  return written;
}

Result<std::string> Intake::commit() {
  if (state_->failed) return fail(*state_->failed);
  auto id = state_->commit();
  // Also after a good end: a message is committed once.
  state_->failed = id ? Error{Errc::io, "the message was committed before"} : id.error();
  state_->draft.reset();
  return id;
}

std::uint64_t Intake::size() const {
  return state_->is_begun ? state_->size : state_->beginning.text().size();
}

}  // namespace odmr::queue
