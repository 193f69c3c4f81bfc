#include "app/setup_interview.hpp"

#include <algorithm>
#include <utility>

#include "app/host_port.hpp"
#include "base/ascii.hpp"

namespace odmr::app {

namespace {

constexpr std::size_t k_long = 2000;

std::string with_default(const std::string& question, const std::string& otherwise) {
  return question + (otherwise.empty() ? ": " : " [" + escape(otherwise) + "]: ");
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

class Interviewer {
 public:
  Interviewer(Briefing briefing, Terminal& terminal) : briefing_(std::move(briefing)), terminal_(terminal) {}

  Result<Interview> run() {
    for (const auto ask : {&Interviewer::ask_provider, &Interviewer::ask_domains, &Interviewer::ask_login,
                           &Interviewer::ask_target, &Interviewer::ask_smart_host, &Interviewer::ask_interval}) {
      if (auto done = (this->*ask)(); !done) return fail(done.error());
    }
    Interview interview;
    interview.answers = std::move(answers());
    if (briefing_.password) interview.password = std::move(*briefing_.password);
    return interview;
  }

 private:
  SetupAnswers& answers() { return briefing_.answers; }
  bool is_settled(Question question) const { return briefing_.settled.contains(question); }
  void explain(const std::string& text) { terminal_.say("That cannot be: " + escape(text, k_long) + "."); }

  // Until there is an answer that can be.
  Result<void> ask(Question question, const std::string& text, const std::string& otherwise) {
    for (;;) {
      auto answer = terminal_.ask(with_default(text, otherwise));
      if (!answer) return fail(answer.error());
      if (trim(*answer).empty()) answer = otherwise;
      const auto taken = take_answer(question, *answer, answers());
      if (taken) return {};
      explain(taken.error().text);
    }
  }

  Result<void> ask_provider() {
    if (is_settled(Question::provider)) return {};
    terminal_.say("");
    terminal_.say("1/6 The provider: which host holds your mail? HOST, or HOST:PORT where it is not 366.");
    return ask(Question::provider, "Provider", answers().host);
  }

  Result<void> ask_domains() {
    if (is_settled(Question::domains)) return {};
    terminal_.say("");
    terminal_.say("2/6 Which domains does it hold mail for? Mail for others is refused.");
    const auto known = joined(answers().domains);
    return ask(Question::domains, "Domains", known.empty() ? briefing_.likely_domain : known);
  }

  Result<void> ask_login() {
    if (is_settled(Question::user) && is_settled(Question::password)) return {};
    terminal_.say("");
    terminal_.say("3/6 The login that the provider gave you. Most take the domain as user.");
    if (!is_settled(Question::user)) {
      const auto& known = answers().user;
      auto asked = ask(Question::user, "User", known.empty() ? answers().domains.front() : known);
      if (!asked) return asked;
    }
    return is_settled(Question::password) ? Result<void>() : ask_password();
  }

  Result<void> ask_password() {
    for (;;) {
      auto password =
          terminal_.ask_unseen(briefing_.password ? "Password (unseen) [as it was]: " : "Password (unseen): ");
      if (!password) return fail(password.error());
      if (password->empty() && briefing_.password) return {};
      const auto good = check_password(password->text());
      if (good) {
        briefing_.password = std::move(*password);
        return {};
      }
      explain(good.error().text);
    }
  }

  // The number of a target that was listed stands for it.
  std::string listed(const std::string& answer) const {
    const auto number = parse_number(answer);
    if (!number || *number == 0 || *number > briefing_.targets.size()) return answer;
    return briefing_.targets[static_cast<std::size_t>(*number) - 1].to;
  }

  void list_targets() {
    terminal_.say("");
    terminal_.say("4/6 Where does the mail server of this host listen, or what else takes the mail?");
    const auto& targets = briefing_.targets;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      terminal_.say(std::to_string(i + 1) + "  " + targets[i].to);
      terminal_.say("   says " + escape(targets[i].greeting, 100));
    }
    if (targets.empty()) terminal_.say("None was found that answers.");
    terminal_.say("smtp://HOST[:PORT], lmtp://HOST:PORT, lmtp:///SOCKET or maildir:///DIR" +
                  std::string(targets.empty() ? "." : ", or a number."));
  }

  Result<void> ask_target() {
    if (is_settled(Question::deliver)) return {};
    list_targets();
    std::string otherwise = answers().deliver;
    if (otherwise.empty() && !briefing_.targets.empty()) otherwise = briefing_.targets.front().to;
    for (;;) {
      auto answer = terminal_.ask(with_default("Target", otherwise));
      if (!answer) return fail(answer.error());
      std::string chosen(trim(*answer));
      chosen = chosen.empty() ? otherwise : listed(chosen);
      if (parse_number(chosen)) {
        explain("there is no number " + chosen + " in the list");
        continue;
      }
      const auto taken = take_answer(Question::deliver, chosen, answers());
      if (!taken) {
        explain(taken.error().text);
        continue;
      }
      const auto is_meant = stand_by(answers().deliver);
      if (!is_meant) return fail(is_meant.error());
      if (*is_meant) return {};
    }
  }

  // A target that does not answer may be one that is to be set up yet.
  Result<bool> stand_by(const std::string& to) {
    if (to.starts_with("maildir://")) return true;
    for (const auto& target : briefing_.targets) {
      if (target.to == to) return true;
    }
    const auto greeting = briefing_.greeting_of(to);
    if (greeting) {
      terminal_.say("It says " + escape(*greeting, 100));
      return true;
    }
    terminal_.say("It does not answer as it should: " + escape(greeting.error().text, k_long) + ".");
    return ask_yes_or_no(terminal_, "Take it all the same?", false);
  }

  Result<void> ask_smart_host() {
    if (is_settled(Question::smart_host)) return {};
    terminal_.say("");
    terminal_.say(
        "5/6 Is mail to go out by odmr, too? The smart host (HOST or HOST:PORT), \"provider\" for the "
        "provider's own connection, or \"none\" where the mail server of this host sends it.");
    auto& smart_host = answers().smart_host;
    auto asked = ask(Question::smart_host, "Smart host", smart_host.empty() ? "none" : smart_host);
    if (!asked || smart_host.empty() || smart_host == "provider") return asked;
    if (!answers().has_odmr) {
      terminal_.say("For a login there, put user and password_file into [outbound] afterwards.");
      return asked;
    }
    // The password is the provider's, and nobody else's to see.
    const bool is_its = is_of_provider(smart_host, answers().host);
    if (!is_its)
      terminal_.say("It is not in the provider's domain, and a login would show it the provider's password.");
    const auto logs_in = ask_yes_or_no(terminal_, "Log in there with the same user and password?",
                                       is_its && answers().logs_in_at_smart_host);
    if (!logs_in) return fail(logs_in.error());
    answers().logs_in_at_smart_host = *logs_in;
    if (!*logs_in) terminal_.say("For another login there, put user and password_file into [outbound] afterwards.");
    return {};
  }

  Result<void> ask_interval() {
    if (is_settled(Question::interval)) return {};
    terminal_.say("");
    terminal_.say("6/6 How often? Minutes, or such as 90s, 5m, 1h.");
    return ask(Question::interval, "Every", answers().interval.empty() ? "5m" : answers().interval);
  }

  Briefing briefing_;
  Terminal& terminal_;
};

}  // namespace

bool is_of_provider(const std::string& smart_host, const std::string& provider) {
  const auto scheme = smart_host.find("://");
  const auto theirs = split_host(scheme == std::string::npos ? smart_host : smart_host.substr(scheme + 3));
  const auto ours = split_host(provider);
  if (!theirs || !ours) return false;
  const auto host = lower(theirs->host);
  auto domain = lower(ours->host);
  if (host == domain) return true;
  if (net::ip_version_of(domain) || net::ip_version_of(host)) return false;
  // Of two labels there is no domain above that would be its own.
  if (std::count(domain.begin(), domain.end(), '.') > 1) domain.erase(0, domain.find('.') + 1);
  return host == domain || host.ends_with("." + domain);
}

Result<bool> ask_yes_or_no(Terminal& terminal, const std::string& question, bool otherwise) {
  for (;;) {
    const auto answer = terminal.ask(question + (otherwise ? " [yes]: " : " [no]: "));
    if (!answer) return fail(answer.error());
    const auto word = lower(trim(*answer));
    if (word.empty()) return otherwise;
    if (word == "y" || word == "yes") return true;
    if (word == "n" || word == "no") return false;
    terminal.say("Yes or no?");
  }
}

Result<Interview> hold_interview(Briefing briefing, Terminal& terminal) {
  return Interviewer(std::move(briefing), terminal).run();
}

}  // namespace odmr::app
