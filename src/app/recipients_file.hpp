#pragma once

#include <string>
#include <vector>

#include "app/settings.hpp"

namespace odmr::app {

/// The entries (smtp::recipient_entry) in the recipients_file of a provider, one a line; what follows "#" is for
/// people. Errors: io and others of the file's; malformed, with the line: no entry, or one of a domain that is none of
/// the provider's; too_long, more than any provider takes.
Result<std::vector<std::string>> recipients_to_tell(const ProviderSettings& provider);

}  // namespace odmr::app
