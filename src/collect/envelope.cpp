#include "collect/envelope.hpp"

#include <utility>

#include "base/ascii.hpp"
#include "mail/fields.hpp"

namespace odmr::collect {

namespace {

// "… by HOSTNAME with POP3S id …", as mail::format() writes it, whatever its folding has become.
bool is_by_us(std::string_view received, std::string_view hostname) {
  std::vector<std::string_view> words;
  while (!received.empty()) {
    const auto begin = received.find_first_not_of(" \t");
    if (begin == std::string_view::npos) break;
    received.remove_prefix(begin);
    words.push_back(received.substr(0, received.find_first_of(" \t")));
    received.remove_prefix(words.back().size());
  }
  bool is_here = false;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (equals_ignoring_case(words[i], "by")) is_here = equals_ignoring_case(words[i + 1], hostname);
    if (!is_here || !equals_ignoring_case(words[i], "with")) continue;
    const auto way = words[i + 1];
    return starts_with_ignoring_case(way, "POP3") || starts_with_ignoring_case(way, "IMAP");
  }
  return false;
}

}  // namespace

smtp::Path return_path(std::string_view header) {
  smtp::Path path;
  path.is_null = true;
  const auto field = mail::find_field(header, "Return-Path");
  if (!field) return path;
  const std::string value = field->value();
  auto parsed = smtp::parse_path(value, true, false);
  return parsed ? std::move(parsed->path) : path;
}

Addressing for_one(smtp::Mailbox recipient) {
  return [recipient = std::move(recipient)](std::string_view header) {
    return Envelope{return_path(header), {recipient}};
  };
}

std::size_t times_collected(std::string_view header, std::string_view hostname) {
  std::size_t times = 0;
  mail::FieldReader fields(header);
  for (auto field = fields.next(); field; field = fields.next()) {
    if (field->is("Received") && is_by_us(field->value(), hostname)) ++times;
  }
  return times;
}

}  // namespace odmr::collect
