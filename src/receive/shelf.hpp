#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/task.hpp"
#include "receive/copy.hpp"
#include "smtp/command.hpp"
#include "smtp/reply.hpp"

namespace odmr::receive {

/// A message that the target has put off, and that we keep instead of the provider.
struct KeptMessage {
  std::string provider;  ///< its name in the configuration: whose target it is for
  smtp::MailCommand mail;
  struct Waiting {
    smtp::RcptCommand rcpt;
    smtp::Reply reply;  ///< the target's, or why it could not be asked
  };
  std::vector<Waiting> recipients;
  std::string trace;   ///< our Received field, to stand above the content
  std::string digest;  ///< of the content
};

/// Where such messages are kept.
class Shelf {
 public:
  /// One that is there for good once commit() has succeeded; destroyed before that it leaves nothing behind.
  class Place {
   public:
    virtual ~Place() = default;
    virtual const std::string& id() const = 0;
    /// On disk when it returns.
    virtual net::Task<Result<void>> commit() = 0;
  };

  virtual ~Shelf() = default;
  /// Writes the message, from the content's beginning on. Errors: those of the disk.
  virtual net::Task<Result<std::unique_ptr<Place>>> put(const KeptMessage& message, Copy& content) = 0;
};

}  // namespace odmr::receive
