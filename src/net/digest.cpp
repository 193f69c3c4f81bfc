#include "net/digest.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <new>
#include <stdexcept>

namespace odmr::net {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();

  State() {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

std::string Sha256::finish() {
  std::string octets(32, '\0');
  EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(octets.data()), nullptr);
  return octets;
}

std::string sha256(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.finish();
}

std::string md5(std::string_view bytes) {
  std::string octets(16, '\0');
  unsigned length = 0;
  auto* into = reinterpret_cast<unsigned char*>(octets.data());
  if (EVP_Digest(bytes.data(), bytes.size(), into, &length, EVP_md5(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL does not give MD5");
  }
  return octets;
}

std::string stretched(std::string_view secret, std::string_view salt) {
  constexpr int k_rounds = 100'000;
  std::string octets(32, '\0');
  const auto* salt_octets = reinterpret_cast<const unsigned char*>(salt.data());
  auto* into = reinterpret_cast<unsigned char*>(octets.data());
  if (PKCS5_PBKDF2_HMAC(secret.data(), static_cast<int>(secret.size()), salt_octets, static_cast<int>(salt.size()),
                        k_rounds, EVP_sha256(), static_cast<int>(octets.size()), into) != 1) {
    throw std::bad_alloc();
  }
  return octets;
}

std::string hex(std::string_view octets) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(octets.size() * 2);
  for (const char c : octets) {
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 0xfU];
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view digits) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string octets;
  octets.reserve(digits.size() / 2);
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const auto high = k_digits.find(digits[i]);
    const auto low = k_digits.find(digits[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    octets += static_cast<char>(high * 16 + low);
  }
  return octets;
}

std::string random_octets(std::size_t count) {
  std::string octets(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(octets.data()), static_cast<int>(count)) != 1) {
    throw std::runtime_error("the system's random source does not answer");
  }
  return octets;
}

}  // namespace odmr::net
