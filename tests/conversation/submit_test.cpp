// The SMTP server for local programs, whole sessions in memory: into the queue, and directly to the smart host.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <sstream>

#include "../pure/fake_files.hpp"
#include "../pure/temporary_directory.hpp"
#include "intake/pass_on.hpp"
#include "net/delay.hpp"
#include "net/memory.hpp"
#include "queue/attributes.hpp"
#include "smtp/command.hpp"
#include "submit/direct.hpp"
#include "submit/submission.hpp"

namespace odmr::test {

namespace {

using net::Task;
using Replies = std::vector<std::string>;

const std::string k_hello = "EHLO desk.example\r\n";
const std::string k_envelope = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";
const std::string k_header =
    "Date: Sat, 31 Jan 2026 10:00:00 +0000\r\nMessage-ID: <1@b.example>\r\nFrom: <a@b.example>\r\n";
const std::string k_message = k_header + "Subject: x\r\n\r\nHello,\r\nworld\r\n";
const std::string k_data = "DATA\r\n" + k_message + ".\r\n";
const std::string k_whole = k_hello + k_envelope + k_data + "QUIT\r\n";

Replies lines_of(const std::string& said) {
  Replies lines;
  std::istringstream in(said);
  for (std::string line; std::getline(in, line);) lines.push_back(line.substr(0, line.find('\r')));
  return lines;
}

// The replies behind greeting and EHLO's.
Replies after_hello(const std::string& said) {
  Replies lines = lines_of(said);
  const auto last =
      std::find_if(lines.begin() + 1, lines.end(), [](const std::string& line) { return line.starts_with("250 "); });
  return last == lines.end() ? Replies() : Replies(last + 1, lines.end());
}

// What a caller does: say something, or have something happen, once all is quiet.
struct Step {
  std::string bytes;
  std::function<void()> act;
};

Task<> speak(net::Stream stream, std::vector<Step> steps, std::string& heard, bool& is_over) {
  Stop never;
  for (const auto& step : steps) {
    if (step.act) step.act();
    (void)co_await stream.write(step.bytes, std::chrono::minutes(1));
    if (steps.size() > 1) co_await net::delay(stream.clock(), std::chrono::seconds(1), never);
  }
  for (;;) {
    const auto filled = co_await stream.fill(stream.clock().now() + std::chrono::hours(1));
    heard += stream.buffered();
    stream.consume(stream.buffered().size());
    if (!filled) break;
  }
  is_over = true;
  stream.close();
}

// Makes a commit wait until the test lets it go on.
class GatedWorker final : public net::Worker {
 public:
  explicit GatedWorker(Clock& clock) : clock_(clock) {}
  Task<> run(std::function<void()> work) override {
    Stop never;
    while (is_shut) {
      co_await net::delay(clock_, std::chrono::seconds(1), never);
    }
    work();
  }
  bool is_shut = true;

 private:
  Clock& clock_;
};

// No call to the disk is left out but fsync, for which a thousand sessions would have to wait.
class UnsyncedFiles final : public WatchedFiles {
 public:
  Result<void> sync(int /*file*/) override { return {}; }

 private:
  Step step(const std::string& /*call*/) override { return Step::act; }
};

FileOps& unsynced() {
  static UnsyncedFiles files;
  return files;
}

// A server for local programs, with a queue on disk.
struct Desk {
  explicit Desk(FileOps& with = unsynced()) : files(&with) {
    options.hostname = session.hostname = "mail.example.org";
    options.free_space = [this] { return Result<std::uint64_t>(space); };
    session.offer.size = options.limits.max_size = 100000;
    session.offer.smtputf8 = session.offer.dsn = true;
    session.bare_names = true;
    auto opened = spool::Store::in(directory.path(), *files);
    if (opened) store.emplace(std::move(*opened));
  }

  Task<> serve(net::Stream stream, std::size_t number) {
    spool::Store own = *store;
    const auto caller = intake::Caller::of(stream.peer());
    submit::Submission handler(options, caller, std::move(own), *worker, simulation, silent_log());
    const auto ended = co_await server::serve_mail(std::move(stream), handler, session, silent_log(), stop);
    ends.at(number) = ended;
  }

  /// A caller's session from its beginning to its end; others may run beside it.
  void start(std::vector<Step> steps, std::string& heard, const std::string& peer, const net::Faults& faults = {}) {
    auto line = net::memory_line(simulation, peer, "server", faults);
    ends.emplace_back();
    over.push_back(std::make_unique<bool>(false));
    simulation.start(serve(net::Stream(std::move(line.first), simulation), ends.size() - 1));
    simulation.start(speak(net::Stream(std::move(line.second), simulation), std::move(steps), heard, *over.back()));
  }

  Task<> wait() {
    Stop never;
    const auto is_busy = [this] {
      return std::any_of(ends.begin(), ends.end(), [](const auto& end) { return !end; }) ||
             std::any_of(over.begin(), over.end(), [](const auto& one) { return !*one; });
    };
    while (is_busy()) {
      co_await net::delay(simulation, std::chrono::seconds(1), never);
    }
  }

  /// All that was said to a caller who does this.
  std::string play(std::vector<Step> steps, const net::Faults& faults = {}, const std::string& peer = "uid 1000") {
    std::string heard;
    start(std::move(steps), heard, peer, faults);
    REQUIRE(simulation.run(wait()));
    return heard;
  }
  std::string play(const std::string& bytes, const net::Faults& faults = {}, const std::string& peer = "uid 1000") {
    return play(std::vector<Step>{{bytes, {}}}, faults, peer);
  }

