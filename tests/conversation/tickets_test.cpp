// TLS sessions that are taken up again by a ticket, and those that must not be.

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "../pure/temporary_directory.hpp"
#include "app/tls_tickets.hpp"
#include "certificates.hpp"
#include "net/memory.hpp"
#include "net/stream.hpp"

namespace odmr::conversation {

namespace {

using namespace std::chrono_literals;
using Context = std::shared_ptr<net::TlsContext>;

const std::string k_host = "odmr.example.net";

// One ticket, in memory.
class Pocket final : public net::TlsTickets {
 public:
  std::string take() override { return std::exchange(ticket, {}); }
  void keep(std::string_view given) override { ticket = given; }

  std::string ticket;
};

net::Task<> serve(net::Stream stream, Context context) {
  const auto begun = co_await stream.start_tls_server(std::move(context), stream.clock().now() + 1h);
  if (!begun) co_return;
  const auto written = co_await stream.write("220 ready\r\n", 1h);
  static_cast<void>(written);
}

struct Call {
  Result<net::TlsFacts> facts = fail(Errc::closed, "not called");
  bool has_heard = false;
};

net::Task<> call(net::Stream stream, Context context, std::string name, Call& made) {
  const auto begun = co_await stream.start_tls_client(std::move(context), std::move(name), stream.clock().now() + 1h);
  if (!begun) made.facts = fail(begun.error());
  if (!begun) co_return;
  made.facts = *stream.tls();
  const auto read = co_await stream.fill(stream.clock().now() + 1h);  // and the ticket with it
  made.has_heard = read.has_value();
}

Call call(const Context& client, const Context& server, const std::string& name = k_host) {
  net::Simulation simulation;
  auto line = net::memory_line(simulation, "192.0.2.7:4711", name, {});
  simulation.start(serve(net::Stream(std::move(line.first), simulation), server));
  Call made;
  net::Stream stream(std::move(line.second), simulation);
  REQUIRE(simulation.run(call(std::move(stream), client, name, made)));
  simulation.settle();
  return made;
}

Context client_with(const std::shared_ptr<Pocket>& pocket, std::vector<std::string> pins = {}) {
  net::TlsClientOptions options;
  options.tickets = pocket;
  options.pins = std::move(pins);
  return client_context(options);
}

bool is_resumed(const Call& made) {
  REQUIRE(made.facts);
  CHECK(made.has_heard);
  return made.facts->is_resumed;
}

}  // namespace

TEST_CASE("tickets: the second session goes on from the first, and knows as much of the server", "[tickets]") {
  const auto pocket = std::make_shared<Pocket>();
  const auto client = client_with(pocket);
  const auto server = server_context("good");
  const Call first = call(client, server);
  CHECK(!is_resumed(first));
  std::string last = pocket->ticket;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(!last.empty());
    const Call again = call(client, server);
    CHECK(is_resumed(again));
    CHECK(again.facts->peer_pin == first.facts->peer_pin);
    CHECK(again.facts->peer_names == first.facts->peer_names);
    REQUIRE(again.facts->certificate);
    CHECK(again.facts->certificate->not_after == first.facts->certificate->not_after);
    CHECK(again.facts->exporter.size() == 32);
    CHECK(again.facts->exporter != first.facts->exporter);
    CHECK(pocket->ticket != last);  // each is used once
    last = pocket->ticket;
  }
}

TEST_CASE("tickets: a server that does not know the ticket is verified like any other", "[tickets]") {
  const auto pocket = std::make_shared<Pocket>();
  const auto client = client_with(pocket);
  call(client, server_context("good"));
  CHECK(!is_resumed(call(client, server_context("wildcard"))));
  for (const auto* bad : {"stranger", "expired", "wrong-name"}) {
    INFO(bad);
    call(client, server_context("good"));
    REQUIRE(!pocket->ticket.empty());
    const Call made = call(client, server_context(bad));
    REQUIRE(!made.facts);
    CHECK(made.facts.error().code == Errc::untrusted);
    CHECK(pocket->ticket.empty());
  }
}

