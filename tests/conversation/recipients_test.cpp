// The recipients that a customer tells odmrd (XRECIPIENTS): odmr's half and odmrd's, in memory, and what the intake
// makes of them.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "../pure/fake_files.hpp"
#include "net/delay.hpp"
#include "net/digest.hpp"
#include "provider/intake.hpp"
#include "provider/recipient_book.hpp"
#include "provider_house.hpp"
#include "smtp/recipients.hpp"
#include "turn/recipients.hpp"

namespace odmr::test {

namespace {

using net::Task;
using provider::RecipientBook;
using provider::RecipientList;
using turn::RecipientsTold;
using Entries = std::vector<std::string>;

constexpr auto k_patience = std::chrono::minutes(30);

Entries entries(const std::vector<std::string>& texts) {
  Entries all;
  for (const auto& one : texts) all.push_back(smtp::recipient_entry(one).value());
  return all;
}

// A house whose customers may tell their recipients.
struct Lists {
  explicit Lists(FileOps& ops = unsynced()) : house(ops) {
    house.accounts_of([](provider::Customer& customer) { customer.uploads_recipients = true; });
    open(ops);
  }
  // As after a start of the daemon. Whether that was possible.
  bool open(FileOps& ops) {
    house.provider->recipients = nullptr;
    auto opened = RecipientBook::in(house.directory.path(), *house.disk, house.log, ops);
    if (!opened) return false;
    book = std::move(*opened);
    house.provider->recipients = book.get();
    return true;
  }

  /// What the intake says of an address.
  std::string rcpt(const std::string& address) {
    provider::IntakeOptions options;
    options.free_space = [] { return Result<std::uint64_t>(1U << 30U); };
    options.uploaded = book.get();
    provider::Intake intake(options, {}, true, house.customers, *house.mail, house.simulation, house.log);
    std::string reply;
    const auto ask = [](provider::Intake& of, std::string to, std::string& heard) -> Task<> {
      smtp::MailCommand mail;
      mail.reverse_path.is_null = true;
      const server::Hello hello{"mx.example.net", true};
      co_await of.on_mail(mail, hello);
      const auto parsed = smtp::parse_rcpt("TO:<" + to + ">");
      const auto said = co_await of.on_rcpt(*parsed);
      heard = said.joined();
    };
    house.simulation.run(ask(intake, address, reply));
    return reply;
  }
  bool takes(const std::string& address) { return rcpt(address).starts_with("250"); }

