#pragma once

#include <deque>
#include <string>
#include <utility>

#include "deliver/target.hpp"
#include "smtp/dot.hpp"

namespace odmr::deliver {

/// A local MTA over SMTP, or a delivery agent over LMTP, or the smart host. One connection, opened when needed and
/// again when it dies.
class SmtpTarget final : public Target {
 public:
  SmtpTarget(const TargetOptions& options, net::Network& network, Log& log, Stop& stop);

  net::Task<Result<void>> ready() override;
  const Abilities& abilities() const override { return abilities_; }
  void foresee(smtp::Ahead&& ahead) override { ahead_ = std::move(ahead); }
  net::Task<smtp::Reply> mail(const smtp::MailCommand& mail) override;
  net::Task<smtp::Reply> rcpt(const smtp::RcptCommand& rcpt) override;
  net::Task<std::optional<smtp::Reply>> data(const Handover& handover) override;
  net::Task<bool> content(std::string_view piece) override;
  net::Task<std::vector<smtp::Reply>> finish() override;
  net::Task<> abandon() override;
  net::Task<> close() override;

  /// Why the last attempt to open a connection failed, if it did.
  const std::optional<client::OpenFailure>& failure() const { return failure_; }

 private:
  enum class State { closed, idle, envelope, content };

  bool is_smart_host() const { return options_.role == TargetOptions::Role::smart_host; }
  std::string who() const { return is_smart_host() ? "the smart host" : "the local mail server"; }
  smtp::Reply not_ready() const;
  net::Task<Result<void>> open();
  net::Task<Result<smtp::Reply>> ask_mail(const smtp::MailCommand& mail, const smtp::Ahead& ahead);
  net::Task<Result<smtp::Reply>> ask_behind_reset(std::string group);
  Result<std::string> rcpt_line(const smtp::RcptCommand& rcpt) const;
  std::string group_behind_mail(const smtp::Ahead& ahead);
  net::Task<Result<smtp::Reply>> answer_to(std::string line);
  net::Task<> hear_the_rest(bool is_mail_taken);
  void drop();
  smtp::Reply lost(const Error& error);
  smtp::Reply heard(smtp::Reply reply);
  net::Task<> learn_why();
  net::Task<> look_for_early_reply();

  const TargetOptions& options_;
  net::Network& network_;
  Log& log_;
  Stop& stop_;
  Stop::Listener on_stop_;
  std::optional<client::Session> session_;
  std::optional<client::OpenFailure> failure_;
  State state_ = State::closed;
  bool needs_reset_ = false;
  bool known_ = false;  // abilities_ were learned
  Abilities abilities_;
  std::size_t accepted_ = 0;
  smtp::Ahead ahead_;
  std::deque<std::string> said_;  // commands of a group whose answers have not been heard
  smtp::DotEncoder encoder_;
  std::string encoded_;
  std::string held_;                    // encoded, and goes out with what follows
  std::optional<smtp::Reply> trouble_;  // why the transaction in hand has failed
};

}  // namespace odmr::deliver
