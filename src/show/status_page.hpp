#pragma once

#include <string>

#include "app/daemon_status.hpp"

namespace odmr::show {

/// How it stands with odmrd, as a page for a browser: HTML with its style in it and nothing that runs, read-only.
/// Strangers' words are escaped.
std::string status_page(const app::DaemonStatus& status, const std::string& version);

/// The page's Content-Security-Policy: its own style, known by its digest, and nothing else.
std::string status_page_policy();

}  // namespace odmr::show