  House house;
  std::unique_ptr<RecipientBook> book;
};

// Logs in on a line and tells the entries, as odmr does; then ATRN, whose reply shows that the line is in step.
struct Told {
  std::optional<Result<RecipientsTold>> told;
  std::string atrn;
};

Task<> tell_over(net::Stream stream, std::string user, std::string password, Entries list, Told& told) {
  client::Session session(std::move(stream), client::Dialect::smtp, silent_log(), k_patience);
  const auto greeting = co_await session.read_reply(k_patience);
  if (!greeting) co_return;
  const auto hello = co_await session.ask("EHLO gw.example.org\r\n", k_patience);
  if (!hello) co_return;
  session.set_capabilities(smtp::Capabilities::from(*hello));
  client::Login login{std::move(user), Secret(password), {sasl::Mechanism::cram_md5}, false};
  const auto in = co_await client::log_in(session, login, client::TlsPolicy::none, k_patience);
  if (!in || !turn::takes_recipients(session)) co_return;
  Stop never;
  auto said = co_await turn::tell_recipients(session, list, k_patience, never);
  told.told.emplace(std::move(said));
  if (!*told.told) co_return session.close();
  const auto reply = co_await session.ask("ATRN\r\n", k_patience);
  if (reply) told.atrn = reply->joined();
  session.close();
}

Told tell(House& house, const Entries& list, const net::Faults& faults = {}, const std::string& user = "example.org",
          const std::string& password = "secret") {
  Told told;
  house.simulation.run(tell_over(house.connect(house.clear, faults), user, password, list, told));
  house.simulation.settle();
  return told;
}

RecipientsTold::How how(const Told& told) {
  if (!told.told || !*told.told) throw std::runtime_error("the conversation broke");
  return (*told.told)->how;
}

constexpr auto k_told = RecipientsTold::How::told;
constexpr auto k_known = RecipientsTold::How::known;
constexpr auto k_refused = RecipientsTold::How::refused;

// "KEY.NUMBER" and whatever else lies there.
std::vector<std::string> files_of(House& house) {
  std::vector<std::string> names;
  for (const auto& one : std::filesystem::directory_iterator(house.directory / "recipients"))
    names.push_back(one.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("recipients: told once, known from then on, and the intake refuses all others", "[recipients]") {
  Lists lists;
  CHECK(lists.takes("nobody@example.org"));
  const auto list = entries({"Anna@example.org", "bert", "@example.com"});
  const auto told = tell(lists.house, list);
  CHECK(how(told) == k_told);
  CHECK(told.atrn == "453 4.0.0 you have no mail");
  CHECK(lists.rcpt("nobody@example.org") == "550 5.1.1 no such mailbox");
  CHECK(lists.takes("anna@example.org"));
  CHECK(lists.takes("ANNA@EXAMPLE.ORG"));
  CHECK(lists.takes("anna+lists@example.org"));
  CHECK(lists.takes("bert@example.org"));
  CHECK(lists.takes("whoever@example.com"));
  CHECK(lists.takes("postmaster@example.org"));
  CHECK_FALSE(lists.takes("anna-lists@example.org"));

  // One question, and no list.
  const auto again = tell(lists.house, list);
  CHECK(how(again) == k_known);
  CHECK(lists.house.incoming->bytes.find("XRECIPIENTS ") == std::string::npos);
  // After a start, too.
  REQUIRE(lists.open(unsynced()));
  CHECK(how(tell(lists.house, list)) == k_known);
  CHECK_FALSE(lists.takes("nobody@example.org"));
  // No address is in the file.
  std::ifstream file(std::filesystem::path(lists.house.directory / "recipients") / files_of(lists.house).front());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(text.find("anna") == std::string::npos);
}

TEST_CASE("recipients: another list counts from the next RCPT on; an empty one withdraws it", "[recipients]") {
  Lists lists;
  CHECK(how(tell(lists.house, entries({"anna"}))) == k_told);
  CHECK(how(tell(lists.house, entries({"bert"}))) == k_told);
  CHECK_FALSE(lists.takes("anna@example.org"));
  CHECK(lists.takes("bert@example.org"));
  CHECK(files_of(lists.house).size() == 1);
  CHECK(how(tell(lists.house, {})) == k_told);
  CHECK(lists.takes("anna@example.org"));
  CHECK(lists.book->of("example") == nullptr);
  REQUIRE(lists.open(unsynced()));
  CHECK(lists.takes("nobody@example.org"));
}

TEST_CASE("recipients: a list says nothing of another customer's domains", "[recipients]") {
  Lists lists;
  CHECK(how(tell(lists.house, entries({"anna@example.org", "x@other.example"}), {}, "other.example", "another")) ==
        k_told);
  CHECK(lists.takes("nobody@example.org"));
  CHECK(lists.takes("x@other.example"));
  CHECK_FALSE(lists.takes("y@other.example"));
  CHECK(how(tell(lists.house, entries({"@other.example"}))) == k_told);
  CHECK_FALSE(lists.takes("y@other.example"));
  CHECK_FALSE(lists.takes("anna@example.org"));
}

TEST_CASE("recipients: beside a list in the configuration, either will do", "[recipients]") {
  Lists lists;
  auto known = std::make_shared<provider::KnownRecipients>();
  REQUIRE(known->add("carol"));
  lists.house.accounts_of([&](provider::Customer& customer) {
    customer.uploads_recipients = true;
    customer.recipients = known;
  });
  CHECK(lists.takes("carol@example.org"));
  CHECK_FALSE(lists.takes("anna@example.org"));
  CHECK(how(tell(lists.house, entries({"anna"}))) == k_told);
  CHECK(lists.takes("carol@example.org"));
  CHECK(lists.takes("anna@example.org"));
  CHECK_FALSE(lists.takes("bert@example.org"));
  // Whoever may not tell any more is not heard, whatever lies in the spool.
  lists.house.accounts_of([&](provider::Customer& customer) {
    customer.uploads_recipients = false;
    customer.recipients = nullptr;
  });
  CHECK(lists.takes("bert@example.org"));
}

TEST_CASE("recipients: who may not, or not so, is refused, and the line stays in step", "[recipients]") {
  Lists lists;
  House& house = lists.house;
  auto heard = converse(house, house.clear, {"EHLO x", "XRECIPIENTS", "LOGIN", "XRECIPIENTS x 1", "XRECIPIENTS 1"});
  REQUIRE(heard.size() == 6);
  CHECK(heard[1].find(" XRECIPIENTS 100000") != std::string::npos);
  CHECK(heard[2] == "530 5.7.0 log in first");
  CHECK(heard[4] == "501 5.5.4 the salt is what XRECIPIENTS alone is told");
  CHECK(heard[5] == "501 5.5.4 XRECIPIENTS takes the salt, and how many lines there will be");
  house.accounts_of([](provider::Customer& customer) { customer.uploads_recipients = customer.name == "other"; });
  CHECK(after_login(house, {"XRECIPIENTS"}).back() == "502 5.5.1 no list is taken from you");
  house.accounts_of([](provider::Customer& customer) { customer.uploads_recipients = false; });
  heard = converse(house, house.clear, {"EHLO x", "LOGIN", "XRECIPIENTS"});
  CHECK(heard[1].find("XRECIPIENTS") == std::string::npos);
  CHECK(heard.back() == "502 5.5.1 no such command here");
}

namespace {

// Says the list's lines behind the command for `count` of them, and then NOOP: what is heard of the list, and of NOOP.
// `SALT` in a line is the salt.
struct Upload {
  std::string count = "1";
  std::string lines;
  std::string reply;
  std::string noop;
};

Task<> upload_over(net::Stream stream, Upload& upload) {
  client::Session session(std::move(stream), client::Dialect::smtp, silent_log(), k_patience);
  static_cast<void>(co_await session.read_reply(k_patience));
  const auto hello = co_await session.ask("EHLO gw.example.org\r\n", k_patience);
  session.set_capabilities(smtp::Capabilities::from(*hello));
  client::Login login{"example.org", Secret("secret"), {sasl::Mechanism::cram_md5}, false};
  static_cast<void>(co_await client::log_in(session, login, client::TlsPolicy::none, k_patience));
  const auto asked = co_await session.ask("XRECIPIENTS\r\n", k_patience);
  const std::string salt = asked->joined().substr(10, 32);
  const auto may = co_await session.ask("XRECIPIENTS " + salt + " " + upload.count + "\r\n", k_patience);
  if (may->code == 354) {
    static_cast<void>(co_await session.send_content(upload.lines));
    const auto reply = co_await session.read_reply(k_patience);
    upload.reply = reply ? reply->joined() : "closed";
  } else {
    upload.reply = may->joined();
  }
  const auto noop = co_await session.ask("NOOP\r\n", k_patience);
  upload.noop = noop ? noop->joined() : "closed";
  session.close();
}

void run(House& house, Upload& upload) {
  house.simulation.run(upload_over(house.connect(), upload));
  house.simulation.settle();
}

const std::string k_low = std::string(63, '0') + "1\r\n";
const std::string k_high = std::string(63, '0') + "2\r\n";

}  // namespace

TEST_CASE("recipients: a list that is none changes nothing, and is read to its end", "[recipients]") {
  Lists lists;
  REQUIRE(how(tell(lists.house, entries({"anna"}))) == k_told);
  struct Case {
    std::string count;
    std::string lines;
    std::string reply;
  };
  const auto one = GENERATE(values<Case>({
      {"2", k_high + k_low + ".\r\n", "501 5.5.4 the lines have to come in ascending order, each once"},
      {"2", k_low + k_low + ".\r\n", "501 5.5.4 the lines have to come in ascending order, each once"},
      {"1", k_low + k_high + ".\r\n", "501 5.5.4 more lines came than were announced"},
      {"2", k_low + ".\r\n", "501 5.5.4 fewer lines came than were announced"},
      {"1", ".\r\n", "501 5.5.4 fewer lines came than were announced"},
      {"0", k_low + ".\r\n", "501 5.5.4 more lines came than were announced"},
      {"1", "QUIT\r\n.\r\n", "501 5.5.4 each line has 64 hexadecimal digits, in small letters"},
      {"1", "\r\n.\r\n", "501 5.5.4 each line has 64 hexadecimal digits, in small letters"},
      {"1", std::string(64, 'A') + "\r\n.\r\n", "501 5.5.4 each line has 64 hexadecimal digits, in small letters"},
      {"1", std::string(66, 'a') + "\r\n.\r\n", "501 5.5.4 each line has 64 hexadecimal digits, in small letters"},
      {"1", std::string(5000, 'a') + "\r\n.\r\n", "501 5.5.2 the list has a line that is none"},
      {"1", "a\nb\r\n.\r\n", "501 5.5.2 the list has a line that is none"},
      {"100001", "", "552 5.3.4 at most 100000 recipients are taken"},
      {"99999999999999999999999", "", "501 5.5.4 XRECIPIENTS takes the salt, and how many lines there will be"},
      {"-1", "", "501 5.5.4 XRECIPIENTS takes the salt, and how many lines there will be"},
      {"1 2", "", "501 5.5.4 XRECIPIENTS takes the salt, and how many lines there will be"},
  }));
  INFO(one.count << ": " << one.lines.substr(0, 100));
  Upload upload{one.count, one.lines, {}, {}};
  run(lists.house, upload);
  CHECK(upload.reply == one.reply);
  CHECK(upload.noop == "250 2.0.0 OK");
  CHECK(lists.takes("anna@example.org"));
  CHECK_FALSE(lists.takes("bert@example.org"));
  CHECK(how(tell(lists.house, entries({"anna"}))) == k_known);
}

TEST_CASE("recipients: a list without an end, or that does not come, ends the line", "[recipients]") {
  Lists lists;
  std::string many;
  for (int i = 0; i < 1100; ++i) many += k_low;
  Upload endless{"1", many, {}, {}};
  run(lists.house, endless);
  CHECK(endless.reply == "421 4.7.0 odmr.example.net has heard more lines than were announced");
  CHECK(endless.noop == "closed");

  Upload silent{"2", k_low, {}, {}};
  const TimePoint begin = lists.house.simulation.now();
  run(lists.house, silent);
  CHECK(silent.reply == "421 4.4.2 odmr.example.net has waited long enough");
  CHECK(lists.house.simulation.now() - begin >= std::chrono::minutes(10));
  CHECK(lists.house.simulation.now() - begin < std::chrono::minutes(12));

  const auto stop_later = [](House& house) -> Task<> {
    Stop never;
    co_await net::delay(house.simulation, std::chrono::minutes(1), never);
    house.stop.advance(Stop::Phase::finish);
  };
  Upload stopped{"2", k_low, {}, {}};
  lists.house.simulation.start(stop_later(lists.house));
  run(lists.house, stopped);
  CHECK(stopped.reply == "421 4.3.2 odmr.example.net is being stopped");
  CHECK(files_of(lists.house).empty());
}

TEST_CASE("recipients: three lists in a session, and one at a time of a customer", "[recipients]") {
  Lists lists;
  const auto many = [](net::Stream stream, std::vector<std::string>& heard) -> Task<> {
    client::Session session(std::move(stream), client::Dialect::smtp, silent_log(), k_patience);
    static_cast<void>(co_await session.read_reply(k_patience));
    const auto hello = co_await session.ask("EHLO gw.example.org\r\n", k_patience);
    session.set_capabilities(smtp::Capabilities::from(*hello));
    client::Login login{"example.org", Secret("secret"), {sasl::Mechanism::cram_md5}, false};
    static_cast<void>(co_await client::log_in(session, login, client::TlsPolicy::none, k_patience));
    const auto asked = co_await session.ask("XRECIPIENTS\r\n", k_patience);
    for (int i = 0; i < 4; ++i) {
      const auto may = co_await session.ask("XRECIPIENTS " + asked->joined().substr(10, 32) + " 1\r\n", k_patience);
      heard.push_back(may->joined());
      if (may->code != 354) break;
      const auto stored = co_await session.ask(k_low + ".\r\n", k_patience);
      heard.push_back(stored->joined());
    }
    session.close();
  };
  std::vector<std::string> heard;
  lists.house.simulation.run(many(lists.house.connect(), heard));
  lists.house.simulation.settle();
  REQUIRE(heard.size() == 7);
  CHECK(heard[5] == "250 2.0.0 1 recipients");
  CHECK(heard[6] == "450 4.7.0 enough lists have come in this session");

  const RecipientBook::Upload other(*lists.book, "example");
  const auto told = tell(lists.house, entries({"anna"}));
  CHECK(how(told) == k_refused);
  CHECK((*told.told)->text == "\"450 4.3.2 too many lists are on their way\"");
  CHECK(told.atrn == "453 4.0.0 you have no mail");
}

TEST_CASE("recipients: a list of the greatest length", "[recipients]") {
  Lists lists;
  Entries list;
  for (std::size_t i = 0; i < RecipientList::k_most; ++i) list.push_back("user" + std::to_string(i) + "@example.org");
  CHECK(how(tell(lists.house, list)) == k_told);
  CHECK(lists.takes("user99999@example.org"));
  CHECK_FALSE(lists.takes("user100000@example.org"));
  REQUIRE(lists.open(unsynced()));
  CHECK(how(tell(lists.house, list)) == k_known);
  list.emplace_back("one@example.org");
  const auto told = tell(lists.house, list);
  CHECK(how(told) == k_refused);
  CHECK((*told.told)->text == "it takes 100000 at most, and there are 100001");
}

// --- what breaks

TEST_CASE("recipients: the line cut after every byte leaves the list before, or the new one", "[recipients][cut]") {
  Lists lists;
  const auto before = entries({"anna", "bert"});
  const auto after = entries({"bert", "carol"});
  REQUIRE(how(tell(lists.house, before)) == k_told);
  std::size_t runs = 0;
  std::size_t old_ones = 0;
  const auto check = [&](bool is_whole) {
    REQUIRE(lists.open(unsynced()));
    const auto list = lists.book->of("example");
    REQUIRE(list);
    CHECK(list->count() == 2);
    CHECK(list->has("bert@"));
    CHECK(list->has("anna@") != list->has("carol@"));
    // All of it was read: it counts, whether the customer has heard of it or not.
    CHECK(list->has("carol@") == is_whole);
    CHECK(files_of(lists.house).size() == 1);
    old_ones += is_whole ? 0U : 1U;
    ++runs;
    if (is_whole) REQUIRE(how(tell(lists.house, before)) == k_told);
  };
  net::Faults faults;
  for (faults.cut_after_read = 1;; ++faults.cut_after_read) {
    INFO("read " << faults.cut_after_read);
    tell(lists.house, after, faults);
    const bool was_cut = lists.house.traffic->bytes_read >= faults.cut_after_read;
    check(lists.house.incoming->bytes.find("\r\n.\r\n") != std::string::npos);
    if (!was_cut) break;
  }
  CHECK(old_ones > 200);
  faults.cut_after_read = net::Faults::k_never;
  for (faults.cut_after_written = 0;; ++faults.cut_after_written) {
    INFO("written " << faults.cut_after_written);
    tell(lists.house, after, faults);
    const bool was_cut = lists.house.traffic->bytes_written >= faults.cut_after_written;
    check(lists.house.incoming->bytes.find("\r\n.\r\n") != std::string::npos);
    if (!was_cut) break;
  }
  std::cout << "recipients, cut after each byte read and written: " << runs << " uploads, " << old_ones
            << " left the list before, none a half\n";
}

TEST_CASE("recipients: it does not matter how the bytes are cut up", "[recipients][cut]") {
  for (const std::size_t largest : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
    Lists lists;
    net::Faults faults;
    faults.largest_read = largest;
    CHECK(how(tell(lists.house, entries({"anna", "bert"}), faults)) == k_told);
    CHECK(lists.book->of("example")->count() == 2);
  }
}

TEST_CASE("recipients: whichever call to the disk fails, a whole list counts", "[recipients][cut]") {
  const auto failing = GENERATE(FailingFiles::How::refuse, FailingFiles::How::deny, FailingFiles::How::die);
  std::size_t new_ones = 0;
  for (std::size_t which = 1;; ++which) {
    INFO("call " << which);
    Lists lists;
    REQUIRE(how(tell(lists.house, entries({"anna"}))) == k_told);
    FailingFiles files(which, failing);
    std::optional<RecipientsTold> told;
    if (lists.open(files)) {
      const auto said = tell(lists.house, entries({"bert"}));
      if (said.told && *said.told) told = **said.told;
      CHECK(said.atrn == "453 4.0.0 you have no mail");
      // Who was told that it counts can rely on it, and who was not, on the one before, as long as we live.
      if (told && failing != FailingFiles::How::die) CHECK(lists.takes("bert@example.org") == (told->how == k_told));
    }
    REQUIRE(lists.open(unsynced()));
    const auto list = lists.book->of("example");
    REQUIRE(list);
    CHECK(list->count() == 1);
    CHECK(list->has("anna@") != list->has("bert@"));
    if (told && told->how == k_told) CHECK(list->has("bert@"));
    new_ones += list->has("bert@") ? 1U : 0U;
    if (!files.reached()) break;
  }
  CHECK(new_ones > 0);
}

TEST_CASE("recipients: what a crash left is cleared, and a damaged list stands for none", "[recipients]") {
  Lists lists;
  REQUIRE(how(tell(lists.house, entries({"anna"}))) == k_told);
  const std::filesystem::path directory = lists.house.directory / "recipients";
  const std::string name = files_of(lists.house).front();
  const auto put = [&](const std::string& file, const std::string& text) { std::ofstream(directory / file) << text; };
  put("new." + name, "half of a li");
  REQUIRE(lists.open(unsynced()));
  CHECK(files_of(lists.house) == std::vector<std::string>{name});

  // One that is damaged leaves the one before in force.
  std::string next = name;
  next.back() = 'f';
  put(next, "odmrd-recipients 1\nsalt x\n");
  REQUIRE(lists.open(unsynced()));
  CHECK(files_of(lists.house).size() == 2);
  CHECK_FALSE(lists.takes("bert@example.org"));

  std::filesystem::remove(directory / name);
  REQUIRE(lists.open(unsynced()));
  CHECK(lists.takes("bert@example.org"));
  CHECK(lists.house.logged("cannot be read, and all are taken"));
  CHECK(how(tell(lists.house, entries({"anna"}))) == k_told);
  CHECK_FALSE(lists.takes("bert@example.org"));
}

TEST_CASE("recipients: a provider that says nonsense is left alone", "[recipients]") {
  struct Case {
    std::string reply;
    RecipientsTold::How how;
  };
  const auto one = GENERATE(values<Case>({
      {"502 5.5.1 what", k_refused},
      {"250 2.0.0 OK", k_refused},
      {"250 2.0.0 short none 0", k_refused},
      {"250 2.0.0 ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ none 0", k_refused},
      {"250", k_refused},
  }));
  INFO(one.reply);
  House house;
  auto line = net::memory_line(house.simulation, "192.0.2.1:366", "odmr.example.net");
  const auto provider = [](net::Stream stream, std::string reply) -> Task<> {
    co_await stream.fill(stream.clock().now() + Duration(k_patience));
    const std::string bytes = reply + "\r\n";
    co_await stream.write(bytes, k_patience);
    co_await stream.fill(stream.clock().now() + Duration(k_patience));
  };
  Result<RecipientsTold> told;
  const auto customer = [](net::Stream stream, Result<RecipientsTold>& heard) -> Task<> {
    client::Session session(std::move(stream), client::Dialect::smtp, silent_log(), k_patience);
    Stop never;
    const Entries list{"anna@"};
    heard = co_await turn::tell_recipients(session, list, k_patience, never);
    session.close();
  };
  house.simulation.start(provider(net::Stream(std::move(line.first), house.simulation), one.reply));
  house.simulation.run(customer(net::Stream(std::move(line.second), house.simulation), told));
  house.simulation.settle();
  REQUIRE(told);
  CHECK(told->how == one.how);
}

}  // namespace odmr::test
