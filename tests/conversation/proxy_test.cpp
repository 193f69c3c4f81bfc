// The conversation with a SOCKS proxy, at every way of cutting its bytes, and with everything it can say.

#include "net/proxy.hpp"

#include <catch2/catch.hpp>

#include "net/memory.hpp"

using namespace odmr;
using namespace std::chrono_literals;
using namespace std::string_literals;
using net::Task;

namespace {

// What the proxy waits for, and what it says then.
using Script = std::vector<std::pair<std::string, std::string>>;

struct Heard {
  Result<void> result;
  std::string behind;  // what came from the host with the proxy's last word
  std::string faults;  // of ours
  Duration took{};
};

Task<> play(net::Stream stream, const Script& script, std::string& faults) {
  for (const auto& [wanted, said] : script) {
    while (stream.buffered().size() < wanted.size()) {
      const auto filled = co_await stream.fill(stream.clock().now() + std::chrono::hours(1));
      if (!filled) co_return;
    }
    if (stream.buffered() != wanted) faults += "unexpected bytes; ";
    stream.consume(wanted.size());
    const std::string_view bytes = said;
    const auto written = co_await stream.write(bytes, 1h);
    if (!written) co_return;
  }
  // Until we close. Who plays nobody says nothing to whatever he hears.
  for (;;) {
    const auto filled = co_await stream.fill(stream.clock().now() + std::chrono::hours(1));
    if (!filled) co_return;
    if (!script.empty()) faults += "more than it should say; ";
    stream.consume(stream.buffered().size());
  }
}

Task<> ask(net::Stream stream, const net::Proxy& proxy, Heard& heard) {
  const TimePoint begin = stream.clock().now();
  const std::string host = "odmr.example.net";
  heard.result = co_await net::connect_through(stream, proxy, host, 366, begin + 30s);
  heard.behind = stream.buffered();
  heard.took = stream.clock().now() - begin;
  stream.close();
}

Heard hear(const Script& script, const net::Proxy& proxy, const net::Faults& faults = {}) {
  net::Simulation simulation;
  Heard heard;
  auto line = net::memory_line(simulation, "127.0.0.1:1080", "127.0.0.1:4711", faults);
  simulation.start(play(net::Stream(std::move(line.second), simulation), script, heard.faults));
  const bool ended = simulation.run(ask(net::Stream(std::move(line.first), simulation), proxy, heard));
  CHECK(ended);
  simulation.settle();
  return heard;
}

net::Proxy open_proxy() {
  net::Proxy proxy;
  proxy.host = "127.0.0.1";
  return proxy;
}

net::Proxy proxy_with_login() {
  net::Proxy proxy = open_proxy();
  proxy.user = "anna";
  proxy.password = Secret("s3cret");
  return proxy;
}

const std::string k_request = "\x05\x01\x00\x03\x10"s + "odmr.example.net" + "\x01\x6e";
const std::string k_granted = "\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"s;
const std::string k_login = "\x01\x04"s + "anna\x06s3cret";

}  // namespace

TEST_CASE("through a proxy, without a login and with one, however its bytes come") {
  const std::string greeting = "220 odmr.example.net ESMTP\r\n";
  struct Row {
    net::Proxy proxy;
    Script script;
  };
  Row rows[] = {
      {open_proxy(), {{"\x05\x01\x00"s, "\x05\x00"s}, {k_request, k_granted + greeting}}},
      {proxy_with_login(), {{"\x05\x02\x00\x02"s, "\x05\x00"s}, {k_request, k_granted + greeting}}},
      {proxy_with_login(),
       {{"\x05\x02\x00\x02"s, "\x05\x02"s}, {k_login, "\x01\x00"s}, {k_request, k_granted + greeting}}},
  };
  for (const auto& row : rows) {
    std::size_t all = 0;
    for (const auto& [wanted, said] : row.script) all += said.size();
    for (std::size_t cut = 1; cut <= all; ++cut) {
      net::Faults faults;
      faults.breaks = {cut};
      const auto heard = hear(row.script, row.proxy, faults);
      CAPTURE(cut, heard.faults);
      REQUIRE(heard.result);
      CHECK(heard.faults.empty());
      CHECK(greeting.starts_with(heard.behind));  // nothing of it is lost: the rest is still to be read
    }
    net::Faults bytewise;
    bytewise.largest_read = 1;
    CHECK(hear(row.script, row.proxy, bytewise).result);
    CHECK(hear(row.script, row.proxy).behind == greeting);
  }
}

TEST_CASE("what a proxy refuses is said in words") {
  const auto why = [](const Script& script, const net::Proxy& proxy) {
    const auto heard = hear(script, proxy);
    CHECK(heard.faults.empty());
    REQUIRE_FALSE(heard.result);
    CHECK(heard.result.error().text.find("s3cret") == std::string::npos);
    return heard.result.error();
  };
  CHECK(why({{"\x05\x01\x00"s, "\x05\xff"s}}, open_proxy()) ==
        Error{Errc::unreachable, "the proxy wants a login: proxy_user and a proxy_password_* key"});
  CHECK(why({{"\x05\x01\x00"s, "\x05\x02"s}}, open_proxy()).code == Errc::unreachable);  // not offered
  CHECK(why({{"\x05\x02\x00\x02"s, "\x05\xff"s}}, proxy_with_login()) ==
        Error{Errc::unreachable, "the proxy takes no login by name and password"});
  CHECK(why({{"\x05\x02\x00\x02"s, "\x05\x02"s}, {k_login, "\x01\x01"s}}, proxy_with_login()) ==
        Error{Errc::unreachable, "the proxy refuses the login of proxy_user"});
  CHECK(why({{"\x05\x01\x00"s, "\x05\x00"s}, {k_request, "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"s}}, open_proxy()) ==
        Error{Errc::unreachable, "the proxy says that the host refused the connection"});
  CHECK(why({{"\x05\x01\x00"s, "HTTP/1.1 400 Bad Request\r\n"}}, open_proxy()) ==
        Error{Errc::malformed, "it does not speak SOCKS5"});
}

TEST_CASE("a proxy that says nothing, or breaks off at any byte, is waited for no longer than that") {
  const auto silent = hear({}, open_proxy());
  REQUIRE_FALSE(silent.result);
  CHECK(silent.result.error().code == Errc::timed_out);
  CHECK(silent.took == 30s);
  const Script script{{"\x05\x01\x00"s, "\x05\x00"s}, {k_request, k_granted}};
  for (std::size_t cut = 0; cut < 12; ++cut) {
    for (const auto how : {net::Cut::reset, net::Cut::closed, net::Cut::silence}) {
      net::Faults faults;
      faults.cut = how;
      faults.cut_after_read = cut;
      faults.cuts_late = true;
      const auto heard = hear(script, open_proxy(), faults);
      CAPTURE(cut);
      CHECK_FALSE(heard.result);
      CHECK(heard.took <= 30s);
    }
  }
}
