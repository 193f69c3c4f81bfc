#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "net/wakeup.hpp"
#include "net/worker.hpp"
#include "provider/held_index.hpp"
#include "provider/held_mail.hpp"
#include "provider/spool_folders.hpp"
#include "spool/news.hpp"

namespace odmr::provider {

/// Mail that is held in a spool directory, which is the truth; who waits for what is in memory, and in an index for the
/// next start. Other processes add to
/// the spool and take from it meanwhile. What is synced is so on the disk's threads, and what several sessions note at
/// the same moment shares a sync.
class HeldInDirectory final : public HeldMail {
 public:
  /// Opens the spool, makes what is missing, clears what crashes left and learns what is there; the DirectoryLock is
  /// the caller's business. What is given must outlive it. Blocks. `is_told`: the kernel is asked to tell what others
  /// do there, so that look() need not list it. Errors: as Store::in; the spool cannot be read.
  static Result<std::unique_ptr<HeldInDirectory>> in(const std::string& spool, net::Worker& disk, Log& log,
                                                     FileOps& files = system_files(), bool is_told = true);
  /// Writes what the index lacks.
  ~HeldInDirectory() override;

  Result<std::unique_ptr<Draft>> begin(const spool::Envelope& envelope) override;
  net::Task<Result<void>> put(std::vector<std::unique_ptr<Draft>> drafts) override;
  net::Task<Result<void>> look() override;
  net::Task<Result<spool::MessageReader>> open(const std::string& id) override;
  net::Task<Result<void>> done(const std::string& id, const std::vector<std::size_t>& recipients) override;
  net::Task<Result<std::string>> refuse(const std::string& id, spool::MessageReader& message,
                                        const std::vector<Refused>& refused) override;
  void set_aside(const std::string& id, const std::string& why) override;

  /// Becomes readable when there is something for look() to learn; none where the kernel does not tell.
  std::optional<int> news() const;

 private:
  struct StoredDraft;
  struct Job;

  HeldInDirectory(std::string spool, spool::Store held, spool::Store bounces, spool::Store failed, net::Worker& disk,
                  Log& log);
  Result<void> recover();
  void follow(const std::string& spool);
  std::map<std::string, IndexedMessage> read_index();
  Result<void> open_index();
  void give_up_index(const std::string& what, const Error& why);
  void learn_all(const spool::Store::Listing& listing);
  void note_come(const std::string& id, std::uint64_t octets, const std::vector<WaitingMail::Place>& places);
  std::optional<IndexChanges> take_worth_indexing();
  Result<void> write_index(const IndexChanges& changes);
  void index_written(const Result<void>& written);
  void apply(const spool::Store::Listing& listing, const std::set<std::string>& known);
  void learn(const std::string& id, bool may_have_marks = true);
  void forget(const std::string& id);
  void say_skipped(const std::vector<spool::Store::Skipped>& skipped);
  net::Task<Result<void>> record(const std::string& id, const std::vector<std::size_t>& recipients);
  net::Task<> record_batch();

  const std::string spool_;
  spool::Store held_;
  spool::Store bounces_;
  spool::Store failed_;
  net::Worker& disk_;
  Log& log_;
  std::optional<spool::News> news_;
  std::optional<HeldIndex> index_;  // whoever writes it has it: the disk's thread, while is_indexing_
  bool is_indexed_ = true;          // false once it has failed
  bool is_indexing_ = false;
  IndexChanges unindexed_;
  std::map<std::string, std::set<std::size_t>> unrecorded_;
  std::set<std::string> skipped_;  // said once
  std::vector<Job*> jobs_;         // to be recorded
  bool is_recording_ = false;
  std::optional<net::Wakeup> recorded_;
};

}  // namespace odmr::provider
