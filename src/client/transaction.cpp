#include "client/transaction.hpp"

#include <algorithm>
#include <utility>

#include "smtp/dot.hpp"

namespace odmr::client {

namespace {

using net::Task;

constexpr std::size_t k_piece = 64 * 1024;

// One transaction under way: the commands that were sent, and what came back.
class Transaction {
 public:
  Transaction(Session& session, const Envelope& envelope, Content& content, const TransactionPatience& patience,
              DotGate* gate)
      : session_(session), envelope_(envelope), content_(content), patience_(patience), gate_(gate) {
    delivery_.recipients.resize(envelope.recipients.size());
    delivery_.accepted.resize(envelope.recipients.size());
  }

  Task<Delivery> run() {
    const auto lines = commands();
    if (!lines) {
      settle(lines.error());
      co_return std::move(delivery_);
    }
    Result<void> said;
    if (session_.can_pipeline())
      said = co_await say_in_one(*lines);
    else
      said = co_await say_in_turn(*lines);
    if (!said) broken(said.error());
    if (!delivery_.broken && data_reply_ && data_reply_->code == 354) co_await send_message();
    if (!delivery_.broken && needs_reset_) co_await reset();
    co_return std::move(delivery_);
  }

 private:
  // MAIL, one RCPT each, and DATA at the end; or our own refusal.
  tl::expected<std::vector<std::string>, smtp::Reply> commands() const {
    const auto& offered = session_.capabilities();
    smtp::MailOptions options = envelope_.options;
    if (options.smtputf8 && !offered.has("SMTPUTF8")) {
      return refusal(550, "5.6.7 the next hop does not take internationalized mail (SMTPUTF8)");
    }
    const std::uint64_t most = offered.size().value_or(0);
    if (most > 0 && options.size.value_or(0) > most) {
      return refusal(552, "5.3.4 the message has " + std::to_string(*options.size) + " bytes, the next hop takes " +
                              std::to_string(most));
    }
    if (!offered.has("SIZE")) options.size.reset();
    if (!offered.has("8BITMIME")) options.body = smtp::BodyType::unspecified;
    const bool dsn = offered.has("DSN");
    if (!dsn) options.ret = options.envid = std::string();

    std::vector<std::string> lines;
    auto mail = smtp::mail_line(envelope_.reverse_path, options);
    if (!mail) return refusal(553, "5.1.7 " + mail.error().text);
    lines.push_back(std::move(*mail));
    for (const auto& recipient : envelope_.recipients) {
      auto rcpt = smtp::rcpt_line(recipient.mailbox, dsn ? recipient.notify : std::string(),
                                  dsn ? recipient.orcpt : std::string());
      if (!rcpt) return refusal(553, "5.1.3 " + rcpt.error().text);
      lines.push_back(std::move(*rcpt));
    }
    lines.emplace_back("DATA\r\n");
    return lines;
  }

  static tl::unexpected<smtp::Reply> refusal(int code, std::string text) {
    return tl::unexpected<smtp::Reply>(smtp::Reply(code, std::move(text)));
  }

  Task<Result<void>> say_in_one(const std::vector<std::string>& lines) {
    // A reply that is there before the question answers nothing. Taken for MAIL's it would shift all others by one, and
    // in the end a word about the last message would stand for this one.
    const auto unasked = co_await session_.unasked_reply();
    if (!unasked) co_return fail(unasked.error());
    if (*unasked) co_return fail(out_of_step(**unasked));
    std::string group;
    for (const auto& line : lines) group += line;
    const auto sent = co_await session_.send(group);
    if (!sent) co_return fail(co_await last_words(sent.error()));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const bool is_data = i + 1 == lines.size();
      const auto reply = co_await session_.read_reply(is_data ? patience_.data : patience_.command);
      if (!reply) co_return fail(reply.error());
      auto taken = take(i, *reply);
      if (!taken) co_return taken;
    }
    co_return Result<void>();
  }

