#include "seven_bit/plan.hpp"

#include <gmime/gmime.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

namespace odmr::seven_bit {

namespace {

constexpr const char* k_encoding = "Content-Transfer-Encoding";
constexpr std::uint64_t k_longest_field = 4096;  // of the fields that we replace

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
template <class T>
using Owned = std::unique_ptr<T, Unref>;

/// Why everything has to stay as it is.
struct MustStay {
  std::string why;
};

// GMime starts once, and does not end before the program.
void start_gmime() {
  static const bool started = (g_mime_init(), true);
  (void)started;
}

Owned<GMimeMessage> parse(const Source& source) {
  start_gmime();
  // The stream closes its file: it gets one of its own.
  const int file = ::dup(source.file());
  if (file < 0) throw InputOutputError("dup");
  const Owned<GMimeStream> stream(g_mime_stream_fs_new_with_bounds(file, 0, static_cast<gint64>(source.size())));
  const Owned<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  g_mime_parser_set_persist_stream(parser.get(), TRUE);  // contents stay in the file
  g_mime_parser_set_format(parser.get(), GMIME_FORMAT_MESSAGE);
  return Owned<GMimeMessage>(g_mime_parser_construct_message(parser.get(), nullptr));
}

class Planner {
 public:
  explicit Planner(const Source& source) : source_(source) {}

  void take(GMimeMessage* message) { walk_message(message, false); }

  std::vector<Edit> edits() {
    std::sort(edits_.begin(), edits_.end(), [](const Edit& a, const Edit& b) { return a.range.begin < b.range.begin; });
    for (std::size_t i = 0; i < edits_.size(); ++i) {
      const std::uint64_t before = i == 0 ? 0 : edits_[i - 1].range.end;
      const Range& range = edits_[i].range;
      if (range.begin < before || range.end < range.begin || range.end > source_.size()) {
        throw MustStay{"its structure cannot be followed"};
      }
    }
    return std::move(edits_);
  }

 private:
  // Each gives whether something in there is converted.

  bool walk_message(GMimeMessage* message, bool is_protected) {
    GMimeObject* content = g_mime_message_get_mime_part(message);
    if (content == nullptr) return false;
    const bool is_mime = g_mime_object_get_header(GMIME_OBJECT(message), "MIME-Version") != nullptr;
    if (!walk(content, is_protected, !is_mime)) return false;
    return true;
  }

  bool walk(GMimeObject* object, bool is_protected, bool needs_version) {
    if (GMIME_IS_MULTIPART(object)) return walk_multipart(object, is_protected, needs_version);
    if (GMIME_IS_MESSAGE_PART(object)) return walk_message_part(object, is_protected, needs_version);
    if (GMIME_IS_PART(object)) return walk_leaf(object, is_protected, needs_version);
    throw MustStay{"it has a part of a kind that is not known"};
  }

  bool walk_multipart(GMimeObject* object, bool is_protected, bool needs_version) {
    GMimeContentType* type = g_mime_object_get_content_type(object);
    const bool stays = is_protected || g_mime_content_type_is_type(type, "multipart", "signed") != 0 ||
                       g_mime_content_type_is_type(type, "multipart", "encrypted") != 0 || !is_identity(object);
    bool is_converted = false;
    const int count = g_mime_multipart_get_count(GMIME_MULTIPART(object));
    for (int i = 0; i < count; ++i) {
      if (walk(g_mime_multipart_get_part(GMIME_MULTIPART(object), i), stays, false)) is_converted = true;
    }
    if (is_converted) relabel(object, needs_version);
    return is_converted;
  }

  bool walk_message_part(GMimeObject* object, bool is_protected, bool needs_version) {
    GMimeMessage* message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));
    if (message == nullptr || !walk_message(message, is_protected || !is_identity(object))) return false;
    relabel(object, needs_version);
    return true;
  }

  bool walk_leaf(GMimeObject* object, bool is_protected, bool needs_version) {
    GMimeDataWrapper* wrapper = g_mime_part_get_content(GMIME_PART(object));
    if (wrapper == nullptr) return false;
    const GMimeStream* stream = g_mime_data_wrapper_get_stream(wrapper);
    if (!GMIME_IS_STREAM_FS(stream) || stream->bound_start < 0) throw MustStay{"its structure cannot be followed"};
    const Range range{static_cast<std::uint64_t>(stream->bound_start),
                      stream->bound_end < 0 ? source_.size() : static_cast<std::uint64_t>(stream->bound_end)};
    const Content content = look_at(source_, range);
    const std::string encoding = encoding_of(object);
    if (!content.has_high || encoding == "quoted-printable" || encoding == "base64") return false;
    if (is_protected) throw MustStay{"a part that must not be changed has 8-bit content"};
    if (!is_identity(object)) throw MustStay{"a part has 8-bit content in an encoding that is not known"};
    encode(object, range, content, needs_version);
    return true;
  }

