#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/task.hpp"
#include "provider/waiting_mail.hpp"
#include "smtp/reply.hpp"
#include "spool/store.hpp"

namespace odmr::provider {

/// A recipient that a customer refused for good.
struct Refused {
  std::size_t recipient = 0;  ///< place in the envelope
  smtp::Reply reply;
};

/// The mail that is held for customers, wherever that is: put there, waited for, sent, and gone. For one thread.
class HeldMail {
 public:
  virtual ~HeldMail() = default;

  // --- it comes

  /// A message on its way in. Destroyed before put() it leaves nothing behind.
  class Draft {
   public:
    virtual ~Draft() = default;
    /// The next bytes, with CRLF line ends, in pieces of any size. After an error it is worth nothing.
    virtual Result<void> write(std::string_view piece) = 0;
    /// What the message will be called.
    virtual const std::string& id() const = 0;
  };
  /// Begins a message for recipients of one customer. Errors: no_space and the disk's own.
  virtual Result<std::unique_ptr<Draft>> begin(const spool::Envelope& envelope) = 0;
  /// On disk when it comes back: all of them, or (but for a crash) none. Who waits for such mail is woken.
  virtual net::Task<Result<void>> put(std::vector<std::unique_ptr<Draft>> drafts) = 0;

  // --- it waits

  /// Learns what others have put there and taken away. Errors: it cannot be looked at.
  virtual net::Task<Result<void>> look() = 0;

  const WaitingMail& waiting() const { return waiting_; }
  bool has_mail_for(const Domains& domains) const { return waiting_.has_mail_for(domains); }
  std::optional<Due> next_for(const Domains& domains, const std::string& after) const {
    return waiting_.next_for(domains, after);
  }

  /// Is told of each message that comes for one of the domains, as long as it lives.
  class Watcher {
   public:
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

   private:
    friend class HeldMail;
    Watcher(HeldMail& mail, const Domains& domains, std::function<void()> told);
    HeldMail& mail_;
    std::function<void()> told_;
    std::vector<std::multimap<std::string, Watcher*>::iterator> places_;
  };
  /// `told` is called on the loop, and must not take or give up a Watcher.
  std::unique_ptr<Watcher> watch(const Domains& domains, std::function<void()> told);

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

  // --- it goes

  /// The message, read through once and found whole: who has begun to send it cannot stop for a damaged sector.
  /// A damaged one is set aside. Errors: malformed and not_found, it is gone then; others, it waits.
  virtual net::Task<Result<spool::MessageReader>> open(const std::string& id) = 0;

  /// The customer has taken the message for these recipients. They are not offered again by this process whatever the
  /// disk says; an error says that it is not on disk, and look() will try again.
  virtual net::Task<Result<void>> done(const std::string& id, const std::vector<std::size_t>& recipients) = 0;

  /// The customer will never take the message for these. First a message for bounces/ (or failed/) is on disk:
  /// original envelope, these recipients with their replies, all bytes; then they are done. A crash in between makes
  /// two bounces, never none. Gives the bounce's id. After an error without a bounce the recipients wait as before.
  virtual net::Task<Result<std::string>> refuse(const std::string& id, spool::MessageReader& message,
                                                const std::vector<Refused>& refused) = 0;

  /// `told` is called on the loop after each refuse() that has written a bounce; one is told.
  void when_refused(std::function<void()> told) { told_of_refusal_ = std::move(told); }

  /// Moves a message that nobody could send out of the way.
  virtual void set_aside(const std::string& id, const std::string& why) = 0;

 protected:
  HeldMail() = default;
  /// It has come; those who watch for it are told.
  void has_come(const std::string& id, std::uint64_t octets, const std::vector<WaitingMail::Place>& places);

  void has_been_refused() const {
    if (told_of_refusal_) told_of_refusal_();
  }

  WaitingMail waiting_;

 private:
  std::function<void()> told_of_refusal_;
  std::multimap<std::string, Watcher*> watchers_;  // by domain
  std::shared_ptr<Domains> busy_ = std::make_shared<Domains>();
};

}  // namespace odmr::provider
