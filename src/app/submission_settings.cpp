#include "app/submission_settings.hpp"

#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "app/places.hpp"
#include "app/run_as.hpp"
#include "base/ascii.hpp"
#include "config/document.hpp"

namespace odmr::app {

namespace {

template <class T>
using Found = tl::expected<T, SubmissionPlaceError>;

// Of `odmr run` as a service, whoever reads its configuration.
constexpr const char* k_system_state_dir = "/var/lib/odmr";

tl::unexpected<SubmissionPlaceError> at_fault(std::string text) {
  return tl::unexpected(SubmissionPlaceError{EX_CONFIG, std::move(text)});
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// The part of odmr.toml that submission needs.
struct Part {
  std::string state_dir;
  bool state_dir_is_default = false;
  std::optional<confine::User> run_as;
  std::string hostname;
  std::vector<std::string> listen;
  std::uint64_t max_size = 0;
  bool can_send = false;
};

bool is_needed(const config::Fault& fault) {
  constexpr std::array<const char*, 6> keys{"state_dir", "run_as",        "hostname",
                                            "submit",    "submit.listen", "submit.max_size"};
  return std::any_of(keys.begin(), keys.end(), [&](const char* key) { return fault.key == key; });
}

Found<Part> read_part(const std::string& file) {
  auto document = config::Document::load(file);
  if (!document) return at_fault(document.error().render());
  const auto root = document->root();
  Part part;
  // The directory of whoever runs odmr by the system's configuration; a user's own would be one that nobody empties.
  const bool is_ours = file != k_system_configuration || geteuid() == 0;
  part.state_dir = root.path("state_dir").value_or(is_ours ? default_state_dir() : k_system_state_dir);
  part.state_dir_is_default = !root.has("state_dir");
  // Nobody else becomes anybody, and looking for users takes its time.
  if (geteuid() == 0) part.run_as = read_run_as(root);
  part.hostname = read_hostname(root);
  const auto submit = root.table("submit");
  part.listen = submit.text_or_texts("listen").value_or(std::vector<std::string>{k_submit_socket});
  part.max_size = submit.size("max_size", k_max_submission, {1024, std::uint64_t{1} << 40});
  part.can_send = root.table("outbound").has("to");
  for (const auto& fault : document->faults()) {
    if (is_needed(fault)) return at_fault(fault.render());
  }
  return part;
}

// Whether we may put a message into the queue there, and nobody's work is made harder by it.
bool is_ours(const Part& part, const std::string& file) {
  if (geteuid() == 0) return true;
  struct stat status {};
  if (stat(part.state_dir.c_str(), &status) == 0) return status.st_uid == geteuid();
  return file != k_system_configuration;
}

SubmissionPlace at_socket(std::string path) {
  SubmissionPlace place;
  place.socket = std::move(path);
  return place;
}

// The file, as everybody finds it; none where there is none that we may read.
Found<std::optional<std::string>> readable_configuration(const std::string& named) {
  const auto file = find_configuration(named);
  if (!file) return std::nullopt;
  if (access(file->c_str(), R_OK) == 0) return *file;
  if (!named.empty()) return at_fault(escape(named) + ": cannot be read");
  return std::nullopt;
}

}  // namespace

tl::expected<SubmissionPlace, SubmissionPlaceError> find_submission_place(const std::string& named) {
  auto given = environment("ODMR_SUBMIT");
  if (!given.empty()) return at_socket(std::move(given));
  const auto file = readable_configuration(named);
  if (!file) return tl::unexpected(file.error());
  if (!*file) return at_socket(k_submit_socket);
  const auto part = read_part(**file);
  if (!part) return tl::unexpected(part.error());

  SubmissionPlace place;
  place.hostname = part->hostname;
  if (!is_ours(*part, **file)) {
    const auto path = std::find_if(part->listen.begin(), part->listen.end(),
                                   [](const std::string& one) { return one.starts_with('/'); });
    if (path == part->listen.end()) {
      return at_fault(**file + ": submit.listen: names no Unix socket, and " + part->state_dir +
                      " is not this user's to write; add " + k_submit_socket + " to it");
    }
    place.socket = *path;
    return place;
  }
  if (!part->can_send) {
    return at_fault(**file + ": there is no [outbound] with to = \"…\", so nothing would ever send the message");
  }
  place.state_dir = part->state_dir;
  place.state_dir_is_default = part->state_dir_is_default;
  place.run_as = part->run_as;
  place.max_size = part->max_size;
  return place;
}

}  // namespace odmr::app
