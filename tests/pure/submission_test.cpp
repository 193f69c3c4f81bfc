// What a submission agent reads from a message, and what it does to it.

#include <catch2/catch.hpp>
#include <map>

#include "mail/addresses.hpp"
#include "mail/line_ends.hpp"
#include "mail/submission.hpp"
#include "pieces.hpp"

using namespace odmr;
using odmr::test::at_every_split;

namespace {

using Addresses = std::vector<std::string>;

Addresses read(const std::string& list) {
  INFO(list);
  const auto found = mail::addresses_in(list);
  if (!found) INFO(found.error().text);
  REQUIRE(found);
  return *found;
}

std::string lines(const std::string& message, std::size_t piece, mail::LineEnds::LoneCr lone_cr) {
  mail::LineEnds line_ends(lone_cr);
  std::string out;
  for (std::size_t i = 0; i < message.size(); i += piece) {
    if (!line_ends.pass(std::string_view(message).substr(i, piece), out)) return "refused";
  }
  line_ends.finish(out);
  return out;
}

mail::Completion everything() {
  mail::Completion completion;
  completion.remove_bcc = true;
  completion.from = "Anna <anna@example.org>";
  completion.message_id = "<1@example.org>";
  completion.date = WallTime(std::chrono::seconds(1769853600));
  return completion;
}

const std::string k_from = "From: Anna <anna@example.org>\r\n";
const std::string k_date = "Date: Sat, 31 Jan 2026 10:00:00 +0000\r\n";
const std::string k_id = "Message-ID: <1@example.org>\r\n";

}  // namespace

TEST_CASE("Address lists, as they are written", "[submission]") {
  const std::map<std::string, Addresses> table{
      {"", {}},
      {" , ,, ", {}},
      {"root", {"root"}},
      {"a@b.example", {"a@b.example"}},
      {"<a@b.example>", {"a@b.example"}},
      {"a@b.example, c@d.example", {"a@b.example", "c@d.example"}},
      {"a@b.example,c@d.example,", {"a@b.example", "c@d.example"}},
      {"Anna <a@b.example>", {"a@b.example"}},
      {"Anna B. C. Example <a@b.example>", {"a@b.example"}},
      {"\"Example, Anna\" <a@b.example>, root", {"a@b.example", "root"}},
      {R"("a \"quote\", a comma" <a@b.example>)", {"a@b.example"}},
      {"a@b.example (Anna)", {"a@b.example"}},
      {"(before) a (of\\) all) @ (these (nested, ones)) b.example (after), c@d.example",
       {"a@b.example", "c@d.example"}},
      {"a . b @ c . example", {"a.b@c.example"}},
      {"Anna\r\n <a@b.example>,\r\n\tBert\r\n <c@d.example>", {"a@b.example", "c@d.example"}},
      {"< a@b.example >", {"a@b.example"}},
      {"a@b.example <c@d.example>", {"c@d.example"}},
      {"<@relay.example,@other.example:a@b.example>", {"a@b.example"}},
      {"\"john doe\"@b.example", {"\"john doe\"@b.example"}},
      {"\"a@b\"@c.example", {"\"a@b\"@c.example"}},
      {"a@[192.0.2.1]", {"a@[192.0.2.1]"}},
      {"Anna <a@[IPv6:2001:db8::1]>", {"a@[IPv6:2001:db8::1]"}},
      {"undisclosed-recipients:;", {}},
      {"undisclosed-recipients: ;, a@b.example", {"a@b.example"}},
      {"Friends: a@b.example, Bert <c@d.example>; , e@f.example", {"a@b.example", "c@d.example", "e@f.example"}},
      {"\"The Group\": a@b.example;", {"a@b.example"}},
      {"=?utf-8?Q?J=C3=B6rg?= <a@b.example>", {"a@b.example"}},
      {"=?utf-8?Q?Jörg,_Bert?= <a@b.example>", {"a@b.example"}},
      {"J\xf6rg <a@b.example>", {"a@b.example"}},
      {"jörg@bücher.example", {"jörg@bücher.example"}},
      {"a+b=c!#$%&'*/?^_`{|}~-@b.example", {"a+b=c!#$%&'*/?^_`{|}~-@b.example"}},
  };
  for (const auto& [list, addresses] : table) CHECK(read(list) == addresses);
}

