#include "ledger.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "smtp/command.hpp"

namespace odmr::conversation {

namespace {

bool is_positive(int code) {
  return code / 100 == 2;
}

std::string verb_of(std::string_view command) {
  return upper(command.substr(0, command.find(' ')));
}

std::string argument_of(std::string_view command) {
  const auto space = command.find(' ');
  return space == std::string_view::npos ? std::string() : std::string(trim(command.substr(space)));
}

// "<a@b>" of "FROM:<a@b> SIZE=3" or "FROM: <a@b>": what both ends must agree on, but for case.
std::string path_of(std::string_view argument) {
  const auto begin = argument.find('<');
  const auto end = argument.rfind('>');
  return lower(begin < end ? argument.substr(begin, end - begin + 1) : argument);
}

// The code of a reply's last line; 0 for one that others follow.
int final_code(std::string_view line) {
  if (line.size() < 3 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2])) return 0;
  if (line.size() > 3 && line[3] == '-') return 0;
  return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

// Calls `take` with each whole line in `unread` and takes it from there.
template <class Take>
void each_line(std::string& unread, Take take) {
  for (auto end = unread.find("\r\n"); end != std::string::npos; end = unread.find("\r\n")) {
    const std::string line = unread.substr(0, end);
    unread.erase(0, end + 2);
    if (!take(line)) return;
  }
}

std::string unstuffed(std::string_view stuffed) {
  std::string out;
  bool at_line_start = true;
  for (std::size_t i = 0; i < stuffed.size(); ++i) {
    if (at_line_start && stuffed[i] == '.') {
      at_line_start = false;
      continue;
    }
    out += stuffed[i];
    at_line_start = stuffed[i] == '\n' && i > 0 && stuffed[i - 1] == '\r';
  }
  return out;
}

std::string mended(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_lone_cr = text[i] == '\r' && text.compare(i, 2, "\r\n") != 0;
    const bool is_lone_lf = text[i] == '\n' && (i == 0 || text[i - 1] != '\r');
    if (is_lone_cr || is_lone_lf) text[i] = ' ';
  }
  return text;
}

}  // namespace

bool is_taken(const Delivery& delivery) {
  return std::any_of(delivery.replies.begin(), delivery.replies.end(), is_positive);
}

std::optional<std::string> without_trace(const std::string& content) {
  if (!content.starts_with("Received: ")) return std::nullopt;
  auto end = content.find("\r\n");
  while (end != std::string::npos && end + 2 < content.size() &&
         (content[end + 2] == ' ' || content[end + 2] == '\t')) {
    end = content.find("\r\n", end + 2);
  }
  if (end == std::string::npos) return std::nullopt;
  return content.substr(end + 2);
}

void Ledger::ProviderEnd::before_the_turn(std::string_view line) {
  if (asked_ && final_code(line) == 250) turned_ = true;
}

void Ledger::ProviderEnd::said(std::string_view bytes) {
  if (in_content_) {
    content(bytes);
    return;
  }
  unread_ += bytes;
  if (left_ > 0) chunk_content();
  if (left_ > 0) return;
  bool is_chunk = false;
  each_line(unread_, [&](const std::string& line) {
    if (!turned_) {
      before_the_turn(line);
      return true;
    }
    quit_waited_ = commands_.empty();
    commands_.push_back(line);
    if (verb_of(line) == "QUIT") ++ledger_.quits;
    if (verb_of(line) == "RSET") spoken_.reset();
    if (verb_of(line) == "MAIL" && !(spoken_ && !ledger_.spoken[*spoken_].content.empty())) {
      spoken_ = ledger_.spoken.size();
      ledger_.spoken.emplace_back().reverse_path = path_of(argument_of(line));
    }
    is_chunk = verb_of(line) == "BDAT" && chunk(line);
    return !is_chunk;
  });
  if (is_chunk) said({});
}

// Gives whether octets follow that are no command.
bool Ledger::ProviderEnd::chunk(const std::string& command) {
  const auto parsed = smtp::parse_bdat(argument_of(command));
  if (!parsed) return false;
  if (!spoken_) {
    spoken_ = ledger_.spoken.size();
    ledger_.spoken.emplace_back();
  }
  chunks_.push_back({*spoken_, parsed->last});
  left_ = parsed->size;
  if (left_ == 0) chunk_content();
  return true;
}

