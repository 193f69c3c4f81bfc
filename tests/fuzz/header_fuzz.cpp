// Header fields: no byte is lost, the two readers agree on where a header ends, with_from() once is with_from() twice,
// and a notice stays one whatever anybody said.

#include "base/ascii.hpp"
#include "input.hpp"
#include "mail/fields.hpp"
#include "mail/from_policy.hpp"
#include "mail/header.hpp"
#include "mail/notice.hpp"

using namespace odmr;

namespace {

constexpr std::string_view k_from = "system@example.org";

void check_fields(std::string_view header) {
  std::string all;
  mail::FieldReader reader(header);
  for (auto field = reader.next(); field; field = reader.next()) {
    fuzz::require(field->value().find('\n') == std::string::npos, "a value is one line");
    all += field->raw;
  }
  fuzz::require(all + std::string(reader.rest()) == header, "no byte is lost");
  mail::HeaderWatch watch(header.size());
  watch.see(header);
  // A last line without an end may still become a field.
  const bool is_open = !watch.is_over() && !header.ends_with('\n');
  fuzz::require(is_open || watch.header() == all, "a header ends where it ends");
}

std::size_t fields_of(std::string_view header, std::string_view name) {
  std::size_t count = 0;
  mail::FieldReader reader(header);
  for (auto field = reader.next(); field; field = reader.next()) count += field->is(name) ? 1 : 0;
  return count;
}

void check_with_from(std::string_view header) {
  const auto once = mail::with_from(header, k_from);
  fuzz::require(mail::with_from(once, k_from) == once, "twice is once");
  if (header.starts_with(' ') || header.starts_with('\t')) return fuzz::require(once == header, "no header, no change");
  fuzz::require(fields_of(once, "From") == 1, "one From");
  fuzz::require(fields_of(once, "Sender") == 0, "no Sender");
  const auto address = mail::find_field(once, "From")->body;
  const auto has_it = [](std::string_view text) { return lower(text).find(k_from) != std::string::npos; };
  fuzz::require(has_it(address), "the address is there");
}

void check_notice(std::string_view words) {
  mail::DeliveryStatus status;
  status.message_id = "0";
  status.hostname = "mail.example.org";
  status.addressee = status.envelope_id = words;
  status.recipients.push_back({std::string(words), std::string(words), std::string(words), std::string(words)});
  status.internationalized = words.size() % 2 == 0;
  const auto frame = mail::frame(status, false, false);
  fuzz::require(frame.needs_8bit || is_ascii(frame.before), "7-bit where nothing else is said");
  fuzz::require(is_utf8(frame.before), "UTF-8 at the most");
  std::size_t line = 0;
  for (std::size_t i = 0; i < frame.before.size(); ++i) {
    const char c = frame.before[i];
    if (c == '\n') {
      fuzz::require(i > 0 && frame.before[i - 1] == '\r', "CRLF");
      line = 0;
    } else {
      fuzz::require(c == '\r' ? frame.before[i + 1] == '\n' : !is_control(c), "no controls");
      fuzz::require(++line <= 999, "no line is too long");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::text(data, size);
  check_fields(bytes);
  check_with_from(bytes);
  check_with_from("From:" + std::string(bytes));
  check_notice(bytes);
  return 0;
}
