// Digests that a thread works on: a real one.

#include <catch2/catch.hpp>
#include <optional>
#include <random>
#include <string>

#include "net/digest_thread.hpp"

namespace odmr::net {

namespace {

constexpr std::size_t k_large = std::size_t{64} * 1024;

std::string random_piece(std::mt19937& random) {
  const std::size_t size = random() % 3 == 0 ? random() % 100 : k_large - 2 + random() % k_large;
  return std::string(size, static_cast<char>('a' + random() % 26));
}

}  // namespace

TEST_CASE("digest thread: pieces of any size come to the digest of the whole, one message after the other",
          "[digest]") {
  DigestThread thread;
  std::mt19937 random(20261122);
  for (int message = 0; message < 100; ++message) {
    LongSha256 digest(thread);
    std::string whole;
    for (unsigned pieces = random() % 20; pieces > 0; --pieces) {
      std::string piece = random_piece(random);
      whole += piece;
      digest.update(piece);
      piece.assign(piece.size(), '!');  // it is the caller's again
    }
    REQUIRE(digest.finish() == sha256(whole));
  }
}

TEST_CASE("digest thread: a message that is given up leaves nothing behind for the next one", "[digest]") {
  DigestThread thread;
  const std::string piece(k_large * 4, 'x');
  for (int i = 0; i < 200; ++i) {
    std::optional<LongSha256> given_up(std::in_place, thread);
    given_up->update(piece);
    given_up.reset();
    LongSha256 digest(thread);
    digest.update(piece);
    REQUIRE(digest.finish() == sha256(piece));
  }
}

TEST_CASE("digest thread: it may go with work in hand, or without any", "[digest]") {
  for (int i = 0; i < 50; ++i) {
    DigestThread thread;
    LongSha256 digest(thread);
    if (i % 2 == 0) digest.update(std::string(k_large, 'x'));
  }
}

}  // namespace odmr::net
