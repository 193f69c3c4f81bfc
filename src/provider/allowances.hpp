#pragma once

#include <map>
#include <string>

#include "base/clock.hpp"
#include "provider/customers.hpp"

namespace odmr::provider {

/// How many recipients the mail of each customer's own may still have: its outbound_limit at once, and as many more in
/// an hour, evenly. For one thread.
class Allowances {
 public:
  /// One recipient. False: none is left, and nothing is taken.
  bool take(const Customer& customer, TimePoint now);

 private:
  struct Left {
    double recipients = 0;
    TimePoint as_of;
  };
  std::map<std::string, Left> of_;  // by the customer's name
};

}  // namespace odmr::provider
