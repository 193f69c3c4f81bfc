#include "cli/setup_command.hpp"

#include <sysexits.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "app/local_targets.hpp"
#include "app/places.hpp"
#include "app/probe.hpp"
#include "app/queue_place.hpp"
#include "app/run_as.hpp"
#include "app/setup_files.hpp"
#include "app/setup_from_fetchmail.hpp"
#include "app/setup_interview.hpp"
#include "app/switch_on.hpp"
#include "base/ascii.hpp"
#include "cli/person.hpp"
#include "cli/probe_printer.hpp"
#include "config/file.hpp"
#include "show/print.hpp"
#include "show/probe_text.hpp"
#include "show/setup_text.hpp"
#include "show/wrapped.hpp"
#include "smtp/path.hpp"

namespace odmr::cli {

namespace {

using app::Question;

constexpr std::size_t k_long = 2000;
constexpr int k_exit_interrupted = 130;  // as shells have it: 128 and SIGINT

bool is_there(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

std::string mailname() {
  const auto file = config::read_file("/etc/mailname", 1024);
  return file ? file->bytes.text() : std::string();
}

// Why setup ends before anything is written.
struct Refusal {
  int exit = k_exit_usage;
  std::vector<std::string> reasons;
};
tl::unexpected<Refusal> refusal(int exit, std::vector<std::string> reasons) {
  return tl::unexpected(Refusal{exit, std::move(reasons)});
}
template <class Value = void>
using Attempt = tl::expected<Value, Refusal>;

class Setup {
 public:
  explicit Setup(const SetupOptions& options)
      : options_(options), out_(options.json ? stderr : stdout), around_(app::look_around()) {}

  int run() {
    if (const auto done = prepare(); !done) return give_up(done.error());
    auto interview = options_.is_non_interactive ? take_options() : ask();
    if (!interview) return give_up(interview.error());
    if (const auto written = write(*interview); !written) return give_up(written.error());
    return finish(interview->answers);
  }

 private:
  void say(const std::string& line) {
    if (!options_.quiet) show::print_wrapped(out_, line);
  }

  int give_up(const Refusal& refusal) {
    if (options_.json) {
      report_.faults = refusal.reasons;
      show::print_line(stdout, show::as_json(report_));
    } else {
      for (const auto& reason : refusal.reasons) show::print_line(stderr, "odmr: " + escape(reason, k_long));
    }
    return refusal.exit;
  }

  // --- what is known before anybody is asked

  Attempt<> prepare() {
    place_.configuration = app::place_to_write(options_.config);
    place_.may_replace = options_.may_replace;
    if (auto taken = take_fetchmailrc(); !taken) return taken;
    if (auto taken = take_given(); !taken) return taken;
    auto& answers = briefing_.answers;
    if (around_.is_root && around_.has_user) {
      if (const auto user = confine::find_user("odmr")) place_.reader = *user;
      answers.run_as = "odmr";
    }
    briefing_.likely_domain = app::likely_domain(mailname(), app::default_hostname());
    return {};
  }

  Attempt<> take_fetchmailrc() {
    if (options_.fetchmailrc.empty()) {
      if (!options_.entry.empty()) return refusal(k_exit_usage, {"--entry is for --from-fetchmailrc"});
      return {};
    }
    auto carried = app::carry_over_file(options_.fetchmailrc, options_.entry);
    if (!carried) return refusal(exit_status(Outcome::config), {carried.error().text});
    briefing_.answers = std::move(carried->answers);
    briefing_.password = std::move(carried->password);
    further_ = std::move(carried->secrets);
    if (!briefing_.answers.has_odmr) {
      briefing_.settled.insert({Question::provider, Question::domains, Question::user, Question::password});
      if (!options_.provider.empty())
        return refusal(k_exit_usage, {"--provider is for ODMR, and no entry that is carried over has it"});
    }
    report_.notes = std::move(carried->notes);
    for (const auto& note : report_.notes) {
      if (!options_.json) say("note: " + note);
    }
    return {};
  }

  // An option is an answer, and no question any more.
  Attempt<> take_given() {
    auto& answers = briefing_.answers;
    std::vector<std::string> wrong;
    const auto fill = [](std::string& field, const std::string& value) {
      if (!value.empty()) field = value;
    };
    if (!options_.name.empty()) {
      const auto good = app::check_provider_name(options_.name);
      if (!good) wrong.push_back("--name: " + good.error().text);
      if (good) answers.name = options_.name;
    }
    fill(answers.tls, options_.tls);
    fill(answers.hostname, options_.hostname);
    fill(answers.ca_file, absolute(options_.ca_file));
    fill(answers.state_dir, absolute(options_.state_dir));
    fill(answers.password_file, absolute(options_.password_file));
    if (!options_.pins.empty()) answers.pins = options_.pins;
    if (!options_.password_file.empty()) briefing_.settled.insert(Question::password);
    std::string domains;
    for (const auto& domain : options_.domains) domains += domain + " ";
    const std::vector<std::pair<Question, std::pair<const char*, std::string>>> given{
        {Question::provider, {"--provider", options_.provider}},
        {Question::domains, {"--domain", domains}},
        {Question::user, {"--user", options_.user}},
        {Question::deliver, {"--deliver", options_.deliver}},
        {Question::smart_host, {"--smart-host", options_.smart_host}},
        {Question::interval, {"--interval", options_.interval}}};
    for (const auto& [question, option] : given) {
      if (option.second.empty()) continue;
      const auto taken = app::take_answer(question, option.second, answers);
      if (!taken) wrong.push_back(std::string(option.first) + ": " + taken.error().text);
      briefing_.settled.insert(question);
    }
    if (options_.smart_host_without_login) answers.logs_in_at_smart_host = false;
    if (!wrong.empty()) return refusal(k_exit_usage, wrong);
    return {};
  }

  static std::string absolute(const std::string& path) {
    return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
  }

  // The one that is replaced keeps its own: mail may wait there.
  void give_state_directory() {
    auto& directory = briefing_.answers.state_dir;
    if (!directory.empty()) return;
    const auto before = app::find_queue(place_.configuration);
    if (before) {
      if (before->state_dir != app::default_state_dir()) directory = before->state_dir;
      return;
    }
    directory = app::state_directory_for(around_, place_.configuration);
    has_chosen_state_ = !directory.empty();
  }

  // --- without questions

  Attempt<app::Interview> take_options() {
    auto& answers = briefing_.answers;
    if (is_there(place_.configuration) && !place_.may_replace) {
      return refusal(EX_CANTCREAT, {place_.configuration +
                                    " is there already; --force replaces it and keeps it as .bak, --config names "
                                    "another file"});
    }
    if (const auto why = app::secret_in_the_way(answers, place_)) return refusal(EX_CANTCREAT, {*why});
    if (const auto why = app::further_secret_in_the_way(answers, place_)) return refusal(EX_CANTCREAT, {*why});
    std::vector<std::string> missing;
    if (answers.has_odmr && answers.host.empty())
      missing.push_back("--provider is missing: the host that holds the mail");
    if (answers.has_odmr && answers.domains.empty())
      missing.push_back("--domain is missing: what the provider holds mail for");
    if (answers.deliver.empty()) {
      const auto targets = app::find_local_targets(app::usual_places());
      const auto taken = app::target_to_take_unasked(targets);
      if (taken) answers.deliver = taken->to;
      if (!taken) missing.push_back(without_target(targets));
    }
    if (!missing.empty()) return refusal(k_exit_usage, missing);
    give_state_directory();
    if (answers.has_odmr && answers.user.empty()) answers.user = answers.domains.front();
    if (answers.interval.empty()) answers.interval = "5m";
    app::Interview interview;
    interview.answers = answers;
    if (!answers.password_file.empty() || !answers.has_odmr) return interview;
    auto password = given_password();
    if (!password) return tl::unexpected(password.error());
    interview.password = std::move(*password);
    return interview;
  }

  static std::string without_target(const std::vector<app::LocalTarget>& targets) {
    std::string text =
        "--deliver is missing, and no mail server of this host was found: smtp://HOST[:PORT], "
        "lmtp://HOST:PORT, lmtp:///SOCKET or maildir:///DIR";
    for (const auto& one : targets)
      text += "; " + one.to + " answers, but is a port that any user may take: give it where it is yours";
    return text;
  }

  // Standard input's first line, unless a fetchmailrc has it.
  Attempt<Secret> given_password() {
    if (briefing_.password) return std::move(*briefing_.password);
    Person person(out_);
    auto password = person.ask_unseen("");
    if (!password && password.error().code == Errc::interrupted) return interrupted();
    const auto good = password ? app::check_password(password->text()) : Result<void>();
    if (!password || !good)
      return refusal(k_exit_usage,
                     {"the password is missing: it is the first line of standard input (or --password-file "
                      "names a file that has it)"});
    return std::move(*password);
  }

  // --- with questions

  static tl::unexpected<Refusal> interrupted() {
    return refusal(k_exit_interrupted, {"interrupted; nothing was written"});
  }

  static tl::unexpected<Refusal> ended(const Error& error) {
    if (error.code == Errc::interrupted) return interrupted();
    return refusal(k_exit_usage, {error.text + "; nothing was written"});
  }

  Attempt<app::Interview> ask() {
    Person person(out_);
    person.say(
        "Six questions, then the provider is tried. Enter takes what stands in brackets, Ctrl-C leaves "
        "everything as it is.");
    if (auto chosen = choose_place(person); !chosen) return tl::unexpected(chosen.error());
    if (auto chosen = choose_name(person); !chosen) return tl::unexpected(chosen.error());
    give_state_directory();
    if (!briefing_.settled.contains(Question::deliver))
      briefing_.targets = app::find_local_targets(app::usual_places());
    briefing_.greeting_of = app::ask_target;
    auto interview = app::hold_interview(std::move(briefing_), person);
    if (!interview) return ended(interview.error());
    person.say("");
    show::print_line(out_, app::configuration_text(interview->answers, secret_name(interview->answers)));
    const auto is_meant = app::ask_yes_or_no(person, "Write this to " + escape(place_.configuration) + "?", true);
    if (!is_meant) return ended(is_meant.error());
    if (!*is_meant) return refusal(k_exit_usage, {"nothing was written"});
    return std::move(*interview);
  }

  static std::string secret_name(const app::SetupAnswers& answers) {
    return answers.password_file.empty() ? answers.name + ".secret" : answers.password_file;
  }

  // A configuration that is there is replaced only when somebody says so.
  Attempt<> choose_place(app::Terminal& person) {
    while (is_there(place_.configuration) && !place_.may_replace) {
      person.say("");
      person.say(escape(place_.configuration) +
                 " is there already. \"replace\" it (it is kept as .bak), name another "
                 "file, or \"stop\".");
      const auto answer = person.ask("Replace, FILE, or stop [stop]: ");
      if (!answer) return ended(answer.error());
      const std::string word(trim(*answer));
      if (word.empty() || lower(word) == "stop") return refusal(k_exit_usage, {"nothing was written"});
      if (lower(word) == "replace") {
        place_.may_replace = true;
        propose_what_is_there();
      } else if (word.find('/') == std::string::npos && !word.ends_with(".toml")) {
        person.say("A file's name ends in .toml, or has a / in it.");
      } else {
        place_.configuration = absolute(word);
      }
    }
    return {};
  }

  // Its secret has that name, and may not take another one's place.
  Attempt<> choose_name(app::Terminal& person) {
    auto& answers = briefing_.answers;
    if (const auto why = app::further_secret_in_the_way(answers, place_)) return refusal(EX_CANTCREAT, {*why});
    while (app::secret_in_the_way(answers, place_)) {
      person.say("");
      person.say(escape(app::secret_beside(place_.configuration, answers)) +
                 " is there already, and may be another configuration's. Another name for this provider, such as " +
                 answers.name + "2, names its file, too.");
      const auto answer = person.ask("Name, or stop [stop]: ");
      if (!answer) return ended(answer.error());
      const std::string word(trim(*answer));
      if (word.empty() || lower(word) == "stop") return refusal(k_exit_usage, {"nothing was written"});
      const auto good = app::check_provider_name(word);
      if (good) answers.name = word;
      if (!good) person.say("That cannot be: " + good.error().text + ".");
    }
    return {};
  }

  // What was right before need not be typed again.
  void propose_what_is_there() {
    if (!options_.fetchmailrc.empty()) return;
    const auto settings = app::load_settings(place_.configuration);
    if (!settings) return;
    const auto given = std::exchange(briefing_.answers, app::answers_in(*settings));
    briefing_.answers.run_as = given.run_as;
    (void)take_given();
    const auto& providers = settings->providers;
    if (providers.empty() || !providers.front().login.password || briefing_.settled.contains(Question::password))
      return;
    auto password = config::load(*providers.front().login.password);
    if (password) briefing_.password = std::move(*password);
  }

  // --- the files, the probe, and what is to be done then

  Attempt<> write(app::Interview& interview) {
    auto& answers = interview.answers;
    const bool has_name = !answers.hostname.empty() || smtp::is_ehlo_name(app::default_hostname());
    if (!has_name && !answers.domains.empty()) answers.hostname = "mail." + answers.domains.front();
    auto written = app::write_setup(answers, interview.password, place_, further_);
    if (!written) {
      auto& failure = written.error();
      failure.reasons.push_back("nothing was written");
      return refusal(failure.is_of_configuration ? exit_status(Outcome::config) : EX_CANTCREAT, failure.reasons);
    }
    report_.written = std::move(*written);
    return {};
  }

  int finish(const app::SetupAnswers& answers) {
    report_.deliver = answers.deliver;
    if (!options_.json) {
      for (const auto& line : show::in_words(report_.written)) say(line);
      say("Received mail goes to " + escape(answers.deliver, k_long));
    }
    const auto settings = app::load_settings(report_.written.configuration);
    if (!settings) return give_up(Refusal{exit_status(Outcome::config), settings.error()});
    // The user odmr could not make it below /var/lib, nor a run what is above it; what is wrong the probe tells.
    if (place_.reader) (void)app::give_directory(settings->state_dir, *place_.reader);
    if (has_chosen_state_) (void)app::make_state_dir(settings->state_dir, true);
    report_.command = app::switch_on_command(around_, report_.written.configuration, settings->watch.interval);
    if (!options_.probes_not) probe(*settings);
    if (options_.json)
      show::print_line(stdout, show::as_json(report_));
    else
      say_what_to_do(answers);
    const int status = exit_status(report_.outcome.value_or(Outcome::no_mail));
    return options_.is_non_interactive ? status : 0;
  }

  void probe(const app::Settings& settings) {
    ProbePrinter printer(options_);
    const auto log = make_stderr_log(log_level(options_, Level::warn), settings.log.format);
    const app::OnProbeStep on_step = [&](const app::ProbeStep& step) {
      if (options_.json)
        report_.steps.push_back(step);
      else
        printer.print(step);
    };
    say("");
    report_.outcome = app::probe(settings, {}, on_step, *log);
    how_far_ = app::how_far(settings, {});
    printer.end();
  }

  void say_what_to_do(const app::SetupAnswers& answers) {
    say("");
    if (report_.outcome && *report_.outcome != Outcome::no_mail) {
      const bool is_named = report_.written.configuration != around_.own_configuration;
      const std::string named = is_named ? " -c " + app::shell_word(report_.written.configuration) : "";
      show::print_wrapped(out_,
                          "The configuration is written, but " + show::summary_of_probe(*report_.outcome, {}) + ".");
      say("Do what stands above, try again with \"odmr probe" + named + "\", and switch it on then:");
    } else {
      const std::string tried = report_.outcome ? "All is well: a run would get as far as " + how_far_ + ". " : "";
      say(tried + "Switch it on, every " + answers.interval + ":");
    }
    say("");
    // Not broken: it is there to be copied.
    if (!options_.quiet) show::print_line(out_, "    " + report_.command);
  }

  const SetupOptions& options_;
  std::FILE* out_;
  const app::Surroundings around_;
  app::SetupPlace place_;
  bool has_chosen_state_ = false;
  app::Briefing briefing_;
  std::vector<app::FurtherSecret> further_;  // secrets of providers beside the first
  show::SetupReport report_;
  std::string how_far_;  // a run would get, where all is well
};

}  // namespace

int setup_command(const SetupOptions& options) {
  return Setup(options).run();
}

}  // namespace odmr::cli
