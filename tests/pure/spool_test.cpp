#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>

#include "fake_files.hpp"
#include "spool/lock.hpp"
#include "spool/store.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::spool;
using odmr::test::FailingFiles;
using odmr::test::RecordingFiles;
using odmr::test::TemporaryDirectory;

namespace {

using namespace std::string_literals;

const std::string k_message = "Subject: hello\r\n\r\n.dots and \0 bytes\r\n"s;

Envelope envelope(int second = 0) {
  Envelope envelope;
  envelope.arrival = WallTime(std::chrono::seconds(1'769'853'600 + second));
  envelope.reverse_path = "a@example.org";
  envelope.attributes = {{"smtputf8", "1"}, {"envid", "R9:x\n\0END"s}};
  envelope.recipients = {{"b@example.net", {{"notify", "NEVER"}}}, {"c@example.net", {}}, {"", {{"reply", ""}}}};
  return envelope;
}

Result<std::string> put(Store& store, const std::string& message = k_message, int second = 0) {
  auto draft = store.begin(envelope(second));
  if (!draft) return fail(draft.error());
  if (auto written = draft->write(message); !written) return fail(written.error());
  return draft->commit();
}

std::vector<std::string> ids_in(const Store& store) {
  return store.list().value().ids;
}

std::string body_of(MessageReader& reader, std::size_t piece = 7) {
  std::string body;
  for (;;) {
    std::string bytes(piece, '\0');
    const auto got = reader.read(bytes.data(), piece);
    if (!got) return "error: " + got.error().text;
    if (*got == 0) return body;
    body.append(bytes, 0, *got);
  }
}

bool is_whole(const Store& store, const std::string& id, const std::string& message = k_message) {
  auto reader = store.open(id);
  return reader && reader->envelope().recipients == envelope().recipients && reader->size() == message.size() &&
         body_of(*reader) == message;
}

std::vector<std::string> names(const std::string& directory) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) found.push_back(entry.path().filename());
  std::sort(found.begin(), found.end());
  return found;
}

// What must hold after any fault at all, and a recovery: every file has its legal name, and every message is whole.
void check_legal(const TemporaryDirectory& directory) {
  Store store = Store::in(directory.path()).value();
  const auto recovery = store.recover();
  REQUIRE(recovery);
  CHECK(recovery->skipped.empty());
  CHECK(names(directory / "tmp").empty());
  const auto listing = store.list();
  REQUIRE(listing);
  CHECK(listing->skipped.empty());
  for (const auto& id : listing->ids) CHECK(is_whole(store, id));
  for (const auto& name : names(directory / "held")) {
    const std::string id = name.substr(0, name.find('.'));
    CHECK(std::count(listing->ids.begin(), listing->ids.end(), id) == 1);
  }
}

// Runs `act` with each of its file operations failing in turn, in each way.
template <class Act>
void with_each_fault(Act act) {
  for (const auto how : {FailingFiles::How::refuse, FailingFiles::How::deny, FailingFiles::How::die}) {
    std::size_t which = 1;
    for (;; ++which) {
      CAPTURE(static_cast<int>(how), which);
      FailingFiles files(which, how, ENOSPC);
      act(files);
      if (!files.reached()) break;
    }
    CHECK(which > 3);
  }
}

}  // namespace

TEST_CASE("a message comes back from its file as it went in") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  std::string large;
  for (int i = 0; large.size() < 300'000; ++i) large += "line " + std::to_string(i) + "\r\n";

  for (const std::string& message :
       {std::string(), k_message, large, std::string("\nEND 0000000000000000 00000000\n")}) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, std::size_t{1'000'000}}) {
      if (piece == 1 && message.size() > 1000) continue;
      auto draft = store.begin(envelope());
      REQUIRE(draft);
      for (std::size_t at = 0; at < message.size(); at += piece) REQUIRE(draft->write(message.substr(at, piece)));
      const auto id = draft->commit();
      REQUIRE(id);
      auto reader = store.open(*id);
      REQUIRE(reader);
      CHECK(reader->envelope() == envelope());
      CHECK(reader->size() == message.size());
      CHECK(body_of(*reader, piece) == message);
      reader->rewind();
      CHECK(body_of(*reader, 4096) == message);
    }
  }
}

