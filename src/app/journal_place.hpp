#pragma once

#include <optional>
#include <string>

#include "journal/book.hpp"

namespace odmr::app {

/// The journal's file.
std::string journal_in(const std::string& state_dir);

/// The journal, for reading, also while a run writes it; none where no run has made it yet. Errors: as
/// journal::Book::open_to_read, with what to do about it in the text.
Result<std::optional<journal::Book>> look_into_journal(const std::string& state_dir);

}  // namespace odmr::app
