#include <catch2/catch.hpp>
#include <string>

#include "http/request.hpp"
#include "http/response.hpp"
#include "http/server.hpp"
#include "net/memory.hpp"

using namespace odmr;

namespace {

std::string request(const std::string& line, const std::string& fields = "Host: localhost\r\n") {
  return line + "\r\n" + fields + "\r\n";
}

// "GET /metrics at localhost", the refusal's status, or "more".
std::string parsed(std::string_view bytes) {
  const auto result = http::parse_request(bytes);
  if (!result) return std::to_string(result.error().status);
  if (!*result) return "more";
  return (*result)->method + " " + (*result)->target + " at " + (*result)->host;
}

}  // namespace

TEST_CASE("http: a request is read whole, whatever else stands in it", "[http]") {
  CHECK(parsed(request("GET / HTTP/1.1")) == "GET / at localhost");
  CHECK(parsed(request("GET / HTTP/1.0")) == "GET / at localhost");
  CHECK(parsed("\r\n" + request("GET / HTTP/1.1")) == "GET / at localhost");
  CHECK(parsed(request("GET /metrics?x=/&y HTTP/1.1", "hOST:127.0.0.1:80 \t\r\nX:\r\nAccept: a, b;q=0.5\r\n")) ==
        "GET /metrics at 127.0.0.1:80");
  CHECK(parsed(request("HEAD / HTTP/1.1", "Content-Length: 0\r\nHost: [::1]\r\n")) == "HEAD / at [::1]");
  CHECK(parsed(request("GET / HTTP/1.1") + "anything behind it") == "GET / at localhost");
}

TEST_CASE("http: a request that has not come whole is waited for, at every byte", "[http]") {
  const std::string whole = request("GET /metrics HTTP/1.1", "Host: localhost:9\r\nUser-Agent: x\r\n");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK(parsed(whole.substr(0, size)) == "more");
  }
  CHECK(parsed(whole) == "GET /metrics at localhost:9");
}

TEST_CASE("http: what is no request is refused", "[http]") {
  const std::string host = "Host: localhost\r\n";
  for (const std::string& bad : {std::string("GET /\r\n\r\n"),
                                 request("GET"),
                                 request("GET  HTTP/1.1"),
                                 request("GET / HTTP/1.1 "),
                                 request(" GET / HTTP/1.1"),
                                 request("GET / / HTTP/1.1"),
                                 request("GET x HTTP/1.1"),
                                 request("GET http://localhost/ HTTP/1.1"),
                                 request("G(T / HTTP/1.1"),
                                 request("GET / SMTP/1.1"),
                                 request("GET /\x01 HTTP/1.1"),
                                 request("GET /\xc3\xa4 HTTP/1.1"),
                                 std::string("GET / HTTP/1.1\nHost: x\n\n"),
                                 std::string("\n"),
                                 request("GET / HTTP/1.1", ""),
                                 request("GET / HTTP/1.1", host + host),
                                 request("GET / HTTP/1.1", host + " folded\r\n"),
                                 request("GET / HTTP/1.1", "Host : x\r\n"),
                                 request("GET / HTTP/1.1", host + "no colon\r\n"),
                                 request("GET / HTTP/1.1", host + ": x\r\n"),
                                 request("GET / HTTP/1.1", host + "X: \x01\r\n"),
                                 request("GET / HTTP/1.1", host + "X: a\rb\r\n"),
                                 request("POST / HTTP/1.1", host + "Content-Length: 1\r\n"),
                                 request("POST / HTTP/1.1", host + "Content-Length: 00\r\n"),
                                 request("GET / HTTP/1.1", host + "Transfer-Encoding: chunked\r\n"),
                                 std::string("EHLO me\r\n"),
                                 std::string("\x16\x03\x01\x02\r\n")}) {
    INFO(bad);
    CHECK(parsed(bad) == "400");
  }
  CHECK(parsed(request("GET / HTTP/2.0")) == "505");
  CHECK(parsed(request("GET / HTTP/1.2")) == "505");
  CHECK(parsed(request("GET /" + std::string(http::k_longest_target, 'x') + " HTTP/1.1")) == "414");
}

TEST_CASE("http: nothing is waited for without end", "[http]") {
  CHECK(parsed(std::string(http::k_longest_request - 1, 'x')) == "more");
  CHECK(parsed(std::string(http::k_longest_request, 'x')) == "414");
  CHECK(parsed("GET / HTTP/1.1\r\nX: " + std::string(http::k_longest_request, 'x')) == "431");
  std::string many = "Host: localhost\r\n";
  for (int i = 0; i < 70; ++i) many += "X: x\r\n";
  CHECK(parsed(request("GET / HTTP/1.1", many)) == "431");
}

