#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace odmr {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

enum class FileKind { regular, directory, symlink, other };

struct FileStatus {
  FileKind kind = FileKind::other;
  std::uint64_t links = 0;  ///< names it has: 0 once it is unlinked
  uid_t owner = 0;
  mode_t mode = 0;  ///< permission bits only
  std::uint64_t size = 0;
  WallTime modified;
};

/// The system calls that durable files are made of, one member each, so that a test can make any one of them fail
/// (ENOSPC, EIO, a short write) or record their order. Names are relative to the open directory `dir`.
class FileOps {
 public:
  virtual ~FileOps() = default;

  virtual Result<Descriptor> open_dir(const std::string& path) = 0;
  /// Makes `path` with `mode` when it is missing, and syncs its parent; fine when it is there.
  virtual Result<void> make_dir(const std::string& path, mode_t mode) = 0;
  /// O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, for writing.
  virtual Result<Descriptor> create(int dir, const std::string& name, mode_t mode) = 0;
  /// O_RDONLY | O_NOFOLLOW | O_CLOEXEC, regular files only.
  virtual Result<Descriptor> open(int dir, const std::string& name) = 0;
  /// O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, regular files only.
  virtual Result<Descriptor> append(int dir, const std::string& name, mode_t mode) = 0;
  /// A file without a name in `directory`, for writing and reading, that is gone when it is closed.
  virtual Result<Descriptor> nameless(const std::string& directory) = 0;
  /// All of `bytes`, or an error.
  virtual Result<void> write(int file, std::string_view bytes) = 0;
  /// At most `size` bytes; 0 at the end.
  virtual Result<std::size_t> read(int file, char* into, std::size_t size) = 0;
  /// The same from `offset` bytes after the beginning; the place of read() stays.
  virtual Result<std::size_t> read_at(int file, std::uint64_t offset, char* into, std::size_t size) = 0;
  virtual Result<FileStatus> status(int file) = 0;
  /// Of the name itself: a symbolic link is not followed.
  virtual Result<FileStatus> status_at(int dir, const std::string& name) = 0;
  /// Takes the file's lock (flock) without waiting, Errc::busy when another open file has it. Gives a second
  /// descriptor of the same open file: the lock lasts until both are closed, so also beyond close(file).
  virtual Result<Descriptor> lock(int file) = 0;
  virtual Result<void> sync(int file_or_dir) = 0;
  /// Closes, and hears what close has to say.
  virtual Result<void> close(Descriptor file) = 0;
  /// Within one file system, never over an existing name (RENAME_NOREPLACE): Errc::busy then.
  virtual Result<void> rename(int from_dir, const std::string& from, int to_dir, const std::string& to) = 0;
  virtual Result<void> unlink(int dir, const std::string& name) = 0;
  /// The names in `dir`, without "." and "..", sorted.
  virtual Result<std::vector<std::string>> list(int dir) = 0;
};

/// The real ones.
FileOps& system_files();

/// Bytes that we may still write in the file system of `directory`; 0 too where no file can be made for lack of inodes.
Result<std::uint64_t> free_space(const std::string& directory);

}  // namespace odmr
