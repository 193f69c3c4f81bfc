#pragma once

#include <string_view>

namespace odmr::mail {

/// Whether a message has gone to many at once, as far as its header says so.
enum class ListKind {
  none,
  newsletter,  ///< somebody writes in bulk: List- fields (RFC 2369, RFC 2919) or "Precedence: bulk"
  discussion,  ///< people write to it, and it passes on what they wrote
};
ListKind kind_of_list(std::string_view header);

/// Whether what runs the list (List-Id, Sender, Errors-To, Return-Path) is in the domain, canonical, or below it.
bool is_list_run_from(std::string_view domain, std::string_view header);

}  // namespace odmr::mail
