#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "smtp/path.hpp"

namespace odmr::mail {

/// A mailbox in the form in which two are compared: letters small (nobody tells "Anna" from "anna", whatever RFC 5321
/// 2.4 allows), quotes gone where they say nothing, the domain as smtp::canonical_domain() has it.
std::string comparable(const smtp::Mailbox& mailbox);
/// "\"anna\"" is anna (RFC 5321 4.1.2); quotes that are needed stay.
std::string without_needless_quotes(std::string_view local_part);

/// Who gets what comes for an address: the table `users`.
class UserMap {
 public:
  /// One line of it. `pattern`: "sales@example.org"; a "*" in the local part stands for any letters, none too
  /// ("info-*@example.org", "*@example.org"); the domain "*" for each of ours ("anna@*"). `targets`: addresses, or
  /// names that the local target knows; one at least. Errors: malformed, and says what to write.
  Result<void> add(std::string_view pattern, const std::vector<std::string>& targets);

  /// The targets of the closest pattern: the one whose local part has the most letters of its own, before an equal one
  /// with a star, before one for any domain. Null where none fits: the address stays as it is.
  const std::vector<smtp::Mailbox>* find(const smtp::Mailbox& address) const;
  bool is_empty() const { return exact_.empty() && patterns_.empty(); }

 private:
  struct Pattern {
    std::string local_part;
    std::string domain;  // empty: any
    std::vector<smtp::Mailbox> targets;
  };
  static bool is_closer(const Pattern& a, const Pattern& b);

  std::map<std::string, std::vector<smtp::Mailbox>> exact_;  // by comparable()
  std::vector<Pattern> patterns_;                            // the closest first
};

}  // namespace odmr::mail