TEST_CASE("ids sort by arrival, within one microsecond and when the clock goes back too") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  std::vector<std::string> ids;
  for (const int second : {5, 5, 5, 3, 9}) ids.push_back(put(store, k_message, second).value());
  CHECK(store.list()->ids == ids);
  for (const auto& id : ids) CHECK(Store::is_id(id));
  for (const char* none : {"", ".", "..", "../held/x", "01jq8k3m2xp7hx2m", "01jq8k3m2xp7hx2mk0", "01JQ8K3M2XP7HX2MK"}) {
    CAPTURE(none);
    CHECK_FALSE(Store::is_id(none));
    CHECK(store.open(none).error().code == Errc::not_found);
    CHECK(store.remove(none).error().code == Errc::not_found);
    CHECK(store.done(none).error().code == Errc::not_found);
    CHECK(store.mark_done(none, {0}).error().code == Errc::not_found);
    CHECK(store.set_aside(none, "").error().code == Errc::not_found);
  }
}

TEST_CASE("nothing cut, changed or longer passes for a message") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  const std::string path = directory / "held/" + id;
  const std::string whole = test::read_file(path);

  for (std::size_t length = 0; length < whole.size(); ++length) {
    test::write_file(path, whole.substr(0, length));
    CAPTURE(length);
    CHECK(store.open(id).error().code == Errc::malformed);
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    test::write_file(path, changed);
    CAPTURE(at);
    CHECK_FALSE(is_whole(store, id));
  }
  test::write_file(path, whole + "x");
  CHECK(store.open(id).error().code == Errc::malformed);
  test::write_file(path, std::string(whole.size(), '\0'));
  CHECK(store.open(id).error().code == Errc::malformed);
}

TEST_CASE("a damaged body is told at its end, before which nothing may be committed") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  std::string bytes = test::read_file(directory / "held/" + id);
  bytes[bytes.find("hello")] = 'j';
  test::write_file(directory / "held/" + id, bytes);
  auto reader = store.open(id);
  REQUIRE(reader);
  CHECK(body_of(*reader) == "error: not a whole message file: its text is damaged");
}

TEST_CASE("unknown versions and records are refused, whatever their checksums") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  const auto why = [&](const std::string& text) {
    test::write_file(directory / "held/" + id, text);
    return store.open(id).error().text.substr(id.size() + 2);
  };
  CHECK(why("odmr message 2\nT1:0\n") == "not a whole message file: it has a version that is not known here");
  CHECK(why("From a@b.c Sat Jan 31\r\n") == "not a whole message file: it does not begin as one");
  CHECK(why("") == "not a whole message file: it ends in its envelope");
  CHECK(why("odmr message 1\nT1:0\nF0:\nX0:\n") == "not a whole message file: it has a record that is not known here");
  CHECK(why("odmr message 1\nF0:\n") == "not a whole message file: a record is out of place");
  CHECK(why("odmr message 1\nT1:0\nF0:\nF0:\n") == "not a whole message file: a record is out of place");
  CHECK(why("odmr message 1\nT1:0\nF0:\nn1:a\nR1:b\n") == "not a whole message file: an attribute has no value");
  CHECK(why("odmr message 1\nT1:0\nF0:\nv1:a\n") == "not a whole message file: an attribute has no name");
  CHECK(why("odmr message 1\nT1:0\nF0:\nn1:a\nv0:\nn1:a\nv0:\n") ==
        "not a whole message file: an attribute is there twice");
  CHECK(why("odmr message 1\nT1:x\n") == "not a whole message file: its arrival time is no time");
  CHECK(why("odmr message 1\nT:0\n") == "not a whole message file: a record has no length");
  CHECK(why("odmr message 1\nT-1:0\n") == "not a whole message file: a record has no length");
  CHECK(why("odmr message 1\nT999999999:0\n") == "not a whole message file: a record has no length");
  CHECK(why("odmr message 1\nT99999999:0\n") == "not a whole message file: its envelope is too long");
  CHECK(why("odmr message 1\nT1:00\n") == "not a whole message file: a record is longer than its length");
  CHECK(why("odmr message 1\nT1:0\nF0:\nH8:00000000\n") == "not a whole message file: its envelope is damaged");
}

