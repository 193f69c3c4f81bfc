#include "smtp/command.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace odmr;
using namespace odmr::smtp;
using namespace std::string_literals;

namespace {

// The code a command is refused with, 0 when it is taken.
template <class T>
int refusal(const Parsed<T>& parsed) {
  return parsed ? 0 : parsed.error().code;
}

using Domains = std::vector<std::string>;

}  // namespace

TEST_CASE("A command is a verb in any case and what follows the spaces") {
  struct Row {
    std::string line;
    Verb verb;
    std::string argument;
  };
  const Row rows[] = {
      {"EHLO mx.example", Verb::ehlo, "mx.example"},
      {"helo x", Verb::helo, "x"},
      {"LhLo x ", Verb::lhlo, "x"},
      {"MAIL FROM:<a@b> SIZE=1", Verb::mail, "FROM:<a@b> SIZE=1"},
      {"RCPT  TO:<a@b>\t ", Verb::rcpt, "TO:<a@b>"},
      {"DATA", Verb::data, ""},
      {"DATA  ", Verb::data, ""},
      {"BDAT 10 LAST", Verb::bdat, "10 LAST"},
      {"RSET", Verb::rset, ""},
      {"NOOP hello", Verb::noop, "hello"},
      {"VRFY a", Verb::vrfy, "a"},
      {"EXPN a", Verb::expn, "a"},
      {"HELP", Verb::help, ""},
      {"QUIT", Verb::quit, ""},
      {"STARTTLS", Verb::starttls, ""},
      {"AUTH PLAIN AGE=", Verb::auth, "PLAIN AGE="},
      {"ATRN a.example", Verb::atrn, "a.example"},
      {"ETRN a", Verb::etrn, "a"},
      {"TURN", Verb::turn, ""},
      {"", Verb::unknown, ""},
      {"   ", Verb::unknown, ""},
      {" QUIT", Verb::unknown, "QUIT"},
      {"QUIT\r", Verb::unknown, ""},
      {"QUIT\0"s, Verb::unknown, ""},
      {"MAILFROM:<a@b>", Verb::unknown, ""},
      {"X", Verb::unknown, ""},
      {"unknown", Verb::unknown, ""},
      {"XCLIENT ADDR=1.2.3.4", Verb::unknown, "ADDR=1.2.3.4"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.line);
    const Command command = parse_command(row.line);
    CHECK(command.verb == row.verb);
    CHECK(command.argument == row.argument);
    if (row.verb != Verb::unknown) CHECK(parse_command(std::string(name(row.verb)) + " x").verb == row.verb);
  }
  CHECK(name(Verb::unknown) == "unknown");
}

TEST_CASE("MAIL gives its path and what we know of parameters") {
  const auto mail =
      parse_mail("from:<a@b.example> SIZE=1000 body=8bitmime SMTPUTF8 ret=hdrs ENVID=QQ+2B314 AUTH=<admin>");
  REQUIRE(mail);
  CHECK(mail->reverse_path.mailbox == Mailbox{"a", "b.example"});
  CHECK(mail->size == 1000U);
  CHECK(mail->body == BodyType::eight_bit_mime);
  CHECK(mail->smtputf8);
  CHECK(mail->ret == "HDRS");
  CHECK(mail->envid == "QQ+2B314");
  CHECK(mail->auth == "<admin>");

  const auto plain = parse_mail("FROM:<>");
  REQUIRE(plain);
  CHECK(plain->reverse_path.is_null);
  CHECK_FALSE(plain->size);
  CHECK(plain->body == BodyType::unspecified);
  CHECK_FALSE(plain->smtputf8);
}

TEST_CASE("A space after the colon is put up with, as RFC 2645's own example has one") {
  CHECK(parse_mail("FROM: <a@b>"));
  CHECK(parse_mail("FROM:   <>  SIZE=5  "));
  CHECK(parse_mail("FROM:a@b SIZE=5"));
  CHECK(parse_rcpt("TO: <a@b>"));
  CHECK(parse_rcpt("to:a@b"));
}

