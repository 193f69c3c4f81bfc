#include "app/journal_place.hpp"

#include <utility>

namespace odmr::app {

std::string journal_in(const std::string& state_dir) {
  return state_dir + "/journal.db";
}

Result<std::optional<journal::Book>> look_into_journal(const std::string& state_dir) {
  const std::string path = journal_in(state_dir);
  auto book = journal::Book::open_to_read(path);
  if (book) return std::move(*book);
  switch (book.error().code) {
    case Errc::not_found:
      return std::nullopt;
    case Errc::malformed:
      return fail(Errc::malformed,
                  path + " is damaged (" + book.error().text + "); the next run puts it aside and begins a new one");
    default:
      break;
  }
  auto error = book.error();
  if (!error.text.starts_with(path)) error.text = path + ": " + error.text;
  error.text = "the journal cannot be read: " + error.text;
  return fail(std::move(error));
}

}  // namespace odmr::app
