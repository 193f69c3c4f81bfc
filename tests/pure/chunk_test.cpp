#include "smtp/chunk.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace odmr::smtp;

namespace {

struct Seen {
  std::string missing;
  bool stray = false;
  friend bool operator==(const Seen&, const Seen&) = default;
};

Seen reference(std::string_view content) {
  Seen seen;
  for (std::size_t i = 0; i < content.size(); ++i) {
    if (content[i] == '\r' && content.substr(i, 2) != "\r\n") seen.stray = true;
    if (content[i] == '\n' && (i == 0 || content[i - 1] != '\r')) seen.stray = true;
  }
  if (!content.empty() && !content.ends_with("\r\n")) seen.missing = "\r\n";
  return seen;
}

template <class... Pieces>
Seen watch(Pieces... pieces) {
  ChunkWatch watch;
  (watch.see(pieces), ...);
  const std::string missing(watch.finish());
  return {missing, watch.has_stray_newline()};
}

}  // namespace

TEST_CASE("chunks: every content of six octets, in every three pieces") {
  constexpr std::string_view letters = "a\r\n.";
  std::size_t tried = 0;
  std::size_t wrong = 0;
  for (std::size_t length = 0; length <= 6; ++length) {
    std::size_t contents = 1;
    for (std::size_t i = 0; i < length; ++i) contents *= letters.size();
    for (std::size_t number = 0; number < contents; ++number) {
      std::string content;
      for (std::size_t i = 0, rest = number; i < length; ++i, rest /= letters.size())
        content += letters[rest % letters.size()];
      Seen due = reference(content);
      for (std::size_t a = 0; a <= length; ++a) {
        for (std::size_t b = a; b <= length; ++b) {
          const std::string_view all = content;
          Seen seen = watch(all.substr(0, a), all.substr(a, b - a), all.substr(b));
          // Nothing is asked of a content that is refused anyway.
          if (due.stray) seen.missing = due.missing;
          ++tried;
          if (seen != due) ++wrong;
        }
      }
    }
  }
  CHECK(tried == 140'781);
  CHECK(wrong == 0);
}
