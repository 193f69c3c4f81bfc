#include "mail/from_policy.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/ascii.hpp"
#include "mail/fields.hpp"
#include "smtp/path.hpp"

namespace odmr::mail {

namespace {

constexpr std::string_view k_blanks = " \t\r\n";

std::string_view trim_folds(std::string_view text) {
  const auto begin = text.find_first_not_of(k_blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(k_blanks) - begin + 1);
}

// --- what stands in a From field (RFC 5322 3.4, read leniently)

// One element between commas. Both views point into the field.
struct Element {
  std::string_view display;  // before "<"; empty without
  std::string_view address;  // inside the brackets, or the bare one; empty: there is none
  bool in_brackets = false;
};

struct From {
  std::vector<Element> elements;
  bool is_group = false;
  bool is_sound = true;  // nothing is left open, no element has two addresses
};

// Passes a comment, quoted string or domain literal that begins at `at`, and gives the place behind it; none where it
// does not end.
std::size_t behind(std::string_view text, std::size_t at) {
  const char open = text[at];
  const char close = open == '(' ? ')' : open == '[' ? ']' : '"';
  std::size_t depth = 1;
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == close) {
      if (--depth == 0) return i + 1;
    } else if (open == '(' && text[i] == '(') {
      ++depth;
    }
  }
  return std::string_view::npos;
}

class FromParser {
 public:
  explicit FromParser(std::string_view body) : body_(body) {}

  From parse() {
    for (std::size_t at = 0; at < body_.size();) at = step(at);
    if (open_ != k_nowhere) from_.is_sound = false;
    end_element(body_.size());
    return std::move(from_);
  }

 private:
  static constexpr std::size_t k_nowhere = std::string_view::npos;

  // Takes what stands at `at`; gives where the next thing is.
  std::size_t step(std::size_t at) {
    const char c = body_[at];
    if (c == '(' || c == '"' || (c == '[' && open_ == k_nowhere)) {
      const std::size_t next = behind(body_, at);
      if (next == k_nowhere) from_.is_sound = false;
      const std::size_t end = std::min(next, body_.size());
      if (c != '(') extend_word(at, end);
      return end;
    }
    if (open_ != k_nowhere) {
      if (c == '>') close_bracket(at);
    } else if (c == '<') {
      open_ = at;
    } else if (c == ',' || c == ';') {
      end_element(at);
    } else if (c == ':') {
      from_.is_group = true;
      begin_ = at + 1;
      first_ = k_nowhere;
    } else if (k_blanks.find(c) == std::string_view::npos) {
      extend_word(at, at + 1);
    }
    return at + 1;
  }

  // What is neither blank nor comment, from the first such thing of the element to the last.
  void extend_word(std::size_t at, std::size_t end) {
    if (open_ != k_nowhere) return;
    if (element_) from_.is_sound = false;  // something behind the brackets
    if (first_ == k_nowhere) first_ = at;
    last_ = end;
  }

  void close_bracket(std::size_t at) {
    if (element_) from_.is_sound = false;
    Element element;
    element.display = body_.substr(begin_, open_ - begin_);
    element.address = trim_folds(body_.substr(open_ + 1, at - open_ - 1));
    if (element.address.empty()) element.address = body_.substr(open_ + 1, 0);
    element.in_brackets = true;
    if (!element_) element_ = element;
    open_ = k_nowhere;
  }

  void end_element(std::size_t at) {
    if (!element_ && first_ != k_nowhere) {
      element_.emplace();
      element_->address = body_.substr(first_, last_ - first_);
    }
    if (element_) from_.elements.push_back(*element_);
    element_.reset();
    first_ = k_nowhere;
    begin_ = at + 1;
  }

  std::string_view body_;
  From from_;
  std::optional<Element> element_;  // the one in hand, once it is known
  std::size_t begin_ = 0;           // where it begins
  std::size_t open_ = k_nowhere;    // its "<"
  std::size_t first_ = k_nowhere;   // its words outside brackets
  std::size_t last_ = 0;
};

bool is_mailbox(std::string_view text) {
  return smtp::parse_mailbox(text).has_value();
}

bool is_same(std::string_view a, std::string_view b) {
  const auto at = a.rfind('@');
  return at != std::string_view::npos && at == b.rfind('@') && a.substr(0, at) == b.substr(0, at) &&
         equals_ignoring_case(a.substr(at), b.substr(at));
}

// Whether a display name may stand as it is: no special (RFC 5322 3.2.3) outside quotes and comments. The dot may
// (obs-phrase, 4.1).
bool is_phrase(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '(' || text[i] == '"') {
      i = behind(text, i);
      if (i == std::string_view::npos) return false;
    } else if (std::string_view(")<>[]:;@\\,").find(text[i]) != std::string_view::npos) {
      return false;
    } else {
      ++i;
    }
  }
  return true;
}

// A display name as it may stand before "<", with a space behind it; empty for none. What is no phrase is quoted, its
// own quotes and encoded words then being letters like others.
std::string as_phrase(std::string_view display) {
  const auto text = trim_folds(display);
  if (text.empty()) return {};
  if (is_phrase(text)) return std::string(text) + " ";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c != '\r' && c != '\n') out += c;
  }
  return out + "\" ";
}

// --- the rewriting

// The From fields of a header, and what becomes of them.
struct Rewriting {
  std::string from;      // body of the field that stays; empty: it stays as it is
  std::string reply_to;  // body of the field to be added; empty: none
};

