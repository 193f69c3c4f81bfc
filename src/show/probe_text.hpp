#pragma once

#include <string>

#include "app/probe_part.hpp"
#include "app/test_mail.hpp"
#include "show/json.hpp"

namespace odmr::show {

/// A step as `odmr probe` prints it: a line, and where something has to be done one more that says what.
std::string in_words(const app::ProbeStep& step);
/// "provider isp, odmr.example.net:366": the line above a part's steps.
std::string heading_of(const app::ProbeStep& step);
/// The same as `--json` has it.
std::string as_json(const app::ProbeStep& step);
ordered_json json_of(const app::ProbeStep& step);
/// The last line: how a run would end; `how_far` it would get where all is well, as app::how_far() has it.
std::string summary_of_probe(Outcome outcome, const std::string& how_far);

/// A step of a test message, likewise.
std::string in_words(const app::TestStep& step);
std::string as_json(const app::TestStep& step);

}  // namespace odmr::show
