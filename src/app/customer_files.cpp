#include "app/customer_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "app/owner.hpp"
#include "app/setup.hpp"
#include "base/ascii.hpp"
#include "base/outcome.hpp"
#include "base/random.hpp"
#include "config/file.hpp"

namespace odmr::app {

namespace {

constexpr int k_usage = 64;
constexpr int k_no_customer = 67;  // EX_NOUSER
constexpr std::size_t k_longest_file = std::size_t{1024} * 1024;

tl::unexpected<CustomerFailure> failed(int exit, std::vector<std::string> reasons) {
  return tl::unexpected(CustomerFailure{exit, std::move(reasons)});
}

tl::unexpected<CustomerFailure> not_written(const Error& error) {
  const bool is_denied = error.code == Errc::denied && ::geteuid() != 0;
  return failed(exit_status(Outcome::state), {error.text + (is_denied ? "; root may" : "")});
}

// --- what stands in a file

std::string toml_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& one : texts) out += (out.empty() ? "" : ", ") + toml_string(one);
  return "[" + out + "]";
}

// The line of the secret: `password = "…"` or `scram_verifier = "…"`. Error: malformed, the password.
Result<std::string> secret_line(const Secret& password, Kept kept) {
  // Also where it is kept as it is: a client could not say it otherwise.
  auto verifier = sasl::make_verifier(password.text());
  if (!verifier) return fail(verifier.error());
  if (kept == Kept::password) return "password = " + toml_string(password.text());
  return "scram_verifier = " + toml_string(sasl::to_text(*verifier));
}

std::string file_text(const NewCustomer& customer, const std::string& secret) {
  std::string text =
      "# Made by \"odmrd customer add\". Any key of [customer.NAME] in odmrd.toml(5) may be added; \"odmrd customer\n"
      "# password\" changes the line of the secret alone.\n";
  text += "[customer." + customer.name + "]\n";
  text += "user = " + toml_string(customer.user.empty() ? customer.domains.front() : customer.user) + "\n";
  text += "domains = " + toml_list(customer.domains) + "\n";
  if (!customer.recipients.empty()) text += "recipients = " + toml_list(customer.recipients) + "\n";
  if (!customer.quota.empty()) text += "quota = " + toml_string(customer.quota) + "\n";
  return text + secret + "\n";
}

// Of the file that is about to be written it is what was said on the command line.
CustomerFailure failure_of(const std::vector<config::Fault>& faults, const std::string& own_name) {
  CustomerFailure failure{k_usage, {}};
  for (const auto& fault : faults) {
    const bool is_own = fault.file.ends_with("/" + own_name);
    if (!is_own) failure.exit = exit_status(Outcome::config);
    failure.reasons.push_back(is_own ? fault.key + ": " + fault.text : fault.render());
  }
  return failure;
}

// --- the file itself

// Whose group may read it, where root writes for somebody else.
Result<std::optional<gid_t>> reader_of(const DaemonSettings& settings) {
  if (::geteuid() != 0) return std::nullopt;
  if (settings.run_as) return settings.run_as->group;
  const auto owner = other_owner_of(settings.spool);
  if (!owner) return fail(owner.error());
  return *owner ? std::optional<gid_t>((*owner)->group) : std::nullopt;
}

Result<void> set_reader(int file, std::optional<gid_t> reader, mode_t own, mode_t shared, const std::string& path) {
  if (reader && ::fchown(file, static_cast<uid_t>(-1), *reader) != 0) return fail(system_error(errno, "chown " + path));
  if (::fchmod(file, reader ? shared : own) != 0) return fail(system_error(errno, "chmod " + path));
  return {};
}

Result<Descriptor> open_directory(const std::string& path, std::optional<gid_t> reader) {
  std::error_code ignored;
  const bool is_new = !std::filesystem::exists(path, ignored);
  if (auto made = system_files().make_dir(path, 0700); !made) return fail(made.error());
  auto dir = system_files().open_dir(path);
  if (!dir || !is_new) return dir;
  if (auto set = set_reader(dir->get(), reader, 0700, 0750, path); !set) return fail(set.error());
  return dir;
}

