#include "server/mail_session.hpp"

#include <algorithm>
#include <array>
#include <asio/co_spawn.hpp>
#include <asio/this_coro.hpp>
#include <exception>
#include <utility>

#include "base/ascii.hpp"
#include "net/wakeup.hpp"
#include "smtp/chunk.hpp"
#include "smtp/dot.hpp"

namespace odmr::server {

namespace {

using net::Task;
using smtp::Reply;
using smtp::Verb;

constexpr auto k_last_words = std::chrono::seconds(1);
// What a peer is given that may send no more mail: QUIT takes a moment, and who says RSET before MAIL may.
constexpr auto k_after_budget = std::chrono::seconds(5);
constexpr std::size_t k_commands_after_budget = 3;
// A line that is kept: NOOP comes every 45 seconds, and who has said none for so long is gone.
constexpr auto k_longest_rest = std::chrono::minutes(2);
// odmrd keeps a line for an hour at the most; whoever says no QUIT must not have us for ever.
constexpr auto k_longest_kept = std::chrono::minutes(61);
// A NOOP that comes so long after the last one keeps the line; one that comes sooner is idle talk.
constexpr auto k_between_noops = std::chrono::seconds(30);
// Replies that wait behind an answer that takes its time. A peer that asks for more of them waits, too.
constexpr std::size_t k_most_held = 2000;
constexpr const char* k_budget_used_up = "has had its share of this line: the rest another time";

// "POST / HTTP/1.1", "Host: localhost:2525". A page in somebody's browser can make it speak to us, and put commands
// into what it posts.
bool is_of_the_web(std::string_view line) {
  constexpr std::array<std::string_view, 9> methods{"GET",     "POST",   "PUT",   "HEAD", "CONNECT",
                                                    "OPTIONS", "DELETE", "PATCH", "TRACE"};
  const auto word = line.substr(0, line.find(' '));
  if (word.ends_with(':')) return true;
  return std::any_of(methods.begin(), methods.end(), [&](auto one) { return starts_with_ignoring_case(word, one); });
}

// How long a next piece of a message may take: silence ends it, and so does a trickle. Only the time that we wait for
// the peer counts, not what the handler takes.
class Pace {
 public:
  Pace(const MailSessionOptions& options, const net::Stream& stream)
      : options_(options), stream_(stream), period_(std::max<Duration>(options.data, std::chrono::minutes(10))) {
    begin();
  }

  TimePoint deadline() const {
    const Duration left = is_enough() ? options_.data : std::min(options_.data, period_ - waited_);
    return stream_.clock().now() + std::max(left, Duration::zero());
  }

  void has_waited(Duration time) {
    waited_ += time;
    if (waited_ >= period_ && is_enough()) begin();
  }

 private:
  void begin() {
    waited_ = Duration::zero();
    had_ = stream_.received();
  }
  bool is_enough() const {
    const auto seconds = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(period_).count());
    return stream_.received() - had_ >= options_.least_rate * seconds;
  }

  const MailSessionOptions& options_;
  const net::Stream& stream_;
  const Duration period_;
  Duration waited_ = Duration::zero();
  std::uint64_t had_ = 0;
};

class MailSession final : public Peer {
 public:
  MailSession(Channel& channel, MailHandler& handler, const MailSessionOptions& options, Stop& stop)
      : channel_(channel), handler_(handler), options_(options), stop_(stop) {}

  Task<SessionEnd> run() {
    channel_.reply(Reply(220, options_.hostname + (options_.is_lmtp ? " LMTP odmr" : " ESMTP odmr")));
    co_await converse(nullptr);
    if (end_->how == SessionEnd::How::lost || end_->how == SessionEnd::How::left) {
      channel_.stream().close();
    } else {
      // Whether the peer still reads our 221 or has gone already is its own affair.
      co_await channel_.flush();
      co_await channel_.stream().finish();
    }
    co_return *end_;
  }

  Task<MailPart> run_part(const Hello& hello, smtp::Command first) {
    is_part_ = true;
    is_first_ = false;
    hello_ = hello;
    co_await converse(&first);
    MailPart part{end_, {}};
    if (given_back_) part.next = std::move(*given_back_);
    co_return part;
  }

