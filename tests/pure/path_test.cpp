#include "smtp/path.hpp"

#include <catch2/catch.hpp>

using namespace odmr;
using namespace odmr::smtp;
using namespace std::string_literals;

namespace {

Result<ParsedPath> forward(std::string_view text) {
  return parse_path(text, false, true);
}
Result<ParsedPath> reverse(std::string_view text) {
  return parse_path(text, true, false);
}

}  // namespace

TEST_CASE("A path is read to the letter, and what follows it is given back") {
  struct Row {
    std::string text;
    std::string local_part;
    std::string domain;
    std::string rest;
  };
  const Row rows[] = {
      {"<a@own.example>", "a", "own.example", ""},
      {"<A.b+c=d@Own.Example> SIZE=1", "A.b+c=d", "Own.Example", " SIZE=1"},
      {"<a@b>x", "a", "b", "x"},
      {"<a@b>>", "a", "b", ">"},
      {"a@own.example SIZE=1", "a", "own.example", " SIZE=1"},
      {"a@own.example", "a", "own.example", ""},
      {"<\"a b\"@c>", "\"a b\"", "c", ""},
      {"<\"a>b\\\"@x\\\\\"@c>", "\"a>b\\\"@x\\\\\"", "c", ""},
      {"<\"\"@c>", "\"\"", "c", ""},
      {"<!#$%&'*+-/=?^_`{|}~@c>", "!#$%&'*+-/=?^_`{|}~", "c", ""},
      {"<a..b.@docomo.example>", "a..b.", "docomo.example", ""},
      {"<../../x@c>", "../../x", "c", ""},
      {"<a@mail_1.example>", "a", "mail_1.example", ""},
      {"<a@[192.0.2.1]>", "a", "[192.0.2.1]", ""},
      {"<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]", ""},
      {"<grüße@bücher.example>", "grüße", "bücher.example", ""},
      {"<\"grüße an\"@c>", "\"grüße an\"", "c", ""},
      {"<postmaster@own.example>", "postmaster", "own.example", ""},
      {"<postmasters@own.example>", "postmasters", "own.example", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto parsed = forward(row.text);
    REQUIRE(parsed);
    CHECK_FALSE(parsed->path.is_null);
    CHECK(parsed->path.source_route.empty());
    CHECK(parsed->path.mailbox.local_part == row.local_part);
    CHECK(parsed->path.mailbox.domain == row.domain);
    CHECK(parsed->path.text() == row.local_part + "@" + row.domain);
    CHECK(parsed->rest == row.rest);
  }
}

TEST_CASE("What is no path is refused, and never half read") {
  for (const std::string& text : {""s,
                                  " "s,
                                  "<"s,
                                  ">"s,
                                  "<>"s,
                                  "<a"s,
                                  "<a>"s,
                                  "<a@>"s,
                                  "<@b>"s,
                                  "<@>"s,
                                  "<a@b"s,
                                  "<a@b c>"s,
                                  "< a@b>"s,
                                  "<a@b >"s,
                                  "a@b,c@d"s,
                                  "a@b>"s,
                                  "<a@b@c>"s,
                                  "a@b@c"s,
                                  "<a@.b>"s,
                                  "<a@b.>"s,
                                  "<a@b..c>"s,
                                  "<a@own.>"s,
                                  "<a b@c>"s,
                                  "<;id@c>"s,
                                  "<$(id)@c>"s,
                                  "<(c)a@b>"s,
                                  "<a@b(c)>"s,
                                  "<a:b@c>"s,
                                  "<a,b@c>"s,
                                  "<a\\@b@c>"s,
                                  "<a[b@c>"s,
                                  "<\"a@c>"s,
                                  "<\"a\\\"@c>"s,
                                  "<\"a\"b@c>"s,
                                  "<\"a\"\"b\"@c>"s,
                                  "<\"a\\"s,
                                  "<\""s,
                                  "<a@[]>"s,
                                  "<a@[1.2.3.4>"s,
                                  "<a@[1.2.3.4]x>"s,
                                  "<a@[x>y]>"s,
                                  "<a@[a b]>"s,
                                  "<a\r@b>"s,
                                  "<a\n@b>"s,
                                  "<a\0@b>"s,
                                  "<a@b\r\n>"s,
                                  "<a@b\0>"s,
                                  "<a@b\0.c>"s,
                                  "<\"a\r\nb\"@c>"s,
                                  "<\"a\tb\"@c>"s,
                                  "<\"a\\\rb\"@c>"s,
                                  "<\"a\\\0b\"@c>"s,
                                  "<a\x7f@b>"s,
                                  "<\xff@b>"s,
                                  "<a@\xc3>"s,
                                  "<a@\xc3\xbc\x80.de>"s,
                                  "<\"\xc0\xaf\"@b>"s,
                                  "<\"\\\xc3\xbc\"@b>"s,
                                  "<@a>"s,
                                  "<@a:>"s,
                                  "<@a,b:c@d>"s,
                                  "<@a,@:c@d>"s,
                                  "<@:c@d>"s,
                                  "<@a,@b c@d>"s,
                                  "<@a:@b:c@d>"s,
                                  "<@a:postmaster>"s,
                                  "<postmaste>"s,
                                  "<postmaster@>"s,
                                  "<\"postmaster\">"s,
                                  "postmasterx"s}) {
    CAPTURE(text);
    const auto parsed = forward(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::malformed);
  }
}

TEST_CASE("The null path and the bare postmaster are paths only where they are allowed") {
  const auto null = reverse("<> SIZE=0");
  REQUIRE(null);
  CHECK(null->path.is_null);
  CHECK(null->path.text().empty());
  CHECK(null->rest == " SIZE=0");
  CHECK_FALSE(forward("<>"));

  for (const char* text : {"<postmaster>", "<PostMaster> NOTIFY=NEVER", "postmaster"}) {
    CAPTURE(text);
    const auto parsed = forward(text);
    REQUIRE(parsed);
    CHECK(parsed->path.mailbox.domain.empty());
    CHECK(parsed->path.mailbox.text() == parsed->path.mailbox.local_part);
    CHECK_FALSE(reverse(text));
  }
}

TEST_CASE("A bare name is a path where programs of this host may say it") {
  for (const char* text : {"<root>", "<root> NOTIFY=NEVER", "root", "<\"a b\">", "<postmaster>", "<a%b>"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_path(text, false, false));
    const auto parsed = parse_path(text, false, false, true);
    REQUIRE(parsed);
    CHECK(parsed->path.mailbox.domain.empty());
  }
  CHECK(parse_path("<a@b.example>", false, false, true)->path.mailbox == Mailbox{"a", "b.example"});
  for (const char* text : {"<>", "<root", "<root@>", "<@a.example:root>", "<a b>", "<\"a>", "<root>x@y", "<@>"}) {
    CAPTURE(text);
    const auto parsed = parse_path(text, false, false, true);
    CHECK((!parsed || !parsed->rest.empty()));
  }
}

TEST_CASE("A source route is kept apart from the mailbox, so that the guard can refuse it") {
  const auto parsed = forward("<@own.example,@x.example:a@other.example> NOTIFY=NEVER");
  REQUIRE(parsed);
  CHECK(parsed->path.source_route == "@own.example,@x.example");
  CHECK(parsed->path.mailbox == Mailbox{"a", "other.example"});
  CHECK(parsed->rest == " NOTIFY=NEVER");
}

TEST_CASE("A path ends at 256 octets with its brackets, however they are spread") {
  const auto path_of = [](std::size_t local, std::size_t domain) {
    return "<" + std::string(local, 'a') + "@" + std::string(domain, 'b') + ">";
  };
  CHECK(forward(path_of(64, 189)));
  CHECK(forward(path_of(252, 1)));
  CHECK(forward(path_of(1, 252)));
  for (const auto& [local, domain] :
       {std::pair(64U, 190U), std::pair(253U, 1U), std::pair(1U, 253U), std::pair(1U, 65536U), std::pair(4096U, 1U)}) {
    const auto parsed = forward(path_of(local, domain));
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::too_long);
  }
  const std::string bare = path_of(64, 190).substr(1, 255);
  CHECK(forward(bare.substr(0, 254)));
  CHECK_FALSE(forward(bare));
}

