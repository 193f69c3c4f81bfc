#include "base/ascii.hpp"

#include <catch2/catch.hpp>

using namespace odmr;
using namespace std::string_literals;

TEST_CASE("Case is ASCII's alone, whatever else is in the text") {
  CHECK(lower("ABC-Ü9") == "abc-Ü9");
  CHECK(upper("abc-ü9") == "ABC-ü9");
  CHECK(equals_ignoring_case("Postmaster", "pOSTMASTER"));
  CHECK_FALSE(equals_ignoring_case("a", "ab"));
  CHECK_FALSE(equals_ignoring_case("[", "{"));
  CHECK(starts_with_ignoring_case("AUTH=LOGIN", "auth="));
  CHECK_FALSE(starts_with_ignoring_case("AUT", "auth="));
}

TEST_CASE("Trimming takes blanks from both ends and nothing else") {
  CHECK(trim(" \t a b\t ") == "a b");
  CHECK(trim("\ra\n") == "\ra\n");
  CHECK(trim(" \t ").empty());
  CHECK(trim("").empty());
}

TEST_CASE("A number is digits that fit, and nothing else") {
  CHECK(parse_number("0") == 0U);
  CHECK(parse_number("007") == 7U);
  CHECK(parse_number("18446744073709551615") == 18446744073709551615U);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1x", "0x1", "18446744073709551616", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_number(text));
  }
}

TEST_CASE("UTF-8 is recognised by RFC 3629, without overlong forms, surrogates and what lies beyond Unicode") {
  for (const char* text : {"", "plain", "ü", "€", "😀", "\xf4\x8f\xbf\xbf"}) {
    CAPTURE(text);
    CHECK(is_utf8(text));
  }
  for (const char* text : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                           "\xf4\x90\x80\x80", "\xff", "a\xe2\x82", "\xe2\x82x"}) {
    CHECK_FALSE(is_utf8(text));
  }
  CHECK(is_ascii("~\x7f"));
  CHECK_FALSE(is_ascii("ü"));
}

TEST_CASE("A stranger's words are made fit for a terminal") {
  struct Row {
    std::string words;
    std::string shown;
  };
  const Row rows[] = {
      {"250 2.0.0 ok", "250 2.0.0 ok"},
      {"\x1b[2J\nerror: fake", "\\x1b[2J\\x0aerror: fake"},
      {"a\0b\x7f"s, "a\\x00b\\x7f"},
      {"back\\slash", "back\\slash"},
      {"grüße", "grüße"},
      {"broken \xff\xc3", "broken \\xff\\xc3"},
      {"\xc2\x9b"
       "2J",
       "\\xc2\\x9b2J"},                                                  // CSI of eight bits
      {"\xe2\x80\xaegpj.exe", "\\xe2\\x80\\xaegpj.exe"},                 // right-to-left override
      {"\xe2\x81\xa6x\xe2\x81\xa9", "\\xe2\\x81\\xa6x\\xe2\\x81\\xa9"},  // isolates
      {"a\xe2\x80\x8f\xe2\x80\x8e", "a\\xe2\\x80\\x8f\\xe2\\x80\\x8e"},  // right-to-left mark, and the other
      {"a\xd8\x9c\xd8\x9b", "a\\xd8\\x9c\xd8\x9b"},                      // Arabic letter mark; a semicolon
      {"one\xe2\x80\xa8two", "one\\xe2\\x80\\xa8two"},                   // line separator
      {"", ""},
  };
  for (const Row& row : rows) CHECK(escape(row.words) == row.shown);
}

TEST_CASE("What is too long to be shown is cut, and says so") {
  CHECK(escape("abcdef", 6) == "abcdef");
  CHECK(escape("abcdefg", 6) == "abcdef…");
  CHECK(escape(std::string(401, 'a')) == std::string(400, 'a') + "…");
  CHECK(is_utf8(escape("üüüü", 3)));
}