  struct Held {
    std::string id;
    spool::Envelope envelope;
    std::string bytes;
  };
  /// What is in the queue, whole; anything else there fails.
  std::vector<Held> queue() const {
    auto real = spool::Store::in(directory.path());
    REQUIRE(real);
    const auto listing = real->list();
    REQUIRE(listing);
    CHECK(listing->skipped.empty());
    std::vector<Held> found;
    for (const auto& id : listing->ids) {
      auto reader = real->open(id);
      REQUIRE(reader);
      Held held{id, reader->envelope(), {}};
      std::string piece(4096, '\0');
      for (;;) {
        const auto count = reader->read(piece.data(), piece.size());
        REQUIRE(count);
        if (*count == 0) break;
        held.bytes += piece.substr(0, *count);
      }
      found.push_back(std::move(held));
    }
    return found;
  }
  std::size_t half_written() const {
    const auto begin = std::filesystem::directory_iterator(directory.path() + "/tmp");
    return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
  }

  TemporaryDirectory directory;
  FileOps* files;
  std::optional<spool::Store> store;
  submit::SubmissionOptions options;
  server::MailSessionOptions session;
  std::uint64_t space = std::uint64_t{1} << 40;
  Stop stop;
  std::vector<std::optional<server::SessionEnd>> ends;
  std::vector<std::unique_ptr<bool>> over;
  std::unique_ptr<net::Worker> worker = net::make_inline_worker();
  net::Simulation simulation;  // last: its conversations look at all the others
};

// One message, with this much said between EHLO and QUIT: the replies to that.
Replies replies_to(Desk& desk, const std::string& commands, const std::string& peer = "uid 1000") {
  Replies replies = after_hello(desk.play(k_hello + commands + "QUIT\r\n", {}, peer));
  REQUIRE_FALSE(replies.empty());
  CHECK(replies.back() == "221 2.0.0 mail.example.org closes");
  replies.pop_back();
  return replies;
}

std::string with_data(const std::string& message) {
  return k_envelope + "DATA\r\n" + message + ".\r\n";
}

// The bytes that came, behind our Received field.
std::string without_trace(const std::string& bytes) {
  REQUIRE(bytes.starts_with("Received: from "));
  const auto end = bytes.find("+0000\r\n");
  REQUIRE(end != std::string::npos);
  return bytes.substr(end + 7);
}

// The attributes but the size of our trace, which has to be right.
spool::Attributes attributes_beside_trace(const Desk::Held& held) {
  auto attributes = held.envelope.attributes;
  CHECK(attributes.at(queue::k_trace_size) == std::to_string(held.bytes.size() - without_trace(held.bytes).size()));
  attributes.erase(queue::k_trace_size);
  return attributes;
}

}  // namespace

// --- into the queue

TEST_CASE("submit: EHLO offers what the queue can keep", "[submit]") {
  Desk desk;
  CHECK(lines_of(desk.play(k_hello + "QUIT\r\n")) ==
        Replies{"220 mail.example.org ESMTP odmr", "250-mail.example.org", "250-PIPELINING", "250-8BITMIME",
                "250-ENHANCEDSTATUSCODES", "250-SIZE 100000", "250-SMTPUTF8", "250 DSN",
                "221 2.0.0 mail.example.org closes"});
}

TEST_CASE("submit: a message is in the queue to the byte, under a Received field, and the 250 names it", "[submit]") {
  Desk desk;
  const auto replies = replies_to(desk, k_envelope + k_data);
  const auto queue = desk.queue();
  REQUIRE(queue.size() == 1);
  CHECK(replies ==
        Replies{"250 2.1.0 OK", "250 2.1.5 OK", "354 end with CRLF.CRLF", "250 2.0.0 queued as " + queue[0].id});
  CHECK(without_trace(queue[0].bytes) == k_message);
  CHECK(
      queue[0].bytes.starts_with("Received: from desk.example (uid 1000)\r\n\tby mail.example.org with ESMTP\r\n\tid " +
                                 queue[0].id + "\r\n\tfor <c@d.example>;\r\n"));
  CHECK(queue[0].envelope.reverse_path == "a@b.example");
  CHECK(queue[0].envelope.recipients == std::vector<spool::Recipient>{{"c@d.example", {}}});
  CHECK(attributes_beside_trace(queue[0]) == spool::Attributes{{queue::k_submitter, "uid 1000"}});
  CHECK(desk.half_written() == 0);
}

TEST_CASE("submit: who came over TCP is known by the address", "[submit]") {
  Desk desk;
  replies_to(desk, k_envelope + k_data, "127.0.0.1:40000");
  REQUIRE(desk.queue().size() == 1);
  CHECK(desk.queue()[0].envelope.attributes.at(queue::k_submitter) == "127.0.0.1");
  CHECK(desk.queue()[0].bytes.starts_with("Received: from desk.example ([127.0.0.1])\r\n"));
  Desk six;
  replies_to(six, k_envelope + k_data, "[::1]:40000");
  REQUIRE(six.queue().size() == 1);
  CHECK(six.queue()[0].envelope.attributes.at(queue::k_submitter) == "::1");
}

TEST_CASE("submit: what RFC 3461 asks for is kept with the message, as written", "[submit]") {
  Desk desk;
  replies_to(desk,
             "MAIL FROM:<> RET=HDRS ENVID=a+2Bb SIZE=10\r\n"
             "RCPT TO:<c@d.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;c@d.example\r\n"
             "RCPT TO:<e@d.example> NOTIFY=NEVER\r\n" +
                 k_data);
  const auto queue = desk.queue();
  REQUIRE(queue.size() == 1);
  CHECK(queue[0].envelope.reverse_path.empty());
  CHECK(attributes_beside_trace(queue[0]) ==
        spool::Attributes{{"ret", "HDRS"}, {"envid", "a+2Bb"}, {queue::k_submitter, "uid 1000"}});
  CHECK(queue[0].envelope.recipients ==
        std::vector<spool::Recipient>{{"c@d.example", {{"notify", "FAILURE,DELAY"}, {"orcpt", "rfc822;c@d.example"}}},
                                      {"e@d.example", {{"notify", "NEVER"}}}});
  CHECK(queue[0].bytes.find("for <") == std::string::npos);
}

TEST_CASE("submit: what a message needs of the next hop is found out", "[submit]") {
  Desk desk;
  replies_to(desk, "MAIL FROM:<j\xc3\xbcrgen@b.example> SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" +
                       k_header + "\r\ncaf\xc3\xa9\r\n.\r\n");
  REQUIRE(desk.queue().size() == 1);
  const auto attributes = desk.queue()[0].envelope.attributes;
  CHECK(attributes.at(queue::k_smtputf8) == "envelope");
  CHECK(attributes.at(queue::k_body) == "8BITMIME");
  CHECK(desk.queue()[0].bytes.find("with UTF8SMTP") != std::string::npos);
}

TEST_CASE("submit: Date and Message-ID are added where they are missing, and nothing else changes", "[submit]") {
  Desk desk;
  replies_to(desk, with_data("From: <a@b.example>\r\nSubject: x\r\n\r\nbody\r\n"));
  REQUIRE(desk.queue().size() == 1);
  const auto bytes = without_trace(desk.queue()[0].bytes);
  CHECK(bytes.find("\r\nDate: ") != std::string::npos);
  CHECK(bytes.find("@mail.example.org>\r\n") != std::string::npos);
  CHECK(bytes.find("From: <a@b.example>\r\nSubject: x\r\n") != std::string::npos);
  CHECK(bytes.ends_with("\r\n\r\nbody\r\n"));
}

TEST_CASE("submit: a name without domain is one of this host's, for programs of this host", "[submit]") {
  Desk desk;
  CHECK(replies_to(desk,
                   "MAIL FROM:<root>\r\nRCPT TO:<anna>\r\nRCPT TO:bert\r\nRCPT TO:<\"c d\">\r\n"
                   "RCPT TO:<Postmaster>\r\n" +
                       k_data)
            .size() == 7);
  const auto queue = desk.queue();
  REQUIRE(queue.size() == 1);
  CHECK(queue[0].envelope.reverse_path == "root@mail.example.org");
  Replies recipients;
  for (const auto& one : queue[0].envelope.recipients) recipients.push_back(one.address);
  CHECK(recipients == Replies{"anna@mail.example.org", "bert@mail.example.org", "\"c d\"@mail.example.org",
                              "Postmaster@mail.example.org"});
}

TEST_CASE("submit: over TCP only postmaster may stand alone", "[submit]") {
  Desk desk;
  desk.session.bare_names = false;
  const auto replies = replies_to(
      desk, "MAIL FROM:<root>\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<anna>\r\nRCPT TO:<postmaster>\r\n" + k_data,
      "127.0.0.1:40000");
  REQUIRE(replies.size() == 6);
  CHECK(replies[0] == "501 5.1.7 the address has no @ after its local part");
  CHECK(replies[2] == "501 5.1.3 the address has no @ after its local part");
  REQUIRE(desk.queue().size() == 1);
  CHECK(desk.queue()[0].envelope.recipients == std::vector<spool::Recipient>{{"postmaster@mail.example.org", {}}});
}

TEST_CASE("submit: any domain and any form of address goes: who speaks here may relay", "[submit]") {
  Desk desk;
  const auto replies = replies_to(desk,
                                  "MAIL FROM:<a@b.example>\r\nRCPT TO:<x%y@z.example>\r\nRCPT TO:<z!x@y.example>\r\n"
                                  "RCPT TO:<@r.example:c@d.example>\r\nRCPT TO:<e@[192.0.2.1]>\r\n" +
                                      k_data);
  CHECK(replies.size() == 7);
  REQUIRE(desk.queue().size() == 1);
  CHECK(desk.queue()[0].envelope.recipients[2].address == "c@d.example");
}

TEST_CASE("submit: several messages in one session are several in the queue, in their order", "[submit]") {
  Desk desk;
  const auto replies = replies_to(
      desk, k_envelope + k_data + "MAIL FROM:<a@b.example>\r\nRSET\r\n" + k_envelope + k_data + "EHLO again\r\n");
  const auto queue = desk.queue();
  REQUIRE(queue.size() == 2);
  CHECK(replies[3] == "250 2.0.0 queued as " + queue[0].id);
  CHECK(replies[9] == "250 2.0.0 queued as " + queue[1].id);
}

TEST_CASE("submit: more than the queue takes is refused, at MAIL and at the dot, and nothing stays", "[submit]") {
  Desk desk;
  const std::string body = k_header + "\r\n" + std::string(990, 'x') + "\r\n";
  std::string big = body;
  while (big.size() <= 100000) big += std::string(990, 'y') + "\r\n";
  const auto replies = replies_to(desk, "MAIL FROM:<a@b.example> SIZE=100001\r\n" + with_data(big) + with_data(body));
  REQUIRE(replies.size() == 9);
  CHECK(replies[0] == "552 5.3.4 at most 100000 octets are taken here");
  CHECK(replies[4] == "552 5.3.4 at most 100000 octets are taken here");
  CHECK(replies[8].starts_with("250 2.0.0 queued as "));
  CHECK(desk.queue().size() == 1);
  CHECK(desk.half_written() == 0);
}

TEST_CASE("submit: a message of exactly the size on offer is taken: our own lines do not count", "[submit]") {
  Desk desk;
  std::string message = k_header + "\r\n";
  while (message.size() + 1000 <= 100000) message += std::string(998, 'y') + "\r\n";
  message += std::string(100000 - message.size() - 2, 'z') + "\r\n";
  REQUIRE(message.size() == 100000);
  CHECK(replies_to(desk, "MAIL FROM:<a@b.example> SIZE=100000\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" + message + ".\r\n")
            .back()
            .starts_with("250 2.0.0 queued as "));
}

TEST_CASE("submit: what cannot be sent as mail is refused for good, and nothing stays", "[submit]") {
  Desk desk;
  std::string loop;
  for (int i = 0; i < 101; ++i) loop += "Received: from x by y; Sat, 31 Jan 2026 10:00:00 +0000\r\n";
  const auto replies = replies_to(desk, with_data(loop + k_message) + with_data("Subject: a\nb\r\n\r\nx\r\n") +
                                            with_data(k_header + "\r\nsmuggled\n.\r\nMAIL FROM:<e@x.example>\r\n"));
  REQUIRE(replies.size() == 12);
  CHECK(replies[3] == "554 5.4.6 too many hops: this message goes round in a loop");
  CHECK(replies[7] == "550 5.6.11 a CR or an LF stands alone in the message");
  CHECK(replies[11] == "550 5.6.11 a CR or an LF stands alone in the message");
  CHECK(desk.queue().empty());
  CHECK(desk.half_written() == 0);
}

TEST_CASE("submit: a hundred hops are none too many", "[submit]") {
  Desk desk;
  std::string hops;
  for (int i = 0; i < 100; ++i) hops += "Received: from x by y; Sat, 31 Jan 2026 10:00:00 +0000\r\n";
  CHECK(replies_to(desk, with_data(hops + k_message)).back().starts_with("250 2.0.0 queued as "));
}

TEST_CASE("submit: a header without end is refused, not kept in memory", "[submit]") {
  Desk desk;
  desk.session.offer.size = desk.options.limits.max_size = 0;
  std::string header = k_header;
  while (header.size() <= 2 * 1024 * 1024) header += "X-Long: " + std::string(900, 'x') + "\r\n";
  const auto replies = replies_to(desk, with_data(header + "\r\nx\r\n") + with_data(k_message));
  CHECK(replies[3].starts_with("552 5.3.4 "));
  CHECK(replies[7].starts_with("250 2.0.0 queued as "));
  CHECK(desk.queue().size() == 1);
}

TEST_CASE("submit: syntax and sequence are the session's affair", "[submit]") {
  Desk desk;
  CHECK(replies_to(desk,
                   "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nMAIL FROM:<a@b.example> FOO=1\r\n"
                   "RCPT TO:<c@d.example>\r\nDATA\r\nMAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>\r\n"
                   "DATA\r\nAUTH PLAIN x\r\nSTARTTLS\r\nATRN\r\nNOOP\r\n") ==
        Replies{"555 5.5.4 BINARYMIME is not offered here", "555 5.5.4 Parameter not known: FOO",
                "503 5.5.1 MAIL first", "503 5.5.1 MAIL first", "250 2.1.0 OK", "503 5.5.1 a transaction is under way",
                "554 5.5.1 no valid recipients", "502 5.5.1 not on this line", "502 5.5.1 not on this line",
                "502 5.5.1 not on this line", "250 2.0.0 OK"});
}

// --- the disk

TEST_CASE("submit: a page in a browser cannot send mail", "[submit]") {
  for (const std::string first : {"POST / HTTP/1.1", "GET /x", "Host: localhost:2525", "connect mail:25 HTTP/1.0"}) {
    INFO(first);
    Desk desk;
    const auto said =
        lines_of(desk.play(first + "\r\nAccept: */*\r\n\r\n" + k_hello + k_envelope + k_data + "QUIT\r\n"));
    CHECK(said == Replies{"220 mail.example.org ESMTP odmr", "421 4.3.2 mail.example.org is no web server"});
    CHECK(desk.queue().empty());
  }
}

TEST_CASE("submit: too many errors end the session inside a transaction too, where it says so", "[submit]") {
  for (const bool cuts : {true, false}) {
    Desk desk;
    desk.session.limits_cut_transactions = cuts;
    std::string bad;
    for (int i = 0; i < 150; ++i) bad += "RCPT TO:<no address>\r\n";
    const auto said = lines_of(desk.play(k_hello + k_envelope + bad + k_data + "QUIT\r\n"));
    CHECK(said.back() == "421 4.3.2 mail.example.org too many errors");
    CHECK(desk.queue().size() == (cuts ? 0 : 1));
  }
}

TEST_CASE("submit: on a disk that is nearly full no message is begun", "[submit]") {
  Desk desk;
  const std::string mail = "MAIL FROM:<a@b.example> SIZE=1000\r\nRSET\r\n";
  desk.space = desk.options.spare + 999;
  CHECK(replies_to(desk, mail)[0] == "452 4.3.1 the queue has no room for this now");
  desk.space = desk.options.spare + 1000;
  CHECK(replies_to(desk, mail)[0] == "250 2.1.0 OK");
  desk.space = desk.options.spare - 1;
  CHECK(replies_to(desk, "MAIL FROM:<a@b.example>\r\n")[0] == "452 4.3.1 the queue has no room for this now");
  desk.options.free_space = [] { return fail(Errc::io, "nobody knows"); };
  CHECK(replies_to(desk, mail)[0] == "250 2.1.0 OK");
}

TEST_CASE("submit: whichever call to the disk fails, the answer is 4xx and nothing is kept, or 250 and all of it is",
          "[submit]") {
  const auto how = GENERATE(FailingFiles::How::refuse, FailingFiles::How::deny, FailingFiles::How::die);
  const int number = GENERATE(EIO, ENOSPC, EDQUOT);
  std::size_t failures = 0;
  for (std::size_t which = 1;; ++which) {
    FailingFiles files(which, how, number);
    Desk desk(files);
    if (!desk.store) continue;
    const auto replies = replies_to(desk, k_envelope + k_data + k_envelope + k_data);
    if (!files.reached()) break;
    REQUIRE(replies.size() == 8);
    const auto queue = desk.queue();
    std::size_t taken = 0;
    for (const std::size_t dot : {std::size_t{3}, std::size_t{7}}) {
      CAPTURE(which, replies[dot]);
      const bool is_taken = replies[dot].starts_with("250 2.0.0 queued as ");
      const std::string put_off =
          number == EIO ? "451 4.3.0 the queue cannot take this now" : "452 4.3.1 the queue has no room for this now";
      if (!is_taken) CHECK(replies[dot] == put_off);
      const std::string id = is_taken ? replies[dot].substr(20) : std::string();
      const auto is_it = [&](const Desk::Held& held) { return held.id == id; };
      if (is_taken) CHECK(std::count_if(queue.begin(), queue.end(), is_it) == 1);
      taken += is_taken ? 1 : 0;
    }
    failures += 2 - taken;
    for (const auto& held : queue) CHECK(without_trace(held.bytes) == k_message);
    if (how != FailingFiles::How::die) CHECK(taken >= 1);
    if (how == FailingFiles::How::refuse) {
      CHECK(queue.size() == taken);
      CHECK(desk.half_written() == 0);
    } else {
      // A call that lies, or a process that is dead, cannot be undone. The next start clears what is half-written; what
      // is whole is mail that was never answered 250.
      CHECK(queue.size() <= taken + 1);
      CHECK(desk.half_written() <= 1);
    }
  }
  CHECK(failures >= 8);
}

TEST_CASE("submit: the dot is answered when the message is on disk; others are served meanwhile", "[submit]") {
  Desk desk;
  auto gate = std::make_unique<GatedWorker>(desk.simulation);
  GatedWorker& disk = *gate;
  desk.worker = std::move(gate);
  std::string slow;
  std::string quick;
  std::size_t queued_before = 99;
  std::string slow_before;
  desk.start({{k_hello + k_envelope + k_data + "QUIT\r\n", {}}}, slow, "uid 1000");
  desk.start({{"", {}},
              {k_hello + "NOOP\r\nQUIT\r\n", {}},
              {"",
               [&] {
                 queued_before = desk.queue().size();
                 slow_before = slow;
                 disk.is_shut = false;
               }}},
             quick, "uid 1001");
  REQUIRE(desk.simulation.run(desk.wait()));
  CHECK(after_hello(quick) == Replies{"250 2.0.0 OK", "221 2.0.0 mail.example.org closes"});
  CHECK(queued_before == 0);
  CHECK(slow_before.find("queued as") == std::string::npos);
  CHECK(slow.find("250 2.0.0 queued as ") != std::string::npos);
  CHECK(desk.queue().size() == 1);
}

// --- the line

TEST_CASE("submit: cut after any byte, a message is whole in the queue or not there at all", "[submit]") {
  const std::size_t dot = k_whole.find("\r\n.\r\n") + 5;
  for (std::size_t cut = 1; cut <= k_whole.size(); ++cut) {
    Desk desk;
    net::Faults faults;
    faults.cut_after_read = cut;
    desk.play(k_whole, faults);
    CAPTURE(cut);
    const auto queue = desk.queue();
    CHECK(queue.size() == (cut >= dot ? 1 : 0));
    if (!queue.empty()) CHECK(without_trace(queue[0].bytes) == k_message);
    CHECK(desk.half_written() == 0);
  }
}

TEST_CASE("submit: whatever part of the replies arrives, a message that was answered 250 is there", "[submit]") {
  Desk whole;
  const std::size_t said = whole.play(k_whole).size();
  for (std::size_t cut = 1; cut <= said; ++cut) {
    Desk desk;
    net::Faults faults;
    faults.cut_after_written = cut;
    const auto heard = desk.play(k_whole, faults);
    CAPTURE(cut);
    const auto queue = desk.queue();
    CHECK(queue.size() <= 1);
    if (heard.find("queued as") != std::string::npos) CHECK(queue.size() == 1);
    for (const auto& held : queue) CHECK(without_trace(held.bytes) == k_message);
    CHECK(desk.half_written() == 0);
  }
}

TEST_CASE("submit: however the bytes come, the message is the same", "[submit]") {
  for (std::size_t at = 1; at < k_whole.size(); ++at) {
    Desk desk;
    net::Faults faults;
    faults.breaks = {at};
    desk.play(k_whole, faults);
    REQUIRE(desk.queue().size() == 1);
    CHECK(without_trace(desk.queue()[0].bytes) == k_message);
  }
}

TEST_CASE("submit: a message under way is finished after a signal, and then the caller is sent away", "[submit]") {
  Desk desk;
  const auto heard = desk.play({{k_hello + k_envelope + "DATA\r\n" + k_header, {}},
                                {"\r\nx\r\n.\r\n", [&] { desk.stop.advance(Stop::Phase::finish); }}});
  CHECK(desk.queue().size() == 1);
  CHECK(lines_of(heard).back() == "421 4.3.2 mail.example.org stopping on a signal");
}

TEST_CASE("submit: a second signal leaves inside a message, of which nothing stays", "[submit]") {
  Desk desk;
  desk.play({{k_hello + k_envelope + "DATA\r\n" + k_header, {}}, {"", [&] { desk.stop.advance(Stop::Phase::leave); }}});
  CHECK(desk.queue().empty());
  CHECK(desk.half_written() == 0);
  CHECK(desk.ends[0]->how == server::SessionEnd::How::left);
}

// --- directly

namespace {

// The smart host's own handler.
class SmartHost final : public server::MailHandler {
 public:
  struct Message {
    smtp::MailCommand mail;
    std::vector<smtp::RcptCommand> recipients;
    std::string content;
  };

