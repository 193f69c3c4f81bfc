#include "config/secret.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "config/file.hpp"

namespace odmr::config {

namespace {

constexpr std::size_t k_longest_file = std::size_t{64} * 1024;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

Result<Secret> first_line(std::string_view bytes) {
  std::string_view line = bytes.substr(0, bytes.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return fail(Errc::malformed, "its first line is empty; the secret belongs there");
  if (line.find('\0') != std::string_view::npos) return fail(Errc::malformed, "its first line holds a NUL");
  return Secret(line);
}

tl::unexpected<Error> about(const std::string& what, const Error& error) {
  return fail(error.code, what + ": " + error.text);
}

// systemd's own directory is trusted: only the service can see it, whatever the modes say.
enum class Rules { strict, none };

Result<Contents> read_checked(const std::string& path, Rules rules) {
  auto contents = read_file(path, k_longest_file);
  if (!contents) return about(path, contents.error());
  if (contents->status.kind != FileKind::regular) return fail(Errc::denied, path + ": it is not a regular file");
  const std::string objection = rules == Rules::strict ? secret_objection(contents->status, path) : "";
  if (!objection.empty()) return fail(Errc::denied, path + ": " + objection);
  return contents;
}

Result<Secret> from_file(const std::string& path, Rules rules) {
  const auto contents = read_checked(path, rules);
  if (!contents) return fail(contents.error());
  auto secret = first_line(contents->bytes.text());
  if (!secret) return about(path, secret.error());
  return secret;
}

Result<Secret> from_credential(const std::string& name) {
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr) {
    return fail(Errc::not_found,
                fmt::format("CREDENTIALS_DIRECTORY is not set; systemd sets it for LoadCredential={}:FILE", name));
  }
  return from_file(std::string(directory) + "/" + name, Rules::none);
}

Result<Secret> from_command(const std::vector<std::string>& argv, Duration patience, const RunCommand& run) {
  auto output = run(argv, patience);
  if (!output) return about("password_command", output.error());
  auto secret = first_line(*output);
  wipe(*output);
  if (!secret) return about("password_command", secret.error());
  return secret;
}

// All four are read, so that the faults of each are heard.
std::optional<SecretSource> source_in(const Table& table, const std::string& prefix) {
  const auto path = table.path(prefix + "password_file");
  const auto argv = table.command(prefix + "password_command");
  const auto name = table.text(prefix + "password_credential");
  const auto text = table.text(prefix + "password");
  if (path) return SecretSource{SecretSource::File{*path}};
  if (argv) return SecretSource{SecretSource::Command{*argv}};
  if (name) return SecretSource{SecretSource::Credential{*name}};
  if (text) return SecretSource{std::make_shared<const Secret>(*text)};
  return std::nullopt;
}

void refuse_several(const Table& table, const std::string& prefix) {
  std::optional<std::string> first;
  for (const char* which : {"password_file", "password_command", "password_credential", "password"}) {
    const std::string key = prefix + which;
    if (!table.has(key)) continue;
    if (first) {
      const bool later = table.place(*first) < table.place(key);
      table.fault(later ? key : *first, fmt::format("'{}' and '{}' are both there; leave one out", *first, key));
    }
    first = first.value_or(key);
  }
}

void refuse_paths(const Table& table, const std::string& key) {
  const auto name = table.text(key);
  if (name && (name->find('/') != std::string::npos || *name == "." || *name == "..")) {
    table.fault(key, "a path stands here; the name of a credential is needed");
  }
}

}  // namespace

void refuse_readable(const Table& table, const std::string& key) {
  const auto& status = table.file_status();
  if (!status || !table.has(key)) return;
  const std::string objection = secret_objection(*status, table.file());
  if (!objection.empty()) table.fault(key, "this file holds a secret, but " + objection);
}

std::optional<SecretSource> read_secret_source(const Table& table, const std::string& prefix) {
  refuse_several(table, prefix);
  refuse_readable(table, prefix + "password");
  refuse_paths(table, prefix + "password_credential");
  return source_in(table, prefix);
}

Result<Secret> load(const SecretSource& source, Duration patience, const RunCommand& run) {
  return std::visit(
      Overloaded{[](const SecretSource::File& file) { return from_file(file.path, Rules::strict); },
                 [&](const SecretSource::Command& command) { return from_command(command.argv, patience, run); },
                 [](const SecretSource::Credential& credential) { return from_credential(credential.name); },
                 [](const SecretSource::Inline& secret) { return Result<Secret>(Secret(secret->text())); }},
      source.from);
}

Result<void> verify(const SecretSource& source) {
  if (std::holds_alternative<SecretSource::Command>(source.from)) return {};
  const auto secret = load(source);
  return secret ? Result<void>() : fail(secret.error());
}

Result<void> check_secret_file(const std::string& path) {
  const auto contents = read_checked(path, Rules::strict);
  return contents ? Result<void>() : fail(contents.error());
}

}  // namespace odmr::config