// A file that is read by nobody until it has its name.
Result<void> fill(int dir, const std::string& name, const std::string& text, std::optional<gid_t> reader) {
  auto& files = system_files();
  auto file = files.create(dir, name, 0600);
  if (!file) return fail(file.error());
  if (auto set = set_reader(file->get(), reader, 0600, 0640, name); !set) return set;
  if (auto written = files.write(file->get(), text); !written) return written;
  if (auto synced = files.sync(file->get()); !synced) return synced;
  return files.close(std::move(*file));
}

Result<void> write_file(const std::string& directory, const std::string& name, const std::string& text,
                        std::optional<gid_t> reader, bool replaces) {
  auto& files = system_files();
  const auto dir = open_directory(directory, reader);
  if (!dir) return fail(dir.error());
  const std::string draft = fmt::format(".{}.{:016x}", name, random_bits());
  auto done = fill(dir->get(), draft, text, reader);
  if (done && replaces && ::renameat(dir->get(), draft.c_str(), dir->get(), name.c_str()) != 0)
    done = fail(system_error(errno, directory + "/" + name));
  if (done && !replaces) done = files.rename(dir->get(), draft, dir->get(), name);
  if (!done) {
    static_cast<void>(files.unlink(dir->get(), draft));
    return fail(done.error().code, directory + ": " + done.error().text);
  }
  return files.sync(dir->get());
}

// --- one that is there

std::string name_in(const std::string& directory, const std::string& path) {
  const std::filesystem::path whole(path);
  return whole.parent_path() == std::filesystem::path(directory) ? whole.filename().string() : std::string();
}

CustomerResult<DaemonSettings> load(const std::string& configuration) {
  auto settings = load_daemon_settings(configuration, Depth::keys);
  if (!settings) return failed(exit_status(Outcome::config), settings.error());
  return std::move(*settings);
}

CustomerResult<const CustomerSettings*> find_kept(const DaemonSettings& settings, const std::string& name) {
  const auto found = std::find_if(settings.customers.begin(), settings.customers.end(),
                                  [&](const CustomerSettings& one) { return one.customer.name == name; });
  if (found == settings.customers.end()) return failed(k_no_customer, {"there is no customer \"" + name + "\""});
  if (!is_kept_in_directory(settings, *found)) {
    return failed(k_usage, {"customer \"" + name + "\" stands in " + found->file +
                            ", which is not changed here: change [customer." + name + "] there"});
  }
  return &*found;
}

// The file with another line in the place of the secret's. No value where there is none, or it is of several lines.
std::optional<std::string> with_secret(const std::string& text, const std::string& file, const std::string& name,
                                       const std::string& line) {
  auto document = config::Document::parse(text, file);
  if (!document) return std::nullopt;
  const auto table = document->root().table("customer").table(name);
  const std::string key = table.has("password") ? "password" : "scram_verifier";
  if (!table.has(key)) return std::nullopt;
  std::size_t begin = 0;
  for (unsigned number = 1; number < table.place(key).line; ++number) begin = text.find('\n', begin) + 1;
  const std::size_t end = std::min(text.find('\n', begin), text.size());
  if (!trim(std::string_view(text).substr(begin, end - begin)).starts_with(key)) return std::nullopt;
  return text.substr(0, begin) + line + text.substr(end);
}

}  // namespace

bool is_kept_in_directory(const DaemonSettings& settings, const CustomerSettings& customer) {
  return !name_in(settings.customers_dir, customer.file).empty();
}

