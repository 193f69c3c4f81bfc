#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "transcript.hpp"

namespace odmr::conversation {

/// All scenarios under transcripts/, file by file.
const std::vector<Transcript>& all_transcripts();
/// The scenarios of a text in which phrases.txt is known.
std::vector<Transcript> transcripts_from(const std::string& name, std::string_view text);

}  // namespace odmr::conversation