void Ledger::ProviderEnd::chunk_content() {
  const std::string piece = unread_.substr(0, left_);
  unread_.erase(0, piece.size());
  left_ -= piece.size();
  auto& message = ledger_.spoken[chunks_.back().spoken];
  message.content += piece;
  if (left_ > 0 || !chunks_.back().last) return;
  if (!message.content.empty() && !message.content.ends_with("\r\n")) message.content += "\r\n";
  if (ledger_.mends_stray_newlines) message.content = mended(std::move(message.content));
  message.finished = true;
  spoken_.reset();
}

void Ledger::ProviderEnd::heard_chunk_reply(int code) {
  const Chunk chunk = chunks_.front();
  chunks_.pop_front();
  is_chunked_ = true;
  if (!is_positive(code)) {
    // The message is refused, and with it what is said of it later.
    if (current_ != nullptr) current_->reply = code;
    verdict_ = chunk.last;
    current_ = nullptr;
  } else if (chunk.last && current_ != nullptr) {
    current_->content = ledger_.spoken[chunk.spoken].content;
    current_->finished = true;
    verdict_ = true;
    current_->reply = code;
    ledger_.check_acceptance(*current_, number_);
    current_ = nullptr;
  } else if (current_ == nullptr) {
    ledger_.violations.push_back("a chunk is taken outside a transaction");
  }
}

void Ledger::ProviderEnd::content(std::string_view bytes) {
  // CRLF came before the first line too, with DATA.
  const std::size_t from = unread_.size() < 5 ? 0 : unread_.size() - 5;
  if (unread_.empty()) unread_ = "\r\n";
  unread_ += bytes;
  const auto end = unread_.find("\r\n.\r\n", from);
  if (end == std::string::npos) return;
  current_->content = unstuffed(std::string_view(unread_).substr(2, end));
  if (ledger_.mends_stray_newlines) current_->content = mended(std::move(current_->content));
  current_->finished = true;
  in_content_ = false;
  commands_.emplace_back(".");
  const std::string rest = unread_.substr(end + 5);
  unread_.clear();
  said(rest);
}

void Ledger::ProviderEnd::heard(std::string_view line) {
  verdict_ = false;
  if (!turned_) {
    if (starts_with_ignoring_case(line, "ATRN")) asked_ = true;
    return;
  }
  const int code = final_code(line);
  if (code == 0) return;
  if (!greeted_)
    greeted_ = true;
  else if (!commands_.empty())
    heard_reply(code);
}

void Ledger::ProviderEnd::heard_reply(int code) {
  const std::string command = commands_.front();
  commands_.pop_front();
  const std::string verb = verb_of(command);
  if (verb == "MAIL" && is_positive(code)) {
    ledger_.transactions.emplace_back();
    current_ = &ledger_.transactions.back();
    current_->reverse_path = path_of(argument_of(command));
    is_chunked_ = false;
  } else if (verb == "RCPT" && is_positive(code) && current_ != nullptr) {
    current_->recipients.push_back(path_of(argument_of(command)));
  } else if (verb == "DATA" && code == 354) {
    in_content_ = current_ != nullptr;
    unread_.clear();
  } else if (verb == "DATA" && !is_chunked_ && argument_of(command).empty() && current_ != nullptr &&
             !current_->recipients.empty()) {
    current_ = nullptr;  // refused, and with it the message
  } else if (verb == "BDAT" && !chunks_.empty()) {
    heard_chunk_reply(code);
  } else if (command == "." && current_ != nullptr) {
    verdict_ = true;
    current_->reply = code;
    if (is_positive(code)) ledger_.check_acceptance(*current_, number_);
    current_ = nullptr;
  } else if (is_positive(code) && (verb == "RSET" || verb == "EHLO" || verb == "HELO" || verb == "QUIT")) {
    current_ = nullptr;
    if (verb == "QUIT") ledger_.quit_[number_] = quit_waited_;
  }
}

void Ledger::ProviderEnd::closed_by_us(bool allowed) {
  // Exim deletes a message when the customer closes between a 250 to RCPT and the reply to the final dot.
  if (!allowed && current_ != nullptr && !current_->recipients.empty()) {
    ledger_.violations.push_back("we closed inside the transaction of " + current_->reverse_path);
  }
}

void Ledger::TargetEnd::said(std::string_view bytes) {
  unread_ += bytes;
  each_line(unread_, [this](const std::string& line) {
    if (const int code = final_code(line)) said_reply(code);
    return true;
  });
}

