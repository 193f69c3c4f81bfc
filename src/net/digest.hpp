#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace odmr::net {

/// SHA-256, in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  /// The 32 octets; nothing may follow.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(std::string_view bytes);
/// For APOP (RFC 1939 7), and for nothing that could have something better.
std::string md5(std::string_view bytes);
/// 32 octets from which nobody finds `secret` by trying out what it might be, except slowly: some tens of milliseconds
/// of work a guess (PBKDF2, RFC 8018 5.2). A salt of one's own keeps guesses from being tried on several at once.
std::string stretched(std::string_view secret, std::string_view salt);
/// Lower-case hex digits.
std::string hex(std::string_view octets);
/// The octets of such digits; no value for anything else.
std::optional<std::string> from_hex(std::string_view digits);
/// `count` octets from the system's random source.
std::string random_octets(std::size_t count);

}  // namespace odmr::net