TEST_CASE("MAIL is refused with the code that says what is wrong with it") {
  struct Row {
    std::string argument;
    int code;
  };
  const Row rows[] = {
      {"", 501},
      {"FROM", 501},
      {"FROM:", 501},
      {"FROM :<a@b>", 501},
      {"TO:<a@b>", 501},
      {"<a@b>", 501},
      {"FROM:<a>", 501},
      {"FROM:<postmaster>", 501},
      {"FROM:<a@b>SIZE=1", 501},
      {"FROM:<a@b> SIZE", 501},
      {"FROM:<a@b> SIZE=", 501},
      {"FROM:<a@b> SIZE=-1", 501},
      {"FROM:<a@b> SIZE=1k", 501},
      {"FROM:<a@b> SIZE=123456789012345678901", 501},
      {"FROM:<a@b> SIZE=1=2", 501},
      {"FROM:<a@b> BODY=9BIT", 501},
      {"FROM:<a@b> BODY", 501},
      {"FROM:<a@b> SMTPUTF8=1", 501},
      {"FROM:<a@b> RET=ALL", 501},
      {"FROM:<a@b> ENVID=a+0D+0Ab", 501},
      {"FROM:<a@b> ENVID=a+0db", 501},
      {"FROM:<a@b> ENVID=+00", 501},
      {"FROM:<a@b> ENVID=+7F", 501},
      {"FROM:<a@b> ENVID=+C3+BC", 501},
      {"FROM:<a@b> ENVID=ü", 501},
      {"FROM:<a@b> ENVID=a+", 501},
      {"FROM:<a@b> ENVID=a+2", 501},
      {"FROM:<a@b> ENVID=a+2G", 501},
      {"FROM:<a@b> ENVID=" + std::string(101, 'x'), 501},
      {"FROM:<a@b> ENVID", 501},
      {"FROM:<a@b> AUTH", 501},
      {"FROM:<a@b> =x", 501},
      {"FROM:<a@b> -X=1", 501},
      {"FROM:<a@b> S\rIZE=1", 501},
      {"FROM:<a@b> AUTH=a\rb", 501},
      {"FROM:<a@b> AUTH=a\0b"s, 501},
      {"FROM:<a@b> AUTH=\xff", 501},
      {"FROM:<a@b>\tSIZE=1", 501},
      {"FROM:<a@b> XOORG=x", 555},
      {"FROM:<a@b> NOTIFY=NEVER", 555},
      {"FROM:<a@b> SIZE=1 SIZE=1", 555},
      {"FROM:<a@b> size=1 SIZE=2", 555},
      {"FROM:<" + std::string(300, 'a') + "@b>", 553},
      {"FROM:<a@" + std::string(65536, 'b') + ">", 553},
      {"FROM:<\xff@b>", 553},
      {"FROM:<a@b\xc3>", 553},
  };
  for (const Row& row : rows) {
    CAPTURE(row.argument.substr(0, 80));
    const auto mail = parse_mail(row.argument);
    CHECK(refusal(mail) == row.code);
    if (!mail) CHECK(mail.error().text.substr(0, 2) == "5.");
  }
}

TEST_CASE("SIZE takes twenty digits, and what 64 bits cannot hold is simply too much") {
  CHECK(parse_mail("FROM:<> SIZE=18446744073709551615")->size == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_mail("FROM:<> SIZE=99999999999999999999")->size == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_mail("FROM:<> SIZE=00000000000000000005")->size == 5U);
  CHECK(parse_mail("FROM:<> BODY=7BIT")->body == BodyType::seven_bit);
  CHECK(parse_mail("FROM:<> BODY=BinaryMime")->body == BodyType::binary_mime);
  CHECK(parse_mail("FROM:<> ENVID=" + std::string(100, 'x')));
  CHECK(parse_mail("FROM:<> ENVID=a+20b+3D"));
}

TEST_CASE("RCPT gives its path and the notices asked for") {
  const auto rcpt = parse_rcpt("TO:<a@b.example> NOTIFY=SUCCESS,delay ORCPT=rfc822;a+2Bx@b.example");
  REQUIRE(rcpt);
  CHECK(rcpt->forward_path.mailbox == Mailbox{"a", "b.example"});
  CHECK(rcpt->notify == "SUCCESS,delay");
  CHECK(rcpt->orcpt == "rfc822;a+2Bx@b.example");
  CHECK(parse_rcpt("TO:<postmaster>")->forward_path.mailbox == Mailbox{"postmaster", ""});
  CHECK(parse_rcpt("TO:<@x:a@b>")->forward_path.source_route == "@x");
  for (const char* notify : {"NEVER", "never", "SUCCESS", "FAILURE,DELAY,SUCCESS"}) {
    CHECK(parse_rcpt("TO:<a@b> NOTIFY="s + notify));
  }
  for (const char* orcpt : {"rfc822;", "utf-8;\\x{FC}@b", "utf-8;ü@b", "x400;/c=de/"}) {
    const bool has_equals = std::string_view(orcpt).find('=') != std::string_view::npos;
    CHECK(parse_rcpt("TO:<a@b> ORCPT="s + orcpt).has_value() == !has_equals);
  }
  CHECK(parse_rcpt("TO:<a@b> ORCPT=rfc822;" + std::string(493, 'x')));
}

