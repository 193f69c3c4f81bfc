// sendmail(1): what callers say, and what becomes of it in the queue.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <sstream>

#include "app/places.hpp"
#include "app/sendmail.hpp"
#include "queue/attributes.hpp"
#include "queue/intake.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using app::SendmailOptions;
using odmr::test::TemporaryDirectory;
using Words = std::vector<std::string>;
using Mode = SendmailOptions::Mode;

namespace {

const WallTime k_now(std::chrono::seconds(1769853600));

// As a shell would part it, without quoting; "''" is an empty word.
Words words(const std::string& text) {
  std::istringstream stream(text);
  Words found;
  for (std::string word; stream >> word;) found.push_back(word == "''" ? "" : word);
  return found;
}

SendmailOptions parsed(const std::string& text) {
  INFO(text);
  const auto call = app::sendmail_call(words(text));
  REQUIRE(call);
  const auto options = app::parse_sendmail(call->arguments, call->start);
  if (!options) INFO(options.error().text);
  REQUIRE(options);
  return *options;
}

// A queue of its own, and standard input from a file.
struct Mailer {
  TemporaryDirectory directory;
  app::SubmissionPlace place{"", directory / "state", false, std::nullopt, "mail.example.org", 0};

  app::Sent<> send(const std::string& call, const std::string& message) const {
    test::write_file(directory / "in", message);
    const Descriptor input(::open((directory / "in").c_str(), O_RDONLY | O_CLOEXEC));
    return app::sendmail(parsed(call), place, input.get(), k_now);
  }

  // The only message in the queue.
  spool::MessageReader only() const {
    const auto store = spool::Store::in(queue::directory_in(place.state_dir));
    REQUIRE(store);
    const auto listing = store->list();
    REQUIRE(listing);
    REQUIRE(listing->ids.size() == 1);
    auto reader = store->open(listing->ids.front());
    REQUIRE(reader);
    return std::move(*reader);
  }

  bool is_empty() const {
    const auto store = spool::Store::in(queue::directory_in(place.state_dir));
    REQUIRE(store);
    return store->list()->ids.empty();
  }

  Words recipients() const {
    Words found;
    const auto message = only();
    for (const auto& one : message.envelope().recipients) found.push_back(one.address);
    return found;
  }

  // Without our Received.
  std::string text() const {
    auto reader = only();
    std::string text(reader.size() + 1, '\0');
    std::size_t have = 0;
    Result<std::size_t> got = 1;
    for (; got && *got > 0; have += *got) got = reader.read(text.data() + have, text.size() - have);
    REQUIRE(got);
    text.resize(have);
    const auto end = text.find("+0000\r\n");
    REQUIRE(text.starts_with("Received: from localhost (uid "));
    return text.substr(end + 7);
  }
};

int exit_of(const app::Sent<>& sent) {
  return sent ? 0 : sent.error().exit;
}

}  // namespace

TEST_CASE("sendmail: calls as programs make them", "[sendmail]") {
  struct Row {
    std::string call;
    Words recipients;
    bool from_header;
    bool dot_ends;
    std::optional<std::string> sender;
    std::string full_name;
  };
  const std::vector<Row> table{
      {"/usr/sbin/sendmail -i -FCronDaemon -B8BITMIME -oem root", {"root"}, false, false, {}, "CronDaemon"},
      {"/usr/sbin/sendmail -t -i", {}, true, false, {}, ""},                               // PHP
      {"/usr/sbin/sendmail -t -i -fwww@x.example", {}, true, false, "www@x.example", ""},  // PHP's fifth argument
      {"sendmail -i a@x.example b@y.example", {"a@x.example", "b@y.example"}, false, false, {}, ""},  // git send-email
      {"sendmail -oem -oi -f x@x.example -- a@b.example", {"a@b.example"}, false, false, "x@x.example", ""},  // mutt
      {"sendmail -oi -oem -f x@x.example -N failure,delay -R full -- -a@b.example",
       {"-a@b.example"},
       false,
       false,
       "x@x.example",
       ""},                                                     // mutt with DSN
      {"sendmail -oi -t", {}, true, false, {}, ""},             // logcheck, debian's mime-construct
      {"sendmail -i -f root -t", {}, true, false, "root", ""},  // bsd-mailx, s-nail
      {"sendmail -i -- root", {"root"}, false, false, {}, ""},  // s-nail
      {"sendmail -t", {}, true, true, {}, ""},                  // mdadm
      {"sendmail -i anna", {"anna"}, false, false, {}, ""},     // at
      {"sendmail -ti", {}, true, false, {}, ""},
      {"sendmail -tifa@x.example", {}, true, false, "a@x.example", ""},
      {"sendmail -r a@x.example root", {"root"}, false, true, "a@x.example", ""},
      {"sendmail -f '' root", {"root"}, false, true, "", ""},
      {"sendmail -f <> root", {"root"}, false, true, "<>", ""},
      {"sendmail -F Anna root -i", {"root"}, false, false, {}, "Anna"},
      {"sendmail -bm root", {"root"}, false, true, {}, ""},
      {"sendmail -Am -h 3 -n -m -v -U -G -d0.1 -e m -L tag -X /log -O DeliveryMode=b -odb -oee -V id -p ESMTP -x y "
       "root",
       {"root"},
       false,
       true,
       {},
       ""},
      {"odmr sendmail root", {"root"}, false, true, {}, ""},
      {"odmr -v --quiet sendmail -t", {}, true, true, {}, ""},
  };
  for (const auto& row : table) {
    INFO(row.call);
    const auto options = parsed(row.call);
    CHECK(options.mode == Mode::submit);
    CHECK(options.recipients == row.recipients);
    CHECK(options.from_header == row.from_header);
    CHECK(options.dot_ends == row.dot_ends);
    CHECK(options.sender == row.sender);
    CHECK(options.full_name == row.full_name);
    CHECK(options.config.empty());
    CHECK_FALSE(options.direct);
  }
}