TEST_CASE("an envelope that could not be read back is not written") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  Envelope without = envelope();
  without.recipients.clear();
  CHECK(store.begin(without).error().code == Errc::malformed);
  Envelope large = envelope();
  large.attributes["x"] = std::string(std::size_t{9} * 1024 * 1024, 'x');
  CHECK(store.begin(large).error().code == Errc::too_long);
  CHECK(names(directory / "tmp").empty());
}

TEST_CASE("an abandoned draft leaves nothing") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  {
    auto draft = store.begin(envelope());
    REQUIRE(draft);
    CHECK(names(directory / "tmp").size() == 1);
    CHECK(draft->write(k_message));
    const Store::Draft moved = std::move(*draft);
    CHECK(names(directory / "tmp").size() == 1);
  }
  CHECK(names(directory / "tmp").empty());
  CHECK(store.list()->ids.empty());
}

TEST_CASE("a commit does each step after the one before is on disk") {
  const TemporaryDirectory directory;
  RecordingFiles files;
  Store store = Store::in(directory.path(), files).value();
  files.calls.clear();
  const std::string id = put(store).value();
  CHECK(files.calls == std::vector<std::string>{"create tmp/" + id, "lock " + id, "status " + id, "write " + id,
                                                "sync " + id, "close " + id, "rename tmp/" + id + " held/" + id,
                                                "sync held"});
  files.calls.clear();
  REQUIRE(store.mark_done(id, {0, 2}));
  CHECK(files.calls == std::vector<std::string>{"status_at held/" + id, "append held/" + id + ".done",
                                                "status " + id + ".done", "write " + id + ".done",
                                                "sync " + id + ".done", "close " + id + ".done", "sync held"});
  files.calls.clear();
  REQUIRE(store.remove(id));
  CHECK(files.calls == std::vector<std::string>{"unlink held/" + id, "sync held", "unlink held/" + id + ".done"});
}

TEST_CASE("a put that fails anywhere says so, and leaves nothing but what recovery clears") {
  with_each_fault([](FailingFiles& files) {
    const TemporaryDirectory directory;
    Store before = Store::in(directory.path()).value();
    const std::string other = put(before).value();
    Result<std::string> id = fail(Errc::io, "");
    {
      auto store = Store::in(directory.path(), files);
      id = store ? put(*store) : fail(store.error());
    }
    if (id) CHECK(is_whole(before, *id));
    if (!files.reached()) CHECK(id);
    if (files.reached() && !id) CHECK(id.error().code == Errc::no_space);
    CHECK(is_whole(before, other));
    // Not even a fault in undoing leaves a half message in held/.
    for (const auto& listed : ids_in(before)) CHECK(is_whole(before, listed));
    check_legal(directory);
    CHECK(before.list()->ids.size() <= 2);
    if (id) CHECK(before.list()->ids.size() == 2);
  });
}

