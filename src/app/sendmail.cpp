#include "app/sendmail.hpp"

#include <sysexits.h>

#include <array>

#include "app/places.hpp"
#include "app/run_as.hpp"
#include "queue/attributes.hpp"
#include "queue/intake.hpp"
#include "submit/hand_in.hpp"

namespace odmr::app {

namespace {

constexpr std::size_t k_piece = std::size_t{64} * 1024;

tl::unexpected<SendmailFailure> failed(int exit, std::string text) {
  return tl::unexpected(SendmailFailure{exit, std::move(text)});
}

// --- into the queue

// Only what the message itself is at fault for is for good.
tl::unexpected<SendmailFailure> not_stored(const Error& error) {
  const bool is_its_fault = error.code == Errc::too_long || error.code == Errc::malformed;
  return failed(is_its_fault ? EX_DATAERR : EX_TEMPFAIL, error.text);
}

Sent<spool::Store> open_queue(const SubmissionPlace& place, FileOps& files) {
  auto ready = become_user_of(place.state_dir, place.run_as);
  if (!ready) return failed(EX_NOPERM, ready.error().text);
  ready = make_state_dir(place.state_dir, place.state_dir_is_default);
  if (!ready) return not_stored(ready.error());
  auto store = spool::Store::in(queue::directory_in(place.state_dir), files);
  if (!store) return not_stored(store.error());
  return std::move(*store);
}

Sent<> fill(queue::Intake& intake, const mail::Beginning& beginning, MessageInput& input) {
  if (auto written = intake.write(beginning.text()); !written) return not_stored(written.error());
  std::string piece;
  while (!input.is_over()) {
    piece.clear();
    if (auto read = input.read(piece); !read) return read;
    if (auto written = intake.write(piece); !written) return not_stored(written.error());
  }
  return {};
}

Sent<> put_into_queue(const SendmailOptions& options, const SubmissionPlace& place, int input, WallTime now,
                      FileOps& files) {
  const Submitter submitter;
  auto store = open_queue(place, files);
  if (!store) return tl::unexpected(store.error());
  MessageInput lines(input, options.dot_ends, files);
  const auto beginning = read_beginning(lines);
  if (!beginning) return tl::unexpected(beginning.error());
  const auto header = beginning->header();
  auto envelope = envelope_of(options, header, submitter, place.hostname, now);
  if (!envelope) return tl::unexpected(envelope.error());

  queue::IntakeOptions whole;
  whole.hostname = place.hostname;
  whole.max_size = place.max_size;
  whole.from = missing_from(options, header, submitter, place.hostname, envelope->reverse_path);
  whole.remove_bcc = true;
  whole.received = local_trace(*envelope, submitter, place.hostname);
  queue::Intake intake(*store, std::move(*envelope), std::move(whole));
  if (auto filled = fill(intake, *beginning, lines); !filled) return filled;
  if (auto id = intake.commit(); !id) return not_stored(id.error());
  return {};
}

// --- to the socket

Sent<> as_sent(const submit::HandedIn<>& handed_in) {
  if (handed_in) return {};
  return failed(handed_in.error().exit, handed_in.error().text);
}

submit::HandIn::Letter letter_of(const LocalMessage& message) {
  const auto& envelope = message.envelope();
  submit::HandIn::Letter letter;
  letter.reverse_path.is_null = envelope.reverse_path.empty();
  // envelope_of() let nothing in that is no mailbox.
  if (!letter.reverse_path.is_null) letter.reverse_path.mailbox = *smtp::parse_mailbox(envelope.reverse_path);
  for (const auto& one : envelope.recipients) letter.recipients.push_back(*smtp::parse_mailbox(one.address));
  letter.options.size = message.size();
  if (envelope.attributes.contains(queue::k_body)) letter.options.body = smtp::BodyType::eight_bit_mime;
  letter.options.smtputf8 = envelope.attributes.contains(queue::k_smtputf8);
  letter.must_be_utf8 = letter.options.smtputf8 && envelope.attributes.at(queue::k_smtputf8) == "envelope";
  return letter;
}

Sent<> transfer(submit::HandIn& server, LocalMessage& message) {
  std::string piece(k_piece, '\0');
  for (;;) {
    const auto count = message.read(piece.data(), piece.size());
    if (!count) return tl::unexpected(count.error());
    if (*count == 0) break;
    if (auto written = server.write(std::string_view(piece).substr(0, *count)); !written) return as_sent(written);
  }
  const auto taken = server.end();
  return taken ? Sent<>() : failed(taken.error().exit, taken.error().text);
}

// The message is read first: however long its writer takes, no server waits for it.
Sent<> hand_in(const SendmailOptions& options, const SubmissionPlace& place, int input, WallTime now, FileOps& files) {
  const Submitter submitter;
  auto message = LocalMessage::read(options, input, files);
  if (!message) return tl::unexpected(message.error());
  auto server = submit::HandIn::connect(place.socket);
  if (!server) return failed(server.error().exit, server.error().text);
  auto hostname = place.hostname.empty() ? server->server_name() : place.hostname;
  if (hostname.empty()) hostname = default_hostname();
  if (auto complete = message->complete(options, submitter, hostname, now); !complete) return complete;
  if (auto begun = server->begin(hostname, letter_of(*message)); !begun) return as_sent(begun);
  return transfer(*server, *message);
}

}  // namespace

Sent<> sendmail(const SendmailOptions& options, const SubmissionPlace& place, int input, WallTime now, FileOps& files) {
  // Before anything is read: who calls without is told at once.
  if (options.recipients.empty() && !options.from_header) return failed(EX_USAGE, "no recipient is named");
  return place.socket.empty() ? put_into_queue(options, place, input, now, files)
                              : hand_in(options, place, input, now, files);
}

}  // namespace odmr::app
