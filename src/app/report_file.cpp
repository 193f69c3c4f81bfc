#include "app/report_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "app/owner.hpp"
#include "base/file.hpp"
#include "base/random.hpp"

namespace odmr::app {

namespace {

constexpr std::size_t k_longest = std::size_t{16} * 1024 * 1024;

Result<void> fill(int file, const std::string& text) {
  if (auto written = system_files().write(file, text); !written) return written;
  if (fchmod(file, 0644) != 0) return fail(system_error(errno, "fchmod"));
  return system_files().sync(file);
}

// A device, a FIFO or a link would be gone for all who use it, and a link may be set by somebody else.
Result<void> refuse_what_is_no_file(int dir, const std::string& name, const std::string& path) {
  const auto there = system_files().status_at(dir, name);
  if (!there || there->kind == FileKind::regular) return {};
  std::string what = "no regular file";
  if (there->kind == FileKind::symlink) what = "a symbolic link";
  if (there->kind == FileKind::directory) what = "a directory";
  return fail(Errc::denied, path + " is " + what + ", and is not replaced; \"-\" is the standard output");
}

// With the name that was given: who reads it knows of no other.
tl::unexpected<Error> not_written(Error error, const std::string& path) {
  error.text = path + ": " + error.text.substr(error.text.rfind(": ") + 2);
  return fail(std::move(error));
}

Result<void> replace(const std::string& path, const std::string& text) {
  const std::filesystem::path whole(path);
  const auto folder = whole.parent_path();
  const auto dir = system_files().open_dir(folder.empty() ? "." : folder.string());
  if (!dir) return not_written(dir.error(), path);
  const auto to = whole.filename().string();
  if (auto fits = refuse_what_is_no_file(dir->get(), to, path); !fits) return fits;
  // Not by a name that a collector takes for one of its files.
  const std::string name = "." + to + "." + fmt::format("{:016x}", random_bits());
  const auto file = system_files().create(dir->get(), name, 0600);
  if (!file) return not_written(file.error(), path);
  auto done = fill(file->get(), text);
  if (done && renameat(dir->get(), name.c_str(), dir->get(), to.c_str()) != 0) done = fail(system_error(errno, path));
  if (done) return {};
  static_cast<void>(system_files().unlink(dir->get(), name));
  return not_written(done.error(), path);
}

std::string read_all(int from) {
  std::string text;
  std::array<char, 16 * 1024> piece{};
  while (text.size() <= k_longest) {
    const ssize_t count = read(from, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
  return text;
}

// In the process that stays who it is. Answers with why it could not, or with nothing. The text ends with a zero: who
// sent less has died over it.
[[noreturn]] void write_when_told(int line, const std::string& path) {
  std::string text = read_all(line);
  if (text.empty() || text.back() != '\0') _exit(0);
  text.pop_back();
  if (const auto done = replace(path, text); !done) static_cast<void>(system_files().write(line, done.error().text));
  _exit(0);
}

}  // namespace

Result<ReportFile> ReportFile::begin(const std::string& path, const std::string& state_dir) {
  ReportFile report(path);
  const auto owner = other_owner_of(state_dir);
  if (!owner) return fail(owner.error());
  if (!*owner) return report;
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(system_error(errno, "a pair of sockets"));
  const pid_t child = fork();
  if (child == 0) {
    close(ends[1]);
    write_when_told(ends[0], path);
  }
  close(ends[0]);
  report.line_ = ends[1];
  report.writer_ = child;
  if (child < 0) return fail(system_error(errno, "fork"));
  return report;
}

ReportFile::~ReportFile() {
  if (line_ >= 0) close(line_);
  while (writer_ > 0 && waitpid(writer_, nullptr, 0) < 0 && errno == EINTR) continue;
}

Result<void> ReportFile::write(const std::string& text) {
  if (writer_ < 0) return replace(path_, text);
  auto sent = system_files().write(line_, text + std::string(1, '\0'));
  if (!sent) return sent;
  shutdown(line_, SHUT_WR);
  const std::string why_not = read_all(line_);
  int status = 0;
  while (waitpid(writer_, &status, 0) < 0 && errno == EINTR) continue;
  writer_ = -1;
  if (!why_not.empty()) return fail(Errc::io, why_not);
  if (!WIFEXITED(status)) return fail(Errc::io, path_ + ": who was to write it was killed");
  return {};
}

}  // namespace odmr::app