TEST_CASE("a large put with a full disk at any piece leaves nothing") {
  const std::string large(200'000, 'x');
  for (std::size_t which = 1;; ++which) {
    const TemporaryDirectory directory;
    Store store = Store::in(directory.path()).value();
    FailingFiles files(which, FailingFiles::How::refuse, EDQUOT);
    Result<std::string> id = fail(Errc::io, "");
    {
      auto full = Store::in(directory.path(), files);
      id = full ? put(*full, large) : fail(full.error());
    }
    CAPTURE(which);
    if (!files.reached()) {
      CHECK(id);
      break;
    }
    CHECK(id.error().code == Errc::no_space);
    CHECK(store.list()->ids.empty());
    CHECK(names(directory / "tmp").empty());
  }
}

TEST_CASE("a draft that failed stays failed") {
  const TemporaryDirectory directory;
  for (std::size_t which = 1; which < 40; ++which) {
    FailingFiles failing(which, FailingFiles::How::refuse, ENOSPC);
    auto store = Store::in(directory.path(), failing);
    if (!store) continue;
    auto draft = store->begin(envelope());
    if (!draft) continue;
    if (draft->write(std::string(100'000, 'x'))) continue;
    CHECK_FALSE(draft->write("y"));
    CHECK_FALSE(draft->commit());
    CHECK(store->list()->ids.empty());
  }
}

TEST_CASE("done marks are kept, and belong to their message") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  CHECK(store.done(id)->empty());
  REQUIRE(store.mark_done(id, {2}));
  REQUIRE(store.mark_done(id, {0, 2}));
  CHECK(store.done(id) == std::set<std::size_t>{0, 2});

  const std::string other = put(store).value();
  std::filesystem::copy_file(directory / "held/" + id + ".done", directory / "held/" + other + ".done");
  CHECK(store.done(other)->empty());

  REQUIRE(store.remove(id));
  CHECK(names(directory / "held") == std::vector<std::string>{other, other + ".done"});
  CHECK(store.mark_done(id, {1}).error().code == Errc::not_found);
  CHECK(store.remove(id).error().code == Errc::not_found);
}

TEST_CASE("a torn mark counts for nothing and spoils none after it") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  const std::string path = directory / "held/" + id + ".done";
  REQUIRE(store.mark_done(id, {1}));
  const std::string whole = test::read_file(path);
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    CAPTURE(length);
    test::write_file(path, whole.substr(0, length));
    const bool complete = length == whole.size();
    CHECK(store.done(id) == (complete ? std::set<std::size_t>{1} : std::set<std::size_t>{}));
    REQUIRE(store.mark_done(id, {2}));
    // A line that lacked nothing but its end does not come to life by what is written behind it.
    CHECK(store.done(id) == (complete ? std::set<std::size_t>{1, 2} : std::set<std::size_t>{2}));
  }
  test::write_file(path, "1 00000000\n-1 x\n\n\n99999999999999999999 1\n1\n");
  CHECK(store.done(id)->empty());
}

TEST_CASE("notes are kept in their order, beside marks") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  CHECK(store.notes(id)->texts.empty());
  CHECK(store.notes(id)->size == 0);
  const std::vector<std::string> texts{"hold", "failed 3 550 no  such user ", "hold", " x", "7 8", "\xff\t"};
  REQUIRE(store.note(id, texts));
  REQUIRE(store.mark_done(id, {2}));
  auto expected = texts;
  expected.push_back("2");
  CHECK(store.notes(id)->texts == expected);
  CHECK(store.done(id) == std::set<std::size_t>{2});
  std::uint64_t size = 0;
  for (const auto& text : expected) size += Store::size_of_note(text);
  CHECK(store.notes(id)->size == size);
  CHECK(store.list()->notes == std::map<std::string, std::uint64_t>{{id, size}});

  for (const char* none : {"", "a\nb", "\n"}) CHECK(store.note(id, {"good", none}).error().code == Errc::malformed);
  CHECK(store.notes(id)->size == size);
  std::string other = id;
  other.back() = other.back() == '0' ? '1' : '0';
  CHECK(store.note(other, {"x"}).error().code == Errc::not_found);
  CHECK(store.notes(other)->texts.empty());
  CHECK(names(directory / "held").size() == 2);
}

TEST_CASE("marks as they were written before there were other notes still count") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  REQUIRE(store.mark_done(id, {0, 2}));
  std::string bytes = test::read_file(directory / "held/" + id + ".done");
  std::erase(bytes, '~');  // "\nINDEX CHECKSUM\n" each
  test::write_file(directory / "held/" + id + ".done", bytes);
  REQUIRE(store.mark_done(id, {1}));
  CHECK(store.done(id) == std::set<std::size_t>{0, 1, 2});
}

TEST_CASE("many changes share one sync of the directory") {
  const TemporaryDirectory directory;
  RecordingFiles files;
  Store store = Store::in(directory.path(), files).value();
  const std::string a = put(store).value();
  const std::string b = put(store).value();
  const std::string c = put(store).value();
  REQUIRE(store.note(a, {"x"}));
  files.calls.clear();
  const auto results =
      store.change({{a, {}, true}, {b, {"y", "z"}, false}, {a, {}, true}, {c, {}, false}, {"", {}, true}});
  REQUIRE(results.size() == 5);
  CHECK(results[0]);
  CHECK(results[1]);
  CHECK(results[2].error().code == Errc::not_found);
  CHECK(results[3]);
  CHECK(results[4].error().code == Errc::not_found);
  CHECK(files.calls == std::vector<std::string>{"unlink held/" + a, "status_at held/" + b, "append held/" + b + ".done",
                                                "status " + b + ".done", "write " + b + ".done", "sync " + b + ".done",
                                                "close " + b + ".done", "unlink held/" + a, "sync held",
                                                "unlink held/" + a + ".done"});
  files.calls.clear();
  CHECK(store.change({{c, {}, false}}).front());
  CHECK(store.change({}).empty());
  CHECK(files.calls.empty());
}