TEST_CASE("http: only names of this machine are hosts", "[http]") {
  for (const std::string good :
       {"localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8366", "127.1.2.3", "[::1]", "[::1]:8366"})
    CHECK(http::is_loopback_host(good));
  for (const std::string bad : {"", "localhost.evil.example", "127.evil.example", "127.0.0.1.evil.example",
                                "evil.example", "evil.example:80", "localhost:80x", "192.0.2.1", "[::2]", "[::1]x",
                                "127.0.0", "127..0.1.x", "localhost@evil.example", "0.0.0.0", "::1"})
    CHECK_FALSE(http::is_loopback_host(bad));
}

TEST_CASE("http: a reply says how long it is, and lets a browser do no more than show it", "[http]") {
  const WallTime now(std::chrono::seconds(1'769'853'600));
  http::Response page{200, "text/html", "<p>", "style-src 'sha256-x'"};
  const auto text = http::to_text(page, true, now);
  CHECK(
      text.starts_with("HTTP/1.1 200 OK\r\nDate: Sat, 31 Jan 2026 10:00:00 GMT\r\nContent-Type: text/html\r\n"
                       "Content-Length: 3\r\nConnection: close\r\n"));
  CHECK(text.find("Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; "
                  "frame-ancestors 'none'; style-src 'sha256-x'\r\n") != std::string::npos);
  CHECK(text.find("X-Content-Type-Options: nosniff\r\n") != std::string::npos);
  CHECK(text.ends_with("\r\n\r\n<p>"));
  CHECK(http::to_text(page, false, now) == text.substr(0, text.size() - 3));
  CHECK(http::to_text(http::refusal(405), true, now).find("\r\nAllow: GET, HEAD\r\n") != std::string::npos);
}

// --- a conversation

namespace {

net::Task<http::Response> page() {
  http::Response response{200, "text/html", "the page\n", {}};
  co_return response;
}

net::Task<> serve(net::Stream stream, http::Pages pages, Stop& stop) {
  co_await http::answer(std::move(stream), pages, {}, silent_log(), stop);
}

net::Task<> say(net::Stream stream, std::string bytes, std::size_t piece, std::string& heard) {
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const std::string part = bytes.substr(at, piece);
    const auto written = co_await stream.write(part, std::chrono::seconds(1));
    if (!written) break;
  }
  for (;;) {
    const auto filled = co_await stream.fill(stream.clock().now() + std::chrono::minutes(5));
    heard += stream.buffered();
    stream.consume(stream.buffered().size());
    if (!filled) co_return;
  }
}

// The reply, in pieces of that size.
std::string reply_to(const std::string& bytes, std::size_t piece = 1000) {
  net::Simulation simulation;
  Stop stop;
  auto line = net::memory_line(simulation, "127.0.0.1:4711", "page");
  simulation.start(serve(net::Stream(std::move(line.first), simulation), {{"/", page}}, stop));
  std::string heard;
  REQUIRE(simulation.run(say(net::Stream(std::move(line.second), simulation), bytes, piece, heard)));
  simulation.settle();
  return heard;
}

}  // namespace

TEST_CASE("http: a page is given in whatever pieces it is asked for", "[http]") {
  const std::string get = request("GET /?x HTTP/1.1");
  for (std::size_t piece = 1; piece <= get.size(); ++piece) {
    INFO(piece);
    const auto reply = reply_to(get, piece);
    CHECK(reply.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(reply.ends_with("\r\n\r\nthe page\n"));
  }
  const auto head = reply_to(request("HEAD / HTTP/1.1"));
  CHECK(head.find("Content-Length: 9\r\n") != std::string::npos);
  CHECK(head.ends_with("\r\n\r\n"));
}

TEST_CASE("http: all else is refused, and who says nothing is sent away", "[http]") {
  const auto status = [](const std::string& bytes) { return reply_to(bytes).substr(0, 12); };
  CHECK(status(request("GET /favicon.ico HTTP/1.1")) == "HTTP/1.1 404");
  CHECK(status(request("POST / HTTP/1.1")) == "HTTP/1.1 405");
  CHECK(status(request("GET / HTTP/1.1", "Host: evil.example\r\n")) == "HTTP/1.1 421");
  CHECK(status("EHLO x\r\n") == "HTTP/1.1 400");
  CHECK(status(std::string(20'000, 'x')) == "HTTP/1.1 414");
  CHECK(status("") == "HTTP/1.1 408");
  CHECK(status("GET / HT") == "HTTP/1.1 408");
}

TEST_CASE("http: who is being stopped answers nobody", "[http]") {
  net::Simulation simulation;
  Stop stop;
  auto line = net::memory_line(simulation, "127.0.0.1:4711", "page");
  simulation.start(serve(net::Stream(std::move(line.first), simulation), {{"/", page}}, stop));
  simulation.settle();
  stop.advance(Stop::Phase::finish);
  std::string heard;
  REQUIRE(simulation.run(say(net::Stream(std::move(line.second), simulation), "", 1, heard)));
  CHECK(heard.empty());
}