  Task<bool> is_there() override {
    const auto looked = co_await channel_.stream().look_ahead();
    if (looked) co_return true;
    // Who has said QUIT may close without waiting for our 221.
    if (looked.error().code == Errc::closed && has_said_quit(channel_.stream().buffered())) co_return true;
    gone_ = looked.error();
    co_return false;
  }

 private:
  // For messages that are answered for while we go on. Where we wait for more, that the line is gone shows there; where
  // we do not, it is looked for, unless somebody has the input in hand.
  class Reader final : public Peer {
   public:
    explicit Reader(MailSession& session) : session_(session) {}
    Task<bool> is_there() override {
      bool is_gone = session_.is_gone();
      if (!is_gone && !session_.channel_.is_filling() && !session_.is_input_in_hand_) {
        const bool is_there = co_await session_.is_there();
        is_gone = !is_there;
      }
      session_.is_left_inside_ = session_.is_left_inside_ || is_gone;
      co_return !is_gone;
    }

   private:
    MailSession& session_;
  };

  bool is_gone() const {
    return gone_ || is_cut_ || (end_ && (end_->how == SessionEnd::How::lost || end_->how == SessionEnd::How::left));
  }

  static bool has_said_quit(std::string_view input) {
    for (std::size_t begin = 0; begin < input.size();) {
      const auto end = input.find("\r\n", begin);
      if (end == std::string_view::npos) return false;
      if (smtp::parse_command(input.substr(begin, end - begin)).verb == Verb::quit) return true;
      begin = end + 2;
    }
    return false;
  }

  // `first`, where there is one, has been read already.
  Task<> converse(const smtp::Command* first) {
    const Stop::Listener listener(stop_, [this](Stop::Phase phase) { on_stop(phase); });
    std::optional<Stop::Listener> on_enough;
    if (options_.kept != nullptr)
      on_enough.emplace(options_.kept->enough(), [this](Stop::Phase) { wake_if_resting(); });
    const auto loop = co_await asio::this_coro::executor;
    answered_.emplace(loop);
    try {
      if (first != nullptr) co_await obey(*first);
      while (!end_ && !problem_ && !given_back_) co_await step();
    } catch (...) {
      problem_ = std::current_exception();  // told when nobody uses us any more
    }
    if (problem_ && !end_) end_ = SessionEnd();
    if (in_transaction_) co_await handler_.on_abandon();
    is_left_inside_ = is_left_inside_ || (end_ && end_->how == SessionEnd::How::left && awaited_ > 0);
    co_await all_answered();
    if (problem_) std::rethrow_exception(problem_);
    if (!end_) co_return;
    end_->inside_transaction = in_transaction_ || is_left_inside_;
    end_->transactions = transactions_;
  }

  void on_stop(Stop::Phase phase) {
    if (phase == Stop::Phase::leave) {
      channel_.stream().close();
    } else if (!in_transaction_) {
      channel_.stream().interrupt();
    }
  }

  void wake_if_resting() {
    if (rests_) channel_.stream().interrupt();
  }

  Task<> step() {
    if (const auto why = reason_to_make_way()) co_return co_await close_politely(*why, SessionEnd::How::made_way);
    if (const auto why = reason_to_close()) co_return co_await close_politely(*why);
    if (channel_.held() >= k_most_held) co_await all_answered();
    if (std::exchange(is_look_due_, false)) co_await note_input();
    command_begins_ = received_up_to_here();
    const auto line = co_await channel_.read_line(options_.longest_line, deadline());
    if (!line) co_return co_await no_line(line.error());
    is_first_ = false;
    if (!in_transaction_) ++idle_commands_;
    if (!in_transaction_ && is_of_the_web(line->text)) {
      co_await close_politely("is no web server");
    } else if (line->fault == Line::Fault::none) {
      auto command = smtp::parse_command(line->text);
      if (is_part_ && is_of_others(command.verb)) co_return co_await give_back(std::move(command));
      co_await obey(command);
    } else if (line->fault == Line::Fault::too_long) {
      refuse(Reply(500, "5.5.2 the line is too long"));
    } else {
      refuse(Reply(500, "5.5.2 lines end in CRLF, and hold no other CR or LF"));
    }
  }

