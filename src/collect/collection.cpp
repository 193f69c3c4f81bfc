#include "collect/collection.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/ascii.hpp"
#include "net/digest.hpp"

namespace odmr::collect {

using net::Task;
using smtp::Reply;
using How = CollectionEnd::How;

namespace {

constexpr std::size_t k_longest_header = std::size_t{256} * 1024;
// What is on its way to us while the target has another one; and what is read in vain where the session ends then.
constexpr std::uint64_t k_most_ahead = std::uint64_t{256} * 1024;
constexpr std::size_t k_most_asked = 16;
constexpr std::size_t k_forgotten_at_once = 1000;

// Nothing has to be seen of the provider before the target's dot: a message that is offered again is known.
class NobodyWaits final : public server::Peer {
 public:
  Task<bool> is_there() override { co_return true; }
};

std::uint64_t hash_of(std::string_view uid) {
  return std::hash<std::string_view>()(uid);
}

std::string called(const Listed& message) {
  return message.uid.empty() ? "number " + std::to_string(message.number) : message.uid;
}

}  // namespace

Collection::Collection(const CollectionOptions& options, const Addressing& addressing, Mailbox& mailbox,
                       receive::Reception& reception, journal::Journal& journal, Clock& clock, Log& log, Stop& stop)
    : options_(options),
      addressing_(addressing),
      mailbox_(mailbox),
      reception_(reception),
      journal_(journal),
      clock_(clock),
      log_(log),
      stop_(stop) {}

journal::Origin Collection::origin(std::string uid) const {
  return {options_.provider, mailbox_.name(), std::move(uid)};
}

Task<CollectionEnd> Collection::run() {
  bool is_over = false;
  const Stop::Listener listener(stop_, [this, &is_over](Stop::Phase phase) {
    if (is_over) return;
    if (phase == Stop::Phase::leave) mailbox_.leave();
    if (is_looking_) mailbox_.interrupt();
  });
  is_looking_ = true;
  const auto looked = co_await look();
  is_looking_ = false;
  if (looked && !end_.lacks_names) {
    const auto collected = co_await collect_all();
    if (!collected) lost(collected.error());
  } else if (!looked) {
    lost(looked.error());
    if (looked.error().code == Errc::io && end_.how == How::lost) end_.how = How::refused;
  }
  if (end_.how != How::lost && end_.how != How::left && end_.how != How::refused) co_await finish();
  is_over = true;
  if (end_.how == How::lost || end_.how == How::left || end_.how == How::refused) mailbox_.leave();
  co_return std::move(end_);
}

void Collection::lost(const Error& error) {
  end_.how = stop_.phase() == Stop::Phase::leave ? How::left : How::lost;
  end_.text = error.text;
}

// --- what is there

Task<Result<void>> Collection::look() {
  const std::function<Result<void>(Listed &&)> seen = [this](Listed&& message) { return see(std::move(message)); };
  auto listed = co_await mailbox_.list(options_.unseen_only, options_.keeping.leave_up_to != 0, seen);
  if (!listed || end_.lacks_names) co_return listed;
  std::vector<Listed> due(std::make_move_iterator(due_.begin()), std::make_move_iterator(due_.end()));
  listed = co_await mailbox_.add_sizes(due);
  due_.assign(std::make_move_iterator(due.begin()), std::make_move_iterator(due.end()));
  log_.info("mailbox listed", {{"messages", std::to_string(end_.listed)}, {"new", std::to_string(end_.fresh)}});
  if (!listed) co_return listed;
  co_return co_await forget_what_is_gone();
}

Result<void> Collection::see(Listed&& message) {
  ++end_.listed;
  size_ += message.size;
  const auto& keeping = options_.keeping;
  // By its bytes a message that is left there could not be told from another one like it.
  if (message.uid.empty() && keeping.leaves) end_.lacks_names = true;
  if (end_.lacks_names) return {};
  std::optional<WallTime> collected;
  if (!message.uid.empty()) {
    present_.push_back(hash_of(message.uid));
    auto found = journal_.collected(origin(message.uid));
    if (!found) return fail(found.error());
    collected = *found;
  }
  if (collected) {
    ++known_;
    const bool is_due = !keeping.leaves || (keeping.leave_for && clock_.wall() - *collected >= *keeping.leave_for);
    if (is_due) {
      size_ -= message.size;
      mailbox_.remove(message);
    } else if (keeping.leave_up_to != 0) {
      message.uid.clear();
      kept_.push_back(std::move(message));
    }
    return {};
  }
  if (!message.is_wanted) return {};
  ++end_.fresh;
  if (due_.size() < options_.most_at_once)
    due_.push_back(std::move(message));
  else
    end_.how = How::more;
  return {};
}

// What the server has no more need not be remembered. A server that shows an empty mailbox once, and a full one the
// next time, must not have all of it delivered again.
Task<Result<void>> Collection::forget_what_is_gone() {
  if (present_.empty()) co_return Result<void>();
  std::sort(present_.begin(), present_.end());
  std::vector<journal::Origin> gone;
  auto looked = journal_.each_collected(origin({}), [&](std::string_view uid) {
    const bool is_there = std::binary_search(present_.begin(), present_.end(), hash_of(uid));
    if (!is_there && gone.size() < k_forgotten_at_once) gone.push_back(origin(std::string(uid)));
  });
  present_ = {};
  if (!looked || gone.empty()) co_return looked;
  co_return co_await journal_.forget_collected(gone);
}

// --- message by message

bool Collection::goes_on() const {
  return !stop_.requested() && !reception_.has_had_enough() && clock_.now() < reception_.takes_mail_until();
}

bool Collection::is_too_large(const Listed& message) {
  const bool is_for_ever = options_.max_size != 0 && message.size > options_.max_size;
  const bool is_for_now = options_.max_size_for_now != 0 && message.size > options_.max_size_for_now;
  if (!is_for_ever && !is_for_now) return false;
  const auto most = std::to_string(is_for_ever ? options_.max_size : options_.max_size_for_now);
  const Reply reply = is_for_ever ? Reply(552, "5.3.4 at most " + most + " octets are taken here")
                                  : Reply(452, "4.3.4 over this line at most " + most + " octets are taken");
  reception_.on_left_there(called(message), reply);
  if (reply.is_permanent()) settle(message, reply);
  return true;
}

void Collection::ask_ahead() {
  while (!due_.empty() && goes_on() && asked_.size() < k_most_asked) {
    if (is_too_large(due_.front())) {
      due_.pop_front();
      continue;
    }
    if (!asked_.empty() && asked_size_ + due_.front().size > k_most_ahead) break;
    mailbox_.ask_for(due_.front());
    asked_size_ += due_.front().size;
    asked_.push_back(std::move(due_.front()));
    due_.pop_front();
  }
}

Task<Result<void>> Collection::collect_all() {
  for (;;) {
    ask_ahead();
    if (asked_.empty() || !goes_on()) break;
    const Listed message = std::move(asked_.front());
    asked_.pop_front();
    const auto begun = co_await mailbox_.begin();
    if (!begun) co_return fail(begun.error());
    if (*begun) {
      auto collected = co_await collect(message);
      if (!collected) co_return collected;
    }
    asked_size_ -= message.size;
  }
  if (!asked_.empty() || !due_.empty()) {
    end_.how = How::stopped;
    end_.text = stop_.requested() ? "stopped by a signal" : "stopped between messages";
  }
  co_return Result<void>();
}

// The next piece with CRLF line ends; false at the message's end, where its last line end has been added if it lacks
// one.
Task<Result<bool>> Collection::read_piece(std::string& into) {
  if (is_whole_) co_return false;
  std::string raw;
  const auto more = co_await mailbox_.read(raw);
  if (!more) co_return fail(more.error());
  if (*more) {
    static_cast<void>(line_ends_.pass(raw, into));
    co_return true;
  }
  is_whole_ = true;
  line_ends_.finish(into);
  co_return !into.empty();
}

Task<Result<void>> Collection::pass_over() {
  std::string piece;
  for (bool goes_on = true; goes_on;) {
    piece.clear();
    const auto more = co_await read_piece(piece);
    if (!more) co_return fail(more.error());
    goes_on = *more;
  }
  co_return Result<void>();
}

// Who a message is for is in its header, so that comes first.
Task<Result<void>> Collection::read_header() {
  header_.clear();
  is_whole_ = has_whole_header_ = false;
  line_ends_ = mail::LineEnds(mail::LineEnds::LoneCr::space);
  for (std::size_t looked_at = 0; header_.size() < k_longest_header;) {
    const bool is_empty = header_.starts_with("\r\n");
    has_whole_header_ = is_empty || header_.find("\r\n\r\n", looked_at) != std::string::npos;
    if (has_whole_header_) break;
    looked_at = header_.size() < 3 ? 0 : header_.size() - 3;
    const auto more = co_await read_piece(header_);
    if (!more) co_return fail(more.error());
    has_whole_header_ = !*more;
    if (!*more) break;
  }
  co_return Result<void>();
}

Task<Result<void>> Collection::collect(const Listed& message) {
  end_.inside_message = true;
  auto read = co_await read_header();
  if (!read) co_return read;
  const bool is_taken = co_await say_envelope(message);
  if (!is_taken) {
    read = co_await pass_over();
    end_.inside_message = false;
    if (read) co_await mailbox_.send();
    co_return read;
  }
  in_hand_ = message;
  read = co_await pass_content();
  if (!read && end_.inside_message) co_await reception_.on_abandon();
  co_return read;
}

// Whose copies are one: the header as far as they have it in common, and every octet of the body.
void Collection::begin_copy_digest(const std::string& identity) {
  std::string header = net::sha256(identity);
  copy_digest_.emplace();
  copy_digest_->update(header);
  const auto end = header_.starts_with("\r\n") ? 0 : header_.find("\r\n\r\n");
  if (end != std::string::npos) copy_digest_->update(std::string_view(header_).substr(end + (end == 0 ? 2 : 4)));
  reception_.may_be_copy(std::move(header));
}

// MAIL, RCPT and DATA. False: nothing of the content is wanted.
Task<bool> Collection::say_envelope(const Listed& message) {
  Envelope envelope = addressing_(header_, has_whole_header_);
  if (envelope.is_loop || envelope.recipients.empty()) {
    if (envelope.is_loop) ++end_.loops;
    const Reply reply = envelope.is_loop
                            ? Reply(554, "5.4.6 this message has come through here: it goes round in a loop")
                            : Reply(550, "5.1.1 nobody can be told whom it is for: " + envelope.found);
    reception_.on_left_there(called(message), reply);
    settle(message, reply);
    co_return false;
  }
  log_.debug("whom it is for", {{"message", called(message)}, {"by", envelope.found}});
  copy_digest_.reset();
  if (envelope.copy_identity) begin_copy_digest(*envelope.copy_identity);
  header_ = std::move(envelope.beginning);
  smtp::MailCommand mail;
  mail.reverse_path = std::move(envelope.reverse_path);
  mail.body = smtp::BodyType::eight_bit_mime;
  mail.smtputf8 = !mail.reverse_path.is_null && mail.reverse_path.mailbox.needs_smtputf8();
  const server::Hello hello{options_.server, true};
  reception_.comes_from(message.uid);
  smtp::Ahead ahead;
  ahead.content = true;
  for (const auto& one : envelope.recipients) {
    ahead.recipients.emplace_back();
    ahead.recipients.back().forward_path.mailbox = one;
  }
  const auto recipients = ahead.recipients;
  reception_.on_ahead(std::move(ahead));
  const Reply reply = co_await reception_.on_mail(mail, hello);
  if (!reply.is_positive()) {
    settle(message, reply);
    co_return false;
  }
  for (const auto& rcpt : recipients) {
    const Reply said = co_await reception_.on_rcpt(rcpt);
    static_cast<void>(said);  // it counts with the answer to the message
  }
  const auto refused = co_await reception_.on_data();
  if (!refused) co_return true;
  co_await reception_.on_abandon();
  settle(message, *refused);
  co_return false;
}

Task<Result<void>> Collection::pass_content() {
  co_await reception_.on_content(header_);
  std::uint64_t size = header_.size();
  header_ = {};
  std::string piece;
  for (bool goes_on = true; goes_on;) {
    piece.clear();
    const auto more = co_await read_piece(piece);
    if (!more) co_return fail(more.error());
    goes_on = *more;
    if (piece.empty()) continue;
    size += piece.size();
    if (copy_digest_) copy_digest_->update(piece);
    co_await reception_.on_content(piece);
  }
  co_return co_await hand_over(size);
}

// The provider sends the next message while the target has this one.
Task<Result<void>> Collection::hand_over(std::uint64_t size) {
  end_.inside_message = false;
  ask_ahead();
  auto sent = co_await mailbox_.send();
  NobodyWaits peer;
  if (copy_digest_) reception_.comes_whole(copy_digest_->finish());
  copy_digest_.reset();
  server::ContentEnd end;
  end.size = size;
  const auto answer = co_await reception_.on_end(end, peer);
  settle(in_hand_, answer.reply);
  co_return sent;
}

void Collection::settle(const Listed& message, const Reply& reply) {
  if (reply.is_permanent() && end_.refused++ == 0) end_.first_refusal = reply.joined();
  if (!reply.is_positive()) return;
  const auto& keeping = options_.keeping;
  if (!keeping.leaves) {
    size_ -= std::min(size_, message.size);
    return mailbox_.remove(message);
  }
  if (options_.marks_seen) mailbox_.mark_seen(message);
  if (keeping.leave_up_to != 0) kept_.push_back(Listed{message.number, message.size, {}, true});
}

// --- the end

void Collection::remove_for_room() {
  if (options_.keeping.leave_up_to == 0) return;
  std::sort(kept_.begin(), kept_.end(), [](const Listed& a, const Listed& b) { return a.number < b.number; });
  while (size_ > options_.keeping.leave_up_to && !kept_.empty()) {
    size_ -= std::min(size_, kept_.front().size);
    mailbox_.remove(kept_.front());
    kept_.pop_front();
  }
}

Task<> Collection::finish() {
  remove_for_room();
  const auto closed = co_await mailbox_.close();
  // What came by its bytes alone will not be offered again.
  if (closed) reception_.on_answers_read();
  if (!closed) lost(closed.error());
}

}  // namespace odmr::collect
