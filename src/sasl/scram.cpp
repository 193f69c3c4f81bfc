#include "sasl/scram.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "base/ascii.hpp"
#include "sasl/base64.hpp"
#include "sasl/gsasl.hpp"

namespace odmr::sasl {
namespace {

struct Attribute {
  char letter;
  std::string_view value;
};

tl::unexpected<Error> broken(const std::string& what) {
  return fail(Errc::malformed, "the server's SCRAM message " + what);
}

/// attr-val *("," attr-val), no letter twice.
Result<std::vector<Attribute>> attributes(std::string_view message) {
  if (message.find('\0') != message.npos) return broken("holds a NUL");
  std::vector<Attribute> list;
  for (bool more = true; more;) {
    const std::size_t comma = message.find(',');
    const std::string_view one = message.substr(0, comma);
    more = comma != message.npos;
    if (more) message.remove_prefix(comma + 1);

    if (one.size() < 2 || !is_alpha(one[0]) || one[1] != '=') return broken("is not a list of attributes");
    const auto same = [&](const Attribute& earlier) { return earlier.letter == one[0]; };
    if (std::any_of(list.begin(), list.end(), same)) return broken("names an attribute twice");
    list.push_back({one[0], one.substr(2)});
  }
  return list;
}

/// "m" announces something that must be understood, and nothing is defined; "e" is the server's refusal. Either may
/// stand where it does not belong, and then too nothing good can follow.
Result<void> refuse_extension_and_error(const std::vector<Attribute>& list) {
  for (const Attribute& attribute : list) {
    if (attribute.letter == 'm') {
      return fail(Errc::denied, "the server demands a SCRAM extension (m=) that does not exist for us");
    }
    if (attribute.letter == 'e') {
      return fail(Errc::denied, "the server reports a SCRAM error: " + std::string(attribute.value));
    }
  }
  return {};
}

Result<void> check_nonce(std::string_view nonce, std::string_view client_nonce) {
  if (client_nonce.empty() || !nonce.starts_with(client_nonce)) {
    return fail(Errc::denied, "the server's SCRAM nonce does not begin with ours");
  }
  if (nonce.size() == client_nonce.size()) {
    return fail(Errc::denied, "the server's SCRAM nonce adds nothing to ours");
  }
  return {};
}

Result<void> check_salt(std::string_view salt) {
  const auto bytes = from_base64(salt);
  if (!bytes) return broken("has a salt that is not base64");
  if (bytes->empty()) return fail(Errc::denied, "the server's SCRAM salt is empty");
  return {};
}

Result<void> check_iterations(std::string_view text) {
  const auto count = parse_number(text);
  if (!count || text.front() == '0') return broken("has an iteration count that is no number, or too large for one");
  if (*count >= k_fewest_iterations && *count <= k_most_iterations) return {};
  return fail(Errc::denied, "the server wants " + std::to_string(*count) + " SCRAM iterations; " +
                                std::to_string(k_fewest_iterations) + " to " + std::to_string(k_most_iterations) +
                                " are accepted");
}

}  // namespace

std::string_view nonce_of(std::string_view client_first) {
  const std::size_t at = client_first.rfind(",r=");
  return at == client_first.npos ? std::string_view() : client_first.substr(at + 3);
}

Result<void> check_server_first(std::string_view message, std::string_view client_nonce) {
  const auto list = attributes(message);
  if (!list) return fail(list.error());
  if (auto fine = refuse_extension_and_error(*list); !fine) return fine;
  const auto& all = *list;
  // What follows the three may be extensions, which RFC 5802 5.1 wants ignored.
  if (all.size() < 3 || all[0].letter != 'r' || all[1].letter != 's' || all[2].letter != 'i') {
    return broken("does not give nonce, salt and iteration count in this order");
  }
  if (auto fine = check_nonce(all[0].value, client_nonce); !fine) return fine;
  if (auto fine = check_salt(all[1].value); !fine) return fine;
  return check_iterations(all[2].value);
}

Result<void> check_server_final(std::string_view message) {
  const auto list = attributes(message);
  if (!list) return fail(list.error());
  if (auto fine = refuse_extension_and_error(*list); !fine) return fine;
  if (list->front().letter != 'v') return broken("at the end does not begin with the server's signature");
  return {};
}

}  // namespace odmr::sasl
