#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/sendmail_options.hpp"
#include "base/file.hpp"
#include "mail/line_ends.hpp"
#include "mail/received.hpp"
#include "mail/submission.hpp"
#include "smtp/path.hpp"
#include "spool/message_file.hpp"

namespace odmr::app {

struct SendmailFailure {
  int exit = 0;  ///< sysexits.h
  std::string text;
};
template <class T = void>
using Sent = tl::expected<T, SendmailFailure>;

/// Who calls. The user database is asked only where its answer is needed, since that takes time.
class Submitter {
 public:
  /// The real user, so to be made before root becomes somebody else.
  Submitter();
  unsigned uid() const { return uid_; }
  /// "uid1000" for a user without entry.
  const std::string& login() const { return entry().login; }
  /// "Anna Example"; may be empty.
  const std::string& full_name() const { return entry().full_name; }

 private:
  struct Entry {
    std::string login;
    std::string full_name;
  };
  const Entry& entry() const;

  unsigned uid_;
  mutable std::optional<Entry> entry_;
};

/// A message on standard input, piece by piece, with CRLF line ends, up to its end or a line with a dot alone.
class MessageInput {
 public:
  MessageInput(int file, bool dot_ends, FileOps& files);

  bool is_over() const { return is_over_; }
  /// Appends the next piece to `out`.
  Sent<> read(std::string& out);

 private:
  int file_;
  bool dot_ends_;
  FileOps& files_;
  std::unique_ptr<char[]> raw_;  // not cleared: most of its pages are never touched
  mail::LineEnds line_ends_{mail::LineEnds::LoneCr::space};
  mail::LoneDot dot_;
  bool is_over_ = false;
};

/// The message's beginning, its header at least.
Sent<mail::Beginning> read_beginning(MessageInput& input);

/// The envelope by the options and, with -t, by the header; names without a domain are at `hostname`. Without the
/// attributes that its content asks for.
Sent<spool::Envelope> envelope_of(const SendmailOptions& options, std::string_view header, const Submitter& submitter,
                                  const std::string& hostname, WallTime now);

/// The value of a From that is missing; empty where there is one.
std::string missing_from(const SendmailOptions& options, std::string_view header, const Submitter& submitter,
                         const std::string& hostname, const std::string& reverse_path);

/// Our Received field for it.
mail::Received local_trace(const spool::Envelope& envelope, const Submitter& submitter, const std::string& hostname);

/// A whole message in hand, made ready for the next hop: for who sends it on at once. In memory as far as it is small,
/// in an unlinked temporary file beyond.
class LocalMessage {
 public:
  /// Reads to the end, whatever becomes of the message then: its writer must not meet a broken pipe.
  static Sent<LocalMessage> read(const SendmailOptions& options, int input, FileOps& files = system_files());

  /// Makes envelope and header whole. Once.
  Sent<> complete(const SendmailOptions& options, const Submitter& submitter, const std::string& hostname,
                  WallTime now);

  /// With queue::needs_of() among its attributes.
  const spool::Envelope& envelope() const { return envelope_; }
  std::uint64_t size() const { return start_.size() + rest_size_; }
  /// The next bytes, at most `size`; 0 at the end.
  Sent<std::size_t> read(char* into, std::size_t size);

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  LocalMessage() = default;
  Sent<> keep(std::string_view piece);

  mail::Beginning beginning_{true};
  spool::Envelope envelope_;
  std::string start_;  // with the header, once complete
  std::size_t read_ = 0;
  File rest_{nullptr, nullptr};
  std::uint64_t rest_size_ = 0;
  bool is_rest_eight_bit_ = false;
};

}  // namespace odmr::app
