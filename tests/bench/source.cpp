// A provider that has a store of letters in its memory, and sends them as fast as its peer takes them: what is measured
// behind it is the customer.
//
//   source [OPTION…]                  listens, prints "listening on PORT"; ends with its stdin
//     --messages N --bytes N          what the first customer gets who asks for mail; others get 453
//     --mode pipelined                MAIL, RCPT and DATA in one write, the next letter after the answer to the last
//            overlapped               and the next letter's commands in one write with the final dot
//            lockstep                 each command waits for the answer to the one before
//            bdat                     CHUNKING: a whole letter in one write, then its answers
//            streamed                 CHUNKING: letter after letter, whatever has been answered
//     --bare                          no ODMR: whoever connects is taken for an SMTP server, and gets the mail
//     --to PORT                       connects itself, and sends straight to whoever listens there
//     --lmtp                          says LHLO
//     --recipients A,B                the letters go to them in turn
//     --certificate FILE --key FILE   TLS from the first byte
//     --starttls                      or when the customer asks for it
//
// Any login is welcome, with CRAM-MD5. Prints, as JSON, how long it took from its 250 to ATRN (with --bare and --to:
// from the greeting) to the last answer to a letter. Exit status 3: the peer does not offer what the mode needs.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "line.hpp"

namespace {

using bench::die;
using bench::Line;
using Clock = std::chrono::steady_clock;

constexpr std::size_t k_line = 78;            // 76 characters and their end, as base64 is written
constexpr std::size_t k_dotted_each = 840;    // one line of so many begins with a dot
constexpr std::size_t k_block_lines = 13440;  // about 1 MiB
constexpr std::size_t k_one_write = 256 * 1024;

enum class Mode { pipelined, overlapped, lockstep, bdat, streamed };

struct Options {
  std::size_t messages = 1;
  std::size_t bytes = 4096;
  Mode mode = Mode::pipelined;
  bool is_bare = false;
  bool is_lmtp = false;
  bool has_starttls = false;
  int to = 0;
  std::vector<std::string> recipients{"anna@customer.example"};
  std::shared_ptr<SSL_CTX> tls;
};

struct Report {
  std::size_t messages = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;
  std::uint64_t waits = 0;
  std::uint64_t waits_to_atrn = 0;
};

// The letters: all alike but for their numbers.
class Letters {
 public:
  explicit Letters(const Options& options) : is_chunked_(options.mode == Mode::bdat || options.mode == Mode::streamed) {
    const std::size_t head = header(0).size();
    lines_ = options.bytes > head ? std::max<std::size_t>(1, (options.bytes - head) / k_line) : 1;
    std::uint32_t random = 1;
    constexpr std::string_view k_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t line = 0; line < std::min(lines_, k_block_lines); ++line) {
      const bool is_dotted = line % k_dotted_each == 0;
      if (is_dotted && !is_chunked_) block_ += '.';
      for (std::size_t i = 0; i < k_line - 2; ++i) {
        random = random * 1664525 + 1013904223;
        block_ += is_dotted && i == 0 ? '.' : k_digits[random >> 26];
      }
      block_ += "\r\n";
    }
  }

  static std::string header(std::size_t number) {
    char text[256];
    std::snprintf(text, sizeof text,
                  "From: author@sender.example\r\nTo: anna@customer.example\r\nSubject: letter %07zu\r\n"
                  "Date: Sat, 31 Jan 2026 10:00:00 +0000\r\nMessage-ID: <%07zu@sender.example>\r\n\r\n",
                  number, number);
    return text;
  }

  // As RFC 1870 counts it: no dot is added to it, and none ends it.
  std::size_t size() const { return header(0).size() + lines_ * k_line; }

  // As it is on the wire, in pieces; `last` comes after it, in one write with its end.
  template <class Write>
  bool write(std::size_t number, const std::string& first, const std::string& last, const Write& give) const {
    std::string small = first + header(number);
    std::size_t left = lines_;
    for (; left >= k_block_lines; left -= k_block_lines) {
      if (!small.empty() && !give(small)) return false;
      small.clear();
      if (!give(block_)) return false;
    }
    const std::string_view rest = std::string_view(block_).substr(0, length(left));
    if (small.size() + rest.size() <= k_one_write) {
      small += rest;
    } else if (!give(small) || !give(rest)) {
      return false;
    } else {
      small.clear();
    }
    if (!is_chunked_) small += ".\r\n";
    return give(small + last);
  }

 private:
  std::size_t length(std::size_t lines) const {
    return lines * k_line + (is_chunked_ ? 0 : (lines + k_dotted_each - 1) / k_dotted_each);
  }

