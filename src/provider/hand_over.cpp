#include "provider/hand_over.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "client/transaction.hpp"
#include "provider/kept_line.hpp"
#include "send/stored_message.hpp"
#include "smtp/command.hpp"

namespace odmr::provider {

namespace {

using net::Task;

constexpr auto k_farewell = std::chrono::seconds(10);
// Of mail under way at once. A peer that reads no more before its replies are read could hold as many of them as fit
// into the buffers between us.
constexpr std::size_t k_most_under_way = 256;
constexpr std::size_t k_most_replies_due = 1000;
constexpr std::uint64_t k_most_octets_under_way = std::uint64_t{4} * 1024 * 1024;
constexpr std::uint64_t k_small = std::uint64_t{256} * 1024;

// What one transaction came to, by recipient.
struct Verdict {
  std::vector<std::size_t> taken;
  std::vector<Refused> refused;
  std::size_t put_off = 0;
  std::size_t unanswered = 0;
};

Verdict verdict_of(const client::Delivery& delivery, const std::vector<std::size_t>& recipients) {
  Verdict verdict;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const auto& reply = delivery.recipients[i];
    if (!reply)
      ++verdict.unanswered;
    else if (reply->is_positive())
      verdict.taken.push_back(recipients[i]);
    else if (reply->is_permanent())
      verdict.refused.push_back({recipients[i], *reply});
    else
      ++verdict.put_off;
  }
  return verdict;
}

class HandOver {
 public:
  HandOver(client::Session session, Domains domains, HeldMail::Claim claim, Visits::Visit visit, HeldMail& held,
           const SessionOptions& options, Log& log, Stop& stop)
      : session_(std::move(session)),
        domains_(std::move(domains)),
        claim_(std::move(claim)),
        visit_(std::move(visit)),
        held_(held),
        options_(options),
        log_(log),
        stop_(stop) {
    patience_ = client::TransactionPatience{options.command, options.data, options.final};
  }

  /// Keeps the line when all is sent.
  void keep(std::unique_ptr<KeptLine> line, std::function<void(const HandedOver&)> so_far) {
    kept_ = std::move(line);
    so_far_ = std::move(so_far);
  }

  Task<HandedOver> run(bool is_introduced) {
    const Stop::Listener listener(stop_, [this](Stop::Phase phase) { on_stop(phase); });
    if (!is_introduced) is_introduced = co_await introduce();
    if (is_introduced) co_await send_all();
    while (may_be_kept()) co_await send_what_comes();
    // The customer may come again as soon as it has answered QUIT.
    claim_.reset();
    visit_.reset();
    if (is_broken_)
      session_.close();
    else
      co_await session_.quit(k_farewell);
    co_return std::move(sum_);
  }

 private:
  void on_stop(Stop::Phase phase) {
    if (phase == Stop::Phase::leave)
      session_.close();
    else if (!in_transaction_)
      session_.stream().interrupt();
  }

  void end(const std::string& how) { sum_.end = how; }
  void broken(const Error& error) {
    is_broken_ = true;
    end(error.text);
  }

  // RFC 2645 5.2: the customer's greeting, then a new EHLO. What a greeting other than 220 means is between it and us:
  // no mail bounces for it.
  Task<bool> introduce() {
    const auto greeting = co_await session_.read_reply(options_.command);
    if (!understood(greeting)) co_return false;
    if (greeting->code != 220) co_return turned_away(*greeting);
    for (const std::string verb : {"EHLO ", "HELO "}) {
      const auto line = smtp::command_line(verb + options_.hostname);
      if (!line) co_return turned_away(smtp::Reply(500, line.error().text));
      const auto reply = co_await session_.ask(*line, options_.command);
      if (!understood(reply)) co_return false;
      if (reply->is_positive()) {
        if (verb == "EHLO ") session_.set_capabilities(smtp::Capabilities::from(*reply));
        co_return true;
      }
      if (!reply->is_permanent() || verb == "HELO ") co_return turned_away(*reply);
    }
    co_return false;
  }

  // A message that is sent whole before its first reply is read has been taken, perhaps, when the line breaks. Who does
  // not know it when it comes again would have it twice: there it is DATA, which leaves the least time for that.
  bool takes_several() const { return client::Pipeline::is_possible(session_) && session_.capabilities().has("XONCE"); }

  bool understood(const Result<smtp::Reply>& reply) {
    if (!reply && reply.error().code == Errc::interrupted)
      end("stopped by a signal");
    else if (!reply)
      broken(reply.error());
    return reply.has_value();
  }

  bool turned_away(const smtp::Reply& reply) {
    end("the customer takes nothing: " + reply.joined());
    is_broken_ = reply.code == 421;
    return false;
  }

