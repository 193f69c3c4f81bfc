#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/session.hpp"
#include "provider/dialogue.hpp"

namespace odmr::provider {

/// The sole right to send a customer's mail.
struct Right {
  HeldMail::Claim claim;
  Visits::Visit visit;
};

/// Why a line is kept no longer.
struct KeptEnough {
  std::string why;         ///< in words
  bool is_broken = false;  ///< there is nobody to say QUIT to
};

/// A turned line on which all is sent, kept for a customer that has asked for that (XKEEP, our own): mail that comes
/// goes over it at once, with no connection and no login before it.
///
/// The customer hears NOOP as soon as the last reply has been read, which is what it takes it as a sign of, and then
/// every 45 seconds: routers on the way forget a line that is silent for a minute. A line from which nothing has come
/// for a few seconds is asked by NOOP before it gets any mail, so that one that has died in silence keeps none from
/// another line of the same customer. While it is kept, it claims nothing.
class KeptLine {
 public:
  KeptLine(std::shared_ptr<const Customer> customer, Domains domains, Duration keep, Provider& provider,
           Calls::Line& line, Log& log, Stop& stop);

  /// Waits until there is mail, and this line may send it. `provider`'s configuration being read again ends it, too:
  /// the customer logs in to what holds now.
  net::Task<tl::expected<Right, KeptEnough>> wait(client::Session& session);

 private:
  using Grant = tl::expected<Right, KeptEnough>;
  bool is_mail_for_us() const;
  std::optional<KeptEnough> reason_to_quit(TimePoint now) const;
  net::Task<std::optional<KeptEnough>> ask_whether_there(client::Session& session);
  net::Task<std::optional<KeptEnough>> sleep(client::Session& session, TimePoint until);

  std::shared_ptr<const Customer> customer_;
  Domains domains_;
  const Duration keep_;
  Provider& provider_;
  Calls::Line& line_;
  Log& log_;
  Stop& stop_;
  std::optional<TimePoint> until_;  // from the first wait on
  TimePoint heard_ = TimePoint::min();
  bool is_asleep_ = false;
};

}  // namespace odmr::provider
