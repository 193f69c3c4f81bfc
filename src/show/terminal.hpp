#pragma once

namespace odmr::show {

/// Whether the locale of the environment writes UTF-8.
bool speaks_utf8();

}  // namespace odmr::show
