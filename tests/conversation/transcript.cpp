#include "transcript.hpp"

#include <sstream>
#include <stdexcept>
#include <utility>

#include "base/ascii.hpp"

namespace odmr::conversation {

namespace {

struct Numbered {
  std::size_t number;
  std::string text;
};

// A name, and the lines it stands for.
using Phrases = std::map<std::string, std::vector<std::string>>;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool says_nothing(const std::string& line) {
  return trim(line).empty() || trim(line).front() == '#';
}

// The first word, and what follows the spaces after it.
std::pair<std::string, std::string> split(const std::string& line) {
  const std::string text(trim(line));
  const auto space = text.find(' ');
  if (space == std::string::npos) return {text, {}};
  return {text.substr(0, space), std::string(trim(std::string_view(text).substr(space)))};
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

std::pair<std::string, std::string> key_and_value(const std::string& word) {
  const auto equals = word.find('=');
  if (equals == std::string::npos) throw std::runtime_error("\"" + word + "\" is no key=value");
  return {word.substr(0, equals), word.substr(equals + 1)};
}

char escaped(const std::string& text, std::size_t& at) {
  switch (text.at(++at)) {
    case 'r':
      return '\r';
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case '0':
      return '\0';
    case 'x':
      at += 2;
      return static_cast<char>(std::stoi(text.substr(at - 1, 2), nullptr, 16));
    default:
      return text[at];
  }
}

// "\r\n", "\x41" and "\\"; "{ab*3}" is "ababab".
std::string resolved(const std::string& text) {
  std::string out;
  std::optional<std::size_t> repeated;  // where in `out` the text to be repeated begins
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      out += escaped(text, at);
    } else if (text[at] == '{') {
      repeated = out.size();
    } else if (text[at] == '*' && repeated) {
      const auto brace = text.find('}', at);
      const auto times = std::stoul(text.substr(at + 1, brace - at - 1));
      const std::string once = out.substr(*repeated);
      out.resize(*repeated);
      for (std::size_t i = 0; i < times; ++i) out += once;
      repeated.reset();
      at = brace;
    } else {
      out += text[at];
    }
  }
  return out;
}

std::size_t read_size(const std::string& text) {
  std::size_t end = 0;
  const std::size_t number = std::stoul(text, &end);
  const std::string unit = text.substr(end);
  if (unit == "KiB") return number * 1024;
  if (unit == "MiB") return number * 1024 * 1024;
  if (!unit.empty()) throw std::runtime_error("\"" + text + "\" is no size");
  return number;
}

// Everything after "S: ", spaces at the end included.
std::string after_mark(const std::string& line) {
  return line.size() > 3 ? line.substr(3) : std::string();
}

std::optional<Step> spoken_step(const std::string& line) {
  Step step;
  const std::string mark = line.substr(0, 2);
  if (mark == "S:") {
    step.text = resolved(after_mark(line)) + "\r\n";
  } else if (mark == "S-") {
    step.text = resolved(after_mark(line));
  } else if (mark == "C:") {
    step.kind = Step::Kind::expect;
    step.text = resolved(after_mark(line));
  } else if (mark == "C~") {
    step.kind = Step::Kind::expect_like;
    step.text = after_mark(line);
    step.pattern = std::regex(step.text);
  } else if (mark == "C+") {
    step.kind = Step::Kind::expect_reply;
    step.text = resolved(after_mark(line));
  } else {
    return std::nullopt;
  }
  return step;
}

Step acted_step(const std::string& line) {
  static const std::map<std::string, Step::Kind> kinds = {
      {"DATA", Step::Kind::data},   {"CONTENT", Step::Kind::content}, {"TLS", Step::Kind::tls},
      {"SASL", Step::Kind::sasl},   {"CLEAR", Step::Kind::clear},     {"CLOCK", Step::Kind::clock},
      {"PAUSE", Step::Kind::clock}, {"CLOSE", Step::Kind::close},     {"HALF-CLOSE", Step::Kind::half_close},
      {"RESET", Step::Kind::reset}, {"END", Step::Kind::end},         {"DRAIN", Step::Kind::drain},
      {"STOP", Step::Kind::stop},   {"LEAVE", Step::Kind::leave},     {"ENOUGH", Step::Kind::enough},
  };
  const auto [verb, argument] = split(line);
  const auto kind = kinds.find(verb);
  if (kind == kinds.end()) throw std::runtime_error("\"" + verb + "\" is no step");
  Step step;
  step.kind = kind->second;
  step.text = step.kind == Step::Kind::clear ? resolved(argument) : argument;
  if (step.kind == Step::Kind::data) step.size = read_size(argument);
  if (step.kind == Step::Kind::content && !argument.empty()) step.size = read_size(argument);
  if (verb == "PAUSE") step.time = std::chrono::milliseconds(1);
  if (verb == "CLOCK") step.time = read_duration(argument.substr(argument.starts_with('+') ? 1 : 0));
  if (verb == "END" && argument.starts_with("after ")) step.time = read_duration(argument.substr(6));
  return step;
}

Part part_of(Peer peer, const std::string& arguments) {
  static const std::map<std::string, Part::Fate> fates = {
      {"refused", Part::Fate::refused}, {"unresolved", Part::Fate::unresolved}, {"hangs", Part::Fate::hangs}};
  Part part;
  part.peer = peer;
  for (const auto& word : words(arguments)) {
    const auto fate = fates.find(word);
    if (fate != fates.end()) {
      part.fate = fate->second;
    } else {
      const auto [key, value] = key_and_value(word);
      if (key != "room") throw std::runtime_error("\"" + word + "\" says nothing about a connection");
      part.room = read_size(value);
    }
  }
  return part;
}

void take_outcome(Expectation& expectation, const std::string& arguments) {
  for (const auto& word : words(arguments)) {
    if (expectation.outcome.empty())
      expectation.outcome = word;
    else
      expectation.counts.insert(key_and_value(word));
  }
}

// A line that is about the session as a whole. Gives whether it was one.
bool take_expectation(Expectation& expectation, const std::string& verb, const std::string& argument) {
  if (verb == "outcome")
    take_outcome(expectation, argument);
  else if (verb == "reply")
    expectation.reply = argument;
  else if (verb == "tls")
    expectation.tls = argument;
  else if (verb == "auth")
    expectation.auth = argument;
  else if (verb == "text")
    expectation.text = std::regex(argument);
  else if (verb == "kept")
    expectation.kept.push_back(argument);
  else if (verb == "bounce")
    expectation.bounces.push_back(argument);
  else if (verb == "logged")
    expectation.logged.emplace_back(argument);
  else
    return false;
  return true;
}

void take_line(Transcript& transcript, const Numbered& line) {
  const auto [verb, argument] = split(line.text);
  if (verb == "settings") {
    for (const auto& word : words(argument)) transcript.settings.insert(key_and_value(word));
  } else if (verb == "provider" || verb == "target") {
    transcript.parts.push_back(part_of(verb == "provider" ? Peer::provider : Peer::target, argument));
    transcript.parts.back().line = line.number;
  } else if (!take_expectation(transcript.expectation, verb, argument)) {
    if (transcript.parts.empty()) throw std::runtime_error("\"" + verb + "\" before there is a connection");
    auto step = spoken_step(line.text);
    if (!step) step = acted_step(line.text);
    step->line = line.number;
    transcript.parts.back().steps.push_back(std::move(*step));
  }
}

Phrases read_phrases(std::string_view text) {
  Phrases phrases;
  std::vector<std::string>* phrase = nullptr;
  for (const auto& line : lines_of(text)) {
    if (says_nothing(line)) continue;
    const auto [verb, name] = split(line);
    if (verb == "phrase")
      phrase = &phrases[name];
    else if (phrase != nullptr)
      phrase->push_back(line);
  }
  return phrases;
}

// "@name one two": the phrase's lines, with $1 and $2 in them replaced.
void expand(const Phrases& phrases, const Numbered& line, std::vector<Numbered>& out) {
  if (!line.text.starts_with('@')) {
    out.push_back(line);
    return;
  }
  const auto arguments = words(line.text.substr(1));
  const auto phrase = phrases.find(arguments.at(0));
  if (phrase == phrases.end()) throw std::runtime_error("there is no phrase \"" + arguments.at(0) + "\"");
  for (std::string text : phrase->second) {
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      const std::string place = "$" + std::to_string(i);
      for (auto at = text.find(place); at != std::string::npos; at = text.find(place, at + arguments[i].size())) {
        text.replace(at, place.size(), arguments[i]);
      }
    }
    expand(phrases, {line.number, text}, out);
  }
}

}  // namespace

