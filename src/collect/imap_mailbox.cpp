#include "collect/imap_mailbox.hpp"

#include <algorithm>
#include <utility>

#include "imap/command.hpp"

namespace odmr::collect {

using imap::FetchItems;
using imap::Response;
using net::Task;
using Kind = Response::Kind;
using Verdict = Response::Verdict;

namespace {

constexpr std::size_t k_most_under_way = 20;
constexpr std::size_t k_most_messages = 1'000'000;
constexpr std::uint64_t k_largest_aside = std::uint64_t{1} << 20U;  // a literal that nobody asked for

std::string quote(const Response& response) {
  return "\"" + std::string(response.text) + "\"";
}

}  // namespace

// --- responses

Task<Result<Response>> ImapWire::read() {
  std::vector<std::uint32_t> nobody_asked;
  co_return co_await read(nobody_asked);
}

Task<Result<Response>> ImapWire::read(std::vector<std::uint32_t>& numbers) {
  auto& stream = wire_->stream();
  std::optional<bool> is_search = imap::SearchReader::is_search(stream.buffered());
  while (!is_search) {
    const auto filled = co_await wire_->fill();
    if (!filled) co_return fail(filled.error());
    is_search = imap::SearchReader::is_search(stream.buffered());
  }
  if (*is_search) {
    const auto ended = co_await search_ended(numbers);
    if (!ended) co_return fail(ended.error());
    co_return Response();
  }
  auto line = co_await wire_->read_line(imap::k_longest_line);
  if (!line) co_return fail(line.error());
  line_ = std::move(*line);
  auto response = imap::parse_response(line_);
  if (!response) co_return fail(out_of_step(*wire_, "not IMAP: " + line_));
  if (response->kind == Kind::status && response->verdict == Verdict::bye && !expects_bye_)
    co_return fail(Errc::closed, "the server closes: " + quote(*response));
  // What else has literals we have no use for.
  if (response->kind == Kind::fetch) co_return std::move(*response);
  auto literal = imap::literal_behind(line_);
  while (literal) {
    const auto skipped = co_await skip(*literal);
    if (!skipped) co_return fail(skipped.error());
    const auto rest = co_await read_rest();
    if (!rest) co_return fail(rest.error());
    literal = imap::literal_behind(*rest);
  }
  co_return std::move(*response);
}

Task<Result<void>> ImapWire::search_ended(std::vector<std::uint32_t>& numbers) {
  auto& stream = wire_->stream();
  imap::SearchReader reader;
  for (;;) {
    const auto progress = reader.read(stream.buffered(), numbers);
    if (!progress) co_return fail(out_of_step(*wire_, "SEARCH gives something else than numbers"));
    stream.consume(progress->consumed);
    if (numbers.size() > k_most_messages)
      co_return fail(Errc::too_long, "the folder has more messages than can be meant");
    if (progress->ended) break;
    const auto filled = co_await wire_->fill();
    if (!filled) co_return fail(filled.error());
  }
  if (wire_->log().wants(Level::trace))
    wire_->log().trace("<",
                       {{"peer", stream.peer()}, {"line", "* SEARCH, " + std::to_string(numbers.size()) + " numbers"}});
  co_return Result<void>();
}

Task<Result<std::string>> ImapWire::read_rest() {
  co_return co_await wire_->read_line(imap::k_longest_line);
}

Task<Result<void>> ImapWire::skip(std::uint64_t octets) {
  if (octets > k_largest_aside) co_return fail(out_of_step(*wire_, "a literal that nobody asked for"));
  auto& stream = wire_->stream();
  for (;;) {
    const auto here = std::min<std::uint64_t>(octets, stream.buffered().size());
    stream.consume(here);
    octets -= here;
    if (octets == 0) co_return Result<void>();
    const auto filled = co_await wire_->fill();
    if (!filled) co_return fail(filled.error());
  }
}

// --- commands

Task<Result<std::string>> ImapWire::send(std::string text, std::string shown) {
  std::string tag = next_tag();
  if (!shown.empty()) shown = tag + " " + shown;
  text = tag + " " + text + "\r\n";
  const auto sent = co_await wire_->send(text, shown);
  wipe(text);
  if (!sent) co_return fail(sent.error());
  co_return tag;
}

Task<Result<Response>> ImapWire::answer_to(const std::string& tag, const std::function<void(const Response&)>& see) {
  for (;;) {
    auto response = co_await read();
    if (!response) co_return fail(response.error());
    const bool is_tagged = response->kind == Kind::tagged;
    if (is_tagged && response->tag == tag) co_return response;
    if (is_tagged) co_return fail(out_of_step(*wire_, "an answer to no command: " + line_));
    if (see) see(*response);
  }
}

Task<Result<Response>> ImapWire::ask(std::string text, const std::function<void(const Response&)>& see) {
  const auto tag = co_await send(std::move(text));
  if (!tag) co_return fail(tag.error());
  co_return co_await answer_to(*tag, see);
}

// --- the folder

ImapMailbox::ImapMailbox(ImapWire wire, Selected selected) : wire_(std::move(wire)), selected_(std::move(selected)) {}

std::string ImapMailbox::peer() const {
  return wire_.wire().stream().peer();
}

std::string ImapMailbox::tls() const {
  const auto& tls = wire_.wire().stream().tls();
  return tls ? tls->version + " " + tls->cipher : std::string();
}

std::string ImapMailbox::with() const {
  return tls().empty() ? "IMAP" : "IMAPS";
}

std::string ImapMailbox::name() const {
  const auto& login = *wire_.wire().server().login;
  return "imap:" + login.user + "/" + selected_.folder + ";" + std::to_string(selected_.validity.value_or(0));
}

std::string ImapMailbox::greeting() const {
  return std::to_string(selected_.exists) + " messages in " + selected_.folder;
}

Task<Result<std::vector<std::uint32_t>>> ImapMailbox::search(std::string criteria) {
  std::vector<std::uint32_t> numbers;
  std::string text = "UID SEARCH " + criteria;
  const auto tag = co_await wire_.send(std::move(text));
  if (!tag) co_return fail(tag.error());
  for (;;) {
    const auto response = co_await wire_.read(numbers);
    if (!response) co_return fail(response.error());
    if (response->kind != Kind::tagged) continue;
    if (response->tag != *tag) co_return fail(out_of_step(wire_.wire(), "an answer to no command"));
    if (!response->is_ok()) co_return fail(Errc::io, "the server does not search the folder: " + quote(*response));
    break;
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  co_return numbers;
}

// What another program has marked as deleted is not ours to deliver; what we have marked is known, and marked again.
Task<Result<void>> ImapMailbox::list(bool unseen_only, bool wants_sizes,
                                     const std::function<Result<void>(Listed&&)>& see) {
  if (selected_.exists == 0) co_return Result<void>();
  const auto all = co_await search("ALL");
  if (!all) co_return fail(all.error());
  std::string criteria = unseen_only ? "UNDELETED UNSEEN" : "UNDELETED";
  const auto wanted = co_await search(std::move(criteria));
  if (!wanted) co_return fail(wanted.error());
  std::vector<std::uint64_t> sizes(wants_sizes ? all->size() : 0);
  if (wants_sizes) {
    const std::function<void(std::uint32_t, std::uint64_t)> note = [&](std::uint32_t uid, std::uint64_t size) {
      const auto found = std::lower_bound(all->begin(), all->end(), uid);
      if (found != all->end() && *found == uid) sizes[static_cast<std::size_t>(found - all->begin())] = size;
    };
    const std::string everything = "1:*";
    const auto fetched = co_await fetch_sizes(everything, note);
    if (!fetched) co_return fetched;
  }
  for (std::size_t i = 0; i < all->size(); ++i) {
    Listed message;
    message.number = (*all)[i];
    if (wants_sizes) message.size = sizes[i];
    if (selected_.validity) message.uid = std::to_string(message.number);
    message.is_wanted = std::binary_search(wanted->begin(), wanted->end(), message.number);
    if (auto seen = see(std::move(message)); !seen) co_return seen;
  }
  co_return Result<void>();
}

Task<Result<void>> ImapMailbox::add_sizes(std::vector<Listed>& messages) {
  std::vector<std::uint32_t> uids;
  for (const auto& one : messages) {
    if (one.size == 0) uids.push_back(one.number);
  }
  const std::function<void(std::uint32_t, std::uint64_t)> note = [&](std::uint32_t uid, std::uint64_t size) {
    const auto found = std::lower_bound(messages.begin(), messages.end(), uid,
                                        [](const Listed& one, std::uint32_t wanted) { return one.number < wanted; });
    if (found != messages.end() && found->number == uid) found->size = size;
  };
  for (std::size_t begin = 0; begin < uids.size();) {
    std::string set = imap::next_set(uids, begin);
    const auto fetched = co_await fetch_sizes(std::move(set), note);
    if (!fetched) co_return fetched;
  }
  co_return Result<void>();
}

Task<Result<void>> ImapMailbox::fetch_sizes(std::string set,
                                            const std::function<void(std::uint32_t, std::uint64_t)>& see) {
  std::string text = "UID FETCH " + set + " (UID RFC822.SIZE)";
  const auto tag = co_await wire_.send(std::move(text));
  if (!tag) co_return fail(tag.error());
  for (;;) {
    const auto response = co_await wire_.read();
    if (!response) co_return fail(response.error());
    if (response->kind == Kind::fetch) {
      FetchItems items;
      std::string line(response->text);
      const auto next = co_await read_items(items, std::move(line));
      if (!next) co_return fail(next.error());
      if (*next) co_return fail(out_of_step(wire_.wire(), "a message that nobody asked for"));
      if (items.uid() && items.size()) see(*items.uid(), *items.size());
      continue;
    }
    if (response->kind != Kind::tagged) continue;
    if (response->tag != *tag) co_return fail(out_of_step(wire_.wire(), "an answer to no command"));
    if (!response->is_ok()) co_return fail(Errc::io, "the server does not tell sizes: " + quote(*response));
    co_return Result<void>();
  }
}

// From one of its lines on to the response's end (no value), or to the message in it.
Task<Result<std::optional<FetchItems::Next>>> ImapMailbox::read_items(FetchItems& items, std::string line) {
  for (;;) {
    const auto next = items.read(line);
    if (!next) co_return fail(out_of_step(wire_.wire(), "a FETCH response that is none: " + line.substr(0, 200)));
    if (*next == FetchItems::Next::end) co_return std::optional<FetchItems::Next>();
    if (*next == FetchItems::Next::body) co_return std::optional(*next);
    const auto skipped = co_await wire_.skip(items.literal());
    if (!skipped) co_return fail(skipped.error());
    auto rest = co_await wire_.read_rest();
    if (!rest) co_return fail(rest.error());
    line = std::move(*rest);
  }
}

// --- messages

void ImapMailbox::ask_for(const Listed& message) {
  queued_.push_back(
      {Step::Kind::fetch, message.number, "UID FETCH " + std::to_string(message.number) + " (UID BODY.PEEK[])"});
}

void ImapMailbox::remove(const Listed& message) {
  removed_.push_back(message.number);
  queued_.push_back({Step::Kind::store, message.number,
                     "UID STORE " + std::to_string(message.number) + " +FLAGS.SILENT (\\Deleted)"});
}

void ImapMailbox::mark_seen(const Listed& message) {
  queued_.push_back(
      {Step::Kind::store, message.number, "UID STORE " + std::to_string(message.number) + " +FLAGS.SILENT (\\Seen)"});
}

Task<Result<void>> ImapMailbox::send() {
  std::string lines;
  while (!queued_.empty() && under_way_.size() < k_most_under_way) {
    Step step = std::move(queued_.front());
    queued_.pop_front();
    step.tag = wire_.next_tag();
    lines += step.tag + " " + step.text + "\r\n";
    under_way_.push_back(std::move(step));
  }
  if (lines.empty()) co_return Result<void>();
  co_return co_await wire_.wire().send(lines);
}

Task<Result<bool>> ImapMailbox::begin() {
  for (;;) {
    auto sent = co_await send();
    if (!sent) co_return fail(sent.error());
    if (under_way_.empty()) co_return fail(Errc::malformed, "no message has been asked for");
    const auto response = co_await wire_.read();
    if (!response) co_return fail(response.error());
    const auto taken = co_await take(*response);
    if (!taken) co_return fail(taken.error());
    if (*taken) co_return **taken;
  }
}

// A message that begins (true), one that is not there (false), or something else (no value).
Task<Result<std::optional<bool>>> ImapMailbox::take(const Response& response) {
  if (response.kind == Kind::fetch) {
    std::string line(response.text);
    co_return co_await begin_message(std::move(line));
  }
  if (response.kind != Kind::tagged) co_return std::optional<bool>();
  if (under_way_.empty() || under_way_.front().tag != response.tag)
    co_return fail(out_of_step(wire_.wire(), "an answer to no command"));
  const bool is_missing = under_way_.front().kind == Step::Kind::fetch && !under_way_.front().has_come;
  end_step(response);
  if (is_missing) co_return std::optional(false);
  co_return std::optional<bool>();
}

void ImapMailbox::end_step(const Response& response) {
  const Step& step = under_way_.front();
  const bool is_fetch = step.kind == Step::Kind::fetch;
  if (is_fetch && !step.has_come)
    wire_.wire().log().warn("the server lists a message, and does not give it",
                            {{"uid", std::to_string(step.uid)}, {"answer", std::string(response.text)}});
  if (!is_fetch && !response.is_ok())
    wire_.wire().log().warn(
        "a message that has been delivered cannot be marked at the provider; it is known, and not delivered again",
        {{"uid", std::to_string(step.uid)}, {"answer", std::string(response.text)}});
  under_way_.pop_front();
}

Task<Result<std::optional<bool>>> ImapMailbox::begin_message(std::string line) {
  items_ = FetchItems();
  const auto next = co_await read_items(items_, std::move(line));
  if (!next) co_return fail(next.error());
  if (!items_.has_body()) co_return std::optional<bool>();  // flags, of whatever message
  Step* asked = nullptr;
  for (auto& one : under_way_) {
    if (one.kind == Step::Kind::fetch && !one.has_come && asked == nullptr) asked = &one;
  }
  const bool is_it = asked != nullptr && (!items_.uid() || *items_.uid() == asked->uid);
  if (!is_it) co_return fail(out_of_step(wire_.wire(), "a message that nobody asked for"));
  asked->has_come = true;
  inside_ = asked->uid;
  left_ = *next ? items_.literal() : 0;
  quoted_ = items_.quoted_body().value_or(std::string());
  if (!*next) {
    const auto finished = co_await finish_items();
    if (!finished) co_return fail(finished.error());
  }
  co_return std::optional(true);
}

Task<Result<bool>> ImapMailbox::read(std::string& into) {
  if (!quoted_.empty()) {
    into += std::exchange(quoted_, std::string());
    co_return true;
  }
  if (inside_ == 0) co_return false;
  auto& stream = wire_.wire().stream();
  if (left_ > 0 && stream.buffered().empty()) {
    const auto filled = co_await wire_.wire().fill();
    if (!filled) co_return fail(filled.error());
  }
  if (left_ > 0) {
    const auto piece = stream.buffered().substr(0, std::min<std::uint64_t>(left_, stream.buffered().size()));
    into += piece;
    left_ -= piece.size();
    stream.consume(piece.size());
    co_return true;
  }
  auto rest = co_await wire_.read_rest();
  if (!rest) co_return fail(rest.error());
  const auto next = co_await read_items(items_, std::move(*rest));
  if (!next) co_return fail(next.error());
  if (*next) co_return fail(out_of_step(wire_.wire(), "two messages in one response"));
  const auto finished = co_await finish_items();
  if (!finished) co_return fail(finished.error());
  co_return false;
}

// Before the message goes anywhere it must be known to be the one that was asked for: some servers name it last.
Task<Result<void>> ImapMailbox::finish_items() {
  const bool is_it = items_.uid() == inside_;
  inside_ = 0;
  if (!is_it) co_return fail(out_of_step(wire_.wire(), "another message than the one that was asked for"));
  co_return Result<void>();
}

// --- the end

Task<Result<void>> ImapMailbox::drain() {
  std::erase_if(queued_, [](const Step& one) { return one.kind == Step::Kind::fetch; });
  std::string nothing;
  while (inside_ != 0 || !queued_.empty() || !under_way_.empty()) {
    if (inside_ != 0) {
      const auto more = co_await read(nothing);
      if (!more) co_return fail(more.error());
      nothing.clear();
      continue;
    }
    auto sent = co_await send();
    if (!sent) co_return sent;
    const auto response = co_await wire_.read();
    if (!response) co_return fail(response.error());
    const auto taken = co_await take(*response);
    if (!taken) co_return fail(taken.error());
  }
  co_return Result<void>();
}

// Without RFC 4315 only all that is marked can be removed, and others may have marked something, too: then it stays
// until they have done with it.
Task<Result<void>> ImapMailbox::expunge() {
  std::sort(removed_.begin(), removed_.end());
  if (selected_.has_uid_expunge) {
    for (std::size_t begin = 0; begin < removed_.size();) {
      std::string text = "UID EXPUNGE " + imap::next_set(removed_, begin);
      const auto answer = co_await wire_.ask(std::move(text));
      if (!answer) co_return fail(answer.error());
      if (!answer->is_ok()) co_return fail(Errc::io, "the server does not delete: " + quote(*answer));
    }
    co_return Result<void>();
  }
  const auto marked = co_await search("DELETED");
  if (!marked) co_return fail(marked.error());
  if (!std::includes(removed_.begin(), removed_.end(), marked->begin(), marked->end())) {
    wire_.wire().log().info(
        "others have marked messages as deleted, and the server has no UID EXPUNGE: ours are marked, and left there");
    co_return Result<void>();
  }
  const auto answer = co_await wire_.ask("EXPUNGE");
  if (!answer) co_return fail(answer.error());
  if (!answer->is_ok()) co_return fail(Errc::io, "the server does not delete: " + quote(*answer));
  co_return Result<void>();
}

Task<Result<void>> ImapMailbox::close() {
  auto drained = co_await drain();
  if (!drained) co_return drained;
  if (!removed_.empty()) {
    auto expunged = co_await expunge();
    if (!expunged) co_return expunged;
  }
  wire_.expect_bye();
  const auto answer = co_await wire_.ask("LOGOUT");
  co_await wire_.wire().stream().finish();
  static_cast<void>(answer);  // what was to be done is done
  co_return Result<void>();
}

}  // namespace odmr::collect
