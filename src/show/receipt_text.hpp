#pragma once

#include <string>

#include "journal/receipt.hpp"
#include "show/json.hpp"

namespace odmr::show {

// Receipts in words and as JSON. What strangers said is escaped in both.

/// "2026-01-31 10:00:00", as the clock on the wall here has it.
std::string local_time_text(WallTime time);
/// How it ended, or that it did not, and what came, on one line.
std::string in_words(const journal::SessionReceipt& session);

ordered_json as_json(const journal::SessionReceipt& session);
ordered_json as_json(const journal::ConnectionReceipt& connection);
ordered_json as_json(const journal::MessageReceipt& message);

/// What stands above the connections, below it the connections and, behind each, its messages.
void print_receipt(const journal::SessionReceipt& session);
void print_receipt(const journal::ConnectionReceipt& connection);
void print_receipt(const journal::MessageReceipt& message);

}  // namespace odmr::show
