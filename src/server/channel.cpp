#include "server/channel.hpp"

#include <utility>

#include "smtp/command.hpp"

namespace odmr::server {

namespace {

// RFC 5321 2.3.8: CR and LF stand only together. A line that ends otherwise, or hides one of them, is no command.
std::optional<std::string_view> without_end(std::string_view bytes) {
  bytes.remove_suffix(1);
  if (bytes.empty() || bytes.back() != '\r') return std::nullopt;
  bytes.remove_suffix(1);
  if (bytes.find('\r') != std::string_view::npos) return std::nullopt;
  return bytes;
}

Line as_line(std::string_view bytes, std::size_t longest) {
  if (bytes.size() > longest) return Line{{}, Line::Fault::too_long};
  const auto text = without_end(bytes);
  if (!text) return Line{{}, Line::Fault::stray_newline};
  return Line{std::string(*text), Line::Fault::none};
}

}  // namespace

std::optional<std::string_view> next_line(std::string_view& input, std::size_t longest) {
  const auto end = input.substr(0, longest).find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const auto text = without_end(input.substr(0, end + 1));
  input.remove_prefix(end + 1);
  return text;
}

Channel::Channel(net::Stream stream, Log& log, Duration silence)
    : stream_(std::move(stream)), log_(log), silence_(silence) {}

net::Task<Result<Line>> Channel::read_line(std::size_t longest, TimePoint deadline, bool secret) {
  std::size_t thrown_away = 0;
  std::size_t searched = 0;
  for (;;) {
    const auto bytes = stream_.buffered();
    const auto end = bytes.find('\n', searched);
    if (end != std::string_view::npos) {
      Line line = thrown_away > 0 ? Line{{}, Line::Fault::too_long} : as_line(bytes.substr(0, end + 1), longest);
      stream_.consume(end + 1);
      if (log_.wants(Level::trace)) {
        log_.trace(
            "<", {{"peer", stream_.peer()}, {"line", secret ? std::string("*****") : smtp::without_secret(line.text)}});
      }
      co_return line;
    }
    searched = bytes.size();
    if (bytes.size() > longest) {
      thrown_away += bytes.size();
      stream_.consume(bytes.size());
      searched = 0;
    }
    const auto flushed = co_await flush();
    if (!flushed) co_return fail(flushed.error());
    const auto filled = co_await fill(deadline);
    if (!filled) co_return fail(filled.error());
  }
}

void Channel::reply(const smtp::Reply& reply) {
  if (owed_.empty()) return put(reply);
  owed_.back().behind.push_back(reply);
  ++held_;
}

Channel::Place Channel::reserve() {
  owed_.push_back({++last_place_, std::nullopt, {}});
  return last_place_;
}

void Channel::reply_at(Place place, std::vector<smtp::Reply> replies) {
  owed_.at(place - owed_.front().place).replies = std::move(replies);
  while (!owed_.empty() && owed_.front().replies) {
    for (const auto& one : *owed_.front().replies) put(one);
    for (const auto& one : owed_.front().behind) put(one);
    held_ -= owed_.front().behind.size();
    owed_.pop_front();
  }
}

net::Task<Result<void>> Channel::fill(TimePoint deadline) {
  is_filling_ = true;
  auto filled = co_await stream_.fill(deadline);
  is_filling_ = false;
  co_return filled;
}

void Channel::put(const smtp::Reply& reply) {
  if (log_.wants(Level::trace)) log_.trace(">", {{"peer", stream_.peer()}, {"line", smtp::without_secret(reply)}});
  replies_ += smtp::format(reply);
}

net::Task<Result<void>> Channel::flush() {
  if (is_flushing_) co_return Result<void>();
  is_flushing_ = true;
  Result<void> written;
  while (written && !replies_.empty()) {
    const std::string bytes = std::exchange(replies_, std::string());
    written = co_await stream_.write(bytes, silence_);
  }
  is_flushing_ = false;
  co_return written;
}

}  // namespace odmr::server