TEST_CASE("sendmail: the other things it is called for", "[sendmail]") {
  const std::vector<std::pair<std::string, Mode>> table{
      {"sendmail -bs", Mode::session},   {"sendmail -b s", Mode::session},
      {"sendmail -bp", Mode::list},      {"/usr/bin/mailq", Mode::list},
      {"mailq -Ac", Mode::list},         {"newaliases", Mode::aliases},
      {"sendmail -bi", Mode::aliases},   {"sendmail -I", Mode::aliases},
      {"sendmail -q", Mode::flush},      {"sendmail -q30m", Mode::flush},
      {"sendmail -qf", Mode::flush},     {"sendmail -q x@y", Mode::flush},
      {"odmr sendmail -q", Mode::flush}, {"odmr -q sendmail root", Mode::submit},
      {"sendmail --help", Mode::help},   {"odmr sendmail --version", Mode::version},
  };
  for (const auto& [call, mode] : table) {
    INFO(call);
    CHECK(parsed(call).mode == mode);
  }
}

TEST_CASE("sendmail: where the configuration is named", "[sendmail]") {
  for (const std::string call :
       {"odmr -c f sendmail root", "odmr -cf sendmail root", "odmr --config f sendmail root",
        "odmr --config=f sendmail root", "odmr sendmail -c f root", "sendmail -C f root", "sendmail -Cf root",
        "sendmail --config f root", "odmr sendmail --config=f root", "odmr -c g sendmail -c f root"}) {
    INFO(call);
    CHECK(parsed(call).config == "f");
    CHECK(parsed(call).recipients == Words{"root"});
  }
  CHECK(parsed("sendmail --direct root").direct);
}

TEST_CASE("sendmail: what is no call of it", "[sendmail]") {
  for (const std::string call : {"odmr", "odmr run", "odmr -c sendmail", "odmr --json queue", "odmr run sendmail",
                                 "odmr --help sendmail", "odmrd", "odmr -x sendmail"}) {
    INFO(call);
    CHECK_FALSE(app::sendmail_call(words(call)));
  }
  CHECK_FALSE(app::sendmail_call({}));
}

TEST_CASE("sendmail: unknown options are refused", "[sendmail]") {
  for (const std::string call : {"-Z", "-tZ", "-bd", "-bx", "-b", "-f", "--unknown", "--config", "-F", "--direct=1"}) {
    INFO(call);
    CHECK_FALSE(app::parse_sendmail({call}));
  }
}

