#include "turn/recipients.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/ascii.hpp"
#include "net/digest.hpp"

namespace odmr::turn {

namespace {

using net::Task;
using How = RecipientsTold::How;

constexpr std::string_view k_keyword = "XRECIPIENTS";
constexpr std::size_t k_salt = 32;  // hexadecimal digits

// What the provider says of the list that it has: "2.0.0 SALT FINGERPRINT".
struct Standing {
  std::string salt;
  std::string fingerprint;
};

std::optional<Standing> standing_of(const smtp::Reply& reply) {
  std::string_view text = reply.lines.front();
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto end = text.find(' ');
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (reply.code != 250 || words.size() < 3 || words[1].size() != k_salt || !net::from_hex(words[1]))
    return std::nullopt;
  return Standing{words[1], words[2]};
}

// In ascending order, each once, one behind the other.
std::vector<std::string> digests_of(const std::vector<std::string>& entries, const std::string& salt) {
  std::vector<std::string> digests;
  digests.reserve(entries.size());
  for (const auto& entry : entries) digests.push_back(net::sha256(salt + entry));
  std::sort(digests.begin(), digests.end());
  digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
  return digests;
}

std::string joined(const std::vector<std::string>& digests) {
  std::string all;
  for (const auto& one : digests) all += one;
  return all;
}

RecipientsTold refused(const smtp::Reply& reply) {
  return {How::refused, "\"" + reply.joined() + "\""};
}

}  // namespace

bool takes_recipients(const client::Session& session) {
  return session.capabilities().has(k_keyword);
}

Task<Result<RecipientsTold>> tell_recipients(client::Session& session, const std::vector<std::string>& entries,
                                             Duration patience, Stop& stop) {
  const Stop::Listener listener(stop, [&session](Stop::Phase) { session.stream().interrupt(); });
  const auto most = parse_number(session.capabilities().parameters(k_keyword));
  const auto asked = co_await session.ask("XRECIPIENTS\r\n", patience);
  if (!asked) co_return fail(asked.error());
  const auto standing = standing_of(*asked);
  if (!standing) co_return refused(*asked);
  const auto digests = digests_of(entries, standing->salt);
  const std::string octets = joined(digests);
  if (net::hex(net::sha256(standing->salt + octets)) == standing->fingerprint) co_return RecipientsTold{How::known, {}};
  if (most && digests.size() > *most) {
    const std::string why =
        "it takes " + std::to_string(*most) + " at most, and there are " + std::to_string(digests.size());
    co_return RecipientsTold{How::refused, why};
  }
  const std::string command = "XRECIPIENTS " + standing->salt + " " + std::to_string(digests.size()) + "\r\n";
  const auto may_go_on = co_await session.ask(command, patience);
  if (!may_go_on) co_return fail(may_go_on.error());
  if (may_go_on->code != 354) co_return refused(*may_go_on);
  std::string lines;
  lines.reserve(2 * octets.size() + 2 * digests.size() + 3);
  for (const auto& one : digests) lines += net::hex(one) + "\r\n";
  lines += ".\r\n";
  const auto sent = co_await session.send_content(lines);
  if (!sent) co_return fail(sent.error());
  const auto stored = co_await session.read_reply(patience);
  if (!stored) co_return fail(stored.error());
  if (!stored->is_positive()) co_return refused(*stored);
  co_return RecipientsTold{How::told, std::to_string(digests.size())};
}

}  // namespace odmr::turn
