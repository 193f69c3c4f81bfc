#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "provider/customers.hpp"
#include "queue/attributes.hpp"
#include "smtp/reply.hpp"
#include "spool/store.hpp"

namespace odmr::provider {

// Attributes of a held message are those of queue/attributes.hpp.
using queue::k_body;
using queue::k_smtputf8;
// Of a message that came to nothing.
inline constexpr const char* k_held_as = "held_as";  ///< the id it was held under
inline constexpr const char* k_reply = "reply";      ///< the customer's last word about this recipient

/// The parts of a spool directory, each a spool::Store.
enum class Folder {
  held,     ///< what waits for customers: the spool directory itself
  bounces,  ///< SPOOL/bounces: refused for good, and a notice is due to the sender
  failed,   ///< SPOOL/failed: the same, but nobody can be told (null reverse-path)
};
/// Errors: as Store::in.
Result<spool::Store> open_folder(const std::string& spool, Folder folder, FileOps& files = system_files());

/// A message for some of whose recipients it is time.
struct Due {
  std::string id;
  std::vector<std::size_t> recipients;  ///< places in the envelope; at least one
};

/// A recipient that a customer refused for good.
struct Refused {
  std::size_t recipient = 0;  ///< place in the envelope
  smtp::Reply reply;
};

/// The mail that is held, as the daemon sees it: the spool on disk, and in memory who waits for what. Other processes
/// add to the spool and take from it meanwhile; refresh() finds out. For one thread.
class HeldMail {
 public:
  /// Opens the spool, makes what is missing and clears what crashes left; the DirectoryLock is the caller's business.
  /// Errors: as Store::in.
  static Result<HeldMail> in(const std::string& spool, Log& log, FileOps& files = system_files());

  /// Lists the spool and opens what is new in it. What is damaged goes to corrupt/, what cannot be read stays where it
  /// is; both are logged and hold up nothing else. Errors: the spool as a whole cannot be read.
  Result<void> refresh();

  bool has_mail_for(const Domains& domains) const;
  /// The first message in the order of arrival that came after the one called `after` (empty: of all) and has a
  /// recipient in one of the domains.
  std::optional<Due> next_for(const Domains& domains, const std::string& after) const;

  /// The sole right to send a set of domains' mail, for as long as it lives.
  class Claim {
   public:
    ~Claim();
    Claim(Claim&&) noexcept = default;
    Claim& operator=(Claim&&) = delete;

   private:
    friend class HeldMail;
    Claim(std::shared_ptr<Domains> busy, Domains mine) : busy_(std::move(busy)), mine_(std::move(mine)) {}
    std::shared_ptr<Domains> busy_;
    Domains mine_;
  };
  /// No value when somebody else has one of them.
  std::optional<Claim> claim(const Domains& domains);

  /// The message, read through once and found whole: who has begun to send it cannot stop for a damaged sector.
  /// A damaged one is set aside. Errors: malformed and not_found, it is gone then; others, it waits.
  Result<spool::MessageReader> open(const std::string& id);

  /// The customer has taken the message for these recipients. They are not offered again by this process whatever the
  /// disk says; an error says that it is not on disk, and refresh() will try again.
  Result<void> done(const std::string& id, const std::vector<std::size_t>& recipients);

  /// The customer will never take the message for these. First a message for bounces/ (or failed/) is on disk:
  /// original envelope, these recipients with their replies, all bytes; then they are done. A crash in between makes
  /// two bounces, never none. Gives the bounce's id. After an error without a bounce the recipients wait as before.
  Result<std::string> refuse(const std::string& id, spool::MessageReader& message, const std::vector<Refused>& refused);

  /// Moves a message that nobody could send out of the way.
  void set_aside(const std::string& id, const std::string& why);

 private:
  struct Waiting {
    std::size_t recipient;
    std::string domain;
  };

  HeldMail(spool::Store held, spool::Store bounces, spool::Store failed, Log& log);
  Result<void> recover();
  void forget_what_is_gone(const spool::Store::Listing& listing);
  void forget(const std::string& id);
  void learn(const std::string& id);
  void say_skipped(const std::vector<spool::Store::Skipped>& skipped);
  Result<void> record(const std::string& id, const std::vector<std::size_t>& recipients);

  spool::Store held_;
  spool::Store bounces_;
  spool::Store failed_;
  Log* log_;
  std::map<std::string, std::vector<Waiting>> waiting_;     // by message; an empty one is done, but not on disk
  std::map<std::string, std::set<std::string>> by_domain_;  // messages
  std::map<std::string, std::vector<std::size_t>> unrecorded_;
  std::set<std::string> skipped_;  // said once
  std::shared_ptr<Domains> busy_;
};

}  // namespace odmr::provider
