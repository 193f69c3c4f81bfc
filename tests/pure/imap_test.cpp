#include <catch2/catch.hpp>

#include "imap/command.hpp"
#include "imap/fetch.hpp"
#include "imap/response.hpp"

using namespace odmr;
using imap::FetchItems;
using imap::Response;

TEST_CASE("an IMAP response", "[imap]") {
  const auto tagged = imap::parse_response("a7 NO [UNAVAILABLE] not now");
  REQUIRE(tagged);
  CHECK(tagged->kind == Response::Kind::tagged);
  CHECK(tagged->tag == "a7");
  CHECK(tagged->verdict == Response::Verdict::no);
  CHECK(imap::is_temporary(tagged->code));
  const auto validity = imap::parse_response("* OK [UIDVALIDITY 3857529045] UIDs valid");
  REQUIRE(validity);
  CHECK(imap::number_in_code(validity->code, "uidvalidity") == 3857529045U);
  CHECK_FALSE(imap::number_in_code(validity->code, "UIDNEXT"));
  CHECK_FALSE(imap::number_in_code("UIDVALIDITY 4294967296", "UIDVALIDITY"));
  CHECK(imap::parse_response("* 23 EXISTS")->number == 23);
  CHECK(imap::parse_response("* 23 EXPUNGE")->kind == Response::Kind::other);
  CHECK(imap::parse_response("* 12 FETCH (UID 3)")->text == "(UID 3)");
  CHECK(imap::parse_response("* BYE")->verdict == Response::Verdict::bye);
  CHECK(imap::parse_response("+ go on")->kind == Response::Kind::continuation);
  CHECK(imap::parse_response("* LIST () \"/\" INBOX")->kind == Response::Kind::other);
  for (const char* line : {"", "+OK pop", "220 smtp", "a1", "a1 BYE", "a1 PREAUTH x", "a\x80 OK", " OK"})
    CHECK_FALSE(imap::parse_response(line));
}

TEST_CASE("what an IMAP server can", "[imap]") {
  const auto can = imap::Capabilities::from("IMAP4rev1 SASL-IR auth=PLAIN AUTH=SCRAM-SHA-256 UIDPLUS");
  CHECK(can.has("UIDPLUS"));
  CHECK(can.mechanisms() == std::vector<std::string>{"PLAIN", "SCRAM-SHA-256"});
  CHECK(imap::Capabilities::from(std::string(100000, ' ')).is_empty());
}

TEST_CASE("SEARCH is read in any pieces", "[imap]") {
  const std::string line = "* SEARCH 2 84 882 (MODSEQ 917162500)\r\nrest";
  for (std::size_t cut = 0; cut <= line.size(); ++cut) {
    imap::SearchReader reader;
    std::vector<std::uint32_t> numbers;
    std::size_t consumed = 0;
    bool ended = false;
    for (const auto& piece : {line.substr(0, cut), line.substr(cut)}) {
      if (ended) break;
      const auto progress = reader.read(piece, numbers);
      REQUIRE(progress);
      consumed += progress->consumed;
      ended = progress->ended;
    }
    CHECK(ended);
    CHECK(consumed == line.size() - 4);
    CHECK(numbers == std::vector<std::uint32_t>{2, 84, 882});
  }
  CHECK(imap::SearchReader::is_search("* SEARCH\r\n") == true);
  CHECK(imap::SearchReader::is_search("* SEARCHES") == false);
  CHECK(imap::SearchReader::is_search("a1 OK") == false);
  CHECK_FALSE(imap::SearchReader::is_search("* SEA"));
  for (const char* bad : {"* SEARCH x\r\n", "* SEARCH 4294967296\r\n", "* SEARCH 1,2\r\n", "* SEARCH -1\r\n"}) {
    imap::SearchReader reader;
    std::vector<std::uint32_t> numbers;
    CHECK_FALSE(reader.read(bad, numbers));
  }
}

