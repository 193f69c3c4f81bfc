#include "receive/copy.hpp"

namespace odmr::receive {

Result<Copy> Copy::in(const std::string& directory, FileOps& files) {
  auto file = files.nameless(directory);
  if (!file) return fail(file.error());
  return Copy(std::move(*file), files);
}

Result<void> Copy::write(std::string_view piece) {
  if (written_) written_ = files_->write(file_.get(), piece);
  return written_;
}

Result<std::size_t> Copy::read(std::span<char> into) {
  if (!written_) return fail(written_.error());
  auto count = files_->read_at(file_.get(), place_, into.data(), into.size());
  if (count) place_ += *count;
  return count;
}

}  // namespace odmr::receive
