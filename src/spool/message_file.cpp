#include "spool/message_file.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/ascii.hpp"

namespace odmr::spool {

std::string attribute(const Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  return found == attributes.end() ? std::string() : found->second;
}

namespace {

constexpr std::string_view k_family = "odmr message ";
constexpr std::string_view k_version = "odmr message 1\n";
constexpr std::size_t k_longest_head = std::size_t{8} * 1024 * 1024;
constexpr std::size_t k_piece = std::size_t{64} * 1024;
constexpr std::size_t k_head_piece = std::size_t{4} * 1024;  // few envelopes are longer, and a queue reads many
constexpr std::size_t k_end_size = 31;                       // "\nEND ", 16 digits, a space, 8 digits, "\n"

std::uint32_t add_to_checksum(std::uint32_t checksum, std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(checksum, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::optional<std::uint64_t> parse_hex(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// --- writing

std::string record(char kind, std::string_view value) {
  return fmt::format("{}{}:{}\n", kind, value.size(), value);
}

std::string records_of(const Attributes& attributes) {
  std::string text;
  for (const auto& [name, value] : attributes) text += record('n', name) + record('v', value);
  return text;
}

std::string text_of(WallTime time) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  return std::to_string(std::max<decltype(since)>(since, 0));
}

std::string head_of(const Envelope& envelope) {
  std::string head(k_version);
  head += record('T', text_of(envelope.arrival)) + record('F', envelope.reverse_path) + records_of(envelope.attributes);
  for (const auto& recipient : envelope.recipients) {
    head += record('R', recipient.address) + records_of(recipient.attributes);
  }
  return head + record('H', fmt::format("{:08x}", add_to_checksum(0, head)));
}

// --- reading

tl::unexpected<Error> damaged(std::string_view what) {
  return fail(Errc::malformed, "not a whole message file: " + std::string(what));
}

// The head as a sequence of records, of which no more is read than is asked for (and at most one piece beyond).
class HeadReader {
 public:
  HeadReader(FileOps& files, int file) : files_(files), file_(file) {}

  struct Record {
    char kind = 0;
    std::string value;
  };

  Result<void> version() {
    if (auto enough = need(k_version.size()); !enough) return enough;
    const std::string_view start = std::string_view(bytes_).substr(0, k_version.size());
    if (!start.starts_with(k_family)) return damaged("it does not begin as one");
    if (start != k_version) return damaged("it has a version that is not known here");
    place_ = k_version.size();
    return {};
  }

  Result<Record> next() {
    before_ = place_;
    Record record;
    std::uint64_t length = 0;
    if (auto read = kind_and_length(record.kind, length); !read) return fail(read.error());
    if (auto enough = need(length + 1); !enough) return fail(enough.error());
    record.value = bytes_.substr(place_, length);
    place_ += length + 1;
    if (bytes_[place_ - 1] != '\n') return damaged("a record is longer than its length");
    return record;
  }

  // Bytes read so far, with and without the last record.
  std::string_view all() const { return std::string_view(bytes_).substr(0, place_); }
  std::string_view all_before_last() const { return std::string_view(bytes_).substr(0, before_); }

 private:
  Result<void> kind_and_length(char& kind, std::uint64_t& length) {
    constexpr std::size_t most_digits = 8;
    if (auto enough = need(1); !enough) return enough;
    kind = bytes_[place_++];
    std::string digits;
    for (;;) {
      if (auto enough = need(1); !enough) return enough;
      const char c = bytes_[place_++];
      if (c == ':') break;
      digits += c;
      if (digits.size() > most_digits) return damaged("a record has no length");
    }
    const auto number = parse_number(digits);
    if (!number) return damaged("a record has no length");
    length = *number;
    return {};
  }

  // Makes sure that `count` bytes stand at place_.
  Result<void> need(std::uint64_t count) {
    if (place_ + count > k_longest_head) return damaged("its envelope is too long");
    while (bytes_.size() - place_ < count) {
      const std::size_t had = bytes_.size();
      bytes_.resize(had + k_head_piece);
      const auto got = files_.read_at(file_, had, bytes_.data() + had, k_head_piece);
      bytes_.resize(had + (got ? *got : 0));
      if (!got) return fail(got.error());
      if (*got == 0) return damaged("it ends in its envelope");
    }
    return {};
  }

  FileOps& files_;
  int file_;
  std::string bytes_;
  std::size_t place_ = 0;
  std::size_t before_ = 0;
};

// The envelope as records come in, each allowed only where it has its place.
class EnvelopeBuilder {
 public:
  Result<void> add(char kind, std::string value) {
    if (name_ && kind != 'v') return damaged("an attribute has no value");
    switch (kind) {
      case 'T':
        return arrival(value);
      case 'F':
        if (stage_ != Stage::reverse_path) return damaged("a record is out of place");
        envelope_.reverse_path = std::move(value);
        stage_ = Stage::rest;
        return {};
      case 'R':
        if (stage_ != Stage::rest) return damaged("a record is out of place");
        envelope_.recipients.push_back({std::move(value), {}});
        return {};
      case 'n':
        if (stage_ != Stage::rest) return damaged("a record is out of place");
        name_ = std::move(value);
        return {};
      case 'v':
        return attribute(std::move(value));
      default:
        return damaged("it has a record that is not known here");
    }
  }

  Result<Envelope> finish() {
    if (name_) return damaged("an attribute has no value");
    if (envelope_.recipients.empty()) return damaged("it has no recipient");
    return std::move(envelope_);
  }

 private:
  enum class Stage { arrival, reverse_path, rest };

  Result<void> arrival(const std::string& value) {
    const auto since = parse_number(value);
    constexpr std::uint64_t latest = 9'000'000'000'000'000;  // in the year 2255: WallTime ends soon after
    if (stage_ != Stage::arrival || !since || *since > latest) return damaged("its arrival time is no time");
    envelope_.arrival = WallTime(std::chrono::microseconds(*since));
    stage_ = Stage::reverse_path;
    return {};
  }

  Result<void> attribute(std::string value) {
    if (!name_) return damaged("an attribute has no name");
    auto& attributes = envelope_.recipients.empty() ? envelope_.attributes : envelope_.recipients.back().attributes;
    const bool is_new = attributes.emplace(std::move(*name_), std::move(value)).second;
    name_.reset();
    if (!is_new) return damaged("an attribute is there twice");
    return {};
  }

  Envelope envelope_;
  Stage stage_ = Stage::arrival;
  std::optional<std::string> name_;
};

Result<void> read_all_at(FileOps& files, int file, std::uint64_t offset, std::string& into) {
  std::size_t have = 0;
  while (have < into.size()) {
    const auto got = files.read_at(file, offset + have, into.data() + have, into.size() - have);
    if (!got) return fail(got.error());
    if (*got == 0) return damaged("it became shorter while it was read");
    have += *got;
  }
  return {};
}

}  // namespace

Result<MessageWriter> MessageWriter::begin(FileOps& files, int file, const Envelope& envelope) {
  if (envelope.recipients.empty()) return fail(Errc::malformed, "a message without a recipient cannot be kept");
  const std::string head = head_of(envelope);
  if (head.size() > k_longest_head) return fail(Errc::too_long, "the envelope is too long to be kept");
  MessageWriter writer(files, file);
  if (auto put = writer.put(head); !put) return fail(put.error());
  return writer;
}

Result<void> MessageWriter::write(std::string_view piece) {
  length_ += piece.size();
  return put(piece);
}

Result<void> MessageWriter::end() {
  const std::string end = fmt::format("\nEND {:016x} {:08x}\n", length_, checksum_);
  if (auto put_end = put(end); !put_end) return put_end;
  return flush();
}

Result<void> MessageWriter::put(std::string_view bytes) {
  checksum_ = add_to_checksum(checksum_, bytes);
  buffer_ += bytes;
  return buffer_.size() < k_piece ? Result<void>() : flush();
}

Result<void> MessageWriter::flush() {
  auto written = files_.write(file_, buffer_);
  buffer_.clear();
  return written;
}

Result<MessageReader> MessageReader::open(FileOps& files, Descriptor file) {
  MessageReader reader(files, std::move(file));
  if (auto head = reader.read_head(); !head) return fail(head.error());
  if (auto end = reader.read_end(); !end) return fail(end.error());
  reader.rewind();
  return reader;
}

Result<void> MessageReader::read_head() {
  HeadReader head(*files_, file_.get());
  EnvelopeBuilder builder;
  if (auto version = head.version(); !version) return version;
  for (;;) {
    auto record = head.next();
    if (!record) return fail(record.error());
    if (record->kind == 'H') {
      const auto expected = parse_hex(record->value);
      if (expected != add_to_checksum(0, head.all_before_last())) return damaged("its envelope is damaged");
      break;
    }
    if (auto added = builder.add(record->kind, std::move(record->value)); !added) return added;
  }
  auto envelope = builder.finish();
  if (!envelope) return fail(envelope.error());
  envelope_ = std::move(*envelope);
  body_ = head.all().size();
  head_checksum_ = add_to_checksum(0, head.all());
  return {};
}

Result<void> MessageReader::read_end() {
  const auto status = files_->status(file_.get());
  if (!status) return fail(status.error());
  if (status->size < body_ + k_end_size) return damaged("it has no END");
  size_ = status->size - body_ - k_end_size;

  std::string end(k_end_size, '\0');
  if (auto read = read_all_at(*files_, file_.get(), body_ + size_, end); !read) return read;
  const std::string_view text = end;
  const auto length = parse_hex(text.substr(5, 16));
  const auto checksum = parse_hex(text.substr(22, 8));
  if (!text.starts_with("\nEND ") || text[21] != ' ' || text.back() != '\n' || !length || !checksum) {
    return damaged("it has no END");
  }
  if (*length != size_) return damaged("its length is not what its END says");
  expected_ = static_cast<std::uint32_t>(*checksum);
  return {};
}

Result<std::size_t> MessageReader::read(char* into, std::size_t size) {
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(size, size_ - read_));
  if (read_ == size_) {
    if (checksum_ != expected_) return damaged("its text is damaged");
    return 0;
  }
  auto got = files_->read_at(file_.get(), body_ + read_, into, most);
  if (!got) return got;
  if (*got == 0 && most > 0) return damaged("it became shorter while it was read");
  checksum_ = add_to_checksum(checksum_, std::string_view(into, *got));
  read_ += *got;
  return got;
}

void MessageReader::rewind() {
  read_ = 0;
  checksum_ = head_checksum_;
}

}  // namespace odmr::spool
