#include "base/error.hpp"

#include <catch2/catch.hpp>
#include <cerrno>

using namespace odmr;

TEST_CASE("A system error keeps its place and is told by what the caller can do about it") {
  struct Row {
    int number;
    Errc code;
  };
  const Row rows[] = {
      {ENOSPC, Errc::no_space},     {EDQUOT, Errc::no_space}, {EACCES, Errc::denied}, {EROFS, Errc::denied},
      {ENOENT, Errc::not_found},    {ECONNRESET, Errc::lost}, {EPIPE, Errc::lost},    {ECONNREFUSED, Errc::unreachable},
      {ETIMEDOUT, Errc::timed_out}, {EEXIST, Errc::busy},     {EIO, Errc::io},
  };
  for (const Row& row : rows) {
    const Error error = system_error(row.number, "spool/new");
    CHECK(error.code == row.code);
    CHECK(error.text.rfind("spool/new: ", 0) == 0);
  }
}
