#include "app/setup_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "app/places.hpp"
#include "base/file.hpp"
#include "config/document.hpp"

namespace odmr::app {

namespace {

using Faults = std::vector<std::string>;

bool is_there(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

// Between the first file that is put in its place and the last nobody may be stopped.
class SignalsWait {
 public:
  SignalsWait() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsWait() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsWait(const SignalsWait&) = delete;
  SignalsWait& operator=(const SignalsWait&) = delete;

 private:
  sigset_t before_{};
};

// A directory beside the files' places in which they are made; it goes with what is left in it.
class Workshop {
 public:
  static Result<Workshop> open(const std::string& parent) {
    std::string name = parent + "/.odmr-setup-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return fail(system_error(errno, parent));
    return Workshop(std::move(name));
  }
  ~Workshop() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Workshop(Workshop&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit Workshop(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<void> make_file(const std::string& directory, const std::string& name, std::string_view bytes,
                       const std::optional<confine::User>& reader) {
  auto& files = system_files();
  const auto dir = files.open_dir(directory);
  if (!dir) return fail(dir.error());
  auto file = files.create(dir->get(), name, 0600);
  if (!file) return fail(file.error());
  if (reader && ::fchown(file->get(), static_cast<uid_t>(-1), reader->group) != 0)
    return fail(system_error(errno, "chown " + name));
  if (::fchmod(file->get(), reader ? 0640 : 0600) != 0) return fail(system_error(errno, "chmod " + name));
  if (auto written = files.write(file->get(), bytes); !written) return written;
  if (auto synced = files.sync(file->get()); !synced) return synced;
  return files.close(std::move(*file));
}

Result<void> make_secret(const std::string& directory, const std::string& name, const Secret& password,
                         const std::optional<confine::User>& reader) {
  std::string line;
  line.reserve(password.text().size() + 1);  // growing would leave a copy behind
  line.append(password.text()).push_back('\n');
  auto made = make_file(directory, name, line, reader);
  wipe(line);
  return made;
}

Result<void> sync_directory(const std::string& path) {
  const auto dir = system_files().open_dir(path);
  if (!dir) return fail(dir.error());
  return system_files().sync(dir->get());
}

// The directory and those above it, readable for all where it is the system's.
Result<void> make_directory(const std::string& path, bool is_for_all) {
  for (auto slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const auto part = path.substr(0, slash);
    if (!is_there(part)) {
      if (auto made = system_files().make_dir(part, 0700); !made) return made;
      if (is_for_all && ::chmod(part.c_str(), 0755) != 0) return fail(system_error(errno, "chmod " + part));
    }
    if (slash == std::string::npos) return {};
  }
}

std::string free_backup_name(const std::string& path) {
  std::string name = path + ".bak";
  for (int i = 2; is_there(name); ++i) name = path + ".bak" + std::to_string(i);
  return name;
}

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return std::filesystem::equivalent(a, b, ignored);
}

// Whether the configuration that is there has its password in that file.
bool names_secret(const std::string& configuration, const std::string& secret) {
  auto document = config::Document::load(configuration);
  if (!document) return false;
  auto tables = document->root().tables("provider");
  tables.push_back(document->root().table("outbound"));
  return std::any_of(tables.begin(), tables.end(), [&](const config::Table& table) {
    const auto file = table.path("password_file");
    return file && is_same_file(*file, secret);
  });
}

// Puts files in their places, and, unless kept, takes all of that back.
class Placing {
 public:
  Placing() = default;
  ~Placing() {
    if (is_kept_) return;
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      if (step->backup.empty())
        ::unlink(step->path.c_str());
      else
        ::rename(step->backup.c_str(), step->path.c_str());
    }
  }
  Placing(const Placing&) = delete;
  Placing& operator=(const Placing&) = delete;

  Result<void> place(const std::string& from, const std::string& to, bool may_replace) {
    Step step{to, {}};
    if (is_there(to)) {
      if (!may_replace) return fail(Errc::busy, to + " is there already");
      step.backup = free_backup_name(to);
      // A second name first: at no time is there no configuration.
      if (::link(to.c_str(), step.backup.c_str()) != 0 && ::rename(to.c_str(), step.backup.c_str()) != 0)
        return fail(system_error(errno, to));
    }
    const unsigned flags = step.backup.empty() ? RENAME_NOREPLACE : 0;
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0) {
      auto problem = system_error(errno, to);
      if (!step.backup.empty()) ::rename(step.backup.c_str(), to.c_str());
      return fail(std::move(problem));
    }
    steps_.push_back(std::move(step));
    return {};
  }

  std::vector<std::string> keep() {
    is_kept_ = true;
    std::vector<std::string> backups;
    for (const auto& step : steps_) {
      if (!step.backup.empty()) backups.push_back(step.backup);
    }
    return backups;
  }

 private:
  struct Step {
    std::string path;
    std::string backup;
  };
  bool is_kept_ = false;
  std::vector<Step> steps_;
};

// As they read from where the files will be.
Faults from_final_place(Faults faults, const std::string& workshop, const std::string& directory) {
  for (auto& fault : faults) {
    for (auto at = fault.find(workshop); at != std::string::npos; at = fault.find(workshop))
      fault.replace(at, workshop.size(), directory);
  }
  return faults;
}

std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

tl::unexpected<SetupFailure> failed(const Error& error) {
  return tl::unexpected(SetupFailure{false, {error.text}});
}

}  // namespace

std::string place_to_write(const std::string& named) {
  const auto given = std::getenv("ODMR_CONFIG");
  if (!named.empty() || (given != nullptr && *given != '\0')) return absolute(named.empty() ? given : named);
  const auto own = own_configuration();
  return ::geteuid() == 0 && !is_there(own) ? std::string(k_system_configuration) : own;
}

std::string secret_beside(const std::string& configuration, const SetupAnswers& answers) {
  return std::filesystem::path(configuration).parent_path().string() + "/" + answers.name + ".secret";
}

std::optional<std::string> secret_in_the_way(const SetupAnswers& answers, const SetupPlace& place) {
  if (!answers.password_file.empty() || !answers.has_odmr) return std::nullopt;
  const auto secret = secret_beside(place.configuration, answers);
  if (!is_there(secret)) return std::nullopt;
  if (place.may_replace && names_secret(place.configuration, secret)) return std::nullopt;
  return secret + " is there already, and may be another configuration's: --name gives this provider, and its file, " +
         "another name; --password-file takes a file as it is";
}

std::optional<std::string> further_secret_in_the_way(const SetupAnswers& answers, const SetupPlace& place) {
  const auto directory = std::filesystem::path(place.configuration).parent_path().string();
  for (const auto& one : answers.further) {
    const auto secret = directory + "/" + one.secret;
    if (one.secret.empty() || !is_there(secret)) continue;
    if (place.may_replace && names_secret(place.configuration, secret)) continue;
    return secret + " is there already, and may be another configuration's: move it away, or name a configuration in " +
           "another directory with --config";
  }
  return std::nullopt;
}

tl::expected<SetupWritten, SetupFailure> write_setup(const SetupAnswers& answers, const Secret& password,
                                                     const SetupPlace& place,
                                                     const std::vector<FurtherSecret>& further) {
  const std::filesystem::path configuration(place.configuration);
  const auto directory = configuration.parent_path().string();
  const auto name = configuration.filename().string();
  const bool writes_secret = answers.password_file.empty() && answers.has_odmr;
  SetupWritten written{place.configuration, writes_secret ? secret_beside(place.configuration, answers) : "", {}, {}};
  const SignalsWait signals_wait;
  if (const auto made = make_directory(directory, place.reader.has_value()); !made) return failed(made.error());
  const auto workshop = Workshop::open(directory);
  if (!workshop) return failed(workshop.error());

  const auto secret_name = answers.name + ".secret";
  const auto text =
      configuration_text(answers, writes_secret || !answers.has_odmr ? secret_name : absolute(answers.password_file));
  if (writes_secret) {
    const auto made = make_secret(workshop->path(), secret_name, password, place.reader);
    if (!made) return failed(made.error());
  }
  for (const auto& one : further) {
    const auto made = make_secret(workshop->path(), one.file, one.password, place.reader);
    if (!made) return failed(made.error());
  }
  if (const auto made = make_file(workshop->path(), name, text, place.reader); !made) return failed(made.error());
  if (const auto good = load_settings(workshop->path() + "/" + name); !good)
    return tl::unexpected(SetupFailure{true, from_final_place(good.error(), workshop->path(), directory)});

  Placing placing;
  for (const auto& why : {secret_in_the_way(answers, place), further_secret_in_the_way(answers, place)}) {
    if (why) return failed(Error{Errc::busy, *why});
  }
  for (const auto& one : further) {
    written.further.push_back(directory + "/" + one.file);
    const auto put = placing.place(workshop->path() + "/" + one.file, written.further.back(), place.may_replace);
    if (!put) return failed(put.error());
  }
  if (writes_secret) {
    if (const auto put = placing.place(workshop->path() + "/" + secret_name, written.secret, place.may_replace); !put)
      return failed(put.error());
  }
  if (const auto put = placing.place(workshop->path() + "/" + name, place.configuration, place.may_replace); !put)
    return failed(put.error());
  if (const auto synced = sync_directory(directory); !synced) return failed(synced.error());
  written.backups = placing.keep();
  return written;
}

}  // namespace odmr::app
