#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "provider/customers.hpp"

namespace odmr::provider {

/// What the customers are doing, and did last. For one thread.
class Visits {
 public:
  /// An ATRN of a customer that was granted, until the end of its session.
  class Visit {
   public:
    ~Visit();
    Visit(Visit&&) noexcept = default;
    Visit& operator=(Visit&&) = delete;

   private:
    friend class Visits;
    explicit Visit(std::shared_ptr<std::size_t> under_way) : under_way_(std::move(under_way)) { ++*under_way_; }
    std::shared_ptr<std::size_t> under_way_;
  };

  /// Whether another session of the customer is being handed mail, where one excludes the other.
  bool is_busy(const Customer& customer) const;
  /// Whether a session of the customer is being handed mail.
  bool is_under_way(const Customer& customer) const;
  /// Whether it asks again before its interval is over. Counted from the last 453: who has got mail may ask for more.
  bool is_too_soon(const Customer& customer, TimePoint now) const;

  void had_no_mail(const Customer& customer, TimePoint now);
  Visit begin(const Customer& customer);

 private:
  struct State {
    std::shared_ptr<std::size_t> under_way = std::make_shared<std::size_t>(0);
    TimePoint last_without_mail = TimePoint::min();
  };
  std::map<std::string, State> of_;  // by the customer's name
};

}  // namespace odmr::provider
