#include "smtp/reply.hpp"

#include <catch2/catch.hpp>

#include "pieces.hpp"

using namespace odmr;
using namespace odmr::smtp;
using namespace std::string_literals;

namespace {

Result<ReplyParser::Progress> parse(std::string_view bytes, ReplyLimits limits = {}) {
  return ReplyParser(limits).feed(bytes);
}

// Two pieces; the second is given only as far as the first left the reply unfinished.
Result<ReplyParser::Progress> parse(std::string_view first, std::string_view second) {
  ReplyParser parser;
  auto progress = parser.feed(first);
  if (!progress || progress->reply) return progress;
  auto rest = parser.feed(second);
  if (rest) rest->consumed += progress->consumed;
  return rest;
}

}  // namespace

TEST_CASE("A reply is read whole, at every split, and nothing behind it is touched") {
  struct Row {
    std::string bytes;
    Reply reply;
  };
  const Row rows[] = {
      {"220 mail.example.org ESMTP\r\n", {220, "mail.example.org ESMTP"}},
      {"250\r\n", {250, ""}},
      {"250 \r\n", {250, ""}},
      {"250 ok\n", {250, "ok"}},
      {"354 go\r\n", {354, "go"}},
      {"599 odd\r\n", {599, "odd"}},
      {"250-a\r\n250-\r\n250 b\r\n", {250, std::vector<std::string>{"a", "", "b"}}},
      {"250-a\n250\r\n", {250, std::vector<std::string>{"a", ""}}},
      {"250  two spaces \r\n", {250, " two spaces "}},
      {"250 a\rb\0c\r\n"s, {250, "a\rb\0c"s}},
  };
  for (const Row& row : rows) {
    for (const std::string& behind : {""s, "220 next\r\n"s, "\r\n"s}) {
      const std::string bytes = row.bytes + behind;
      test::at_every_split(bytes, [&](std::string_view first, std::string_view second) {
        const auto progress = parse(first, second);
        REQUIRE(progress);
        REQUIRE(progress->reply);
        CHECK(*progress->reply == row.reply);
        CHECK(progress->consumed == row.bytes.size());
      });
    }
  }
}

TEST_CASE("What is no reply is an error at every split, never a guess") {
  for (const std::string& bytes : {"\r\n"s,
                                   "\n"s,
                                   "2\r\n"s,
                                   "25\r\n"s,
                                   "250x\r\n"s,
                                   "250\tok\r\n"s,
                                   "-25\r\n"s,
                                   "2500\r\n"s,
                                   "25 \r\n"s,
                                   " 250 ok\r\n"s,
                                   "099 a\r\n"s,
                                   "100 a\r\n"s,
                                   "199 a\r\n"s,
                                   "600 a\r\n"s,
                                   "999\r\n"s,
                                   "2x0 a\r\n"s,
                                   "250-a\r\n550 b\r\n"s,
                                   "250-a\r\n251-b\r\n250 c\r\n"s,
                                   "250-a\r\nb\r\n"s,
                                   "250-a\r\n\r\n"s,
                                   "HTTP/1.1 400 Bad Request\r\n"s,
                                   "\x15\x03\x01\0\x02\n"s,
                                   "\0\0\0\n"s,
                                   "\xff\xfe\n"s}) {
    CAPTURE(bytes);
    test::at_every_split(bytes, [&](std::string_view first, std::string_view second) {
      const auto progress = parse(first, second);
      REQUIRE_FALSE(progress);
      CHECK(progress.error().code == Errc::malformed);
    });
  }
}

TEST_CASE("A reply that is not finished is waited for, and the parser says so") {
  ReplyParser parser;
  CHECK_FALSE(parser.is_inside());
  for (const char* piece : {"2", "50-first", "\r", "\n", "250 las"}) {
    const auto progress = parser.feed(piece);
    REQUIRE(progress);
    CHECK_FALSE(progress->reply);
    CHECK(progress->consumed == std::string_view(piece).size());
    CHECK(parser.is_inside());
  }
  const auto progress = parser.feed("t\r\n");
  REQUIRE(progress);
  REQUIRE(progress->reply);
  CHECK(progress->reply->lines == std::vector<std::string>{"first", "last"});
  CHECK_FALSE(parser.is_inside());
}

TEST_CASE("One parser reads reply after reply, and each has its own room") {
  const ReplyLimits limits{20, 2, 24};
  ReplyParser parser(limits);
  std::string stream;
  for (int i = 0; i < 100; ++i) stream += "250-one\r\n250 two\r\n";
  std::string_view rest = stream;
  int replies = 0;
  while (!rest.empty()) {
    const auto progress = parser.feed(rest);
    REQUIRE(progress);
    REQUIRE(progress->reply);
    rest.remove_prefix(progress->consumed);
    ++replies;
  }
  CHECK(replies == 100);
}

