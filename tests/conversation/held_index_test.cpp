#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>

#include "../pure/fake_files.hpp"
#include "provider/held_index.hpp"
#include "provider_house.hpp"

// The index of the spool saves a start the reading of each message. What it says is never worth more than the messages
// themselves: however it is missing, old, damaged or wrong, each customer is offered his mail, and nobody else's.

namespace odmr::test {

namespace {

using provider::HeldIndex;
using provider::IndexedMessage;

constexpr std::size_t k_many = 300;  // enough that an index is begun

// Real files; tells which messages were opened.
class Opened final : public WatchedFiles {
 public:
  std::size_t count = 0;

 private:
  Step step(const std::string& call) override {
    if (call.starts_with("open held/") && call.find(".done") == std::string::npos) ++count;
    return Step::act;
  }
};

// A house whose spool has been served once, so that there is an index of it.
struct IndexedHouse {
  IndexedHouse() {
    for (std::size_t i = 0; i < k_many; ++i) {
      const std::string domain = i % 3 == 0 ? "other.example" : "example.org";
      ids.push_back(house.put("sender@example.net", {"r" + std::to_string(i) + "@" + domain}, std::to_string(i)));
    }
    house.reopen();
    house.reopen();
  }

  void check() { check(k_many); }
  // Who waits for what, as the messages have it.
  void check(std::size_t messages) {
    const auto& waiting = house.mail->waiting();
    CHECK(waiting.sums({"example.org"}).messages + waiting.sums({"other.example"}).messages == messages);
    for (const auto& id : house.ids(provider::Folder::held)) {
      const auto store = provider::open_folder(house.directory.path(), provider::Folder::held);
      const auto message = store->open(id);
      REQUIRE(message);
      const std::string& address = message->envelope().recipients.front().address;
      const bool is_agreed = waiting.agrees(id, {{0, address.substr(address.find('@') + 1)}});
      CHECK(is_agreed);
    }
  }

  // How many messages a start opens.
  std::size_t opened_at_start() {
    opened.count = 0;
    house.reopen();
    return opened.count;
  }

  std::string index() const { return HeldIndex::path_in(house.directory.path()); }

  Opened opened;
  House house{opened};
  std::vector<std::string> ids;
};

void change_file(const std::string& path, const std::function<void(std::string&)>& change) {
  std::string bytes;
  {
    std::ifstream file(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  change(bytes);
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

TEST_CASE("a start opens no message that the index has") {
  IndexedHouse indexed;
  CHECK(indexed.opened_at_start() == 0);
  indexed.check();
  std::filesystem::remove(indexed.index());
  CHECK(indexed.opened_at_start() == k_many);
  indexed.check();
}

TEST_CASE("a spool with little in it has no index") {
  House house;
  house.put("sender@example.net", {"anna@example.org"}, "one");
  house.reopen();
  house.reopen();
  CHECK_FALSE(*HeldIndex::is_begun(house.directory.path()));
}

TEST_CASE("what others put and took while nobody served is known at the start") {
  IndexedHouse indexed;
  indexed.house.mail.reset();
  auto store = provider::open_folder(indexed.house.directory.path(), provider::Folder::held);
  REQUIRE(store->remove(indexed.ids[0]));
  REQUIRE(store->remove(indexed.ids[1]));
  indexed.house.put("sender@example.net", {"new@example.org"}, "new");
  CHECK(indexed.opened_at_start() == 1);
  indexed.check(k_many - 1);
  CHECK(indexed.opened_at_start() == 0);
  indexed.check(k_many - 1);
}

TEST_CASE("a message with notes is not known by the index") {
  IndexedHouse indexed;
  const auto id = indexed.house.put("sender@example.net", {"a@example.org", "b@other.example"}, "two");
  indexed.house.reopen();
  indexed.house.mail.reset();
  auto store = provider::open_folder(indexed.house.directory.path(), provider::Folder::held);
  REQUIRE(store->mark_done(id, {0}));
  CHECK(indexed.opened_at_start() == 1);
  const auto& waiting = indexed.house.mail->waiting();
  CHECK(waiting.agrees(id, {{1, "other.example"}}));
  CHECK_FALSE(waiting.agrees(id, {{0, "example.org"}}));
}

TEST_CASE("a damaged index costs a start its time, and nothing else") {
  std::mt19937 engine(20261123);
  std::size_t trials = 0;
  IndexedHouse indexed;
  for (int i = 0; i < 40; ++i) {
    indexed.house.mail.reset();
    change_file(indexed.index(), [&](std::string& bytes) {
      if (bytes.empty()) return;
      if (i % 4 == 0) return bytes.resize(engine() % bytes.size());
      for (int j = 0; j < 8; ++j) bytes[engine() % bytes.size()] ^= static_cast<char>(1U << (engine() % 8));
    });
    indexed.house.reopen();
    indexed.check();
    ++trials;
  }
  std::printf("damaged indexes: %zu\n", trials);
}

TEST_CASE("an index that names another domain sends nobody what is another's") {
  IndexedHouse indexed;
  indexed.house.mail.reset();
  {
    auto index = HeldIndex::open(indexed.house.directory.path());
    REQUIRE(index);
    REQUIRE(index->write({{{indexed.ids[0], 10, {{0, "example.org"}}}}, {}}));  // it is for other.example
  }
  indexed.house.reopen();
  CHECK(indexed.house.mail->waiting().agrees(indexed.ids[0], {{0, "example.org"}}));
  bool is_open = true;
  const auto open = [](House& house, std::string id, bool& is_open_now) -> net::Task<> {
    const auto message = co_await house.mail->open(id);
    is_open_now = message.has_value();
  };
  indexed.house.simulation.run(open(indexed.house, indexed.ids[0], is_open));
  CHECK_FALSE(is_open);
  CHECK(indexed.house.logged("the index of the spool was wrong about a message"));
  indexed.check();
}

TEST_CASE("where no index can be made each message is read, and that is said once") {
  IndexedHouse indexed;
  indexed.house.mail.reset();
  for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(indexed.index() + part);
  std::filesystem::create_directory(indexed.index());
  indexed.house.log.text.clear();
  CHECK(indexed.opened_at_start() == k_many);
  CHECK(indexed.house.logged("the index of the spool cannot be"));
  indexed.check();
}

}  // namespace odmr::test
