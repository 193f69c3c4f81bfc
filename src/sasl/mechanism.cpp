#include "sasl/mechanism.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"

namespace odmr::sasl {
namespace {

constexpr std::array<std::string_view, k_mechanisms.size()> k_names = {
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "EXTERNAL", "CRAM-MD5",
    "OAUTHBEARER",        "XOAUTH2",       "PLAIN",       "LOGIN",
};

bool contains(const std::vector<Mechanism>& list, Mechanism mechanism) {
  return std::find(list.begin(), list.end(), mechanism) != list.end();
}

/// Why `mechanism` cannot be used there; empty where it can.
std::string obstacle(Mechanism mechanism, const Situation& situation) {
  if (mechanism == Mechanism::external) {
    if (!situation.has_client_certificate) return "needs client_certificate and client_key in the configuration";
    return situation.tls ? "" : "works only inside TLS, which this connection does not have";
  }
  if (!situation.has_password) return "needs a password, and none is configured";
  if (is_for_token(mechanism) && !situation.has_token)
    return "wants a token in the password's place, and auth in the configuration does not name it";
  if (!situation.tls && !allowed_in_clear(mechanism)) {
    return needs_channel_binding(mechanism) ? "works only inside TLS, which this connection does not have"
                                            : "sent only inside TLS, which this connection does not have";
  }
  if (needs_channel_binding(mechanism) && !situation.has_channel_binding) {
    return "needs TLS 1.3 to bind to, which this connection does not have";
  }
  if (!situation.verified && !allowed_in_clear(mechanism) && !needs_channel_binding(mechanism)) {
    return "would tell the password to a server whose certificate was not verified";
  }
  return "";
}

std::string joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

std::string as_configured(const std::vector<Mechanism>& filter) {
  std::string text = "auth = [";
  for (const Mechanism mechanism : filter) {
    if (text.back() != '[') text += ", ";
    text += '"' + std::string(name(mechanism)) + '"';
  }
  return text + "]";
}

/// Mechanisms under what stands in their way, in the order of first mention.
class Obstacles {
 public:
  void add(const std::string& reason, std::string_view mechanism) {
    auto found = std::find_if(groups_.begin(), groups_.end(), [&](const auto& group) { return group.first == reason; });
    if (found == groups_.end()) found = groups_.insert(groups_.end(), {reason, {}});
    auto& names = found->second;
    if (std::find(names.begin(), names.end(), mechanism) == names.end()) names.push_back(mechanism);
  }

  std::string text() const {
    std::string text;
    for (const auto& [reason, names] : groups_) {
      text += (text.empty() ? "" : "; ") + joined(names) + " (" + reason + ")";
    }
    return text;
  }

 private:
  std::vector<std::pair<std::string, std::vector<std::string_view>>> groups_;
};

// What would let one of them be taken, the easiest first.
Cause cause_of_none(const std::vector<std::string>& offered, const Situation& situation) {
  Situation inside_tls = situation;
  inside_tls.tls = inside_tls.verified = inside_tls.has_channel_binding = true;
  Cause cause = Cause::no_mechanism;
  for (const std::string& word : offered) {
    const auto mechanism = mechanism_named(word);
    if (!mechanism) continue;
    if (is_usable(*mechanism, situation)) return Cause::mechanism_excluded;
    if (is_usable(*mechanism, inside_tls)) cause = Cause::mechanism_needs_tls;
  }
  return cause;
}

}  // namespace

std::string why_not(const std::vector<std::string>& offered, const std::vector<Mechanism>& filter,
                    const Situation& situation) {
  Obstacles obstacles;
  std::vector<std::string_view> unknown;
  for (const std::string& word : offered) {
    const auto mechanism = mechanism_named(word);
    if (!mechanism) {
      unknown.push_back(word);
    } else if (!filter.empty() && !contains(filter, *mechanism)) {
      obstacles.add(as_configured(filter) + " in the configuration excludes it", name(*mechanism));
    } else if (!is_usable(*mechanism, situation)) {
      obstacles.add(obstacle(*mechanism, situation), name(*mechanism));
    }
  }
  // Last, because a stranger chose them and chose how many.
  for (const std::string_view word : unknown) obstacles.add("not spoken here", word);
  return obstacles.text();
}

bool names_token(const std::vector<Mechanism>& filter) {
  return std::any_of(filter.begin(), filter.end(), is_for_token);
}

std::string_view name(Mechanism mechanism) {
  return k_names[static_cast<std::size_t>(mechanism)];
}

std::optional<Mechanism> mechanism_named(std::string_view name) {
  for (const Mechanism mechanism : k_mechanisms) {
    if (equals_ignoring_case(name, sasl::name(mechanism))) return mechanism;
  }
  return std::nullopt;
}

bool is_usable(Mechanism mechanism, const Situation& situation) {
  return obstacle(mechanism, situation).empty();
}

std::vector<Mechanism> usable(const Situation& situation) {
  std::vector<Mechanism> list;
  for (const Mechanism mechanism : k_mechanisms) {
    if (is_usable(mechanism, situation)) list.push_back(mechanism);
  }
  return list;
}

Result<Mechanism> choose(const std::vector<std::string>& offered, const std::vector<Mechanism>& filter,
                         const Situation& situation) {
  if (!situation.has_password && !situation.has_client_certificate) {
    return fail(Errc::denied, "there is nothing to log in with: configure user and a password, or client_certificate",
                Cause::credentials_unusable);
  }
  if (offered.empty()) {
    return fail(Errc::denied,
                situation.tls ? "the server does not offer AUTH"
                              : "the server does not offer AUTH; many offer it only inside TLS",
                Cause::auth_not_offered);
  }
  for (const Mechanism mechanism : usable(situation)) {
    const bool is_offered = std::any_of(offered.begin(), offered.end(), [&](const std::string& word) {
      return equals_ignoring_case(word, name(mechanism));
    });
    if (is_offered && (filter.empty() || contains(filter, mechanism))) return mechanism;
  }
  return fail(Errc::denied,
              "the server offers no way to log in that can be used: " + why_not(offered, filter, situation),
              cause_of_none(offered, situation));
}

}  // namespace odmr::sasl