TEST_CASE("sendmail: cron's mail", "[sendmail]") {
  const Mailer mailer;
  REQUIRE(mailer.send("sendmail -i -FCronDaemon -B8BITMIME -oem -f root root",
                      "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@mail> date\n"
                      "Date: Sat, 31 Jan 2026 10:00:00 +0000\nMessage-ID: <1@x>\n\n10%\r20%\n.\nJörg\n"));
  CHECK(mailer.only().envelope().reverse_path == "root@mail.example.org");
  CHECK(mailer.recipients() == Words{"root@mail.example.org"});
  CHECK(mailer.text() ==
        "From: root (Cron Daemon)\r\nTo: root\r\nSubject: Cron <root@mail> date\r\n"
        "Date: Sat, 31 Jan 2026 10:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\n10% 20%\r\n.\r\nJörg\r\n");
  auto attributes = mailer.only().envelope().attributes;
  CHECK(attributes.erase(queue::k_trace_size) == 1);
  CHECK(attributes ==
        spool::Attributes{{queue::k_body, "8BITMIME"}, {queue::k_submitter, "uid " + std::to_string(getuid())}});
}

TEST_CASE("sendmail -t: recipients from the header, those of the command line too, each once", "[sendmail]") {
  const Mailer mailer;
  REQUIRE(mailer.send("sendmail -t -f anna@x.example b@y.example e@z.example,f@z.example",
                      "To: a@y.example, B <b@y.example>\nBcc: c@y.example\nSubject: x\n\nhello\n.\nnot this\n"));
  CHECK(mailer.recipients() == Words{"b@y.example", "e@z.example", "f@z.example", "a@y.example", "c@y.example"});
  const auto text = mailer.text();
  CHECK(text.starts_with("To: a@y.example, B <b@y.example>\r\nSubject: x\r\nFrom: "));
  CHECK(text.find("<anna@x.example>\r\nDate: Sat, 31 Jan 2026 10:00:00 +0000\r\nMessage-ID: <") != std::string::npos);
  CHECK(text.ends_with("@mail.example.org>\r\n\r\nhello\r\n"));
}

TEST_CASE("sendmail: senders", "[sendmail]") {
  const std::vector<std::pair<std::string, std::string>> table{
      {"-f <>", ""},
      {"-f ''", ""},
      {"-f anna", "anna@mail.example.org"},
      {"-f <anna@x.example>", "anna@x.example"},
      {"-fjörg@bücher.example", "jörg@bücher.example"},
  };
  for (const auto& [option, reverse_path] : table) {
    INFO(option);
    const Mailer mailer;
    REQUIRE(mailer.send("sendmail -F Anna " + option + " root", "Subject: x\n\n"));
    CHECK(mailer.only().envelope().reverse_path == reverse_path);
    CHECK(mailer.text().find("From: Anna <") != std::string::npos);
  }
  const Mailer own;
  REQUIRE(own.send("sendmail root", "Subject: x\n\n"));
  CHECK(own.only().envelope().reverse_path.ends_with("@mail.example.org"));
}

TEST_CASE("sendmail: what is at fault is told apart, and nothing is queued", "[sendmail]") {
  struct Row {
    std::string call;
    std::string message;
    int exit;
  };
  const std::vector<Row> table{
      {"sendmail", "Subject: x\n\n", EX_USAGE},
      {"sendmail -t", "Subject: x\n\n", EX_USAGE},
      {"sendmail -t", "To: undisclosed-recipients:;\n\n", EX_USAGE},
      {"sendmail -t", "To: Anna Example\n\n", EX_DATAERR},
      {"sendmail -t", "To: a@b..example\n\n", EX_DATAERR},
      {"sendmail -t", "To: a@y.example\nCc: <b@y.example\n\n", EX_DATAERR},
      {"sendmail a@b@c", "Subject: x\n\n", EX_USAGE},
      {"sendmail <>", "Subject: x\n\n", EX_USAGE},
      {"sendmail -f a@@b root", "Subject: x\n\n", EX_USAGE},
      {"sendmail -f a@b.example,c@d.example root", "Subject: x\n\n", EX_USAGE},
      {"sendmail root", "X: " + std::string(1100 * 1024, 'x') + "\n\n", EX_DATAERR},
  };
  for (const auto& row : table) {
    INFO(row.call + " | " + row.message.substr(0, 60));
    const Mailer mailer;
    CHECK(exit_of(mailer.send(row.call, row.message)) == row.exit);
    REQUIRE(system_files().make_dir(mailer.place.state_dir, 0700));
    CHECK(mailer.is_empty());
  }
}

