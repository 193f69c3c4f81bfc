#include "mail/trace.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "mail/fields.hpp"
#include "mail/received.hpp"

using namespace odmr;
using namespace odmr::mail;
using namespace std::string_literals;

namespace {

std::string read(std::string_view received) {
  const auto trace = read_trace(received);
  if (!trace) return "unreadable";
  std::string out = "by " + trace->by + " with " + trace->with + " for";
  for (const auto& one : trace->recipients) out += " " + one;
  return out;
}

}  // namespace

TEST_CASE("the clauses of a Received field, in anybody's writing", "[mailbox]") {
  CHECK(read("") == "by  with  for");
  CHECK(read(" from a by b with c id d for e@f; g") == "by b with c for e@f");
  CHECK(read("from a\r\n\tBY b\r\n\tWith c\r\n\tFOR <e@f>;\r\n\tg") == "by b with c for e@f");
  CHECK(read("(qmail 4711 invoked from network); 31 Jan 2026 10:00:00 -0000") == "by  with  for");
  CHECK(read("from a (by x with y for <z@z> (for <q@q>)) by b(c)with d(e)for<e@f>(g);h") == "by b with d for e@f");
  CHECK(read("from (\\) for <x@y>) by b for <e@f>; g") == "by b with  for e@f");
  CHECK(read("from \"a by x for <x@y>\" by b; g") == "by b with  for");
  CHECK(read("by b for <\"x>; y\"@f>; g") == "by b with  for \"x>; y\"@f");
  CHECK(read("by b for <a@f> for <e@f>; g") == "by b with  for e@f");
  CHECK(read("by b for <a@f> , <e@f>, g@f; h") == "by b with  for a@f e@f g@f");
  CHECK(read("by b for multiple recipients; g") == "by b with  for multiple");
  CHECK(read("by b for <>; g") == "by b with  for");
  CHECK(read("by b for; g") == "by b with  for");
  CHECK(read("by b for") == "by b with  for");
  CHECK(read("by b; for <e@f>") == "by b with  for");
  CHECK(read("from x;y by b for <e@f>; g") == "by b with  for e@f");
  for (const auto* one : {"by b (for", "by b \"x", "by b for <e@f", "by b for <\"e@f>", "((x)", "\\(", "<"}) {
    CHECK(read(one) == "unreadable");
  }
}

TEST_CASE("our own Received is read as it was written", "[mailbox]") {
  Received received;
  received.from_name = "pop.hoster.example";
  received.from_address = "192.0.2.7";
  received.by = "mx.example.org";
  received.with = "POP3S";
  received.id = "ABC";
  received.for_mailbox = "anna@example.org";
  received.tls = "TLSv1.3 TLS_AES_256_GCM_SHA384";
  const auto line = format(received);
  const auto field = find_field(line, "Received");
  REQUIRE(field);
  CHECK(read(field->body) == "by mx.example.org with POP3S for anna@example.org");
}
