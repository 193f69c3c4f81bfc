#include "app/tls_tickets.hpp"

#include <utility>

#include "net/digest.hpp"

namespace odmr::app {

namespace {

constexpr std::size_t k_largest = std::size_t{128} * 1024;

// All of it; empty where it cannot be read.
std::string contents(const Descriptor& file, FileOps& files) {
  std::string all(k_largest, '\0');
  std::size_t size = 0;
  while (size < all.size()) {
    const auto count = files.read(file.get(), all.data() + size, all.size() - size);
    if (!count) return {};
    if (*count == 0) break;
    size += *count;
  }
  all.resize(size);
  return all;
}

}  // namespace

std::string tickets_in(const std::string& state_dir) {
  return state_dir + "/tickets";
}

// The name of a provider may be anything.
FileTickets::FileTickets(std::string directory, const std::string& server, FileOps& files)
    : directory_(std::move(directory)), name_(net::hex(net::sha256(server)).substr(0, 16)), files_(files) {}

std::string FileTickets::take() {
  const auto directory = files_.open_dir(directory_);
  if (!directory) return {};
  const auto file = files_.open(directory->get(), name_);
  if (!file) return {};
  // Who cannot take it away must not use it again and again.
  if (!files_.unlink(directory->get(), name_)) return {};
  return contents(*file, files_);
}

void FileTickets::keep(std::string_view ticket) {
  if (!files_.make_dir(directory_, 0700)) return;
  const auto directory = files_.open_dir(directory_);
  if (!directory) return;
  static_cast<void>(files_.unlink(directory->get(), name_));
  const auto file = files_.create(directory->get(), name_, 0600);
  if (!file) return;
  if (!files_.write(file->get(), ticket)) static_cast<void>(files_.unlink(directory->get(), name_));
}

}  // namespace odmr::app
