#include "provider/recipient_book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/ascii.hpp"
#include "net/digest.hpp"
#include "smtp/recipients.hpp"

namespace odmr::provider {

namespace {

using net::Task;

constexpr std::string_view k_first_line = "odmrd-recipients 1\n";
constexpr std::string_view k_temporary = "new.";
constexpr std::size_t k_digits = 16;  // of a number in a file's name
// More than any list of ours takes.
constexpr std::size_t k_largest_file = 2 * RecipientList::k_octets * RecipientList::k_most + 1024;

std::string directory_in(const std::string& spool) {
  return spool + "/recipients";
}

// A name that people choose is no name of a file.
std::string key_of(const std::string& customer) {
  return net::hex(net::sha256(customer));
}

// KEY.NUMBER. Sorted, the numbers of one key are in their order.
bool is_name_of(std::string_view name, std::string_view key) {
  return name.size() == key.size() + 1 + k_digits && name.starts_with(key) && name[key.size()] == '.';
}

std::string to_text(const RecipientList& list) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(list.uploaded.time_since_epoch()).count();
  std::string text(k_first_line);
  text += fmt::format("salt {}\nuploaded {}\ncount {}\n", list.salt, seconds, list.count());
  text.reserve(text.size() + 2 * list.digests.size() + 128);
  text += net::hex(list.digests) + "\n";
  text += "digest " + net::hex(net::sha256(text)) + "\n";
  return text;
}

// "NAME value\n" at the front of `text`, which it takes off; no value where something else stands there.
std::optional<std::string_view> take_field(std::string_view& text, std::string_view name) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  if (end == std::string_view::npos || !line.starts_with(name) || line.size() <= name.size()) return std::nullopt;
  text.remove_prefix(end + 1);
  return line.substr(name.size() + 1);
}

std::optional<RecipientList> from_text(std::string_view text) {
  const auto end = text.rfind("digest ");
  if (end == std::string_view::npos || !text.starts_with(k_first_line)) return std::nullopt;
  const std::string_view told = text.substr(0, end);
  if (text.substr(end) != "digest " + net::hex(net::sha256(told)) + "\n") return std::nullopt;
  std::string_view rest = told.substr(k_first_line.size());
  const auto salt = take_field(rest, "salt");
  const auto uploaded = take_field(rest, "uploaded");
  const auto count = take_field(rest, "count");
  if (!salt || salt->size() != RecipientList::k_salt || !uploaded || !count) return std::nullopt;
  const auto seconds = parse_number(*uploaded);
  const auto size = parse_number(*count);
  if (!seconds || !size || *size > RecipientList::k_most) return std::nullopt;
  if (rest.size() != 2 * RecipientList::k_octets * *size + 1) return std::nullopt;
  rest.remove_suffix(1);
  auto digests = net::from_hex(rest);
  if (!digests) return std::nullopt;
  return RecipientList{std::string(*salt), std::move(*digests),
                       WallTime(std::chrono::seconds(static_cast<std::int64_t>(*seconds)))};
}

Result<std::string> read_whole(FileOps& files, int dir, const std::string& name) {
  const auto file = files.open(dir, name);
  if (!file) return fail(file.error());
  std::string text;
  std::array<char, 65536> piece{};
  for (;;) {
    const auto count = files.read(file->get(), piece.data(), piece.size());
    if (!count) return fail(count.error());
    if (*count == 0) return text;
    text.append(piece.data(), *count);
    if (text.size() > k_largest_file) return fail(Errc::malformed, name + " is larger than any list");
  }
}

Result<void> write_whole(FileOps& files, int dir, const std::string& name, const std::string& text) {
  auto file = files.create(dir, name, 0600);
  if (!file) return fail(file.error());
  if (auto written = files.write(file->get(), text); !written) return written;
  if (auto synced = files.sync(file->get()); !synced) return synced;
  return files.close(std::move(*file));
}

// The names of a customer's lists, the oldest first.
Result<std::vector<std::string>> lists_of(FileOps& files, int dir, const std::string& key) {
  auto names = files.list(dir);
  if (!names) return names;
  std::erase_if(*names, [&](const std::string& name) { return !is_name_of(name, key); });
  return names;
}