TEST_CASE("RCPT is refused with the code that says what is wrong with it") {
  struct Row {
    std::string argument;
    int code;
  };
  const Row rows[] = {
      {"", 501},
      {"TO:", 501},
      {"TO:<>", 501},
      {"FROM:<a@b>", 501},
      {"TO:<a@own@other>", 501},
      {"TO:<a@own.>", 501},
      {"TO:<a@b> NOTIFY", 501},
      {"TO:<a@b> NOTIFY=NEVER,SUCCESS", 501},
      {"TO:<a@b> NOTIFY=SUCCESS,NEVER", 501},
      {"TO:<a@b> NOTIFY=SUCCESS,", 501},
      {"TO:<a@b> NOTIFY=,", 501},
      {"TO:<a@b> NOTIFY=DELAY,DELAY", 501},
      {"TO:<a@b> NOTIFY=x", 501},
      {"TO:<a@b> ORCPT=a@b", 501},
      {"TO:<a@b> ORCPT=;a@b", 501},
      {"TO:<a@b> ORCPT=rfc822;a+0Ab", 501},
      {"TO:<a@b> ORCPT=rfc822;ü@b", 501},
      {"TO:<a@b> ORCPT=utf-8;a+0Ab", 501},
      {"TO:<a@b> ORCPT=rfc 822;a", 501},
      {"TO:<a@b> ORCPT=rfc822;" + std::string(494, 'x'), 501},
      {"TO:<a@b> SIZE=1", 555},
      {"TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;b", 555},
      {"TO:<" + std::string(300, 'a') + "@b>", 553},
  };
  for (const Row& row : rows) {
    CAPTURE(row.argument.substr(0, 80));
    CHECK(refusal(parse_rcpt(row.argument)) == row.code);
  }
}

