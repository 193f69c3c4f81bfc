#include "cli/queue_command.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>

#include "app/kept_mail.hpp"
#include "app/owner.hpp"
#include "app/queue_place.hpp"
#include "base/ascii.hpp"
#include "cli/wall_clock.hpp"
#include "queue/intake.hpp"
#include "show/json.hpp"
#include "show/print.hpp"
#include "show/render.hpp"

namespace odmr::cli {

namespace {

using queue::Entry;
using queue::Queue;
using queue::Standing;
using queue::Stopped;

constexpr int k_no_input = 66;  // EX_NOINPUT: no such message
constexpr int k_try_again = 75;

void complain(const std::string& text) {
  show::print_line(stderr, "odmr: " + escape(text, 2000));
}

int failure(const Error& error) {
  complain(error.text);
  switch (error.code) {
    case Errc::not_found:
      return k_no_input;
    case Errc::busy:
      return k_try_again;
    default:
      return exit_status(Outcome::state);
  }
}

std::string word_for(Standing standing) {
  switch (standing) {
    case Standing::waiting:
      return "waiting";
    case Standing::sent:
      return "sent";
    case Standing::failed:
      return "failed";
    case Standing::told:
      return "told";
  }
  return {};
}

std::string word_for(Stopped stopped) {
  return stopped == Stopped::held ? "held" : "undeliverable";
}

show::ordered_json as_json(const Entry& entry) {
  show::ordered_json recipients = show::ordered_json::array();
  for (const auto& one : entry.recipients) {
    recipients.push_back({{"address", one.address}, {"standing", word_for(one.standing)}});
    if (!one.reply.empty()) recipients.back()["reply"] = one.reply;
  }
  const bool is_stopped = entry.stopped != Stopped::no;
  return {{"id", entry.id},
          {"arrival", show::time_text(entry.arrival)},
          {"bytes", entry.size},
          {"from", entry.reverse_path},
          {"recipients", recipients},
          {"stopped", is_stopped ? show::ordered_json(word_for(entry.stopped)) : show::ordered_json(nullptr)},
          {"next_try", is_stopped ? show::ordered_json(nullptr) : show::ordered_json(show::time_text(entry.next_try))},
          {"tries", entry.tries},
          {"reply", entry.reply}};
}

// Every run with its provider tries all that is kept for the local target: the queue's schedule is not for it.
Entry as_it_stands(const QueueOptions& options, Entry entry, WallTime now) {
  if (options.kept) entry.next_try = now;
  return entry;
}

// --- list: the look that mailq has had for forty years

std::string local_time(WallTime time) {
  return fmt::format("{:%a %b %d %H:%M:%S}", fmt::localtime(std::chrono::system_clock::to_time_t(time)));
}

std::string in_words(Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} h", seconds / 3600);
}

// What stands between a message's line and its recipients: why it is still here, and what comes next.
std::string status_of(const Entry& entry, WallTime now) {
  const std::string said = entry.reply.empty() ? std::string() : ": " + escape(entry.reply, 300);
  if (entry.stopped == Stopped::held) return "held by hand" + said;
  if (entry.stopped == Stopped::undeliverable && entry.reverse_path.empty()) {
    return "undeliverable, and it has no sender who could be told";
  }
  if (entry.stopped == Stopped::undeliverable) return "undeliverable, and nobody can be told" + said;
  if (entry.tries == 0 && said.empty()) return {};
  const auto left = std::chrono::duration_cast<Duration>(entry.next_try - now);
  const std::string when = left <= Duration::zero() ? "with the next run" : "in " + in_words(left);
  return (entry.is_untold ? "the bounce to its sender waits, next try " : "next try ") + when + said;
}

void print_entry(const Entry& entry, WallTime now) {
  constexpr std::array<char, 3> marks{' ', '!', '?'};
  show::print_line(
      stdout, fmt::format("{}{} {:>8} {}  {}", entry.id, marks.at(static_cast<std::size_t>(entry.stopped)), entry.size,
                          local_time(entry.arrival), entry.reverse_path.empty() ? "<>" : escape(entry.reverse_path)));
  const auto status = status_of(entry, now);
  if (!status.empty()) show::print_line(stdout, fmt::format("{:>20}({})", "", status));
  for (const auto& one : entry.recipients) {
    if (one.standing == Standing::sent || one.standing == Standing::told) continue;
    const std::string failed = one.standing == Standing::failed ? " (failed: " + escape(one.reply, 300) + ")" : "";
    show::print_line(stdout, fmt::format("{:>46}{}{}", "", escape(one.address), failed));
  }
}

void say_empty(const QueueOptions& options) {
  if (options.json || options.quiet) return;
  show::print_line(stdout, options.kept ? "No mail is kept for the local target" : "Mail queue is empty");
}

int list(const QueueOptions& options, Queue& queue, const std::string& directory, WallTime now) {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  const auto listed = queue.list([&](const Entry& listed_entry) {
    const Entry entry = as_it_stands(options, listed_entry, now);
    if (options.json) {
      show::print_json(as_json(entry));
      return true;
    }
    if (messages++ == 0)
      show::print_line(stdout, "-Queue ID-------- --Size-- ---Arrival Time---  -Sender/Recipient-------");
    bytes += entry.size;
    print_entry(entry, now);
    return true;
  });
  if (!listed) return failure(listed.error());
  const auto sums = queue.sums();
  if (!sums) return failure(sums.error());
  const auto unread = queue.left_alone();
  if (messages > 0) {
    show::print_line(stdout, fmt::format("-- {} in {}.", show::human_size(bytes), show::counted(messages, "message")));
  } else if (unread.empty()) {
    say_empty(options);
  }
  for (const auto& one : unread)
    complain("not listed, it cannot be read: " + directory + "/" + one.file + ": " + one.why);
  if (sums->set_aside > 0) {
    complain(show::counted(sums->set_aside, "damaged message") + " in " + directory + "/corrupt");
  }
  return 0;
}

// --- show

void print_envelope(const Entry& entry, WallTime now) {
  show::print_line(stdout, "id:      " + entry.id);
  show::print_line(stdout, "arrival: " + show::time_text(entry.arrival));
  show::print_line(stdout, "size:    " + show::counted(entry.size, "byte"));
  show::print_line(stdout, "from:    <" + escape(entry.reverse_path) + ">");
  for (const auto& one : entry.recipients) {
    const std::string reply = one.reply.empty() ? std::string() : ": " + escape(one.reply);
    show::print_line(stdout, fmt::format("to:      <{}> ({}{})", escape(one.address), word_for(one.standing), reply));
  }
  const auto status = status_of(entry, now);
  show::print_line(stdout, "status:  " + (status.empty() ? "waits for the next run" : status));
}

Result<void> print_message(Queue& queue, const std::string& id) {
  auto message = queue.open(id);
  if (!message) return fail(message.error());
  std::string piece(std::size_t{64} * 1024, '\0');
  for (;;) {
    const auto count = message->read(piece.data(), piece.size());
    if (!count) return fail(count.error());
    if (*count == 0) return {};
    std::fwrite(piece.data(), 1, *count, stdout);
  }
}

Result<void> show(const QueueOptions& options, Queue& queue, const std::string& id, WallTime now) {
  if (options.message) return print_message(queue, id);
  auto shown = queue.show(id);
  if (!shown) return fail(shown.error());
  const Entry entry = as_it_stands(options, std::move(*shown), now);
  if (options.json)
    show::print_json(as_json(entry));
  else
    print_envelope(entry, now);
  return {};
}

// --- the rest, message by message

// What is held is not due, whoever wants it.
Result<void> retry(Queue& queue, const std::string& id) {
  const auto stopped = queue.retry(id);
  if (!stopped) return fail(stopped.error());
  if (*stopped == Stopped::held) return fail(Errc::busy, id + " is held; \"odmr queue release\" lets it go");
  return {};
}

Result<void> act(const QueueOptions& options, Queue& queue, const std::string& id, WallTime now) {
  using Action = QueueOptions::Action;
  switch (options.action) {
    case Action::show:
      return show(options, queue, id, now);
    case Action::retry:
      return retry(queue, id);
    case Action::hold:
      return queue.hold(id);
    case Action::release:
      return queue.release(id);
    case Action::remove:
      return queue.remove(id);
    case Action::list:
      break;
  }
  return {};
}

// In the past, as the command has done it.
std::string word_for(QueueOptions::Action action) {
  using Action = QueueOptions::Action;
  switch (action) {
    case Action::retry:
      return "made due";
    case Action::hold:
      return "held";
    case Action::release:
      return "released";
    case Action::remove:
      return "removed";
    default:
      return {};
  }
}

void say_done(const QueueOptions& options, std::uint64_t messages) {
  const auto word = word_for(options.action);
  if (word.empty()) return;
  if (options.json) {
    show::print_json({{"done", word}, {"messages", messages}});
  } else if (!options.quiet) {
    show::print_line(stdout, word + " " + show::counted(messages, "message"));
  }
}

Result<std::vector<std::string>> all_ids(Queue& queue) {
  std::vector<std::string> ids;
  auto listed = queue.list([&](const Entry& entry) {
    ids.push_back(entry.id);
    return true;
  });
  if (!listed) return fail(listed.error());
  return ids;
}

// Each id has its chance, whatever became of those before it; the first failure is the exit status.
int each(const QueueOptions& options, Queue& queue, WallTime now) {
  auto ids = options.all ? all_ids(queue) : Result<std::vector<std::string>>(options.ids);
  if (!ids) return failure(ids.error());
  int status = 0;
  std::uint64_t messages = 0;
  for (const auto& id : *ids) {
    const auto done = act(options, queue, id, now);
    if (done) {
      ++messages;
      continue;
    }
    const int failed = failure(done.error());
    if (status == 0) status = failed;
  }
  say_done(options, messages);
  return status;
}

// No value where there is nothing, which `kept` allows.
Result<std::optional<Queue>> open(const QueueOptions& options, const app::QueuePlace& place, Clock& clock, Log& log) {
  if (options.kept) return app::open_kept_queue(place, clock, log);
  auto queue = app::open_queue(place, clock, log);
  if (!queue) return fail(queue.error());
  return std::optional(std::move(*queue));
}

// Nothing was ever kept.
int nothing_there(const QueueOptions& options) {
  if (options.action == QueueOptions::Action::list) say_empty(options);
  for (const auto& id : options.ids) complain("there is no message " + id);
  return options.ids.empty() ? 0 : k_no_input;
}

}  // namespace