  Task<> send_all() {
    std::string last;
    while (!is_broken_ && !is_stuck_) {
      if (stop_.requested()) {
        end("stopped by a signal");
        break;
      }
      const auto due = co_await next_after(last);
      if (!due && !under_way_.empty()) {
        co_await finish_one();
        continue;
      }
      if (!due) {
        sum_.is_whole = true;
        co_return end("all sent");
      }
      last = due->id;
      co_await send(*due);
    }
    while (!under_way_.empty()) co_await finish_one();
  }

  // --- a line that is kept

  // What was put off, or cannot be read, is for the next session: with it there, this line would never be at rest.
  bool may_be_kept() const {
    return kept_ && sum_.is_whole && !is_broken_ && !is_stuck_ && !has_left_some_ && sum_.put_off == 0;
  }

  Task<> send_what_comes() {
    claim_.reset();
    visit_.reset();
    so_far_(sum_);
    auto right = co_await kept_->wait(session_);
    if (!right) {
      kept_.reset();
      is_broken_ = right.error().is_broken;
      co_return end(right.error().why);
    }
    claim_.emplace(std::move(right->claim));
    visit_.emplace(std::move(right->visit));
    sum_.is_whole = false;
    co_await send_all();
  }

  // --- one behind the other

  struct UnderWay {
    std::string id;
    spool::MessageReader message;
    std::vector<std::size_t> recipients;
  };

  bool is_for_pipeline(const Due& due, std::uint64_t size) const {
    return takes_several() && size <= k_small && due.recipients.size() <= options_.most_recipients;
  }

  bool is_full(std::uint64_t size) const {
    return under_way_.size() >= k_most_under_way || pipeline_.replies_due() >= k_most_replies_due ||
           octets_under_way_ + size > k_most_octets_under_way;
  }

  Task<> send_behind(const Due& due, spool::MessageReader message) {
    const auto size = message.size();
    while (!under_way_.empty() && is_full(size)) co_await finish_one();
    if (is_broken_ || is_stuck_ || stop_.requested()) co_return;
    const auto envelope = send::envelope_for(message.envelope(), due.recipients, size, session_.capabilities());
    if (!envelope) co_return held_.set_aside(due.id, envelope.error().text);
    under_way_.push_back({due.id, std::move(message), due.recipients});
    octets_under_way_ += size;
    in_transaction_ = true;
    send::StoredContent content(under_way_.back().message);
    co_await pipeline_.begin(*envelope, content);
    for (;;) {
      const bool has_heard = co_await pipeline_.has_heard();
      if (!has_heard || under_way_.empty()) break;
      co_await finish_one();
    }
  }

  Task<> finish_one() {
    const auto delivery = co_await pipeline_.finish();
    UnderWay one = std::move(under_way_.front());
    under_way_.pop_front();
    octets_under_way_ -= one.message.size();
    in_transaction_ = !under_way_.empty();
    const bool was_taken = co_await book(one.id, one.message, delivery, one.recipients);
    if (was_taken) {
      ++sum_.messages;
      sum_.bytes += one.message.size();
    }
  }

  // --- one after the other

  Task<std::optional<Due>> next_after(const std::string& last) {
    auto due = held_.next_for(domains_, last);
    if (due) co_return due;
    const auto looked = co_await held_.look();
    if (!looked) log_.error("the spool cannot be read", {{"why", looked.error().text}});
    co_return held_.next_for(domains_, last);
  }

  Task<> send(const Due& due) {
    auto message = co_await held_.open(due.id);
    if (!message) {
      if (message.error().code != Errc::malformed && message.error().code != Errc::not_found) {
        log_.error("a held message cannot be read", {{"id", due.id}, {"why", message.error().text}});
        has_left_some_ = true;
      }
      co_return;
    }
    if (is_for_pipeline(due, message->size())) co_return co_await send_behind(due, std::move(*message));
    while (!under_way_.empty()) co_await finish_one();
    bool is_counted = false;
    for (std::size_t begin = 0; begin < due.recipients.size() && !is_broken_ && !is_stuck_;) {
      const std::size_t count = std::min(options_.most_recipients, due.recipients.size() - begin);
      const std::vector<std::size_t> group(due.recipients.begin() + static_cast<std::ptrdiff_t>(begin),
                                           due.recipients.begin() + static_cast<std::ptrdiff_t>(begin + count));
      begin += count;
      const bool was_taken = co_await transact(due.id, *message, group);
      if (was_taken && !std::exchange(is_counted, true)) {
        ++sum_.messages;
        sum_.bytes += message->size();
      }
    }
  }

  // Gives whether anybody has taken the message.
  Task<bool> transact(const std::string& id, spool::MessageReader& message, const std::vector<std::size_t>& group) {
    const auto envelope = send::envelope_for(message.envelope(), group, message.size(), session_.capabilities());
    if (!envelope) {
      held_.set_aside(id, envelope.error().text);
      co_return false;
    }
    send::StoredContent content(message);
    in_transaction_ = true;
    const auto delivery = co_await client::transact(session_, *envelope, content, patience_);
    in_transaction_ = false;
    co_return co_await book(id, message, delivery, group);
  }

