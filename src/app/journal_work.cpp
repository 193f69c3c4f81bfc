#include "app/journal_work.hpp"

#include "app/journal_place.hpp"
#include "spool/lock.hpp"

namespace odmr::app {

namespace {

constexpr std::uint64_t k_piece = 500;

Result<Forgetting> forget_each(journal::Book::Page& page, const std::vector<journal::EntryId>& ids) {
  Forgetting done;
  for (const auto id : ids) {
    const auto gone = page.forget(id);
    if (!gone) return fail(gone.error());
    if (*gone)
      ++done.entries;
    else
      done.unknown.push_back(id);
  }
  return done;
}

Result<Forgetting> forget_on(journal::Book::Page& page, const Forgotten& what) {
  if (!what.all && what.provider.empty()) return forget_each(page, what.ids);
  const auto gone = what.all ? page.forget_all() : page.forget_provider(what.provider);
  if (!gone) return fail(gone.error());
  return Forgetting{*gone, {}};
}

}  // namespace

Result<void> list_entries(journal::Book& book, const std::string& provider,
                          const std::function<void(const journal::Entry&)>& see) {
  for (journal::EntryId last = 0;;) {
    const auto piece = book.entries(last, k_piece);
    if (!piece) return fail(piece.error());
    if (piece->empty()) return {};
    for (const auto& entry : *piece) {
      if (provider.empty() || entry.provider == provider) see(entry);
    }
    last = piece->back().id;
  }
}

Result<Forgetting> forget_entries(const std::string& state_dir, const Forgotten& what) {
  // First, so that a journal is not made where there was none, and that one to be put aside is left to a run.
  const auto there = look_into_journal(state_dir);
  if (!there) return fail(there.error());
  if (!*there) return fail(Errc::not_found, "there is no journal in " + state_dir + " yet");
  const auto lock = spool::DirectoryLock::take(state_dir);
  if (!lock && lock.error().code == Errc::busy) return fail(Errc::busy, "another run works on " + state_dir);
  if (!lock) return fail(lock.error());
  auto book = journal::Book::open(journal_in(state_dir));
  if (!book) return fail(book.error());
  auto page = book->begin(true);
  if (!page) return fail(page.error());
  auto done = forget_on(*page, what);
  if (!done) return done;
  if (auto committed = page->commit(); !committed) return fail(committed.error());
  return done;
}

}  // namespace odmr::app
