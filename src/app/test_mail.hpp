#pragma once

#include <functional>
#include <string>

#include "app/settings.hpp"
#include "base/log.hpp"
#include "base/outcome.hpp"

namespace odmr::app {

/// A step of the way that a test message took.
struct TestStep {
  std::string name;  ///< "connect", "greeting", "hello", "tls", "auth", "mail", "rcpt", "data", "message"
  bool is_good = true;
  std::string text;    ///< what the other side said; for a failure what is wrong
  double seconds = 0;  ///< since the step before
};

struct TestMailResult {
  Outcome outcome = Outcome::sent;
  int exit = 0;  ///< the outcome's, or 69 where the message was refused for good
};

/// `odmr probe --test-mail`: one message to `recipient` by the way that [outbound] configures, past the queue, each
/// step told as it happens. Never says ATRN.
TestMailResult send_test_mail(const Settings& settings, const std::string& recipient,
                              const std::function<void(const TestStep&)>& on_step, Log& log);

}  // namespace odmr::app