  void encode(GMimeObject* object, const Range& range, const Content& content, bool needs_version) {
    GMimeContentType* type = g_mime_object_get_content_type(object);
    for (const auto& [main_type, subtype] : {std::pair{"multipart", "*"},
                                             {"message", "*"},
                                             {"application", "pkcs7-mime"},
                                             {"application", "x-pkcs7-mime"}}) {
      if (g_mime_content_type_is_type(type, main_type, subtype) != 0) {
        throw MustStay{"a part that must not be encoded has 8-bit content"};
      }
    }
    const bool is_text = g_mime_content_type_is_type(type, "text", "*") != 0 && content.has_lines_only;
    std::string fields = version_field(needs_version);
    if (needs_version && g_mime_object_get_header(object, "Content-Type") == nullptr) {
      // RFC 1428 4: a charset that nobody knows.
      fields +=
          std::string("Content-Type: text/plain; charset=") + (content.is_utf8 ? "utf-8" : "unknown-8bit") + "\r\n";
    }
    const std::string label = std::string(k_encoding) + ": " + (is_text ? "quoted-printable" : "base64") + "\r\n";
    if (const auto field = encoding_field(object)) {
      edits_.push_back({*field, Edit::How::text, fields + label});
    } else {
      const std::uint64_t place = end_of_header(range.begin);
      edits_.push_back({{place, place}, Edit::How::text, fields + label});
    }
    edits_.push_back({range, is_text ? Edit::How::quoted_printable : Edit::How::base64, ""});
  }

  // What was 8-bit because of its parts is so no more (RFC 2045 6.4).
  void relabel(GMimeObject* object, bool needs_version) {
    const auto field = encoding_field(object);
    if (field) {
      edits_.push_back({*field, Edit::How::text, version_field(needs_version) + k_encoding + ": 7bit\r\n"});
    } else if (needs_version) {
      const std::uint64_t place = first_field(object);
      edits_.push_back({{place, place}, Edit::How::text, version_field(true)});
    }
  }

  static std::string version_field(bool needs_version) { return needs_version ? "MIME-Version: 1.0\r\n" : ""; }

  // As written, in lower case; empty without.
  static std::string encoding_of(GMimeObject* object) {
    const char* value = g_mime_object_get_header(object, k_encoding);
    if (value == nullptr) return {};
    const std::unique_ptr<char, void (*)(void*)> lower(g_ascii_strdown(value, -1), g_free);
    return g_strstrip(lower.get());
  }
  static bool is_identity(GMimeObject* object) {
    const auto encoding = encoding_of(object);
    return encoding.empty() || encoding == "7bit" || encoding == "8bit" || encoding == "binary";
  }

  std::optional<Range> encoding_field(GMimeObject* object) const {
    std::optional<Range> found;
    GMimeHeaderList* headers = g_mime_object_get_header_list(object);
    for (int i = 0; i < g_mime_header_list_get_count(headers); ++i) {
      GMimeHeader* header = g_mime_header_list_get_header_at(headers, i);
      if (g_ascii_strcasecmp(g_mime_header_get_name(header), k_encoding) != 0) continue;
      if (found) throw MustStay{"a part has two encodings"};
      found = field_at(g_mime_header_get_offset(header), k_encoding);
    }
    return found;
  }

  std::uint64_t first_field(GMimeObject* object) const {
    GMimeHeaderList* headers = g_mime_object_get_header_list(object);
    if (g_mime_header_list_get_count(headers) == 0) throw MustStay{"its structure cannot be followed"};
    GMimeHeader* header = g_mime_header_list_get_header_at(headers, 0);
    return field_at(g_mime_header_get_offset(header), g_mime_header_get_name(header)).begin;
  }

  // The field that begins there, all its lines. That it does is looked at: what is replaced must be it.
  Range field_at(gint64 offset, std::string_view name) const {
    const auto begin = static_cast<std::uint64_t>(offset);
    if (offset < 0 || begin >= source_.size()) throw MustStay{"its structure cannot be followed"};
    const std::string text = source_.text({begin, std::min(source_.size(), begin + k_longest_field)});
    const bool is_it = text.size() > name.size() && g_ascii_strncasecmp(text.data(), name.data(), name.size()) == 0;
    std::size_t end = text.find('\n');
    while (end != std::string::npos && end + 1 < text.size() && (text[end + 1] == ' ' || text[end + 1] == '\t')) {
      end = text.find('\n', end + 1);
    }
    if (!is_it || end == std::string::npos || end + 1 == k_longest_field) {
      throw MustStay{"its structure cannot be followed"};
    }
    return {begin, begin + end + 1};
  }

  // Where the empty line stands that ends the header before this content.
  std::uint64_t end_of_header(std::uint64_t content) const {
    const std::uint64_t begin = content < 3 ? 0 : content - 3;
    const std::string before = source_.text({begin, content});
    if (before == "\n\r\n") return content - 2;
    throw MustStay{"a part has no header that could say how it is encoded"};
  }

  const Source& source_;
  std::vector<Edit> edits_;
};

}  // namespace

Plan plan(const Source& source) {
  const auto message = parse(source);
  if (!message) return {{}, "it is no message"};
  try {
    Planner planner(source);
    planner.take(message.get());
    auto edits = planner.edits();
    return {std::move(edits), "there is nothing to convert"};
  } catch (const MustStay& reason) {
    return {{}, reason.why};
  }
}

}  // namespace odmr::seven_bit
