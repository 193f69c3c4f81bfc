#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/cause.hpp"
#include "base/clock.hpp"
#include "base/outcome.hpp"

namespace odmr::journal {

// What a session leaves for who asks later what came in, and when. A stranger's words are in it as they were said, cut
// where they are long: escape() before showing.

/// What a session came to.
struct SessionEnding {
  WallTime time;
  Outcome outcome = Outcome::no_mail;
  Cause cause = Cause::unknown;
  std::string text;  ///< why, in words; empty where the counts say it all
  std::uint64_t connections = 0;
  std::uint64_t messages = 0;
  std::uint64_t recipients = 0;
  std::uint64_t bytes = 0;
  std::uint64_t rejected = 0;
  std::uint64_t deferred = 0;
  std::uint64_t duplicates = 0;
  std::string fingerprint;  ///< of what we had said, where the provider refused us; else empty
};

/// A session with a provider. Noted when it begins, and once more when it has ended.
struct SessionReceipt {
  std::string id;
  std::string provider;
  WallTime started;
  std::optional<SessionEnding> end;  ///< none: it is under way, or was cut off
};

/// One of its connections, or an attempt to make one. Noted when the line turns, and when it is over.
struct ConnectionReceipt {
  std::string session;
  std::uint64_t number = 0;  ///< from 1 on, within the session; attempts are counted too
  std::string name;          ///< as messages carry it; empty unless the line turned
  WallTime started;
  std::optional<WallTime> ended;
  std::string address;   ///< "192.0.2.1:366"; empty where nobody was reached
  std::string tls;       ///< "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty in clear text
  std::string verified;  ///< how the provider was known: "chain", "pin", "chain and pin"; empty: not at all
  std::optional<WallTime> certificate_until;  ///< the provider's own
  std::string mechanism;                      ///< empty: not logged in
  std::string greeting;
  std::string reply;  ///< to ATRN
  std::string how;    ///< it ended, in words
};

/// Somebody for whom a message was offered.
struct RecipientReceipt {
  enum class By : std::int8_t {
    target = 0,    ///< the reply is the target's
    journal = 1,   ///< he had the message before, and was not served again
    guard = 2,     ///< refused by us; the reply is ours
    accepted = 3,  ///< at RCPT, with that reply; then nothing was handed over
  };
  std::string address;
  By by = By::target;
  std::string reply;
};

/// A message, whatever became of it.
struct MessageReceipt {
  enum class Fate : std::int8_t {
    received = 0,
    duplicate = 1,  ///< every recipient had it before
    refused = 2,
    put_off = 3,
    kept_here = 4,  ///< for the target, later
  };
  std::string connection;  ///< its name
  std::string id;          ///< as in Received and the log; empty where it did not come so far
  std::string reverse_path;
  std::vector<RecipientReceipt> recipients;
  std::uint64_t unlisted = 0;  ///< recipients refused beyond k_most_refused
  std::uint64_t size = 0;
  std::string digest;  ///< SHA-256 of the content, 32 octets; empty where it did not come
  std::string reply;   ///< that the provider heard
  Fate fate = Fate::received;
  WallTime time;

  /// Those beyond it are counted only: a provider that tries names may not fill our disk with them.
  static constexpr std::uint64_t k_most_refused = 50;
  /// Adds one who was refused before the message came.
  void add_refused(std::string address, RecipientReceipt::By by, std::string its_reply);

 private:
  std::uint64_t refused_ = 0;
};

/// An outbound flush. Noted when it is over.
struct FlushReceipt {
  std::string id;
  WallTime started;
  WallTime ended;
  Outcome outcome = Outcome::sent;
  Cause cause = Cause::unknown;
  std::string text;  ///< why, in words; empty where the counts say it all
  std::uint64_t messages = 0;
  std::uint64_t recipients = 0;
  std::uint64_t bytes = 0;
  std::uint64_t deferred = 0;
  std::uint64_t bounced = 0;
  std::string server;                         ///< the smart host; empty where it went over the provider's connection
  std::optional<WallTime> certificate_until;  ///< the smart host's
};

using Receipt = std::variant<SessionReceipt, ConnectionReceipt, MessageReceipt, FlushReceipt>;

/// No text is longer in a receipt, in bytes.
inline constexpr std::size_t k_longest_text = 500;
/// Cuts the texts to that.
void trim_texts(Receipt& receipt);
/// About how many bytes of memory it takes.
std::size_t weight(const Receipt& receipt);

}  // namespace odmr::journal
