#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "deliver/smtp_target.hpp"
#include "intake/pass_on.hpp"
#include "provider/allowances.hpp"
#include "provider/customers.hpp"

namespace odmr::provider {

/// The way out: the smart host, for mail of the customers' own, which is passed on as `options` say, and for notices.
struct WayOut {
  deliver::TargetOptions smart_host;
  intake::PassOnOptions options;
  std::size_t max_connections = 2;              ///< at once, for notices
  Duration lifetime = std::chrono::hours(120);  ///< of a notice that the smart host puts off
};

/// Mail of a customer's own, before ATRN: it goes on to the smart host while it comes, nothing is stored, and the smart
/// host's answer is the answer. From the customer's domains alone, or from the null reverse-path, and to as many
/// recipients as it is allowed.
class Relay final : public intake::CallerHandler {
 public:
  /// What is given must outlive it. `session`: for the log, and in Received.
  Relay(const WayOut& way_out, const Customer& customer, const intake::Caller& caller, const std::string& session,
        Allowances& allowances, net::Network& network, Log& log, Stop& stop);

  net::Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const server::Hello& hello) override;
  net::Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) override;
  net::Task<std::optional<smtp::Reply>> on_data() override { return pass_on_.on_data(); }
  net::Task<> on_content(std::string_view piece) override { return pass_on_.on_content(piece); }
  net::Task<server::Answer> on_end(server::ContentEnd end, server::Peer& peer) override;
  net::Task<> on_abandon() override { return pass_on_.on_abandon(); }

  /// Messages that the smart host has taken.
  std::uint64_t passed_on() const { return passed_on_; }
  /// QUIT to the smart host, where there is a connection.
  net::Task<> close() { return smart_host_.close(); }

 private:
  const Customer& customer_;
  Allowances& allowances_;
  Clock& clock_;
  deliver::SmtpTarget smart_host_;
  intake::PassOn pass_on_;
  std::uint64_t passed_on_ = 0;
};

}  // namespace odmr::provider
