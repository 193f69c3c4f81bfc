// Mail on its way into odmrd's spool, by LMTP and SMTP, and who is woken by it: whole sessions in memory.

#include <catch2/catch.hpp>
#include <iostream>

#include "../pure/fake_files.hpp"
#include "net/delay.hpp"
#include "provider/intake.hpp"
#include "provider_house.hpp"

namespace odmr::test {

namespace {

using net::Task;
using provider::Folder;

// The house, and its door for mail.
struct Post {
  explicit Post(House& house_of) : house(house_of) {
    options.hostname = session.hostname = "odmr.example.net";
    options.limits.max_size = session.offer.size = 100000;
    options.free_space = [this] { return Result<std::uint64_t>(space); };
    session.offer.smtputf8 = session.offer.chunking = true;
    session.is_lmtp = true;
  }

  Task<> serve(net::Stream stream) {
    const auto caller = intake::Caller::of(stream.peer());
    provider::Intake handler(options, caller, session.is_lmtp, house.customers, *house.mail, house.simulation,
                             house.log);
    const auto ended = co_await server::serve_mail(std::move(stream), handler, session, house.log, house.stop);
    static_cast<void>(ended);
  }

  /// Says all of it at once; what is heard, until the line ends, with CR taken out.
  std::string play(std::string bytes, net::Faults faults = {}) {
    auto line = net::memory_line(house.simulation, "uid 106", "odmr.example.net", std::move(faults));
    house.simulation.start(serve(net::Stream(std::move(line.first), house.simulation)));
    heard.clear();
    REQUIRE(house.simulation.run(speak(net::Stream(std::move(line.second), house.simulation), std::move(bytes))));
    house.simulation.settle();
    heard.erase(std::remove(heard.begin(), heard.end(), '\r'), heard.end());
    return heard;
  }

  Task<> speak(net::Stream stream, std::string bytes) {
    co_await stream.write(bytes, std::chrono::minutes(1));
    for (;;) {
      const auto filled = co_await stream.fill(house.simulation.now() + std::chrono::minutes(30));
      heard += stream.buffered();
      stream.consume(stream.buffered().size());
      if (!filled) co_return;
    }
  }

  /// The bytes of a held message.
  std::string text_of(const std::string& id) const {
    const auto store = provider::open_folder(house.directory.path(), Folder::held);
    auto reader = store->open(id);
    REQUIRE(reader);
    std::string text;
    std::string piece(4096, '\0');
    for (;;) {
      const auto count = reader->read(piece.data(), piece.size());
      REQUIRE(count);
      if (*count == 0) return text;
      text += piece.substr(0, *count);
    }
  }
  spool::Envelope envelope_of(const std::string& id) const {
    const auto store = provider::open_folder(house.directory.path(), Folder::held);
    return store->open(id)->envelope();
  }
  /// Files that no message is in.
  std::size_t half_written() const { return list_files(house.directory / "tmp"); }
  static std::size_t list_files(const std::string& directory) {
    const auto opened = system_files().open_dir(directory);
    return opened ? system_files().list(opened->get())->size() : 0;
  }

