// The dot codec: segments make no difference, and what is encoded comes out as it was.

#include "input.hpp"
#include "smtp/dot.hpp"

using namespace odmr;

namespace {

struct Decoded {
  std::string message;
  std::size_t consumed = 0;
  bool ended = false;
  bool stray = false;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(std::string_view bytes, std::size_t piece) {
  Decoded out;
  smtp::DotDecoder decoder;
  while (!bytes.empty() && !out.ended) {
    const auto progress = decoder.decode(bytes.substr(0, piece), out.message);
    out.consumed += progress.consumed;
    out.ended = progress.ended;
    bytes.remove_prefix(progress.consumed);
  }
  out.stray = decoder.has_stray_newline();
  return out;
}

Decoded decode_in_place(std::string_view bytes, std::size_t piece) {
  Decoded out;
  smtp::DotDecoder decoder;
  std::string room;
  while (!bytes.empty() && !out.ended) {
    const auto view = decoder.decode_in_place(bytes.substr(0, piece), room);
    out.message += view.content;
    out.consumed += view.consumed;
    out.ended = view.ended;
    bytes.remove_prefix(view.consumed);
  }
  out.stray = decoder.has_stray_newline();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::text(data, size);
  const auto whole = decode(bytes, bytes.size() + 1);
  for (const std::size_t piece : {1U, 2U, 5U}) {
    fuzz::require(decode(bytes, piece) == whole, "segments make no difference");
    fuzz::require(decode_in_place(bytes, piece) == whole, "nor does where it is put");
  }
  fuzz::require(decode_in_place(bytes, bytes.size() + 1) == whole, "nor does where it is put");
  std::string wire;
  smtp::DotEncoder encoder;
  encoder.encode(bytes.substr(0, size / 2), wire);
  encoder.encode(bytes.substr(size / 2), wire);
  encoder.finish(wire);
  const auto back = decode(wire, wire.size());
  if (!back.stray) {
    fuzz::require(back.ended && back.consumed == wire.size(), "the end is the end");
    const bool ends_whole = bytes.empty() || (size >= 2 && bytes.substr(size - 2) == "\r\n");
    fuzz::require(back.message == std::string(bytes) + (ends_whole ? "" : "\r\n"), "the message comes back");
  }
  return 0;
}