  // EHLO ends a transaction (RFC 5321 4.1.4); others have no place in one.
  bool is_of_others(Verb verb) const {
    switch (verb) {
      case Verb::ehlo:
      case Verb::helo:
        return true;
      case Verb::mail:
      case Verb::rcpt:
      case Verb::data:
      case Verb::bdat:
      case Verb::rset:
      case Verb::noop:
      case Verb::vrfy:
      case Verb::help:
      case Verb::quit:
      case Verb::unknown:
        return false;
      default:
        return !in_transaction_;
    }
  }

  Task<> give_back(smtp::Command command) {
    co_await abandon();
    given_back_ = std::move(command);
  }

  std::optional<std::string> reason_to_make_way() const {
    if (!rests_) return std::nullopt;
    if (stop_.requested()) return "stopping on a signal";
    if (options_.kept->enough().requested()) return "has other work to do";
    if (channel_.clock().now() - kept_since_ >= k_longest_kept) return "has kept this line for long enough";
    return std::nullopt;
  }

  std::optional<std::string> reason_to_close() {
    if (!in_transaction_ && stop_.requested()) return "stopping on a signal";
    if (!in_transaction_ && handler_.has_had_enough()) return "cannot take mail now";
    if ((!in_transaction_ || options_.limits_cut_transactions) && errors_ >= options_.most_errors) {
      return "too many errors";
    }
    if (!in_transaction_ && idle_commands_ >= most_idle_commands()) {
      return takes_no_more() ? k_budget_used_up : "waits for mail, and gets none";
    }
    return std::nullopt;
  }

  Task<> no_line(const Error& error) {
    if (error.code == Errc::interrupted) co_return;
    if (error.code == Errc::timed_out) {
      if (is_our_turn()) co_return;
      if (!in_transaction_ && takes_no_more()) co_return co_await close_politely(k_budget_used_up);
    }
    co_await break_off(error);
  }

  // Who waits for an answer of ours need not say anything; and once he has it, he has all of his time.
  bool is_our_turn() {
    if (rests_) return false;
    Duration patience = takes_no_more() ? Duration(k_after_budget) : options_.idle;
    if (in_transaction_) patience = options_.data;
    return awaited_ > 0 || (answered_once_ && channel_.clock().now() < last_answer_ + patience);
  }

  // For the next command.
  TimePoint deadline() {
    const TimePoint now = channel_.clock().now();
    if (in_transaction_) return now + options_.data;
    Duration patience = is_first_ ? options_.first_command : options_.idle;
    if (rests_) patience = k_longest_rest;
    const TimePoint idle = now + patience;
    const TimePoint budget = handler_.takes_mail_until();
    return budget == TimePoint::max() ? idle : std::min(idle, std::max(budget, now) + k_after_budget);
  }

  bool takes_no_more() { return channel_.clock().now() >= handler_.takes_mail_until(); }
  std::size_t most_idle_commands() {
    return takes_no_more() ? std::min(options_.most_idle_commands, k_commands_after_budget)
                           : options_.most_idle_commands;
  }

  void refuse(const Reply& reply) {
    ++errors_;
    channel_.reply(reply);
  }

  // RFC 5321 3.8: 421, and only between transactions.
  Task<> close_politely(std::string why, SessionEnd::How how = SessionEnd::How::stopped) {
    co_await all_answered();
    last_words_ = Reply(421, "4.3.2 " + options_.hostname + " " + why);
    channel_.reply(*last_words_);
    end_ = SessionEnd{how, false, 0, why};
  }

  // A peer that has gone may have said QUIT before: some do not wait for our greeting, or for the reply before it.
  Task<> break_off(Error error) {
    is_cut_ = !has_said_quit(channel_.stream().buffered());
    if (error.code == Errc::lost && !in_transaction_) {
      const auto last = co_await channel_.read_line(options_.longest_line, channel_.clock().now() + k_last_words);
      if (last && smtp::parse_command(last->text).verb == Verb::quit) co_return co_await bye();
      if (!last && last.error().code == Errc::tls) error = last.error();
    }
    end_by(error);
  }

  void end_by(const Error& error) {
    if (error.code == Errc::tls && !in_transaction_) {
      // Exim 4.99 ends a turned line on which it has nothing to send by a QUIT that does not pass through TLS.
      const std::string clear = channel_.stream().clear_text_under_tls();
      if (starts_with_ignoring_case(clear, "QUIT\r\n")) {
        end_ = SessionEnd{SessionEnd::How::quit, false, 0, "QUIT in clear text"};
        return;
      }
    }
    const bool left = stop_.phase() == Stop::Phase::leave;
    end_ = SessionEnd{left ? SessionEnd::How::left : SessionEnd::How::lost, false, 0, error.text};
  }

