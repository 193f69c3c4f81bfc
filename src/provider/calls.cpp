#include "provider/calls.hpp"

#include <utility>

#include "net/networks.hpp"
#include "provider/hand_over.hpp"

namespace odmr::provider {

namespace {

constexpr int k_no_mail = 453;          // RFC 2645 5.2.1
constexpr int k_no_mail_by_etrn = 251;  // RFC 1985 5.3

}  // namespace

Calls::Line::Line(Calls& calls, std::string address, Clock& clock)
    : calls_(calls), clock_(clock), address_(std::move(address)) {}

Calls::Line::~Line() {
  if (call_ == nullptr) return;
  call_->ended = clock_.wall();
  if (call_->reply.empty() && call_->passed_on > 0)
    call_->reply = std::to_string(call_->passed_on) + " of its own messages passed on";
  if (calls_.listener_ != nullptr) calls_.listener_->on_call_over(*call_);
  calls_.under_way_.erase(call_->number);
}

void Calls::Line::logged_in(const std::string& customer) {
  const std::uint64_t number = ++calls_.last_;
  call_ = &calls_.under_way_[number];
  call_->number = number;
  call_->customer = customer;
  call_->address = address_;
  call_->began = clock_.wall();
  if (calls_.listener_ != nullptr) calls_.listener_->on_call(*call_);
}

void Calls::Line::login_refused() {
  if (calls_.listener_ != nullptr) calls_.listener_->on_refused_login(net::counted_as(address_));
}

void Calls::Line::passed_on(std::uint64_t messages) {
  if (call_ != nullptr) call_->passed_on += messages;
}

void Calls::Line::set_waiting(bool is_waiting) {
  if (call_ == nullptr) return;
  call_->is_waiting = is_waiting;
  if (calls_.listener_ != nullptr) calls_.listener_->on_call(*call_);
}

void Calls::Line::answered(const std::string& reply, int code) {
  if (call_ == nullptr) return;
  call_->reply = reply;
  call_->is_good = code == k_no_mail || code == k_no_mail_by_etrn;
}

void Calls::Line::handed_over(const HandedOver& sum) {
  if (call_ == nullptr) return;
  call_->end = sum.end;
  call_->is_good = sum.is_whole;
  call_->messages = sum.messages;
  call_->recipients = sum.recipients;
  call_->bytes = sum.bytes;
  call_->put_off = sum.put_off;
  call_->refused = sum.refused;
}

}  // namespace odmr::provider
