#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/outcome.hpp"
#include "client/open.hpp"

namespace odmr::trigger {

/// What a server's answers to ETRN came to. No mail comes over this line: what waits is sent by the way that the server
/// has for it (RFC 1985 4).
struct EtrnEnd {
  Outcome outcome = Outcome::no_mail;  ///< the worst of all nodes; no_mail where the server begins, or has nothing
  Cause cause = Cause::unknown;
  std::optional<smtp::Reply> reply;  ///< the first, or the first of those that are refusals
  std::string text;                  ///< what was answered for each node, in words
  bool interrupted = false;          ///< it was us who wanted to stop
};

/// Says ETRN for each node ("example.org", "@example.org" with all below it, "#queue": RFC 1985 5.2) in turn on a
/// session that has said EHLO, and QUIT. A server that does not offer ETRN is not asked; one that refuses a node is
/// asked for the others.
net::Task<EtrnEnd> say_etrn(client::Session session, std::vector<std::string> nodes, Duration patience, Stop& stop);

/// The outcome that a reply to ETRN means (RFC 1985 5.3).
Outcome outcome_of(const smtp::Reply& reply);
/// And its cause; unknown for one that refuses nothing.
Cause cause_of(const smtp::Reply& reply);
/// What a reply says about the node, in words, with the server's own.
std::string in_words(const std::string& node, const smtp::Reply& reply);

}  // namespace odmr::trigger