  smtp::Reply mail_reply{250, "2.1.0 sender ok"};
  std::map<std::string, smtp::Reply> recipients;  // others are taken
  std::optional<smtp::Reply> data_reply;
  smtp::Reply end_reply{250, "2.0.0 Ok: queued as 4ABC"};
  std::vector<Message> taken;
  std::size_t abandoned = 0;

  Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const server::Hello& /*hello*/) override {
    message_ = Message{mail, {}, {}};
    co_return mail_reply;
  }
  Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) override {
    const auto planned = recipients.find(rcpt.forward_path.text());
    if (planned != recipients.end()) co_return planned->second;
    message_.recipients.push_back(rcpt);
    co_return smtp::Reply(250, "2.1.5 recipient ok");
  }
  void on_mail_refused(std::string_view /*argument*/, const smtp::Reply& /*reply*/) override {}
  void on_rcpt_refused(std::string_view /*argument*/, const smtp::Reply& /*reply*/) override {}
  Task<std::optional<smtp::Reply>> on_data() override { co_return data_reply; }
  Task<> on_content(std::string_view piece) override {
    message_.content += piece;
    co_return;
  }
  Task<server::Answer> on_end(server::ContentEnd /*end*/, server::Peer& /*peer*/) override {
    if (end_reply.is_positive()) taken.push_back(message_);
    co_return end_reply;
  }
  Task<> on_abandon() override {
    ++abandoned;
    co_return;
  }

