#include "actor.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <sstream>
#include <utility>

#include "base/ascii.hpp"
#include "certificates.hpp"
#include "sasl/base64.hpp"
#include "sasl/server.hpp"

namespace odmr::conversation {

namespace {

using net::Task;

// Longer than anybody's patience. Who waits so long would wait for ever.
constexpr auto k_for_ever = std::chrono::hours(24 * 30);

// A transport that the script can still reach when TLS has been put over it.
class Shared final : public net::Transport {
 public:
  explicit Shared(std::shared_ptr<net::Transport> below) : below_(std::move(below)) {}
  Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override {
    return below_->read_some(into, deadline);
  }
  Task<Result<void>> write(std::string_view bytes, Duration patience) override {
    return below_->write(bytes, patience);
  }
  Task<> finish(TimePoint deadline) override { return below_->finish(deadline); }
  void interrupt() override { below_->interrupt(); }
  void close() override { below_->close(); }
  std::string peer() const override { return below_->peer(); }

 private:
  std::shared_ptr<net::Transport> below_;
};

class OneAccount final : public sasl::Accounts {
 public:
  OneAccount(std::string user, std::string password) : user_(std::move(user)), password_(std::move(password)) {}
  std::optional<std::string_view> password(std::string_view user) const override {
    if (user != user_) return std::nullopt;
    return password_;
  }

