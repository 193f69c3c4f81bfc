#include "provider/salting_key.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "base/random.hpp"

namespace odmr::provider {

namespace {

constexpr const char* k_name = "salting-key";
constexpr std::size_t k_size = 64;  // 256 bits in hexadecimal digits

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

// Empty where there is none, or what a power cut has left of one.
Result<std::string> read_key(FileOps& files, int dir) {
  const auto file = files.open(dir, k_name);
  if (!file && file.error().code == Errc::not_found) return std::string();
  if (!file) return fail(file.error());
  std::array<char, k_size> bytes{};
  const auto count = files.read(file->get(), bytes.data(), bytes.size());
  if (!count) return fail(count.error());
  const bool is_whole = *count == k_size && std::all_of(bytes.begin(), bytes.end(), is_hex);
  return is_whole ? std::string(bytes.data(), bytes.size()) : std::string();
}

Result<void> write_key(FileOps& files, int dir, const std::string& key) {
  if (auto gone = files.unlink(dir, k_name); !gone && gone.error().code != Errc::not_found) return gone;
  auto file = files.create(dir, k_name, 0600);
  if (!file) return fail(file.error());
  if (auto written = files.write(file->get(), key); !written) return written;
  if (auto synced = files.sync(file->get()); !synced) return synced;
  if (auto closed = files.close(std::move(*file)); !closed) return closed;
  return files.sync(dir);
}

}  // namespace

Result<Secret> salting_key_in(const std::string& directory, FileOps& files) {
  const auto dir = files.open_dir(directory);
  if (!dir) return fail(dir.error());
  auto key = read_key(files, dir->get());
  if (!key) return fail(key.error());
  if (key->empty()) {
    for (std::size_t i = 0; i < k_size / 16; ++i) *key += fmt::format("{:016x}", random_bits());
    if (auto written = write_key(files, dir->get(), *key); !written) return fail(written.error());
  }
  Secret secret(*key);
  wipe(*key);
  return secret;
}

}  // namespace odmr::provider
