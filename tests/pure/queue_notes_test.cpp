#include <catch2/catch.hpp>
#include <random>

#include "queue/note.hpp"
#include "queue/schedule.hpp"

using namespace odmr;
using namespace odmr::queue;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

WallTime at(std::int64_t seconds) {
  return WallTime(std::chrono::seconds(seconds));
}

double pause(Duration waited, double chance) {
  const WallTime now = at(1'800'000'000);
  const WallTime since = now - std::chrono::duration_cast<WallTime::duration>(waited);
  return std::chrono::duration<double>(next_try(since, now, chance) - now).count();
}

}  // namespace

TEST_CASE("every note comes back from its text", "[queue]") {
  using Kind = Note::Kind;
  const std::vector<std::pair<Note, std::string>> all{
      {{Kind::sent, 0, {}, {}}, "sent 0"},
      {{Kind::sent, 12, {}, {}}, "sent 12"},
      {{Kind::failed, 3, at(1'769'853'600), "550 5.1.1 no such user"}, "failed 3 1769853600 550 5.1.1 no such user"},
      {{Kind::failed, 3, at(0), ""}, "failed 3 0 "},
      {{Kind::told, 7, {}, {}}, "told 7"},
      {{Kind::undeliverable, 1, {}, "554 no"}, "undeliverable 1 554 no"},
      {{Kind::retry, 0, {}, {}}, "retry"},
      {{Kind::hold, 0, {}, {}}, "hold"},
      {{Kind::release, 0, {}, {}}, "release"},
      {{Kind::delay_told, 0, {}, {}}, "delay told"},
      {{Kind::seen, 0, at(1'769'853'600), {}}, "seen 1769853600"},
  };
  for (const auto& [note, text] : all) {
    CHECK(text_of(note) == text);
    CHECK(parse_note(text) == note);
  }
  for (const char* none : {"",
                           " ",
                           "sent",
                           "sent ",
                           "sent x",
                           "sent -1",
                           "sent 1 2",
                           "sent 1x",
                           "sentence 1",
                           "told",
                           "failed 1",
                           "failed 1 x 550",
                           "failed 1 99999999999999999999 550",
                           "hold 1",
                           "Hold",
                           "delay",
                           "delay told ",
                           "seen",
                           "seen ",
                           "seen x",
                           "seen 1 2",
                           "0",
                           "17"}) {
    CAPTURE(none);
    CHECK_FALSE(parse_note(none));
  }
}

TEST_CASE("words become one line, and a line a reply again", "[queue]") {
  CHECK(one_line("550-a\r\n550 b\0c\x7f"s) == "550-a??550 b?c?");
  CHECK(one_line(std::string(5000, 'x')).size() == 1000);
  CHECK(text_of({Note::Kind::failed, 0, at(1), "550 a\nhold"}) == "failed 0 1 550 a?hold");
  CHECK(reply_from("550 5.1.1 no") == smtp::Reply(550, "5.1.1 no"));
  CHECK(reply_from("550") == smtp::Reply(550, ""));
  for (const char* ours : {"", "55", "5501 x", "the line broke", "199 x", "600 x"}) {
    CHECK(reply_from(ours) == smtp::Reply(451, ours));
  }
}

TEST_CASE("pauses grow with the age, between five minutes and 4000 seconds", "[queue]") {
  CHECK(pause(0s, 0.5) == Approx(300));
  CHECK(pause(299s, 0.5) == Approx(300));
  CHECK(pause(1000s, 0.5) == Approx(1000));
  CHECK(pause(4001s, 0.5) == Approx(4000));
  CHECK(pause(120h, 0.5) == Approx(4000));
  // From the future: it has not waited at all.
  CHECK(pause(-1h, 0.5) == Approx(300));
  CHECK(pause(-100'000h, 0.5) == Approx(300));
}

TEST_CASE("a pause is at most a tenth shorter or longer, and never beyond what is believed", "[queue]") {
  std::mt19937 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const Duration waited = std::chrono::seconds(random() % 500'000);
    const double chance = static_cast<double>(random() % 1001) / 1000;
    const double middle = pause(waited, 0.5);
    const double one = pause(waited, chance);
    CHECK(one >= 0.9 * middle - 0.001);
    CHECK(one <= 1.1 * middle + 0.001);
    CHECK(pause(waited, chance) <= pause(waited + 1s, chance));
    const WallTime now = at(1'800'000'000);
    CHECK(next_try(now - waited, now, chance) <= latest_next_try(now));
  }
  CHECK(pause(0s, 0) < pause(0s, 1));
}

TEST_CASE("a message is tried some dozen times a day, more at first", "[queue]") {
  const WallTime arrival = at(1'800'000'000);
  WallTime now = arrival;
  int in_an_hour = 0;
  int in_five_days = 0;
  while (now < arrival + 120h) {
    now = next_try(arrival, now, 0.5);
    in_an_hour += now < arrival + 1h ? 1 : 0;
    ++in_five_days;
  }
  CHECK(in_an_hour == 4);
  CHECK(in_five_days > 100);
  CHECK(in_five_days < 120);
}

TEST_CASE("durations are named as the configuration writes them", "[queue]") {
  CHECK(in_words(120h) == "5d");
  CHECK(in_words(36h) == "36h");
  CHECK(in_words(90min) == "90m");
  CHECK(in_words(90s) == "90s");
  CHECK(in_words(0s) == "0s");
}
