#pragma once

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.hpp"

namespace odmr::test {

/// The real file operations, each passing through step(), which may see it, refuse it, or act and then deny it. But
/// for syncs, which nobody here could see the effect of.
class WatchedFiles : public FileOps {
 public:
  Result<Descriptor> open_dir(const std::string& path) override {
    return through<Descriptor>("open_dir " + path, [&] { return real_.open_dir(path); });
  }
  Result<void> make_dir(const std::string& path, mode_t mode) override {
    return through<void>("make_dir " + path, [&] { return real_.make_dir(path, mode); });
  }
  Result<Descriptor> create(int dir, const std::string& name, mode_t mode) override {
    return through<Descriptor>("create " + in(dir, name), [&] { return real_.create(dir, name, mode); });
  }
  Result<Descriptor> open(int dir, const std::string& name) override {
    return through<Descriptor>("open " + in(dir, name), [&] { return real_.open(dir, name); });
  }
  Result<Descriptor> append(int dir, const std::string& name, mode_t mode) override {
    return through<Descriptor>("append " + in(dir, name), [&] { return real_.append(dir, name, mode); });
  }
  Result<Descriptor> nameless(const std::string& directory) override {
    return through<Descriptor>("nameless " + directory, [&] { return real_.nameless(directory); });
  }
  Result<void> write(int file, std::string_view bytes) override {
    return through<void>(
        "write " + of(file), [&] { return real_.write(file, bytes); },
        [&] { static_cast<void>(real_.write(file, bytes.substr(0, bytes.size() / 2))); });
  }
  Result<std::size_t> read(int file, char* into, std::size_t size) override {
    return through<std::size_t>("read " + of(file), [&] { return real_.read(file, into, size); });
  }
  Result<std::size_t> read_at(int file, std::uint64_t offset, char* into, std::size_t size) override {
    return through<std::size_t>("read_at " + of(file), [&] { return real_.read_at(file, offset, into, size); });
  }
  Result<FileStatus> status(int file) override {
    return through<FileStatus>("status " + of(file), [&] { return real_.status(file); });
  }
  Result<FileStatus> status_at(int dir, const std::string& name) override {
    return through<FileStatus>("status_at " + in(dir, name), [&] { return real_.status_at(dir, name); });
  }
  Result<Descriptor> lock(int file) override {
    return through<Descriptor>("lock " + of(file), [&] { return real_.lock(file); });
  }
  Result<void> sync(int file_or_dir) override {
    return through<void>("sync " + of(file_or_dir), [] { return Result<void>(); });
  }
  Result<void> close(Descriptor file) override {
    return through<void>("close " + of(file.get()), [&] { return real_.close(std::move(file)); });
  }
  Result<void> rename(int from_dir, const std::string& from, int to_dir, const std::string& to) override {
    return through<void>("rename " + in(from_dir, from) + " " + in(to_dir, to),
                         [&] { return real_.rename(from_dir, from, to_dir, to); });
  }
  Result<void> unlink(int dir, const std::string& name) override {
    return through<void>("unlink " + in(dir, name), [&] { return real_.unlink(dir, name); });
  }
  Result<std::vector<std::string>> list(int dir) override {
    return through<std::vector<std::string>>("list " + of(dir), [&] { return real_.list(dir); });
  }

 protected:
  enum class Step { act, refuse, act_and_deny };
  virtual Step step(const std::string& call) = 0;
  virtual Error error() { return system_error(EIO, "by the test"); }

 private:
  // The last part of what a descriptor stands for, as the system knows it.
  static std::string of(int fd) {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored).filename().string();
  }
  static std::string in(int dir, const std::string& name) { return of(dir) + "/" + name; }

  template <class Value, class Act>
  Result<Value> through(
      const std::string& call, Act act, const std::function<void()>& in_part = [] {}) {
    switch (step(call)) {
      case Step::act:
        break;
      case Step::refuse:
        in_part();
        return fail(error());
      case Step::act_and_deny:
        static_cast<void>(act());
        return fail(error());
    }
    return act();
  }

  FileOps& real_ = system_files();
};

/// Does everything but sync, for tests with many messages.
class QuickFiles final : public WatchedFiles {
 private:
  Step step(const std::string& /*call*/) override { return Step::act; }
};

/// Writes down every call.
class RecordingFiles final : public WatchedFiles {
 public:
  std::vector<std::string> calls;

 private:
  Step step(const std::string& call) override {
    calls.push_back(call);
    return Step::act;
  }
};

/// Makes the call number `which` (from 1) fail with `number`.
class FailingFiles final : public WatchedFiles {
 public:
  enum class How {
    refuse,  ///< it does nothing; a write has written half
    deny,    ///< it does its work and says that it did not
    die,     ///< it and all after it do nothing, as when the process had ended
  };
  FailingFiles(std::size_t which, How how, int number = EIO) : which_(which), how_(how), number_(number) {}

  /// Whether so many calls were made at all.
  bool reached() const { return calls_ >= which_; }

 private:
  Step step(const std::string& /*call*/) override {
    ++calls_;
    if (how_ == How::die && calls_ >= which_) return Step::refuse;
    if (calls_ != which_) return Step::act;
    return how_ == How::deny ? Step::act_and_deny : Step::refuse;
  }
  Error error() override { return system_error(number_, "by the test"); }

  std::size_t which_;
  How how_;
  int number_;
  std::size_t calls_ = 0;
};

}  // namespace odmr::test