 private:
  std::string user_;
  std::string password_;
};

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

std::string verb_of(const std::string& line) {
  return upper(line.substr(0, line.find(' ')));
}

}  // namespace

Task<> sleep(net::Simulation& simulation, Duration duration) {
  asio::steady_timer timer(simulation.loop(), asio::steady_timer::time_point::max());
  auto alarm = simulation.alarm([&timer] { timer.cancel(); });
  alarm->set(simulation.now() + duration);
  co_await timer.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
}

std::string generated_content(std::size_t size) {
  std::string content = "Subject: made up\r\n\r\n";
  for (std::size_t number = 0; content.size() < size; ++number) {
    // Stuffed already: what begins with a dot has one more in front.
    content += number % 7 == 3 ? ".." : "";
    content += "line " + std::to_string(number) + " of a message that is long enough to come in pieces\r\n";
  }
  return content;
}

Actor::Actor(Scene& scene, const Part& part, std::string title, bool may_die)
    : scene_(scene),
      part_(part),
      title_(std::move(title)),
      may_die_(may_die),
      provider_(scene.ledger),
      target_(scene.ledger, scene.lmtp) {}

void Actor::write_down(const char* what, std::string_view bytes) {
  scene_.dialogue.push_back({title_, what, std::string(bytes)});
}

void Actor::mismatch(const Step& step, const std::string& what) {
  if (!scene_.lenient) {
    scene_.mismatches.push_back("line " + std::to_string(step.line) + ", " + title_ + ": " + what);
  }
  throw OffTheScript();
}

Task<> Actor::play(net::MemoryLine line) {
  below_ = std::move(line.second);
  cut_ = std::move(line.cut);
  stream_.emplace(std::make_unique<Shared>(below_), scene_.simulation);
  bool is_off = false;
  try {
    co_await play_steps();
    co_await finish_part();
  } catch (const OffTheScript&) {
    is_off = true;
  }
  if (is_off && scene_.lenient)
    co_await improvise();
  else if (is_off)
    cut_();
  stream_->close();
  --scene_.acting;
}

Task<> Actor::play_without_line() {
  for (const auto& step : part_.steps) co_await play_step(step);
  --scene_.acting;
}

Task<> Actor::play_steps() {
  for (const auto& step : part_.steps) {
    last_event_ = scene_.simulation.now();
    co_await play_step(step);
  }
}

Task<> Actor::play_step(const Step& step) {
  switch (step.kind) {
    case Step::Kind::send:
      co_return co_await say(step.text);
    case Step::Kind::data: {
      const std::string content = generated_content(step.size);
      co_return co_await say(content);
    }
    case Step::Kind::expect:
    case Step::Kind::expect_like:
      co_return co_await expect(step);
    case Step::Kind::expect_reply:
      co_return co_await expect_reply(step);
    case Step::Kind::content:
      co_return co_await expect_content(step);
    case Step::Kind::tls:
      co_return co_await begin_tls(step);
    case Step::Kind::sasl:
      co_return co_await authenticate(step);
    case Step::Kind::clock:
      co_return co_await sleep(scene_.simulation, *step.time);
    case Step::Kind::clear:
    case Step::Kind::close:
    case Step::Kind::half_close:
    case Step::Kind::reset:
      co_return co_await part_by(step);
    case Step::Kind::end:
    case Step::Kind::drain:
      co_return co_await expect_end(step);
    case Step::Kind::stop:
      write_down("STOP");
      co_return scene_.stop.advance(Stop::Phase::finish);
    case Step::Kind::leave:
      write_down("LEAVE");
      co_return scene_.stop.advance(Stop::Phase::leave);
    case Step::Kind::enough:
      write_down("ENOUGH");
      co_return scene_.held_lines.break_off();
  }
}

// The ways of ending a line, and what goes past TLS.
Task<> Actor::part_by(const Step& step) {
  if (step.kind == Step::Kind::clear) {
    write_down("S:", step.text);
    provider_.said(step.text);
    co_await below_->write(step.text, k_for_ever);
    co_return;
  }
  ended_by_script_ = true;
  write_down("ends the line");
  if (step.kind == Step::Kind::close) co_await stream_->finish();
  if (step.kind == Step::Kind::half_close) co_await below_->finish(scene_.simulation.now());
  if (step.kind == Step::Kind::reset) cut_();
}

// The part is over: we should close now, and say nothing more.
Task<> Actor::finish_part() {
  if (ended_by_script_) co_return;
  if (scene_.lenient) co_return co_await improvise();
  const auto line = co_await hear();
  if (!line) co_return;
  Step none;
  none.line = part_.line;
  mismatch(none, "after the end of the part came \"" + escape(*line) + "\"");
}

Task<> Actor::say(std::string_view bytes) {
  write_down("S:", bytes);
  said_ += bytes;
  if (part_.peer == Peer::provider)
    provider_.said(bytes);
  else
    target_.said(bytes);
  co_await stream_->write(bytes, k_for_ever);  // a failure shows when we listen
}

void Actor::note_our_close() {
  write_down("is over:", *gone_);
  if (ended_by_script_ || part_.peer != Peer::provider) return;
  provider_.closed_by_us(may_die_ || end_is_due_ || scene_.stop.phase() == Stop::Phase::leave);
}

Task<std::optional<std::string>> Actor::hear() {
  for (;;) {
    const auto bytes = stream_->buffered();
    const auto end = bytes.find('\n');
    if (end != std::string_view::npos) {
      std::string line(bytes.substr(0, end + 1));
      stream_->consume(end + 1);
      write_down("C:", line);
      const bool is_sound = line.ends_with("\r\n") && line.find('\r') == line.size() - 2;
      if (!is_sound && !draining_) scene_.ledger.violations.push_back("a lone CR or LF from us: " + escape(line));
      line.resize(line.size() - std::min<std::size_t>(2, line.size()));
      if (part_.peer == Peer::provider)
        provider_.heard(line);
      else
        target_.heard(line);
      co_return line;
    }
    const auto filled = co_await stream_->fill(scene_.simulation.now() + k_for_ever);
    if (!filled) {
      if (filled.error().code == Errc::timed_out) scene_.ledger.violations.push_back(title_ + ": we wait for ever");
      gone_ = filled.error().text;
      note_our_close();
      co_return std::nullopt;
    }
  }
}

// Whether the line is what the step asks for; for a peer that goes by codes and verbs alone, whether that agrees.
bool Actor::resembles(const Step& step, const std::string& line) const {
  if (scene_.lenient) {
    const std::size_t size = part_.peer == Peer::provider && provider_.has_turned() ? 3 : 4;
    return equals_ignoring_case(step.text.substr(0, size), line.substr(0, size));
  }
  if (step.kind == Step::Kind::expect_like) return std::regex_match(line, step.pattern);
  return line == step.text;
}

Task<std::string> Actor::hear_line(const Step& step) {
  auto line = co_await hear();
  if (!line) mismatch(step, "\"" + step.text + "\" was due, but " + *gone_);
  co_return std::move(*line);
}

Task<> Actor::expect(const Step& step) {
  const std::string line = co_await hear_line(step);
  if (resembles(step, line)) co_return;
  if (scene_.lenient && provider_.heard_a_verdict()) co_return;
  unexpected_ = line;
  mismatch(step, "\"" + step.text + "\" was due, and \"" + escape(line) + "\" came");
}

Task<> Actor::expect_reply(const Step& step) {
  const std::string first = co_await hear_line(step);
  std::string line = first;
  while (line.size() > 3 && line[3] == '-') line = co_await hear_line(step);
  const std::size_t compared = scene_.lenient ? 3 : step.text.size();
  const std::string expected = step.text.substr(0, compared);
  std::string got = first.substr(0, compared);
  if (got.size() > 3) got[3] = ' ';
  if (got == expected) co_return;
  if (scene_.lenient && provider_.heard_a_verdict()) co_return;
  mismatch(step, "a reply \"" + expected + "\" was due, and \"" + escape(first) + "\" came");
}

Task<> Actor::expect_content(const Step& step) {
  if (!target_.is_inside_message()) mismatch(step, "no message is under way");
  std::size_t count = 0;
  while (target_.is_inside_message() && (step.size == 0 || count < step.size)) {
    const std::string line = co_await hear_line(step);
    count += line.size() + 2;
  }
  if (step.size > 0 && !target_.is_inside_message()) mismatch(step, "the message is over before so much of it came");
}

Task<> Actor::expect_end(const Step& step) {
  const TimePoint since = last_event_;
  end_is_due_ = true;
  draining_ = step.kind == Step::Kind::drain;
  for (auto line = co_await hear(); line;) {
    if (step.kind == Step::Kind::end) mismatch(step, "we should have closed, and said \"" + escape(*line) + "\"");
    line = co_await hear();
  }
  const auto waited = scene_.simulation.now() - since;
  if (step.time && *step.time != waited && !scene_.lenient) {
    const auto seconds = std::chrono::duration_cast<std::chrono::milliseconds>(waited).count();
    mismatch(step, "we closed after " + std::to_string(seconds) + " ms");
  }
  ended_by_script_ = true;
}

Task<> Actor::begin_tls(const Step& step) {
  const std::string certificate = step.text.empty() ? "good" : step.text;
  const auto begun =
      co_await stream_->start_tls_server(server_context(certificate), scene_.simulation.now() + k_for_ever);
  const bool is_good = certificate == "good" || certificate == "wildcard";
  if (begun.has_value() == is_good) co_return;
  gone_ = begun ? "the certificate was accepted" : begun.error().text;
  mismatch(step, "TLS: " + *gone_);
}

Task<std::string> Actor::hear_response(const Step& step) {
  const std::string line = co_await hear_line(step);
  if (line == "*") co_return line;
  const auto bytes = sasl::from_base64(line);
  if (!bytes) mismatch(step, "no base64: " + escape(line));
  co_return *bytes;
}

// "MECHANISM user password", and "forged" for a server that does not know the password and says 235 all the same.
Task<> Actor::authenticate(const Step& step) {
  const auto arguments = words(step.text);
  const bool is_forged = arguments.size() > 3;
  const OneAccount account(arguments.at(1), arguments.at(2));
  const std::string line = co_await hear_line(step);
  const auto asked = words(line);
  if (asked.size() < 2 || asked[0] != "AUTH" || asked[1] != arguments[0]) mismatch(step, "AUTH was due");
  std::optional<std::string> initial;
  if (asked.size() > 2) initial = sasl::from_initial_response(asked[2]).value();

  const bool is_bound = stream_->tls() && arguments[0].ends_with("-PLUS");
  const std::string exporter = is_bound ? stream_->tls()->exporter : std::string();
  const sasl::Channel channel{exporter, {}};
  auto server = sasl::Server::start(sasl::mechanism_named(arguments[0]).value(), account, channel);
  auto turn = server->begin(initial ? std::optional<std::string_view>(*initial) : std::nullopt);
  while (turn && !turn->done) {
    if (is_forged && turn->challenge.starts_with("v=")) turn->challenge[2] = turn->challenge[2] == 'A' ? 'B' : 'A';
    const std::string challenge = "334 " + sasl::to_base64(turn->challenge) + "\r\n";
    co_await say(challenge);
    const std::string response = co_await hear_response(step);
    if (response == "*") co_return co_await say("501 5.7.0 cancelled\r\n");
    turn = server->step(response);
  }
  if (turn)
    co_await say("235 2.7.0 welcome\r\n");
  else
    co_await say("535 5.7.8 not accepted\r\n");
}

Task<> Actor::improvise() {
  if (gone_) co_return;
  if (part_.peer == Peer::target || !provider_.has_turned()) co_return co_await improvise_as_server();
  // All that is under way comes to its end, the message too.
  while (!gone_ && (provider_.awaits_reply() || provider_.is_inside_message())) {
    if (!provider_.awaits_reply()) co_await say("\r\n.\r\n");
    co_await hear();
  }
  co_await say("QUIT\r\n");
  co_await hear_to_the_end();
}

Task<> Actor::improvise_as_server() {
  for (;;) {
    std::optional<std::string> line = std::exchange(unexpected_, std::nullopt);
    if (!line) line = co_await hear();
    if (!line) co_return;
    const std::string reply = improvised_reply(*line);
    if (!reply.empty()) co_await say(reply);
    if (reply.starts_with("221")) co_return;
  }
}

std::string Actor::improvised_reply(const std::string& line) const {
  if (target_.is_inside_message()) return {};
  const std::string verb = verb_of(line);
  if (verb == "QUIT") return "221 bye\r\n";
  if (part_.peer == Peer::provider) return "500 what is that\r\n";
  if (verb == "DATA") return target_.recipients() == 0 ? "503 no recipients\r\n" : "354 go on\r\n";
  const std::size_t replies = line == "." && scene_.lmtp ? target_.recipients() : 1;
  std::string out;
  for (std::size_t i = 0; i < replies; ++i) out += "250 improvised\r\n";
  return out;
}

// Not as a while with co_await for its condition: GCC 12 compiles that into an illegal instruction.
Task<> Actor::hear_to_the_end() {
  for (bool goes_on = true; goes_on;) {
    const auto line = co_await hear();
    goes_on = line.has_value();
  }
}

const Part& hospitable_target() {
  static const Part part = [] {
    Part made;
    made.peer = Peer::target;
    made.steps.emplace_back();
    made.steps.back().text = "220 another target\r\n";
    return made;
  }();
  return part;
}

}  // namespace odmr::conversation
