#include "config/secret.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <type_traits>

#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::config;
using namespace std::chrono_literals;
using odmr::test::TemporaryDirectory;

namespace {

using Lines = std::vector<std::string>;

struct Read {
  std::optional<SecretSource> source;
  Lines faults;
};

Read read(const std::string& text) {
  auto document = Document::parse(text, "/etc/odmr.toml");
  if (!document) throw std::runtime_error(document.error().render());
  Read read{read_secret_source(document->root()), {}};
  for (const auto& fault : document->faults()) read.faults.push_back(fault.render());
  return read;
}

// The secret, or why there is none.
std::string loaded(const std::string& text, Duration patience = 20s) {
  const auto found = read(text);
  if (!found.source || !found.faults.empty()) return "no source";
  const auto secret = load(*found.source, patience);
  return secret ? secret->text() : "error: " + secret.error().text;
}

}  // namespace

TEST_CASE("a secret cannot be printed or copied by chance") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<Secret>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Secret, std::string>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::string, Secret>);
}

TEST_CASE("a secret from a file is its first line") {
  const TemporaryDirectory directory;
  const std::string path = directory / "secret";
  const auto from = [&](const std::string& bytes) {
    test::write_file(path, bytes);
    ::chmod(path.c_str(), 0600);
    return loaded("password_file = \"" + path + "\"\n");
  };
  using namespace std::string_literals;
  CHECK(from("hunter2") == "hunter2");
  CHECK(from("hunter2\n") == "hunter2");
  CHECK(from("hunter2\r\n") == "hunter2");
  CHECK(from(" p\xc3\xa4ss word \nsecond\n") == " p\xc3\xa4ss word ");
  CHECK(from("") == "error: " + path + ": its first line is empty; the secret belongs there");
  CHECK(from("\nsecond\n") == "error: " + path + ": its first line is empty; the secret belongs there");
  CHECK(from("a\0b\n"s) == "error: " + path + ": its first line holds a NUL");
  CHECK(from(std::string(65'537, 'x')) == "error: " + path + ": cannot be read: more than 65536 bytes");
}

TEST_CASE("a secret's file must be for us alone; its group may read it") {
  const TemporaryDirectory directory;
  const std::string path = directory / "secret";
  test::write_file(path, "hunter2\n");
  const auto with_mode = [&](mode_t mode) {
    ::chmod(path.c_str(), mode);
    const auto checked = check_secret_file(path);
    const std::string got = loaded("password_file = \"" + path + "\"\n");
    CHECK(checked.has_value() == (got == "hunter2"));
    return got;
  };
  for (const mode_t mode : {0400U, 0600U, 0700U, 0440U, 0640U, 0650U}) CHECK(with_mode(mode) == "hunter2");
  for (const mode_t mode : {0604U, 0602U, 0601U, 0666U}) {
    CHECK(with_mode(mode) == "error: " + path + ": others have rights to it; chmod o-rwx " + path);
  }
  CHECK(with_mode(0620) == "error: " + path + ": its group may write it; chmod g-w " + path);
  CHECK(with_mode(0660) == "error: " + path + ": its group may write it; chmod g-w " + path);
}

TEST_CASE("a secret's file must belong to root or to us", "[root]") {
  if (::geteuid() != 0) return;
  const TemporaryDirectory directory;
  const std::string path = directory / "secret";
  test::write_file(path, "hunter2\n");
  ::chmod(path.c_str(), 0640);
  REQUIRE(::chown(path.c_str(), 12345, 0) == 0);
  CHECK(loaded("password_file = \"" + path + "\"\n") ==
        "error: " + path + ": it belongs to user 12345, neither root nor us; chown 0 " + path);
  REQUIRE(::seteuid(12345) == 0);
  const std::string own = loaded("password_file = \"" + path + "\"\n");
  REQUIRE(::seteuid(0) == 0);
  CHECK(own == "error: " + path + ": cannot be read: Permission denied");  // the directory is root's
}

TEST_CASE("what is no file holds no secret") {
  const TemporaryDirectory directory;
  const std::string path = directory / "secret";
  const auto why = [&] { return loaded("password_file = \"" + path + "\"\n"); };
  CHECK(why() == "error: " + path + ": cannot be read: No such file or directory");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(why() == "error: " + path + ": it is not a regular file");
  ::unlink(path.c_str());
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  CHECK(why() == "error: " + path + ": cannot be read: it is a directory");
  test::write_file(directory / "target", "hunter2");
  ::chmod((directory / "target").c_str(), 0600);
  ::rmdir(path.c_str());
  REQUIRE(::symlink("target", path.c_str()) == 0);
  CHECK(why() == "hunter2");  // systems of links are how some keep their secrets; the rules look at the file
}

TEST_CASE("a secret from a command") {
  CHECK(loaded("password_command = \"echo hunter2; echo second\"\n") == "hunter2");
  CHECK(loaded("password_command = [\"echo\", \"$HOME\"]\n") == "$HOME");
  CHECK(loaded("password_command = \"true\"\n") ==
        "error: password_command: its first line is empty; the secret belongs there");
  CHECK(loaded("password_command = \"echo hunter2; exit 3\"\n") ==
        "error: password_command: /bin/sh: ended with status 3");
  CHECK(loaded("password_command = \"sleep 100\"\n", 50ms) == "error: password_command: /bin/sh: took too long");
}

TEST_CASE("a secret from systemd") {
  const TemporaryDirectory directory;
  test::write_file(directory / "isp", "hunter2\n");
  ::chmod((directory / "isp").c_str(), 0444);
  ::setenv("CREDENTIALS_DIRECTORY", directory.path().c_str(), 1);
  CHECK(loaded("password_credential = \"isp\"\n") == "hunter2");
  CHECK(loaded("password_credential = \"other\"\n") ==
        "error: " + directory / "other" + ": cannot be read: No such file or directory");
  ::unsetenv("CREDENTIALS_DIRECTORY");
  CHECK(loaded("password_credential = \"isp\"\n") ==
        "error: CREDENTIALS_DIRECTORY is not set; systemd sets it for LoadCredential=isp:FILE");
  for (const char* name : {"../isp", "..", ".", "/etc/passwd"}) {
    CHECK(read("password_credential = \"" + std::string(name) + "\"\n").faults ==
          Lines{"/etc/odmr.toml:1:23: password_credential: a path stands here; the name of a credential is needed"});
  }
}

TEST_CASE("an inline secret puts the configuration under the rules of secret files") {
  CHECK(loaded("password = \"hunter2\"\n") == "hunter2");
  const TemporaryDirectory directory;
  const std::string path = directory / "odmr.toml";
  const auto faults = [&](const std::string& text, mode_t mode) {
    test::write_file(path, text);
    ::chmod(path.c_str(), mode);
    Document document = std::move(Document::load(path).value());
    static_cast<void>(read_secret_source(document.root()));
    Lines lines;
    for (const auto& fault : document.faults()) lines.push_back(fault.render());
    return lines;
  };
  CHECK(faults("\npassword = \"hunter2\"\n", 0640) == Lines{});
  CHECK(faults("\npassword = \"hunter2\"\n", 0644) ==
        Lines{path + ":2:12: password: this file holds a secret, but others have rights to it; chmod o-rwx " + path});
  CHECK(faults("\npassword = \"hunter2\"\n", 0660) ==
        Lines{path + ":2:12: password: this file holds a secret, but its group may write it; chmod g-w " + path});
  CHECK(faults("password_file = \"x\"\n", 0666) == Lines{});
}

TEST_CASE("there is one source, or none") {
  CHECK_FALSE(read("").source);
  CHECK(read("").faults.empty());
  CHECK(read("password = \"x\"\npassword_file = \"/x\"\n").faults ==
        Lines{"/etc/odmr.toml:2:17: password_file: 'password_file' and 'password' are both there; leave one out"});
  CHECK(read("password_command = \"x\"\npassword_credential = \"x\"\n").faults ==
        Lines{"/etc/odmr.toml:2:23: password_credential: 'password_command' and 'password_credential' are both there; "
              "leave one out"});
  CHECK(read("password = \"\"\n").faults ==
        Lines{"/etc/odmr.toml:1:12: password: an empty text stands here; write a value, or leave the key out"});
  // Of a secret's value no fault says anything.
  CHECK(read("password = 4711\n").faults ==
        Lines{"/etc/odmr.toml:1:12: password: a whole number stands here; a text in quotes is needed"});
}

TEST_CASE("a source can be verified without running anything") {
  const TemporaryDirectory directory;
  CHECK(verify(*read("password_command = \"touch " + directory / "ran" + "\"\n").source));
  CHECK(::access((directory / "ran").c_str(), F_OK) == -1);
  CHECK(verify(*read("password = \"x\"\n").source));
  CHECK(verify(*read("password_file = \"" + directory / "none" + "\"\n").source).error().code == Errc::not_found);
}
