#include "app/local_message.hpp"

#include <pwd.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "mail/addresses.hpp"
#include "mail/fields.hpp"
#include "queue/attributes.hpp"
#include "queue/needs.hpp"

namespace odmr::app {

namespace {

constexpr std::size_t k_piece = std::size_t{64} * 1024;
constexpr std::size_t k_in_memory = std::size_t{1024} * 1024;

tl::unexpected<SendmailFailure> failed(int exit, std::string text) {
  return tl::unexpected(SendmailFailure{exit, std::move(text)});
}

// "Anna Example,room 5,…" of the user database; "&" stands for the login name.
std::string full_name_in(std::string_view gecos, const std::string& login) {
  std::string out;
  for (const char c : gecos.substr(0, gecos.find(','))) {
    if (c != '&') {
      out += c;
    } else if (!login.empty()) {
      out += to_upper(login.front()) + login.substr(1);
    }
  }
  return out;
}

std::string qualified(const std::string& address, const std::string& hostname) {
  // A quoted local part may hold an "@" that is none.
  const auto after_quotes = address.starts_with('"') ? address.rfind('"') : 0;
  return address.find('@', after_quotes) == std::string::npos ? address + "@" + hostname : address;
}

Sent<std::string> checked(const std::string& address, const std::string& hostname, int exit) {
  const auto mailbox = smtp::parse_mailbox(qualified(address, hostname));
  if (mailbox) return mailbox->text();
  return failed(exit, "not an address: " + escape(address, 200) + " (" + mailbox.error().text + ")");
}

Sent<std::string> reverse_path_of(const SendmailOptions& options, const Submitter& submitter,
                                  const std::string& hostname) {
  if (!options.sender) return checked(submitter.login(), hostname, EX_NOUSER);
  if (options.sender->empty()) return std::string();
  const auto found = mail::addresses_in(*options.sender, true);
  if (!found || found->size() != 1) return failed(EX_USAGE, "not a sender: " + escape(*options.sender, 200));
  if (found->front() == "<>") return std::string();
  return checked(found->front(), hostname, EX_USAGE);
}

Sent<> add_recipients(const std::vector<std::string>& addresses, const std::string& hostname, int exit,
                      spool::Envelope& envelope) {
  for (const auto& address : addresses) {
    auto recipient = checked(address, hostname, exit);
    if (!recipient) return tl::unexpected(recipient.error());
    const bool is_new = std::none_of(envelope.recipients.begin(), envelope.recipients.end(),
                                     [&](const spool::Recipient& one) { return one.address == *recipient; });
    if (is_new) envelope.recipients.push_back({std::move(*recipient), {}});
  }
  return {};
}

}  // namespace

Submitter::Submitter() : uid_(getuid()) {}

const Submitter::Entry& Submitter::entry() const {
  if (entry_) return *entry_;
  entry_.emplace();
  const passwd* found = getpwuid(uid_);
  entry_->login = found == nullptr ? "uid" + std::to_string(uid_) : found->pw_name;
  if (found != nullptr && found->pw_gecos != nullptr) {
    entry_->full_name = full_name_in(found->pw_gecos, entry_->login);
  }
  return *entry_;
}

MessageInput::MessageInput(int file, bool dot_ends, FileOps& files)
    : file_(file), dot_ends_(dot_ends), files_(files), raw_(std::make_unique_for_overwrite<char[]>(k_piece)) {}

Sent<> MessageInput::read(std::string& out) {
  const auto count = files_.read(file_, raw_.get(), k_piece);
  if (!count) return failed(EX_TEMPFAIL, "the message cannot be read: " + count.error().text);
  is_over_ = *count == 0;
  std::string lines;
  static_cast<void>(line_ends_.pass(std::string_view(raw_.get(), *count), lines));  // refuses nothing
  if (is_over_) line_ends_.finish(lines);
  if (!dot_ends_) {
    out += lines;
    return {};
  }
  dot_.pass(lines, out);
  is_over_ = is_over_ || dot_.is_seen();
  return {};
}

Sent<mail::Beginning> read_beginning(MessageInput& input) {
  mail::Beginning beginning(true);
  std::string piece;
  while (!input.is_over() && !beginning.has_header()) {
    piece.clear();
    if (auto read = input.read(piece); !read) return tl::unexpected(read.error());
    if (auto added = beginning.add(piece); !added) return failed(EX_DATAERR, added.error().text);
  }
  return beginning;
}

Sent<spool::Envelope> envelope_of(const SendmailOptions& options, std::string_view header, const Submitter& submitter,
                                  const std::string& hostname, WallTime now) {
  spool::Envelope envelope;
  envelope.arrival = now;
  auto reverse_path = reverse_path_of(options, submitter, hostname);
  if (!reverse_path) return tl::unexpected(reverse_path.error());
  envelope.reverse_path = std::move(*reverse_path);
  envelope.attributes[queue::k_submitter] = "uid " + std::to_string(submitter.uid());

  for (const auto& list : options.recipients) {
    const auto found = mail::addresses_in(list);
    if (!found) return failed(EX_USAGE, found.error().text);
    if (auto added = add_recipients(*found, hostname, EX_USAGE, envelope); !added) {
      return tl::unexpected(added.error());
    }
  }
  if (options.from_header) {
    const auto found = mail::recipients_in(header);
    if (!found) return failed(EX_DATAERR, found.error().text);
    if (auto added = add_recipients(*found, hostname, EX_DATAERR, envelope); !added) {
      return tl::unexpected(added.error());
    }
  }
  if (envelope.recipients.empty()) {
    return failed(EX_USAGE, options.from_header ? "the message names no recipient" : "no recipient is named");
  }
  return envelope;
}

std::string missing_from(const SendmailOptions& options, std::string_view header, const Submitter& submitter,
                         const std::string& hostname, const std::string& reverse_path) {
  if (mail::find_field(header, "From")) return {};
  const auto address = reverse_path.empty() ? qualified(submitter.login(), hostname) : reverse_path;
  return mail::named_address(options.full_name.empty() ? submitter.full_name() : options.full_name, address);
}

Sent<LocalMessage> LocalMessage::read(const SendmailOptions& options, int input, FileOps& files) {
  MessageInput lines(input, options.dot_ends, files);
  LocalMessage message;
  auto beginning = read_beginning(lines);
  if (!beginning) return tl::unexpected(beginning.error());
  message.beginning_ = std::move(*beginning);
  std::string piece;
  while (!lines.is_over()) {
    piece.clear();
    if (auto read = lines.read(piece); !read) return tl::unexpected(read.error());
    if (auto kept = message.keep(piece); !kept) return tl::unexpected(kept.error());
  }
  return message;
}

Sent<> LocalMessage::keep(std::string_view piece) {
  if (!rest_ && beginning_.text().size() + piece.size() <= k_in_memory) {
    if (auto added = beginning_.add(piece); !added) return failed(EX_DATAERR, added.error().text);
    return {};
  }
  if (!rest_) rest_ = File(std::tmpfile(), &std::fclose);
  if (!rest_ || std::fwrite(piece.data(), 1, piece.size(), rest_.get()) != piece.size()) {
    return failed(EX_TEMPFAIL, "no room for the message in a temporary file");
  }
  rest_size_ += piece.size();
  is_rest_eight_bit_ = is_rest_eight_bit_ || !is_ascii(piece);
  return {};
}

Sent<> LocalMessage::complete(const SendmailOptions& options, const Submitter& submitter, const std::string& hostname,
                              WallTime now) {
  const auto header = beginning_.header();
  auto envelope = envelope_of(options, header, submitter, hostname, now);
  if (!envelope) return tl::unexpected(envelope.error());
  envelope_ = std::move(*envelope);
  mail::Completion completion;
  completion.remove_bcc = true;
  completion.from = missing_from(options, header, submitter, hostname, envelope_.reverse_path);
  completion.message_id = mail::new_message_id(now, hostname);
  completion.date = now;
  mail::Beginning whole(false);
  if (auto added = whole.add(mail::completed(beginning_.text(), completion)); !added) {
    return failed(EX_DATAERR, added.error().text);
  }
  const bool is_eight_bit = is_rest_eight_bit_ || !is_ascii(whole.text());
  envelope_.attributes.merge(queue::needs_of(queue::has_utf8_address(envelope_), whole.header(), is_eight_bit));
  start_ = whole.take();
  beginning_ = mail::Beginning(true);
  if (rest_ && std::fseek(rest_.get(), 0, SEEK_SET) != 0) {
    return failed(EX_TEMPFAIL, "the temporary file of the message cannot be read");
  }
  return {};
}

Sent<std::size_t> LocalMessage::read(char* into, std::size_t size) {
  if (read_ < start_.size()) {
    const std::size_t count = start_.copy(into, size, read_);
    read_ += count;
    return count;
  }
  if (!rest_) return std::size_t{0};
  const std::size_t count = std::fread(into, 1, size, rest_.get());
  if (count == 0 && std::ferror(rest_.get()) != 0) {
    return failed(EX_TEMPFAIL, "the temporary file of the message cannot be read");
  }
  return count;
}

mail::Received local_trace(const spool::Envelope& envelope, const Submitter& submitter, const std::string& hostname) {
  mail::Received received;
  received.from_name = "localhost";
  received.from_note = "uid " + std::to_string(submitter.uid());
  received.by = hostname;
  received.with = "local";
  received.time = envelope.arrival;
  if (envelope.recipients.size() == 1) received.for_mailbox = envelope.recipients.front().address;
  return received;
}

}  // namespace odmr::app
