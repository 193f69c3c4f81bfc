#include "mail/header.hpp"

#include <catch2/catch.hpp>

#include "pieces.hpp"

using namespace odmr;
using namespace odmr::mail;
using namespace std::string_literals;

TEST_CASE("Hops are counted and the header is kept, at every split, and the body is not looked at") {
  struct Row {
    std::string message;
    std::size_t hops;
    bool over;
    std::string header;
  };
  const std::string two = "Received: a\r\n\tb; c\r\nrECEIVED:d\r\nSubject: x\r\n";
  const Row rows[] = {
      {two + "\r\nReceived: no\r\n", 2, true, two},
      {two, 2, false, two},
      {"", 0, false, ""},
      {"\r\nReceived: no\r\n", 0, true, ""},
      {"Received : old\r\nReceived \t: old\r\n\r\n", 2, true, "Received : old\r\nReceived \t: old\r\n"},
      {"X-Received: a\r\nReceived-SPF: b\r\nReceive: c\r\nReceivedx: d\r\nXReceived: e\r\n\r\n", 0, true,
       "X-Received: a\r\nReceived-SPF: b\r\nReceive: c\r\nReceivedx: d\r\nXReceived: e\r\n"},
      {"Subject: x\r\n Received: folded\r\n\tReceived: folded\r\n\r\n", 0, true,
       "Subject: x\r\n Received: folded\r\n\tReceived: folded\r\n"},
      {"Subject: a\r\n \r\nReceived: b\r\n\r\n", 1, true, "Subject: a\r\n \r\nReceived: b\r\n"},
      {"Subject: x\nReceived: a\n\nReceived: no\n", 1, true, "Subject: x\nReceived: a\n"},
      {"Hello there\r\nReceived: no\r\n", 0, true, ""},
      {"Subject: x\r\nHello there: this is text\r\nReceived: no\r\n", 0, true, "Subject: x\r\n"},
      {" leading\r\nReceived: no\r\n", 0, true, ""},
      {": nameless\r\nReceived: no\r\n", 0, true, ""},
      {"Received\r\nReceived: no\r\n", 0, true, ""},
      {"Received: a\r\n\rReceived: no\r\n", 1, true, "Received: a\r\n"},
      {"Sübject: x\r\nReceived: no\r\n", 0, true, ""},
      {"Sub\0ject: x\r\nReceived: no\r\n"s, 0, true, ""},
      {"Subject: a:b\0c\xff\r\nReceived: a\r\n\r\n"s, 1, true, "Subject: a:b\0c\xff\r\nReceived: a\r\n"s},
      {"Received:", 1, false, "Received:"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.message);
    test::at_every_split(row.message, [&](std::string_view first, std::string_view second) {
      HeaderWatch watch;
      watch.see(first);
      watch.see(second);
      CHECK(watch.hops() == row.hops);
      CHECK(watch.is_over() == row.over);
      CHECK(watch.header() == row.header);
    });
    HeaderWatch byte_by_byte;
    for (const char& c : row.message) byte_by_byte.see({&c, 1});
    CHECK(byte_by_byte.hops() == row.hops);
    CHECK(byte_by_byte.header() == row.header);
  }
}

TEST_CASE("The header is kept up to the limit, and hops are counted beyond it") {
  std::string message;
  for (int i = 0; i < 101; ++i) message += "Received: by mx" + std::to_string(i) + ".example\r\n";
  for (const std::size_t keep : {0U, 1U, 30U, 1000U}) {
    HeaderWatch watch(keep);
    watch.see(message + "\r\nbody");
    CHECK(watch.hops() == 101);
    CHECK(watch.header() == message.substr(0, keep));
    CHECK(watch.is_over());
  }
}

TEST_CASE("A header of one endless line, or of endless names, takes no memory") {
  HeaderWatch line(100);
  HeaderWatch name(100);
  line.see("X: ");
  const std::string piece(1'000'000, 'x');
  for (int i = 0; i < 10; ++i) {
    line.see(piece);
    name.see(piece.substr(0, 100'000));
  }
  CHECK(line.header().size() == 100);
  CHECK(name.header().size() == 100);
  line.see("\r\nReceived: a\r\n");
  CHECK(line.hops() == 1);
}
