#pragma once

#include <string>

#include "receive/reception.hpp"
#include "spool/store.hpp"

namespace odmr::app {

/// Bounce records in STATE_DIR/bounces, in the spool's file format: the reverse-path is the bounce's addressee, the
/// recipients are those that failed, each with its "reply".
class BounceFolder final : public receive::BounceKeeper {
 public:
  BounceFolder(std::string directory, FileOps& files, Clock& clock)
      : directory_(std::move(directory)), files_(files), clock_(clock) {}

  Result<void> keep(const receive::BounceRecord& record) override;

 private:
  std::string directory_;
  FileOps& files_;
  Clock& clock_;
};

}  // namespace odmr::app
