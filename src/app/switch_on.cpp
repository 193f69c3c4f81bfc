#include "app/switch_on.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "app/places.hpp"
#include "base/ascii.hpp"
#include "base/own_program.hpp"
#include "confine/user.hpp"
#include "net/digest.hpp"

namespace odmr::app {

namespace {

// Of the timer that is installed.
constexpr auto k_timer = std::chrono::minutes(5);

bool is_of_a_name(char c) {
  return is_alnum(c) || c == '-' || c == '_';
}

bool has_unit(const std::string& name) {
  constexpr std::array k_folders{"/etc/systemd/system/", "/usr/local/lib/systemd/system/", "/usr/lib/systemd/system/",
                                 "/lib/systemd/system/"};
  return std::any_of(k_folders.begin(), k_folders.end(),
                     [&](const char* folder) { return access((folder + name).c_str(), F_OK) == 0; });
}

std::string by_systemd(const std::string& configuration, Duration interval) {
  if (configuration == k_system_configuration)
    return std::string("systemctl enable --now ") + (interval == k_timer ? "odmr.timer" : "odmr-watch.service");
  const auto instance = instance_of(configuration);
  return instance.empty() || interval != k_timer ? std::string() : "systemctl enable --now odmr@" + instance + ".timer";
}

std::string by_cron(const Surroundings& around, const std::string& configuration, Duration interval) {
  std::string run = shell_word(around.program) + " run -q";
  if (configuration != around.own_configuration) run += " -c " + shell_word(configuration);
  const auto times = cron_times(interval);
  // A % is a line's end to cron.
  for (auto at = run.find('%'); at != std::string::npos; at = run.find('%', at + 2)) run.insert(at, "\\");
  if (around.is_root && around.has_user) {
    const std::filesystem::path path(configuration);
    // Elsewhere the user odmr may not read; root becomes him then (run_as).
    const std::string user = path.parent_path() == "/etc/odmr" ? "odmr " : "root ";
    const std::string file = configuration == k_system_configuration ? "odmr" : "odmr-" + name_for(configuration);
    return "echo " + shell_word(times + " " + user + run + " 2>&1 | logger -t odmr") + " >" +
           shell_word("/etc/cron.d/" + file);
  }
  return "(crontab -l 2>/dev/null; echo " + shell_word(times + " " + run + " 2>&1 | logger -t odmr") + ") | crontab -";
}

}  // namespace

Surroundings look_around() {
  Surroundings around;
  around.is_root = ::geteuid() == 0;
  around.has_systemd = access("/run/systemd/system", F_OK) == 0;
  around.has_units = has_unit("odmr.timer");
  around.has_user = confine::find_user("odmr").has_value();
  const auto program = own_program("odmr");
  if (program && *program != "/usr/bin/odmr" && *program != "/bin/odmr") around.program = *program;
  around.own_configuration = around.is_root ? std::string(k_system_configuration) : own_configuration();
  return around;
}

std::string instance_of(const std::string& configuration) {
  const std::filesystem::path path(configuration);
  if (path.parent_path() != "/etc/odmr" || path.extension() != ".toml" || configuration == k_system_configuration)
    return {};
  const auto name = path.stem().string();
  // What systemd takes as it stands, and the unit names the files by.
  const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) { return is_of_a_name(c) || c == '.'; });
  return is_plain ? name : std::string();
}

std::string name_for(const std::string& configuration) {
  auto name = std::filesystem::path(configuration).stem().string();
  if (std::all_of(name.begin(), name.end(), is_of_a_name) && instance_of(configuration) == name) return name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !is_of_a_name(c); }, '-');
  return name + "-" + net::hex(net::sha256(configuration)).substr(0, 8);
}

std::string state_directory_for(const Surroundings& around, const std::string& configuration) {
  if (configuration == around.own_configuration) return {};
  const auto instance = instance_of(configuration);
  return default_state_dir() + "-" + (around.is_root && !instance.empty() ? instance : name_for(configuration));
}

std::string switch_on_command(const Surroundings& around, const std::string& configuration, Duration interval) {
  if (around.is_root && around.has_systemd && around.has_units) {
    auto command = by_systemd(configuration, interval);
    if (!command.empty()) return command;
  }
  return by_cron(around, configuration, interval);
}

std::string cron_times(Duration interval) {
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(interval).count();
  constexpr std::array k_minutes{30, 20, 15, 12, 10, 6, 5, 4, 3, 2};
  constexpr std::array k_hours{12, 8, 6, 4, 3, 2};
  if (minutes >= 24 * 60) return "0 4 * * *";
  for (const int hours : k_hours) {
    if (minutes >= hours * 60) return "0 */" + std::to_string(hours) + " * * *";
  }
  if (minutes >= 60) return "0 * * * *";
  for (const int each : k_minutes) {
    if (minutes >= each) return "*/" + std::to_string(each) + " * * * *";
  }
  return "* * * * *";
}

std::string shell_word(const std::string& text) {
  const bool is_plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || std::string_view("/._-+:@%,=").find(c) != std::string_view::npos;
  });
  if (is_plain) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace odmr::app
