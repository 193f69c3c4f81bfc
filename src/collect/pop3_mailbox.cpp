#include "collect/pop3_mailbox.hpp"

#include <algorithm>
#include <utility>

namespace odmr::collect {

using net::Task;
using pop3::Status;

namespace {

// Of RETR and DELE (RFC 2449 6.8). A small number: their answers wait in no buffer of ours.
constexpr std::size_t k_most_under_way = 20;
constexpr std::size_t k_most_messages = 1'000'000;

Listed listed_as(std::uint32_t number, const std::vector<pop3::Listed>& sizes) {
  Listed message;
  message.number = number;
  const auto found =
      std::lower_bound(sizes.begin(), sizes.end(), number,
                       [](const pop3::Listed& one, std::uint32_t wanted) { return one.number < wanted; });
  if (found != sizes.end() && found->number == number) message.size = found->size;
  return message;
}

}  // namespace

Pop3Mailbox::Pop3Mailbox(std::unique_ptr<Wire> wire, bool can_pipeline)
    : wire_(std::move(wire)), most_under_way_(can_pipeline ? k_most_under_way : 1) {}

std::string Pop3Mailbox::with() const {
  return wire_->stream().tls() ? "POP3S" : "POP3";
}

std::string Pop3Mailbox::name() const {
  return "pop3:" + wire_->server().login->user;
}

std::string Pop3Mailbox::tls() const {
  const auto& tls = wire_->stream().tls();
  return tls ? tls->version + " " + tls->cipher : std::string();
}

Task<Result<Status>> Pop3Mailbox::read_status() {
  auto line = co_await wire_->read_line(pop3::k_longest_line);
  if (!line) co_return fail(line.error());
  auto status = pop3::parse_status(*line);
  if (!status || status->kind == Status::Kind::challenge) co_return fail(out_of_step(*wire_, "not POP3: " + *line));
  co_return std::move(*status);
}

// --- what is there

Task<Result<void>> Pop3Mailbox::list(bool /*unseen_only*/, bool /*wants_sizes*/,
                                     const std::function<Result<void>(Listed&&)>& see) {
  const bool at_once = most_under_way_ > 1;
  const std::string_view first = at_once ? "LIST\r\nUIDL\r\n" : "LIST\r\n";
  auto sent = co_await wire_->send(first);
  if (!sent) co_return sent;
  const auto sizes = co_await read_sizes();
  if (!sizes) co_return fail(sizes.error());
  if (!at_once) sent = co_await wire_->send("UIDL\r\n");
  if (!sent) co_return sent;
  co_return co_await read_names(*sizes, see);
}

Task<Result<std::vector<pop3::Listed>>> Pop3Mailbox::read_sizes() {
  const auto status = co_await read_status();
  if (!status) co_return fail(status.error());
  if (!status->is_ok()) co_return fail(Errc::io, "the server does not list the mailbox: \"" + status->text + "\"");
  std::vector<pop3::Listed> sizes;
  for (;;) {
    const auto line = co_await wire_->read_line(pop3::k_longest_line);
    if (!line) co_return fail(line.error());
    if (*line == ".") break;
    const auto listed = pop3::parse_listed(*line);
    if (!listed) co_return fail(out_of_step(*wire_, "LIST has a line that is none: " + *line));
    if (sizes.size() == k_most_messages)
      co_return fail(Errc::too_long, "the mailbox has more messages than can be meant");
    sizes.push_back(*listed);
  }
  const auto is_before = [](const pop3::Listed& a, const pop3::Listed& b) { return a.number < b.number; };
  if (!std::is_sorted(sizes.begin(), sizes.end(), is_before)) std::sort(sizes.begin(), sizes.end(), is_before);
  co_return sizes;
}

Task<Result<void>> Pop3Mailbox::read_names(const std::vector<pop3::Listed>& sizes,
                                           const std::function<Result<void>(Listed&&)>& see) {
  const auto status = co_await read_status();
  if (!status) co_return fail(status.error());
  if (!status->is_ok()) {
    // RFC 1939 7: UIDL is optional. Messages are then known by their content.
    for (const auto& one : sizes) {
      if (auto seen = see(listed_as(one.number, sizes)); !seen) co_return seen;
    }
    co_return Result<void>();
  }
  Result<void> seen;
  for (std::size_t count = 0;; ++count) {
    const auto line = co_await wire_->read_line(pop3::k_longest_line);
    if (!line) co_return fail(line.error());
    if (*line == ".") co_return seen;
    if (count == k_most_messages) co_return fail(Errc::too_long, "the mailbox has more messages than can be meant");
    const auto named = pop3::parse_named(*line);
    if (!named) co_return fail(out_of_step(*wire_, "UIDL has a line that is none: " + *line));
    Listed message = listed_as(named->number, sizes);
    message.uid = named->uid;
    // What is left is read all the same: QUIT has to follow.
    if (seen) seen = see(std::move(message));
  }
}

Task<Result<void>> Pop3Mailbox::add_sizes(std::vector<Listed>& /*messages*/) {
  co_return Result<void>();
}

// --- messages

void Pop3Mailbox::ask_for(const Listed& message) {
  queued_.push_back({Step::Kind::retrieve, message.number});
}

void Pop3Mailbox::remove(const Listed& message) {
  queued_.push_back({Step::Kind::remove, message.number});
}

Task<Result<void>> Pop3Mailbox::send() {
  std::string lines;
  while (!queued_.empty() && under_way_.size() < most_under_way_) {
    const Step& step = queued_.front();
    lines += (step.kind == Step::Kind::retrieve ? "RETR " : "DELE ") + std::to_string(step.number) + "\r\n";
    under_way_.push_back(step);
    queued_.pop_front();
  }
  if (lines.empty()) co_return Result<void>();
  co_return co_await wire_->send(lines);
}

void Pop3Mailbox::note_removed(const Step& step, const Status& status) {
  if (status.is_ok()) return;
  wire_->log().warn(
      "a message that has been delivered cannot be deleted at the provider; it is known, and not delivered again",
      {{"message", std::to_string(step.number)}, {"answer", status.text}});
}

// The answer to the oldest command under way. A message that begins stays there until it has been read.
Task<Result<Pop3Mailbox::Answered>> Pop3Mailbox::next_answer() {
  auto sent = co_await send();
  if (!sent) co_return fail(sent.error());
  if (under_way_.empty()) co_return fail(Errc::malformed, "no message has been asked for");
  const auto status = co_await read_status();
  if (!status) co_return fail(status.error());
  const Step step = under_way_.front();
  is_inside_ = step.kind == Step::Kind::retrieve && status->is_ok();
  if (is_inside_) {
    has_ended_ = false;
    decoder_ = smtp::DotDecoder();
    co_return Answered{step.kind, true};
  }
  under_way_.pop_front();
  if (step.kind == Step::Kind::remove)
    note_removed(step, *status);
  else
    wire_->log().warn("the server lists a message, and does not give it", {{"answer", status->text}});
  co_return Answered{step.kind, status->is_ok()};
}

Task<Result<bool>> Pop3Mailbox::begin() {
  for (;;) {
    const auto answered = co_await next_answer();
    if (!answered) co_return fail(answered.error());
    if (answered->kind == Step::Kind::retrieve) co_return answered->is_ok;
  }
}

Task<Result<bool>> Pop3Mailbox::read(std::string& into) {
  while (!has_ended_) {
    const std::size_t before = into.size();
    const auto progress = decoder_.decode(wire_->stream().buffered(), into);
    wire_->stream().consume(progress.consumed);
    has_ended_ = progress.ended;
    if (into.size() > before) co_return true;
    if (has_ended_) break;
    const auto filled = co_await wire_->fill();
    if (!filled) co_return fail(filled.error());
  }
  if (is_inside_) under_way_.pop_front();
  is_inside_ = false;
  co_return false;
}

// RFC 1939 6: only QUIT deletes what DELE has marked.
Task<Result<void>> Pop3Mailbox::close() {
  std::erase_if(queued_, [](const Step& one) { return one.kind == Step::Kind::retrieve; });
  std::string nothing;
  while (is_inside_ || !queued_.empty() || !under_way_.empty()) {
    if (!is_inside_) {
      const auto answered = co_await next_answer();
      if (!answered) co_return fail(answered.error());
      continue;
    }
    const auto more = co_await read(nothing);
    if (!more) co_return fail(more.error());
    nothing.clear();
  }
  auto sent = co_await wire_->send("QUIT\r\n");
  if (!sent) co_return sent;
  const auto status = co_await read_status();
  if (!status) co_return fail(status.error());
  co_await wire_->stream().finish();
  if (!status->is_ok()) co_return fail(Errc::io, "the server has not deleted all messages: \"" + status->text + "\"");
  co_return Result<void>();
}

}  // namespace odmr::collect
