#include "smtp/capabilities.hpp"

#include <catch2/catch.hpp>

using namespace odmr::smtp;

namespace {

Capabilities announced(std::vector<std::string> lines) {
  lines.insert(lines.begin(), "mx.example greets SIZE 1");
  return Capabilities::from(Reply(250, std::move(lines)));
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("What EHLO announces is found in any case, and the greeting announces nothing") {
  const auto offered = announced({"PIPELINING", "size 1000", "8bitmime", "Auth plain LOGIN", "X-Odd  a  b "});
  CHECK(offered.has("pipelining"));
  CHECK(offered.has("8BITMIME"));
  CHECK(offered.parameters("x-odd") == "a  b");
  CHECK(offered.parameters("PIPELINING").empty());
  CHECK_FALSE(offered.has("GREETS"));
  CHECK_FALSE(offered.has(""));
  CHECK(offered.mechanisms() == Words{"PLAIN", "LOGIN"});
}

TEST_CASE("A reply of one line, or of none, announces nothing") {
  CHECK_FALSE(Capabilities::from(Reply(250, "SIZE")).has("SIZE"));
  CHECK_FALSE(Capabilities::from(Reply()).has("SIZE"));
  CHECK_FALSE(Capabilities().has("SIZE"));
}

TEST_CASE("SIZE gives its number, 0 for no fixed limit, and no value where it is not offered") {
  CHECK_FALSE(announced({"PIPELINING"}).size());
  CHECK(announced({"SIZE"}).size() == 0U);
  CHECK(announced({"SIZE 0"}).size() == 0U);
  CHECK(announced({"SIZE 35882577"}).size() == 35882577U);
  CHECK(announced({"SIZE 10 20"}).size() == 10U);
  CHECK(announced({"SIZE many"}).size() == 0U);
  CHECK(announced({"SIZE 99999999999999999999"}).size() == 0U);
}

TEST_CASE("AUTH in its old form, and given twice, lists each mechanism once and in order") {
  CHECK(announced({"AUTH=LOGIN PLAIN"}).mechanisms() == Words{"LOGIN", "PLAIN"});
  CHECK(announced({"AUTH CRAM-MD5 LOGIN", "AUTH=LOGIN plain"}).mechanisms() == Words{"CRAM-MD5", "LOGIN", "PLAIN"});
  CHECK(announced({"AUTH", "AUTH SCRAM-SHA-256"}).parameters("AUTH") == "SCRAM-SHA-256");
  CHECK(announced({"AUTH"}).mechanisms().empty());
  CHECK(announced({"AUTH"}).has("AUTH"));
}

TEST_CASE("Blank lines announce nothing") {
  const auto offered = announced({"", "  ", " SIZE 5"});
  CHECK_FALSE(offered.has(""));
  CHECK(offered.size() == 5U);
}