std::string name_after(const std::vector<std::string>& names, const std::string& key) {
  std::uint64_t number = 0;
  if (!names.empty()) {
    const auto digits = std::string_view(names.back()).substr(key.size() + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  }
  return fmt::format("{}.{:016x}", key, number + 1);
}

// Before the new name is there the old list counts, from then on the new one. What cannot be cleared away is cleared at
// the next time.
Result<void> replace(FileOps& files, const std::string& spool, const std::string& key, const std::string& text) {
  const auto dir = files.open_dir(directory_in(spool));
  if (!dir) return fail(dir.error());
  const auto before = lists_of(files, dir->get(), key);
  if (!before) return fail(before.error());
  const std::string name = name_after(*before, key);
  const std::string temporary = std::string(k_temporary) + name;
  static_cast<void>(files.unlink(dir->get(), temporary));
  auto done = write_whole(files, dir->get(), temporary, text);
  if (done) done = files.rename(dir->get(), temporary, dir->get(), name);
  if (!done) {
    static_cast<void>(files.unlink(dir->get(), temporary));
    return done;
  }
  if (auto synced = files.sync(dir->get()); !synced) {
    // Whether it would be there after a crash nobody knows, and the customer hears that it is not.
    static_cast<void>(files.unlink(dir->get(), name));
    return synced;
  }
  for (const auto& old : *before) static_cast<void>(files.unlink(dir->get(), old));
  return {};
}

// What a crash has left: files under way, and all but the last list of each.
Result<void> clear(FileOps& files, int dir) {
  const auto names = files.list(dir);
  if (!names) return fail(names.error());
  const auto key_in = [](const std::string& name) { return std::string_view(name).substr(0, name.find('.')); };
  for (std::size_t i = 0; i < names->size(); ++i) {
    const auto& name = (*names)[i];
    const bool has_next = i + 1 < names->size() && is_name_of((*names)[i + 1], key_in(name));
    if (!name.starts_with(k_temporary) && !has_next) continue;
    if (has_next) {
      const auto next = read_whole(files, dir, (*names)[i + 1]);
      if (!next || !from_text(*next)) continue;
    }
    static_cast<void>(files.unlink(dir, name));
  }
  return {};
}

}  // namespace

bool RecipientList::has(std::string_view entry) const {
  const std::string wanted = net::sha256(salt + std::string(entry));
  std::size_t begin = 0;
  std::size_t end = count();
  while (begin < end) {
    const std::size_t middle = begin + (end - begin) / 2;
    const int order = digest(middle).compare(wanted);
    if (order == 0) return true;
    if (order < 0)
      begin = middle + 1;
    else
      end = middle;
  }
  return false;
}

std::string RecipientList::fingerprint() const {
  return net::hex(net::sha256(salt + digests));
}

Result<std::shared_ptr<const RecipientList>> read_recipient_list(const std::string& spool, const std::string& customer,
                                                                 FileOps& files) {
  const std::string key = key_of(customer);
  const auto dir = files.open_dir(directory_in(spool));
  if (!dir && dir.error().code == Errc::not_found) return nullptr;
  if (!dir) return fail(dir.error());
  const auto names = lists_of(files, dir->get(), key);
  if (!names) return fail(names.error());
  Error error;
  for (auto name = names->rbegin(); name != names->rend(); ++name) {
    const auto text = read_whole(files, dir->get(), *name);
    if (!text && text.error().code == Errc::not_found) continue;  // another one has just come
    if (!text) return fail(text.error());
    auto list = from_text(*text);
    if (list && list->count() == 0) return nullptr;
    if (list) return std::make_shared<const RecipientList>(std::move(*list));
    error = Error{Errc::malformed, directory_in(spool) + "/" + *name + " is damaged"};
  }
  if (error.text.empty()) return nullptr;
  return fail(std::move(error));
}

Result<std::unique_ptr<RecipientBook>> RecipientBook::in(const std::string& spool, net::Worker& disk, Log& log,
                                                         FileOps& files) {
  if (auto made = files.make_dir(directory_in(spool), 0700); !made) return fail(made.error());
  const auto dir = files.open_dir(directory_in(spool));
  if (!dir) return fail(dir.error());
  if (auto cleared = clear(files, dir->get()); !cleared) return fail(cleared.error());
  return std::unique_ptr<RecipientBook>(new RecipientBook(spool, disk, log, files));
}

std::shared_ptr<const RecipientList> RecipientBook::of(const std::string& customer) {
  const auto known = known_.find(customer);
  if (known != known_.end()) return known->second;
  auto list = read_recipient_list(spool_, customer, files_);
  if (!list) {
    log_.error("the recipients that the customer has told cannot be read, and all are taken",
               {{"customer", customer}, {"why", list.error().text}});
  }
  return known_[customer] = list ? std::move(*list) : nullptr;
}

bool RecipientBook::may_have(const std::string& customer, const smtp::Mailbox& mailbox, std::string_view delimiter) {
  const auto list = of(customer);
  if (list == nullptr || smtp::is_postmaster(mailbox)) return true;
  const auto entries = smtp::entries_for(mailbox, delimiter);
  return std::any_of(entries.begin(), entries.end(), [&](const std::string& one) { return list->has(one); });
}

Task<Result<void>> RecipientBook::put(std::string customer, RecipientList list) {
  Result<void> done;
  const std::function<void()> work = [&] { done = replace(files_, spool_, key_of(customer), to_text(list)); };
  co_await disk_.run(work);
  if (!done) co_return done;
  const bool is_withdrawn = list.count() == 0;
  known_[customer] = is_withdrawn ? nullptr : std::make_shared<const RecipientList>(std::move(list));
  co_return done;
}

}  // namespace odmr::provider
