// A smart host that is a program: started by the helper, spoken to over its standard input and output, with the real
// network and its clock.

#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "../pure/temporary_directory.hpp"
#include "app/way_out.hpp"
#include "deliver/smtp_target.hpp"
#include "net/system_network.hpp"
#include "recorded_log.hpp"

namespace odmr::test {

namespace {

using confine::Command;
using net::Task;
using namespace std::chrono_literals;

// Takes mail, but for no@d.example, and writes down what it hears; "over" below it once its input has ended.
const char* const k_mail_server = R"(
echo '220 program.example ESMTP'
while read -r line; do
  printf '%s\n' "$line" | tr -d '\r' >>"$0"
  case $line in
  EHLO*) printf '250-program.example\r\n250 PIPELINING\r\n' ;;
  *no@d.example*) printf '550 5.1.1 no such user\r\n' ;;
  MAIL*|RCPT*|RSET*) printf '250 2.0.0 fine\r\n' ;;
  DATA*) printf '354 go on\r\n' ;;
  .?) printf '250 2.0.0 queued as 4ABC\r\n' ;;
  QUIT*) printf '221 2.0.0 bye\r\n'; break ;;
  esac
done
echo over >>"$0"
)";

Command shell(const std::string& text, const std::string& file = "sh") {
  return {"/bin/sh", "-c", text, file};
}

