#include "base/system_log.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

#include "base/file.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using odmr::test::TemporaryDirectory;

namespace {

// What listens where journald does.
class FakeJournal {
 public:
  explicit FakeJournal(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  std::string receive() const {
    std::array<char, 65536> bytes{};
    const auto got = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    return got < 0 ? "nothing came" : std::string(bytes.data(), static_cast<std::size_t>(got));
  }

 private:
  Descriptor socket_;
};

// The fields of a record, read as journald reads them.
std::map<std::string, std::string> parse(std::string_view record) {
  std::map<std::string, std::string> fields;
  while (!record.empty()) {
    const auto end = record.find('\n');
    REQUIRE(end != std::string_view::npos);
    const auto line = record.substr(0, end);
    const auto equals = line.find('=');
    record.remove_prefix(end + 1);
    if (equals != std::string_view::npos) {
      fields.emplace(line.substr(0, equals), line.substr(equals + 1));
      continue;
    }
    std::uint64_t size = 0;
    for (unsigned i = 0; i < 8; ++i) size |= std::uint64_t{static_cast<unsigned char>(record[i])} << (8 * i);
    fields.emplace(line, record.substr(8, size));
    REQUIRE(record.at(8 + size) == '\n');
    record.remove_prefix(8 + size + 1);
  }
  return fields;
}

// stdout and stderr are others while this is there; nothing may be checked meanwhile.
class Instead {
 public:
  Instead(int out, int err) : out_(::dup(STDOUT_FILENO)), err_(::dup(STDERR_FILENO)) {
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
  }
  ~Instead() {
    ::dup2(out_.get(), STDOUT_FILENO);
    ::dup2(err_.get(), STDERR_FILENO);
  }
  Instead(const Instead&) = delete;
  Instead& operator=(const Instead&) = delete;

 private:
  Descriptor out_;
  Descriptor err_;
};

StderrGoes with(int out, int err, const std::optional<std::string>& stream) {
  std::fflush(nullptr);
  const Instead instead(out, err);
  if (stream) ::setenv("JOURNAL_STREAM", stream->c_str(), 1);
  const auto goes = where_stderr_goes();
  ::unsetenv("JOURNAL_STREAM");
  return goes;
}

std::string identity(int file) {
  struct stat status {};
  REQUIRE(::fstat(file, &status) == 0);
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

}  // namespace

TEST_CASE("a line reaches the journal with its level and its fields") {
  const TemporaryDirectory directory;
  const std::string path = directory / "socket";
  const FakeJournal journal(path);
  const JournalSocket socket(path);
  REQUIRE(socket.send(Level::warn, "line lost provider=isp", {{"provider", "isp"}, {"put off-by", "a=b"}}));
  const auto fields = parse(journal.receive());
  CHECK(fields.at("MESSAGE") == "line lost provider=isp");
  CHECK(fields.at("PRIORITY") == "4");
  CHECK(fields.at("SYSLOG_FACILITY") == "2");
  CHECK(fields.at("SYSLOG_IDENTIFIER") == program_invocation_short_name);
  CHECK(fields.at("ODMR_PROVIDER") == "isp");
  CHECK(fields.at("ODMR_PUT_OFF_BY") == "a=b");
  CHECK(fields.size() == 6);
}

TEST_CASE("a line end in a value makes no field of what follows it") {
  const auto fields = parse(journal_record(Level::info, "two\nPRIORITY=0", {{"reply", "250 OK\nMESSAGE=forged\n"}}));
  CHECK(fields.at("MESSAGE") == "two\nPRIORITY=0");
  CHECK(fields.at("PRIORITY") == "6");
  CHECK(fields.at("ODMR_REPLY") == "250 OK\nMESSAGE=forged\n");
}

TEST_CASE("a journald that comes back is found again") {
  const TemporaryDirectory directory;
  const std::string path = directory / "socket";
  const JournalSocket socket(path);
  CHECK_FALSE(socket.send(Level::info, "before", {}));
  {
    const FakeJournal first(path);
    CHECK(socket.send(Level::info, "first", {}));
  }
  CHECK_FALSE(socket.send(Level::info, "between", {}));
  ::unlink(path.c_str());
  const FakeJournal second(path);
  CHECK(socket.send(Level::info, "second", {}));
  CHECK(parse(second.receive()).at("MESSAGE") == "second");
}

TEST_CASE("priorities are those of syslog") {
  CHECK(priority(Level::error) == 3);
  CHECK(priority(Level::warn) == 4);
  CHECK(priority(Level::info) == 6);
  CHECK(priority(Level::debug) == 7);
  CHECK(priority(Level::trace) == 7);
}

TEST_CASE("where stderr goes") {
  int ends[2] = {-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const Descriptor stream(ends[0]);
  const Descriptor other(ends[1]);
  const Descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto ours = identity(stream.get());
  CHECK(with(stream.get(), stream.get(), ours) == StderrGoes::to_journal);
  CHECK(with(null.get(), stream.get(), ours) == StderrGoes::to_journal);
  // Set for whoever started us, and redirected since.
  CHECK(with(stream.get(), other.get(), ours) == StderrGoes::somewhere);
  CHECK(with(stream.get(), other.get(), std::nullopt) == StderrGoes::somewhere);
  CHECK(with(null.get(), null.get(), std::nullopt) == StderrGoes::nowhere);
  // Somebody wants the results alone.
  CHECK(with(stream.get(), null.get(), std::nullopt) == StderrGoes::somewhere);
}
