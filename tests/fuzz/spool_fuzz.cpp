// What is read back from disk: message files and the queue's notes, whole or not. The first byte chooses: a note; a
// file as it is; a message written,
// damaged at one place and read.

#include "input.hpp"
#include "queue/note.hpp"
#include "spool/message_file.hpp"

using namespace odmr;

namespace {

// A file in memory, which may be damaged.
class OneFile {
 public:
  OneFile() : file_(system_files().nameless("/dev/shm").value()) {}
  void write(std::string_view bytes) { fuzz::require(system_files().write(file_.get(), bytes).has_value(), "room"); }
  int get() const { return file_.get(); }
  Descriptor take() { return std::move(file_); }

 private:
  Descriptor file_;
};

struct Message {
  spool::Envelope envelope;
  std::string body;
};

// No value for a file that is not to be used.
std::optional<Message> read(OneFile file) {
  auto reader = spool::MessageReader::open(system_files(), file.take());
  if (!reader) return std::nullopt;
  fuzz::require(!reader->envelope().recipients.empty(), "a message is for somebody");
  Message message{reader->envelope(), {}};
  char piece[512];
  for (;;) {
    const auto count = reader->read(piece, sizeof piece);
    if (!count) return std::nullopt;
    if (*count == 0) break;
    message.body.append(piece, *count);
  }
  fuzz::require(message.body.size() == reader->size(), "as long as it says");
  return message;
}

void check_note(std::string_view text) {
  if (const auto note = queue::parse_note(text)) {
    const auto written = queue::text_of(*note);  // without controls
    const auto again = queue::parse_note(written);
    fuzz::require(again.has_value() && queue::text_of(*again) == written, "a note is read as it was written");
  }
  fuzz::require(queue::one_line(text).find_first_of("\r\n") == std::string::npos, "one line");
  (void)queue::reply_from(text);
}

void check_round_trip(std::string_view bytes, std::size_t place, char damage) {
  const auto half = bytes.size() / 2;
  spool::Envelope envelope{WallTime(std::chrono::seconds(1769853600)), std::string(bytes.substr(0, half % 40)), {}, {}};
  envelope.attributes["body"] = bytes.substr(0, half % 20);
  envelope.recipients.push_back({"b@example.net", {{"notify", std::string(bytes.substr(half))}}});
  OneFile file;
  auto writer = spool::MessageWriter::begin(system_files(), file.get(), envelope);
  fuzz::require(writer && writer->write(bytes) && writer->end(), "it can be written");
  std::string whole(bytes.size() * 3 + 4096, '\0');
  const auto size = system_files().read_at(file.get(), 0, whole.data(), whole.size());
  fuzz::require(size.has_value(), "and read");
  whole.resize(*size);
  const auto back = read(std::move(file));
  fuzz::require(back && back->envelope == envelope && back->body == bytes, "it comes back");
  if (damage == 0) return;
  whole[place % whole.size()] = static_cast<char>(whole[place % whole.size()] ^ damage);
  OneFile damaged;
  damaged.write(whole);
  const auto other = read(std::move(damaged));
  fuzz::require(!other || (other->envelope == envelope && other->body == bytes), "one damaged byte is noticed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const auto bytes = fuzz::text(data + 1, size - 1);
  if (data[0] % 3 == 0) check_note(bytes);
  if (data[0] % 3 == 1) {
    OneFile file;
    file.write(bytes);
    (void)read(std::move(file));
  }
  if (data[0] % 3 == 2) {
    const auto place = static_cast<std::size_t>(data[1]) * 256 + data[2];
    check_round_trip(bytes.substr(3), place, static_cast<char>(data[3]));
  }
  return 0;
}