  Task<> obey(const smtp::Command& command) {
    switch (command.verb) {
      case Verb::ehlo:
      case Verb::helo:
      case Verb::lhlo:
        return hello(command);
      case Verb::mail:
        return mail(command);
      case Verb::rcpt:
        return rcpt(command);
      case Verb::data:
        return data(command);
      case Verb::bdat:
        return options_.offer.chunking ? bdat(command) : other(command);
      case Verb::rset:
        return reset();
      case Verb::quit:
        return quit();
      default:
        return other(command);
    }
  }

  Task<> hello(const smtp::Command& command) {
    // RFC 2033 4.1: nobody may take the one for the other.
    if (options_.is_lmtp != (command.verb == Verb::lhlo)) {
      co_return refuse(Reply(500, options_.is_lmtp ? "5.5.1 this is LMTP: LHLO" : "5.5.1 this is SMTP: EHLO"));
    }
    if (command.argument.empty()) {
      refuse(Reply(501, "5.5.4 " + std::string(smtp::name(command.verb)) + " needs a name"));
      co_return;
    }
    co_await abandon();
    hello_ = Hello{command.argument, command.verb != Verb::helo};
    channel_.reply(hello_->is_extended ? ehlo_reply() : Reply(250, options_.hostname));
  }

  Reply ehlo_reply() const {
    std::vector<std::string> lines{options_.hostname, "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"};
    lines.push_back(options_.offer.size == 0 ? "SIZE" : "SIZE " + std::to_string(options_.offer.size));
    if (options_.offer.smtputf8) lines.emplace_back("SMTPUTF8");
    if (options_.offer.dsn) lines.emplace_back("DSN");
    if (options_.offer.prdr) lines.emplace_back("PRDR");
    if (options_.offer.chunking) lines.emplace_back("CHUNKING");
    if (options_.offer.once) lines.emplace_back("XONCE");
    return Reply(250, std::move(lines));
  }

  std::optional<Reply> objection(const smtp::MailCommand& mail) const {
    if (mail.body == smtp::BodyType::binary_mime) return Reply(555, "5.5.4 BINARYMIME is not offered here");
    if (mail.smtputf8 && !options_.offer.smtputf8) return Reply(555, "5.6.7 SMTPUTF8 is not offered here");
    if (mail.prdr && !options_.offer.prdr) return Reply(555, "5.5.4 PRDR is not offered here");
    if (!mail.smtputf8 && mail.reverse_path.mailbox.needs_smtputf8()) {
      return Reply(553, "5.6.7 such an address needs SMTPUTF8");
    }
    if (options_.offer.size != 0 && mail.size && *mail.size > options_.offer.size) {
      return Reply(552, "5.3.4 at most " + std::to_string(options_.offer.size) + " octets are taken here");
    }
    return std::nullopt;
  }

  Task<> mail(const smtp::Command& command) {
    if (!hello_) co_return refuse(Reply(503, "5.5.1 EHLO first"));
    if (in_transaction_) co_return refuse(Reply(503, "5.5.1 a transaction is under way"));
    if (std::exchange(rests_, false)) {
      const auto awake = co_await options_.kept->wakes();
      if (!awake) co_return co_await close_politely(awake.error().text, SessionEnd::How::made_way);
    }
    const auto parsed = smtp::parse_mail(command.argument, options_.bare_names);
    if (takes_no_more()) {
      co_await close_politely(k_budget_used_up);
      co_return handler_.on_mail_refused(command.argument, *last_words_);
    }
    auto objected = parsed ? objection(*parsed) : std::optional(Reply(parsed.error().code, parsed.error().text));
    if (objected) {
      if (options_.soft_bounce) objected = smtp::softened(std::move(*objected));
      handler_.on_mail_refused(command.argument, *objected);
      co_return refuse(*objected);
    }
    handler_.on_ahead(group_behind(*parsed));
    const Reply reply = co_await handler_.on_mail(*parsed, *hello_);
    channel_.reply(reply);
    if (!reply.is_positive()) co_return;
    in_transaction_ = true;
    idle_commands_ = 0;
    smtputf8_ = parsed->smtputf8;
    recipients_ = 0;
    ++transactions_;
  }

