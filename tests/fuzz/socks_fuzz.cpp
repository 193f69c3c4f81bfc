// A SOCKS5 proxy's words: whatever the bytes, and however they are cut, they mean the same; and nothing behind them is
// touched. The first octet of the input says which of the three messages it is.

#include "input.hpp"
#include "net/socks.hpp"

namespace {

using namespace odmr;

template <class Value>
void check(net::socks::Parsed<Value> (*parse)(std::string_view), std::string_view bytes, bool takes_all) {
  const auto whole = parse(bytes);
  if (whole && *whole) fuzz::require((*whole)->size <= bytes.size(), "no more is taken than came");
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto part = parse(bytes.substr(0, size));
    if (!part) {
      fuzz::require(!whole, "what is wrong at its beginning stays wrong");
      return;
    }
    if (!*part) continue;
    fuzz::require(whole && *whole && (*whole)->value == (*part)->value, "more bytes do not change what was said");
    // A refusal takes all there is: the connection is over.
    fuzz::require(takes_all || (*whole)->size == (*part)->size, "more bytes do not change where it ends");
    return;
  }
  fuzz::require(!whole || !*whole, "what is whole is whole at some size");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::text(data, size);
  if (input.empty()) return 0;
  const auto bytes = input.substr(1);
  switch (data[0] % 4) {
    case 0:
      check(net::socks::parse_choice, bytes, false);
      break;
    case 1:
      check(net::socks::parse_login_reply, bytes, false);
      break;
    case 2: {
      const bool is_refusal = bytes.size() > 1 && bytes[1] != 0;
      check(net::socks::parse_connect_reply, bytes, is_refusal);
      if (is_refusal) fuzz::require(!net::socks::in_words(data[2]).empty(), "a refusal has words");
      break;
    }
    default: {
      const std::string host(bytes);
      const auto request = net::socks::connect_request(host, 366);
      if (request) fuzz::require(request->size() <= 4 + 1 + 255 + 2, "a request has an end");
      const auto login = net::socks::login(bytes, bytes);
      if (login) fuzz::require(login->size() == 3 + 2 * bytes.size(), "a login is counted by one octet each");
    }
  }
  return 0;
}