 private:
  Message message_;
};

// Callers, us, and a smart host behind us.
struct Passage final : net::Network {
  Passage() {
    options.hostname = caller_session.hostname = "mail.example.org";
    options.limits.max_size = 100000;
    caller_session.offer.smtputf8 = caller_session.offer.dsn = true;
    caller_session.bare_names = true;
    host_session.hostname = "smtp.example.net";
    host_session.offer.smtputf8 = host_session.offer.dsn = true;
    target.role = deliver::TargetOptions::Role::smart_host;
    target.server.hostname = "mail.example.org";
    target.server.endpoint.host = "smtp.example.net";
  }

  Clock& clock() override { return simulation; }
  Task<Result<net::Stream>> connect(const net::Endpoint& /*endpoint*/, Duration /*patience*/, Stop& /*stop*/) override {
    if (is_down) co_return fail(Errc::unreachable, "smtp.example.net: Connection refused");
    auto line = net::memory_line(simulation, "192.0.2.1:587", "mail.example.org");
    simulation.start(host_serves(net::Stream(std::move(line.second), simulation)));
    co_return net::Stream(std::move(line.first), simulation);
  }
  Task<> host_serves(net::Stream stream) {
    co_await server::serve_mail(std::move(stream), host, host_session, silent_log(), never);
  }