TEST_CASE("a change that fails anywhere says so for whom it concerns, and leaves legal files") {
  with_each_fault([](FailingFiles& files) {
    const TemporaryDirectory directory;
    Store sound = Store::in(directory.path()).value();
    const std::string ends = put(sound).value();
    const std::string noted = put(sound).value();
    REQUIRE(sound.note(ends, {"x"}));
    auto store = Store::in(directory.path(), files);
    if (!store) return;
    const auto results = store->change({{ends, {}, true}, {noted, {"y"}, false}});
    REQUIRE(results.size() == 2);
    if (results[0]) CHECK_FALSE(sound.contains(ends).value());
    if (results[1]) CHECK(sound.notes(noted)->texts == std::vector<std::string>{"y"});
    if (!files.reached()) CHECK((results[0] && results[1]));
    check_legal(directory);
    CHECK(is_whole(sound, noted));
    if (sound.contains(ends).value()) CHECK(sound.notes(ends)->texts == std::vector<std::string>{"x"});
  });
}

TEST_CASE("a message is locked by one at a time, and not when it is gone") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  Store other = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  {
    const auto lock = store.lock(id);
    REQUIRE(lock);
    CHECK(other.lock(id).error().code == Errc::busy);
    CHECK(store.lock(id).error().code == Errc::busy);
    CHECK(is_whole(other, id));
  }
  CHECK(other.lock(id));
  REQUIRE(store.remove(id));
  CHECK(store.lock(id).error().code == Errc::not_found);
  CHECK(store.lock("../lock").error().code == Errc::not_found);
}

TEST_CASE("a message that ends while its lock is waited for is gone for who gets it") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  // Removes the message between the opening and the locking of it.
  class Racing final : public test::WatchedFiles {
   public:
    explicit Racing(std::function<void()> act) : act_(std::move(act)) {}

   private:
    Step step(const std::string& call) override {
      if (call.starts_with("lock")) act_();
      return Step::act;
    }
    std::function<void()> act_;
  };
  Racing files([&] { static_cast<void>(store.remove(id)); });
  const Store slow = Store::in(directory.path(), files).value();
  CHECK(slow.lock(id).error().code == Errc::not_found);
}

TEST_CASE("marking that fails anywhere loses neither message nor earlier marks") {
  with_each_fault([](FailingFiles& files) {
    const TemporaryDirectory directory;
    Store sound = Store::in(directory.path()).value();
    const std::string id = put(sound).value();
    REQUIRE(sound.mark_done(id, {0}));
    auto store = Store::in(directory.path(), files);
    const auto marked = store ? store->mark_done(id, {1, 2}) : fail(store.error());
    if (!files.reached()) CHECK(marked);
    const auto done = sound.done(id).value();
    CHECK(done.contains(0));
    if (marked) CHECK(done == std::set<std::size_t>{0, 1, 2});
    check_legal(directory);
    CHECK(is_whole(sound, id));
    // The next attempt succeeds, whatever the first one left.
    REQUIRE(sound.mark_done(id, {1}));
    CHECK(sound.done(id)->contains(1));
  });
}

TEST_CASE("removing that fails anywhere leaves the message with its marks, or nothing") {
  with_each_fault([](FailingFiles& files) {
    const TemporaryDirectory directory;
    Store sound = Store::in(directory.path()).value();
    const std::string id = put(sound).value();
    REQUIRE(sound.mark_done(id, {1}));
    auto store = Store::in(directory.path(), files);
    const auto removed = store ? store->remove(id) : fail(store.error());
    const bool there = !sound.list()->ids.empty();
    if (removed) CHECK_FALSE(there);
    if (there) CHECK(sound.done(id) == std::set<std::size_t>{1});
    check_legal(directory);
    CHECK(names(directory / "held").size() == (there ? 2 : 0));
  });
}

