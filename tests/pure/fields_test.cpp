#include "mail/fields.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "mail/header.hpp"

using namespace odmr::mail;
using namespace std::string_literals;

namespace {

struct Read {
  std::vector<std::string> names;
  std::vector<std::string> values;
  std::string rest;
};

// Checks as well that no byte is lost.
Read read(std::string_view header) {
  Read out;
  std::string all;
  FieldReader reader(header);
  for (auto field = reader.next(); field; field = reader.next()) {
    out.names.emplace_back(field->name);
    out.values.push_back(field->value());
    all += field->raw;
  }
  out.rest = reader.rest();
  CHECK(all + out.rest == header);
  return out;
}

}  // namespace

TEST_CASE("A header comes apart into its fields, folded ones whole") {
  const auto header = read("Subject: one\r\n two\r\n\tthree\r\nFrom :  a@b.example \r\nX-Empty:\r\nTo:c@d.example\r\n");
  CHECK(header.names == std::vector<std::string>{"Subject", "From", "X-Empty", "To"});
  CHECK(header.values == std::vector<std::string>{"one two\tthree", "a@b.example", "", "c@d.example"});
  CHECK(header.rest.empty());
}

TEST_CASE("A lone LF ends a line too, and the last line may lack its end") {
  const auto header = read("A: 1\n 2\nB: 3");
  CHECK(header.names == std::vector<std::string>{"A", "B"});
  CHECK(header.values == std::vector<std::string>{"1 2", "3"});
}

TEST_CASE("The empty line, or a line that is no field, ends the header") {
  struct Case {
    std::string header, rest;
    std::size_t fields;
  };
  for (const auto& [header, rest, fields] :
       std::vector<Case>{{"A: 1\r\n\r\nB: 2\r\n", "\r\nB: 2\r\n", 1},
                         {"A: 1\n\nB: 2\n", "\nB: 2\n", 1},
                         {"A: 1\r\nno field\r\nB: 2\r\n", "no field\r\nB: 2\r\n", 1},
                         {" A: 1\r\n", " A: 1\r\n", 0},
                         {": 1\r\n", ": 1\r\n", 0},
                         {"From a@b Sat Jan 31\r\n", "From a@b Sat Jan 31\r\n", 0},
                         {"\xc3\xbc: 1\r\n", "\xc3\xbc: 1\r\n", 0},
                         {"A\0: 1\r\n"s, "A\0: 1\r\n"s, 0},
                         {"", "", 0}}) {
    CAPTURE(header);
    const auto found = read(header);
    CHECK(found.rest == rest);
    CHECK(found.names.size() == fields);
    HeaderWatch watch;
    watch.see(header);
    CHECK(watch.header() == header.substr(0, header.size() - rest.size()));  // the two agree on where a header ends
  }
}

TEST_CASE("A field is found by its name, whatever its case") {
  const auto field = find_field("A: 1\r\nfrom: 2\r\nFrom: 3\r\n", "From");
  REQUIRE(field);
  CHECK(field->value() == "2");
  CHECK_FALSE(find_field("A: 1\r\n\r\nFrom: 3\r\n", "From"));
}