std::string_view name(Peer peer) {
  return peer == Peer::provider ? "provider" : "target";
}

Duration read_duration(const std::string& text) {
  std::size_t end = 0;
  const long number = std::stol(text, &end);
  const std::string unit = text.substr(end);
  if (unit == "ms") return std::chrono::milliseconds(number);
  if (unit == "s") return std::chrono::seconds(number);
  if (unit == "m") return std::chrono::minutes(number);
  if (unit == "h") return std::chrono::hours(number);
  throw std::runtime_error("\"" + text + "\" is no duration");
}

std::vector<Transcript> read_transcripts(const std::string& file, std::string_view text, std::string_view phrases) {
  const Phrases known = read_phrases(phrases);
  std::vector<Transcript> transcripts;
  std::size_t number = 0;
  for (const auto& line : lines_of(text)) {
    ++number;
    if (says_nothing(line)) continue;
    try {
      if (line.starts_with("== ")) {
        transcripts.emplace_back();
        transcripts.back().name = file + "/" + line.substr(3);
        continue;
      }
      if (transcripts.empty()) throw std::runtime_error("a scenario begins with \"== TITLE\"");
      std::vector<Numbered> expanded;
      expand(known, {number, line}, expanded);
      for (const auto& one : expanded) take_line(transcripts.back(), one);
    } catch (const std::exception& problem) {
      throw std::runtime_error(file + ".txt:" + std::to_string(number) + ": " + problem.what());
    }
  }
  return transcripts;
}

}  // namespace odmr::conversation
