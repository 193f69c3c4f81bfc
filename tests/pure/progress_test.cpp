#include "show/progress.hpp"

#include <catch2/catch.hpp>

#include "base/ascii.hpp"

using namespace odmr;

TEST_CASE("The progress line is one line, at any width and with any name", "[progress]") {
  constexpr std::uint64_t k_mebibyte = 1024 * 1024;
  const auto line = [](const std::string& names, std::size_t width) {
    return show::progress_text(names, 12345, 123 * k_mebibyte, 4 * k_mebibyte, width);
  };
  CHECK(line("isp", 80) == "isp: 12345 messages, 123.0 MiB, 4.0 MiB/s");
  CHECK(line("isp", 42) == "isp: 12345 messages, 123.0 MiB, 4.0 MiB/s");
  CHECK(line("isp", 41) == "isp: 12345 messages, 123.0 MiB");
  CHECK(line("club, isp, sending", 40) == "club, isp, s: 12345 messages, 123.0 MiB");
  CHECK(line("isp", 20) == "12345 messages, 123");
  CHECK(line("isp", 1).empty());
  CHECK(line("isp", 0).empty());
  CHECK(line("a\x1b[2J\n", 80).find_first_of("\x1b\n") == std::string::npos);
  const std::string letters = "\xc3\xbc\xe9\x83\xb5\xf0\x9f\x93\xae";
  for (std::size_t width = 0; width < 60; ++width) {
    const auto text = line(letters + letters + letters, width);
    CAPTURE(width, text);
    CHECK(is_utf8(text));
    CHECK(text.size() <= width * 2);
  }
}
