#include "net/readiness.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <asio/experimental/as_tuple.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>

#include "base/file.hpp"

namespace odmr::net {

namespace {

class DescriptorReadiness final : public Readiness {
 public:
  explicit DescriptorReadiness(const asio::any_io_executor& loop) : descriptor_(loop) {}

  Result<void> open(Descriptor descriptor) {
    std::error_code failed;
    descriptor_.assign(descriptor.get(), failed);
    if (failed) return fail(Errc::io, failed.message());
    descriptor.release();
    return {};
  }

  Task<Result<void>> wait() override {
    constexpr auto as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
    const auto [failed] = co_await descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, as_tuple);
    if (is_cancelled_) co_return fail(Errc::interrupted, "cancelled");
    if (failed) co_return fail(Errc::io, failed.message());
    co_return Result<void>();
  }

  void cancel() override {
    is_cancelled_ = true;
    std::error_code ignored;
    descriptor_.cancel(ignored);
  }

 private:
  asio::posix::stream_descriptor descriptor_;
  bool is_cancelled_ = false;
};

}  // namespace

Result<std::unique_ptr<Readiness>> readiness_of(int descriptor, const asio::any_io_executor& loop) {
  Descriptor copy(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  if (!copy.is_open()) return fail(system_error(errno, "dup"));
  auto readiness = std::make_unique<DescriptorReadiness>(loop);
  if (auto opened = readiness->open(std::move(copy)); !opened) return fail(opened.error());
  return readiness;
}

}  // namespace odmr::net