  Task<> serve(net::Stream stream) {
    deliver::SmtpTarget smart_host(target, *this, silent_log(), stop);
    const auto caller = intake::Caller::of(stream.peer());
    const std::string session = "abc.1";
    intake::PassOn handler(options, caller, session, smart_host, simulation, silent_log());
    co_await server::serve_mail(std::move(stream), handler, caller_session, silent_log(), stop);
    co_await smart_host.close();
    is_served = true;
  }

  Task<> wait() {
    while (!is_served || !is_over) {
      co_await net::delay(simulation, std::chrono::seconds(1), never);
    }
  }

  Replies play(const std::string& commands, const net::Faults& faults = {}) {
    std::string heard;
    is_served = is_over = false;
    auto line = net::memory_line(simulation, "uid 1000", "server", faults);
    simulation.start(serve(net::Stream(std::move(line.first), simulation)));
    std::vector<Step> steps{{k_hello + commands + "QUIT\r\n", {}}};
    simulation.start(speak(net::Stream(std::move(line.second), simulation), std::move(steps), heard, is_over));
    REQUIRE(simulation.run(wait()));
    simulation.settle();
    Replies replies = after_hello(heard);
    if (!replies.empty()) replies.pop_back();
    return replies;
  }

  intake::PassOnOptions options;
  server::MailSessionOptions caller_session;
  server::MailSessionOptions host_session;
  deliver::TargetOptions target;
  SmartHost host;
  Stop stop;
  Stop never;
  bool is_down = false;
  bool is_served = false;
  bool is_over = false;
  net::Simulation simulation;  // last: its conversations look at all the others
};

}  // namespace