std::string text_in(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

smtp::Path path(const std::string& local_part) {
  smtp::Path path;
  path.mailbox = {local_part, "d.example"};
  return path;
}

// A way out by a program.
struct Way {
  explicit Way(const Command& program) : helper(confine::Helper::start({program})) {
    options.role = deliver::TargetOptions::Role::smart_host;
    options.server.hostname = "odmr.example.net";
    options.server.endpoint.program = program;
  }

  void run(Task<> conversation) {
    asio::co_spawn(loop, std::move(conversation), [](const std::exception_ptr& bug) {
      if (bug) std::rethrow_exception(bug);
    });
    loop.run();
    loop.restart();
  }

  Result<confine::Helper> helper;
  asio::io_context loop;
  net::SystemNetwork network{loop, app::begin_program_by(*helper)};
  deliver::TargetOptions options;
  RecordedLog log;
  Stop stop;
};

// One message for two recipients; where it is cut short, before its dot.
Task<> send(Way& way, bool is_cut, std::vector<std::string>& heard) {
  deliver::SmtpTarget target(way.options, way.network, way.log, way.stop);
  const smtp::MailCommand mail{path("anna"), {}, smtp::BodyType::unspecified, false, {}, {}, {}, false};
  const smtp::RcptCommand good{path("c"), {}, {}};
  const smtp::RcptCommand bad{path("no"), {}, {}};
  const auto taken = co_await target.mail(mail);
  heard.push_back(taken.joined());
  if (!taken.is_positive()) co_return;
  const auto first = co_await target.rcpt(good);
  const auto second = co_await target.rcpt(bad);
  heard.insert(heard.end(), {first.joined(), second.joined()});
  const deliver::Handover handover{mail.reverse_path, {good.forward_path.mailbox}, "Received: by us\r\n"};
  const auto refused = co_await target.data(handover);
  heard.push_back(refused ? refused->joined() : "354");
  // More than is held back for the dot.
  const std::string piece = "Subject: one\r\n\r\n" + std::string(40'000, 'x') + "\r\n.dot\r\n";
  co_await target.content(piece);
  if (is_cut) co_return co_await target.abandon();
  const auto replies = co_await target.finish();
  for (const auto& reply : replies) heard.push_back(reply.joined());
  co_await target.close();
}

// What MAIL hears where there is no conversation.
std::string refusal(Way& way) {
  std::vector<std::string> heard;
  way.run(send(way, false, heard));
  REQUIRE(heard.size() == 1);
  return heard[0];
}

}  // namespace

TEST_CASE("program: it is spoken to as a smart host is, and its answers are the answers", "[program]") {
  const TemporaryDirectory directory;
  const std::string file = directory / "heard";
  Way way(shell(k_mail_server, file));
  std::vector<std::string> heard;
  way.run(send(way, false, heard));
  CHECK(heard == std::vector<std::string>{"250 2.0.0 fine", "250 2.0.0 fine", "550 5.1.1 no such user", "354",
                                          "250 2.0.0 queued as 4ABC"});
  { const auto gone = std::move(way.helper); }  // which waits for the program
  CHECK(text_in(file) ==
        "EHLO odmr.example.net\nMAIL FROM:<anna@d.example>\nRCPT TO:<c@d.example>\n"
        "RCPT TO:<no@d.example>\nDATA\nReceived: by us\nSubject: one\n\n" +
            std::string(40'000, 'x') + "\n..dot\n.\nQUIT\nover\n");
}

TEST_CASE("program: of a message that is cut short it never hears the dot", "[program]") {
  const TemporaryDirectory directory;
  const std::string file = directory / "heard";
  Way way(shell(k_mail_server, file));
  std::vector<std::string> heard;
  way.run(send(way, true, heard));
  { const auto gone = std::move(way.helper); }
  const std::string text = text_in(file);
  CHECK(text.find("DATA\nReceived: by us\n") != std::string::npos);
  CHECK(text.find("\n.\n") == std::string::npos);
  CHECK(text.find("QUIT") == std::string::npos);
  CHECK(text.ends_with("over\n"));
}

TEST_CASE("program: why there is no conversation with one", "[program]") {
  Way missing({"/no/such/program", "-bs"});
  CHECK(
      refusal(missing) ==
      "451 4.4.1 the smart host is not ready: /no/such/program -bs: cannot be started: /no/such/program: No such file "
      "or directory");
  CHECK(missing.log.has("warn smart host is not ready error=/no/such/program -bs: cannot be started"));

  Way ended(shell("exit 1"));
  CHECK(refusal(ended) == "451 4.4.1 the smart host is not ready: /bin/sh -c exit 1 sh: connection closed");

  Way silent(shell("read x"));
  silent.options.server.patience.command = 50ms;
  CHECK(refusal(silent) == "451 4.4.1 the smart host is not ready: /bin/sh -c read x sh: no answer in time");

  Way refuses(shell("echo '554 no'"));
  CHECK(
      refusal(refuses).starts_with("451 4.4.1 the smart host is not ready: the server does not let us in: \"554 no\""));

  Way unknown(shell("exit 1"));
  unknown.options.server.endpoint.program = shell("exit 2");
  CHECK(refusal(unknown).ends_with("the command is not one that was configured"));

  Way stopped(shell("read x"));
  stopped.stop.advance(Stop::Phase::finish);
  CHECK(refusal(stopped).ends_with("stopped by a signal"));
}

TEST_CASE("program: without its helper there is none, and it says so", "[program]") {
  // The helper is found by what it runs: it is the parent of who holds the conversation, the shell's parent.
  const auto killer = shell("read pid name state parent rest </proc/$PPID/stat; kill -9 $parent; echo done");
  Way killed(killer);
  const auto conversation = killed.helper->converse(killer, 20s);
  REQUIRE(conversation);
  std::string said(5, '\0');
  REQUIRE(::read(conversation->line.get(), said.data(), said.size()) == 5);
  CHECK(refusal(killed).find("the helper that runs commands") != std::string::npos);
}

TEST_CASE("program: none can begin that was not there at the start", "[program]") {
  const auto helper = confine::Helper::start({shell("exit 1")});
  REQUIRE(helper);
  app::DaemonSettings settings;
  settings.outbound.emplace();
  settings.outbound->tls.policy = client::TlsPolicy::none;
  settings.outbound->endpoint.program = shell("exit 1");
  CHECK(app::commands_of(settings) == std::vector<Command>{shell("exit 1")});
  const auto way_out = app::way_out_of(settings, *helper);
  REQUIRE(way_out);
  CHECK((*way_out)->smart_host.server.endpoint.program == shell("exit 1"));
  settings.outbound->endpoint.program = shell("exit 2");
  CHECK(app::way_out_of(settings, *helper, way_out->get()).error() ==
        Error{Errc::denied,
              "[outbound]: sendmail names a program that was not there at the start, and who is shut in can start no "
              "other; restart odmrd"});
  settings.outbound->endpoint = {"127.0.0.1", 25, {}, {}};
  CHECK(app::commands_of(settings).empty());
  CHECK(app::way_out_of(settings, *helper, way_out->get()));
}

}  // namespace odmr::test