  bool is_chunked_;
  std::size_t lines_;
  std::string block_;
};

// The sender, from the greeting to QUIT.
class Sender {
 public:
  Sender(Line& line, const Options& options, const Letters& letters)
      : line_(line), options_(options), letters_(letters) {}

  void run(Report& report, Clock::time_point begin) {
    expect(220);
    if (options_.is_bare || options_.to != 0) begin = Clock::now();
    say((options_.is_lmtp ? "LHLO" : "EHLO") + std::string(" sender.example\r\n"));
    offers_ = line_.read_reply();
    if (!offers_.starts_with("250")) fail(offers_);
    check_offer();
    const auto waits = line_.waits();
    send_all();
    report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    report.messages = options_.messages;
    report.bytes = options_.messages * letters_.size();
    report.waits = line_.waits() - waits;
    say("QUIT\r\n");
    line_.read_reply();
  }

 private:
  [[noreturn]] static void fail(const std::string& reply) {
    std::fprintf(stderr, "source: the peer says: %s\n", reply.empty() ? "(gone)" : reply.c_str());
    std::exit(1);
  }

  bool offers(const std::string& keyword) const { return offers_.find(keyword) != std::string::npos; }

  void demand(const std::string& keyword) const {
    if (offers(keyword)) return;
    std::fprintf(stderr, "does not offer %s\n", keyword.c_str());
    std::exit(3);
  }

  void check_offer() const {
    const auto mode = options_.mode;
    const bool is_chunked = mode == Mode::bdat || mode == Mode::streamed;
    if (is_chunked) demand("CHUNKING");
    if (mode != Mode::lockstep) demand("PIPELINING");
  }

  void say(std::string_view text) {
    if (!line_.write(text)) fail({});
  }
  void expect(int code) {
    const std::string reply = line_.read_reply();
    if (std::atoi(reply.c_str()) != code) fail(reply);
  }

  std::string mail() const {
    return "MAIL FROM:<author@sender.example>" + (offers("SIZE") ? " SIZE=" + std::to_string(letters_.size()) : "") +
           (offers("8BITMIME") ? " BODY=8BITMIME" : "") + "\r\n";
  }
  std::string rcpt(std::size_t number) const {
    return "RCPT TO:<" + options_.recipients[number % options_.recipients.size()] + ">\r\n";
  }
  std::string envelope(std::size_t number) const { return mail() + rcpt(number) + "DATA\r\n"; }
  std::string chunk(std::size_t number) const {
    return mail() + rcpt(number) + "BDAT " + std::to_string(letters_.size()) + " LAST\r\n";
  }
  void content(std::size_t number, const std::string& first, const std::string& last) {
    if (!letters_.write(number, first, last, [this](std::string_view piece) { return line_.write(piece); })) fail({});
  }

  void send_all() {
    if (options_.mode == Mode::streamed) return stream();
    if (options_.mode == Mode::overlapped && options_.messages > 0) say(envelope(0));
    for (std::size_t i = 0; i < options_.messages; ++i) send_one(i);
  }

  void send_one(std::size_t number) {
    switch (options_.mode) {
      case Mode::lockstep:
        say(mail());
        expect(250);
        say(rcpt(number));
        expect(250);
        say("DATA\r\n");
        expect(354);
        content(number, {}, {});
        return expect(250);
      case Mode::pipelined:
        say(envelope(number));
        expect_envelope(354);
        content(number, {}, {});
        return expect(250);
      case Mode::overlapped:
        expect_envelope(354);
        content(number, {}, number + 1 < options_.messages ? envelope(number + 1) : std::string());
        return expect(250);
      case Mode::bdat:
      case Mode::streamed:
        content(number, chunk(number), {});
        return expect_envelope(250);
    }
  }

  void expect_envelope(int code) {
    expect(250);
    expect(250);
    expect(code);
  }

  // Small letters share a write.
  void stream() {
    std::string together;
    std::size_t answers = 0;
    const auto give = [&](std::string_view piece) {
      if (piece.size() > k_one_write / 4 && together.empty()) return line_.write(piece);
      together += piece;
      if (together.size() < k_one_write / 4) return true;
      const bool good = line_.write(together);
      together.clear();
      return good;
    };
    for (std::size_t i = 0; i < options_.messages; ++i) {
      if (!letters_.write(i, chunk(i), {}, give)) fail({});
      line_.take();
      for (int code = line_.next_code(); code != 0; code = line_.next_code()) {
        if (code != 250) fail(std::to_string(code));
        ++answers;
      }
    }
    say(together);
    for (; answers < options_.messages * 3; ++answers) expect(250);
  }

