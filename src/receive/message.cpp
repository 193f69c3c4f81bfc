#include "receive/message.hpp"

#include <utility>

namespace odmr::receive {

std::vector<smtp::Mailbox> Message::asked_for() const {
  std::vector<smtp::Mailbox> found;
  for (const auto& one : recipients) {
    if (one.is_asked_for()) found.push_back(one.rcpt.forward_path.mailbox);
  }
  return found;
}

net::Task<> Message::give_up_content(smtp::Reply reply) {
  for (auto& one : recipients) {
    if (one.is_asked_for()) one.reply = reply;
  }
  is_streaming = false;
  co_await abandon();
}

net::Task<> Message::abandon() const {
  if (target != nullptr) co_await target->abandon();
}

std::string comparable(const smtp::Mailbox& mailbox) {
  smtp::Mailbox same = mailbox;
  if (auto domain = smtp::canonical_domain(mailbox.domain)) same.domain = std::move(*domain);
  return same.text();
}

}  // namespace odmr::receive
