// The journal's file, damaged: opening it gives a journal or says why not, and what opens can be asked and written.
// The input is put over a good file: place (two bytes), length, bytes; and so on. FF FF as a place cuts the file off.

#include "../pure/temporary_directory.hpp"
#include "input.hpp"
#include "journal/journal.hpp"
#include "net/simulation.hpp"

using namespace odmr;

namespace {

std::string good_file() {
  const test::TemporaryDirectory directory("/dev/shm");
  const std::string path = directory / "journal.db";
  {
    auto book = journal::Book::open(path);
    fuzz::require(book.has_value(), "a new book");
    auto page = book->begin(false);
    const journal::Intent intent{"isp", "<a@example.org>", {"bob@customer.example"}, std::string(32, 'd'), 10, "c"};
    fuzz::require(page && page->intend(intent, WallTime()) && page->commit(), "an entry");
  }
  return test::read_file(path);
}

std::string damaged(std::string file, std::string_view acts) {
  while (acts.size() > 3) {
    const auto byte = [&acts](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(acts[i])); };
    const std::size_t place = byte(0) * 256 + byte(1);
    const std::size_t length = std::min(byte(2), acts.size() - 3);
    if (place == 0xffff) {
      file.resize(std::min(file.size(), length * 100));
    } else if (place + length <= file.size()) {
      file.replace(place, length, acts.substr(3, length));
    }
    acts.remove_prefix(3 + length);
  }
  return file;
}

net::Task<> use(journal::Journal& journal) {
  const journal::Address bob{"isp", "<a@example.org>", "bob@customer.example"};
  (void)journal.may_be_had(bob, "d");
  (void)journal.find(bob, std::string(32, 'd'), "d", {});
  const journal::Intent intent{"isp", "<b@example.org>", {"bob@customer.example"}, std::string(32, 'e'), 10, "d"};
  const auto ids = co_await journal.intend(intent);
  if (!ids) co_return;
  fuzz::require(ids->size() == 1, "an id for each");
  journal::Verdict verdict;
  verdict.connection = "d";
  verdict.had.push_back({ids->front(), journal::Fate::delivered});
  (void)co_await journal.settle(verdict);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string good = good_file();
  const test::TemporaryDirectory directory("/dev/shm");
  journal::JournalOptions options;
  options.path = directory / "journal.db";
  test::write_file(options.path, damaged(good, fuzz::text(data, size)));
  net::Simulation simulation;
  const auto disk = net::make_inline_worker();
  const auto journal =
      journal::Journal::open(options, simulation.loop().get_executor(), *disk, simulation, silent_log());
  if (!journal) {
    fuzz::require(!journal.error().text.empty(), "a reason");
    return 0;
  }
  fuzz::require(simulation.run(use(**journal)), "it answers");
  return 0;
}
