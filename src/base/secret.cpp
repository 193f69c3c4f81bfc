#include "base/secret.hpp"

#include <cstring>

namespace odmr {

void wipe(std::string& secret) {
  // All of the buffer, not only what is in use: a shortened string keeps its tail.
  secret.resize(secret.capacity());
  explicit_bzero(secret.data(), secret.size());
  secret.clear();
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(text_);
    text_ = other.text_;
    wipe(other.text_);
  }
  return *this;
}

}  // namespace odmr
