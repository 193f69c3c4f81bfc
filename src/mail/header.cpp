#include "mail/header.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace odmr::mail {

namespace {

constexpr std::string_view k_received = "Received";

// ftext (RFC 5322 3.6.8)
constexpr bool is_name_letter(char c) {
  return c > ' ' && c < 0x7f && c != ':';
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

}  // namespace

void HeaderWatch::see(std::string_view bytes) {
  while (!bytes.empty() && !over_) {
    if (place_ == Place::rest) {
      bytes.remove_prefix(pass_rest(bytes));
      continue;
    }
    remember(bytes.substr(0, 1));
    look_at(bytes.front());
    bytes.remove_prefix(1);
  }
}

// Passes what is left of a line and gives its length; most bytes of a header come by here.
std::size_t HeaderWatch::pass_rest(std::string_view bytes) {
  const std::size_t newline = bytes.find('\n');
  const std::size_t length = newline == std::string_view::npos ? bytes.size() : newline + 1;
  remember(bytes.substr(0, length));
  if (newline != std::string_view::npos) {
    place_ = Place::line_start;
    line_begin_ = header_.size();
  }
  return length;
}

void HeaderWatch::look_at(char c) {
  switch (place_) {
    case Place::line_start:
      name_.clear();
      if (c == '\r') {
        place_ = Place::cr;
      } else if (is_blank(c) && has_field_) {
        place_ = Place::rest;
      } else if (is_name_letter(c)) {
        name_ = c;
        place_ = Place::name;
      } else {
        end_header();
      }
      break;
    case Place::cr:  // the empty line, or no field
      end_header();
      break;
    case Place::name:
    case Place::before_colon:
      if (c == ':') {
        has_field_ = true;
        if (equals_ignoring_case(name_, k_received)) ++hops_;
        place_ = Place::rest;
      } else if (is_blank(c)) {
        place_ = Place::before_colon;  // RFC 5322 4.5: once allowed
      } else if (place_ == Place::name && is_name_letter(c)) {
        if (name_.size() <= k_received.size()) name_ += c;
      } else {
        end_header();
      }
      break;
    case Place::rest:
      break;
  }
}

void HeaderWatch::remember(std::string_view bytes) {
  header_.append(bytes.substr(0, std::min(bytes.size(), keep_ - header_.size())));
}

void HeaderWatch::end_header() {
  over_ = true;
  header_.resize(line_begin_);
}

}  // namespace odmr::mail