TEST_CASE("A mailbox alone is one address and nothing else") {
  CHECK(parse_mailbox("a@b.example") == Mailbox{"a", "b.example"});
  CHECK(parse_mailbox("\"a b\"@b") == Mailbox{"\"a b\"", "b"});
  for (const char* text :
       {"", "a", "postmaster", "<a@b>", "a@b ", " a@b", "a@b c", "a@b>", "@x:a@b", "a@b,c@d", "a@b\n"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_mailbox(text));
  }
}

TEST_CASE("SMTPUTF8 is needed for what is not ASCII in either half") {
  CHECK_FALSE(Mailbox{"a", "b"}.needs_smtputf8());
  CHECK(Mailbox{"ä", "b"}.needs_smtputf8());
  CHECK(Mailbox{"a", "ü.example"}.needs_smtputf8());
}

TEST_CASE("Domains are compared as lower-case A-labels") {
  struct Row {
    std::string domain;
    std::string canonical;
  };
  const Row rows[] = {
      {"own.example", "own.example"},
      {"OWN.Example", "own.example"},
      {"localhost", "localhost"},
      {"1.2.3.4", "1.2.3.4"},
      {"4u.example", "4u.example"},
      {"r3---sn-x.example", "r3---sn-x.example"},
      {"bücher.example", "xn--bcher-kva.example"},
      {"BÜCHER.EXAMPLE", "xn--bcher-kva.example"},
      {"bu\xcc\x88"
       "cher.example",
       "xn--bcher-kva.example"},  // not in NFC
      {"XN--Bcher-KVA.example", "xn--bcher-kva.example"},
      {"straße.example", "xn--strae-oqa.example"},
      {"own。example", "own.example"},  // an ideographic full stop
      {"ｏｗｎ.example", "own.example"},
      {"例え.テスト", "xn--r8jz45g.xn--zckzah"},
      {"xn--ls8h.la", "xn--ls8h.la"},
      {std::string(63, 'a') + ".b", std::string(63, 'a') + ".b"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.domain);
    CHECK(canonical_domain(row.domain) == row.canonical);
  }
}

