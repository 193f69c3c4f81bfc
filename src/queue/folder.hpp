#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "queue/record.hpp"
#include "spool/store.hpp"

namespace odmr::queue {

/// The queue's files, read as records. What is damaged is set aside, what cannot be read is left alone and said once;
/// neither holds up anything else. For several threads.
class Folder {
 public:
  Folder(spool::Store store_in, Log& log) : store(std::move(store_in)), log_(log) {}

  /// A message and what is known about it.
  struct Dossier {
    spool::MessageReader message;
    Record record;
  };
  /// Errors: as spool::Store::open.
  Result<Dossier> read(const std::string& id);
  /// Of those that can be read and are not over.
  std::vector<Record> records(std::span<const std::string> ids);

  struct Claimed {
    Descriptor claim;
    Dossier dossier;
  };
  /// Errors: as spool::Store::lock and open.
  Result<Claimed> claim(const std::string& id);
  /// The same, and the message has been read through and was whole.
  Result<Claimed> claim_whole(const std::string& id);

  /// `file`: below the queue's directory.
  void leave_alone(const std::string& file, const std::string& why);
  /// Messages that this object has set aside, and those that it has left alone.
  std::vector<Unusable> set_aside() const;
  std::vector<Unusable> left_alone() const;

  spool::Store store;

 private:
  void give_up(const std::string& id, const Error& why);
  void set_aside(const std::string& id, const std::string& why);

  Log& log_;
  mutable std::mutex mutex_;
  std::set<std::string> said_;
  std::vector<Unusable> set_aside_;
  std::vector<Unusable> left_alone_;
};

}  // namespace odmr::queue
