#include "smtp/dot.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>
#include <random>
#include <vector>

#include "pieces.hpp"

using namespace odmr;
using namespace odmr::smtp;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

struct Decoded {
  std::string content;
  std::size_t consumed = 0;
  bool ended = false;
  bool stray = false;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

std::ostream& operator<<(std::ostream& out, const Decoded& decoded) {
  return out << "{" << Catch::Detail::stringify(decoded.content) << ", " << decoded.consumed << ", " << decoded.ended
             << ", " << decoded.stray << "}";
}

// The rules of RFC 5321 4.5.2 over the whole of `wire`, with all the looking back and ahead that a stream does not
// have.
Decoded reference(std::string_view wire) {
  Decoded out;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    const bool line_start = i == 0 || (i >= 2 && wire[i - 2] == '\r' && wire[i - 1] == '\n');
    if (line_start && wire.substr(i, 3) == ".\r\n") {
      out.consumed = i + 3;
      out.ended = true;
      return out;
    }
    if (line_start && wire[i] == '.') continue;
    if (wire[i] == '\r' && wire.substr(i, 2) != "\r\n") out.stray = true;
    if (wire[i] == '\n' && (i == 0 || wire[i - 1] != '\r')) out.stray = true;
    out.content += wire[i];
  }
  out.consumed = wire.size();
  return out;
}

bool is_within(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// By both ways, which must agree; with a copy of each piece that ends where its memory does, so that AddressSanitizer
// sees who reads on.
Decoded decode(std::initializer_list<std::string_view> pieces) {
  Decoded out;
  DotDecoder decoder;
  Decoded in_place;
  DotDecoder other;
  std::string room = "of before";
  for (const std::string_view piece : pieces) {
    if (out.ended) break;
    const std::vector<char> alone(piece.begin(), piece.end());
    const std::string_view bytes(alone.data(), alone.size());
    const auto progress = decoder.decode(bytes, out.content);
    out.consumed += progress.consumed;
    out.ended = progress.ended;
    const auto view = other.decode_in_place(bytes, room);
    if (!is_within(view.content, bytes) && !is_within(view.content, room)) in_place.content += "(from elsewhere)";
    in_place.content += view.content;
    in_place.consumed += view.consumed;
    in_place.ended = view.ended;
  }
  out.stray = decoder.has_stray_newline();
  in_place.stray = other.has_stray_newline();
  if (!(out == in_place)) out.content += "(not so in place: " + in_place.content + ")";
  return out;
}

std::string encode(std::initializer_list<std::string_view> pieces) {
  std::string out;
  DotEncoder encoder;
  std::string in_place;
  DotEncoder other;
  std::string room = "of before";
  for (const std::string_view piece : pieces) {
    const std::vector<char> alone(piece.begin(), piece.end());
    const std::string_view bytes(alone.data(), alone.size());
    encoder.encode(bytes, out);
    in_place += other.encode_in_place(bytes, room);
  }
  encoder.finish(out);
  other.finish(in_place);
  return out == in_place ? out : out + "(not so in place: " + in_place + ")";
}

std::string with_last_newline(const std::string& message) {
  return message.empty() || message.ends_with("\r\n") ? message : message + "\r\n";
}

// Calls `try_it` for each text of up to `longest` letters of `alphabet`.
template <class TryIt>
void each_text(std::string_view alphabet, std::size_t longest, TryIt try_it, const std::string& begun = {}) {
  try_it(begun);
  if (begun.size() == longest) return;
  for (const char letter : alphabet) each_text(alphabet, longest, try_it, begun + letter);
}

// Long enough, every now and then, for what looks at many bytes at once.
std::string random_text(std::mt19937& random, std::size_t longest) {
  static constexpr std::string_view letters = "\r\n\0.\r\n.ab"sv;
  std::string out(std::uniform_int_distribution<std::size_t>(0, longest)(random), ' ');
  for (char& c : out) c = letters[std::uniform_int_distribution<std::size_t>(0, letters.size() - 1)(random)];
  for (unsigned lines = random() % 8; lines > 5; --lines) {
    out.insert(random() % (out.size() + 1), std::string(random() % 150, 'x'));
  }
  return out;
}

}  // namespace

TEST_CASE("Only CRLF, dot, CRLF ends a message, and doubled dots become single ones") {
  struct Row {
    std::string wire;
    std::string content;
  };
  const Row rows[] = {
      {".\r\n", ""},
      {"\r\n.\r\n", "\r\n"},
      {"a\r\n.\r\n", "a\r\n"},
      {"..\r\n.\r\n", ".\r\n"},
      {"...\r\n.\r\n", "..\r\n"},
      {".a\r\n.\r\n", "a\r\n"},
      {"a.b\r\n..c\r\n.\r\n", "a.b\r\n.c\r\n"},
      {"." + std::string(998, 'x') + "\r\n.\r\n", std::string(998, 'x') + "\r\n"},
      {"a\0b\r\n\xff\r\n.\r\n"s, "a\0b\r\n\xff\r\n"s},
      {"a\r\n.\r\n.\r\n", "a\r\n"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.wire);
    test::at_every_split(row.wire, [&](std::string_view first, std::string_view second) {
      const Decoded decoded = decode({first, second});
      CHECK(decoded.content == row.content);
      CHECK(decoded.ended);
      CHECK_FALSE(decoded.stray);
    });
  }
}

