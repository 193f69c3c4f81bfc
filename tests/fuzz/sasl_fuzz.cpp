// SASL: base64 both ways; a client that hears anything, and takes nobody at his word who has not proved himself; a
// server to which anything is said, and that lets in nobody who does not know the password. The first byte chooses
// mechanism and part, the rest are messages, a line each.

#include "input.hpp"
#include "sasl/base64.hpp"
#include "sasl/client.hpp"
#include "sasl/scram.hpp"
#include "sasl/server.hpp"

using namespace odmr;

namespace {

constexpr std::string_view k_password = "tanstaaftanstaaf";

class OneAccount final : public sasl::Accounts {
 public:
  std::optional<std::string_view> password(std::string_view user) const override {
    if (user == "user") return k_password;
    return std::nullopt;
  }
};

void check_base64(std::string_view text) {
  fuzz::require(sasl::from_base64(sasl::to_base64(text)).value() == text, "base64 comes back");
  if (const auto bytes = sasl::from_base64(text)) fuzz::require(sasl::to_base64(*bytes) == text, "and in one form");
  (void)sasl::from_initial_response(text);
}

std::optional<std::string_view> next_line(std::string_view& lines) {
  if (lines.empty()) return std::nullopt;
  const auto end = lines.find('\n');
  const auto line = lines.substr(0, end);
  lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
  return line;
}

// "r=*" stands for the client's own nonce: without it no server's message gets far.
std::string with_nonce(std::string_view line, std::string_view nonce) {
  std::string text(line);
  const auto place = text.find("r=*");
  if (place != std::string::npos) text.replace(place + 2, 1, nonce);
  // Every round costs; the limits on both sides of what is taken stay.
  const auto rounds = text.find("i=");
  if (rounds != std::string::npos && text.size() > rounds + 6) text.replace(rounds + 2, std::string::npos, "4096");
  return text;
}

void check_client(sasl::Mechanism mechanism, std::string_view lines) {
  auto client = sasl::Client::start(mechanism, {"user", k_password}, "an exporter's value of 32 bytes!");
  if (!client) return;
  std::string nonce;
  if (client->speaks_first()) {
    const auto first = client->step("");
    if (!first) return;
    if (sasl::is_scram(mechanism)) nonce = sasl::nonce_of(*first);
  }
  while (const auto line = next_line(lines)) {
    const auto answer = client->step(with_nonce(*line, nonce));
    if (!answer) break;
    if (sasl::is_scram(mechanism) || mechanism == sasl::Mechanism::cram_md5) {
      fuzz::require(answer->find(k_password) == std::string::npos, "the password is not said");
    }
  }
  // Nobody here can compute the signature.
  fuzz::require(!client->server_proved(), "no proof without the password");
  if (sasl::is_scram(mechanism)) fuzz::require(!client->check_success(), "and no success");
}

void check_server(sasl::Mechanism mechanism, std::string_view lines) {
  const OneAccount accounts;
  auto server = sasl::Server::start(mechanism, accounts, sasl::Channel{});
  if (!server) return;
  const bool knows = lines.find(k_password) != std::string_view::npos;
  auto step = server->begin(next_line(lines));
  while (step && !step->done) {
    const auto line = next_line(lines);
    if (!line) return;
    step = server->step(*line);
  }
  if (step) fuzz::require(knows && step->user == "user", "nobody without the password");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto lines = fuzz::text(data + 1, size - 1);
  check_base64(lines);
  (void)sasl::check_server_first(lines, "nonce");
  (void)sasl::check_server_final(lines);
  const auto mechanism = sasl::k_mechanisms[data[0] / 2 % sasl::k_mechanisms.size()];
  if (data[0] % 2 == 0) {
    check_client(mechanism, lines);
  } else {
    check_server(mechanism, lines);
  }
  return 0;
}