  Line& line_;
  const Options& options_;
  const Letters& letters_;
  std::string offers_;
};

void print(const Report& report, const Line& line) {
  std::printf(
      "{\"messages\": %zu, \"bytes\": %llu, \"seconds\": %.6f, \"waits\": %llu, \"waits_to_atrn\": %llu, "
      "\"tls\": \"%s\"}\n",
      report.messages, static_cast<unsigned long long>(report.bytes), report.seconds,
      static_cast<unsigned long long>(report.waits), static_cast<unsigned long long>(report.waits_to_atrn),
      line.tls().c_str());
  std::fflush(stdout);
}

// The dialogue of RFC 2645 up to ATRN; false where the customer went.
bool is_asked_for_mail(Line& line, const Options& options) {
  if (!line.write("220 provider.example ODMR\r\n")) return false;
  for (std::string command; line.read_line(command);) {
    std::string verb = command.substr(0, 4);
    std::transform(verb.begin(), verb.end(), verb.begin(), [](char c) { return c >= 'a' ? c - 32 : c; });
    if (verb == "ATRN") return true;
    if (verb == "EHLO") {
      const bool can_secure = options.has_starttls && line.tls().empty();
      line.write(can_secure ? "250-provider.example\r\n250 STARTTLS\r\n"
                            : "250-provider.example\r\n250-AUTH CRAM-MD5\r\n250 ATRN\r\n");
    } else if (verb == "STAR") {
      line.write("220 go ahead\r\n");
      line.secure(options.tls.get(), true);
    } else if (verb == "AUTH") {
      line.write("334 PDEyMzQuNTY3OEBwcm92aWRlci5leGFtcGxlPg==\r\n");
      if (!line.read_line(command)) return false;
      line.write("235 welcome\r\n");
    } else if (verb == "QUIT") {
      line.write("221 bye\r\n");
      return false;
    } else {
      line.write("250 ok\r\n");
    }
  }
  return false;
}

void serve(Line& line, const Options& options, const Letters& letters, bool& is_empty) {
  Report report;
  if (!options.is_bare && !is_asked_for_mail(line, options)) return;
  if (is_empty) {
    if (!options.is_bare) line.write("453 you have no mail\r\n");
    return;
  }
  is_empty = true;
  report.waits_to_atrn = line.waits();
  const auto begin = Clock::now();
  if (!options.is_bare) line.write("250 OK now reversing the connection\r\n");
  Sender(line, options, letters).run(report, begin);
  print(report, line);
}

void send_to(const Options& options, const Letters& letters) {
  Report report;
  const auto begin = Clock::now();
  Line line(bench::connect_to(options.to));
  Sender(line, options, letters).run(report, begin);
  print(report, line);
}

std::shared_ptr<SSL_CTX> server_context(const std::string& certificate, const std::string& key) {
  const std::shared_ptr<SSL_CTX> made(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX* const context = made.get();
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) die(certificate);
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) die(key);
  return made;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> found;
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(',', begin), list.size());
    found.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return found;
}

Options read_options(int argc, char** argv) {
  const std::map<std::string, Mode> modes{{"pipelined", Mode::pipelined},
                                          {"overlapped", Mode::overlapped},
                                          {"lockstep", Mode::lockstep},
                                          {"bdat", Mode::bdat},
                                          {"streamed", Mode::streamed}};
  Options options;
  std::map<std::string, std::string> given;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--bare")
      options.is_bare = true;
    else if (name == "--lmtp")
      options.is_lmtp = true;
    else if (name == "--starttls")
      options.has_starttls = true;
    else if (i + 1 < argc)
      given[name] = argv[++i];
  }
  if (given.contains("--messages")) options.messages = std::stoul(given["--messages"]);
  if (given.contains("--bytes")) options.bytes = std::stoul(given["--bytes"]);
  if (given.contains("--to")) options.to = std::stoi(given["--to"]);
  if (given.contains("--mode")) options.mode = modes.at(given["--mode"]);
  if (given.contains("--recipients")) options.recipients = split(given["--recipients"]);
  if (given.contains("--certificate")) options.tls = server_context(given["--certificate"], given["--key"]);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  const Letters letters(options);
  if (options.to != 0) {
    send_to(options, letters);
    return 0;
  }
  int port = 0;
  const int listener = bench::listen_anywhere(port);
  bench::say_port(port);
  bool is_empty = false;
  for (int connection; (connection = bench::next_connection(listener)) >= 0;) {
    Line line(connection, options.has_starttls ? nullptr : options.tls.get(), true);
    serve(line, options, letters, is_empty);
  }
}
