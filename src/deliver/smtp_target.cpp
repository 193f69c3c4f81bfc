#include "deliver/smtp_target.hpp"

#include <utility>

namespace odmr::deliver {

namespace {

using net::Task;
using smtp::Reply;

// A message, or the end of one, that is not larger goes out in one write with its dot.
constexpr std::size_t k_held = std::size_t{16} * 1024;
constexpr std::string_view k_data = "DATA\r\n";

// These say that we and the target do not understand each other, or that it wants a login: nothing about the mail.
bool is_our_fault_at_mail(int code) {
  return (code >= 500 && code <= 504) || code == 530 || code == 535 || code == 538;
}

Abilities abilities_of(const smtp::Capabilities& capabilities, client::Dialect dialect) {
  Abilities abilities;
  abilities.size = capabilities.size().value_or(0);
  abilities.smtputf8 = capabilities.has("SMTPUTF8");
  // LMTP is final delivery: what is due after it would be ours to send (RFC 3461 4.1), and we do not.
  abilities.dsn = dialect == client::Dialect::smtp && capabilities.has("DSN");
  return abilities;
}

}  // namespace

SmtpTarget::SmtpTarget(const TargetOptions& options, net::Network& network, Log& log, Stop& stop)
    : options_(options), network_(network), log_(log), stop_(stop), on_stop_(stop, [this](Stop::Phase phase) {
        if (phase == Stop::Phase::leave && session_) session_->close();
      }) {}

// What is wrong with our own server is nobody's business but ours; our own users should hear of the smart host.
Reply SmtpTarget::not_ready() const {
  if (!is_smart_host()) return Reply(451, "4.3.0 the local mail server is not ready");
  return Reply(451, "4.4.1 the smart host is not ready" + (failure_ ? ": " + failure_->text : std::string()));
}

Task<Result<void>> SmtpTarget::open() {
  auto opened = co_await client::open(network_, options_.server, log_, stop_, options_.on_step);
  failure_.reset();
  if (!opened) failure_ = opened.error();
  if (!opened) co_return fail(Errc::unreachable, opened.error().text, opened.error().cause);
  session_.emplace(std::move(opened->session));
  state_ = State::idle;
  needs_reset_ = false;
  const auto found = abilities_of(session_->capabilities(), session_->dialect());
  if (!std::exchange(known_, true)) abilities_ = found;
  co_return Result<void>();
}

Task<Result<void>> SmtpTarget::ready() {
  if (session_) {
    const auto reply = co_await session_->ask(needs_reset_ ? "RSET\r\n" : "NOOP\r\n", options_.server.patience.command);
    if (reply && reply->is_positive()) {
      needs_reset_ = false;
      co_return Result<void>();
    }
    drop();
  }
  co_return co_await open();
}

void SmtpTarget::drop() {
  if (session_) session_->close();
  session_.reset();
  state_ = State::closed;
  needs_reset_ = false;
  said_.clear();
}

Reply SmtpTarget::lost(const Error& error) {
  log_.warn(is_smart_host() ? "smart host lost" : "local target lost", {{"error", error.text}});
  drop();
  trouble_ = Reply(451, "4.4.2 the connection to " + who() + " broke");
  return *trouble_;
}

// A reply on its way to the provider; after 421 the target is gone (RFC 5321 3.8).
Reply SmtpTarget::heard(Reply reply) {
  if (reply.code == 421) {
    drop();
    trouble_ = passed_on(reply);
  }
  return passed_on(std::move(reply));
}

// A group behind RSET, and the answer to its first command.
Task<Result<Reply>> SmtpTarget::ask_behind_reset(std::string group) {
  const bool at_once = session_->can_pipeline();
  const std::string lines = at_once ? "RSET\r\n" + group : "RSET\r\n";
  auto reply = co_await session_->ask(lines, options_.server.patience.command);
  if (!reply || reply->code == 421) co_return reply;
  if (!reply->is_positive()) co_return fail(Errc::lost, "RSET is refused: " + reply->joined());
  needs_reset_ = false;
  if (at_once) co_return co_await session_->read_reply(options_.server.patience.command);
  co_return co_await session_->ask(group, options_.server.patience.command);
}

Result<std::string> SmtpTarget::rcpt_line(const smtp::RcptCommand& rcpt) const {
  const bool dsn = session_->dialect() == client::Dialect::smtp && session_->capabilities().has("DSN");
  return smtp::rcpt_line(rcpt.forward_path.mailbox, dsn ? rcpt.notify : std::string(),
                         dsn ? rcpt.orcpt : std::string());
}

// What is said in one write with MAIL. Without a recipient there is nothing that DATA could be for.
std::string SmtpTarget::group_behind_mail(const smtp::Ahead& ahead) {
  said_.clear();
  if (!session_->can_pipeline()) return {};
  bool is_whole = ahead.content && !ahead.recipients.empty();
  for (const auto& one : ahead.recipients) {
    auto line = rcpt_line(one);
    is_whole = is_whole && line;
    if (!line) break;
    said_.push_back(std::move(*line));
  }
  if (is_whole) said_.emplace_back(k_data);
  std::string lines;
  for (const auto& one : said_) lines += one;
  return lines;
}

// To a command that may have been said with others.
Task<Result<Reply>> SmtpTarget::answer_to(std::string line) {
  if (said_.empty()) co_return co_await session_->ask(line, options_.server.patience.command);
  if (said_.front() != line) co_return fail(Errc::malformed, "what was said is not what is asked");
  said_.pop_front();
  co_return co_await session_->read_reply(options_.server.patience.command);
}

// The answers to what was said and is not wanted any more, or what follows would be answered by them. Where one goes on
// to the message, only the end of the connection says for certain that none comes.
Task<> SmtpTarget::hear_the_rest(bool is_mail_taken) {
  while (!said_.empty()) {
    said_.pop_front();
    const auto reply = co_await session_->read_reply(options_.server.patience.command);
    const bool is_refusal = reply && reply->code != 421 && (reply->is_transient() || reply->is_permanent());
    // RFC 5321 4.1.4: without MAIL, 503 is what RCPT hears.
    const bool is_in_step = is_refusal || (reply && reply->is_positive() && is_mail_taken);
    if (!is_in_step) co_return drop();
  }
}

Task<Result<Reply>> SmtpTarget::ask_mail(const smtp::MailCommand& mail, const smtp::Ahead& ahead) {
  const auto& offered = session_->capabilities();
  smtp::MailOptions options;
  if (offered.has("SIZE")) options.size = mail.size;
  // Received mail is never converted: to a target without 8BITMIME it goes as it is, without the word.
  if (offered.has("8BITMIME")) options.body = mail.body;
  options.smtputf8 = mail.smtputf8;
  if (offered.has("DSN") && session_->dialect() == client::Dialect::smtp) {
    options.ret = mail.ret;
    options.envid = mail.envid;
  }
  const auto line = smtp::mail_line(mail.reverse_path, options);
  if (!line) co_return Reply(553, "5.1.7 " + line.error().text);
  const std::string group = *line + group_behind_mail(ahead);
  if (needs_reset_) co_return co_await ask_behind_reset(group);
  co_return co_await session_->ask(group, options_.server.patience.command);
}

Task<Reply> SmtpTarget::mail(const smtp::MailCommand& mail) {
  const smtp::Ahead ahead = std::exchange(ahead_, {});
  trouble_.reset();
  accepted_ = 0;
  // A connection that was kept may have died of old age since: then, and only then, a second one is tried.
  for (bool kept = session_.has_value();; kept = false) {
    if (!session_) {
      const auto opened = co_await open();
      if (!opened) {
        log_.warn(is_smart_host() ? "smart host is not ready" : "local target is not ready",
                  {{"error", opened.error().text}});
        co_return not_ready();
      }
    }
    if (mail.smtputf8 && !session_->capabilities().has("SMTPUTF8")) {
      co_return Reply(451, "4.6.7 " + who() + " has stopped offering SMTPUTF8");
    }
    auto reply = co_await ask_mail(mail, ahead);
    const bool gone = !reply || reply->code == 421;
    if (gone && kept) {
      drop();
      continue;
    }
    if (!reply) co_return lost(reply.error());
    if (reply->is_positive()) {
      state_ = State::envelope;
      needs_reset_ = true;
    } else if (reply->code != 421) {
      co_await hear_the_rest(false);
    }
    if (!is_smart_host() && is_our_fault_at_mail(reply->code)) {
      log_.error("the local target refuses MAIL", {{"reply", reply->joined()}});
      reply->code = 451;
      reply->lines = {"4.3.5 the local mail server does not let us in"};
    }
    co_return heard(std::move(*reply));
  }
}

Task<Reply> SmtpTarget::rcpt(const smtp::RcptCommand& rcpt) {
  if (trouble_) co_return *trouble_;
  const auto line = rcpt_line(rcpt);
  if (!line) co_return Reply(553, "5.1.3 " + line.error().text);
  auto reply = co_await answer_to(*line);
  if (!reply) co_return lost(reply.error());
  if (reply->is_positive()) ++accepted_;
  co_return heard(std::move(*reply));
}

Task<std::optional<Reply>> SmtpTarget::data(const Handover& handover) {
  if (trouble_) co_return *trouble_;
  auto reply = co_await answer_to(std::string(k_data));
  if (!reply) co_return lost(reply.error());
  if (reply->is_positive()) co_return lost(Error{Errc::malformed, "DATA is answered by " + reply->joined()});
  if (reply->code != 354) co_return heard(std::move(*reply));
  state_ = State::content;
  encoder_ = smtp::DotEncoder();
  held_.clear();
  encoder_.encode(handover.trace, held_);
  co_return std::nullopt;
}

// The target broke off in mid-message: it may have said why.
Task<> SmtpTarget::learn_why() {
  const auto reply = co_await session_->read_reply(std::chrono::seconds(1));
  if (reply && reply->is_permanent()) trouble_ = passed_on(*reply);
}

Task<bool> SmtpTarget::content(std::string_view piece) {
  if (trouble_) co_return false;
  std::string_view encoded;
  if (held_.size() + piece.size() <= k_held) {
    encoder_.encode(piece, held_);
    co_return true;
  }
  if (held_.empty()) {
    encoded = encoder_.encode_in_place(piece, encoded_);
  } else {
    encoder_.encode(piece, held_);
    encoded = held_;
  }
  const auto sent = co_await session_->send_content(encoded);
  held_.clear();
  if (sent) co_return true;
  trouble_ = Reply(451, "4.4.2 " + who() + " stopped taking the message");
  log_.warn(is_smart_host() ? "smart host lost in mid-message" : "local target lost in mid-message",
            {{"error", sent.error().text}});
  if (sent.error().code == Errc::lost) co_await learn_why();
  drop();
  co_return false;
}

// Before our dot the target has nothing to say but that it will not take the message. A positive reply there answers
// nothing that was asked, and must not be taken for the answer to the dot.
Task<> SmtpTarget::look_for_early_reply() {
  const auto looked = co_await session_->unasked_reply();
  if (looked && !*looked) co_return;
  const auto early = looked ? Result<Reply>(**looked) : fail(looked.error());
  const bool is_refusal = early && (early->is_transient() || early->is_permanent());
  log_.warn(who() + " answers before the end of the message",
            {{"reply", early ? early->joined() : early.error().text}});
  trouble_ = is_refusal ? passed_on(*early) : Reply(451, "4.5.0 " + who() + " is out of step");
  drop();
}

Task<std::vector<Reply>> SmtpTarget::finish() {
  if (!trouble_) co_await look_for_early_reply();
  if (!trouble_) {
    encoder_.finish(held_);
    const auto sent = co_await session_->send_content(held_);
    if (!sent) lost(sent.error());
  }
  std::vector<Reply> replies;
  const std::size_t answers = session_ && session_->dialect() == client::Dialect::lmtp ? accepted_ : 1;
  while (!trouble_ && replies.size() < answers) {
    auto reply = co_await session_->read_reply(options_.final);
    if (!reply) {
      lost(reply.error());
    } else {
      replies.push_back(heard(std::move(*reply)));
    }
  }
  if (trouble_) {
    replies.resize(accepted_, *trouble_);
  } else {
    replies.resize(accepted_, replies.back());
    state_ = State::idle;
    needs_reset_ = false;
  }
  co_return replies;
}

Task<> SmtpTarget::abandon() {
  // Once content has begun, only the end of the connection keeps it from being taken for a message.
  if (state_ == State::content) drop();
  if (state_ == State::envelope) co_await hear_the_rest(true);
  if (state_ == State::envelope) state_ = State::idle;
}

Task<> SmtpTarget::close() {
  if (session_ && stop_.phase() != Stop::Phase::leave) co_await session_->quit(std::chrono::seconds(5));
  session_.reset();
  state_ = State::closed;
}

}  // namespace odmr::deliver
