#include "provider/held_index.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "net/digest.hpp"

namespace odmr::provider {

namespace {

// A place is a line: the recipient's number in the envelope, a space, the domain.
constexpr db::Schema k_schema{1, R"(
  CREATE TABLE message(
    id TEXT PRIMARY KEY,
    octets INTEGER NOT NULL,
    places TEXT NOT NULL,
    sum TEXT NOT NULL) STRICT, WITHOUT ROWID;
)"};

// A bit that has changed on the disk would hide the message from its customer.
std::string sum_of(std::string_view id, std::int64_t octets, std::string_view places) {
  net::Sha256 digest;
  digest.update(id);
  digest.update("\n" + std::to_string(octets) + "\n");
  digest.update(places);
  return net::hex(digest.finish()).substr(0, 16);
}

std::string text_of(const std::vector<WaitingMail::Place>& places) {
  std::string text;
  for (const auto& place : places) text += std::to_string(place.recipient) + " " + place.domain + "\n";
  return text;
}

// No value for what text_of() does not give.
std::optional<std::vector<WaitingMail::Place>> places_in(std::string_view text) {
  std::vector<WaitingMail::Place> places;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const auto line = text.substr(0, end);
    std::size_t recipient = 0;
    const auto number = std::from_chars(line.data(), line.data() + line.size(), recipient);
    const auto digits = static_cast<std::size_t>(number.ptr - line.data());
    if (number.ec != std::errc() || digits >= line.size() || line[digits] != ' ') return std::nullopt;
    places.push_back({recipient, std::string(line.substr(digits + 1))});
    text.remove_prefix(end + 1);
  }
  return places;
}

}  // namespace

struct HeldIndex::Statements {
  db::Statement all, put, drop;
};

HeldIndex::HeldIndex(std::string path, db::Database database, std::unique_ptr<Statements> statements)
    : path_(std::move(path)), database_(std::move(database)), statements_(std::move(statements)) {}
HeldIndex::HeldIndex(HeldIndex&&) noexcept = default;
HeldIndex& HeldIndex::operator=(HeldIndex&&) noexcept = default;
HeldIndex::~HeldIndex() = default;

Result<bool> HeldIndex::is_begun(const std::string& spool) {
  struct stat status {};
  if (::lstat(path_in(spool).c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  return fail(system_error(errno, path_in(spool)));
}

Result<HeldIndex> HeldIndex::open(const std::string& spool) {
  const std::string path = path_in(spool);
  auto database = db::Database::open_or_renew(path, k_schema);
  if (!database) return fail(database.error());
  auto statements = std::make_unique<Statements>();
  auto prepared = database->prepare_all({{&statements->all, "SELECT id, octets, places, sum FROM message ORDER BY id"},
                                         {&statements->put, "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?)"},
                                         {&statements->drop, "DELETE FROM message WHERE id = ?"}});
  if (!prepared) return fail(prepared.error());
  return HeldIndex(path, std::move(*database), std::move(statements));
}

Result<void> HeldIndex::each(const std::function<void(IndexedMessage message)>& see) {
  auto rows = statements_->all.rows();
  if (!rows) return fail(rows.error());
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return {};
    const bool is_whole = rows->text(3) == sum_of(rows->text(0), rows->number(1), rows->text(2));
    auto places = places_in(rows->text(2));
    // The message is read instead.
    if (!is_whole || !places || places->empty()) continue;
    see({std::string(rows->text(0)), static_cast<std::uint64_t>(rows->number(1)), std::move(*places)});
  }
}

Result<void> HeldIndex::write(const IndexChanges& changes) {
  if (changes.empty()) return {};
  auto transaction = db::Transaction::begin(database_);
  if (!transaction) return fail(transaction.error());
  for (const auto& one : changes.come) {
    const std::string places = text_of(one.places);
    const auto octets = static_cast<std::int64_t>(one.octets);
    const std::string sum = sum_of(one.id, octets, places);
    const auto put = statements_->put.run({one.id, octets, places, sum});
    if (!put) return fail(put.error());
  }
  for (const auto& id : changes.gone) {
    if (const auto gone = statements_->drop.run({id}); !gone) return fail(gone.error());
  }
  if (auto committed = transaction->commit(); !committed) return committed;
  // A checkpoint that fails is made up for by a later one.
  if (database_.wants_checkpoint()) static_cast<void>(db::Database::checkpoint(path_));
  return {};
}

}  // namespace odmr::provider
