#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "net/worker.hpp"
#include "smtp/path.hpp"

namespace odmr::provider {

/// The recipients that a customer has told us there are (XRECIPIENTS): of each entry (smtp::recipient_entry) only what
/// SHA-256 makes of it behind a salt of this list's own, so that the list itself tells nobody an address.
struct RecipientList {
  static constexpr std::size_t k_most = 100'000;
  static constexpr std::size_t k_octets = 32;  ///< of each
  static constexpr std::size_t k_salt = 32;    ///< hexadecimal digits

  std::string salt;
  std::string digests;  ///< one behind the other, in ascending order, each once
  WallTime uploaded;

  std::size_t count() const { return digests.size() / k_octets; }
  std::string_view digest(std::size_t which) const {
    return std::string_view(digests).substr(which * k_octets, k_octets);
  }
  bool has(std::string_view entry) const;
  /// Of all of it, in hexadecimal digits: who has the same list and salt has the same.
  std::string fingerprint() const;
};

/// The last list of the customer called so, as it is in the spool; null: there is none. Errors: those of the disk, and
/// malformed.
Result<std::shared_ptr<const RecipientList>> read_recipient_list(const std::string& spool, const std::string& customer,
                                                                 FileOps& files = system_files());

/// Those lists: SPOOL/recipients/KEY.NUMBER, where KEY is a digest of the customer's name and the highest number counts
/// that is whole. For one thread, in one process.
class RecipientBook {
 public:
  /// Makes the directory where it is missing, and clears what crashes left. Errors: those of the disk.
  static Result<std::unique_ptr<RecipientBook>> in(const std::string& spool, net::Worker& disk, Log& log,
                                                   FileOps& files = system_files());

  /// Null: it has told none, or has withdrawn it, or it cannot be read (which is logged: mail is taken then).
  std::shared_ptr<const RecipientList> of(const std::string& customer);
  /// Whether there is no list, or it has the mailbox.
  bool may_have(const std::string& customer, const smtp::Mailbox& mailbox, std::string_view delimiter);

  /// On disk when it comes back, in place of the one before; of an empty one, that there is none. After an error the
  /// one before counts. One at a time for each customer.
  net::Task<Result<void>> put(std::string customer, RecipientList list);

  /// A list of the customer's is on its way, as long as this lives. What has come of it is in memory.
  class Upload {
   public:
    Upload(RecipientBook& book, std::string customer) : book_(book), customer_(std::move(customer)) {
      book_.under_way_.insert(customer_);
    }
    ~Upload() { book_.under_way_.erase(customer_); }
    Upload(const Upload&) = delete;
    Upload& operator=(const Upload&) = delete;

   private:
    RecipientBook& book_;
    std::string customer_;
  };
  /// There is room for so many, and for one of each customer.
  bool has_room_for_upload(const std::string& customer) const {
    return under_way_.size() < k_most_uploads && !under_way_.contains(customer);
  }

 private:
  static constexpr std::size_t k_most_uploads = 8;
  RecipientBook(std::string spool, net::Worker& disk, Log& log, FileOps& files)
      : spool_(std::move(spool)), disk_(disk), log_(log), files_(files) {}

  std::string spool_;
  net::Worker& disk_;
  Log& log_;
  FileOps& files_;
  std::map<std::string, std::shared_ptr<const RecipientList>> known_;  // null: none
  std::set<std::string> under_way_;
};

}  // namespace odmr::provider
