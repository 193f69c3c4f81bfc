#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/transaction.hpp"
#include "spool/message_file.hpp"

namespace odmr::send {

/// What a stored message needs of the next hop and has to say to it, for the recipients at these places in its
/// envelope; `size` of the message as it goes. Errors: malformed, an address that is none.
Result<client::Envelope> envelope_for(const spool::Envelope& stored, const std::vector<std::size_t>& recipients,
                                      std::uint64_t size, const smtp::Capabilities& offered);

/// A stored message's bytes, from the first one on.
class StoredContent final : public client::Content {
 public:
  explicit StoredContent(spool::MessageReader& message) : message_(message) { message_.rewind(); }
  Result<std::size_t> read(char* into, std::size_t size) override { return message_.read(into, size); }

 private:
  spool::MessageReader& message_;
};

/// What was said about a message, for a log: one of each kind of reply is enough to see what happened.
std::string words_of(const client::Delivery& delivery);

}  // namespace odmr::send