  static std::optional<Reply> objection(const smtp::Parsed<smtp::RcptCommand>& rcpt, bool smtputf8) {
    if (!rcpt) return Reply(rcpt.error().code, rcpt.error().text);
    if (!smtputf8 && rcpt->forward_path.mailbox.needs_smtputf8()) {
      return Reply(553, "5.6.7 such an address needs SMTPUTF8");
    }
    return std::nullopt;
  }

  // Of what has been read already, since nobody waits for more: the recipients up to the first one who will be refused
  // here, and whether the message follows.
  smtp::Ahead group_behind(const smtp::MailCommand& mail) {
    smtp::Ahead ahead;
    std::string_view input = channel_.stream().buffered();
    while (ahead.recipients.size() < options_.most_recipients) {
      const auto line = next_line(input, options_.longest_line);
      if (!line) break;
      const auto command = smtp::parse_command(*line);
      if (command.verb != Verb::rcpt) {
        ahead.content = begins_content(command);
        break;
      }
      auto rcpt = smtp::parse_rcpt(command.argument, options_.bare_names);
      if (objection(rcpt, mail.smtputf8)) break;
      ahead.recipients.push_back(std::move(*rcpt));
    }
    return ahead;
  }

  bool begins_content(const smtp::Command& command) const {
    if (command.verb == Verb::data) return command.argument.empty();
    return command.verb == Verb::bdat && options_.offer.chunking && smtp::parse_bdat(command.argument);
  }

  Task<> rcpt(const smtp::Command& command) {
    if (!in_transaction_) co_return refuse(Reply(503, "5.5.1 MAIL first"));
    if (chunks_) co_return refuse(Reply(503, "5.5.1 the message has begun"));
    const auto parsed = smtp::parse_rcpt(command.argument, options_.bare_names);
    auto objected = objection(parsed, smtputf8_);
    if (objected) {
      if (options_.soft_bounce) objected = smtp::softened(std::move(*objected));
      handler_.on_rcpt_refused(command.argument, *objected);
      co_return refuse(*objected);
    }
    if (recipients_ >= options_.most_recipients) {
      // No fault of the peer's (RFC 5321 4.5.3.1.10), which counts nothing against it.
      const Reply later(452, "4.5.3 too many recipients; the others in another transaction, please");
      handler_.on_rcpt_refused(command.argument, later);
      co_return channel_.reply(later);
    }
    const Reply reply = co_await handler_.on_rcpt(*parsed);
    channel_.reply(reply);
    if (reply.is_positive()) ++recipients_;
  }

  Task<> data(const smtp::Command& command) {
    if (!command.argument.empty()) co_return refuse(Reply(501, "5.5.4 DATA takes no argument"));
    if (!in_transaction_) co_return refuse(Reply(503, "5.5.1 MAIL first"));
    if (chunks_) co_return refuse(Reply(503, "5.5.1 the message has begun with BDAT"));  // RFC 3030 2
    if (recipients_ == 0) {
      // With nobody to go to the transaction is over: who says MAIL next, without RSET, means another message.
      refuse(Reply(options_.is_lmtp ? 503 : 554, "5.5.1 no valid recipients"));  // RFC 2033 4.2
      co_return co_await abandon();
    }
    const auto refused = co_await handler_.on_data();
    if (refused) {
      // Nothing that was accepted counts any more: a second DATA has nobody to go to.
      channel_.reply(*refused);
      co_await abandon();
      co_return;
    }
    // The answers before it come first, and no content before it.
    co_await all_answered();
    channel_.reply(Reply(354, "end with CRLF.CRLF"));
    co_await channel_.flush();  // a failed write shows when we read
    is_answers_read_due_ = channel_.stream().buffered().empty();
    co_await content();
  }

