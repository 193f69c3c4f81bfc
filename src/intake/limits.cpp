#include "intake/limits.hpp"

#include <string>

namespace odmr::intake {

using smtp::Reply;

std::optional<Reply> LimitWatch::see(std::string_view piece) {
  const bool is_too_large = limits_.max_size != 0 && piece.size() > limits_.max_size - size_;
  // The limit that comes first in the message is the one that is told, however its bytes come.
  if (is_too_large) piece = piece.substr(0, limits_.max_size - size_);
  size_ += piece.size();
  if (!header_.is_over()) header_.see(piece);
  if (header_.hops() > limits_.max_hops) {
    return Reply(554, "5.4.6 too many hops: this message goes round in a loop");
  }
  if (is_too_large) {
    return Reply(552, "5.3.4 at most " + std::to_string(limits_.max_size) + " octets are taken here");
  }
  return std::nullopt;
}

}  // namespace odmr::intake
