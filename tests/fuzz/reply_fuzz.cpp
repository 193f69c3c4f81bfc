// Replies: whatever the bytes, and however they are cut, the same replies come out.

#include <vector>

#include "input.hpp"
#include "smtp/capabilities.hpp"
#include "smtp/reply.hpp"

namespace {

struct Heard {
  std::vector<odmr::smtp::Reply> replies;
  bool failed = false;
  friend bool operator==(const Heard&, const Heard&) = default;
};

Heard listen(std::string_view bytes, std::size_t piece) {
  Heard heard;
  odmr::smtp::ReplyParser parser;
  while (!bytes.empty()) {
    const auto offered = bytes.substr(0, piece);
    const auto progress = parser.feed(offered);
    if (!progress) {
      heard.failed = true;
      return heard;
    }
    bytes.remove_prefix(progress->consumed);
    if (!progress->reply) continue;
    heard.replies.push_back(*progress->reply);
    parser = odmr::smtp::ReplyParser();
  }
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = odmr::fuzz::text(data, size);
  const Heard whole = listen(bytes, bytes.size() + 1);
  for (const std::size_t piece : {1U, 3U, 7U}) {
    odmr::fuzz::require(listen(bytes, piece) == whole, "replies do not depend on segments");
  }
  for (const auto& reply : whole.replies) {
    (void)odmr::smtp::Capabilities::from(reply).mechanisms();
    (void)reply.enhanced();
    const auto again = listen(odmr::smtp::format(reply), 4096);
    odmr::fuzz::require(again.replies.size() == 1 && again.replies[0].code == reply.code, "a reply can be sent on");
  }
  return 0;
}
