#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"

namespace odmr {

/// syslog(3)'s priority of a level: error 3 … trace 7.
int priority(Level level);

enum class StderrGoes {
  somewhere,   ///< a terminal, a file, a pipe
  to_journal,  ///< systemd says so by $JOURNAL_STREAM, and it is still that
  nowhere      ///< and stdout neither: a daemon of whom nobody has kept a word
};
StderrGoes where_stderr_goes();

/// journald's own protocol: one datagram a line, with fields that journalctl(1) can look for (ODMR_PROVIDER=isp).
/// Nothing is connected, so that a journald that is started again is found again.
class JournalSocket {
 public:
  explicit JournalSocket(std::string path = "/run/systemd/journal/socket");
  ~JournalSocket();
  JournalSocket(const JournalSocket&) = delete;
  JournalSocket& operator=(const JournalSocket&) = delete;

  /// False where nobody took it.
  bool send(Level level, std::string_view message, const std::vector<Log::Field>& fields) const;

 private:
  std::string path_;
  int socket_;
};

/// The datagram, for tests.
std::string journal_record(Level level, std::string_view message, const std::vector<Log::Field>& fields);

}  // namespace odmr