int queue_command(const QueueOptions& options) {
  const auto place = app::find_queue(options.config);
  if (!place) {
    for (const auto& fault : place.error()) complain(fault);
    return exit_status(Outcome::config);
  }
  if (options.action == QueueOptions::Action::retry && options.kept) {
    complain("every run tries what is kept for the local target, so there is nothing to make due");
    return k_exit_usage;
  }
  if (options.action == QueueOptions::Action::retry && !place->can_send) {
    complain("the configuration has no [outbound] with a smart host, so nothing would be tried");
    return exit_status(Outcome::config);
  }
  // What root would make here, its owner could not work with.
  if (const auto owner = app::become_owner_of(place->state_dir); !owner) return failure(owner.error());
  const auto log = make_stderr_log(log_level(options, Level::warn), place->log.format);
  WallClock clock;
  auto opened = open(options, *place, clock, *log);
  if (!opened && opened.error().code == Errc::not_found) {
    complain(opened.error().text);
    return exit_status(Outcome::config);
  }
  if (!opened) return failure(opened.error());
  if (!*opened) return nothing_there(options);
  Queue& queue = **opened;
  if (const auto refreshed = queue.refresh(); !refreshed) return failure(refreshed.error());
  const auto directory = options.kept ? app::kept_mail_in(place->state_dir) : queue::directory_in(place->state_dir);
  if (options.action == QueueOptions::Action::list) return list(options, queue, directory, clock.wall());
  return each(options, queue, clock.wall());
}

}  // namespace odmr::cli
