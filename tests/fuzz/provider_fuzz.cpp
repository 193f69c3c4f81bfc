// odmrd, with a customer who may say anything, up to ATRN and as the server on the turned line: the visit ends; before
// a login nothing of the mail is said, and never anything of another customer's; what the customer did not take is
// still held; and segments make no difference.
//
// One script, the customer's. Flag 1: the log-in is done right at once.

#include <algorithm>

#include "../conversation/provider_house.hpp"
#include "base/ascii.hpp"
#include "input.hpp"
#include "peers.hpp"

using namespace odmr;

namespace {

// The visit, with the mail of both customers held.
class Visit {
 public:
  explicit Visit(const fuzz::Input& input) : house_(test::unsynced()) {
    house_.put("a@sender.example", {"one@example.org", "two@example.com"}, "ours");
    house_.put("b@sender.example", {"three@example.org"}, "ours too");
    house_.put("c@sender.example", {"x@other.example"}, "foreign");
    house_.reopen();
    script_ = input.scripts.front();
    const Step log_in{Step::Kind::log_in, {}, {}};
    if ((input.flags & 1U) != 0) script_.insert(script_.begin(), log_in);
  }

  std::string play(std::size_t segment) {
    net::Faults faults;
    faults.largest_read = segment;
    auto line = net::memory_line(house_.simulation, "192.0.2.7:4711", "odmr.example.net", faults);
    net::Stream stream(std::move(line.first), house_.simulation);
    fuzz::Talker customer(house_.simulation, script_);
    house_.simulation.start(customer.play(std::move(line)));
    const bool ended = house_.simulation.run(
        provider::attend(std::move(stream), house_.clear, *house_.provider, house_.log, house_.stop));
    fuzz::require(ended, "the visit ends");
    house_.simulation.settle();
    check(customer.heard());
    return without_challenges(customer.heard()) + std::to_string(house_.held()) + " held";
  }

 private:
  using Step = fuzz::Step;

  void check(const std::string& heard) const {
    fuzz::require_clean(heard);
    fuzz::require_lines(heard, 1000);
    fuzz::require(heard.find("foreign") == std::string::npos, "nothing of another's mail");
    fuzz::require(heard.find("other.example") == std::string::npos, "nor that it is there");
    if (heard.find("235 ") == std::string::npos) {
      fuzz::require(heard.find("MAIL FROM") == std::string::npos, "no mail without a login");
    }
    const std::string said = all_of(script_);
    fuzz::require_silence(house_.log.text, "secret", said, "no password in the log");
    if (said.find("250") == std::string::npos) fuzz::require(house_.held() == 3, "what was not taken is held");
  }

  // A challenge is chance.
  static std::string without_challenges(std::string heard) {
    for (auto at = heard.find("334 "); at != std::string::npos; at = heard.find("334 ", at + 4)) {
      heard.erase(at + 4, heard.find('\r', at) - at - 4);
    }
    return heard;
  }

  test::House house_;
  fuzz::Script script_;
};

// What follows ATRN in one piece with it ends the session, and what comes later is the customer's greeting: there the
// pieces make the difference that they should.
bool says_more_than_atrn(const fuzz::Script& script) {
  std::string line;  // the one in hand, which may have begun in a step before
  for (const auto& step : script) {
    const std::string text = upper(step.bytes);
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      line.append(text, at, end - at);
      if (end + 1 < text.size() && line.find("ATRN") != std::string::npos) return true;
      if (end < text.size()) line.clear();
      at = end + 1;
    }
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(fuzz::text(data, size), true);
  if (input.scripts.empty()) return 0;
  const auto whole = Visit(input).play(net::Faults::k_never);
  if (says_more_than_atrn(input.scripts.front())) return 0;
  fuzz::require_same(whole, Visit(input).play(input.segment));
  return 0;
}
