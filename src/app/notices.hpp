#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "deliver/target.hpp"
#include "net/worker.hpp"
#include "queue/queue.hpp"

namespace odmr::app {

struct NoticeOptions {
  bool all = false;            ///< also notices that were put off, and are not due again yet
  bool whole_message = false;  ///< what a bounce returns where the message does not say (RFC 3461 4.3, RET)
  Duration lifetime = std::chrono::hours(120);  ///< the queue's, for "it will be tried until"
};

/// What became of the notices that were due, in messages.
struct NoticesReport {
  std::uint64_t told = 0;
  std::uint64_t put_off = 0;
  std::uint64_t undeliverable = 0;
  std::string why;                   ///< of the first one that was put off or is undeliverable: its id, and the words
  std::optional<Error> state_error;  ///< the queue could not be read or written: the rest waits for the next run
};

/// Tells senders what failed, and what waits: each notice that is due goes to the local target, from the null
/// reverse-path to the sender, and it is written down, on disk, that it went before the next one is begun. So a crash
/// between the target's 250 and the note repeats one notice, and none is ever lost.
///
/// A target that is down, or that does not let us begin, ends the run: the notice in hand is put off, the others stay
/// due. A 4xx to one notice puts that one off. A 5xx means that nobody can be told, after a second try with the header
/// alone where the whole message was refused. A notice is never sent about a message that came from the null
/// reverse-path.
net::Task<NoticesReport> send_notices(queue::Queue& queue, const deliver::TargetOptions& target,
                                      const NoticeOptions& options, net::Network& network, net::Worker& disk, Log& log,
                                      Stop& stop, FileOps& files = system_files());

}  // namespace odmr::app