TEST_CASE("a message set aside is kept, with the reason and its marks") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  const std::string other = put(store).value();
  const std::string bytes = test::read_file(directory / "held/" + id);
  REQUIRE(store.mark_done(id, {1}));
  REQUIRE(store.set_aside(id, "its END is missing"));
  CHECK(store.list()->ids == std::vector<std::string>{other});
  CHECK(test::read_file(directory / "corrupt/" + id) == bytes);
  CHECK(test::read_file(directory / "corrupt/" + id + ".why") == "its END is missing\n");
  CHECK(names(directory / "corrupt") == std::vector<std::string>{id, id + ".done", id + ".why"});
  CHECK(store.set_aside(id, "again").error().code == Errc::not_found);
}

TEST_CASE("setting aside that fails anywhere loses nothing") {
  with_each_fault([](FailingFiles& files) {
    const TemporaryDirectory directory;
    Store sound = Store::in(directory.path()).value();
    const std::string id = put(sound).value();
    const std::string bytes = test::read_file(directory / "held/" + id);
    REQUIRE(sound.mark_done(id, {1}));
    const std::string marks = test::read_file(directory / "held/" + id + ".done");
    auto store = Store::in(directory.path(), files);
    const auto moved = store ? store->set_aside(id, "why") : fail(store.error());
    check_legal(directory);
    const bool held = !sound.list()->ids.empty();
    if (moved) CHECK_FALSE(held);
    const std::string place = directory / (held ? "held/" : "corrupt/");
    CHECK(test::read_file(place + id) == bytes);
    CHECK(test::read_file(place + id + ".done") == marks);
  });
}

TEST_CASE("recovery that fails anywhere loses nothing, and can be done again") {
  with_each_fault([](FailingFiles& files) {
    const TemporaryDirectory directory;
    Store sound = Store::in(directory.path()).value();
    const std::string id = put(sound).value();
    REQUIRE(sound.mark_done(id, {0}));
    std::string gone = id;
    gone.back() = gone.back() == '0' ? '1' : '0';
    test::write_file(directory / "tmp/" + gone, "half");
    test::write_file(directory / "held/" + gone + ".done", "");
    {
      auto store = Store::in(directory.path(), files);
      if (store) static_cast<void>(store->recover());
    }
    CHECK(is_whole(sound, id));
    CHECK(sound.done(id) == std::set<std::size_t>{0});
    check_legal(directory);
    CHECK(names(directory / "held").size() == 2);
  });
}

