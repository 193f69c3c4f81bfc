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

  // The whole transaction, to be said at once: RSET, unless it is the first, MAIL, RCPT, BDAT, and the message. A peer
  // that has refused a chunk wants RSET before it takes anything else (RFC 3030 2), and whether it has is not known
  // yet.
  Task<Result<void>> say_all(bool is_first) {
    auto lines = commands();
    if (!lines) {
      settle(lines.error());
      co_return Result<void>();
    }
    const auto content = read_all();
    if (!content) {
      settle(smtp::Reply(451, "4.3.0 the message cannot be read: " + content.error().text));
      co_return Result<void>();
    }
    lines->back() = "BDAT " + std::to_string(content->size()) + " LAST\r\n";
    std::string group = is_first ? "" : "RSET\r\n";
    for (const auto& line : *lines) group += line;
    is_reset_heard_ = is_first;
    replies_due_ = lines->size() + (is_first ? 0 : 1);
    const auto sent = co_await session_.send_with_content(std::move(group), *content);
    // What has not gone out whole is not taken (RFC 3030 2: a chunk is its octets).
    delivery_.in_doubt = sent.has_value();
    co_return sent;
  }

  // The answers to say_all().
  Task<Delivery> hear_all() {
    while (replies_due_ > 0 && !delivery_.broken) {
      const bool is_last = replies_due_ == 1;
      const auto reply = co_await session_.read_reply(is_last ? patience_.final : patience_.command);
      if (!reply) {
        broken(reply.error());
        break;
      }
      const auto taken = hear(*reply);
      if (!taken) broken(taken.error());
      --replies_due_;
    }
    if (!delivery_.broken) delivery_.in_doubt = false;
    co_return std::move(delivery_);
  }

  // No answer will come any more.
  Delivery cut_off(const Error& error) {
    broken(error);
    return std::move(delivery_);
  }

  std::size_t replies_due() const { return replies_due_; }

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

  Result<std::string> read_all() {
    std::string all;
    for (;;) {
      const std::size_t had = all.size();
      all.resize(had + k_piece);
      const auto count = content_.read(all.data() + had, k_piece);
      all.resize(had + count.value_or(0));
      if (!count) return fail(count.error());
      if (*count == 0) return all;
    }
  }

  Result<void> hear(const smtp::Reply& reply) {
    if (!std::exchange(is_reset_heard_, true)) {
      if (reply.is_positive()) return {};
      return fail(reply.code == 421 ? closing(reply) : out_of_step(reply));
    }
    if (heard_ <= envelope_.recipients.size()) return take(heard_++, reply);
    if (reply.code == 421) return fail(closing(reply));
    const bool is_verdict = reply.is_positive() || reply.is_transient() || reply.is_permanent();
    if (!is_verdict || (reply.is_positive() && accepted_.empty())) return fail(out_of_step(reply));
    for (const auto recipient : accepted_) delivery_.recipients[recipient] = reply;
    return {};
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
  std::size_t heard_ = 0;        // of the replies to MAIL and RCPT, where all was said at once
  std::size_t replies_due_ = 0;  // likewise
  bool is_reset_heard_ = true;   // likewise
};

}  // namespace

Task<Delivery> transact(Session& session, const Envelope& envelope, Content& content,
                        const TransactionPatience& patience, DotGate* gate) {
  Transaction transaction(session, envelope, content, patience, gate);
  co_return co_await transaction.run();
}

// --- several at once

class Pipeline::Entry {
 public:
  Entry(Session& session, const Envelope& envelope, Content& content, const TransactionPatience& patience)
      : envelope_(envelope), transaction_(session, envelope_, content, patience, nullptr) {}
  Transaction& transaction() { return transaction_; }
  bool is_said = false;  // or at least begun to be

 private:
  const Envelope envelope_;
  Transaction transaction_;
};

Pipeline::Pipeline(Session& session, const TransactionPatience& patience) : session_(session), patience_(patience) {}
Pipeline::~Pipeline() = default;

bool Pipeline::is_possible(const Session& session) {
  return session.dialect() == Dialect::smtp && session.can_pipeline() && session.capabilities().has("CHUNKING");
}

Task<> Pipeline::begin(const Envelope& envelope, Content& content) {
  entries_.push_back(std::make_unique<Entry>(session_, envelope, content, patience_));
  if (silent_) co_return;
  entries_.back()->is_said = true;
  const bool is_first = !std::exchange(has_begun_, true);
  const auto said = co_await entries_.back()->transaction().say_all(is_first);
  // What the peer has said before may still be there to be read.
  if (!said) silent_ = said.error();
}

Task<Delivery> Pipeline::finish() {
  const auto entry = std::move(entries_.front());
  entries_.pop_front();
  if (deaf_) co_return entry->transaction().cut_off(*deaf_);
  if (!entry->is_said) co_return entry->transaction().cut_off(*silent_);
  auto delivery = co_await entry->transaction().hear_all();
  deaf_ = delivery.broken;
  if (deaf_ && !silent_) silent_ = deaf_;
  co_return delivery;
}

std::size_t Pipeline::replies_due() const {
  std::size_t due = 0;
  for (const auto& entry : entries_) due += entry->transaction().replies_due();
  return due;
}

Task<bool> Pipeline::has_heard() {
  // That the line is gone shows when it is read.
  static_cast<void>(co_await session_.stream().look_ahead());
  co_return !session_.stream().buffered().empty();
}

}  // namespace odmr::client