  Task<> content() {
    smtp::DotDecoder decoder;
    smtp::NewlineMender mender;
    Pace pace(options_, channel_.stream());
    ContentEnd end;
    std::string room;
    std::string mended;
    for (bool ended = false; !ended;) {
      if (channel_.stream().buffered().empty()) {
        const auto filled = co_await fill(pace);
        if (!filled && filled.error().code == Errc::interrupted) continue;
        if (!filled) co_return end_by(filled.error());
      }
      // What waits for our 354 (RFC 5321 4.1.1.4) has read what was written before it.
      if (std::exchange(is_answers_read_due_, false)) handler_.on_answers_read();
      const auto decoded = decoder.decode_in_place(channel_.stream().buffered(), room);
      ended = decoded.ended;
      end.size += decoded.content.size();
      std::string_view piece = decoded.content;
      if (options_.mend_stray_newlines) {
        mended.clear();
        mender.mend(piece, mended);
        piece = mended;
      } else if (decoder.has_stray_newline()) {
        // From the first lone CR or LF on, nothing more goes to anybody: what a next hop would take it for is unknown
        // (SMTP smuggling, CVE-2023-51764 and its kin).
        piece = {};
      }
      if (!piece.empty()) co_await hand_on(piece);
      channel_.stream().consume(decoded.consumed);  // now that nobody needs the piece, which is in there
    }
    end.has_stray_newline = decoder.has_stray_newline() && !options_.mend_stray_newlines;
    co_await end_message(end);
  }

  // A piece of a message, which is in our input or at least keeps it from being consumed.
  Task<> hand_on(std::string_view piece) {
    is_input_in_hand_ = true;
    co_await handler_.on_content(piece);
    is_input_in_hand_ = false;
  }

  // More of a message.
  Task<Result<void>> fill(Pace& pace) {
    const TimePoint since = channel_.clock().now();
    const bool is_waited_for = awaited_ > 0;
    auto filled = co_await channel_.fill(pace.deadline());
    // Nor need who waits for an answer of ours send more of a message.
    if (is_waited_for && !filled && filled.error().code == Errc::timed_out) {
      co_return fail(Errc::interrupted, "an answer of ours is waited for");
    }
    if (!is_waited_for) pace.has_waited(channel_.clock().now() - since);
    co_return filled;
  }

  Task<> end_message(ContentEnd end) {
    if (handler_.goes_on_meanwhile()) co_return co_await end_meanwhile(end);
    const Answer answer = co_await handler_.on_end(end, *this);
    if (gone_) co_return end_by(*gone_);
    in_transaction_ = false;
    chunks_.reset();
    for (const auto& one : replies_of(answer, recipients_)) channel_.reply(one);
    co_await note_input();
  }

  // What becomes of the message is told when it is known. We read on: so whether the peer is still there shows, too.
  Task<> end_meanwhile(ContentEnd end) {
    co_await is_there();
    in_transaction_ = false;
    chunks_.reset();
    const auto loop = co_await asio::this_coro::executor;
    auto answering = handler_.on_end(end, reader_);
    ++awaited_;
    asio::co_spawn(loop, answer_later(std::move(answering), channel_.reserve(), recipients_),
                   [this](const std::exception_ptr& problem) { note_answered(problem); });
    if (gone_) end_by(*gone_);
  }

  Task<> answer_later(Task<Answer> answering, Channel::Place place, std::size_t recipients) {
    const Answer answer = co_await std::move(answering);
    channel_.reply_at(place, replies_of(answer, recipients));
    answered_once_ = true;
    last_answer_ = channel_.clock().now();
    if (channel_.is_filling())
      answered_at_ = channel_.stream().received();
    else
      is_look_due_ = true;
    const auto flushed = co_await channel_.flush();
    if (!flushed) channel_.stream().interrupt();  // it shows when we flush again
  }

  void note_answered(const std::exception_ptr& problem) {
    --awaited_;
    if (problem) problem_ = problem;
    answered_->wake();
    if (problem || reason_to_close()) channel_.stream().interrupt();
  }

  Task<> all_answered() {
    while (awaited_ > 0) co_await answered_->wait();
    if (std::exchange(is_look_due_, false)) co_await note_input();
  }

  std::vector<Reply> replies_of(const Answer& answer, std::size_t recipients) const {
    // RFC 2033 4.2
    if (options_.is_lmtp && !answer.each.empty()) return answer.each;
    if (options_.is_lmtp) return std::vector<Reply>(recipients, answer.reply);
    std::vector<Reply> replies;
    if (!answer.each.empty()) replies.emplace_back(353, "2.0.0 each recipient is answered for");
    replies.insert(replies.end(), answer.each.begin(), answer.each.end());
    replies.push_back(answer.reply);
    return replies;
  }

