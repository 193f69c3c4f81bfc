#include "cli/status_command.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/journal_place.hpp"
#include "app/owner.hpp"
#include "app/queue_place.hpp"
#include "app/remedy.hpp"
#include "app/report_file.hpp"
#include "app/status.hpp"
#include "base/ascii.hpp"
#include "cli/wall_clock.hpp"
#include "config/units.hpp"
#include "show/metrics.hpp"
#include "show/print.hpp"
#include "show/receipt_text.hpp"
#include "show/status_text.hpp"
#include "show/terminal.hpp"
#include "show/wrapped.hpp"

namespace odmr::cli {

namespace {

using journal::Book;

constexpr int k_no_input = 66;   // EX_NOINPUT: no such session
constexpr int k_temporary = 75;  // EX_TEMPFAIL: too long ago
constexpr std::uint64_t k_piece = 100;

int complain(int exit, const std::string& text) {
  show::print_line(stderr, "odmr: " + escape(text, 2000));
  return exit;
}

int failure(const Error& error) {
  std::string text = error.text;
  if (error.cause != Cause::unknown) text += ". What to do: " + app::remedy(Outcome::state, error.cause, app::Scene());
  return complain(exit_status(Outcome::state), text);
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
          put((std::exchange(is_first, false) ? "" : ",") + show::line_of_json(show::as_json(line.message)));
        else
          show::print_receipt(line.message);
      }
      last = piece->back().place;
    }
  }

  static std::string without_end(const show::ordered_json& object) {
    auto text = show::line_of_json(object);
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

void print(const StatusOptions& options, const app::Status& status, WallTime now) {
  if (options.json) {
    for (const auto& one : status.providers) show::print_json(show::as_json(one));
    show::print_json(show::overall_json(status));
  } else if (!options.quiet) {
    for (const auto& line : show::in_words(status, now, show::speaks_utf8())) show::print_wrapped(stdout, line, 2);
  }
}

int say_who_is_late(const StatusOptions& options, const std::vector<app::ProviderStatus>& providers, Duration max_age,
                    WallTime now) {
  int exit = 0;
  for (const auto& one : providers) {
    if (!app::is_older_than(one, max_age, now)) continue;
    exit = complain(k_temporary, one.provider + (app::is_from_the_future(one, now)
                                                     ? ": when a session ended well is not known: in the future, by "
                                                       "this clock"
                                                     : ": no session has ended well for " + options.max_age));
  }
  return exit;
}

// Where nothing is printed but that, nobody has to look into the queue.
int watch_age(const StatusOptions& options, Book* book, const app::QueuePlace& place, std::optional<Duration> max_age) {
  const WallTime now = WallClock().wall();
  const auto providers = app::providers_in(book, place.providers, now);
  if (!providers) return failure(providers.error());
  return max_age ? say_who_is_late(options, *providers, *max_age, now) : 0;
}

Result<void> write_metrics(const StatusOptions& options, const app::Status& status, app::ReportFile* file) {
  const auto text = show::metrics(status, ODMR_VERSION);
  if (file != nullptr) return file->write(text);
  if (options.metrics == "-") (void)std::fputs(text.c_str(), stdout);
  return {};
}

// What was written last would tell of a journal that nobody can read any more as of one that is well.
int tell_without_journal(const StatusOptions& options, const Error& why, const app::QueuePlace& place,
                         app::ReportFile* metrics) {
  const int exit = failure(why);
  if (options.metrics.empty()) return exit;
  const auto log = make_stderr_log(log_level(options, Level::warn), place.log.format);
  WallClock clock;
  auto status = app::status_of(nullptr, place, clock, *log);
  if (!status) return exit;
  status->troubles.insert(status->troubles.begin(), {"state", why.text, {}});
  const auto written = write_metrics(options, *status, metrics);
  return written ? exit : complain(exit, "--metrics: " + written.error().text);
}

int print_all(const StatusOptions& options, Book* book, const app::QueuePlace& place, std::optional<Duration> max_age,
              app::ReportFile* metrics) {
  const auto log = make_stderr_log(log_level(options, Level::warn), place.log.format);
  WallClock clock;
  const WallTime now = clock.wall();
  const auto status = app::status_of(book, place, clock, *log);
  if (!status) return failure(status.error());
  if (options.metrics != "-") print(options, *status, now);
  const int exit = max_age ? say_who_is_late(options, status->providers, *max_age, now) : 0;
  const auto written = write_metrics(options, *status, metrics);
  return written ? exit : complain(exit_status(Outcome::state), "--metrics: " + written.error().text);
}

}  // namespace

int status_command(const StatusOptions& options) {
  std::optional<Duration> max_age;
  if (!options.max_age.empty()) {
    const auto parsed = config::parse_duration(options.max_age);
    if (!parsed) return complain(k_exit_usage, "--max-age: " + parsed.error().text);
    max_age = *parsed;
  }
  auto place = app::find_queue(options.config);
  if (!place) {
    for (const auto& fault : place.error()) complain(0, fault);
    return exit_status(Outcome::config);
  }
  place->faults = app::configuration_faults(options.config);
  // What is written for others is not the owner's business, but that of who asks for it.
  std::optional<app::ReportFile> metrics;
  if (!options.metrics.empty() && options.metrics != "-") {
    auto begun = app::ReportFile::begin(options.metrics, place->state_dir);
    if (!begun) return failure(begun.error());
    metrics.emplace(std::move(*begun));
  }
  // SQLite makes files beside the journal, also for who reads it.
  if (const auto owner = app::become_owner_of(place->state_dir); !owner) return failure(owner.error());
  auto looked = app::look_into_journal(place->state_dir);
  if (!looked) return tell_without_journal(options, looked.error(), *place, metrics ? &*metrics : nullptr);
  Book* const book = *looked ? &**looked : nullptr;
  if (!options.session.empty()) return print_session(options, book, place->state_dir);
  if (options.quiet && !options.json && options.metrics.empty()) return watch_age(options, book, *place, max_age);
  return print_all(options, book, *place, max_age, metrics ? &*metrics : nullptr);
}

}  // namespace odmr::cli