TEST_CASE("Address lists that cannot be read are refused as a whole", "[submission]") {
  for (const std::string list : {"Anna Example",
                                 "a@b.example c@d.example",
                                 "<a@b.example",
                                 "a@b.example>",
                                 "<a@b.example> c",
                                 "Anna <>",
                                 "<>",
                                 "\"no end <a@b.example>",
                                 "a@b.example (no end",
                                 "a@[192.0.2.1",
                                 "Group: a@b.example",
                                 "a@b.example;",
                                 "Group: Other: a@b.example;;",
                                 ": a@b.example;",
                                 "a@b:c@d.example;",
                                 "<@relay.example>x",
                                 "<a b@c.example>",
                                 "<a@b.example,c@d.example>",
                                 "a\\b@c.example",
                                 "<a:b@c.example>",
                                 ")",
                                 "good@b.example, bad one"}) {
    INFO(list);
    const auto found = mail::addresses_in(list);
    CHECK_FALSE(found);
    if (!found) CHECK(found.error().code == Errc::malformed);
  }
}

TEST_CASE("The null reverse-path is an address only where it may be", "[submission]") {
  CHECK(mail::addresses_in("<>", true) == Addresses{"<>"});
  CHECK_FALSE(mail::addresses_in("<>", false));
}

TEST_CASE("No list makes the reader fail otherwise than by saying so", "[submission]") {
  const std::string letters = "a@<>(),;:\"\\[] .\r\n=?";
  unsigned state = 1;
  for (int i = 0; i < 200000; ++i) {
    std::string list;
    for (int length = i % 9; length >= 0; --length) {
      state = state * 1103515245 + 12345;
      list += letters[(state >> 16) % letters.size()];
    }
    const auto found = mail::addresses_in(list);
    if (found) {
      for (const auto& address : *found) CHECK_FALSE(address.empty());
    } else {
      CHECK(found.error().code == Errc::malformed);
    }
  }
}

TEST_CASE("-t: recipients are those of To, Cc and Bcc in every case and number", "[submission]") {
  CHECK(mail::recipients_in("to: a@x.example\r\nSubject: To: no@x.example\r\nCC: b@x.example,\r\n c@x.example\r\n"
                            "Bcc: d@x.example\r\nTo : e@x.example\r\nReply-To: no@x.example\r\n") ==
        Addresses{"a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"});
  CHECK(mail::recipients_in("Subject: x\r\n") == Addresses{});
}

TEST_CASE("-t: what begins like an encoded word many times and never ends is read all the same", "[submission]") {
  // With a search to the end for each of them this would take minutes.
  std::string header = "To: ";
  for (int i = 0; i < 30000; ++i) header += "=?x?q?y,\r\n ";
  static_cast<void>(mail::recipients_in(header + "a@x.example\r\n"));
  const std::string longest = "=?x?q?" + std::string(990, 'y') + "?=";
  CHECK(mail::recipients_in("To: " + longest + " <a@x.example>\r\n") == Addresses{"a@x.example"});
}

TEST_CASE("-t: Resent fields take the place of the others", "[submission]") {
  CHECK(mail::recipients_in("To: a@x.example\r\nResent-To: b@x.example\r\nResent-Bcc: c@x.example\r\n"
                            "Resent-Cc: d@x.example\r\nBcc: e@x.example\r\n") ==
        Addresses{"b@x.example", "c@x.example", "d@x.example"});
}

TEST_CASE("-t: the field that cannot be read is named", "[submission]") {
  const auto found = mail::recipients_in("To: a@x.example\r\nCc: Anna Example\r\n");
  REQUIRE_FALSE(found);
  CHECK(found.error().text == "Cc: not an address: Anna Example");
}

