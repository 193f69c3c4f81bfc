#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/outcome.hpp"
#include "client/open.hpp"
#include "client/transaction.hpp"
#include "net/worker.hpp"
#include "queue/queue.hpp"

namespace odmr::send {

/// Login by asking the incoming server first: a POP3 login from our address opens the smart host for some minutes.
struct PopBeforeSmtp {
  client::Server server;  ///< its endpoint, TLS policy (starttls: STLS) and login; the dialect does not matter
};

struct FlushOptions {
  client::Server server;  ///< the smart host; not used when the connection is the provider's
  std::optional<PopBeforeSmtp> pop_before_smtp;
  std::size_t max_connections = 2;
  client::TransactionPatience patience;
  std::size_t most_recipients = 100;        ///< in one transaction (RFC 5321 4.5.3.1.8)
  std::optional<smtp::Mailbox> from;        ///< reverse-path and From of everything, for smart hosts that insist
  std::vector<std::string> seven_bit_argv;  ///< convert_8bit: the program that converts stdin to stdout; empty: never
  std::string scratch_directory;            ///< for what it gives
  Duration lifetime = std::chrono::hours(120);  ///< the queue's: what is put off after it has failed
  bool all = false;                             ///< also what is not due yet
  TimePoint until = TimePoint::max();           ///< a budget: no message is begun after that
  std::uint64_t max_bytes = 0;                  ///< nor after so many bytes of content; 0: any
  std::uint64_t used_bytes = 0;                 ///< of these, before this flush
};

/// What went out, as `--json` counts it (contract).
struct FlushTally {
  std::uint64_t messages = 0;  ///< sent to one recipient at least
  std::uint64_t recipients = 0;
  std::uint64_t bytes = 0;
  std::uint64_t deferred = 0;  ///< messages
  std::uint64_t bounced = 0;   ///< messages of which a recipient failed for good
};

struct FlushReport {
  /// no_mail: there was nothing to send. Otherwise sent, deferred, unavailable, auth, tls, config or state.
  Outcome outcome = Outcome::no_mail;
  FlushTally tally;
  std::optional<std::string> tls;             ///< of the first connection
  std::optional<std::string> auth;            ///< likewise
  std::optional<WallTime> certificate_until;  ///< the smart host's
  std::uint64_t connections = 0;
  std::uint64_t bytes_on_line = 0;  ///< of content, whatever became of it
  std::string text;                 ///< why, in words
  Cause cause = Cause::unknown;
};

using OnFlushProgress = std::function<void(const FlushTally&)>;

/// Sends what is due, over `max_connections` connections to the smart host at most, none when nothing is due. A
/// message's final dot goes out only when the answer to the one before it on that connection is on disk. Two
/// connections in a row over which nothing gets through end it, whatever else is due; one is enough where the reason is
/// a login or TLS. Nothing is put off by that, but what is older than the lifetime has failed then. `stop` lets the
/// transactions in hand end.
net::Task<FlushReport> flush(const FlushOptions& options, queue::Queue& queue, net::Network& network, net::Worker& disk,
                             OnFlushProgress on_progress, Log& log, Stop& stop);

/// The same on a conversation that is open already: the provider's, logged in, before ATRN. Gives the report; the
/// session can go on unless `broken`, no transaction is open on it. 500, 502, 503 and 530 to MAIL end the flush, and
/// the mail waits as if it had not been tried; unless it is older than the lifetime.
struct FlushedOver {
  FlushReport report;
  std::optional<Error> broken;
};
net::Task<FlushedOver> flush_over(client::Session& session, const FlushOptions& options, queue::Queue& queue,
                                  net::Worker& disk, OnFlushProgress on_progress, Log& log, Stop& stop);

}  // namespace odmr::send
