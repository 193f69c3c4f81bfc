#include "show/print.hpp"

namespace odmr::show {

void print_line(std::FILE* to, const std::string& line) {
  const std::string whole = line + '\n';
  (void)std::fwrite(whole.data(), 1, whole.size(), to);
  (void)std::fflush(to);
}

}  // namespace odmr::show
