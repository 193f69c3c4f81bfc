// The entries of a list of recipients, and what a mailbox is in such a list by; digits of digests.

#include "smtp/recipients.hpp"

#include <catch2/catch.hpp>

#include "net/digest.hpp"

namespace odmr::test {

using Entries = std::vector<std::string>;

TEST_CASE("an entry of a list of recipients has one form", "[recipients]") {
  const auto entry = [](const char* text) { return smtp::recipient_entry(text).value_or("none"); };
  CHECK(entry("Anna@Example.ORG") == "anna@example.org");
  CHECK(entry("anna") == "anna@");
  CHECK(entry("@Example.org") == "@example.org");
  CHECK(entry("\"an na\"@example.org") == "\"an na\"@example.org");
  CHECK(entry("anna@b\xC3\xBC"
              "cher.example") == "anna@xn--bcher-kva.example");
  for (const char* text :
       {"", "@", "anna@", "an na", "anna@exa mple", "a@b@example.org", "anna@-", "an\x01na", "<anna>"})
    CHECK(entry(text) == "none");
}

TEST_CASE("a mailbox is in a list by itself, its name, its domain, and what stands before the delimiter",
          "[recipients]") {
  const smtp::Mailbox mailbox{"Anna+Lists+x", "Example.org"};
  CHECK(smtp::entries_for(mailbox, "+") ==
        Entries{"@example.org", "anna+lists+x@example.org", "anna+lists+x@", "anna@example.org", "anna@"});
  CHECK(smtp::entries_for(mailbox, "").size() == 3);
  CHECK(smtp::entries_for({"+x", "example.org"}, "+").size() == 3);  // nothing stands before it
  CHECK(smtp::entries_for({"anna--x", "example.org"}, "--").back() == "anna@");
  CHECK(smtp::is_postmaster({"PostMaster", "example.org"}));
  CHECK_FALSE(smtp::is_postmaster({"postmaster+x", "example.org"}));
}

TEST_CASE("hexadecimal digits become octets again, and nothing else does", "[recipients]") {
  const std::string octets("\x00\x7f\xff\x10", 4);
  CHECK(net::hex(octets) == "007fff10");
  CHECK(net::from_hex("007fff10") == octets);
  CHECK(net::from_hex("") == std::string());
  for (const char* text : {"0", "0g", "0A", "0x", " 0", "00 "}) CHECK_FALSE(net::from_hex(text));
}

}  // namespace odmr::test
