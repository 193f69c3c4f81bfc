#include "base/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <memory>

namespace odmr {

namespace {

// Calls again when a signal came in between.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

tl::unexpected<Error> failed(const char* what, const std::string& name = {}) {
  const int number = errno;
  return fail(system_error(number, name.empty() ? what : std::string(what) + " " + name));
}

FileKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::regular;
  if (S_ISDIR(mode)) return FileKind::directory;
  if (S_ISLNK(mode)) return FileKind::symlink;
  return FileKind::other;
}

FileStatus to_status(const struct stat& found) {
  FileStatus status;
  status.kind = kind_of(found.st_mode);
  status.links = found.st_nlink;
  status.owner = found.st_uid;
  status.mode = found.st_mode & 07777;
  status.size = static_cast<std::uint64_t>(found.st_size);
  status.modified = WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::seconds(found.st_mtim.tv_sec) + std::chrono::nanoseconds(found.st_mtim.tv_nsec)));
  return status;
}

bool is_directory(int file) {
  struct stat found {};
  return ::fstat(file, &found) == 0 && S_ISDIR(found.st_mode);
}

// O_NONBLOCK, so that a FIFO put in a file's place cannot hold us; it means nothing to a regular file.
Result<Descriptor> open_regular(int dir, const std::string& name, int flags, mode_t mode) {
  Descriptor file(uninterrupted(
      [&] { return ::openat(dir, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode); }));
  if (!file.is_open() && errno == ELOOP) return fail(Errc::denied, "open " + name + ": it is a symbolic link");
  if (!file.is_open()) return failed("open", name);
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return failed("stat", name);
  if (!S_ISREG(found.st_mode)) return fail(Errc::denied, "open " + name + ": it is not a regular file");
  return file;
}

Result<void> sync_parent(const std::string& path) {
  const std::filesystem::path whole(path);
  std::filesystem::path parent = (whole.has_filename() ? whole : whole.parent_path()).parent_path();
  if (parent.empty()) parent = ".";
  const auto dir = system_files().open_dir(parent.string());
  if (!dir) return fail(dir.error());
  return system_files().sync(dir->get());
}

// For file systems without RENAME_NOREPLACE (NFS, some of FUSE). A crash, or a failed unlink, leaves the file under
// both names, whole under each.
Result<void> link_and_unlink(int from_dir, const std::string& from, int to_dir, const std::string& to) {
  if (::linkat(from_dir, from.c_str(), to_dir, to.c_str(), 0) != 0) return failed("link", to);
  ::unlinkat(from_dir, from.c_str(), 0);
  return {};
}

class SystemFiles final : public FileOps {
 public:
  Result<Descriptor> open_dir(const std::string& path) override {
    Descriptor dir(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!dir.is_open()) return failed("open", path);
    return dir;
  }

