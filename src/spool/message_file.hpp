#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"

namespace odmr::spool {

/// Names and values as the rooms that use the spool agree on them ("smtputf8", "body", "envid", "notify" …). Values
/// may hold any byte.
using Attributes = std::map<std::string, std::string>;
/// Its value; empty where it is not there.
std::string attribute(const Attributes& attributes, const std::string& name);

struct Recipient {
  std::string address;
  Attributes attributes;
  friend bool operator==(const Recipient&, const Recipient&) = default;
};

struct Envelope {
  WallTime arrival;          ///< kept to the microsecond
  std::string reverse_path;  ///< empty for the null reverse-path
  Attributes attributes;
  std::vector<Recipient> recipients;  ///< at least one
  friend bool operator==(const Envelope&, const Envelope&) = default;
};

// One message in one file:
//
//   odmr message 1                the version of all that follows
//   T16:1769853600123456          arrival, microseconds since 1970
//   F13:a@example.org             reverse-path
//   n8:smtputf8                   an attribute's name, and its
//   v1:1                          value
//   R13:b@example.net             recipient; attributes of its own may follow
//   H8:5d41402a                   CRC-32 of everything above
//   …                             the message's bytes, as they are
//                                 (a line end)
//   END 0000000000003039 7d793037 their length, and the CRC-32 of the whole file up to their end
//
// Each value stands behind its length, so none can pass for another record. The checksum is there for damage, not for
// malice (who can write here can write anything): lost sectors, a block of zeros after a power cut, a bad disk.

/// Writes a message file from its beginning; `file` is the caller's, who also syncs and closes it.
class MessageWriter {
 public:
  /// Errors: malformed (no recipient), too_long (an envelope of more than 8 MiB), and those of writing.
  static Result<MessageWriter> begin(FileOps& files, int file, const Envelope& envelope);

  /// The next bytes of the message, in pieces of any size. After an error the file is worth nothing.
  Result<void> write(std::string_view piece);
  /// The END record. Without it, the file is no message.
  Result<void> end();

 private:
  MessageWriter(FileOps& files, int file) : files_(files), file_(file) {}
  Result<void> put(std::string_view bytes);
  Result<void> flush();

  FileOps& files_;
  int file_;
  std::string buffer_;
  std::uint64_t length_ = 0;
  std::uint32_t checksum_ = 0;
};

/// Reads a message file.
class MessageReader {
 public:
  /// Reads the envelope and the END record, not the body. Errors: malformed for anything half-written, damaged, or of
  /// another version; and those of reading.
  static Result<MessageReader> open(FileOps& files, Descriptor file);

  const Envelope& envelope() const { return envelope_; }
  /// Of the message, in bytes.
  std::uint64_t size() const { return size_; }

  /// The next bytes of the message, at most `size` (not 0). Only 0 says that it was whole and right: a damaged body
  /// ends in malformed, so whoever passes it on must not have committed it before.
  Result<std::size_t> read(char* into, std::size_t size);
  /// Back to the first byte of the message.
  void rewind();

 private:
  MessageReader(FileOps& files, Descriptor file) : files_(&files), file_(std::move(file)) {}
  Result<void> read_head();
  Result<void> read_end();

  FileOps* files_;
  Descriptor file_;
  Envelope envelope_;
  std::uint64_t body_ = 0;  // where the message begins in the file
  std::uint64_t size_ = 0;
  std::uint64_t read_ = 0;
  std::uint32_t head_checksum_ = 0;
  std::uint32_t checksum_ = 0;  // of what was read so far
  std::uint32_t expected_ = 0;
};

}  // namespace odmr::spool
