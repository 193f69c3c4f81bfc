#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "temporary_directory.hpp"

using namespace odmr;
using odmr::test::TemporaryDirectory;

namespace {

Descriptor dir_of(const TemporaryDirectory& directory) {
  return system_files().open_dir(directory.path()).value();
}

}  // namespace

TEST_CASE("a descriptor closes what it holds, once") {
  int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    Descriptor first(fd);
    Descriptor second(std::move(first));
    CHECK(second.get() == fd);
    second = Descriptor();
    CHECK(::fcntl(fd, F_GETFD) == -1);
  }
  fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  Descriptor released(fd);
  CHECK(released.release() == fd);
  CHECK_FALSE(released.is_open());
  CHECK(::close(fd) == 0);
}

TEST_CASE("files are made once, written, read and never replaced") {
  const TemporaryDirectory directory;
  FileOps& files = system_files();
  const Descriptor dir = dir_of(directory);

  auto made = files.create(dir.get(), "one", 0600);
  REQUIRE(made);
  CHECK(files.write(made->get(), "hello"));
  CHECK(files.sync(made->get()));
  CHECK(files.close(std::move(*made)));
  CHECK(files.sync(dir.get()));
  CHECK(files.create(dir.get(), "one", 0600).error().code == Errc::busy);

  auto more = files.append(dir.get(), "one", 0600);
  REQUIRE(more);
  CHECK(files.write(more->get(), " world"));
  const auto status = files.status(more->get());
  REQUIRE(status);
  CHECK(status->kind == FileKind::regular);
  CHECK(status->links == 1);
  CHECK(status->owner == ::geteuid());
  CHECK(status->mode == 0600);
  CHECK(status->size == 11);

  const auto opened = files.open(dir.get(), "one");
  REQUIRE(opened);
  char bytes[32];
  CHECK(files.read(opened->get(), bytes, 5) == 5);
  CHECK(std::string(bytes, 5) == "hello");
  CHECK(files.read_at(opened->get(), 6, bytes, sizeof bytes) == 5);
  CHECK(std::string(bytes, 5) == "world");
  CHECK(files.read(opened->get(), bytes, sizeof bytes) == 6);
  CHECK(files.read(opened->get(), bytes, sizeof bytes) == 0);

  REQUIRE(files.create(dir.get(), "two", 0600));
  CHECK(files.rename(dir.get(), "one", dir.get(), "two").error().code == Errc::busy);
  CHECK(files.rename(dir.get(), "one", dir.get(), "three"));
  CHECK(files.list(dir.get()).value() == std::vector<std::string>{"three", "two"});
  CHECK(files.list(dir.get()).value().size() == 2);
  CHECK(files.unlink(dir.get(), "two"));
  CHECK(files.unlink(dir.get(), "two").error().code == Errc::not_found);
  CHECK(files.status_at(dir.get(), "two").error().code == Errc::not_found);
}

TEST_CASE("what stands in a file's place is not opened") {
  const TemporaryDirectory directory;
  FileOps& files = system_files();
  const Descriptor dir = dir_of(directory);
  test::write_file(directory / "target", "x");
  REQUIRE(::symlink("target", (directory / "link").c_str()) == 0);
  REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
  REQUIRE(::mkdir((directory / "dir").c_str(), 0700) == 0);

  for (const char* name : {"link", "fifo", "dir"}) {
    CAPTURE(name);
    CHECK(files.open(dir.get(), name).error().code == Errc::denied);
    CHECK_FALSE(files.append(dir.get(), name, 0600));
    CHECK(files.create(dir.get(), name, 0600).error().code == Errc::busy);
  }
  CHECK(files.status_at(dir.get(), "link")->kind == FileKind::symlink);
  CHECK(files.status_at(dir.get(), "fifo")->kind == FileKind::other);
  CHECK(files.status_at(dir.get(), "dir")->kind == FileKind::directory);
  CHECK(test::read_file(directory / "target") == "x");
}

TEST_CASE("directories are made where they are missing") {
  const TemporaryDirectory directory;
  FileOps& files = system_files();
  CHECK(files.make_dir(directory / "a", 0700));
  CHECK(files.make_dir(directory / "a", 0700));
  CHECK(files.make_dir(directory / "b/", 0700));
  CHECK(files.make_dir(directory / "no/c", 0700).error().code == Errc::not_found);
  test::write_file(directory / "file", "");
  CHECK(files.make_dir(directory / "file", 0700).error().text == directory / "file" + " is not a directory");
  CHECK(files.status_at(dir_of(directory).get(), "a")->mode == 0700);
}

TEST_CASE("a lock lasts until both of its descriptors are closed") {
  const TemporaryDirectory directory;
  FileOps& files = system_files();
  const Descriptor dir = dir_of(directory);
  auto first = files.create(dir.get(), "file", 0600).value();
  const auto second = files.open(dir.get(), "file").value();
  auto held = files.lock(first.get());
  REQUIRE(held);
  CHECK(files.lock(second.get()).error().code == Errc::busy);
  CHECK(files.close(std::move(first)));
  CHECK(files.lock(second.get()).error().code == Errc::busy);
  held->reset();
  CHECK(files.lock(second.get()));
}

TEST_CASE("a full disk is known as such") {
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(full.is_open());
  CHECK(system_files().write(full.get(), "x").error().code == Errc::no_space);
}