  // Gives whether anybody has taken the message.
  Task<bool> book(const std::string& id, spool::MessageReader& message, const client::Delivery& delivery,
                  const std::vector<std::size_t>& group) {
    const auto verdict = verdict_of(delivery, group);
    log_message(id, message, delivery, verdict);
    co_await record(id, message, verdict);
    if (delivery.broken) broken(*delivery.broken);
    co_return !verdict.taken.empty();
  }

  Task<> record(const std::string& id, spool::MessageReader& message, const Verdict& verdict) {
    if (!verdict.taken.empty()) {
      const auto done = co_await held_.done(id, verdict.taken);
      if (!done) stuck();
    }
    if (!verdict.refused.empty()) {
      const auto bounce = co_await held_.refuse(id, message, verdict.refused);
      if (bounce) {
        log_.info("bounce written", {{"id", id}, {"bounce", *bounce}});
      } else {
        log_.error("no bounce can be written", {{"id", id}, {"why", bounce.error().text}});
        stuck();
      }
    }
    sum_.recipients += verdict.taken.size();
    sum_.refused += verdict.refused.size();
    sum_.put_off += verdict.put_off;
  }

  // A disk that does not note what was handed over would have us hand it over again after a restart: not one more.
  void stuck() {
    is_stuck_ = true;
    end("the spool cannot be written");
  }

  void log_message(const std::string& id, const spool::MessageReader& message, const client::Delivery& delivery,
                   const Verdict& verdict) {
    log_.info("message", {{"id", id},
                          {"from", "<" + message.envelope().reverse_path + ">"},
                          {"bytes", std::to_string(message.size())},
                          {"taken", std::to_string(verdict.taken.size())},
                          {"put_off", std::to_string(verdict.put_off)},
                          {"refused", std::to_string(verdict.refused.size())},
                          {"unanswered", std::to_string(verdict.unanswered)},
                          {"in_doubt", delivery.in_doubt ? "yes" : "no"},
                          {"reply", send::words_of(delivery)}});
  }

  client::Session session_;
  Domains domains_;
  std::optional<HeldMail::Claim> claim_;
  std::optional<Visits::Visit> visit_;
  HeldMail& held_;
  const SessionOptions& options_;
  Log& log_;
  Stop& stop_;
  client::TransactionPatience patience_;
  client::Pipeline pipeline_{session_, patience_};
  std::deque<UnderWay> under_way_;  // as pipeline_ has them
  std::uint64_t octets_under_way_ = 0;
  HandedOver sum_;
  bool in_transaction_ = false;
  bool is_broken_ = false;
  bool is_stuck_ = false;
  bool has_left_some_ = false;      // that could not be read
  std::unique_ptr<KeptLine> kept_;  // null: it is not kept
  std::function<void(const HandedOver&)> so_far_;
};

}  // namespace

Task<HandedOver> hand_over(Turn turn, Provider& provider, Calls::Line& line, Log& log, Stop& stop) {
  client::Session session(std::move(turn.stream), client::Dialect::smtp, log, provider.options.silence);
  HandOver work(std::move(session), turn.domains, std::move(turn.claim), std::move(turn.visit), provider.held,
                provider.options, log, stop);
  if (turn.keep > Duration::zero()) {
    auto kept = std::make_unique<KeptLine>(std::move(turn.customer), std::move(turn.domains), turn.keep, provider, line,
                                           log, stop);
    work.keep(std::move(kept), [&line](const HandedOver& sum) { line.handed_over(sum); });
  }
  co_return co_await work.run(false);
}

Task<HandedOver> hand_over(client::Session session, Domains domains, HeldMail::Claim claim, Visits::Visit visit,
                           HeldMail& held, const SessionOptions& options, Log& log, Stop& stop) {
  HandOver work(std::move(session), std::move(domains), std::move(claim), std::move(visit), held, options, log, stop);
  co_return co_await work.run(true);
}

void say(const HandedOver& sum, std::string_view event, const std::string& customer, Duration length, Log& log) {
  log.info(event, {{"customer", customer},
                   {"messages", std::to_string(sum.messages)},
                   {"recipients", std::to_string(sum.recipients)},
                   {"bytes", std::to_string(sum.bytes)},
                   {"put_off", std::to_string(sum.put_off)},
                   {"refused", std::to_string(sum.refused)},
                   {"seconds", in_seconds(length)},
                   {"end", sum.end}});
}

std::string in_seconds(Duration length) {
  return fmt::format("{:.3f}", std::chrono::duration<double>(length).count());
}

}  // namespace odmr::provider
