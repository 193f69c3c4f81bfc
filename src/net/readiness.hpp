#pragma once

#include <asio/any_io_executor.hpp>
#include <memory>

#include "base/error.hpp"
#include "net/task.hpp"

namespace odmr::net {

/// Waits until a descriptor that is somebody else's can be read: for what is no stream.
class Readiness {
 public:
  virtual ~Readiness() = default;
  /// Errors: interrupted after cancel(); io.
  virtual Task<Result<void>> wait() = 0;
  virtual void cancel() = 0;
};

/// The descriptor stays the caller's. Errors: those of dup(2), and of what cannot be waited for.
Result<std::unique_ptr<Readiness>> readiness_of(int descriptor, const asio::any_io_executor& loop);

}  // namespace odmr::net
