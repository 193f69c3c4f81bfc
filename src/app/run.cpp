#include "app/run.hpp"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <map>
#include <utility>

#include "app/ask_to_send.hpp"
#include "app/bounces.hpp"
#include "app/collect.hpp"
#include "app/confinement.hpp"
#include "app/dialled_line.hpp"
#include "app/fetch_spread.hpp"
#include "app/foreign_queue.hpp"
#include "app/held_lines.hpp"
#include "app/journal_place.hpp"
#include "app/kept_mail.hpp"
#include "app/outbound.hpp"
#include "app/plan.hpp"
#include "app/recipients_file.hpp"
#include "app/refusal.hpp"
#include "app/remedy.hpp"
#include "app/run_as.hpp"
#include "app/signal_stop.hpp"
#include "app/state_dir.hpp"
#include "app/tls_tickets.hpp"
#include "net/digest.hpp"
#include "net/system_network.hpp"
#include "net/together.hpp"
#include "watch/supervisor.hpp"

namespace odmr::app {

namespace {

using net::Task;

constexpr auto k_pulse = std::chrono::minutes(1);

bool is_named(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

class Run {
 public:
  Run(const Settings& settings, const RunOptions& options, const Result<confine::Helper>& helper,
      config::RunCommand command, RunObserver& observer, Log& log)
      : settings_(settings),
        options_(options),
        observer_(observer),
        log_(log),
        command_(std::move(command)),
        keyring_(command_, tickets()),
        network_(loop_),
        disk_(net::make_worker()),
        commands_(net::make_worker()),
        bounces_(settings.state_dir + "/bounces", system_files(), network_.clock()),
        shelf_(kept_mail_in(settings.state_dir), *disk_, system_files(), network_.clock()),
        signals_(loop_, network_.clock(), stop_, settings.stop_grace, log, options.is_supervised),
        enough_(loop_),
        held_lines_([this] { look_whether_waiting(); }),
        pulse_(network_.clock().alarm([this] { beat(); })),
        line_(settings.line, helper, *commands_, network_.clock(), log, stop_) {}

  Outcome run() {
    if (!lock()) return worst_;
    if (!options_.send_only) plan_fetches();
    read_ahead();
    if (!shut_in()) return worst_;
    if (!plans_.empty() && !open_journal()) plans_.clear();
    if (!plans_.empty()) recall_refusals();
    if (settings_.outbound && !options_.receive_only) prepare_outbound();
    if (!settings_.outbound && !options_.receive_only) warn_of_mail_that_waits();
    if (options_.stays) heed_enough();
    beat();
    asio::co_spawn(loop_, all(), [this](const std::exception_ptr& problem) {
      signals_.forget();
      enough_.cancel();
      pulse_->clear();
      if (problem) std::rethrow_exception(problem);
    });
    loop_.run();
    if (journal_) journal_->settle_down();
    return worst_;
  }

 private:
  Keyring::Tickets tickets() const {
    return [directory = tickets_in(settings_.state_dir)](const std::string& server) {
      return std::make_shared<FileTickets>(directory, server, system_files());
    };
  }

  // Whoever waits for us hears that we do not hang.
  void beat() {
    if (is_waiting_)
      observer_.on_waiting();
    else
      observer_.on_life();
    pulse_->set(network_.clock().now() + k_pulse);
  }

  // --- lines that are held

  void heed_enough() {
    enough_.add(watch::k_enough);
    enough_.async_wait([this](std::error_code error, int /*number*/) {
      if (!error) held_lines_.break_off();
    });
  }

  // Whether all that is left to do is to wait for mail.
  void look_whether_waiting() {
    const bool waits = held_lines_.waiting() > 0 && held_lines_.waiting() == sessions_ && !is_sending_;
    if (waits == is_waiting_) return;
    is_waiting_ = waits;
    beat();
  }

  // What a run has found out is told at its end, and what comes next is begun by another one.
  void session_over() {
    --sessions_;
    held_lines_.break_off();
    look_whether_waiting();
  }

  void sending_over() {
    is_sending_ = false;
    if (outbound_ && outbound_->report()) held_lines_.break_off();
    look_whether_waiting();
  }

  bool has_something_to_send() const { return (can_send_ && outbound_->has_something()) || runs_command(); }

  SessionReport report_without_connection(const std::optional<std::string>& provider, Outcome outcome, Cause cause,
                                          const std::string& text) const {
    SessionReport report;
    report.session = net::hex(net::random_octets(6));
    report.provider = provider;
    report.outcome = outcome;
    report.started = std::chrono::system_clock::now();
    report.text = text;
    report.cause = cause;
    auto scene = scene_of_state(settings_);
    scene.table = "[provider." + provider.value_or("NAME") + "]";
    report.remedy = remedy(outcome, cause, scene, text);
    return report;
  }

  // --- before the line is used

  bool lock() {
    auto taken = take_state_dir(settings_);
    if (taken) {
      lock_.emplace(std::move(*taken));
      return true;
    }
    const bool is_locked = taken.error().code == Errc::busy;
    const std::string text = is_locked ? "another run works on " + settings_.state_dir : taken.error().text;
    cannot_begin(is_locked ? Outcome::locked : Outcome::state,
                 is_locked ? Cause::locked : cause_of_state(taken.error()), text);
    return false;
  }

  journal::JournalOptions journal_options() const {
    journal::JournalOptions options;
    options.path = journal_in(settings_.state_dir);
    options.duplicate_window = settings_.journal.duplicate_window;
    options.receipts = settings_.journal.receipts;
    return options;
  }

  // Without it nobody would know what a broken line left in doubt.
  bool open_journal() {
    auto opened = journal::Journal::open(journal_options(), loop_.get_executor(), *disk_, network_.clock(), log_);
    if (opened) journal_ = std::move(*opened);
    const auto kept = opened ? open_kept_mail() : Result<void>();
    if (opened && kept) return true;
    const auto why = opened ? "kept mail cannot be worked on: " + kept.error().text
                            : "the journal cannot be used: " + opened.error().text;
    const Cause cause = cause_of_state(opened ? kept.error() : opened.error());
    for (const auto& plan : plans_) ended(report_without_connection(plan->provider, Outcome::state, cause, why));
    return false;
  }

  // What is kept may go only once the journal knows that it got there.
  Result<void> open_kept_mail() {
    kept_mail_.emplace(kept_mail_in(settings_.state_dir), settings_.deliver.lifetime, ways_of_kept_mail(), bounces_,
                       network_, *disk_, system_files(), log_, stop_);
    if (auto opened = kept_mail_->open(); !opened) return opened;
    return journal_->settle_kept([this](const std::string& id) { return kept_mail_->has(id); });
  }

  KeptMail::Ways ways_of_kept_mail() const {
    KeptMail::Ways ways;
    for (const auto& provider : settings_.providers) {
      ways.targets.emplace(provider.name, std::nullopt);
      for (const auto& domain : provider.domains) ways.providers.emplace(domain, provider.name);
    }
    for (const auto& plan : plans_) {
      const KeptMail::Way way{plan->target, plan->soft_bounce, plan->breaker};
      if (has_one_target()) ways.targets.emplace(std::string(), way);
      ways.targets[plan->provider] = way;
    }
    return ways;
  }

  bool has_one_target() const {
    const auto& first = settings_.providers.front().deliver;
    return std::all_of(settings_.providers.begin(), settings_.providers.end(), [&](const ProviderSettings& one) {
      const auto& deliver = one.deliver;
      return deliver.kind == first.kind && deliver.endpoint.text() == first.endpoint.text() &&
             deliver.directory == first.directory;
    });
  }

  void cannot_begin(Outcome outcome, Cause cause, const std::string& text) {
    bool is_said = false;
    for (const auto& provider : settings_.providers) {
      if (options_.send_only || !is_named(options_.providers, provider.name)) continue;
      ended(report_without_connection(provider.name, outcome, cause, text));
      is_said = true;
    }
    if (!is_said) ended(report_without_connection(std::nullopt, outcome, cause, text));
  }

  void plan_fetches() {
    for (const auto& provider : settings_.providers) {
      if (!is_named(options_.providers, provider.name)) continue;
      if (stop_.requested()) {
        ended(report_without_connection(provider.name, Outcome::unavailable, Cause::stopped, "stopped by a signal"));
        continue;
      }
      auto plan = plan_fetch(settings_, provider, keyring_);
      if (!plan && plan.error().code == Errc::interrupted) notice_signals();
      if (!plan && stop_.requested()) {
        ended(report_without_connection(provider.name, Outcome::unavailable, Cause::stopped, "stopped by a signal"));
      } else if (plan) {
        // Without mail and login there is nothing to be read.
        if (!plan->only_asks || plan->server.login) warn_without_tls(plan->server.tls, provider.name);
        add_recipients(provider, *plan);
        plans_.push_back(std::make_unique<FetchPlan>(std::move(*plan)));
      } else {
        // No session came about for which the provider could be named (contract).
        ended(report_without_connection(std::nullopt, Outcome::config, Cause::configuration,
                                        "[provider." + provider.name + "]: " + plan.error().text));
      }
    }
  }

  // A list that is at fault is no reason to leave the mail where it is.
  void add_recipients(const ProviderSettings& provider, FetchPlan& plan) {
    if (provider.recipients_file.empty()) return;
    auto entries = recipients_to_tell(provider);
    if (entries)
      plan.recipients = std::move(*entries);
    else
      log_.warn("the provider is not told our recipients",
                {{"provider", provider.name}, {"why", entries.error().text}});
  }

  // One has ended a command that had to tell a password: before the loop runs nobody hears of it.
  void notice_signals() {
    loop_.poll();
    loop_.restart();
  }

  // What may be needed later, and cannot be read then.
  void read_ahead() {
    keyring_.read_ahead(settings_.deliver.tls, settings_.deliver.login);
    for (const auto& provider : settings_.providers) {
      keyring_.read_ahead(provider.tls, provider.login, name_of(provider));
      keyring_.read_ahead(provider.way);
    }
    if (!settings_.outbound) return;
    keyring_.read_ahead(settings_.outbound->tls, settings_.outbound->login, k_smart_host);
    keyring_.read_ahead(settings_.outbound->way);
    const auto& pop = settings_.outbound->pop_before_smtp;
    if (pop) keyring_.read_ahead(pop->tls, pop->login);
  }

  // No thread has begun yet, and no peer has said a word.
  bool shut_in() {
    if (const auto done = become_configured(settings_.run_as, log_); !done) {
      cannot_begin(Outcome::config, Cause::configuration, "run_as: " + done.error().text);
      return false;
    }
    make_maildirs(settings_);
    app::shut_in(rules_for_run(settings_), log_);
    return true;
  }

  void prepare_outbound() {
    Outbound::OnProgress on_progress = [this](const send::FlushTally& tally) { observer_.on_sending(tally); };
    outbound_.emplace(settings_, options_.retry_all, keyring_, network_, *disk_, std::move(on_progress), log_, stop_);
    if (settings_.outbound->to == OutboundSettings::To::smart_host)
      warn_without_tls(settings_.outbound->tls.policy, "outbound");
  }

  void warn_of_mail_that_waits() {
    const auto waiting = count_waiting(settings_);
    if (waiting == 0) return;
    log_.warn("mail waits in the queue, and the configuration has no [outbound] to send it by",
              {{"messages", std::to_string(waiting)}, {"state_dir", settings_.state_dir}});
  }

  void warn_of_senders_untold() {
    const auto untold = count_untold(settings_);
    if (untold == 0) return;
    log_.warn("received mail came to nothing, and the configuration has no [outbound] to tell its senders by",
              {{"messages", std::to_string(untold)}, {"state_dir", settings_.state_dir}});
  }

  void warn_without_tls(client::TlsPolicy policy, const std::string& with) {
    if (policy != client::TlsPolicy::none && policy != client::TlsPolicy::if_available) return;
    log_.warn("tls is not required: mail and login may be read, or changed, on the way", {{"with", with}});
  }

  // --- the run

  Task<> all() {
    if (kept_mail_ && !plans_.empty()) co_await hand_over_kept_mail();
    if (outbound_) can_send_ = co_await outbound_->prepare();
    if (has_use_for_line()) co_await use_line();
    if (can_send_) co_await tell_senders();
    if (!settings_.outbound) warn_of_senders_untold();
    if (outbound_) {
      if (const auto report = outbound_->report()) ended(*report);
      if (const auto receipt = outbound_->receipt()) co_await note(*receipt);
    }
  }

  // A run that only sends has had no use for the journal so far. What went out is out, whether it can be noted or not.
  Task<> note(const journal::FlushReceipt& receipt) {
    if (!journal_) {
      auto opened = journal::Journal::open(journal_options(), loop_.get_executor(), *disk_, network_.clock(), log_);
      if (opened) journal_ = std::move(*opened);
    }
    if (!journal_) {
      log_.warn("what was sent cannot be noted in the journal", {{"state_dir", settings_.state_dir}});
      co_return;
    }
    journal_->note(receipt);
    const auto kept = co_await journal_->flush();
    static_cast<void>(kept);  // the log tells where it fails
  }

  // A line that is dialled costs something.
  bool has_use_for_line() const {
    const bool has_mail = can_send_ && outbound_->has_something();
    const bool has_asked =
        std::any_of(plans_.begin(), plans_.end(), [this](const auto& one) { return is_asked(*one); });
    return has_asked || has_mail || runs_command();
  }
  bool runs_command() const { return settings_.command && !options_.receive_only; }

  Task<> use_line() {
    const auto up = co_await line_.bring_up();
    if (up)
      co_await receive_and_send();
    else
      co_await not_up(up.error().text);
    co_await line_.take_down();
  }

  // Nobody was asked for anything.
  Task<> not_up(const std::string& why) {
    for (const auto& plan : plans_) {
      if (!is_asked(*plan)) continue;
      auto report = report_without_connection(plan->provider, Outcome::unavailable, Cause::line_not_up, why);
      report.session = plan->session_id;
      journal_->note(receipt_of_end(report, report.started));
      ended(report);
    }
    if (journal_) {
      const auto kept = co_await journal_->flush();
      static_cast<void>(kept);  // the log tells where it fails
    }
    if (can_send_) co_await outbound_->not_reached(Outcome::unavailable, Cause::line_not_up, why);
    if (!runs_command()) co_return;
    log_.error("[outbound] command: not run", {{"why", why}});
    worst_ = worst(worst_, Outcome::unavailable);
  }

  Task<> receive_and_send() {
    for (const auto& plan : plans_) plan->server.line_due = line_.due();
    if (outbound_) outbound_->expect_line(line_.due());
    switch (settings_.order) {
      case Order::side_by_side: {
        std::vector<Task<>> both;
        both.push_back(receive());
        both.push_back(send());
        co_await net::together(std::move(both));
        break;
      }
      case Order::send_first:
        co_await send();
        co_await receive();
        break;
      case Order::receive_first:
        if (has_something_to_send()) held_lines_.break_off();
        co_await receive();
        co_await send();
        break;
    }
    // What the received mail left to send.
    if (can_send_) co_await outbound_->send_what_came_meanwhile();
  }

  // First: it is older than what comes now.
  Task<> hand_over_kept_mail() {
    const auto report = co_await kept_mail_->hand_over();
    is_mail_kept_ = report.waiting > 0;
    if (is_mail_kept_) {
      log_.warn("mail that the local target put off is still kept here",
                {{"messages", std::to_string(report.waiting)}, {"why", report.why}});
      worst_ = worst(worst_, Outcome::deferred);
    }
    if (report.state_error) worst_ = worst(worst_, Outcome::state);
  }

  Task<> receive() {
    sessions_ = plans_.size();
    std::vector<Task<>> sessions;
    for (const auto& plan : plans_) sessions.push_back(fetch_one(*plan));
    co_await net::together(std::move(sessions));
  }

  Task<> fetch_one(const FetchPlan& plan) {
    const auto refusal = refusals_.find(plan.provider);
    if (refusal != refusals_.end())
      co_await send_nevertheless(plan, refusal->second);
    else
      co_await ask(plan);
    session_over();
  }

  Task<> ask(const FetchPlan& plan) {
    OnProgress on_progress = [this, &plan](const receive::Tally& tally, std::uint64_t bytes) {
      observer_.on_receiving(plan.provider, tally, bytes);
    };
    const bool carries_outbound = can_send_ && outbound_->goes_over(plan.provider);
    BeforeTurn* before_turn = carries_outbound ? &*outbound_ : nullptr;
    // What is kept here is offered to the target by the interval, so that is when the next run has to come.
    HeldLines* held_lines = options_.stays && !is_mail_kept_ ? &held_lines_ : nullptr;
    const Books books{system_files(), *journal_, bounces_, plan.keeps_deferred ? &shelf_ : nullptr};
    if (plan.only_asks) {
      const auto asked = co_await ask_to_send(plan, network_, books, log_, stop_);
      co_return ended(asked);
    }
    if (plan.signal) {
      const auto failed = co_await signal_first(plan, network_, books, log_, stop_);
      if (failed) ended(*failed);
      if (failed && carries_outbound) co_await outbound_->not_reached(failed->outcome, failed->cause, failed->text);
      if (failed) co_return;
    }
    if (plan.mailbox) {
      const auto collected = co_await collect_mail(plan, network_, books, std::move(on_progress), log_, stop_);
      co_return ended(collected);
    }
    SessionReport report;
    if (plan.parallel > 1 && plan.domains.size() > 1)
      report = co_await fetch_spread(plan, network_, books, before_turn, std::move(on_progress), log_, stop_);
    else
      report = co_await fetch(plan, network_, books, before_turn, std::move(on_progress), log_, stop_, held_lines);
    ended(report);
    if (!carries_outbound) co_return;
    // Nobody to give mail to is no reason to keep what goes out.
    if (report.outcome == Outcome::local_down) co_await outbound_->speak_alone(plan);
    co_await outbound_->not_reached(report.outcome, report.cause, report.text);
  }

  // --- what was refused a moment ago

  // Before the line is up: a provider that is not tried is no reason to dial.
  void recall_refusals() {
    for (const auto& plan : plans_) {
      auto& memory = memories_.try_emplace(plan->provider, *plan, answers_of(plan->provider)).first->second;
      plan->fingerprint = [&memory] { return memory.fingerprint(); };
      const auto refusal = standing(memory, *plan);
      if (!refusal) continue;
      refusals_.emplace(plan->provider, *refusal);
      ended(report_not_tried(*plan, *refusal));
    }
  }

  bool is_asked(const FetchPlan& plan) const { return !refusals_.contains(plan.provider); }

  std::vector<journal::SessionReceipt> answers_of(const std::string& provider) {
    auto answers = journal_ ? journal_->receipts().answers_of(provider, k_refusals_looked_at) : read_answers(provider);
    if (answers) return std::move(*answers);
    log_.warn("whether the provider refused us cannot be read",
              {{"provider", provider}, {"why", answers.error().text}});
    return {};
  }

  // A run that only sends writes no journal.
  Result<std::vector<journal::SessionReceipt>> read_answers(const std::string& provider) const {
    auto book = look_into_journal(settings_.state_dir);
    if (!book) return fail(book.error());
    if (!*book) return std::vector<journal::SessionReceipt>();
    return (*book)->receipts().answers_of(provider, k_refusals_looked_at);
  }

  std::optional<Refusal> standing(RefusalMemory& memory, const FetchPlan& plan) {
    if (options_.force) return std::nullopt;
    const auto provider = std::find_if(settings_.providers.begin(), settings_.providers.end(),
                                       [&](const ProviderSettings& one) { return one.name == plan.provider; });
    return memory.standing(provider->retry, network_.clock().wall());
  }

  SessionReport report_not_tried(const FetchPlan& plan, const Refusal& refusal) {
    const std::string why = why_not_tried(refusal, network_.clock().wall());
    auto report = report_without_connection(plan.provider, refusal.outcome, cause_of(refusal), why);
    const auto port = plan.mailbox || plan.only_asks ? k_odmr_port : plan.server.endpoint.port;
    const Scene scene{With::provider, "[provider." + plan.provider + "]", port};
    report.remedy = remedy(report.outcome, report.cause, scene, why);
    report.not_before = refusal.until;
    return report;
  }

  // A login that is refused carries no mail; where it was ATRN alone, mail may go.
  Task<> send_nevertheless(const FetchPlan& plan, const Refusal& refusal) {
    if (!can_send_ || !outbound_->goes_over(plan.provider)) co_return;
    if (refusal.outcome == Outcome::refused) co_await outbound_->speak_alone(plan);
    const std::string why = why_not_tried(refusal, network_.clock().wall());
    co_await outbound_->not_reached(refusal.outcome, cause_of(refusal), why);
  }

  Task<> send() {
    is_sending_ = true;
    std::vector<Task<>> ways;
    if (can_send_) {
      ways.push_back(outbound_->send());
      ways.push_back(send_without_turn());
    }
    if (runs_command()) ways.push_back(flush_other_queue());
    co_await net::together(std::move(ways));
    sending_over();
  }

  // Where the provider is the way out, and is not asked for mail in this run.
  Task<> send_without_turn() {
    for (const auto& provider : settings_.providers) {
      if (!outbound_->goes_over(provider.name) || is_fetched(provider.name)) continue;
      auto plan = plan_fetch(settings_, provider, keyring_);
      if (plan) plan->server.line_due = line_.due();
      if (plan)
        co_await send_alone(*plan);
      else
        co_await outbound_->not_reached(Outcome::config, Cause::configuration,
                                        "[provider." + provider.name + "]: " + plan.error().text);
    }
  }

  Task<> send_alone(const FetchPlan& plan) {
    RefusalMemory memory(plan, answers_of(plan.provider));
    const auto refusal = standing(memory, plan);
    if (refusal)
      co_await send_nevertheless(plan, *refusal);
    else
      co_await outbound_->speak_alone(plan);
  }

  bool is_fetched(const std::string& provider) const {
    return std::any_of(plans_.begin(), plans_.end(), [&](const auto& plan) { return plan->provider == provider; });
  }

  Task<> flush_other_queue() {
    const auto flushed =
        co_await flush_foreign_queue(*settings_.command, command_, *commands_, network_.clock(), log_, stop_);
    if (flushed) co_return;
    log_.error("[outbound] command: " + flushed.error().text);
    worst_ = worst(worst_, Outcome::deferred);
  }

  // By the local target, so without the line.
  Task<> tell_senders() {
    co_await outbound_->tell_senders();
    co_await outbound_->say_what_is_stuck();
  }

  void ended(const SessionReport& report) {
    worst_ = worst(worst_, report.outcome);
    observer_.on_session(report);
  }

  const Settings& settings_;
  const RunOptions& options_;
  RunObserver& observer_;
  Log& log_;
  config::RunCommand command_;
  Keyring keyring_;
  asio::io_context loop_{1};
  net::SystemNetwork network_;
  std::unique_ptr<net::Worker> disk_;
  std::unique_ptr<net::Worker> commands_;
  BounceFolder bounces_;
  KeptFolder shelf_;
  std::optional<KeptMail> kept_mail_;
  Stop stop_;
  SignalStop signals_;
  asio::signal_set enough_;
  HeldLines held_lines_;
  std::size_t sessions_ = 0;  // under way
  bool is_sending_ = false;
  bool is_waiting_ = false;    // for mail, and for nothing else
  bool is_mail_kept_ = false;  // and the local target does not take it
  std::unique_ptr<Alarm> pulse_;
  DialledLine line_;
  std::optional<spool::DirectoryLock> lock_;
  std::unique_ptr<journal::Journal> journal_;
  std::vector<std::unique_ptr<FetchPlan>> plans_;
  std::map<std::string, RefusalMemory> memories_;  // by provider
  std::map<std::string, Refusal> refusals_;        // of providers that are not asked in this run
  std::optional<Outbound> outbound_;
  bool can_send_ = false;
  Outcome worst_ = Outcome::no_mail;
};

}  // namespace

Outcome run(const Settings& settings, const RunOptions& options, RunObserver& observer, Log& log) {
  // Never destroyed: a resolver's thread that waits for a dead name server would hold up the end.
  auto* helper = new Result<confine::Helper>(confine::Helper::start(commands_of(settings)));
  config::RunCommand command = [helper](const confine::Command& argv, Duration patience) {
    return *helper ? (*helper)->output_of(argv, patience) : fail(helper->error());
  };
  auto* run = new Run(settings, options, *helper, std::move(command), observer, log);
  return run->run();
}

std::vector<std::string> unknown_providers(const Settings& settings, const std::vector<std::string>& providers) {
  std::vector<std::string> unknown;
  for (const auto& name : providers) {
    const bool is_known = std::any_of(settings.providers.begin(), settings.providers.end(),
                                      [&](const ProviderSettings& one) { return one.name == name; });
    if (!is_known) unknown.push_back(name);
  }
  return unknown;
}

}  // namespace odmr::app
