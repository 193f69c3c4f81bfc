// What people and programs hand in: lists of addresses, and messages to be made whole. A list that is read is read the
// same when it is written out; pieces make no difference; completing twice is completing once; what comes out of
// LineEnds has no CR or LF alone.

#include "input.hpp"
#include "mail/addresses.hpp"
#include "mail/fields.hpp"
#include "mail/line_ends.hpp"
#include "mail/submission.hpp"

using namespace odmr;

namespace {

void check_list(std::string_view bytes) {
  const auto addresses = mail::addresses_in(bytes, true);
  if (!addresses) return fuzz::require(addresses.error().code == Errc::malformed, "half a list is none");
  std::string list;
  for (const auto& one : *addresses) {
    fuzz::require(!one.empty(), "an address is something");
    list += (list.empty() ? "" : ", ") + (one == "<>" ? one : "<" + one + ">");
  }
  const auto again = mail::addresses_in(list, true);
  fuzz::require(again && *again == *addresses, "what was read is read again");
}

std::string with_line_ends(std::string_view bytes, std::size_t piece) {
  std::string out;
  mail::LineEnds ends(mail::LineEnds::LoneCr::space);
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    fuzz::require(ends.pass(bytes.substr(at, piece), out), "a space takes its place");
  }
  ends.finish(out);
  return out;
}

void check_line_ends(const std::string& out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '\n') fuzz::require(i > 0 && out[i - 1] == '\r', "no LF alone");
    if (out[i] == '\r') fuzz::require(i + 1 < out.size() && out[i + 1] == '\n', "no CR alone");
  }
}

std::string gathered(const std::string& message, bool drops, std::size_t piece) {
  mail::Beginning beginning(drops);
  for (std::size_t at = 0; at < message.size(); at += piece) {
    fuzz::require(beginning.add(std::string_view(message).substr(at, piece)).has_value(), "short enough");
  }
  return beginning.take();
}

void check_message(const std::string& message) {
  for (const bool drops : {false, true}) {
    fuzz::require(gathered(message, drops, 1) == gathered(message, drops, message.size() + 1), "pieces");
  }
  mail::Beginning beginning(false);
  (void)beginning.add(message);
  (void)mail::recipients_in(beginning.header());
  mail::Completion completion;
  completion.from = mail::named_address(message.substr(0, 100), "a@b.example");
  completion.message_id = "<1@b.example>";
  completion.remove_bcc = true;
  fuzz::require(
      completion.from.find_first_of("\r\n") == std::string::npos || completion.from.find("\r\n ") != std::string::npos,
      "a name makes no field");
  const auto once = mail::completed(message, completion);
  check_line_ends(once);
  fuzz::require(mail::completed(once, completion) == once, "twice is once");
  fuzz::require(!mail::find_field(once, "Bcc"), "no Bcc");
  fuzz::require(mail::find_field(once, "Date").has_value(), "a Date");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::text(data, size);
  check_list(bytes);
  const auto message = with_line_ends(bytes, bytes.size() + 1);
  check_line_ends(message);
  fuzz::require(with_line_ends(bytes, 1) == message, "pieces make no difference");
  check_message(message);
  return 0;
}
