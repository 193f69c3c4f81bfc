#include "show/receipt_text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/ascii.hpp"
#include "net/digest.hpp"
#include "show/print.hpp"
#include "show/render.hpp"

namespace odmr::show {

namespace {

using journal::ConnectionReceipt;
using journal::MessageReceipt;
using journal::RecipientReceipt;
using journal::SessionReceipt;

constexpr std::size_t k_long = 4 * journal::k_longest_text;  // each byte escaped

std::string word_for(MessageReceipt::Fate fate) {
  switch (fate) {
    case MessageReceipt::Fate::received:
      return "received";
    case MessageReceipt::Fate::duplicate:
      return "duplicate";
    case MessageReceipt::Fate::refused:
      return "refused";
    case MessageReceipt::Fate::put_off:
      return "put-off";
    case MessageReceipt::Fate::kept_here:
      return "kept-here";
  }
  return {};
}

std::string word_for(RecipientReceipt::By by) {
  switch (by) {
    case RecipientReceipt::By::target:
      return "target";
    case RecipientReceipt::By::journal:
      return "journal";
    case RecipientReceipt::By::guard:
      return "odmr";
    case RecipientReceipt::By::accepted:
      return "accepted";
  }
  return {};
}

std::string what_came(const journal::SessionEnding& end) {
  std::string out;
  const auto add = [&out](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
  if (end.messages > 0) {
    add(fmt::format("{} for {} ({})", counted(end.messages, "message"), counted(end.recipients, "recipient"),
                    human_size(end.bytes)));
  }
  if (end.duplicates > 0) add(fmt::format("{} offered again and not delivered twice", end.duplicates));
  if (end.rejected > 0) add(fmt::format("{} refused", end.rejected));
  if (end.deferred > 0) add(fmt::format("{} put off", end.deferred));
  return out;
}

void print_item(const std::string& indent, const char* name, const std::string& value) {
  if (!value.empty()) print_line(stdout, fmt::format("{}{:<10}{}", indent, name, escape(value, k_long)));
}

std::string in_words(const RecipientReceipt& recipient) {
  switch (recipient.by) {
    case RecipientReceipt::By::target:
      return recipient.reply;
    case RecipientReceipt::By::journal:
      return "had it before, and was not served again";
    case RecipientReceipt::By::guard:
      return "refused by us: " + recipient.reply;
    case RecipientReceipt::By::accepted:
      return "accepted, but the message was not handed over";
  }
  return {};
}

}  // namespace

std::string local_time_text(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(std::chrono::system_clock::to_time_t(time)));
}

std::string in_words(const SessionReceipt& session) {
  if (!session.end) return "not ended: it is under way, or was cut off";
  std::string out(name(session.end->outcome));
  const std::string came = what_came(*session.end);
  if (!session.end->text.empty()) out += ": " + escape(session.end->text, k_long);
  if (!came.empty()) out += (session.end->text.empty() ? ": " : "; ") + came;
  return out;
}

// --- JSON

ordered_json as_json(const SessionReceipt& session) {
  ordered_json out{{"session", escape(session.id)}, {"provider", escape(session.provider)}};
  out["outcome"] = session.end ? ordered_json(name(session.end->outcome)) : ordered_json(nullptr);
  out["exit"] = session.end ? ordered_json(exit_status(session.end->outcome)) : ordered_json(nullptr);
  out["started"] = time_text(session.started);
  out["ended"] = session.end ? ordered_json(time_text(session.end->time)) : ordered_json(nullptr);
  out["text"] = session.end ? text_or_null(session.end->text) : ordered_json(nullptr);
  out["received"] = nullptr;
  if (!session.end) return out;
  const auto& end = *session.end;
  out["received"] = {{"messages", end.messages}, {"recipients", end.recipients}, {"bytes", end.bytes},
                     {"rejected", end.rejected}, {"deferred", end.deferred},     {"duplicates", end.duplicates}};
  return out;
}

ordered_json as_json(const ConnectionReceipt& connection) {
  return {{"connection", connection.number},
          {"address", text_or_null(connection.address)},
          {"started", time_text(connection.started)},
          {"ended", time_or_null(connection.ended)},
          {"greeting", text_or_null(connection.greeting)},
          {"tls", text_or_null(connection.tls)},
          {"verified", text_or_null(connection.verified)},
          {"auth", text_or_null(connection.mechanism)},
          {"reply", text_or_null(connection.reply)},
          {"how", text_or_null(connection.how)}};
}

ordered_json as_json(const MessageReceipt& message) {
  ordered_json recipients = ordered_json::array();
  for (const auto& one : message.recipients) {
    recipients.push_back(
        {{"address", escape(one.address, k_long)}, {"by", word_for(one.by)}, {"reply", text_or_null(one.reply)}});
  }
  return {{"id", text_or_null(message.id)},
          {"time", time_text(message.time)},
          {"fate", word_for(message.fate)},
          {"from", escape(message.reverse_path, k_long)},
          {"recipients", recipients},
          {"unlisted", message.unlisted},
          {"bytes", message.size},
          {"digest", text_or_null(net::hex(message.digest))},
          {"reply", text_or_null(message.reply)}};
}

// --- words

void print_receipt(const SessionReceipt& session) {
  print_item("", "session", session.id);
  print_item("", "provider", session.provider);
  print_item("", "started", local_time_text(session.started));
  if (!session.end) return print_item("", "ended", "not: it is under way, or was cut off");
  const auto& end = *session.end;
  print_item("", "ended", local_time_text(end.time));
  print_item("", "outcome", fmt::format("{} ({})", name(end.outcome), exit_status(end.outcome)));
  print_item("", "why", end.text);
  const auto came = what_came(end);
  print_item("", "mail", came.empty() ? "none" : came);
}

void print_receipt(const ConnectionReceipt& connection) {
  print_line(stdout, fmt::format("\nconnection {}, {}", connection.number,
                                 connection.address.empty() ? "not made" : "to " + escape(connection.address)));
  print_item("  ", "started", local_time_text(connection.started));
  print_item("  ", "greeting", connection.greeting);
  if (!connection.address.empty()) {
    print_item("  ", "tls", connection.tls.empty() ? "none" : connection.tls + ", verified by " + connection.verified);
    print_item("  ", "login", connection.mechanism.empty() ? "none" : connection.mechanism);
  }
  print_item("  ", "atrn", connection.reply);
  if (!connection.ended) return print_item("  ", "ended", "not: it is under way, or was cut off");
  print_item("  ", "ended", local_time_text(*connection.ended) + ", " + connection.how);
}

void print_receipt(const MessageReceipt& message) {
  print_line(stdout, fmt::format("\n  {} {}{}", local_time_text(message.time), word_for(message.fate),
                                 message.id.empty() ? "" : ", id " + escape(message.id)));
  print_item("    ", "from", message.reverse_path);
  for (const auto& one : message.recipients) {
    print_item("    ", "to", one.address + ": " + in_words(one));
  }
  if (message.unlisted > 0) {
    print_item("    ", "to", counted(message.unlisted, "more recipient") + ", refused");
  }
  if (!message.digest.empty()) {
    print_item("    ", "size", counted(message.size, "byte"));
    print_item("    ", "sha256", net::hex(message.digest));
  }
  print_item("    ", "answered", message.reply);
}

}  // namespace odmr::show