TEST_CASE("No smuggling sequence ends a message, at any split, and each but the NUL is told") {
  struct Row {
    std::string sequence;
    std::string content;
    bool stray;
  };
  // robustness.md 2.1; then their neighbours.
  const Row rows[] = {
      {"\n.\n", "\n.\n", true},
      {"\n.\r\n", "\n.\r\n", true},
      {"\r\n.\n", "\r\n\n", true},
      {"\r.\r", "\r.\r", true},
      {"\r\n.\r", "\r\n\r", true},
      {"\r.\r\n", "\r.\r\n", true},
      {"\r\n\0.\r\n"s, "\r\n\0.\r\n"s, false},
      {"\r\n.\r\r\n", "\r\n\r\r\n", true},
      {"\r\n.\0\r\n"s, "\r\n\0\r\n"s, false},
      {"\r\r\n.\r", "\r\r\n\r", true},
      {"\r\n\r.\r\n", "\r\n\r.\r\n", true},
      {"\r\n.\r\r", "\r\n\r\r", true},
      {"\r\n.\n\r\n", "\r\n\n\r\n", true},
      {"\n\r.\r\n", "\n\r.\r\n", true},
      {"\r\n..\r\n", "\r\n.\r\n", false},
      {"\r\n. \r\n", "\r\n \r\n", false},
  };
  const std::string before = "Subject: x\r\n\r\nfirst";
  const std::string after = "MAIL FROM:<e@x>\r\nRCPT TO:<a@own>\r\nDATA\r\nsecond\r\n";
  int cases = 0;
  for (const Row& row : rows) {
    CAPTURE(row.sequence);
    const std::string message = before + row.sequence + after + ".\r\n";
    const Decoded expected{before + row.content + after, message.size(), true, row.stray};
    test::at_every_split(message + "QUIT\r\n", [&](std::string_view first, std::string_view second) {
      ++cases;
      CHECK(decode({first, second}) == expected);
    });
  }
  std::cout << "dot codec: " << std::size(rows) << " smuggling sequences, " << cases << " splits\n";
}

// What looks at many bytes at once must find them wherever they are among those.
TEST_CASE("No smuggling sequence hides in a long text, at any place of it and at any split") {
  int cases = 0;
  for (const std::string& sequence :
       {"\n.\n"s, "\n.\r\n"s, "\r\n.\n"s, "\r.\r"s, "\r\n.\r"s, "\r.\r\n"s, "\r\n\0.\r\n"s, "\r\n.\r\r\n"s,
        "\r\r\n.\r\r\n"s, "\n"s, "\r"s, "\r\n..\r\n"s, "\r\n.x"s, "\r\n.\r\n"s}) {
    for (std::size_t before = 0; before <= 140; before += before < 62 ? 31 : 1) {
      for (const std::size_t after : {0U, 1U, 70U}) {
        const std::string wire = std::string(before, 'x') + sequence + std::string(after, '.') + "\r\n.\r\nQUIT\r\n";
        const Decoded expected = reference(wire);
        std::size_t wrong = 0;
        for (std::size_t split = before - std::min<std::size_t>(before, 3); split < before + sequence.size() + 3;
             ++split) {
          ++cases;
          const auto view = std::string_view(wire);
          if (!(decode({view.substr(0, split), view.substr(split)}) == expected)) ++wrong;
        }
        CAPTURE(before, sequence, after);
        CHECK(wrong == 0);
        const std::string message = std::string(before, 'x') + sequence + std::string(after, '.');
        const Decoded back = decode({encode({message}), "Q"});
        CHECK(back.content == with_last_newline(message));
      }
    }
  }
  std::cout << "dot codec: " << cases << " cases of sequences in long texts\n";
}

TEST_CASE("What has no dot at the beginning of a line is not copied") {
  const std::string message = "a.b\r\n" + std::string(200, 'c') + "\r\n";
  std::string room;
  DotDecoder decoder;
  const std::string wire = message + ".\r\n";
  const auto decoded = decoder.decode_in_place(wire, room);
  CHECK(decoded.ended);
  CHECK(decoded.content.data() == wire.data());
  CHECK(decoded.content == message);
  DotEncoder encoder;
  CHECK(encoder.encode_in_place(message, room).data() == message.data());
  CHECK(encoder.encode_in_place(".", room) == "..");
}

TEST_CASE("A dot and a CR that something other than LF follows are text") {
  for (const char* next : {"x", ".", "\r", "\r."}) {
    const std::string wire = "a\r\n.\r"s + next + "\r\n.\r\n";
    test::at_every_split(wire, [&](std::string_view first, std::string_view second) {
      CHECK(decode({first, second}) == Decoded{"a\r\n\r"s + next + "\r\n", wire.size(), true, true});
    });
  }
}

