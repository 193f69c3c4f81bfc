#pragma once

#include <string>
#include <string_view>

namespace odmr {

/// Overwrites the bytes, in a way no optimizer drops, and empties the string. For everything that holds a password or
/// what can be computed back to one: PLAIN's and LOGIN's responses and their base64.
void wipe(std::string& secret);

/// A string that is wiped when it goes, and that nothing prints.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text) : text_(text) {}
  ~Secret() { wipe(text_); }
  // A copy, and then the original wiped: a moved std::string may leave its bytes behind.
  // NOLINTNEXTLINE(performance-move-constructor-init)
  Secret(Secret&& other) noexcept : text_(other.text_) { wipe(other.text_); }
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  bool empty() const { return text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace odmr