TEST_CASE("submit --direct: the smart host gets envelope and message as they came, and its answer is the answer",
          "[submit]") {
  Passage passage;
  CHECK(passage.play("MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME RET=FULL ENVID=x\r\n"
                     "RCPT TO:<c@d.example> NOTIFY=NEVER\r\nRCPT TO:<anna>\r\n" +
                     k_data) == Replies{"250 2.1.0 sender ok", "250 2.1.5 recipient ok", "250 2.1.5 recipient ok",
                                        "354 end with CRLF.CRLF", "250 2.0.0 Ok: queued as 4ABC"});
  REQUIRE(passage.host.taken.size() == 1);
  const auto& message = passage.host.taken[0];
  CHECK(message.mail.reverse_path.text() == "a@b.example");
  CHECK(message.mail.size == 100);
  CHECK(message.mail.body == smtp::BodyType::eight_bit_mime);
  CHECK(message.mail.ret == "FULL");
  CHECK(message.mail.envid == "x");
  REQUIRE(message.recipients.size() == 2);
  CHECK(message.recipients[0].notify == "NEVER");
  CHECK(message.recipients[1].forward_path.text() == "anna@mail.example.org");
  CHECK(message.content.starts_with(
      "Received: from desk.example (uid 1000)\r\n\tby mail.example.org with ESMTP\r\n\tid abc.1.1;\r\n"));
  CHECK(without_trace(message.content) == k_message);
}