TEST_CASE("What is no host name has no canonical form") {
  for (const std::string& domain : {""s,
                                    "."s,
                                    "own.example."s,
                                    ".own.example"s,
                                    "own..example"s,
                                    "own example"s,
                                    " own.example"s,
                                    "own.example "s,
                                    "own_1.example"s,
                                    "-own.example"s,
                                    "own-.example"s,
                                    "own.example\0.evil"s,
                                    "own.example\r\nMAIL FROM:<>"s,
                                    "a,b"s,
                                    "*"s,
                                    "*.example"s,
                                    "@own.example"s,
                                    "a@own.example"s,
                                    "[127.0.0.1]"s,
                                    "own/example"s,
                                    "own:25"s,
                                    "\xff.example"s,
                                    "\xc3.example"s,
                                    "ü..example"s,
                                    "ü.example."s,
                                    "ü_b.example"s,
                                    "\xc2\xad.example"s,
                                    "ü .example"s,
                                    "ü\0.example"s,
                                    "。"s,
                                    "ü.-a.example"s}) {
    CAPTURE(domain);
    const auto canonical = canonical_domain(domain);
    REQUIRE_FALSE(canonical);
    CHECK(canonical.error().code == Errc::malformed);
  }
  CHECK_FALSE(canonical_domain(std::string(64, 'a') + ".b"));
}

TEST_CASE("A domain ends at 255 octets, and what is far longer is not even converted") {
  std::string domain = "a";
  while (domain.size() < 255) domain += ".a";
  REQUIRE(domain.size() == 255);
  CHECK(canonical_domain(domain));
  for (const std::string& longer : {domain + "b", std::string(100'000, 'a'), "ü" + std::string(1'000'000, 'a')}) {
    const auto canonical = canonical_domain(longer);
    REQUIRE_FALSE(canonical);
    CHECK((canonical.error().code == Errc::too_long));
  }
}

TEST_CASE("EHLO names are host names or address literals") {
  for (const char* name : {"mail.example.org", "localhost", "PC-1", "[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:::1]",
                           "[IPv6:::ffff:192.0.2.1]"}) {
    CAPTURE(name);
    CHECK(is_ehlo_name(name));
  }
  for (const std::string& name : {""s,
                                  "."s,
                                  "a."s,
                                  "my_pc"s,
                                  "ü.example"s,
                                  "a b"s,
                                  "a\r\nb"s,
                                  "a\0"s,
                                  "(evil)"s,
                                  "[]"s,
                                  "["s,
                                  "]"s,
                                  "[1.2.3]"s,
                                  "[1.2.3.256]"s,
                                  "[1.2.3.4"s,
                                  "[::1]"s,
                                  "[IPv6:1.2.3.4]"s,
                                  "[IPv6:fe80::1%eth0]"s,
                                  "[1.2.3.4\0]"s,
                                  "[1.2.3.4\0x]"s,
                                  "[IPv6:]"s,
                                  "[IPv6::::1]"s,
                                  "[1.2.3.4][1.2.3.4]"s,
                                  std::string(64, 'a'),
                                  "["s + std::string(5000, '1') + "]"}) {
    CAPTURE(name);
    CHECK_FALSE(is_ehlo_name(name));
  }
}

TEST_CASE("A local part that a trusting MTA might route onwards is told") {
  for (const char* local : {"a%other", "other!a", "\"a@other\"", "\"a\\@other\"", "%", "!"})
    CHECK(routes_onwards(local));
  for (const char* local : {"a", "a.b+c", "\"a b\"", "a=other"}) CHECK_FALSE(routes_onwards(local));
}
