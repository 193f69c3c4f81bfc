#include "mail/addresses.hpp"

#include "base/ascii.hpp"

namespace odmr::mail {

namespace {

// RFC 2047 2 has 75 octets, and writers who do not count; none is longer than a line (RFC 5322 2.1.1).
constexpr std::size_t k_longest_word = 998;

constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// What ends a word outside quotes (RFC 5322 3.2.3; the dot belongs to words here, as it does in "John Q. Public").
constexpr bool is_special(char c) {
  return std::string_view("()<>[]:;@\\,\"").find(c) != std::string_view::npos;
}

struct Token {
  enum class Kind { word, quoted, literal, special, end };
  Kind kind = Kind::end;
  std::string_view text;

  bool is(char c) const { return kind == Kind::special && text.front() == c; }
  bool is_part() const { return kind == Kind::word || kind == Kind::quoted || kind == Kind::literal; }
};

// A list as tokens; comments and blanks are no tokens, but keep words apart.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {}

  Result<Token> next() {
    if (auto skipped = skip_blanks_and_comments(); !skipped) return fail(skipped.error());
    const auto begin = at_;
    if (at_ == text_.size()) return Token{};
    switch (text_[at_]) {
      case '"':
        return quoted();
      case '[':
        return literal();
      default:
        break;
    }
    if (is_special(text_[at_])) {
      ++at_;
      return Token{Token::Kind::special, text_.substr(begin, 1)};
    }
    at_ += encoded_word_length();
    while (at_ < text_.size() && !is_space(text_[at_]) && !is_special(text_[at_])) ++at_;
    return Token{Token::Kind::word, text_.substr(begin, at_ - begin)};
  }

 private:
  tl::unexpected<Error> unended(const char* what, std::size_t begin) const {
    return fail(Errc::malformed, std::string(what) + " has no end: " + escape(text_.substr(begin), 60));
  }

  Result<void> skip_blanks_and_comments() {
    std::size_t depth = 0;
    const auto begin = at_;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '(') {
        ++depth;
      } else if (depth > 0 && c == ')') {
        --depth;
      } else if (depth > 0 && c == '\\') {
        if (at_ + 1 < text_.size()) ++at_;
      } else if (depth == 0 && !is_space(c)) {
        break;
      }
    }
    if (depth > 0) return unended("a comment", begin);
    return {};
  }

  Result<Token> quoted() {
    const auto begin = at_;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        return Token{Token::Kind::quoted, text_.substr(begin, at_ - begin)};
      }
      if (text_[at_] == '\\') ++at_;
    }
    at_ = text_.size();
    return unended("a quoted string", begin);
  }

  Result<Token> literal() {
    const auto begin = at_;
    const auto close = text_.find(']', at_);
    if (close == std::string_view::npos) return unended("a domain literal", begin);
    at_ = close + 1;
    return Token{Token::Kind::literal, text_.substr(begin, at_ - begin)};
  }

  // Of "=?charset?encoding?text?=" (RFC 2047) here, 0 without. Some put commas and quotes into its text, against 5 (3).
  std::size_t encoded_word_length() const {
    const auto rest = text_.substr(at_, k_longest_word);
    if (!rest.starts_with("=?")) return 0;
    const auto charset = rest.find('?', 2);
    if (charset == std::string_view::npos || charset + 2 >= rest.size() || rest[charset + 2] != '?') return 0;
    const auto end = rest.find("?=", charset + 3);
    if (end == std::string_view::npos) return 0;
    const auto word = rest.substr(0, end + 2);
    return word.find_first_of(" \t\r\n") == std::string_view::npos ? word.size() : 0;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// Tokens put together again, without what stood between those that belong together ("a . b @ c").
class Joined {
 public:
  void add(const Token& token) {
    const bool is_at = token.is('@');
    const bool joins = is_at || is_open_ || token.text.front() == '.' || text_.ends_with('.');
    if (!joins) text_ += ' ';
    if (!joins || text_.empty()) ++words_;
    text_ += token.text;
    is_open_ = is_at;
  }

  const std::string& text() const { return text_; }
  // An address, as far as it may be one; a name may have more words.
  bool is_one_word() const { return words_ == 1; }

 private:
  std::string text_;
  std::size_t words_ = 0;
  bool is_open_ = true;
};

class ListReader {
 public:
  ListReader(std::string_view list, bool allow_null) : tokens_(list), allow_null_(allow_null) {}

  Result<std::vector<std::string>> read() {
    do {
      auto taken = advance();
      if (taken) taken = take_element();
      if (!taken) return fail(taken.error());
    } while (token_.kind != Token::Kind::end);
    if (in_group_) return fail(Errc::malformed, "a group has no \";\" at its end");
    return std::move(found_);
  }

 private:
  Result<void> advance() {
    auto next = tokens_.next();
    if (!next) return fail(next.error());
    token_ = *next;
    return {};
  }

  bool ends_element() const { return token_.kind == Token::Kind::end || token_.is(',') || token_.is(';'); }

  static tl::unexpected<Error> unreadable(const std::string& text) {
    return fail(Errc::malformed, "not an address: " + escape(text, 200));
  }

  // From token_ to what ends the element, which is token_ then: the comma, the semicolon, a group's colon, the end.
  Result<void> take_element() {
    Joined seen;  // what may prove to be a name, an address or a group's name
    while (!ends_element()) {
      if (token_.is('<')) return take_angle();
      if (token_.is(':')) return begin_group(seen.text());
      if (!token_.is_part() && !token_.is('@')) return unreadable(seen.text() + std::string(token_.text));
      seen.add(token_);
      if (auto advanced = advance(); !advanced) return advanced;
    }
    if (!seen.text().empty() && !seen.is_one_word()) return unreadable(seen.text());
    if (!seen.text().empty()) found_.push_back(seen.text());
    return end_element(seen.text());
  }

  Result<void> begin_group(const std::string& name) {
    if (in_group_ || name.empty() || name.find('@') != std::string::npos) return unreadable(name + ":");
    in_group_ = true;
    return {};
  }

  Result<void> end_element(const std::string& last) {
    if (!ends_element()) return unreadable(last + " " + std::string(token_.text));
    if (token_.is(';') && !in_group_) return unreadable(last + ";");
    if (token_.is(';')) in_group_ = false;
    return {};
  }

  // token_ is "<"; what was before it is a name. A route (RFC 5322 4.4) is passed over.
  Result<void> take_angle() {
    Joined address;
    for (;;) {
      if (auto advanced = advance(); !advanced) return advanced;
      if (token_.is('>')) break;
      if (token_.is(':') && address.text().starts_with('@')) {
        address = {};
      } else if (token_.is_part() || token_.is('@')) {
        address.add(token_);
      } else if (!token_.is(',') || !address.text().starts_with('@')) {
        return unreadable("<" + address.text());
      }
    }
    const bool is_null = address.text().empty();
    if (is_null ? !allow_null_ : !address.is_one_word()) return unreadable("<" + address.text() + ">");
    found_.push_back(is_null ? "<>" : address.text());
    if (auto advanced = advance(); !advanced) return advanced;
    return end_element("<" + address.text() + ">");
  }

  Tokens tokens_;
  bool allow_null_;
  Token token_;
  bool in_group_ = false;
  std::vector<std::string> found_;
};

}  // namespace

Result<std::vector<std::string>> addresses_in(std::string_view list, bool allow_null) {
  return ListReader(list, allow_null).read();
}

}  // namespace odmr::mail
