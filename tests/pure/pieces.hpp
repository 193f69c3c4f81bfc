#pragma once

#include <string_view>

namespace odmr::test {

/// Calls `try_it(first, second)` for each way of cutting `bytes` in two, the empty pieces included.
template <class TryIt>
void at_every_split(std::string_view bytes, TryIt try_it) {
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) try_it(bytes.substr(0, cut), bytes.substr(cut));
}

}  // namespace odmr::test
