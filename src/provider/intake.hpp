#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "intake/caller.hpp"
#include "intake/limits.hpp"
#include "provider/customers.hpp"
#include "provider/held_mail.hpp"

namespace odmr::provider {

class RecipientBook;

struct IntakeOptions {
  std::string hostname;
  intake::Limits limits;
  std::uint64_t spare = 0;                            ///< of the disk, octets that stay free
  std::function<Result<std::uint64_t>()> free_space;  ///< of the disk, now
  RecipientBook* uploaded = nullptr;                  ///< recipients that customers have told; null: none
};

/// Takes mail for customers from an MTA of this machine, by SMTP or LMTP: for their domains alone, and for recipients
/// that there are. 250 only when it is on disk. One message makes one copy for each customer; by LMTP each customer's
/// recipients have their own answer, by SMTP all of them or none.
class Intake final : public intake::CallerHandler {
 public:
  /// What is given must outlive it.
  Intake(const IntakeOptions& options, intake::Caller caller, bool is_lmtp, std::shared_ptr<const Customers> customers,
         HeldMail& held, Clock& clock, Log& log);
  ~Intake() override;

  net::Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const server::Hello& hello) override;
  net::Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) override;
  net::Task<std::optional<smtp::Reply>> on_data() override;
  net::Task<> on_content(std::string_view piece) override;
  net::Task<server::Answer> on_end(server::ContentEnd end, server::Peer& peer) override;
  net::Task<> on_abandon() override;

 private:
  struct Copy;
  struct Message;

  Copy& copy_for(const Customer& customer);
  bool may_have(const Customer& customer, const smtp::Mailbox& mailbox) const;
  bool has_room_for(const Customer& customer, std::uint64_t octets) const;
  std::optional<smtp::Reply> begin(Copy& copy);
  void give_up(const smtp::Reply& reply);
  smtp::Reply refusal(const Error& error);
  net::Task<> commit();
  server::Answer answer() const;
  void log_message(std::uint64_t size) const;

  const IntakeOptions& options_;
  const bool is_lmtp_;
  const std::shared_ptr<const Customers> customers_;
  HeldMail& held_;
  Clock& clock_;
  std::unique_ptr<Message> message_;
};

}  // namespace odmr::provider
