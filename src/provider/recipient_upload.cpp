#include "provider/recipient_upload.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "net/digest.hpp"
#include "provider/recipient_book.hpp"

namespace odmr::provider {

namespace {

using net::Task;
using smtp::Reply;

constexpr std::size_t k_longest_line = 512;
// Beyond what was announced, before nobody believes any more that there is an end.
constexpr std::size_t k_most_too_many = 1000;

// What is wrong with a line, whose octets are added where nothing is.
std::optional<Reply> add(const server::Line& line, std::size_t count, std::string& octets) {
  if (line.fault != server::Line::Fault::none) return Reply(501, "5.5.2 the list has a line that is none");
  const auto digest = net::from_hex(line.text);
  if (!digest || digest->size() != RecipientList::k_octets)
    return Reply(501, "5.5.4 each line has 64 hexadecimal digits, in small letters");
  if (octets.size() >= count * RecipientList::k_octets) return Reply(501, "5.5.4 more lines came than were announced");
  const auto last = std::string_view(octets).substr(octets.size() - std::min(octets.size(), RecipientList::k_octets));
  if (*digest <= last) return Reply(501, "5.5.4 the lines have to come in ascending order, each once");
  octets += *digest;
  return std::nullopt;
}

}  // namespace

Task<Result<tl::expected<std::string, Reply>>> read_upload(server::Channel& channel, std::size_t count,
                                                           TimePoint deadline) {
  using Outcome = tl::expected<std::string, Reply>;
  std::string octets;
  std::optional<Reply> objection;
  for (std::size_t lines = 0; lines <= count + k_most_too_many; ++lines) {
    const auto line = co_await channel.read_line(k_longest_line, deadline);
    if (!line) co_return fail(line.error());
    if (line->text == ".") {
      if (!objection && octets.size() != count * RecipientList::k_octets)
        objection = Reply(501, "5.5.4 fewer lines came than were announced");
      if (objection) co_return Outcome(tl::unexpected<Reply>(std::move(*objection)));
      co_return Outcome(std::move(octets));
    }
    if (!objection) objection = add(*line, count, octets);
  }
  co_return fail(Errc::too_long, "the list of recipients has no end");
}

}  // namespace odmr::provider
