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
  Transaction(Session& session, const Envelope& envelope, Content& content, const TransactionPatience& patience)
      : session_(session), envelope_(envelope), content_(content), patience_(patience) {
    delivery_.recipients.resize(envelope.recipients.size());
  }

  Task<Delivery> run() {
    const auto lines = commands();
    if (!lines) {
      settle(smtp::Reply(lines.error().code == Errc::malformed ? 550 : 553, lines.error().text));
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
  // MAIL, one RCPT each, and DATA at the end.
  Result<std::vector<std::string>> commands() const {
    const auto& offered = session_.capabilities();
    smtp::MailOptions options = envelope_.options;
    const bool needs_utf8 = options.smtputf8;
    if (needs_utf8 && !offered.has("SMTPUTF8")) {
      return fail(Errc::malformed, "5.6.7 the next hop does not take internationalized mail (SMTPUTF8)");
    }
    if (!offered.has("SIZE")) options.size.reset();
    if (!offered.has("8BITMIME")) options.body = smtp::BodyType::unspecified;
    const bool dsn = offered.has("DSN");
    if (!dsn) options.ret = options.envid = std::string();

    std::vector<std::string> lines;
    auto mail = smtp::mail_line(envelope_.reverse_path, options);
    if (!mail) return fail(Errc::too_long, "5.1.7 " + mail.error().text);
    lines.push_back(std::move(*mail));
    for (const auto& recipient : envelope_.recipients) {
      auto rcpt = smtp::rcpt_line(recipient.mailbox, dsn ? recipient.notify : std::string(),
                                  dsn ? recipient.orcpt : std::string());
      if (!rcpt) return fail(Errc::too_long, "5.1.3 " + rcpt.error().text);
      lines.push_back(std::move(*rcpt));
    }
    lines.emplace_back("DATA\r\n");
    return lines;
  }

  Task<Result<void>> say_in_one(const std::vector<std::string>& lines) {
    std::string group;
    for (const auto& line : lines) group += line;
    const auto sent = co_await session_.send(group);
    if (!sent) co_return fail(sent.error());
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

  // Files the reply to command `i`. 421 ends the conversation wherever it comes (RFC 5321 3.8).
  Result<void> take(std::size_t i, const smtp::Reply& reply) {
    if (reply.code == 421) return fail(Errc::closed, session_.stream().peer() + ": " + reply.joined());
    if (i == 0) {
      mail_taken_ = reply.is_positive();
      needs_reset_ = mail_taken_;
      if (!mail_taken_) settle(reply);
    } else if (i <= envelope_.recipients.size()) {
      if (!mail_taken_) return {};
      if (reply.is_positive())
        accepted_.push_back(i - 1);
      else
        delivery_.recipients[i - 1] = reply;
    } else {
      data_reply_ = reply;
      if (reply.code != 354) settle(reply);
    }
    return {};
  }

  Task<> send_message() {
    // RFC 2920 3.1: a 354 with no recipient is answered by an empty message, which the server must not deliver.
    if (accepted_.empty()) {
      const auto reply = co_await session_.ask(".\r\n", patience_.final);
      if (!reply) broken(reply.error());
      needs_reset_ = false;
      co_return;
    }
    const auto sent = co_await send_content();
    if (!sent) {
      broken(sent.error());
      co_return;
    }
    co_await read_verdict();
  }

  Task<Result<void>> send_content() {
    smtp::DotEncoder encoder;
    std::string piece(k_piece, '\0');
    std::string encoded;
    for (;;) {
      const auto count = content_.read(piece.data(), piece.size());
      // Without the dot nothing is delivered (RFC 5321 4.1.1.4): the caller closes.
      if (!count) co_return fail(count.error());
      if (*count == 0) break;
      encoded.clear();
      encoder.encode(std::string_view(piece).substr(0, *count), encoded);
      const auto sent = co_await session_.send_content(encoded);
      if (!sent) co_return fail(co_await last_words(sent.error()));
    }
    encoded.clear();
    encoder.finish(encoded);
    delivery_.in_doubt = true;
    const auto sent = co_await session_.send_content(encoded);
    if (!sent) co_return fail(sent.error());
    co_return Result<void>();
  }

  // A peer that refuses in mid-message may have said so before it closed.
  Task<Error> last_words(Error error) {
    const auto reply = co_await session_.read_reply(std::chrono::seconds(1));
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
      if (answers == 1) {
        for (const auto recipient : accepted_) delivery_.recipients[recipient] = *reply;
      } else {
        delivery_.recipients[accepted_[i]] = *reply;
      }
    }
    delivery_.in_doubt = false;
    needs_reset_ = false;
  }

  Task<> reset() {
    const auto reply = co_await session_.ask("RSET\r\n", patience_.command);
    if (!reply)
      broken(reply.error());
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
  Delivery delivery_;
  std::vector<std::size_t> accepted_;
  std::optional<smtp::Reply> data_reply_;
  bool mail_taken_ = false;
  bool needs_reset_ = false;
};

}  // namespace

Task<Delivery> transact(Session& session, const Envelope& envelope, Content& content,
                        const TransactionPatience& patience) {
  Transaction transaction(session, envelope, content, patience);
  co_return co_await transaction.run();
}

}  // namespace odmr::client