TEST_CASE("Limits hold to the byte: the line, the number of lines, the whole") {
  const ReplyLimits limits{12, 3, 30};
  CHECK(parse("250 123456\r\n", limits));
  const auto long_line = parse("250 1234567\r\n", limits);
  REQUIRE_FALSE(long_line);
  CHECK(long_line.error().code == Errc::too_long);
  CHECK(parse("250-a\r\n250-b\r\n250 c\r\n", limits));
  CHECK_FALSE(parse("250-a\r\n250-b\r\n250-c\r\n250 d\r\n", limits));
  CHECK(parse("250-1234\r\n250-1234\r\n250 1234\r\n", limits));
  CHECK_FALSE(parse("250-1234\r\n250-1234\r\n250 12345\r\n", limits));
}

TEST_CASE("A line without end is given up at the limit, not when memory is") {
  ReplyParser parser;
  std::size_t fed = 0;
  const std::string piece(100, 'x');
  while (parser.feed(piece)) fed += piece.size();
  CHECK(fed <= ReplyLimits().line);
  CHECK_FALSE(parse(std::string(100'000, '2')));

  ReplyParser patient;
  std::size_t lines = 0;
  while (lines < 1'000'000 && patient.feed("250-x\r\n")) ++lines;
  CHECK(lines == ReplyLimits().lines);
}

TEST_CASE("A reply is written as one line per text, the last with a space") {
  CHECK(format(Reply(250, "2.0.0 ok")) == "250 2.0.0 ok\r\n");
  CHECK(format(Reply(250, "")) == "250 \r\n");
  CHECK(format(Reply(221, std::vector<std::string>{})) == "221 \r\n");
  CHECK(format(Reply(250, std::vector<std::string>{"mx", "SIZE 10", "PIPELINING"})) ==
        "250-mx\r\n250-SIZE 10\r\n250 PIPELINING\r\n");
}

TEST_CASE("Whatever a text was taken from, its reply stays the lines it was meant to be") {
  CHECK(format(Reply(550, "no\r\n250 yes")) == "550 no??250 yes\r\n");
  CHECK(format(Reply(550, "a\0b\tc\x7f\x1b[2J"s)) == "550 a?b?c??[2J\r\n");
  const std::string cut = format(Reply(550, std::string(2000, 'x')));
  CHECK(cut.size() == 512);
  CHECK(cut.substr(509) == "x\r\n");
  CHECK(format(Reply(550, std::string(506, 'x'))).size() == 512);
  // 505 letters and a two-byte one: it would be cut in half.
  CHECK(format(Reply(550, std::string(505, 'x') + "üü")) == "550 " + std::string(505, 'x') + "\r\n");
  CHECK(format(Reply(550, std::string(600, '\x80'))).size() <= 512);
}

TEST_CASE("What is written is read back as it was") {
  const Reply reply(451, std::vector<std::string>{"4.3.0 one", "", "4.3.0 three"});
  const auto progress = parse(format(reply));
  REQUIRE(progress);
  CHECK(progress->reply == reply);
}

TEST_CASE("An enhanced code counts where it stands in front and agrees with the reply's class") {
  CHECK(Reply(250, "2.1.5 ok").enhanced() == EnhancedCode{2, 1, 5});
  CHECK(Reply(550, "5.7.1").enhanced() == EnhancedCode{5, 7, 1});
  CHECK(Reply(451, "4.999.123 x").enhanced() == EnhancedCode{4, 999, 123});
  CHECK(Reply(550, std::vector<std::string>{"5.1.1 a", "4.0.0 b"}).enhanced() == EnhancedCode{5, 1, 1});
  for (const Reply& reply : {Reply(250, "4.1.5 no"), Reply(354, "3.0.0 no"), Reply(250, "2.1 no"), Reply(250, "2.1.5x"),
                             Reply(250, "2.1.5.6"), Reply(250, "2..5 x"), Reply(250, "2.1.1234 x"), Reply(250, ""),
                             Reply(250, "ok 2.1.5"), Reply(250, "2."), Reply(250, std::vector<std::string>{})}) {
    CAPTURE(reply.joined());
    CHECK_FALSE(reply.enhanced());
  }
}

TEST_CASE("A reply's classes are told by its first digit, and it is joined into one line for the log") {
  CHECK(Reply(250, "x").is_positive());
  CHECK(Reply(354, "x").is_intermediate());
  CHECK(Reply(450, "x").is_transient());
  CHECK(Reply(550, "x").is_permanent());
  CHECK_FALSE(Reply().is_positive());
  CHECK(Reply(250, std::vector<std::string>{"a", "", "b c"}).joined() == "250 a b c");
  CHECK(Reply(250, "").joined() == "250");
}