TEST_CASE("Many parameters cost no more than their length") {
  std::string argument = "FROM:<a@b>";
  for (int i = 0; i < 100'000; ++i) argument += " X" + std::to_string(i);
  CHECK(refusal(parse_mail(argument)) == 555);
  CHECK(refusal(parse_mail("FROM:<a@b>" + std::string(1'000'000, ' '))) == 0);
}

TEST_CASE("A parameter is found by its keyword in any case") {
  const Parameters parameters{{"SIZE", "1"}, {"SMTPUTF8", std::nullopt}};
  REQUIRE(find(parameters, "size"));
  CHECK(find(parameters, "SIZE")->value == "1");
  CHECK_FALSE(find(parameters, "smtputf8")->value);
  CHECK(find(parameters, "BODY") == nullptr);
}

TEST_CASE("ATRN gives domains in canonical form, none when it names none") {
  CHECK(parse_atrn("") == Domains{});
  CHECK(parse_atrn("own.example") == Domains{"own.example"});
  CHECK(parse_atrn("Own.EXAMPLE,xn--Bcher-kva.example,a.b.c") ==
        Domains{"own.example", "xn--bcher-kva.example", "a.b.c"});
  for (const std::string& argument : {","s,          "a.b,"s,          ",a.b"s,        "a.b,,c.d"s,
                                      "a.b, c.d"s,   "a.b ,c.d"s,      "a.b c.d"s,     " a.b"s,
                                      "a"s,          "a.b,localhost"s, "*"s,           "@a.example"s,
                                      "A.EXAMPLE."s, "#queue"s,        "[127.0.0.1]"s, "bücher.example"s,
                                      "a.b\r\n"s,    "a.b\0"s,         "a_b.c"s,       "a.b;id"s,
                                      "../../x"s,    "-a.b"s}) {
    CAPTURE(argument);
    CHECK(refusal(parse_atrn(argument)) == 501);
  }
}

TEST_CASE("command: ETRN", "[command]") {
  using Kind = EtrnCommand::Kind;
  const auto parsed = [](const std::string& argument) {
    const auto command = parse_etrn(argument).value();
    return std::pair(command.kind, command.name);
  };
  CHECK(parsed("Own.EXAMPLE") == std::pair(Kind::node, std::string("own.example")));
  CHECK(parsed("@own.example") == std::pair(Kind::with_all_below, std::string("own.example")));
  CHECK(parsed("@org") == std::pair(Kind::with_all_below, std::string("org")));
  CHECK(parsed("#Some-Queue") == std::pair(Kind::queue, std::string("Some-Queue")));
  CHECK(refusal(parse_etrn("")) == 500);
  for (const std::string argument : {"@", "#", "# x", "a b", "a,b", "@@a.example", "a..b",
                                     "b\xc3\xbc"
                                     "cher.example",
                                     "#b\xc3\xbc"
                                     "cher",
                                     "a.example x", "#a\tb", "-"}) {
    INFO(argument);
    CHECK(refusal(parse_etrn(argument)) == 501);
  }
}

TEST_CASE("Ten thousand domains in one ATRN are read, or refused, without fuss") {
  std::string argument = "a0.example";
  for (int i = 1; i < 10'000; ++i) argument += ",a" + std::to_string(i) + ".example";
  CHECK(parse_atrn(argument)->size() == 10'000);
  CHECK(refusal(parse_atrn(std::string(100'000, ','))) == 501);
}

TEST_CASE("BDAT is a number, and LAST") {
  const auto taken = [](std::string_view argument) {
    const auto bdat = parse_bdat(argument);
    return bdat ? std::to_string(bdat->size) + (bdat->last ? " last" : "") : std::to_string(-bdat.error().code);
  };
  CHECK(taken("0") == "0");
  CHECK(taken("0 LAST") == "0 last");
  CHECK(taken("86 last") == "86 last");
  CHECK(taken("86  LAST") == "86 last");
  CHECK(taken("18446744073709551615") == "18446744073709551615");
  for (const std::string& argument : {""s, "LAST"s, "-1"s, "+1"s, "1x"s, "0x10"s, "5 LAST LAST"s, "5 FIRST"s, "5LAST"s,
                                      "99999999999999999999"s, "000000000000000000001"s, "1 2"s, "1\r"s}) {
    CAPTURE(argument);
    CHECK(taken(argument) == "-501");
  }
}

TEST_CASE("A command line that we send holds no control character and no octet too many") {
  CHECK(command_line("NOOP") == "NOOP\r\n"s);
  CHECK(command_line(std::string(510, 'x')));
  REQUIRE_FALSE(command_line(std::string(511, 'x')));
  CHECK(command_line(std::string(511, 'x')).error().code == Errc::too_long);
  CHECK(command_line(std::string(511, 'x'), 513));
  for (int c = 0; c < 256; ++c) {
    const bool control = c < 0x20 || c == 0x7f;
    CHECK(command_line("NOOP a"s + static_cast<char>(c) + "b").has_value() == !control);
  }
  CHECK(command_line("NOOP\r\nQUIT").error().code == Errc::malformed);
}

TEST_CASE("MAIL is written with what the transaction asks for") {
  Path null;
  null.is_null = true;
  CHECK(mail_line(null, {}) == "MAIL FROM:<>\r\n"s);

  Path path;
  path.mailbox = {"\"a b\"", "c.example"};
  path.source_route = "@x";
  MailOptions options;
  options.size = 0;
  options.body = BodyType::binary_mime;
  options.smtputf8 = true;
  options.ret = "FULL";
  options.envid = "x+2B";
  CHECK(mail_line(path, options) ==
        "MAIL FROM:<\"a b\"@c.example> SIZE=0 BODY=BINARYMIME SMTPUTF8 RET=FULL ENVID=x+2B\r\n"s);
}

TEST_CASE("RCPT is written with the notices asked for") {
  CHECK(rcpt_line({"a", "b"}) == "RCPT TO:<a@b>\r\n"s);
  CHECK(rcpt_line({"postmaster", ""}) == "RCPT TO:<postmaster>\r\n"s);
  CHECK(rcpt_line({"a", "b"}, "NEVER", "rfc822;a@b") == "RCPT TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a@b\r\n"s);
  // The longest of everything still goes: the extensions' growth of the line counts.
  CHECK(rcpt_line({std::string(252, 'a'), "b"}, "SUCCESS,FAILURE,DELAY", "rfc822;" + std::string(493, 'x')));
}

TEST_CASE("No field of a transaction can begin another command or parameter") {
  for (const std::string& evil : {"\r\nRCPT TO:<e@x>"s, "a\0"s, "a\n"s, "a> SIZE=1"s, "a@x> AUTH=<"s, " "s, "a b"s,
                                  "<"s, ""s, "a\x7f"s, "x\" y"s}) {
    CAPTURE(evil);
    Path path;
    path.mailbox = {evil, "b"};
    CHECK_FALSE(mail_line(path, {}));
    path.mailbox = {"a", "b" + evil + "c"};
    if (!evil.empty()) CHECK_FALSE(mail_line(path, {}));
    CHECK_FALSE(rcpt_line({evil, "b"}));
    if (!evil.empty()) CHECK_FALSE(rcpt_line({"a", "b" + evil + "c"}));

    path.mailbox = {"a", "b"};
    MailOptions options;
    options.envid = evil;
    if (!evil.empty() && evil != "<") CHECK_FALSE(mail_line(path, options));
    options.envid.clear();
    options.ret = evil;
    if (!evil.empty()) CHECK_FALSE(mail_line(path, options));
    if (!evil.empty()) CHECK_FALSE(rcpt_line({"a", "b"}, evil));
    if (!evil.empty()) CHECK_FALSE(rcpt_line({"a", "b"}, {}, evil));
  }
  // An escape that is cut off is not completed by what lies behind it in memory.
  CHECK_FALSE(rcpt_line({"a", "b"}, {}, std::string_view("rfc822;a+2B").substr(0, 10)));
  CHECK_FALSE(rcpt_line({"a", ""}));
  CHECK_FALSE(rcpt_line({"a@b", ""}));
  CHECK_FALSE(rcpt_line({"a", "b@c"}));
  CHECK_FALSE(rcpt_line({"@x:a", "b"}));
  CHECK_FALSE(mail_line(Path(), {}));
}

TEST_CASE("Domains are spread over as few ATRN lines as 512 octets allow, in their order") {
  CHECK(split_for_atrn({}).empty());
  CHECK(split_for_atrn({"a.b"}) == std::vector<Domains>{{"a.b"}});

  for (const std::size_t length : {3U, 11U, 49U, 100U, 200U, 255U}) {
    CAPTURE(length);
    Domains domains;
    for (int i = 0; i < 100; ++i) {
      std::string domain = std::to_string(i % 10);
      while (domain.size() < length) domain += domain.size() + 1 < length && domain.size() % 2 == 1 ? "." : "a";
      domains.push_back(domain);
    }
    Domains again;
    const auto lines = split_for_atrn(domains);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto line = atrn_line(lines[i]);
      REQUIRE(line);
      CHECK(line->size() <= 512);
      // The next domain would not have fitted.
      if (i + 1 < lines.size()) CHECK(line->size() + 1 + lines[i + 1].front().size() > 512);
      again.insert(again.end(), lines[i].begin(), lines[i].end());
    }
    CHECK(again == domains);
  }
}

TEST_CASE("An ATRN line of exactly 512 octets goes, and one of 513 does not") {
  const auto domain_of = [](std::size_t length) {
    std::string domain = "a";
    while (domain.size() < length) domain += domain.size() + 1 < length && domain.size() % 2 == 1 ? "." : "a";
    return domain;
  };
  const std::string half = domain_of(252);
  const Domains fits{half, domain_of(252)};  // "ATRN " + 252 + "," + 252 + CRLF
  CHECK(atrn_line(fits)->size() == 512);
  CHECK(split_for_atrn(fits).size() == 1);
  const Domains too_long{half, domain_of(253)};
  CHECK(atrn_line(too_long).error().code == Errc::too_long);
  CHECK(split_for_atrn(too_long).size() == 2);
}

TEST_CASE("ATRN is written with A-labels, and with nothing that is no domain") {
  CHECK(atrn_line({}) == "ATRN\r\n"s);
  CHECK(atrn_line({"own.example"}) == "ATRN own.example\r\n"s);
  CHECK(atrn_line({"Own.example", "bücher.example"}) == "ATRN own.example,xn--bcher-kva.example\r\n"s);
  for (const std::string& evil : {"a.example\r\nMAIL FROM:<>"s, "a.b,c.d"s, "a b"s, ""s, "*"s, "a.b\0"s}) {
    CHECK_FALSE(atrn_line({"own.example", evil}));
  }
}

TEST_CASE("a trace shows AUTH without what may be the password") {
  CHECK(smtp::without_secret("AUTH PLAIN AGEAYg==") == "AUTH PLAIN *****");
  CHECK(smtp::without_secret("auth  LOGIN dXNlcg==") == "auth  LOGIN *****");
  CHECK(smtp::without_secret("AUTH CRAM-MD5") == "AUTH CRAM-MD5");
  CHECK(smtp::without_secret("AUTH ") == "AUTH ");
  CHECK(smtp::without_secret("MAIL FROM:<a@b> AUTH=<>") == "MAIL FROM:<a@b> AUTH=<>");
}
