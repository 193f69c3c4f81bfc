#include "journal/receipt.hpp"

#include <utility>

namespace odmr::journal {

namespace {

void cut(std::string& text) {
  if (text.size() > k_longest_text) text.resize(k_longest_text);
}

// Every text of strangers; our own are short.
template <class Do>
void each_text(SessionReceipt& receipt, const Do& with) {
  if (receipt.end) with(receipt.end->text);
}

template <class Do>
void each_text(ConnectionReceipt& receipt, const Do& with) {
  for (std::string* text : {&receipt.address, &receipt.greeting, &receipt.reply, &receipt.how}) with(*text);
}

template <class Do>
void each_text(FlushReceipt& receipt, const Do& with) {
  with(receipt.text);
}

template <class Do>
void each_text(MessageReceipt& receipt, const Do& with) {
  with(receipt.reverse_path);
  with(receipt.reply);
  for (auto& one : receipt.recipients) {
    with(one.address);
    with(one.reply);
  }
}

}  // namespace

void MessageReceipt::add_refused(std::string address, RecipientReceipt::By by, std::string its_reply) {
  if (refused_ == k_most_refused) {
    ++unlisted;
    return;
  }
  ++refused_;
  cut(address);
  cut(its_reply);
  recipients.push_back({std::move(address), by, std::move(its_reply)});
}

void trim_texts(Receipt& receipt) {
  std::visit([](auto& one) { each_text(one, cut); }, receipt);
}

std::size_t weight(const Receipt& receipt) {
  constexpr std::size_t k_fixed = 256;
  const auto* message = std::get_if<MessageReceipt>(&receipt);
  if (message == nullptr) return k_fixed;
  std::size_t sum = k_fixed + message->reverse_path.size() + message->reply.size();
  for (const auto& one : message->recipients) sum += sizeof(one) + one.address.size() + one.reply.size();
  return sum;
}

}  // namespace odmr::journal
