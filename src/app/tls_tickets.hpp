#pragma once

#include <string>

#include "base/file.hpp"
#include "net/tls.hpp"

namespace odmr::app {

/// Where the tickets are.
std::string tickets_in(const std::string& state_dir);

/// One server's ticket, in a file of its own. What cannot be read or written is not there: the session begins anew, and
/// nothing is lost. No sync: after a power cut the same.
class FileTickets final : public net::TlsTickets {
 public:
  /// `server`: what it is for, one word or many.
  FileTickets(std::string directory, const std::string& server, FileOps& files);

  std::string take() override;
  void keep(std::string_view ticket) override;

 private:
  std::string directory_;
  std::string name_;
  FileOps& files_;
};

}  // namespace odmr::app