TEST_CASE("recovery does not disturb living writers, and clears after dead ones") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  Store starting = Store::in(directory.path()).value();
  auto draft = store.begin(envelope());
  REQUIRE(draft);
  REQUIRE(draft->write(k_message));

  const pid_t child = ::fork();
  if (child == 0) {
    Store dying = Store::in(directory.path()).value();
    auto lost = dying.begin(envelope());
    static_cast<void>(lost->write(std::string(100'000, 'x')));
    ::kill(::getpid(), SIGKILL);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(names(directory / "tmp").size() == 2);

  const auto recovery = starting.recover();
  REQUIRE(recovery);
  CHECK(recovery->removed.size() == 1);
  CHECK(recovery->skipped.empty());
  CHECK(names(directory / "tmp").size() == 1);
  const auto id = draft->commit();
  REQUIRE(id);
  CHECK(is_whole(starting, *id));
}

TEST_CASE("several processes put at once") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  constexpr int writers = 4;
  constexpr int each = 25;
  for (int i = 0; i < writers; ++i) {
    if (::fork() != 0) continue;
    Store own = Store::in(directory.path()).value();
    bool good = true;
    for (int j = 0; j < each; ++j) good = put(own).has_value() && good;
    ::_exit(good ? 0 : 1);
  }
  int ended = 0;
  while (ended < writers) {
    REQUIRE(store.recover());
    for (const auto& id : ids_in(store)) CHECK(is_whole(store, id));
    int status = 0;
    if (::waitpid(-1, &status, WNOHANG) <= 0) continue;
    ++ended;
    CHECK(status == 0);
  }
  CHECK(store.list()->ids.size() == writers * each);
}

TEST_CASE("what is not ours in held/ is reported and left alone") {
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string good = put(store).value();
  const auto sibling = [&](char last) {
    std::string id = good;
    id.back() = last;
    if (id == good) id[id.size() - 2] = id[id.size() - 2] == '0' ? '1' : '0';
    return id;
  };
  const std::string held = directory / "held/";
  const std::string link = sibling('a');
  const std::string fifo = sibling('b');
  const std::string dir = sibling('c');
  const std::string twice = sibling('d');
  const std::string longest(255, 'x');
  REQUIRE(::symlink(good.c_str(), (held + link).c_str()) == 0);
  REQUIRE(::mkfifo((held + fifo).c_str(), 0600) == 0);
  REQUIRE(::mkdir((held + dir).c_str(), 0700) == 0);
  test::write_file(directory / "precious", "x");
  REQUIRE(::link((directory / "precious").c_str(), (held + twice).c_str()) == 0);
  test::write_file(held + "README", "x");
  test::write_file(held + longest, "x");

  const auto listing = store.list();
  REQUIRE(listing);
  CHECK(listing->ids == std::vector<std::string>{good});
  std::vector<std::string> skipped;
  for (const auto& [name, why] : listing->skipped) skipped.push_back(name + ": " + why);
  std::sort(skipped.begin(), skipped.end());
  std::vector<std::string> expected{link + ": it is a symbolic link",   fifo + ": it is not a regular file",
                                    dir + ": it is a directory",        twice + ": it has more than one link",
                                    "README: its name is none of ours", longest + ": its name is none of ours"};
  std::sort(expected.begin(), expected.end());
  CHECK(skipped == expected);
  for (const auto& id : {link, fifo, dir, twice}) CHECK(store.open(id).error().code == Errc::denied);
  REQUIRE(store.recover());
  CHECK(names(directory / "held").size() == 7);
}

TEST_CASE("an owner other than the spool's is refused", "[root]") {
  if (::geteuid() != 0) return;
  const TemporaryDirectory directory;
  Store store = Store::in(directory.path()).value();
  const std::string id = put(store).value();
  REQUIRE(::chown((directory / "held/" + id).c_str(), 12345, 0) == 0);
  CHECK(store.list()->ids.empty());
  CHECK(store.list()->skipped == std::vector<Store::Skipped>{{id, "it belongs to user 12345, the spool to user 0"}});
  CHECK(store.open(id).error().code == Errc::denied);

  const TemporaryDirectory theirs;
  REQUIRE(Store::in(theirs / "spool"));
  for (const char* name : {"spool", "spool/tmp", "spool/held", "spool/corrupt"}) {
    REQUIRE(::chown((theirs / name).c_str(), 12345, 0) == 0);
  }
  Store foreign = Store::in(theirs / "spool").value();
  CHECK(foreign.begin(envelope()).error().code == Errc::denied);
  CHECK(names(theirs / "spool/tmp").empty());
  REQUIRE(::chown((theirs / "spool/held").c_str(), 0, 0) == 0);
  CHECK(Store::in(theirs / "spool").error().code == Errc::denied);
}

TEST_CASE("a spool that others may write into is refused") {
  const TemporaryDirectory directory;
  REQUIRE(Store::in(directory / "spool"));
  REQUIRE(::chmod((directory / "spool/held").c_str(), 0770) == 0);
  CHECK(Store::in(directory / "spool").error() ==
        Error{Errc::denied, directory / "spool/held" + ": others may write there"});
  CHECK(Store::in(directory / "no/spool").error().code == Errc::not_found);
}

TEST_CASE("a directory is locked by one at a time") {
  const TemporaryDirectory directory;
  {
    const auto lock = DirectoryLock::take(directory.path());
    REQUIRE(lock);
    CHECK(DirectoryLock::take(directory.path()).error() ==
          Error{Errc::busy, directory.path() + ": another process is working on it"});
    CHECK(names(directory.path()) == std::vector<std::string>{"lock"});
  }
  CHECK(DirectoryLock::take(directory.path()));
  CHECK(DirectoryLock::take(directory / "none").error().code == Errc::not_found);

  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = DirectoryLock::take(directory.path());
    ::kill(::getpid(), held ? SIGKILL : SIGTERM);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(DirectoryLock::take(directory.path()));
}
