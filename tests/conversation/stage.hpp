#pragma once

#include <array>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "actor.hpp"
#include "app/explain.hpp"
#include "app/fetch.hpp"
#include "app/probe_part.hpp"
#include "ledger.hpp"
#include "net/memory.hpp"
#include "transcript.hpp"

namespace odmr::conversation {

/// Which connection: the first, second … with that peer, counted from 0.
struct LineName {
  Peer peer = Peer::provider;
  std::size_t number = 0;
  friend auto operator<=>(const LineName&, const LineName&) = default;
};

/// How a run differs from its transcript.
struct Variation {
  std::map<LineName, net::Faults> faults;  ///< of our end
  net::Faults everywhere;                  ///< for connections that `faults` does not name
  /// The peers go on sensibly where we say something else than the transcript has: for runs in which something fails.
  bool lenient = false;
  bool has_other_target =
      false;  ///< lenient: further connections to the target are taken, by one that takes everything
  std::string text() const;
};

/// What the journal has of the session afterwards.
struct Receipts {
  std::vector<journal::SessionReceipt> sessions;
  std::vector<journal::ConnectionReceipt> connections;
  std::vector<journal::MessageReceipt> messages;
};

/// What a run came to.
struct Performance {
  bool ended = false;  ///< the session, by itself
  Duration took{};
  app::SessionReport report;
  Receipts receipts;
  std::vector<std::string> mismatches;  ///< with the transcript
  std::map<LineName, net::Traffic> traffic;
  std::map<LineName, std::string> input;  ///< what each peer said to us
  Ledger ledger;
  std::string log;                    ///< at trace level
  std::vector<app::TraceLine> trace;  ///< the same, line by line
  std::vector<Event> dialogue;
};

/// The dialogue in words, a line each.
std::string written_out(const std::vector<Event>& dialogue);

/// One whole session of app::fetch() with the peers of a transcript. Nothing is real but the code under test.
Performance perform(const Transcript& transcript, const Variation& variation = {});

/// What `odmr probe` comes to with the peers of a transcript.
struct ProbePerformance {
  bool ended = false;
  Outcome outcome = Outcome::no_mail;
  std::vector<app::ProbeStep> steps;
  std::vector<std::string> mismatches;
  std::string log;
  std::vector<Event> dialogue;
};

/// The provider's part of a probe, and then the local target's.
ProbePerformance perform_probe(const Transcript& transcript);

/// Secrets and message bodies, in all the forms in which they go over the wire and that no log may show.
std::vector<std::string> unspeakable(const Transcript& transcript);

}  // namespace odmr::conversation
