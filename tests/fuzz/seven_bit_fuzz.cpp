// odmr-7bit: whatever the message, its plan's edits lie in it one behind the other, and a converted message has no byte
// beyond ASCII in its content that a plan without a reason left there.

#include <sys/mman.h>
#include <unistd.h>

#include "input.hpp"
#include "seven_bit/convert.hpp"

using namespace odmr;

namespace {

class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : file_(::memfd_create("message", MFD_CLOEXEC)) {
    fuzz::require(::write(file_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "room");
  }
  ~MemoryFile() { ::close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  int get() const { return file_; }

 private:
  int file_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(fuzz::text(data, size));
  const seven_bit::Source source(file.get());
  const auto plan = seven_bit::plan(source);
  if (plan.edits.empty()) {
    fuzz::require(!plan.why.empty(), "a reason");
    return 0;
  }
  std::uint64_t place = 0;
  for (const auto& edit : plan.edits) {
    fuzz::require(place <= edit.range.begin && edit.range.begin <= edit.range.end && edit.range.end <= size, "order");
    place = edit.range.end;
  }
  std::string converted;
  seven_bit::convert(source, plan, [&converted](std::string_view piece) { converted += piece; });
  // Done once, it is done.
  const MemoryFile again(converted);
  const seven_bit::Source second(again.get());
  fuzz::require(seven_bit::plan(second).edits.empty(), "converting twice is converting once");
  return 0;
}
