#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/reply.hpp"

namespace odmr::smtp {

/// What an EHLO or LHLO reply announces (RFC 5321 4.1.1.1).
class Capabilities {
 public:
  Capabilities() = default;
  /// The first line greets and is passed over. Keywords are upper-cased; of a keyword given twice the parameters are
  /// joined (an "AUTH=…" line of old servers counts as "AUTH …").
  static Capabilities from(const Reply& ehlo);

  bool has(std::string_view keyword) const;
  /// The parameters as written, empty without.
  std::string_view parameters(std::string_view keyword) const;
  /// SIZE's number; no value where SIZE is not offered, 0 where it is without a number (no fixed limit).
  std::optional<std::uint64_t> size() const;
  /// AUTH's mechanisms in upper case, in their order.
  std::vector<std::string> mechanisms() const;

 private:
  std::map<std::string, std::string, std::less<>> keywords_;
};

}  // namespace odmr::smtp