TEST_CASE("A header is completed at its end, and Bcc goes", "[submission]") {
  const auto whole = [](const std::string& text) { return mail::completed(text, everything()); };
  CHECK(whole("Subject: x\r\n\r\nbody\r\n") == "Subject: x\r\n" + k_from + k_date + k_id + "\r\nbody\r\n");
  CHECK(whole("from: b@x.example\r\nDATE: now\r\nmessage-id: <2@x>\r\n\r\n") ==
        "from: b@x.example\r\nDATE: now\r\nmessage-id: <2@x>\r\n\r\n");
  CHECK(whole("To: a\r\nBcc: b,\r\n c\r\nResent-BCC: d\r\nSubject: x\r\n\r\nBcc: stays\r\n") ==
        "To: a\r\nSubject: x\r\n" + k_from + k_date + k_id + "\r\nBcc: stays\r\n");
  CHECK(whole("") == k_from + k_date + k_id + "\r\n");
  CHECK(whole("\r\nbody\r\n") == k_from + k_date + k_id + "\r\nbody\r\n");
  CHECK(whole("no header\r\nat all\r\n") == k_from + k_date + k_id + "\r\nno header\r\nat all\r\n");
  CHECK(whole("Subject: x\r\nno field\r\n") == "Subject: x\r\n" + k_from + k_date + k_id + "\r\nno field\r\n");
  CHECK(whole("Subject: x") == "Subject: x\r\n" + k_from + k_date + k_id + "\r\n");
  CHECK(whole(" starts with a blank\r\n") == k_from + k_date + k_id + "\r\n starts with a blank\r\n");
}

TEST_CASE("With nothing to do a beginning stays to the byte", "[submission]") {
  mail::Completion nothing;
  nothing.add_missing = false;
  for (const std::string text : {"Bcc: a\r\n\r\nx", "no header", "", "Subject: x"}) {
    CHECK(mail::completed(text, nothing) == text);
  }
  nothing.remove_bcc = true;
  CHECK(mail::completed("Bcc: a\r\nTo: b\r\nno field", nothing) == "To: b\r\nno field");
}

TEST_CASE("A beginning finds its header in whatever pieces, and leaves out mailbox lines", "[submission]") {
  struct Row {
    std::string text;
    std::string header;
    bool is_over;
  };
  const std::vector<Row> table{
      {"Subject: x\r\n y\r\nTo: z\r\n\r\nbody\r\n", "Subject: x\r\n y\r\nTo: z\r\n", true},
      {"From anna Sat Jan 31 10:00:00 2026\r\nSubject: x\r\n\r\n", "Subject: x\r\n", true},
      {">From a b\r\nFrom c d\r\nSubject: x\r\n\r\n", "Subject: x\r\n", true},
      {"From : a@x.example\r\n\r\n", "From : a@x.example\r\n", true},
      {"From: a@x.example\r\n\r\n", "From: a@x.example\r\n", true},
      {"From\r\n", "", true},
      {"Fro", "", false},
      {"Subject: x\r\nFrom a b\r\n", "Subject: x\r\n", true},
      {"hello\r\n", "", true},
      {"", "", false},
  };
  for (const auto& row : table) {
    at_every_split(row.text, [&](std::string_view first, std::string_view second) {
      INFO(row.text);
      mail::Beginning beginning(true);
      REQUIRE(beginning.add(first));
      REQUIRE(beginning.add(second));
      CHECK(beginning.has_header() == row.is_over);
      CHECK(beginning.header() == row.header);
    });
  }
}

TEST_CASE("A relayed beginning keeps its mailbox line", "[submission]") {
  mail::Beginning beginning(false);
  REQUIRE(beginning.add("From anna Sat\r\n\r\n"));
  CHECK(beginning.has_header());
  CHECK(beginning.text() == "From anna Sat\r\n\r\n");
}

TEST_CASE("A header of more than a mebibyte is refused, a body of that size is not", "[submission]") {
  mail::Beginning endless(true);
  const std::string line = "X: " + std::string(1000, 'x') + "\r\n";
  Result<void> added;
  for (int i = 0; i < 1100 && added; ++i) added = endless.add(line);
  REQUIRE_FALSE(added);
  CHECK(added.error().code == Errc::too_long);
  mail::Beginning fine(true);
  REQUIRE(fine.add("X: y\r\n\r\n"));
  CHECK(fine.add(std::string(2 * mail::Beginning::k_longest_header, 'x')));
}

