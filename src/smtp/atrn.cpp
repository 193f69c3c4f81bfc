#include <algorithm>

#include "base/ascii.hpp"
#include "smtp/command.hpp"
#include "smtp/path.hpp"

namespace odmr::smtp {

namespace {

// As atrn_line writes it, for counting; a name that it will refuse counts as it is.
std::size_t length_in_atrn(const std::string& domain) {
  const auto canonical = canonical_domain(domain);
  return canonical ? canonical->size() : domain.size();
}

}  // namespace

Parsed<std::vector<std::string>> parse_atrn(std::string_view argument) {
  std::vector<std::string> domains;
  if (argument.empty()) return domains;
  for (;;) {
    const std::size_t comma = std::min(argument.find(','), argument.size());
    auto domain = canonical_domain(argument.substr(0, comma));
    // RFC 2645 5.2.1 wants at least two labels, ASCII as every command before SMTPUTF8.
    if (!domain || domain->find('.') == std::string::npos || !is_ascii(argument.substr(0, comma))) {
      return tl::unexpected(Refusal{501, "5.5.4 Syntax: ATRN [domain[,domain...]]"});
    }
    domains.push_back(std::move(*domain));
    if (comma == argument.size()) return domains;
    argument.remove_prefix(comma + 1);
  }
}

Parsed<EtrnCommand> parse_etrn(std::string_view argument) {
  if (argument.empty()) return tl::unexpected(Refusal{500, "5.5.4 Syntax: ETRN [@|#]node"});
  const Refusal refusal{501, "5.5.4 Syntax: ETRN [@|#]node"};
  EtrnCommand command;
  if (argument.front() == '#') {
    command.kind = EtrnCommand::Kind::queue;
    command.name = argument.substr(1);
    const bool is_word = !command.name.empty() && std::all_of(command.name.begin(), command.name.end(),
                                                              [](char c) { return c > ' ' && c <= '~'; });
    if (!is_word) return tl::unexpected(refusal);
    return command;
  }
  if (argument.front() == '@') {
    command.kind = EtrnCommand::Kind::with_all_below;
    argument.remove_prefix(1);
  }
  auto domain = canonical_domain(argument);
  if (!domain || !is_ascii(argument)) return tl::unexpected(refusal);
  command.name = std::move(*domain);
  return command;
}

std::vector<std::vector<std::string>> split_for_atrn(const std::vector<std::string>& domains) {
  constexpr std::size_t room = k_longest_command - std::string_view("ATRN\r\n").size();
  std::vector<std::vector<std::string>> lines;
  std::size_t used = room;
  for (const std::string& domain : domains) {
    const std::size_t needed = 1 + length_in_atrn(domain);  // with its space or comma
    if (used + needed > room) {
      lines.emplace_back();
      used = 0;
    }
    lines.back().push_back(domain);
    used += needed;
  }
  return lines;
}

Result<std::string> atrn_line(const std::vector<std::string>& domains) {
  std::string line = "ATRN";
  for (const std::string& domain : domains) {
    // A-labels, and nothing that would be two domains or a second command.
    const auto canonical = canonical_domain(domain);
    if (!canonical) return fail(canonical.error().code, "not a domain for ATRN: " + domain);
    line += (line.size() == 4 ? " " : ",") + *canonical;
  }
  return command_line(line);
}

}  // namespace odmr::smtp