  House& house;
  provider::IntakeOptions options;
  server::MailSessionOptions session;
  std::uint64_t space = 1'000'000'000;
  std::string heard;
};

std::string letter(const std::string& recipients, const std::string& text = "Subject: x\r\n\r\nhello\r\n") {
  std::string commands = "LHLO mx.example.net\r\nMAIL FROM:<a@sender.example> BODY=7BIT\r\n";
  for (std::size_t begin = 0; begin < recipients.size();) {
    const auto end = recipients.find(' ', begin);
    commands += "RCPT TO:<" + recipients.substr(begin, end - begin) + ">\r\n";
    begin = end == std::string::npos ? recipients.size() : end + 1;
  }
  return commands + "DATA\r\n" + text + ".\r\nQUIT\r\n";
}

// The replies behind the one to DATA.
std::string behind_data(const std::string& heard) {
  const auto at = heard.find("\n354 ");
  return at == std::string::npos ? heard : heard.substr(heard.find('\n', at + 1) + 1);
}

}  // namespace

TEST_CASE("intake: a message by LMTP is held, with our Received line and nothing else changed", "[intake]") {
  House house;
  Post post(house);
  const auto heard = post.play(letter("anna@example.org bert@example.com"));
  REQUIRE(house.held() == 1);
  const auto id = house.ids(Folder::held).front();
  CHECK(heard ==
        "220 odmr.example.net LMTP odmr\n250-odmr.example.net\n250-PIPELINING\n250-8BITMIME\n250-ENHANCEDSTATUSCODES\n"
        "250-SIZE 100000\n250-SMTPUTF8\n250 CHUNKING\n250 2.1.0 OK\n250 2.1.5 OK\n250 2.1.5 OK\n"
        "354 end with CRLF.CRLF\n250 2.0.0 held as " +
            id + "\n250 2.0.0 held as " + id + "\n221 2.0.0 odmr.example.net closes\n");
  const auto text = post.text_of(id);
  CHECK(text.starts_with("Received: from mx.example.net (uid 106)"));
  CHECK(text.find("with LMTP") != std::string::npos);
  CHECK(text.find("id " + id) != std::string::npos);
  CHECK(text.ends_with("\r\nSubject: x\r\n\r\nhello\r\n"));
  const auto envelope = post.envelope_of(id);
  CHECK(envelope.reverse_path == "a@sender.example");
  CHECK(envelope.attributes.empty());
  REQUIRE(envelope.recipients.size() == 2);
  CHECK(envelope.recipients[1].address == "bert@example.com");
  MailServer server(house);
  CHECK(fetch(house, server).atrn == "250 2.0.0 turning the line round");
  REQUIRE(server.taken.size() == 1);
  CHECK(server.taken[0].content == text);
}

TEST_CASE("intake: LMTP and SMTP are not taken for each other", "[intake]") {
  House house;
  Post post(house);
  CHECK(post.play("EHLO x\r\nHELO x\r\nQUIT\r\n") ==
        "220 odmr.example.net LMTP odmr\n500 5.5.1 this is LMTP: LHLO\n500 5.5.1 this is LMTP: LHLO\n"
        "221 2.0.0 odmr.example.net closes\n");
  post.session.is_lmtp = false;
  CHECK(post.play("LHLO x\r\nQUIT\r\n") ==
        "220 odmr.example.net ESMTP odmr\n500 5.5.1 this is SMTP: EHLO\n221 2.0.0 odmr.example.net closes\n");
}

TEST_CASE("intake: what says nothing of its body may be 8-bit, and SMTPUTF8 is remembered", "[intake]") {
  House house;
  Post post(house);
  post.play(
      "LHLO x\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<j\xc3\xb6rg@example.org>\r\nDATA\r\n\r\n\xe4\r\n.\r\nQUIT\r\n");
  REQUIRE(house.held() == 1);
  const auto envelope = post.envelope_of(house.ids(Folder::held).front());
  CHECK(envelope.reverse_path.empty());
  CHECK(envelope.attributes == spool::Attributes{{provider::k_body, "8BITMIME"}, {provider::k_smtputf8, "envelope"}});
}

TEST_CASE("intake: no domain but the customers', and there the recipients that there are", "[intake]") {
  House house;
  auto known = std::make_shared<provider::KnownRecipients>();
  REQUIRE(known->add("Anna@example.org"));
  REQUIRE(known->add("bert"));
  known->set_delimiter("+");
  house.accounts_of([&](provider::Customer& customer) {
    if (customer.name == "example") customer.recipients = known;
  });
  Post post(house);
  const auto heard = post.play(
      "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@nobody.example>\r\nRCPT TO:<a%b@nobody.example>\r\nRCPT "
      "TO:<carl@example.org>"
      "\r\nRCPT TO:<ANNA+x@EXAMPLE.ORG>\r\nRCPT TO:<anna@example.com>\r\nRCPT TO:<bert@example.com>\r\n"
      "RCPT TO:<postmaster@example.com>\r\nRCPT TO:<anybody@other.example>\r\nRCPT TO:<postmaster>\r\nQUIT\r\n");
  CHECK(heard.substr(heard.find("2.1.0 OK\n") + 9) ==
        "550 5.7.1 no customer here has this domain\n550 5.7.1 no customer here has this domain\n"
        "550 5.1.1 no such mailbox\n250 2.1.5 OK\n550 5.1.1 no such mailbox\n250 2.1.5 OK\n250 2.1.5 OK\n"
        "250 2.1.5 OK\n550 5.7.1 no customer here has this domain\n221 2.0.0 odmr.example.net closes\n");
  CHECK(house.held() == 0);
  CHECK(post.half_written() == 0);
}

TEST_CASE("intake: each customer has its own copy, and by LMTP its own answer", "[intake]") {
  House house;
  house.accounts_of([](provider::Customer& customer) { customer.quota = customer.name == "other" ? 1000 : 0; });
  Post post(house);
  SECTION("both have room") {
    const auto heard = behind_data(post.play(letter("a@example.org b@other.example c@example.com")));
    CHECK(house.held() == 2);
    const auto ids = house.ids(Folder::held);
    CHECK(heard == "250 2.0.0 held as " + ids[0] + "\n250 2.0.0 held as " + ids[1] + "\n250 2.0.0 held as " + ids[0] +
                       "\n221 2.0.0 odmr.example.net closes\n");
    CHECK(post.envelope_of(ids[1]).recipients.size() == 1);
  }
  SECTION("one's quota is used up by it: LMTP") {
    const auto heard =
        behind_data(post.play(letter("a@example.org b@other.example", "\r\n" + std::string(1200, 'x') + "\r\n")));
    REQUIRE(house.held() == 1);
    CHECK(heard == "250 2.0.0 held as " + house.ids(Folder::held)[0] +
                       "\n452 4.2.2 more mail is held for this domain than is allowed: later\n"
                       "221 2.0.0 odmr.example.net closes\n");
  }
  SECTION("one's quota is used up by it: SMTP has one answer, and nothing is held") {
    post.session.is_lmtp = false;
    auto commands = letter("a@example.org b@other.example", "\r\n" + std::string(1200, 'x') + "\r\n");
    commands.replace(0, 4, "EHLO");
    CHECK(behind_data(post.play(commands)) ==
          "452 4.2.2 more mail is held for this domain than is allowed: later\n221 2.0.0 odmr.example.net closes\n");
    CHECK(house.held() == 0);
  }
  SECTION("and afterwards RCPT says so") {
    post.play(letter("b@other.example", "\r\n" + std::string(700, 'x') + "\r\n"));
    REQUIRE(house.held() == 1);
    CHECK(
        post.play("LHLO x\r\nMAIL FROM:<> SIZE=500\r\nRCPT TO:<b@other.example>\r\nRCPT TO:<a@example.org>\r\nQUIT\r\n")
            .find("452 4.2.2 more mail is held for this domain than is allowed: later\n250 2.1.5 OK\n") !=
        std::string::npos);
  }
  CHECK(post.half_written() == 0);
}

TEST_CASE("intake: what is too large, goes round, or has a lone newline is refused, and nothing of it stays",
          "[intake]") {
  House house;
  Post post(house);
  CHECK(behind_data(post.play(letter("a@example.org", std::string(100001, 'x') + "\r\n"))) ==
        "552 5.3.4 at most 100000 octets are taken here\n221 2.0.0 odmr.example.net closes\n");
  std::string hops;
  for (int i = 0; i <= 100; ++i) hops += "Received: by x\r\n";
  CHECK(behind_data(post.play(letter("a@example.org", hops + "\r\n"))) ==
        "554 5.4.6 too many hops: this message goes round in a loop\n221 2.0.0 odmr.example.net closes\n");
  CHECK(behind_data(post.play(letter("a@example.org", "\r\na\nb\r\n"))) ==
        "550 5.6.11 a CR or an LF stands alone in the message\n221 2.0.0 odmr.example.net closes\n");
  CHECK(house.held() == 0);
  CHECK(post.half_written() == 0);
}

TEST_CASE("intake: a disk without room puts mail off before it comes", "[intake]") {
  House house;
  Post post(house);
  post.options.spare = 1000;
  post.space = 1500;
  const auto heard = post.play("LHLO x\r\nMAIL FROM:<> SIZE=501\r\nMAIL FROM:<> SIZE=500\r\nQUIT\r\n");
  CHECK(heard.find("452 4.3.1 the spool has no room for this now\n250 2.1.0 OK\n") != std::string::npos);
}

// --- faults

TEST_CASE("intake: whichever call to the disk fails, 250 means that it is there", "[intake][cut]") {
  std::size_t trials = 0;
  std::size_t harmless = 0;
  for (std::size_t which = 1;; ++which) {
    FailingFiles files(which, FailingFiles::How::refuse);
    std::optional<House> house;
    try {
      house.emplace(files);
    } catch (const std::runtime_error&) {
      continue;  // it is the opening that fails
    }
    if (files.reached()) continue;  // harmless there
    Post post(*house);
    const auto heard = behind_data(post.play(letter("a@example.org b@other.example")));
    const bool is_taken = heard.starts_with("250 ");
    INFO(which << ": " << heard);
    CHECK((is_taken || heard.find("45") == 0 || heard.find("\n45") != std::string::npos));
    CHECK(house->held() == (is_taken ? 2 : 0));
    CHECK((is_taken ? heard.find("\n250 ") != std::string::npos : heard.find("250 2.0.0") == std::string::npos));
    if (!files.reached()) break;
    ++trials;
    harmless += is_taken ? 1 : 0;
  }
  std::cout << "intake: each of " << trials << " calls to the disk made to fail: " << harmless
            << " harmless, the others answered 45x, nothing lost and nothing for one customer alone\n";
  CHECK(trials > 10);
}

TEST_CASE("intake: the line cut after every byte leaves a whole message or none", "[intake][cut]") {
  std::size_t trials = 0;
  std::size_t held = 0;
  const std::string bytes = letter("a@example.org b@other.example");
  for (std::size_t cut = 1; cut <= bytes.size(); ++cut) {
    House house(unsynced());
    Post post(house);
    net::Faults faults;
    faults.cut_after_read = cut;
    faults.cut = net::Cut::closed;
    post.play(bytes, faults);
    const bool is_whole = cut >= bytes.size() - std::string("QUIT\r\n").size();
    INFO(cut);
    CHECK(house.held() == (is_whole ? 2 : 0));
    CHECK(post.half_written() == 0);
    ++trials;
    held += house.held() / 2;
  }
  std::cout << "intake: cut after each of " << trials << " bytes: " << held << " whole, none half\n";
}

// --- mail at once

namespace {

Task<> put_later(House& house, Duration after, Post* post) {
  Stop never;
  co_await net::delay(house.simulation, after, never);
  if (post == nullptr) {
    house.put("a@sender.example", {"x@example.org"}, "from outside");
    co_await house.mail->look();
    co_return;
  }
  auto line = net::memory_line(house.simulation, "uid 106", "odmr.example.net");
  house.simulation.start(post->serve(net::Stream(std::move(line.first), house.simulation)));
  co_await post->speak(net::Stream(std::move(line.second), house.simulation), letter("x@example.org"));
}

void hold(House& house, Duration hold) {
  house.accounts_of([&](provider::Customer& customer) { customer.hold = hold; });
}

}  // namespace

TEST_CASE("hold: XHOLD is offered where a customer may wait, and ATRN then waits for mail", "[intake][hold]") {
  const bool is_told = GENERATE(true, false);
  House house(system_files(), is_told);
  hold(house, std::chrono::minutes(9));
  Post post(house);
  const bool is_from_outside = GENERATE(true, false);
  house.simulation.start(put_later(house, std::chrono::minutes(4), is_from_outside ? nullptr : &post));
  const auto heard =
      converse(house, house.clear, {"EHLO gw.example.org", "XHOLD", "LOGIN", "XHOLD", "ATRN example.org"});
  REQUIRE(heard.size() == 6);
  CHECK(heard[1].find(" XHOLD 540 ") != std::string::npos);
  CHECK(heard[2] == "530 5.7.0 log in first");
  CHECK(heard[4] == "250 2.0.0 ATRN waits for mail, for 540 seconds at most");
  CHECK(heard[5] == "250 2.0.0 turning the line round");
  CHECK(house.log.text.find("ATRN waits") != std::string::npos);
}

TEST_CASE("hold: no mail is answered 453 when the time is over", "[intake][hold]") {
  House house;
  hold(house, std::chrono::minutes(9));
  const auto begin = house.simulation.now();
  const auto heard = converse(house, house.clear, {"EHLO gw.example.org", "LOGIN", "XHOLD", "ATRN", "NOOP"});
  REQUIRE(heard.size() == 6);
  CHECK(heard[4] == "453 4.0.0 no mail has come");
  CHECK(heard[5] == "250 2.0.0 OK");
  CHECK(house.simulation.now() - begin >= std::chrono::minutes(9));
  CHECK(house.simulation.now() - begin < std::chrono::minutes(10));
}

TEST_CASE("hold: who does not ask for it is answered at once, unless all are held", "[intake][hold]") {
  House house;
  hold(house, std::chrono::minutes(9));
  const auto begin = house.simulation.now();
  CHECK(converse(house, house.clear, {"EHLO gw.example.org", "LOGIN", "ATRN"}).back() == "453 4.0.0 you have no mail");
  CHECK(house.simulation.now() - begin < std::chrono::minutes(1));
  house.accounts_of([](provider::Customer& customer) { customer.holds_all = true; });
  CHECK(converse(house, house.clear, {"EHLO gw.example.org", "LOGIN", "ATRN"}).back() == "453 4.0.0 no mail has come");
  hold(house, Duration::zero());
  CHECK(converse(house, house.clear, {"EHLO gw.example.org", "LOGIN", "XHOLD"}).back() ==
        "502 5.5.1 you are answered at once");
}

TEST_CASE("hold: mail of another customer, or for another domain, wakes nobody", "[intake][hold]") {
  House house;
  hold(house, std::chrono::minutes(9));
  house.simulation.start(put_later(house, std::chrono::minutes(1), nullptr));
  CHECK(converse(house, house.clear, {"EHLO gw.example.org", "LOGIN", "XHOLD", "ATRN example.com"}).back() ==
        "453 4.0.0 no mail has come");
  CHECK(house.held() == 1);
}

TEST_CASE("hold: something said before the reply ends the line, and a signal ends the wait", "[intake][hold]") {
  House house;
  hold(house, std::chrono::minutes(9));
  CHECK(converse(house, house.clear, {"EHLO gw.example.org", "LOGIN", "XHOLD", "ATRN\r\nQUIT\r\n", "HEAR"}).back() ==
        "closed");
  Stop& stop = house.stop;
  const auto stop_later = [](House& of, Stop& it) -> Task<> {
    Stop never;
    co_await net::delay(of.simulation, std::chrono::minutes(2), never);
    it.advance(Stop::Phase::finish);
  };
  house.simulation.start(stop_later(house, stop));
  const auto begin = house.simulation.now();
  const auto heard = converse(house, house.clear, {"EHLO gw.example.org", "LOGIN", "XHOLD", "ATRN", "HEAR"});
  REQUIRE(heard.size() == 6);
  CHECK(heard[4] == "453 4.0.0 no mail so far");
  CHECK(heard[5] == "421 4.3.2 odmr.example.net is being stopped");
  CHECK(house.simulation.now() - begin < std::chrono::minutes(3));
}

TEST_CASE("hold: a customer whose line died in silence is not kept out by it", "[intake][hold]") {
  House house;
  hold(house, std::chrono::minutes(9));
  // The first line goes on waiting; the second one gets the mail.
  net::Stream dead = house.connect();
  Fetched first;
  MailServer nobody(house);
  house.simulation.start(fetch_over(std::move(dead), nobody, "example.org", first));
  house.simulation.start(put_later(house, std::chrono::minutes(1), nullptr));
  MailServer server(house);
  Fetched second;
  house.simulation.run(fetch_later(house, std::chrono::minutes(2), server, "example.org", second));
  house.simulation.settle();
  CHECK(nobody.taken.size() + server.taken.size() == 1);
  CHECK(house.held() == 0);
}

TEST_CASE("hold: who waits has what another session lets go of", "[intake][hold]") {
  House house;
  hold(house, std::chrono::minutes(9));
  house.accounts_of([](provider::Customer& customer) { customer.holds_all = true; });
  house.put("a@sender.example", {"x@example.org"}, "one");
  // The first session's line dies in silence with the message under way.
  MailServer first(house);
  first.thinking = std::chrono::minutes(3);
  first.subjects = {{"one", smtp::Reply(451, "4.3.0 later")}};
  MailServer second(house);
  Fetched to_first;
  Fetched to_second;
  house.simulation.start(fetch_over(house.connect(), first, "", to_first));
  house.simulation.run(fetch_later(house, std::chrono::minutes(1), second, "", to_second));
  house.simulation.settle();
  CHECK(to_second.atrn == "250 2.0.0 turning the line round");
  CHECK(second.taken.size() == 1);
  CHECK(house.held() == 0);
}

TEST_CASE("provider: one ATRN at a time, of all the customer's domains, where that is wanted", "[intake][hold]") {
  House house;
  house.put("a@sender.example", {"x@example.org", "x@example.com"}, "one");
  MailServer first(house);
  MailServer second(house);
  Fetched to_first;
  Fetched to_second;
  first.thinking = std::chrono::minutes(1);
  house.simulation.start(fetch_later(house, std::chrono::seconds(10), second, "example.com", to_second));
  house.simulation.run(fetch_over(house.connect(), first, "example.org", to_first));
  house.simulation.settle();
  CHECK(to_first.atrn == "250 2.0.0 turning the line round");
  CHECK(to_second.atrn == "450 4.3.2 another session of yours is fetching mail");
}

TEST_CASE("provider: who asks again too soon is refused, and whoever had mail is not", "[intake][hold]") {
  House house;
  house.accounts_of([](provider::Customer& customer) { customer.atrn_interval = std::chrono::minutes(5); });
  house.put("a@sender.example", {"x@example.org"}, "one");
  MailServer server(house);
  CHECK(fetch(house, server).atrn == "250 2.0.0 turning the line round");
  CHECK(fetch(house, server).atrn == "453 4.0.0 you have no mail");
  house.put("a@sender.example", {"x@example.org"}, "two");
  CHECK(fetch(house, server).atrn == "450 4.7.0 you have asked a moment ago");
  Fetched later;
  house.simulation.run(fetch_later(house, std::chrono::minutes(5), server, "", later));
  CHECK(later.atrn == "250 2.0.0 turning the line round");
}

TEST_CASE("provider: a customer without ATRN, and a login by a domain's name", "[intake][hold]") {
  House house;
  house.put("a@sender.example", {"x@example.org"}, "one");
  CHECK(converse(house, house.clear, {"EHLO gw", "LOGIN", "ATRN"}, {"EXAMPLE.com", "secret", {}}).back() ==
        "250 2.0.0 turning the line round");
  house.accounts_of([](provider::Customer& customer) { customer.atrn = false; });
  CHECK(converse(house, house.clear, {"EHLO gw", "LOGIN", "ATRN"}).back() == "502 5.7.1 ATRN is not for you");
}

// --- who may ask

TEST_CASE("access: networks as they are written, and who is in them", "[intake][access]") {
  net::Networks networks;
  CHECK(networks.empty());
  for (const char* good : {"192.0.2.0/25", "198.51.100.7", "2001:db8:1::/48", "0.0.0.0/32"}) CHECK(networks.add(good));
  for (const char* bad : {"", "x", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/x", "2001:db8::1/64",
                          "2001:db8::/129", "192.0.2", "192.0.2.0/-1", "192.0.2.0/8/8"}) {
    INFO(bad);
    CHECK(!networks.add(bad));
  }
  for (const char* in :
       {"192.0.2.0:1", "192.0.2.127:65535", "[::ffff:192.0.2.5]:366", "198.51.100.7:1", "[2001:db8:1:ffff::1]:1"}) {
    INFO(in);
    CHECK(networks.has(in));
  }
  for (const char* out : {"192.0.2.128:1", "198.51.100.8:1", "[2001:db8:2::1]:1", "uid 106", "", "/run/odmr/submit:1",
                          "[::192.0.2.5]:1"}) {
    INFO(out);
    CHECK(!networks.has(out));
  }
}

TEST_CASE("access: who may not connect hears 554, and no more", "[intake][access]") {
  House house;
  const bool by_ignoring = GENERATE(true, false);
  auto& access = house.provider->access;
  REQUIRE((by_ignoring ? access.ignore : access.allow).add(by_ignoring ? "192.0.2.0/29" : "203.0.113.0/24"));
  CHECK(converse(house, house.clear, {"HEAR"}) ==
        std::vector<std::string>{"554 5.7.1 odmr.example.net has no service for you", "closed"});
  REQUIRE(access.allow.add("192.0.2.7"));
  access.ignore = {};
  CHECK(converse(house, house.clear, {"QUIT"}).front() == "220 odmr.example.net ODMR odmrd");
}

TEST_CASE("access: a customer that may say ATRN from some addresses alone", "[intake][access]") {
  House house;
  house.accounts_of([](provider::Customer& customer) { REQUIRE(customer.from.add("203.0.113.0/24")); });
  CHECK(converse(house, house.clear, {"EHLO gw", "LOGIN", "ATRN"}).back() == "450 4.7.1 not from this address");
  house.accounts_of([](provider::Customer& customer) { REQUIRE(customer.from.add("192.0.2.7")); });
  CHECK(converse(house, house.clear, {"EHLO gw", "LOGIN", "ATRN"}).back() == "453 4.0.0 you have no mail");
}

TEST_CASE("access: an address where logins fail is kept out, for a while; a login in time clears it",
          "[intake][access]") {
  House house;
  house.provider->guard = provider::LoginGuard({4, std::chrono::minutes(15), 10});
  const Account wrong{"example.org", "wrong", {sasl::Mechanism::cram_md5}};
  const std::vector<std::string> twice{"EHLO gw", "LOGIN", "LOGIN"};
  CHECK(converse(house, house.clear, twice, wrong).back().starts_with("535 "));
  CHECK(converse(house, house.clear, {"EHLO gw", "LOGIN"}).back().starts_with("235 "));
  CHECK(converse(house, house.clear, twice, wrong).back().starts_with("535 "));
  CHECK(converse(house, house.clear, twice, wrong).back().starts_with("535 "));
  CHECK(house.log.text.find("an address is kept out") != std::string::npos);
  CHECK(converse(house, house.clear, {"EHLO gw", "AUTH CRAM-MD5"}).back() ==
        "454 4.7.0 too many logins from your address have failed: later");
  Stop never;
  house.simulation.run(net::delay(house.simulation, std::chrono::minutes(15), never));
  CHECK(converse(house, house.clear, {"EHLO gw", "LOGIN"}).back().starts_with("235 "));
}

TEST_CASE("access: no more addresses are remembered than is allowed", "[intake][access]") {
  provider::LoginGuard guard({1, std::chrono::minutes(15), 3});
  const TimePoint now{};
  for (const char* address : {"a", "b", "c", "d"}) CHECK(guard.failed(address, now));
  CHECK(!guard.keeps_out("a", now));
  CHECK(guard.keeps_out("b", now));
  CHECK(!guard.failed("", now));
  CHECK(!guard.keeps_out("d", now + std::chrono::minutes(15)));
}

}  // namespace odmr::test
