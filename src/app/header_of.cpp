#include "app/header_of.hpp"

#include "mail/header.hpp"

namespace odmr::app {

namespace {

constexpr std::size_t k_piece = 4096;
constexpr std::size_t k_most = std::size_t{64} * 1024;

}  // namespace

Result<std::string> header_of(spool::MessageReader& message, Damaged damaged) {
  mail::HeaderWatch watch(k_most);
  std::string piece(k_piece, '\0');
  while (!watch.is_over() && watch.header().size() < k_most) {
    const auto count = message.read(piece.data(), piece.size());
    const bool is_end = !count && count.error().code == Errc::malformed && damaged == Damaged::gives_what_there_is;
    if (!count && !is_end) return fail(count.error());
    if (is_end || *count == 0) break;
    watch.see(std::string_view(piece).substr(0, *count));
  }
  message.rewind();
  return watch.header().substr(0, watch.header().rfind('\n') + 1);
}

}  // namespace odmr::app
