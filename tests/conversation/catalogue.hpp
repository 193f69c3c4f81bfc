#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "transcript.hpp"

namespace odmr::conversation {

/// All scenarios under transcripts/, file by file.
const std::vector<Transcript>& all_transcripts();
/// Those of one file beside transcripts/, "diagnoses/causes.txt", which are played for another purpose.
std::vector<Transcript> transcripts_beside(const std::string& file);
/// The scenarios of a text in which phrases.txt is known.
std::vector<Transcript> transcripts_from(const std::string& name, std::string_view text);

}  // namespace odmr::conversation