  Result<void> make_dir(const std::string& path, mode_t mode) override {
    if (::mkdir(path.c_str(), mode) == 0) {
      auto synced = sync_parent(path);
      // Left standing, it would not be synced the next time either.
      if (!synced) ::rmdir(path.c_str());
      return synced;
    }
    if (errno != EEXIST) return failed("mkdir", path);
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) return failed("stat", path);
    if (!S_ISDIR(found.st_mode)) return fail(Errc::not_found, path + " is not a directory");
    return {};
  }

  Result<Descriptor> create(int dir, const std::string& name, mode_t mode) override {
    return open_regular(dir, name, O_WRONLY | O_CREAT | O_EXCL, mode);
  }

  Result<Descriptor> open(int dir, const std::string& name) override { return open_regular(dir, name, O_RDONLY, 0); }

  Result<Descriptor> append(int dir, const std::string& name, mode_t mode) override {
    return open_regular(dir, name, O_WRONLY | O_APPEND | O_CREAT, mode);
  }

  Result<Descriptor> nameless(const std::string& directory) override {
    Descriptor file(uninterrupted([&] { return ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }));
    if (file.is_open()) return file;
    // File systems without O_TMPFILE (NFS) say so, or take it for the opening of a directory.
    if (errno != EOPNOTSUPP && errno != EISDIR) return failed("make a file in", directory);
    std::string name = directory + "/.nameless-XXXXXX";
    Descriptor named(::mkostemp(name.data(), O_CLOEXEC));
    if (!named.is_open()) return failed("make a file in", directory);
    ::unlink(name.c_str());
    return named;
  }

  Result<void> write(int file, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = uninterrupted([&] { return ::write(file, bytes.data(), bytes.size()); });
      if (written < 0) return failed("write");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

  Result<std::size_t> read(int file, char* into, std::size_t size) override {
    const ssize_t got = uninterrupted([&] { return ::read(file, into, size); });
    if (got < 0) return failed("read");
    return static_cast<std::size_t>(got);
  }

  Result<std::size_t> read_at(int file, std::uint64_t offset, char* into, std::size_t size) override {
    const ssize_t got = uninterrupted([&] { return ::pread(file, into, size, static_cast<off_t>(offset)); });
    if (got < 0) return failed("read");
    return static_cast<std::size_t>(got);
  }

  Result<FileStatus> status(int file) override {
    struct stat found {};
    if (::fstat(file, &found) != 0) return failed("stat");
    return to_status(found);
  }

  Result<FileStatus> status_at(int dir, const std::string& name) override {
    struct stat found {};
    if (::fstatat(dir, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return failed("stat", name);
    return to_status(found);
  }

  Result<Descriptor> lock(int file) override {
    if (uninterrupted([&] { return ::flock(file, LOCK_EX | LOCK_NB); }) != 0) return failed("lock");
    Descriptor second(::fcntl(file, F_DUPFD_CLOEXEC, 0));
    if (!second.is_open()) return failed("dup");
    return second;
  }

  Result<void> sync(int file_or_dir) override {
    if (uninterrupted([&] { return ::fsync(file_or_dir); }) == 0) return {};
    const int number = errno;
    // Some file systems cannot sync a directory, and need not.
    if (number == EINVAL && is_directory(file_or_dir)) return {};
    return fail(system_error(number, "fsync"));
  }

  Result<void> close(Descriptor file) override {
    // After EINTR Linux has closed it all the same.
    if (::close(file.release()) != 0 && errno != EINTR) return failed("close");
    return {};
  }

  Result<void> rename(int from_dir, const std::string& from, int to_dir, const std::string& to) override {
    if (::renameat2(from_dir, from.c_str(), to_dir, to.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno == EINVAL || errno == ENOSYS) return link_and_unlink(from_dir, from, to_dir, to);
    return failed("rename", from);
  }

  Result<void> unlink(int dir, const std::string& name) override {
    if (::unlinkat(dir, name.c_str(), 0) != 0) return failed("unlink", name);
    return {};
  }

  Result<std::vector<std::string>> list(int dir) override {
    // A descriptor of its own: a duplicate would share, and move, the caller's place in the directory.
    Descriptor own(uninterrupted([&] { return ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!own.is_open()) return failed("open", "directory");
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
    if (!stream) return failed("read", "directory");
    own.release();
    return names_in(stream.get());
  }

 private:
  static Result<std::vector<std::string>> names_in(DIR* stream) {
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
      errno = 0;
    }
    if (errno != 0) return failed("read", "directory");
    std::sort(names.begin(), names.end());
    return names;
  }
};

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Descriptor::release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void Descriptor::reset() {
  const int before = errno;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  errno = before;
}

Result<std::uint64_t> free_space(const std::string& directory) {
  struct statvfs facts {};
  if (statvfs(directory.c_str(), &facts) != 0) return fail(system_error(errno, directory));
  // Some file systems count no inodes: 0 of 0.
  if (facts.f_files > 0 && facts.f_favail == 0) return std::uint64_t{0};
  return std::uint64_t{facts.f_bavail} * facts.f_frsize;
}

FileOps& system_files() {
  static SystemFiles files;
  return files;
}

}  // namespace odmr