TEST_CASE("the items of a FETCH response, in every order", "[imap]") {
  FetchItems sizes;
  CHECK(sizes.read("(UID 17 FLAGS (\\Seen $Junk) RFC822.SIZE 1234)") == FetchItems::Next::end);
  CHECK(sizes.uid() == 17U);
  CHECK(sizes.size() == 1234U);
  CHECK_FALSE(sizes.has_body());

  FetchItems first;
  CHECK(first.read("(UID 17 BODY[] {342}") == FetchItems::Next::body);
  CHECK(first.literal() == 342);
  CHECK(first.read(" FLAGS (\\Seen))") == FetchItems::Next::end);

  FetchItems last;
  CHECK(last.read("(BODY[] {5}") == FetchItems::Next::body);
  CHECK_FALSE(last.uid());
  CHECK(last.read(" UID 9)") == FetchItems::Next::end);
  CHECK(last.uid() == 9U);

  FetchItems other;
  CHECK(other.read("(ENVELOPE (\"date\" {7}") == FetchItems::Next::literal);
  CHECK(other.read(" NIL ((NIL NIL \"a\" \"b\"))) BODY[HEADER.FIELDS (TO CC)] \"x\" UID 4)") == FetchItems::Next::end);
  CHECK(other.uid() == 4U);

  FetchItems quoted;
  CHECK(quoted.read("(UID 1 BODY[] \"a \\\"b\\\\\")") == FetchItems::Next::end);
  CHECK(quoted.quoted_body() == "a \"b\\");
  FetchItems nil;
  CHECK(nil.read("(UID 1 BODY[] NIL)") == FetchItems::Next::end);
  CHECK_FALSE(nil.has_body());
}

TEST_CASE("a FETCH response that is none", "[imap]") {
  const std::string deep = "(X " + std::string(200, '(');
  for (const std::string& line :
       {std::string(), std::string("UID 1)"), std::string("(UID 0)"), std::string("(UID x)"), std::string("(UID 1"),
        std::string("(UID)"), std::string("(UID 1))"), std::string("(UID 4294967296)"), std::string("(BODY[] x)"),
        std::string("(X \"open)"), std::string("((UID 1))"), std::string("({5}"), std::string("(UID 1) {5}"), deep}) {
    INFO(line);
    FetchItems items;
    CHECK_FALSE(items.read(line));
  }
  FetchItems twice;
  CHECK(twice.read("(BODY[] {1}") == FetchItems::Next::body);
  CHECK_FALSE(twice.read(" BODY[] {1}"));
}

TEST_CASE("literals", "[imap]") {
  CHECK(imap::literal_behind("(BODY[] {12}") == 12U);
  CHECK(imap::literal_behind("{0}") == 0U);
  for (const char* line : {"", "}", "{}", "{x}", "{-1}", "{1} ", "{99999999999999999999}"})
    CHECK_FALSE(imap::literal_behind(line));
}

TEST_CASE("what is sent to an IMAP server", "[imap]") {
  CHECK(*imap::quoted("a \"b\\") == "\"a \\\"b\\\\\"");
  CHECK_FALSE(imap::quoted("a\r\nb"));
  CHECK_FALSE(imap::quoted("\xc3\xa9"));
  // RFC 3501 5.1.3.
  CHECK(imap::mailbox_name("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e") ==
        "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
  CHECK(imap::mailbox_name("A & B") == "A &- B");
  CHECK(imap::mailbox_name("Entw\xc3\xbcrfe") == "Entw&APw-rfe");
  CHECK(imap::mailbox_name("\xf0\x9f\x93\xa7") == "&2D3c5w-");
  const std::vector<std::uint32_t> numbers{1, 2, 3, 7, 9, 10};
  std::size_t begin = 0;
  CHECK(imap::next_set(numbers, begin) == "1:3,7,9:10");
  CHECK(begin == numbers.size());
  std::vector<std::uint32_t> many;
  for (std::uint32_t i = 0; i < 5000; ++i) many.push_back(1'000'000 + 2 * i);
  std::size_t sets = 0;
  for (begin = 0; begin < many.size(); ++sets) CHECK(imap::next_set(many, begin).size() <= 1000);
  CHECK(sets > 1);
}
