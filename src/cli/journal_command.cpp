#include "cli/journal_command.hpp"

#include <fmt/format.h>

#include "app/journal_place.hpp"
#include "app/journal_work.hpp"
#include "app/owner.hpp"
#include "app/queue_place.hpp"
#include "base/ascii.hpp"
#include "base/outcome.hpp"
#include "net/digest.hpp"
#include "show/json.hpp"
#include "show/print.hpp"
#include "show/receipt_text.hpp"
#include "show/render.hpp"

namespace odmr::cli {

namespace {

using journal::Answer;
using journal::Entry;
using journal::Fate;

constexpr int k_no_input = 66;   // EX_NOINPUT: no such entry
constexpr int k_try_again = 75;  // EX_TEMPFAIL
constexpr std::size_t k_digest_digits = 12;

int complain(int exit, const std::string& text) {
  show::print_line(stderr, "odmr: " + escape(text, 2000));
  return exit;
}

int failure(const Error& error) {
  switch (error.code) {
    case Errc::not_found:
      return complain(k_no_input, error.text);
    case Errc::busy:
      return complain(k_try_again, error.text);
    default:
      return complain(exit_status(Outcome::state), error.text);
  }
}

int no_entry(const std::string& id) {
  return complain(k_no_input, "the journal has no entry " + id);
}

// What the provider was told, and so why the entry waits.
const char* word_for(Answer answer) {
  switch (answer) {
    case Answer::none:
      return "nothing known";
    case Answer::accepted:
      return "250";
    case Answer::put_off:
      return "4xx";
  }
  return "";
}

const char* word_for(Fate fate) {
  switch (fate) {
    case Fate::delivered:
      return "delivered";
    case Fate::bounced:
      return "bounced";
    case Fate::kept:
      return "kept";
  }
  return "";
}

show::ordered_json as_json(const Entry& entry) {
  const bool is_known = entry.answer != Answer::none;
  return {{"id", entry.id},
          {"time", show::time_text(entry.time)},
          {"provider", escape(entry.provider)},
          {"from", escape(entry.reverse_path)},
          {"recipient", escape(entry.recipient)},
          {"bytes", entry.size},
          {"digest", net::hex(entry.digest)},
          {"connection", entry.connection},
          {"answer", is_known ? show::ordered_json(word_for(entry.answer)) : show::ordered_json(nullptr)},
          {"fate", is_known ? show::ordered_json(word_for(entry.fate)) : show::ordered_json(nullptr)}};
}

void print_row(const Entry& entry) {
  show::print_line(stdout, fmt::format("{:>6}  {}  {:>9}  {}…  {:<13}  {}", entry.id, show::local_time_text(entry.time),
                                       entry.size, net::hex(entry.digest).substr(0, k_digest_digits),
                                       word_for(entry.answer), escape(entry.provider)));
  show::print_line(stdout, fmt::format("{:>8}{} to {}", "", escape(entry.reverse_path), escape(entry.recipient)));
}

void print_whole(const Entry& entry) {
  const std::string answer = entry.answer == Answer::none
                                 ? std::string("nothing: whether the target has it is not known")
                                 : std::string(word_for(entry.answer)) + ", and has not been seen to read it";
  show::print_line(stdout, fmt::format("id:         {}", entry.id));
  show::print_line(stdout, "time:       " + show::local_time_text(entry.time));
  show::print_line(stdout, "provider:   " + escape(entry.provider));
  show::print_line(stdout, "from:       " + escape(entry.reverse_path));
  show::print_line(stdout, "recipient:  " + escape(entry.recipient));
  show::print_line(stdout, "size:       " + show::counted(entry.size, "byte"));
  show::print_line(stdout, "sha256:     " + net::hex(entry.digest));
  show::print_line(stdout, "connection: " + entry.connection);
  show::print_line(
      stdout, "answered:   " + (entry.answer == Answer::put_off ? std::string("4xx, for the sake of others") : answer));
  if (entry.answer != Answer::none) show::print_line(stdout, std::string("fate:       ") + word_for(entry.fate));
}

int list(const JournalOptions& options, journal::Book& book) {
  std::uint64_t entries = 0;
  const auto listed = app::list_entries(book, options.provider, [&](const Entry& entry) {
    ++entries;
    if (options.json)
      show::print_json(as_json(entry));
    else
      print_row(entry);
  });
  if (!listed) return failure(listed.error());
  if (options.json || options.quiet) return 0;
  show::print_line(stdout, entries == 0 ? "no message is in doubt"
                                        : "-- " + std::to_string(entries) + (entries == 1 ? " entry" : " entries"));
  return 0;
}

// Each id has its chance, whatever became of those before it; the first failure is the exit status.
int show(const JournalOptions& options, journal::Book& book) {
  int status = 0;
  for (const auto& id : options.ids) {
    const auto number = parse_number(id);
    const auto entry =
        number ? book.entry(static_cast<journal::EntryId>(*number)) : Result<std::optional<Entry>>(std::nullopt);
    if (!entry) return failure(entry.error());
    if (!*entry)
      status = no_entry(id);
    else if (options.json)
      show::print_json(as_json(**entry));
    else
      print_whole(**entry);
  }
  return status;
}

int forget(const JournalOptions& options, const std::string& state_dir) {
  app::Forgotten what;
  what.all = options.all;
  what.provider = options.provider;
  int status = 0;
  for (const auto& id : options.ids) {
    const auto number = parse_number(id);
    if (number)
      what.ids.push_back(static_cast<journal::EntryId>(*number));
    else
      status = no_entry(id);
  }
  const auto done = app::forget_entries(state_dir, what);
  if (!done) return failure(done.error());
  for (const auto id : done->unknown) status = no_entry(std::to_string(id));
  if (options.json) {
    show::print_json({{"done", "forgotten"}, {"entries", done->entries}});
  } else if (!options.quiet) {
    show::print_line(stdout, "forgot " + std::to_string(done->entries) + (done->entries == 1 ? " entry" : " entries"));
  }
  return status;
}

}  // namespace

int journal_command(const JournalOptions& options) {
  const auto place = app::find_queue(options.config);
  if (!place) {
    for (const auto& fault : place.error()) complain(0, fault);
    return exit_status(Outcome::config);
  }
  // What root would make here, its owner could not work with.
  if (const auto owner = app::become_owner_of(place->state_dir); !owner) return failure(owner.error());
  if (options.action == JournalOptions::Action::forget) return forget(options, place->state_dir);
  auto looked = app::look_into_journal(place->state_dir);
  if (!looked) return failure(looked.error());
  if (!*looked) {
    if (options.action == JournalOptions::Action::show) return no_entry(options.ids.front());
    if (!options.json && !options.quiet)
      show::print_line(stdout, "there is no journal in " + place->state_dir + " yet");
    return 0;
  }
  return options.action == JournalOptions::Action::show ? show(options, **looked) : list(options, **looked);
}

}  // namespace odmr::cli
