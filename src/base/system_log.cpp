#include "base/system_log.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/ascii.hpp"

namespace odmr {

namespace {

// Upper-case letters, digits and "_", not too long, and beginning with what is ours: journald drops other names.
std::string field_name(std::string_view key) {
  std::string name = "ODMR_";
  for (const char c : key.substr(0, 50)) name += is_alnum(c) ? to_upper(c) : '_';
  return name;
}

// systemd's "Journal Native Protocol": NAME=value, or, where the value has a line end, the name alone, its length in
// eight octets, little-endian, and the value.
void add(std::string& record, std::string_view name, std::string_view value) {
  record += name;
  if (value.find('\n') == std::string_view::npos) {
    record += '=';
  } else {
    record += '\n';
    for (unsigned shift = 0; shift < 64; shift += 8) {
      record += static_cast<char>((std::uint64_t{value.size()} >> shift) & 0xff);
    }
  }
  record += value;
  record += '\n';
}

bool is_null_device(int file) {
  struct stat status {};
  return ::fstat(file, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

// "device:inode"
bool is_stderr(const char* stream) {
  struct stat status {};
  if (::fstat(STDERR_FILENO, &status) != 0) return false;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

}  // namespace

int priority(Level level) {
  switch (level) {
    case Level::error:
      return LOG_ERR;
    case Level::warn:
      return LOG_WARNING;
    case Level::info:
      return LOG_INFO;
    case Level::debug:
    case Level::trace:
      return LOG_DEBUG;
  }
  return LOG_ERR;
}

StderrGoes where_stderr_goes() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  if (stream != nullptr && is_stderr(stream)) return StderrGoes::to_journal;
  return is_null_device(STDERR_FILENO) && is_null_device(STDOUT_FILENO) ? StderrGoes::nowhere : StderrGoes::somewhere;
}

std::string journal_record(Level level, std::string_view message, const std::vector<Log::Field>& fields) {
  std::string record;
  add(record, "MESSAGE", message);
  add(record, "PRIORITY", std::to_string(priority(level)));
  add(record, "SYSLOG_IDENTIFIER", program_invocation_short_name);
  add(record, "SYSLOG_FACILITY", std::to_string(LOG_FAC(LOG_MAIL)));
  for (const auto& [key, value] : fields) add(record, field_name(key), value);
  return record;
}

JournalSocket::JournalSocket(std::string path)
    : path_(std::move(path)), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

JournalSocket::~JournalSocket() {
  if (socket_ >= 0) ::close(socket_);
}

bool JournalSocket::send(Level level, std::string_view message, const std::vector<Log::Field>& fields) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  const std::string record = journal_record(level, message, fields);
  ssize_t sent = -1;
  do {
    sent = ::sendto(socket_, record.data(), record.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
                    sizeof address);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(record.size());
}

}  // namespace odmr