  // A command that is on its way already (RFC 2920 lets QUIT follow the dot) does not tell that an answer was read.
  Task<> note_input() {
    co_await channel_.stream().look_ahead();  // a broken line shows when we read
    answered_at_ = channel_.stream().received();
  }

  // RFC 3030 2: whatever the answer is, the octets announced are read, or a message would be taken for commands.
  Task<> bdat(const smtp::Command& command) {
    const auto chunk = smtp::parse_bdat(command.argument);
    if (!chunk) {
      // Nobody knows how much of what comes now is a message.
      refuse(Reply(chunk.error().code, chunk.error().text));
      co_await abandon();
      co_return co_await close_politely("cannot tell where the message ends");
    }
    auto objected = co_await object_to_chunk();
    const bool came = co_await read_chunk(chunk->size, objected.has_value());
    if (!came) co_return;
    if (objected) {
      channel_.reply(*objected);
      co_return co_await abandon();
    }
    if (chunk->last) co_return co_await end_chunks();
    channel_.reply(Reply(250, "2.0.0 " + std::to_string(chunk->size) + " octets taken"));
  }

  Task<std::optional<Reply>> object_to_chunk() {
    if (!in_transaction_) co_return Reply(503, "5.5.1 MAIL first");
    if (recipients_ == 0) co_return Reply(554, "5.5.1 no valid recipients");
    if (chunks_) co_return std::nullopt;
    auto refused = co_await handler_.on_data();
    if (!refused) chunks_.emplace(options_, channel_.stream());
    co_return refused;
  }

  // Gives whether all of it has come.
  Task<bool> read_chunk(std::uint64_t left, bool is_thrown_away) {
    Pace pace(options_, channel_.stream());
    Pace& pace_of_message = chunks_ ? chunks_->pace : pace;
    net::Stream& stream = channel_.stream();
    while (left > 0) {
      if (stream.buffered().empty()) {
        // Who waits for the replies to MAIL and RCPT would send nothing. A failed write shows when we read.
        co_await channel_.flush();
        const auto filled = co_await fill(pace_of_message);
        if (!filled && filled.error().code == Errc::interrupted) continue;
        if (!filled) {
          end_by(filled.error());
          co_return false;
        }
      }
      const auto piece = stream.buffered().substr(0, std::min<std::uint64_t>(left, stream.buffered().size()));
      if (!is_thrown_away) co_await take_chunk(piece);
      left -= piece.size();
      stream.consume(piece.size());
    }
    co_return true;
  }

  Task<> take_chunk(std::string_view piece) {
    Chunks& chunks = *chunks_;
    chunks.end.size += piece.size();
    if (options_.mend_stray_newlines) {
      chunks.mended.clear();
      chunks.mender.mend(piece, chunks.mended);
      piece = chunks.mended;
    }
    chunks.watch.see(piece);
    // As in content(): behind the first lone CR or LF nothing goes to anybody.
    if (!chunks.watch.has_stray_newline() && !piece.empty()) co_await hand_on(piece);
  }

  // Our next hop hears DATA, by which no message can go whose last line has no end.
  Task<> end_chunks() {
    Chunks& chunks = *chunks_;
    if (options_.mend_stray_newlines) {
      chunks.mended.clear();
      chunks.mender.finish(chunks.mended);
      chunks.watch.see(chunks.mended);
      if (!chunks.mended.empty()) co_await handler_.on_content(chunks.mended);
    }
    const auto missing = chunks.watch.finish();
    chunks.end.size += missing.size();
    chunks.end.has_stray_newline = chunks.watch.has_stray_newline();
    if (!missing.empty() && !chunks.end.has_stray_newline) co_await handler_.on_content(missing);
    const ContentEnd end = chunks.end;
    co_await end_message(end);
    // The next message may be here already, and take its time; who waits for this answer should not.
    if (!end_) co_await channel_.flush();
  }

  // MAIL, RCPT and RSET may be sent before the answer to the dot is read; these two the next command of a client that
  // has waited for it.
  void note_answers_read() {
    if (channel_.owes() || is_look_due_) return;
    if (transactions_ > 0 && command_begins_ >= answered_at_) handler_.on_answers_read();
  }

  std::uint64_t received_up_to_here() { return channel_.stream().received() - channel_.stream().buffered().size(); }

