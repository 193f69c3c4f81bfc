#include "cli/status_command.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/journal_place.hpp"
#include "app/owner.hpp"
#include "app/queue_place.hpp"
#include "app/status.hpp"
#include "base/ascii.hpp"
#include "config/units.hpp"
#include "show/print.hpp"
#include "show/receipt_text.hpp"
#include "show/render.hpp"

namespace odmr::cli {

namespace {

using app::ProviderStatus;
using journal::Book;

constexpr int k_no_input = 66;   // EX_NOINPUT: no such session
constexpr int k_temporary = 75;  // EX_TEMPFAIL: too long ago
constexpr std::uint64_t k_piece = 100;

int complain(int exit, const std::string& text) {
  show::print_line(stderr, "odmr: " + escape(text, 2000));
  return exit;
}

int failure(const Error& error) {
  return complain(exit_status(Outcome::state), error.text);
}

// --- a session

// As one object, of which no more than a piece is in memory.
class SessionPrinter {
 public:
  SessionPrinter(Book& book, bool as_json) : receipts_(book.receipts()), as_json_(as_json) {}

  Result<void> print(const journal::SessionReceipt& session) {
    begin(session);
    for (std::uint64_t last = 0;;) {
      const auto piece = receipts_.connections(session.id, last, k_piece);
      if (!piece) return fail(piece.error());
      if (piece->empty()) break;
      for (const auto& connection : *piece) {
        if (auto printed = print(connection); !printed) return printed;
      }
      last = piece->back().number;
    }
    if (as_json_) show::print_line(stdout, "]}");
    return {};
  }

 private:
  void begin(const journal::SessionReceipt& session) const {
    if (!as_json_) return show::print_receipt(session);
    put(without_end(show::as_json(session)) + R"(,"connections":[)");
  }

  Result<void> print(const journal::ConnectionReceipt& connection) {
    if (as_json_)
      put((std::exchange(is_first_, false) ? "" : ",") + without_end(show::as_json(connection)) + R"(,"messages":[)");
    else
      show::print_receipt(connection);
    if (!connection.name.empty()) {
      if (auto printed = print_messages(connection.name); !printed) return printed;
    }
    if (as_json_) put("]}");
    return {};
  }

  Result<void> print_messages(const std::string& connection) {
    bool is_first = true;
    for (std::int64_t last = 0;;) {
      const auto piece = receipts_.messages(connection, last, k_piece);
      if (!piece) return fail(piece.error());
      if (piece->empty()) return {};
      for (const auto& line : *piece) {
        if (as_json_)
          put((std::exchange(is_first, false) ? "" : ",") + text_of(show::as_json(line.message)));
        else
          show::print_receipt(line.message);
      }
      last = piece->back().place;
    }
  }

  static std::string text_of(const show::ordered_json& object) {
    return object.dump(-1, ' ', true, show::ordered_json::error_handler_t::replace);
  }
  static std::string without_end(const show::ordered_json& object) {
    auto text = text_of(object);
    text.pop_back();
    return text;
  }
  static void put(const std::string& text) { (void)std::fwrite(text.data(), 1, text.size(), stdout); }

  journal::ReceiptBook& receipts_;
  bool as_json_;
  bool is_first_ = true;
};

int print_session(const StatusOptions& options, Book* book, const std::string& state_dir) {
  if (book == nullptr) {
    return complain(k_no_input, "there is no session \"" + options.session + "\": no run has made a journal in " +
                                    state_dir + " yet");
  }
  const auto meant = app::sessions_meant(*book, options.session);
  if (!meant) return failure(meant.error());
  if (meant->empty()) {
    return complain(k_no_input, "the journal has no session \"" + options.session + "\"");
  }
  if (meant->size() > 1) {
    return complain(k_exit_usage, "\"" + options.session + "\" may be session " + meant->front().id + " or " +
                                      meant->back().id + ", at least; give more of it");
  }
  const auto printed = SessionPrinter(*book, options.json).print(meant->front());
  return printed ? 0 : failure(printed.error());
}

// --- all of them

std::string ago(WallTime then, WallTime now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
  if (seconds < 0) return "in the future, by this clock";
  if (seconds < 120) return fmt::format("{} s ago", seconds);
  if (seconds < 7200) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 172800) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} days ago", seconds / 86400);
}

