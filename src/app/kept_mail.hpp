#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "deliver/breaker.hpp"
#include "deliver/target.hpp"
#include "net/worker.hpp"
#include "queue/queue.hpp"
#include "receive/reception.hpp"
#include "receive/shelf.hpp"

namespace odmr::app {

/// Where received mail waits that the local target has put off: "STATE_DIR/kept", in the queue's form.
std::string kept_mail_in(const std::string& state_dir);

/// `deferred = "here"`: puts it there.
class KeptFolder final : public receive::Shelf {
 public:
  /// All of these must outlive it. The directory is made when it is needed.
  KeptFolder(std::string directory, net::Worker& disk, FileOps& files, Clock& clock)
      : directory_(std::move(directory)), disk_(disk), files_(files), clock_(clock) {}

  net::Task<Result<std::unique_ptr<Place>>> put(const receive::KeptMessage& message, receive::Copy& content) override;

 private:
  std::string directory_;
  net::Worker& disk_;
  FileOps& files_;
  Clock& clock_;
};

struct KeptMailReport {
  std::uint64_t delivered = 0;  ///< messages that wait for nobody any more
  std::uint64_t waiting = 0;    ///< messages
  std::uint64_t bounced = 0;    ///< messages of which a sender will be told
  std::string why;              ///< of the first that waits
  std::optional<Error> state_error;
};

/// Hands what is kept to the local targets again, each message to the target of the provider that it came from. What is
/// refused for good, or older than the lifetime, becomes a bounce record. For the holder of the state directory's lock.
class KeptMail {
 public:
  struct Way {
    deliver::TargetOptions target;
    bool soft_bounce = false;  ///< a refusal for good is one for now
    std::size_t breaker = 5;   ///< as deliver::Breaker has it
  };
  struct Ways {
    /// By provider, no value for one that this run is not for: its mail stays as it is. Under "" the one for mail that
    /// is nobody's any more; without it such mail waits.
    std::map<std::string, std::optional<Way>> targets;
    /// By domain, in canonical form: whose mail it is where the provider that it came from is no longer configured, or
    /// has another name now.
    std::map<std::string, std::string> providers;
  };

  KeptMail(std::string directory, Duration lifetime, Ways ways, receive::BounceKeeper& bounces, net::Network& network,
           net::Worker& disk, FileOps& files, Log& log, Stop& stop);
  ~KeptMail();

  /// Opens the folder, where there is one, and clears what a crash left. Blocks.
  Result<void> open();
  /// Whether the message is there. False before open().
  Result<bool> has(const std::string& id) const;
  /// Tries all there is, once.
  net::Task<KeptMailReport> hand_over();

 private:
  struct Door;  // to a target

  net::Task<bool> next_few();
  net::Task<bool> try_one(queue::Letter letter);
  net::Task<> offer(Door& door, queue::Letter& letter, queue::Attempt& attempt);
  net::Task<bool> pass(deliver::Target& target, queue::Letter& letter, queue::Attempt& attempt);
  net::Task<Result<void>> settle(const queue::Attempt& attempt);
  net::Task<> tell_senders();
  Result<void> record_bounce(queue::Notice& notice);
  std::string provider_of(const queue::Letter& letter) const;
  bool is_for_this_run(const std::string& provider) const;
  net::Task<Door*> door_for(const std::string& name);
  bool has_failed(const Error& error);
  void count(const queue::Letter& letter, const queue::Attempt& attempt);

  const std::string directory_;
  const Duration lifetime_;
  const Ways ways_;
  receive::BounceKeeper& bounces_;
  net::Network& network_;
  net::Worker& disk_;
  FileOps& files_;
  Log& log_;
  Stop& stop_;
  std::optional<queue::Queue> queue_;
  std::optional<spool::Store> store_;
  std::map<std::string, std::unique_ptr<Door>> doors_;
  KeptMailReport report_;
};

}  // namespace odmr::app
