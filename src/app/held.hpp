#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "provider/spool_folders.hpp"

namespace odmr::app {

/// A message in a folder of the spool, as a list shows it.
struct HeldMessage {
  struct Recipient {
    std::string address;
    std::string domain;  ///< canonical; empty where the address has none
    std::string reply;   ///< in bounces and failed: what the customer said
    bool is_done = false;
  };
  std::string id;
  WallTime arrival;
  std::uint64_t size = 0;
  std::string reverse_path;  ///< empty for the null one
  spool::Attributes attributes;
  std::vector<Recipient> recipients;
};

struct HeldList {
  std::vector<HeldMessage> messages;    ///< in the order of arrival
  std::vector<std::string> unreadable;  ///< "ID: why", a line each; they stay where they are
};

/// What is in a folder. Touches nothing; messages that go meanwhile are left out. Errors: those of opening the folder.
Result<HeldList> list_held(const std::string& spool, provider::Folder folder);
/// One message; `see` is given its bytes. Errors: not_found, malformed, and those of reading.
Result<HeldMessage> show_held(const std::string& spool, provider::Folder folder, const std::string& id,
                              const std::function<void(std::string_view)>& see);
/// Removes a message for good. Errors: not_found, and those of the disk.
Result<void> remove_held(const std::string& spool, provider::Folder folder, const std::string& id);

}  // namespace odmr::app