  Task<> abandon() {
    chunks_.reset();
    if (std::exchange(in_transaction_, false)) co_await handler_.on_abandon();
  }

  Task<> reset() {
    co_await abandon();
    channel_.reply(Reply(250, "2.0.0 OK"));
  }

  Task<> quit() {
    note_answers_read();
    return bye();
  }

  Task<> bye() {
    co_await abandon();
    channel_.reply(Reply(221, "2.0.0 " + options_.hostname + " closes"));
    end_ = SessionEnd{SessionEnd::How::quit, false, 0, "QUIT"};
  }

  Task<> other(const smtp::Command& command) {
    switch (command.verb) {
      case Verb::noop:
        note_answers_read();
        channel_.reply(Reply(250, "2.0.0 OK"));
        if (options_.kept != nullptr && !in_transaction_ && awaited_ == 0) co_await rest();
        break;
      case Verb::vrfy:
        channel_.reply(Reply(252, "2.1.5 send some mail, and see"));
        break;
      case Verb::help:
        channel_.reply(Reply(214, "2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"));
        break;
      case Verb::unknown:
        refuse(Reply(500, "5.5.2 no such command"));
        break;
      default:
        refuse(Reply(502, "5.5.1 not on this line"));
    }
    co_return;
  }

  // The peer has sent all, and keeps the line.
  Task<> rest() {
    const TimePoint now = channel_.clock().now();
    if (rests_ && now - last_noop_ >= k_between_noops) idle_commands_ = 0;
    if (!is_kept_) kept_since_ = now;
    is_kept_ = rests_ = true;
    last_noop_ = now;
    co_await channel_.flush();  // a failed write shows when we read
    co_await options_.kept->rests();
  }

  // A message that comes by BDAT.
  struct Chunks {
    Chunks(const MailSessionOptions& options, const net::Stream& stream) : pace(options, stream) {}
    Pace pace;
    smtp::ChunkWatch watch;
    smtp::NewlineMender mender;
    std::string mended;
    ContentEnd end;
  };

  Channel& channel_;
  MailHandler& handler_;
  const MailSessionOptions& options_;
  Stop& stop_;
  bool is_part_ = false;  // of a conversation that has other commands
  std::optional<smtp::Command> given_back_;
  std::optional<SessionEnd> end_;
  std::optional<Reply> last_words_;  // 421, where it was us who ended it
  std::optional<Error> gone_;        // seen while a message was dealt with
  std::optional<Hello> hello_;
  std::optional<Chunks> chunks_;
  bool is_first_ = true;
  bool rests_ = false;    // it is kept, and nothing is under way
  bool is_kept_ = false;  // it has rested before
  TimePoint kept_since_{};
  TimePoint last_noop_{};
  bool in_transaction_ = false;
  bool smtputf8_ = false;
  std::size_t recipients_ = 0;
  std::size_t transactions_ = 0;
  std::size_t errors_ = 0;
  std::size_t idle_commands_ = 0;
  std::uint64_t command_begins_ = 0;  // among all bytes received
  std::uint64_t answered_at_ = 0;     // what had been received when the last message was answered
  bool is_answers_read_due_ = false;  // with the first byte of the message

  // Of messages that are answered for while we read on.
  Reader reader_{*this};
  std::size_t awaited_ = 0;  // answers
  std::optional<net::Wakeup> answered_;
  std::exception_ptr problem_;
  bool is_left_inside_ = false;  // the line ended before such a message was handed over
  bool is_input_in_hand_ = false;
  bool is_cut_ = false;       // nothing more can be read
  bool is_look_due_ = false;  // what had come when one was answered is not known
  bool answered_once_ = false;
  TimePoint last_answer_{};
};

}  // namespace

Task<SessionEnd> serve_mail(net::Stream stream, MailHandler& handler, const MailSessionOptions& options, Log& log,
                            Stop& stop) {
  Channel channel(std::move(stream), log, options.silence);
  MailSession session(channel, handler, options, stop);
  co_return co_await session.run();
}

Task<MailPart> serve_mail_part(Channel& channel, const Hello& hello, smtp::Command first, MailHandler& handler,
                               const MailSessionOptions& options, Stop& stop) {
  MailSession session(channel, handler, options, stop);
  co_return co_await session.run_part(hello, std::move(first));
}

}  // namespace odmr::server
