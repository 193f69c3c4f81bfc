#include "peers.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "input.hpp"
#include "net/delay.hpp"
#include "sasl/base64.hpp"
#include "sasl/client.hpp"
#include "smtp/dot.hpp"

namespace odmr::fuzz {

namespace {

using net::Task;

constexpr char k_escape = '\xff';
constexpr Duration k_patience = std::chrono::hours(24);
// More steps are no further news, only slower.
constexpr std::size_t k_most_steps = 64;
constexpr std::size_t k_most_scripts = 6;

void add_step(Script& script, Step step) {
  if (script.size() < k_most_steps) script.push_back(std::move(step));
}

void flush_text(Script& script, std::string& text) {
  if (!text.empty()) add_step(script, Step{Step::Kind::say, std::exchange(text, {}), {}});
}

}  // namespace

Input read_input(std::string_view bytes, bool may_log_in) {
  Input input;
  if (bytes.size() < 2) return input;
  // One byte each finds most: half of all inputs come so.
  const std::size_t size = static_cast<unsigned char>(bytes[0]);
  input.segment = size % 2 == 0 ? 1 : size / 2 + 1;
  input.flags = static_cast<std::uint8_t>(bytes[1]);
  input.scripts.emplace_back();
  std::string text;
  for (std::size_t i = 2; i < bytes.size(); ++i) {
    if (bytes[i] != k_escape || i + 1 == bytes.size()) {
      text += bytes[i];
      continue;
    }
    const char act = bytes[++i];
    flush_text(input.scripts.back(), text);
    if (act == 'n' && input.scripts.size() < k_most_scripts) input.scripts.emplace_back();
    if (act == 'h') add_step(input.scripts.back(), Step{Step::Kind::half_close, {}, {}});
    if (act == 'r') add_step(input.scripts.back(), Step{Step::Kind::reset, {}, {}});
    if (act == 'l' && may_log_in) add_step(input.scripts.back(), Step{Step::Kind::log_in, {}, {}});
    if (act == 'w' && i + 1 < bytes.size()) {
      const auto times = static_cast<unsigned char>(bytes[++i]);
      add_step(input.scripts.back(), Step{Step::Kind::wait, {}, std::chrono::seconds(5) * times});
    }
  }
  flush_text(input.scripts.back(), text);
  return input;
}

Task<> be_still(net::Simulation& simulation) {
  Stop never;
  co_await net::delay(simulation, std::chrono::milliseconds(1), never);
}

// --- who just talks

Task<> Talker::read(net::Transport& line, TimePoint deadline) {
  std::string piece(4096, '\0');
  for (;;) {
    const auto count = co_await line.read_some(piece, deadline);
    if (!count) co_return;
    heard_.append(piece, 0, *count);
  }
}

Task<> Talker::log_in(net::Transport& line) {
  const std::string auth = "AUTH CRAM-MD5\r\n";
  (void)co_await line.write(auth, k_patience);
  co_await be_still(simulation_);
  const std::size_t before = heard_.size();
  co_await read(line, simulation_.now());
  const auto challenge = heard_.find("334 ", before);
  const auto end = heard_.find("\r\n", challenge);
  if (challenge == std::string::npos || end == std::string::npos) co_return;
  const auto decoded = sasl::from_base64(std::string_view(heard_).substr(challenge + 4, end - challenge - 4));
  auto client = sasl::Client::start(sasl::Mechanism::cram_md5, {"example.org", "secret"});
  if (!decoded || !client) co_return;
  const auto answer = client->step(*decoded);
  if (!answer) co_return;
  const std::string reply = sasl::to_base64(*answer) + "\r\n";
  (void)co_await line.write(reply, k_patience);
}

Task<> Talker::play(net::MemoryLine line) {
  Stop never;
  for (const auto& step : script_) {
    co_await be_still(simulation_);
    co_await read(*line.second, simulation_.now());
    if (step.kind == Step::Kind::say) (void)co_await line.second->write(step.bytes, k_patience);
    if (step.kind == Step::Kind::wait) co_await net::delay(simulation_, step.duration, never);
    if (step.kind == Step::Kind::half_close) co_await line.second->finish(simulation_.now());
    if (step.kind == Step::Kind::reset) line.cut();
    if (step.kind == Step::Kind::log_in) co_await log_in(*line.second);
  }
  co_await be_still(simulation_);
  co_await line.second->finish(simulation_.now());
  co_await read(*line.second, simulation_.now() + k_patience);
}

// --- a mail server

bool Host::Message::is_taken() const {
  return std::any_of(replies.begin(), replies.end(), [](const smtp::Reply& one) { return one.is_positive(); });
}

Host::Host(net::Simulation& simulation, Script script, bool lmtp, bool pipelining)
    : simulation_(simulation), script_(script.begin(), script.end()), lmtp_(lmtp), pipelining_(pipelining) {}

// It keeps to the protocol while it says as many replies as are due, and nothing else.
void Host::note(std::string_view bytes, std::size_t due) {
  said_.clear();
  while (!bytes.empty()) {
    smtp::ReplyParser parser;
    const auto progress = parser.feed(bytes);
    if (!progress || !progress->reply) {
      in_step_ = false;
      return;
    }
    said_.push_back(*progress->reply);
    bytes.remove_prefix(progress->consumed);
  }
  if (said_.size() != due) in_step_ = false;
}

Task<bool> Host::answer(std::string usual, std::size_t due) {
  Stop never;
  while (!script_.empty()) {
    const Step step = std::move(script_.front());
    script_.pop_front();
    if (step.kind == Step::Kind::wait) {
      co_await net::delay(simulation_, step.duration, never);
      continue;
    }
    if (step.kind == Step::Kind::reset) {
      line_->cut();
      co_return false;
    }
    if (step.kind == Step::Kind::half_close) {
      co_await line_->second->finish(simulation_.now());
      continue;
    }
    if (step.kind == Step::Kind::log_in) continue;
    usual = step.bytes;
    break;
  }
  note(usual, due);
  const auto written = co_await line_->second->write(usual, k_patience);
  co_return written.has_value();
}

Task<bool> Host::fill() {
  std::string piece(4096, '\0');
  const auto count = co_await line_->second->read_some(piece, simulation_.now() + k_patience);
  if (count) heard_.append(piece, 0, *count);
  co_return count.has_value();
}

Task<bool> Host::take_line() {
  for (;;) {
    const auto end = heard_.find("\r\n", read_);
    if (end != std::string::npos) {
      command_ = heard_.substr(read_, end - read_);
      read_ = end + 2;
      co_return true;
    }
    const bool more = co_await fill();
    if (!more) co_return false;
  }
}

Task<bool> Host::take_message() {
  smtp::DotDecoder decoder;
  content_begin_ = read_;
  for (bool ended = false; !ended;) {
    if (read_ == heard_.size()) {
      const bool more = co_await fill();
      if (!more) co_return false;
    }
    const auto progress = decoder.decode(std::string_view(heard_).substr(read_), message_.content);
    read_ += progress.consumed;
    ended = progress.ended;
  }
  content_begin_.reset();
  require(!decoder.has_stray_newline(), "no CR or LF stands alone in what the target hears");
  const std::size_t due = lmtp_ ? message_.rcpts.size() : 1;
  std::string usual;
  for (std::size_t i = 0; i < due; ++i) usual += "250 2.0.0 taken\r\n";
  const bool goes_on = co_await answer(usual, due);
  message_.replies = said_;
  messages_.push_back(std::exchange(message_, {}));
  co_return goes_on;
}

Task<bool> Host::obey() {
  const std::string verb = upper(std::string_view(command_).substr(0, command_.find_first_of(" :")));
  std::string usual = "250 2.0.0 fine\r\n";
  if (verb == "EHLO" || verb == "LHLO") {
    usual = std::string("250-host\r\n250-SIZE 4000\r\n250-8BITMIME\r\n250-DSN\r\n") +
            (pipelining_ ? "250-PIPELINING\r\n" : "") + "250 SMTPUTF8\r\n";
  }
  if (verb == "DATA") usual = "354 go on\r\n";
  if (verb == "QUIT") usual = "221 2.0.0 bye\r\n";
  const bool goes_on = co_await answer(usual);
  const int code = said_.empty() ? 0 : said_.front().code;
  if (verb == "MAIL" || verb == "RSET") message_ = {};
  if (verb == "RCPT" && code / 100 == 2) message_.rcpts.push_back(command_);
  if (!goes_on || verb == "QUIT") co_return false;
  if (verb == "DATA" && code == 354) co_return co_await take_message();
  co_return true;
}

Task<> Host::attend(net::MemoryLine line) {
  line_.emplace(std::move(line));
  const std::string greeting = "220 host\r\n";
  bool goes_on = co_await answer(greeting);
  while (goes_on) {
    goes_on = co_await take_line();
    if (!goes_on) break;
    commands_.push_back(command_);
    goes_on = co_await obey();
  }
  co_await line_->second->finish(simulation_.now());
  for (bool more = true; more;) {
    more = co_await fill();
  }
}

Task<Result<net::Stream>> Hosts::connect(const net::Endpoint& /*endpoint*/, Duration /*patience*/, Stop& /*stop*/) {
  const std::size_t number = first_ + hosts_.size();
  net::Faults faults;
  faults.largest_read = segment_;
  auto line = net::memory_line(simulation_, "127.0.0.1:25", "us", faults);
  auto ours = std::move(line.first);
  hosts_.emplace_back(simulation_, number < input_.scripts.size() ? input_.scripts[number] : Script(), lmtp_,
                      (input_.flags & 2U) == 0);
  simulation_.start(hosts_.back().attend(std::move(line)));
  co_return net::Stream(std::move(ours), simulation_);
}

Task<Result<net::Stream>> Surroundings::connect(const net::Endpoint& endpoint, Duration patience, Stop& stop) {
  if (endpoint.port == 25) co_return co_await targets.connect(endpoint, patience, stop);
  const std::size_t number = providers.empty() ? 0 : providers.size() + 1;
  if (number >= input_.scripts.size()) co_return fail(Errc::unreachable, "Connection refused");
  net::Faults faults;
  faults.largest_read = segment_;
  auto line = net::memory_line(simulation_, "192.0.2.1:" + std::to_string(endpoint.port), "us", faults);
  auto ours = std::move(line.first);
  providers.emplace_back(simulation_, input_.scripts[number]);
  simulation_.start(providers.back().play(std::move(line)));
  co_return net::Stream(std::move(ours), simulation_);
}

// --- what we may say

void Remembering::write(Level /*level*/, std::string_view event, const Writable& fields) {
  text += event;
  for (const auto& [key, value] : fields) text.append(" ").append(key).append("=").append(value);
  text += '\n';
}

void require_clean(std::string_view heard) {
  for (std::size_t i = 0; i < heard.size(); ++i) {
    if (heard[i] == '\n') require(i > 0 && heard[i - 1] == '\r', "no LF alone goes out");
    if (heard[i] == '\r' && i + 1 < heard.size()) require(heard[i + 1] == '\n', "no CR alone goes out");
  }
}

void require_lines(std::string_view heard, std::size_t longest) {
  for (std::size_t begin = 0; begin < heard.size();) {
    const auto end = heard.find('\n', begin);
    const auto size = (end == std::string_view::npos ? heard.size() : end + 1) - begin;
    require(size <= longest, "no line is too long");
    begin += size;
  }
}

void require_silence(std::string_view text, std::string_view secret, std::string_view said, const char* where) {
  const auto is_in = [](std::string_view form, std::string_view all) { return all.find(form) != all.npos; };
  const auto is_told = [&](std::string_view form) { return is_in(form, text) && !is_in(form, said); };
  require(!is_told(secret), where);
  // In base64 at each of the three places where it can begin.
  for (std::size_t shift = 0; shift < 3; ++shift) {
    const std::string encoded = sasl::to_base64(std::string(shift, 'x') + std::string(secret));
    const std::size_t from = shift == 0 ? 0 : 4;
    require(!is_told(std::string_view(encoded).substr(from, encoded.size() - from - 4)), where);
  }
}

std::vector<std::string> finished_messages(std::string_view said) {
  std::vector<std::string> messages;
  const std::string upper_case = upper(said);
  for (auto at = upper_case.find("DATA"); at != std::string::npos; at = upper_case.find("DATA", at + 1)) {
    const auto end = said.find('\n', at);
    if (end == std::string_view::npos) break;
    smtp::DotDecoder decoder;
    std::string message;
    if (decoder.decode(said.substr(end + 1), message).ended) messages.push_back(std::move(message));
  }
  return messages;
}

std::string all_of(const Script& script) {
  std::string all;
  for (const auto& step : script) all += step.bytes;
  return all;
}

void require_same(const std::string& whole, const std::string& cut) {
  if (whole == cut) return;
  std::fprintf(stderr, "--- in one piece\n%s\n--- in others\n%s\n", whole.c_str(), cut.c_str());
  require(false, "segments make no difference");
}

}  // namespace odmr::fuzz