CustomerResult<CustomerWritten> add_customer(const std::string& configuration, const NewCustomer& customer,
                                             const Secret& password) {
  const bool is_name = !customer.name.empty() && customer.name.size() <= 64 &&
                       std::all_of(customer.name.begin(), customer.name.end(),
                                   [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
  if (!is_name) return failed(k_usage, {"a customer's name has letters, digits, - and _ alone, such as club"});
  if (customer.domains.empty()) return failed(k_usage, {"a customer has a domain, such as --domain club.example"});
  const auto secret = secret_line(password, customer.kept);
  if (!secret) return failed(k_usage, {secret.error().text});
  const std::string name = customer.name + ".toml";
  const std::string text = file_text(customer, *secret);

  // Read as the daemon will read it; but what is there already is not judged in its stead.
  auto settings = daemon_settings_with(configuration, "." + name, text);
  if (!settings) return tl::unexpected(failure_of(settings.error(), "." + name));
  const auto reader = reader_of(*settings);
  if (!reader) return not_written(reader.error());
  const std::string file = settings->customers_dir + "/" + name;
  if (const auto written = write_file(settings->customers_dir, name, text, *reader, false); !written) {
    if (written.error().code == Errc::busy) return failed(exit_status(Outcome::state), {file + " is there already"});
    return not_written(written.error());
  }
  return CustomerWritten{std::move(*settings), file, customer.kept};
}

CustomerResult<CustomerWritten> change_password(const std::string& configuration, const std::string& name,
                                                const Secret& password, std::optional<Kept> kept) {
  auto settings = load(configuration);
  if (!settings) return tl::unexpected(settings.error());
  const auto found = find_kept(*settings, name);
  if (!found) return tl::unexpected(found.error());
  const Kept how = kept.value_or((*found)->password ? Kept::password : Kept::verifier);
  const auto line = secret_line(password, how);
  if (!line) return failed(k_usage, {line.error().text});
  const std::string file = (*found)->file;
  const auto text = config::read_file(file, k_longest_file);
  if (!text) return not_written(text.error());
  const auto changed = with_secret(text->bytes.text(), file, name, *line);
  if (!changed) {
    return failed(k_usage, {file + " has neither password nor scram_verifier on a line of its own, as odmrd customer "
                                   "add writes them: change it there"});
  }
  const std::string file_name = name_in(settings->customers_dir, file);
  auto after = daemon_settings_with(configuration, file_name, *changed);
  if (!after) return tl::unexpected(failure_of(after.error(), file_name));
  const auto reader = reader_of(*settings);
  if (!reader) return not_written(reader.error());
  const auto written = write_file(settings->customers_dir, file_name, *changed, *reader, true);
  if (!written) return not_written(written.error());
  return CustomerWritten{std::move(*after), file, how};
}

CustomerResult<CustomerWritten> remove_customer(const std::string& configuration, const std::string& name) {
  auto settings = load(configuration);
  if (!settings) return tl::unexpected(settings.error());
  const auto found = find_kept(*settings, name);
  if (!found) return tl::unexpected(found.error());
  const std::string file = (*found)->file;
  const auto others = std::count_if(settings->customers.begin(), settings->customers.end(),
                                    [&](const CustomerSettings& one) { return one.file == file; });
  if (others > 1) return failed(k_usage, {file + " has other customers, too: take [customer." + name + "] out there"});
  const auto dir = system_files().open_dir(settings->customers_dir);
  if (!dir) return not_written(dir.error());
  auto done = system_files().unlink(dir->get(), name_in(settings->customers_dir, file));
  if (done) done = system_files().sync(dir->get());
  if (!done) return not_written(done.error());
  return CustomerWritten{std::move(*settings), file, Kept::verifier};
}

Secret new_password() {
  constexpr std::string_view k_letters = "abcdefghijkmnpqrstuvwxyz23456789";  // 32, without l, o, 0 and 1
  std::string text;
  text.reserve(24);
  for (int i = 0; i < 2; ++i) {
    std::uint64_t bits = random_bits();
    for (int j = 0; j < 12; ++j, bits >>= 5U) text += k_letters[bits & 31U];
  }
  Secret password(text);
  wipe(text);
  return password;
}

}  // namespace odmr::app