  Task<Result<void>> say_in_turn(const std::vector<std::string>& lines) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const bool is_data = i + 1 == lines.size();
      if (is_data && accepted_.empty()) break;
      const auto reply = co_await session_.ask(lines[i], is_data ? patience_.data : patience_.command);
      if (!reply) co_return fail(reply.error());
      auto taken = take(i, *reply);
      if (!taken) co_return taken;
      if (i == 0 && !mail_taken_) break;
    }
    co_return Result<void>();
  }

  // Files the reply to command `i`. 421 ends the conversation wherever it comes (RFC 5321 3.8), and so does a reply of
  // a kind that the command cannot have: who goes on after that takes one reply for another.
  Result<void> take(std::size_t i, const smtp::Reply& reply) {
    if (i == 0) delivery_.mail = reply;
    if (reply.code == 421) return fail(closing(reply));
    const bool is_data = i > envelope_.recipients.size();
    const bool goes_on = is_data ? reply.code == 354 : reply.is_positive();
    if (!goes_on && !reply.is_transient() && !reply.is_permanent()) return fail(out_of_step(reply));
    if (i == 0) {
      mail_taken_ = goes_on;
      needs_reset_ = goes_on;
      if (!goes_on) settle(reply);
    } else if (is_data) {
      data_reply_ = reply;
      if (!goes_on) settle(reply);
    } else if (goes_on) {
      if (!mail_taken_) return fail(out_of_step(reply));  // RFC 5321 4.1.4: 503 is what RCPT hears then
      accepted_.push_back(i - 1);
      delivery_.accepted[i - 1] = true;
    } else if (mail_taken_) {
      delivery_.recipients[i - 1] = reply;
    }
    return {};
  }

  Error closing(const smtp::Reply& reply) {
    delivery_.closing = reply;
    return Error{Errc::closed, session_.stream().peer() + ": " + reply.joined()};
  }

  // Then no reply of this transaction can be trusted: each may have been meant for the command before.
  Error out_of_step(const smtp::Reply& reply) {
    if (reply.code == 421) return closing(reply);
    delivery_.mail.reset();
    for (auto& recipient : delivery_.recipients) recipient.reset();
    return Error{Errc::malformed, session_.stream().peer() + ": a reply out of place: " + reply.joined()};
  }

  Task<> send_message() {
    // RFC 2920 3.1: a 354 with no recipient is answered by an empty message, which the server must not deliver.
    if (accepted_.empty()) {
      const auto reply = co_await session_.ask(".\r\n", patience_.final);
      if (!reply)
        broken(reply.error());
      else if (reply->code == 421)
        broken(closing(*reply));
      needs_reset_ = false;
      co_return;
    }
    const auto sent = co_await send_content();
    if (!sent) {
      broken(sent.error());
      co_return;
    }
    delivery_.in_doubt = true;
    co_await read_verdict();
  }

  // Of the encoded message, what has been read last waits until it is known what follows, so that the dot goes out in
  // one write with it: a small second write would wait for the peer's delayed acknowledgement.
  // An error says that the dot has not gone: without it nothing is delivered (RFC 5321 4.1.1.4).
  Task<Result<void>> send_content() {
    smtp::DotEncoder encoder;
    std::string piece(k_piece, '\0');
    std::string encoded;
    for (;;) {
      const auto count = content_.read(piece.data(), piece.size());
      if (!count) co_return fail(count.error());
      if (*count == 0) break;
      if (encoded.size() >= k_piece) {
        const auto sent = co_await session_.send_content(encoded);
        if (!sent) co_return fail(co_await last_words(sent.error()));
        encoded.clear();
      }
      encoder.encode(std::string_view(piece).substr(0, *count), encoded);
    }
    encoder.finish(encoded);
    if (gate_ != nullptr) {
      const auto opened = co_await gate_->open();
      if (!opened) co_return fail(opened.error());
    }
    const auto early = co_await session_.unasked_reply();
    if (!early) co_return fail(early.error());
    if (*early) co_return fail(answered_early(**early));
    const auto sent = co_await session_.send_content(encoded);
    if (!sent) co_return fail(co_await last_words(sent.error()));
    co_return Result<void>();
  }

  // Before our dot a host has nothing to say but that it will not take the message. After anything else its answers are
  // one ahead of what they answer, and the next message would have this one's. Either way the line ends without the
  // dot.
  Error answered_early(const smtp::Reply& reply) {
    if (reply.code == 421 || (!reply.is_transient() && !reply.is_permanent())) return out_of_step(reply);
    for (const auto recipient : accepted_) delivery_.recipients[recipient] = reply;
    return Error{Errc::closed, session_.stream().peer() + ": refused before its end: " + reply.joined()};
  }

  // A peer that goes while we speak may have said why.
  Task<Error> last_words(Error error) {
    const auto reply = co_await session_.read_reply(std::chrono::seconds(1));
    if (reply && reply->code == 421) delivery_.closing = *reply;
    if (reply) error.text += " (" + reply->joined() + ")";
    co_return error;
  }

  Task<> read_verdict() {
    const std::size_t answers = session_.dialect() == Dialect::lmtp ? accepted_.size() : 1;
    for (std::size_t i = 0; i < answers; ++i) {
      const auto reply = co_await session_.read_reply(patience_.final);
      if (!reply) {
        broken(reply.error());
        co_return;
      }
      if (reply->is_intermediate()) {
        broken(out_of_step(*reply));
        co_return;
      }
      if (answers == 1) {
        for (const auto recipient : accepted_) delivery_.recipients[recipient] = *reply;
      } else {
        delivery_.recipients[accepted_[i]] = *reply;
      }
      // Of this reply's recipients it is an answer; who else waits for one gets none any more.
      if (reply->code == 421) broken(closing(*reply));
      if (reply->code == 421 && i + 1 < answers) co_return;
    }
    delivery_.in_doubt = false;
    needs_reset_ = false;
  }

  Task<> reset() {
    const auto reply = co_await session_.ask("RSET\r\n", patience_.command);
    if (!reply)
      broken(reply.error());
    else if (reply->code == 421)
      broken(closing(*reply));
    else if (!reply->is_positive())
      broken(Error{Errc::closed, "RSET is refused: " + reply->joined()});
  }

  // The same word for all recipients that have none yet.
  void settle(const smtp::Reply& reply) {
    for (auto& recipient : delivery_.recipients) {
      if (!recipient) recipient = reply;
    }
  }

  void broken(Error error) { delivery_.broken = std::move(error); }

  Session& session_;
  const Envelope& envelope_;
  Content& content_;
  const TransactionPatience& patience_;
  DotGate* gate_;
  Delivery delivery_;
  std::vector<std::size_t> accepted_;
  std::optional<smtp::Reply> data_reply_;
  bool mail_taken_ = false;
  bool needs_reset_ = false;
};

}  // namespace

Task<Delivery> transact(Session& session, const Envelope& envelope, Content& content,
                        const TransactionPatience& patience, DotGate* gate) {
  Transaction transaction(session, envelope, content, patience, gate);
  co_return co_await transaction.run();
}

}  // namespace odmr::client