void print_status(const ProviderStatus& status, WallTime now) {
  const std::string who = escape(status.provider) + (status.is_configured ? "" : " (no longer configured)");
  if (!status.last) return show::print_line(stdout, who + ": no session yet");
  const auto& last = *status.last;
  const WallTime when = last.end ? last.end->time : last.started;
  show::print_line(stdout, fmt::format("{}: {}", who, show::in_words(last)));
  show::print_line(stdout, fmt::format("  {}, {}, session {}; {} kept", show::local_time_text(when), ago(when, now),
                                       last.id, show::counted(status.sessions, "session")));
  const bool is_good = last.end && exit_status(last.end->outcome) == 0;
  if (is_good) return;
  if (!status.last_good) return show::print_line(stdout, "  no good session is known");
  const auto& good = *status.last_good;
  show::print_line(stdout, fmt::format("  the last good one: {}, {}, session {}", show::local_time_text(good.end->time),
                                       ago(good.end->time, now), good.id));
}

void print_json_status(const ProviderStatus& status) {
  show::ordered_json out = status.last ? show::as_json(*status.last)
                                       : show::ordered_json{{"session", nullptr}, {"provider", escape(status.provider)},
                                                            {"outcome", nullptr}, {"exit", nullptr},
                                                            {"started", nullptr}, {"ended", nullptr},
                                                            {"text", nullptr},    {"received", nullptr}};
  out["configured"] = status.is_configured;
  out["last_good"] =
      status.last_good ? show::ordered_json(show::time_text(status.last_good->end->time)) : show::ordered_json(nullptr);
  out["sessions"] = status.sessions;
  show::print_json(out);
}

void say_what_is_kept(std::uint64_t messages) {
  if (messages == 0) return;
  show::print_line(stdout,
                   show::counted(messages, "message") + " kept here for the local target; see \"odmr queue --kept\"");
}

int print_all(const StatusOptions& options, Book* book, const std::vector<std::string>& configured,
              std::optional<Duration> max_age) {
  const WallTime now = std::chrono::system_clock::now();
  const auto all = app::status_of(book, configured);
  if (!all) return failure(all.error());
  int status = 0;
  for (const auto& one : *all) {
    if (options.json)
      print_json_status(one);
    else if (!options.quiet)
      print_status(one, now);
    if (!max_age || !app::is_older_than(one, *max_age, now)) continue;
    status = complain(k_temporary, one.provider + ": no session has ended well for " + options.max_age);
  }
  return status;
}

}  // namespace

int status_command(const StatusOptions& options) {
  std::optional<Duration> max_age;
  if (!options.max_age.empty()) {
    const auto parsed = config::parse_duration(options.max_age);
    if (!parsed) return complain(k_exit_usage, "--max-age: " + parsed.error().text);
    max_age = *parsed;
  }
  const auto place = app::find_queue(options.config);
  if (!place) {
    for (const auto& fault : place.error()) complain(0, fault);
    return exit_status(Outcome::config);
  }
  // SQLite makes files beside the journal, also for who reads it.
  if (const auto owner = app::become_owner_of(place->state_dir); !owner) return failure(owner.error());
  auto looked = app::look_into_journal(place->state_dir);
  if (!looked) return failure(looked.error());
  Book* const book = *looked ? &**looked : nullptr;
  if (!options.session.empty()) return print_session(options, book, place->state_dir);
  if (!options.json && !options.quiet) say_what_is_kept(app::count_kept(place->state_dir));
  return print_all(options, book, place->providers, max_age);
}

}  // namespace odmr::cli
