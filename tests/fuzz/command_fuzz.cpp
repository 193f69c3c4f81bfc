// Commands: what is understood can be said again, on one line, with the same meaning.

#include "input.hpp"
#include "smtp/command.hpp"

using namespace odmr;

namespace {

void check_mail(std::string_view argument) {
  const auto mail = smtp::parse_mail(argument);
  if (!mail) {
    fuzz::require(mail.error().code >= 500 && mail.error().code < 600, "a refusal is 5xx");
    return;
  }
  smtp::MailOptions options{mail->size, mail->body, mail->smtputf8, mail->ret, mail->envid};
  const auto line = smtp::mail_line(mail->reverse_path, options);
  if (!line) return;
  fuzz::require(line->find_first_of("\r\n") == line->size() - 2, "one line");
  const auto again = smtp::parse_mail(std::string_view(*line).substr(5, line->size() - 7));
  fuzz::require(again.has_value(), "what we say is understood");
  fuzz::require(again->reverse_path.text() == mail->reverse_path.text(), "the reverse-path survives");
}

void check_rcpt(std::string_view argument) {
  const auto rcpt = smtp::parse_rcpt(argument);
  if (!rcpt) return;
  (void)smtp::routes_onwards(rcpt->forward_path.mailbox.local_part);
  (void)smtp::canonical_domain(rcpt->forward_path.mailbox.domain);
  const auto line = smtp::rcpt_line(rcpt->forward_path.mailbox, rcpt->notify, rcpt->orcpt);
  if (line) fuzz::require(line->find_first_of("\r\n") == line->size() - 2, "one line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::text(data, size);
  const auto command = smtp::parse_command(bytes);
  check_mail(command.argument);
  check_rcpt(command.argument);
  if (const auto domains = smtp::parse_atrn(command.argument)) {
    for (const auto& group : smtp::split_for_atrn(*domains)) {
      const auto line = smtp::atrn_line(group);
      fuzz::require(line && line->size() <= smtp::k_longest_command, "ATRN fits its line");
    }
  }
  (void)smtp::parse_bdat(command.argument);
  (void)smtp::is_ehlo_name(bytes);
  (void)smtp::command_line(bytes);
  return 0;
}