TEST_CASE("tickets: a ticket is good for no other name, pin or trust", "[tickets]") {
  const auto server = server_context("good");
  const auto pocket = std::make_shared<Pocket>();
  const auto client = client_with(pocket);
  const std::string pin = call(client, server).facts->peer_pin;
  CHECK(!call(client, server, "mail.example.org").facts);
  CHECK(!is_resumed(call(client, server)));
  CHECK(is_resumed(call(client, server, "localhost")));  // another name of the same certificate

  CHECK(!is_resumed(call(client_with(pocket, {pin}), server)));
  CHECK(is_resumed(call(client_with(pocket, {pin}), server)));
  const Call other_pin = call(client_with(pocket, {std::string(32, 'x')}), server);
  REQUIRE(!other_pin.facts);
  CHECK(other_pin.facts.error().cause == Cause::pin_mismatch);

  net::TlsClientOptions by_pin_alone;
  by_pin_alone.pins = {pin};
  by_pin_alone.tickets = pocket;
  const auto alone = net::TlsContext::client(by_pin_alone);
  REQUIRE(alone);
  CHECK(!is_resumed(call(*alone, server, "anything.example")));
  CHECK(is_resumed(call(*alone, server, "anything.example")));
  CHECK(!is_resumed(call(client, server)));
}

TEST_CASE("tickets: nothing that stands in a ticket's place does harm", "[tickets]") {
  const auto server = server_context("good");
  const auto pocket = std::make_shared<Pocket>();
  const auto client = client_with(pocket);
  call(client, server);
  const std::string good = pocket->ticket;
  std::size_t tried = 0;
  for (std::size_t at = 0; at < good.size(); at += 5, tried += 2) {
    INFO(at);
    pocket->ticket = good.substr(0, at);
    CHECK(!is_resumed(call(client, server)));
    pocket->ticket = good;
    pocket->ticket[at] = static_cast<char>(pocket->ticket[at] ^ 0x55);
    const Call made = call(client, server);
    // What the server's own seal does not cover may not be looked at; the keys that follow from it have to fit.
    CHECK((made.facts.has_value() || made.facts.error().code == Errc::tls));
  }
  CHECK(tried > 100);
}

TEST_CASE("tickets: they are kept in a file each, for nobody else to read, and used once", "[tickets]") {
  const test::TemporaryDirectory folder;
  const std::string directory = app::tickets_in(folder.path());
  app::FileTickets isp(directory, "provider ../../isp", system_files());
  app::FileTickets other(directory, "provider other", system_files());
  CHECK(isp.take().empty());
  isp.keep("one");
  isp.keep("two");
  other.keep("of another");
  const auto all = system_files().list(system_files().open_dir(directory)->get());
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  for (const auto& name : *all) {
    struct stat status {};
    REQUIRE(::stat((directory + "/" + name).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0600);
  }
  CHECK(isp.take() == "two");
  CHECK(isp.take().empty());
  CHECK(other.take() == "of another");
}

TEST_CASE("tickets: a link in the place of a ticket is not followed, a directory is left alone", "[tickets]") {
  const test::TemporaryDirectory folder;
  app::FileTickets isp(app::tickets_in(folder.path()), "provider isp", system_files());
  isp.keep("ticket");
  const auto names = system_files().list(system_files().open_dir(app::tickets_in(folder.path()))->get());
  const std::string file = app::tickets_in(folder.path()) + "/" + names->front();
  const std::string elsewhere = folder.path() + "/elsewhere";
  std::ofstream(elsewhere) << "precious";
  REQUIRE(::unlink(file.c_str()) == 0);
  REQUIRE(::symlink(elsewhere.c_str(), file.c_str()) == 0);
  CHECK(isp.take().empty());
  isp.keep("another");
  CHECK(isp.take() == "another");
  std::string left;
  std::ifstream(elsewhere) >> left;
  CHECK(left == "precious");
  REQUIRE(::mkdir(file.c_str(), 0700) == 0);
  isp.keep("none");
  CHECK(isp.take().empty());
}

}  // namespace odmr::conversation