TEST_CASE("submit --direct: each refusal of the smart host's comes through, with its words", "[submit]") {
  Passage passage;
  passage.host.recipients["no@d.example"] = smtp::Reply(550, "5.1.1 no such user");
  passage.host.recipients["later@d.example"] = smtp::Reply(450, "4.2.1 busy");
  passage.host.end_reply = smtp::Reply(554, "5.7.1 looks like spam");
  CHECK(passage.play("MAIL FROM:<a@b.example>\r\nRCPT TO:<no@d.example>\r\nRCPT TO:<later@d.example>\r\n"
                     "RCPT TO:<c@d.example>\r\n" +
                     k_data) == Replies{"250 2.1.0 sender ok", "550 5.1.1 no such user", "450 4.2.1 busy",
                                        "250 2.1.5 recipient ok", "354 end with CRLF.CRLF",
                                        "554 5.7.1 looks like spam"});
  passage.host.mail_reply = smtp::Reply(501, "5.1.8 no such domain");
  CHECK(passage.play("MAIL FROM:<a@b.example>\r\n") == Replies{"501 5.1.8 no such domain"});
  passage.host.mail_reply = smtp::Reply(250, "2.1.0 sender ok");
  passage.host.data_reply = smtp::Reply(451, "4.3.0 later");
  CHECK(passage.play(k_envelope + "DATA\r\n").back() == "451 4.3.0 later");
}

TEST_CASE("submit --direct: what is our own fault puts mail off", "[submit]") {
  Passage passage;
  passage.host.mail_reply = smtp::Reply(530, "5.7.0 authentication required");
  CHECK(passage.play("MAIL FROM:<a@b.example>\r\n") ==
        Replies{"451 4.7.0 the smart host does not let us in: 530 5.7.0 authentication required"});
  passage.host.mail_reply = smtp::Reply(421, "4.3.2 going down");
  CHECK(passage.play("MAIL FROM:<a@b.example>\r\n") == Replies{"451 4.3.2 going down"});
  passage.is_down = true;
  CHECK(passage.play("MAIL FROM:<a@b.example>\r\n") ==
        Replies{"451 4.4.1 the smart host is not ready: smtp.example.net: Connection refused"});
}

TEST_CASE("submit --direct: what must not go on does not become a message at the smart host", "[submit]") {
  Passage passage;
  std::string loop;
  for (int i = 0; i < 101; ++i) loop += "Received: from x by y; Sat, 31 Jan 2026 10:00:00 +0000\r\n";
  CHECK(passage.play(with_data(loop + k_message)).back() ==
        "554 5.4.6 too many hops: this message goes round in a loop");
  CHECK(passage.play(with_data(k_header + "\r\na\nb\r\n")).back() ==
        "550 5.6.11 a CR or an LF stands alone in the message");
  CHECK(passage.play(with_data(k_header + "\r\n" + std::string(100000, 'x') + "\r\n")).back() ==
        "552 5.3.4 at most 100000 octets are taken here");
  CHECK(passage.host.taken.empty());
  CHECK(passage.host.abandoned == 3);
}