void Ledger::TargetEnd::said_reply(int code) {
  if (commands_.empty()) return;
  const std::string command = commands_.front();
  commands_.pop_front();
  const std::string verb = verb_of(command);
  if (verb == "MAIL" && is_positive(code)) {
    ledger_.deliveries.emplace_back();
    current_ = &ledger_.deliveries.back();
    current_->lmtp = lmtp_;
    current_->reverse_path = path_of(argument_of(command));
  } else if (verb == "RCPT" && is_positive(code) && current_ != nullptr) {
    current_->recipients.push_back(path_of(argument_of(command)));
  } else if (verb == "DATA" && code == 354) {
    in_content_ = current_ != nullptr;
  } else if (command == "." && current_ != nullptr) {
    current_->replies.push_back(code);
  } else if (is_positive(code) && (verb == "RSET" || verb == "EHLO" || verb == "LHLO" || verb == "QUIT")) {
    current_ = nullptr;
  }
}

void Ledger::TargetEnd::heard(std::string_view line) {
  if (!in_content_) {
    commands_.emplace_back(line);
    return;
  }
  if (line != ".") {
    current_->content += line.starts_with('.') ? line.substr(1) : line;
    current_->content += "\r\n";
    return;
  }
  in_content_ = false;
  current_->complete = true;
  const std::size_t replies = lmtp_ ? current_->recipients.size() : 1;
  for (std::size_t i = 0; i < replies; ++i) commands_.emplace_back(".");
  ledger_.check_dot(*current_);
}

std::size_t Ledger::taken() const {
  return static_cast<std::size_t>(std::count_if(deliveries.begin(), deliveries.end(), is_taken));
}

std::size_t Ledger::accepted() const {
  return static_cast<std::size_t>(
      std::count_if(transactions.begin(), transactions.end(), [](const auto& one) { return is_positive(one.reply); }));
}

// Nothing half-read is delivered, and what is delivered are the bytes that came.
void Ledger::check_dot(const Delivery& delivery) {
  const auto content = without_trace(delivery.content);
  if (!content) {
    violations.push_back("a message of " + delivery.reverse_path + " reached the target without our Received");
    return;
  }
  const auto is_it = [&](const Transaction& one) {
    return one.finished && one.content == *content && one.reverse_path == delivery.reverse_path;
  };
  const bool is_whole =
      std::any_of(transactions.begin(), transactions.end(), is_it) || std::any_of(spoken.begin(), spoken.end(), is_it);
  if (!is_whole) {
    violations.push_back("the target saw the final dot of a message that the provider had not sent so: " +
                         content->substr(0, 200));
  }
}

bool Ledger::has_bounce(const std::string& recipient) const {
  for (const auto& record : bounces) {
    for (const auto& failed : record.failed) {
      if ("<" + failed.recipient.text() + ">" == recipient) return true;
    }
  }
  return false;
}

// Whether the target's answers to `delivery` let us say 250 to the provider for this recipient. What was told on a
// connection that broke may be told again.
bool Ledger::covers(const Delivery& delivery, const Transaction& transaction, const std::string& recipient,
                    std::size_t connection) const {
  if (!delivery.complete || delivery.reverse_path != transaction.reverse_path) return false;
  if (without_trace(delivery.content) != transaction.content || delivery.replies.empty()) return false;
  const auto told = delivery.answered.find(recipient);
  if (told != delivery.answered.end() && (told->second == connection || quit_[told->second])) return false;
  const auto& names = delivery.recipients;
  const auto place = static_cast<std::size_t>(std::find(names.begin(), names.end(), recipient) - names.begin());
  if (place == names.size()) return false;
  if (delivery.lmtp && place >= delivery.replies.size()) return false;
  const int reply = delivery.replies[delivery.lmtp ? place : 0];
  return is_positive(reply) || (delivery.lmtp && reply / 100 == 5 && has_bounce(recipient));
}

bool Ledger::is_kept(const Transaction& transaction, const std::string& recipient) const {
  return std::any_of(kept.begin(), kept.end(), [&](const Kept& one) {
    return one.reverse_path == transaction.reverse_path && without_trace(one.content) == transaction.content &&
           std::any_of(one.recipients.begin(), one.recipients.end(),
                       [&](const auto& waiting) { return waiting.first == recipient; });
  });
}

// A message is answered 250 only after the target has taken it for every recipient, or it is on disk here, or a bounce.
void Ledger::check_acceptance(const Transaction& transaction, std::size_t connection) {
  for (const auto& recipient : transaction.recipients) {
    const auto found = std::find_if(deliveries.begin(), deliveries.end(), [&](const Delivery& delivery) {
      return covers(delivery, transaction, recipient, connection);
    });
    if (found != deliveries.end())
      found->answered[recipient] = connection;
    else if (!is_kept(transaction, recipient))
      violations.push_back("250 to a message of " + transaction.reverse_path + " that the target had not taken for " +
                           recipient);
  }
}

}  // namespace odmr::conversation
