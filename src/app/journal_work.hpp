#pragma once

#include <functional>
#include <string>
#include <vector>

#include "journal/book.hpp"

namespace odmr::app {

/// The journal's entries in the order in which they were written, of all providers where `provider` is empty. They are
/// read piece by piece, so that any number of them takes little memory. Errors: those of reading.
Result<void> list_entries(journal::Book& book, const std::string& provider,
                          const std::function<void(const journal::Entry&)>& see);

/// Which entries are to go: `all`, else those of `provider`, else those with these ids.
struct Forgotten {
  bool all = false;
  std::string provider;
  std::vector<journal::EntryId> ids;
};

/// What came of it.
struct Forgetting {
  std::uint64_t entries = 0;
  std::vector<journal::EntryId> unknown;
};

/// Forgets entries for good, on disk when it comes back: whoever has such a message gets it again if it is offered
/// again. Not while a run works. Errors: busy where one does; not_found where there is no journal; as journal::Book.
Result<Forgetting> forget_entries(const std::string& state_dir, const Forgotten& what);

}  // namespace odmr::app