TEST_CASE("submit --direct: cut after any byte, the smart host has the whole message or none", "[submit]") {
  const std::string said = k_hello + k_envelope + k_data + "QUIT\r\n";
  const std::size_t dot = said.find("\r\n.\r\n") + 5;
  for (std::size_t cut = 1; cut <= said.size(); ++cut) {
    Passage passage;
    net::Faults faults;
    faults.cut_after_read = cut;
    passage.play(k_envelope + k_data, faults);
    CAPTURE(cut);
    REQUIRE(passage.host.taken.size() == (cut >= dot ? 1 : 0));
    if (cut >= dot) CHECK(without_trace(passage.host.taken[0].content) == k_message);
  }
}

// --- one message, directly

namespace {

class Text final : public client::Content {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  Result<std::size_t> read(char* into, std::size_t size) override {
    if (text_.empty() && error) return fail(*error);
    const auto count = std::min(size, text_.size());
    text_.copy(into, count);
    text_.erase(0, count);
    return count;
  }
  std::optional<Error> error;  // at its end

 private:
  std::string text_;
};

Task<> run_direct(Passage& passage, const client::Envelope& envelope, client::Content& content,
                  submit::DirectResult& result) {
  deliver::SmtpTarget smart_host(passage.target, passage, silent_log(), passage.stop);
  const std::string trace = "Received: from localhost by mail.example.org; Sat, 31 Jan 2026 10:00:00 +0000\r\n";
  result = co_await submit::send_direct(smart_host, envelope, trace, content);
}

client::Envelope to(const std::vector<std::string>& recipients) {
  client::Envelope envelope;
  envelope.reverse_path.mailbox = {"a", "b.example"};
  for (const auto& one : recipients) envelope.recipients.push_back({*smtp::parse_mailbox(one), {}, {}});
  return envelope;
}

submit::DirectResult direct(Passage& passage, const client::Envelope& envelope, std::optional<Error> error = {}) {
  Text content(k_message);
  content.error = std::move(error);
  submit::DirectResult result{-1, {}};
  REQUIRE(passage.simulation.run(run_direct(passage, envelope, content, result)));
  passage.simulation.settle();
  return result;
}

}  // namespace

TEST_CASE("sendmail --direct: exit 0 when the smart host has taken it for all", "[submit]") {
  Passage passage;
  const auto result = direct(passage, to({"c@d.example", "e@d.example"}));
  CHECK(result.exit == 0);
  CHECK(result.text == "250 2.0.0 Ok: queued as 4ABC");
  REQUIRE(passage.host.taken.size() == 1);
  CHECK(passage.host.taken[0].recipients.size() == 2);
  CHECK(without_trace(passage.host.taken[0].content) == k_message);
}

TEST_CASE("sendmail --direct: where one recipient is refused, nothing is sent", "[submit]") {
  Passage passage;
  passage.host.recipients["no@d.example"] = smtp::Reply(550, "5.1.1 no such user");
  passage.host.recipients["later@d.example"] = smtp::Reply(450, "4.2.1 busy");
  auto result = direct(passage, to({"c@d.example", "no@d.example", "later@d.example"}));
  CHECK(result.exit == 69);
  CHECK(result.text ==
        "the recipient <no@d.example> is refused: 550 5.1.1 no such user; the recipient <later@d.example> is refused: "
        "450 4.2.1 busy");
  result = direct(passage, to({"later@d.example", "c@d.example"}));
  CHECK(result.exit == 75);
  CHECK(passage.host.taken.empty());
}

TEST_CASE("sendmail --direct: the exit status says what kept it from the smart host", "[submit]") {
  Passage passage;
  passage.host.end_reply = smtp::Reply(554, "5.7.1 spam");
  CHECK(direct(passage, to({"c@d.example"})).exit == 69);
  passage.host.end_reply = smtp::Reply(452, "4.3.1 full");
  CHECK(direct(passage, to({"c@d.example"})).exit == 75);
  passage.host.mail_reply = smtp::Reply(530, "5.7.0 log in first");
  auto result = direct(passage, to({"c@d.example"}));
  CHECK(result.exit == 77);
  CHECK(result.text == "the sender <a@b.example> is refused: 530 5.7.0 log in first");
  passage.host.mail_reply = smtp::Reply(250, "2.1.0 ok");
  passage.target.server.tls = client::TlsPolicy::starttls;
  CHECK(direct(passage, to({"c@d.example"})).exit == 76);
  passage.target.server.tls = client::TlsPolicy::none;
  auto login = std::make_shared<client::Login>();
  login->user = "x";
  passage.target.server.login = login;
  CHECK(direct(passage, to({"c@d.example"})).exit == 77);
  passage.target.server.login.reset();
  passage.is_down = true;
  result = direct(passage, to({"c@d.example"}));
  CHECK(result.exit == 75);
  CHECK(result.text == "the smart host is not ready: smtp.example.net: Connection refused");
  CHECK(passage.host.taken.empty());
}

TEST_CASE("sendmail --direct: a message that ends in an error is not sent", "[submit]") {
  Passage passage;
  CHECK(direct(passage, to({"c@d.example"}), Error{Errc::io, "a bad disk"}).exit == 75);
  CHECK(direct(passage, to({"c@d.example"}), Error{Errc::malformed, "a lone CR"}).exit == 65);
  CHECK(passage.host.taken.empty());
}

TEST_CASE("sendmail --direct: internationalized mail needs a smart host that takes it", "[submit]") {
  Passage passage;
  passage.host_session.offer.smtputf8 = false;
  auto envelope = to({"c@d.example"});
  envelope.options.smtputf8 = true;
  CHECK(direct(passage, envelope).exit == 69);
  CHECK(passage.host.taken.empty());
}

}  // namespace odmr::test