TEST_CASE("A name for From is quoted or encoded where it has to be", "[submission]") {
  const auto named = [](const std::string& name) { return mail::named_address(name, "a@b.example"); };
  CHECK(named("") == "a@b.example");
  CHECK(named("  ") == "a@b.example");
  CHECK(named("Anna Example") == "Anna Example <a@b.example>");
  CHECK(named("Anna E. Example") == "\"Anna E. Example\" <a@b.example>");
  CHECK(named("Example, \"Anna\\\"") == R"("Example, \"Anna\\\"" <a@b.example>)");
  CHECK(named("CronDaemon") == "CronDaemon <a@b.example>");
  CHECK(named("a\r\nBcc: x@y.example") == "\"a  Bcc: x@y.example\" <a@b.example>");
  CHECK(named("Jörg B") == "=?utf-8?Q?J=C3=B6rg_B?= <a@b.example>");
  CHECK(named("J\xf6rg") == "=?iso-8859-1?Q?J=F6rg?= <a@b.example>");
}

TEST_CASE("A long name becomes several encoded words, none cut inside a letter", "[submission]") {
  std::string name;
  for (int i = 0; i < 40; ++i) name += "ö";
  const std::string value = mail::named_address(name, "a@b.example");
  std::size_t letters = 0;
  for (std::size_t at = value.find("=C3=B6"); at != std::string::npos; at = value.find("=C3=B6", at + 1)) ++letters;
  CHECK(letters == 40);
  for (std::size_t begin = 0; begin < value.size();) {
    const auto end = std::min(value.find("\r\n", begin), value.size());
    CHECK(end - begin <= 90);
    begin = end + 2;
  }
  CHECK(value.find("=C3?=") == std::string::npos);
}

TEST_CASE("Message-IDs differ", "[submission]") {
  const WallTime now(std::chrono::seconds(1));
  const auto id = mail::new_message_id(now, "mail.example.org");
  CHECK(id.starts_with("<"));
  CHECK(id.ends_with("@mail.example.org>"));
  CHECK(id != mail::new_message_id(now, "mail.example.org"));
}

TEST_CASE("Line ends: a lone CR becomes a space where it may, the last line is ended", "[submission]") {
  using LoneCr = mail::LineEnds::LoneCr;
  for (std::size_t piece = 1; piece < 6; ++piece) {
    INFO(piece);
    CHECK(lines("a\nb\r\nc", piece, LoneCr::space) == "a\r\nb\r\nc\r\n");
    CHECK(lines("10%\r20%\rdone\n", piece, LoneCr::space) == "10% 20% done\r\n");
    CHECK(lines("a\r\r\nb\r", piece, LoneCr::space) == "a \r\nb\r\n");
    CHECK(lines("\r", piece, LoneCr::space) == "\r\n");
    CHECK(lines("", piece, LoneCr::space) == "");
    CHECK(lines("\n", piece, LoneCr::space) == "\r\n");
    CHECK(lines(std::string("a\0b\n", 4), piece, LoneCr::space) == std::string("a\0b\r\n", 5));
    CHECK(lines("a\rb", piece, LoneCr::refuse) == "refused");
    CHECK(lines("a\r\nb", piece, LoneCr::refuse) == "a\r\nb\r\n");
  }
}

TEST_CASE("A dot alone ends the input, and only that", "[submission]") {
  struct Row {
    std::string text;
    std::string before;
    bool is_seen;
  };
  const std::vector<Row> table{
      {"a\r\n.\r\nb\r\n", "a\r\n", true},    {".\r\n", "", true}, {"..\r\n.a\r\na.\r\n", "..\r\n.a\r\na.\r\n", false},
      {"a\r\n. \r\n", "a\r\n. \r\n", false}, {"", "", false},     {"\r\n.\r\n.\r\n", "\r\n", true},
  };
  for (const auto& row : table) {
    at_every_split(row.text, [&](std::string_view first, std::string_view second) {
      INFO(row.text);
      mail::LoneDot dot;
      std::string out;
      dot.pass(first, out);
      dot.pass(second, out);
      CHECK(out == row.before);
      CHECK(dot.is_seen() == row.is_seen);
    });
  }
}