TEST_CASE("sendmail: an input that cannot be read is no empty message", "[sendmail]") {
  const Mailer mailer;
  const Descriptor input(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  CHECK(exit_of(app::sendmail(parsed("sendmail root"), mailer.place, input.get(), k_now)) == EX_TEMPFAIL);
  CHECK(mailer.is_empty());
}

TEST_CASE("sendmail: no input at all is a message", "[sendmail]") {
  const Mailer mailer;
  REQUIRE(mailer.send("sendmail -F Anna -f a@x.example root", ""));
  CHECK(mailer.text().starts_with("From: Anna <a@x.example>\r\nDate: "));
}

TEST_CASE("sendmail: too large a message", "[sendmail]") {
  Mailer mailer;
  mailer.place.max_size = 2048;
  CHECK(exit_of(mailer.send("sendmail root", "Subject: x\n\n" + std::string(4096, 'x'))) == EX_DATAERR);
  CHECK(mailer.is_empty());
}

TEST_CASE("sendmail: nobody at the socket is for later, and says what to do", "[sendmail]") {
  Mailer mailer;
  mailer.place = {mailer.directory / "none", "", false, std::nullopt, "", 0};
  const auto sent = mailer.send("sendmail root", "Subject: x\n\n");
  CHECK(exit_of(sent) == EX_TEMPFAIL);
  CHECK(sent.error().text.find("odmr submit") != std::string::npos);
  mailer.place.socket = std::string(200, 'x');
  CHECK(exit_of(mailer.send("sendmail root", "Subject: x\n\n")) == EX_CONFIG);
}

TEST_CASE("sendmail: the place by the configuration", "[sendmail]") {
  const TemporaryDirectory directory;
  const auto configured = [&](const std::string& text) {
    test::write_file(directory / "odmr.toml", text);
    return app::find_submission_place(directory / "odmr.toml");
  };
  unsetenv("ODMR_SUBMIT");
  const std::string state = "state_dir = \"" + directory.path() + "/state\"\n";

  const auto own = configured("hostname = \"m.example\"\n" + state + "[outbound]\nto = \"smtp://x\"\n");
  REQUIRE(own);
  CHECK(own->socket.empty());
  CHECK(own->state_dir == directory / "state");
  CHECK(own->hostname == "m.example");
  CHECK_FALSE(own->state_dir_is_default);
  CHECK(own->max_size == app::k_max_submission);

  CHECK(configured(state + "[outbound]\nto = \"x\"\n[submit]\nmax_size = \"1MiB\"\n")->max_size == 1024 * 1024);
  // A slip elsewhere is for `odmr check`.
  CHECK(configured(state + "unknown = 1\n[outbound]\nto = \"x\"\nunknown = 1\n[provider.x]\nhots = 1\n"));

  for (const std::string& wrong : {state, state + "[outbound]\ncommand = \"true\"\n", std::string("not toml"),
                                   std::string("state_dir = 1\n[outbound]\nto = \"x\"\n"),
                                   "hostname = \"a b\"\n" + state + "[outbound]\nto = \"x\"\n",
                                   state + "[outbound]\nto = \"x\"\n[submit]\nmax_size = \"many\"\n"}) {
    INFO(wrong);
    const auto place = configured(wrong);
    REQUIRE_FALSE(place);
    CHECK(place.error().exit == EX_CONFIG);
  }
  CHECK(app::find_submission_place(directory / "none").error().exit == EX_CONFIG);

  setenv("ODMR_SUBMIT", "/some/socket", 1);
  CHECK(app::find_submission_place(directory / "none")->socket == "/some/socket");
  unsetenv("ODMR_SUBMIT");
}

TEST_CASE("A local message is read whole and made ready, small or large", "[sendmail]") {
  for (const std::size_t size : {std::size_t{10}, std::size_t{3} * 1024 * 1024}) {
    INFO(size);
    const TemporaryDirectory directory;
    const std::string body = std::string(size, 'x') + "\n";
    test::write_file(directory / "in", "Subject: x\nFrom: a\nDate: b\nMessage-ID: c\n\n" + body + "ö\n");
    const Descriptor input(::open((directory / "in").c_str(), O_RDONLY | O_CLOEXEC));
    const auto options = parsed("sendmail -f a@x.example b@y.example");
    auto message = app::LocalMessage::read(options, input.get());
    REQUIRE(message);
    REQUIRE(message->complete(options, app::Submitter(), "mail.example.org", k_now));
    CHECK(message->envelope().attributes.at(queue::k_body) == "8BITMIME");
    std::string text;
    char piece[10000];
    for (auto got = message->read(piece, sizeof(piece)); *got > 0; got = message->read(piece, sizeof(piece))) {
      text.append(piece, *got);
    }
    CHECK(text == "Subject: x\r\nFrom: a\r\nDate: b\r\nMessage-ID: c\r\n\r\n" + body.substr(0, size) + "\r\nö\r\n");
    CHECK(message->size() == text.size());
  }
}