// Where to reply to: the field as it was when all of it is understood, else the addresses that are. Empty without any.
std::string reply_to_of(std::string_view body, const From& from) {
  const auto mailboxes =
      std::count_if(from.elements.begin(), from.elements.end(), [](const Element& e) { return is_mailbox(e.address); });
  if (mailboxes == 0) return {};
  const bool is_understood = from.is_sound && static_cast<std::size_t>(mailboxes) == from.elements.size();
  if (is_understood) return std::string(body);
  std::string out;
  for (const auto& element : from.elements) {
    if (!is_mailbox(element.address)) continue;
    if (!out.empty()) out += ",\r\n ";
    out += as_phrase(element.display) + "<" + std::string(element.address) + ">";
  }
  return " " + out;
}

// One author, in a form that is understood: only the address is exchanged, comments, folds and all else stay.
Rewriting exchange(std::string_view body, const Element& author, std::string_view from) {
  const auto before = static_cast<std::size_t>(author.address.data() - body.data());
  std::string begin(body.substr(0, before));
  const std::string_view end = body.substr(before + author.address.size());
  if (author.in_brackets && !is_phrase(author.display)) begin = " " + as_phrase(author.display) + "<";
  Rewriting rewriting;
  rewriting.from = begin + std::string(from) + std::string(end);
  if (is_mailbox(author.address)) rewriting.reply_to = begin + std::string(author.address) + std::string(end);
  return rewriting;
}

// "Doe, Anna <anna@example.org>": a comma in a name that should have been quoted.
std::optional<Element> joined(std::string_view body, const From& from) {
  const bool is_one =
      std::count_if(from.elements.begin(), from.elements.end(), [](const Element& e) { return e.in_brackets; }) == 1 &&
      from.elements.back().in_brackets &&
      std::none_of(from.elements.begin(), from.elements.end() - 1,
                   [](const Element& e) { return e.address.find('@') != std::string_view::npos; });
  if (!is_one) return std::nullopt;
  Element author = from.elements.back();
  const auto end = static_cast<std::size_t>(author.display.data() + author.display.size() - body.data());
  author.display = body.substr(0, end);
  return author;
}

// "root", or "Cron Daemon": the one is an address that lacks its domain, the other a name.
bool is_name_alone(const Element& element) {
  return !element.in_brackets && element.address.find('@') == std::string_view::npos &&
         element.address.find_first_of(k_blanks) != std::string_view::npos;
}

Rewriting rewrite(std::string_view body, std::string_view from) {
  const From parsed = FromParser(body).parse();
  const bool is_plain = parsed.is_sound && !parsed.is_group;
  if (is_plain && parsed.elements.size() == 1 && !is_name_alone(parsed.elements.front())) {
    if (is_same(parsed.elements.front().address, from)) return {};
    return exchange(body, parsed.elements.front(), from);
  }
  if (is_plain && parsed.elements.size() > 1) {
    if (const auto author = joined(body, parsed)) return exchange(body, *author, from);
  }
  Rewriting rewriting;
  std::string_view display;
  if (!parsed.elements.empty()) {
    const auto& first = parsed.elements.front();
    display = is_name_alone(first) ? first.address : first.display;
  }
  const auto phrase = as_phrase(display);
  rewriting.from = " " + (phrase.empty() ? std::string(from) : phrase + "<" + std::string(from) + ">");
  rewriting.reply_to = reply_to_of(body, parsed);
  return rewriting;
}

struct Fields {
  std::vector<Field> from;
  bool has_reply_to = false;
};

Fields look_at(std::string_view header) {
  Fields fields;
  FieldReader reader(header);
  for (auto field = reader.next(); field; field = reader.next()) {
    if (field->is("From")) fields.from.push_back(*field);
    if (field->is("Reply-To")) fields.has_reply_to = true;
  }
  return fields;
}

Rewriting rewrite_all(const std::vector<Field>& fields, std::string_view from) {
  if (fields.empty()) return {" " + std::string(from), {}};
  Rewriting all = rewrite(fields.front().body, from);
  for (auto field = fields.begin() + 1; field != fields.end(); ++field) {
    const auto other = rewrite(field->body, from).reply_to;
    if (other.empty()) continue;
    all.reply_to += all.reply_to.empty() ? " " : ",\r\n ";
    all.reply_to += trim_folds(other);
  }
  return all;
}

}  // namespace

std::string with_from(std::string_view header, std::string_view from) {
  // What is no header may not become the rest of a field that is put before it.
  if (header.starts_with(' ') || header.starts_with('\t')) return std::string(header);
  const Fields fields = look_at(header);
  const Rewriting rewriting = rewrite_all(fields.from, from);
  const std::string reply_to =
      rewriting.reply_to.empty() || fields.has_reply_to ? "" : "Reply-To:" + rewriting.reply_to + "\r\n";
  std::string out;
  const auto begin_line = [&out] {
    if (!out.empty() && out.back() != '\n') out += "\r\n";
  };
  bool is_first = true;
  FieldReader reader(header);
  for (auto field = reader.next(); field; field = reader.next()) {
    if (field->is("Sender")) continue;
    if (!field->is("From")) {
      out += field->raw;
      continue;
    }
    if (!is_first) continue;
    is_first = false;
    const std::string_view name = field->raw.substr(0, field->raw.find(':') + 1);
    out += rewriting.from.empty() ? std::string(field->raw) : std::string(name) + rewriting.from + "\r\n";
    if (!reply_to.empty()) begin_line();
    out += reply_to;
  }
  if (is_first) {
    begin_line();
    out += "From:" + rewriting.from + "\r\n";
  }
  return out.append(reader.rest());
}

}  // namespace odmr::mail