TEST_CASE("What may yet be the end is held back, and everything else is given at once") {
  DotDecoder decoder;
  std::string out;
  for (const auto& [piece, known] : {std::pair("abc", "abc"), std::pair("\r", "abc\r"), std::pair("\n", "abc\r\n"),
                                     std::pair(".", "abc\r\n"), std::pair("\r", "abc\r\n")}) {
    CHECK(decoder.decode(piece, out).consumed == 1 + std::string_view(piece).substr(1).size());
    CHECK(out == known);
  }
  CHECK(decoder.decode("", out).consumed == 0);
  CHECK(decoder.decode("\nQUIT\r\n", out).consumed == 1);
  CHECK(out == "abc\r\n");
  CHECK_FALSE(decoder.has_stray_newline());
}

TEST_CASE("Every short text decodes as the reference does, at every split and byte by byte") {
  std::size_t wires = 0;
  std::size_t splits = 0;
  std::size_t wrong = 0;
  each_text("\r\n.a\0"sv, 6, [&](const std::string& text) {
    for (const std::string_view end : {""sv, "\r\n.\r\nQ"sv}) {
      const std::string wire = text + std::string(end);
      const Decoded expected = reference(wire);
      if (!expected.ended) continue;  // what is held back is not in the reference
      ++wires;
      test::at_every_split(wire, [&](std::string_view first, std::string_view second) {
        ++splits;
        if (!(decode({first, second}) == expected)) {
          ++wrong;
          UNSCOPED_INFO(Catch::Detail::stringify(wire) << " cut at " << first.size());
        }
      });
      Decoded single;
      DotDecoder decoder;
      while (!single.ended) {
        single.ended = decoder.decode(std::string_view(wire).substr(single.consumed, 1), single.content).ended;
        ++single.consumed;
      }
      single.stray = decoder.has_stray_newline();
      if (!(single == expected)) ++wrong;
    }
  });
  CHECK(wrong == 0);
  std::cout << "dot decoder: " << wires << " short texts, " << splits << " splits compared with the reference\n";
}

TEST_CASE("Every short text comes back from the wire as it was, however encoder and decoder are fed") {
  std::size_t texts = 0;
  std::size_t wrong = 0;
  each_text("\r\n.a\0"sv, 6, [&](const std::string& text) {
    ++texts;
    const std::string wire = encode({text});
    if (!wire.ends_with(".\r\n")) ++wrong;
    test::at_every_split(text, [&](std::string_view first, std::string_view second) {
      if (encode({first, second}) != wire) ++wrong;
    });
    const Decoded decoded = decode({wire, "QUIT\r\n"});
    if (!decoded.ended || decoded.consumed != wire.size() || decoded.content != with_last_newline(text)) ++wrong;
  });
  CHECK(wrong == 0);
  std::cout << "dot encoder: " << texts << " short texts there and back\n";
}

TEST_CASE("Random texts agree with the reference and come back, in random pieces") {
  const unsigned seed = Catch::rngSeed();  // others with --rng-seed time
  CAPTURE(seed);
  std::mt19937 random(seed);
  constexpr int texts = 200'000;
  std::size_t wrong = 0;
  for (int i = 0; i < texts; ++i) {
    const std::string text = random_text(random, 40);
    const auto cut = [&](std::string_view bytes) {
      return std::uniform_int_distribution<std::size_t>(0, bytes.size())(random);
    };
    const std::string raw = text + "\r\n.\r\n" + random_text(random, 5);
    const std::size_t second = cut(raw);
    const std::size_t first = cut(std::string_view(raw).substr(0, second));
    const std::string_view view = raw;
    if (!(decode({view.substr(0, first), view.substr(first, second - first), view.substr(second)}) == reference(raw)))
      ++wrong;

    const std::string_view message = text;
    const std::size_t middle = cut(message);
    const std::string wire = encode({message.substr(0, middle), message.substr(middle)});
    const std::string_view on_wire = wire;
    const std::size_t broken = cut(on_wire);
    const Decoded back = decode({on_wire.substr(0, broken), on_wire.substr(broken)});
    if (!back.ended || back.consumed != wire.size() || back.content != with_last_newline(text)) ++wrong;
  }
  CHECK(wrong == 0);
  std::cout << "dot codec: " << texts << " random texts decoded and sent round, seed " << seed << "\n";
}

TEST_CASE("The encoder doubles leading dots and adds only a missing last newline") {
  CHECK(encode({}) == ".\r\n");
  CHECK(encode({""}) == ".\r\n");
  CHECK(encode({"a"}) == "a\r\n.\r\n");
  CHECK(encode({"a\r\n"}) == "a\r\n.\r\n");
  CHECK(encode({"a\r", "\n", ".", "b\r\n"}) == "a\r\n..b\r\n.\r\n");
  CHECK(encode({".\r\n.\r\n"}) == "..\r\n..\r\n.\r\n");
  CHECK(encode({"a\r"}) == "a\r\r\n.\r\n");
}
