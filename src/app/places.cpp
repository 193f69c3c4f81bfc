#include "app/places.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/file.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string home() {
  auto directory = environment("HOME");
  if (!directory.empty()) return directory;
  const passwd* entry = getpwuid(getuid());
  return entry == nullptr ? std::string() : std::string(entry->pw_dir);
}

constexpr const char* k_systems_user = "odmr";
constexpr const char* k_system_state_dir = "/var/lib/odmr";

// The user whom a package or an administrator has made for odmr, by hand now: the same place as with the unit. Where
// root has made that, it has to be given to him, and another place would only hide it.
bool is_systems_user() {
  if (geteuid() == 0) return true;
  struct stat status {};
  if (stat(k_system_state_dir, &status) != 0) return false;
  const passwd* user = getpwnam(k_systems_user);
  return status.st_uid == geteuid() || (user != nullptr && user->pw_uid == geteuid());
}

// What cannot be made shows when the directory itself is.
void make_parents(const std::string& path) {
  for (auto slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    (void)system_files().make_dir(path.substr(0, slash), 0700);
  }
}

}  // namespace

std::string default_state_dir() {
  // systemd gives several directories separated by colons; ours is the first.
  const auto given = environment("STATE_DIRECTORY");
  if (!given.empty()) return given.substr(0, given.find(':'));
  if (is_systems_user()) return k_system_state_dir;
  const auto xdg = environment("XDG_STATE_HOME");
  return (xdg.empty() ? home() + "/.local/state" : xdg) + "/odmr";
}

Result<void> make_state_dir(const std::string& directory, bool is_default) {
  if (is_default) make_parents(directory);
  return system_files().make_dir(directory, 0700);
}

std::string default_hostname() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

std::string read_hostname(const config::Table& root) {
  auto hostname = root.text("hostname", default_hostname());
  if (!smtp::is_ehlo_name(hostname)) {
    root.fault("hostname", "\"" + hostname +
                               "\" is no host name; give a full one, such as "
                               "hostname = \"mail.example.org\"");
  }
  return hostname;
}

std::string own_configuration() {
  const auto xdg = environment("XDG_CONFIG_HOME");
  return (xdg.empty() ? home() + "/.config" : xdg) + "/odmr/odmr.toml";
}

Result<std::string> find_configuration(const std::string& named) {
  if (!named.empty()) return named;
  const auto given = environment("ODMR_CONFIG");
  if (!given.empty()) return given;
  const std::string own = own_configuration();
  const std::string system = k_system_configuration;
  for (const auto& path : {own, system}) {
    if (access(path.c_str(), F_OK) == 0) return path;
  }
  return fail(Errc::not_found, "no configuration: neither " + own + " nor " + system +
                                   " is there; \"odmr setup\" writes one, --config or $ODMR_CONFIG names another");
}

}  // namespace odmr::app
