#include "submit/limits.hpp"

#include <string>

namespace odmr::submit {

using smtp::Reply;

std::optional<Reply> LimitWatch::see(std::string_view piece) {
  size_ += piece.size();
  if (!header_.is_over()) header_.see(piece);
  if (limits_.max_size != 0 && size_ > limits_.max_size) {
    return Reply(552, "5.3.4 at most " + std::to_string(limits_.max_size) + " octets are taken here");
  }
  if (header_.hops() > limits_.max_hops) {
    return Reply(554, "5.4.6 too many hops: this message goes round in a loop");
  }
  return std::nullopt;
}

}  // namespace odmr::submit
