#include "app/explain.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "smtp/reply.hpp"
#include "trigger/etrn.hpp"
#include "turn/turn.hpp"

namespace odmr::app {

namespace {

constexpr std::size_t k_most_sessions = 100;
constexpr std::size_t k_most_lines = 20;  // of one session: connections
constexpr std::size_t k_most_warnings = 5;
constexpr std::size_t k_most_steps = 20;
constexpr std::size_t k_longest_text = 2000;

// "535 5.7.8 no", as a trace has a reply; code 0 for what is none.
smtp::Reply reply_in(const std::string& text) {
  const auto code = parse_number(text.substr(0, 3)).value_or(0);
  const bool is_reply = code >= 200 && code <= 599 && (text.size() == 3 || text[3] == ' ');
  return is_reply ? smtp::Reply(static_cast<int>(code), text.size() > 4 ? text.substr(4) : std::string())
                  : smtp::Reply();
}

std::uint16_t port_of(const std::string& server) {
  const auto port = parse_number(server.substr(std::min(server.rfind(':'), server.size() - 1) + 1)).value_or(0);
  return port > 65535 ? std::uint16_t{0} : static_cast<std::uint16_t>(port);
}

std::string verb_of(const std::string& command) {
  return upper(command.substr(0, command.find(' ')));
}

// What a reply to the last command means, where nothing after it tells.
void judge_reply(const std::string& command, const smtp::Reply& reply, Explanation& told) {
  const std::string verb = verb_of(command);
  const auto say = [&](Outcome outcome, Cause cause, const std::string& what) {
    told.outcome = outcome;
    told.cause = cause;
    told.text = what + ": \"" + reply.joined() + "\"";
  };
  if (verb == "ATRN") {
    const auto outcome = turn::outcome_of(reply);
    if (!outcome) return;
    say(*outcome, turn::cause_of(reply), "the reply to ATRN");
  } else if (verb == "ETRN") {
    // After a good answer the next one may be another.
    if (!reply.is_positive()) say(trigger::outcome_of(reply), trigger::cause_of(reply), "the reply to ETRN");
  } else if (reply.code == 421) {
    say(Outcome::unavailable, Cause::put_off, "the server closes");
  } else if ((verb == "AUTH" || verb == "*****") && reply.is_permanent()) {
    say(Outcome::auth, Cause::login_refused, "the login is refused");
  } else if ((verb == "AUTH" || verb == "*****") && reply.is_transient()) {
    say(Outcome::unavailable, Cause::login_put_off, "the login is put off");
  } else if (verb == "STARTTLS" && !reply.is_positive()) {
    say(Outcome::tls, Cause::starttls_refused, "STARTTLS is refused");
  } else if (verb == "EHLO" && reply.is_permanent()) {
    say(Outcome::protocol, Cause::hello_refused, "EHLO is refused");
  } else if (verb.empty() && reply.is_permanent()) {
    say(Outcome::protocol, Cause::greeting_refused, "the server does not let us in");
  } else if (reply.is_transient()) {
    say(Outcome::unavailable, Cause::put_off, "the server puts us off");
  }
}

}  // namespace

const std::string& TraceLine::field(const std::string& key) const {
  static const std::string none;
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& one) { return one.first == key; });
  return found == fields.end() ? none : found->second;
}

Explainer::Session& Explainer::session_of(const std::string& id) {
  const auto found = places_.find(id);
  if (found != places_.end() && found->second >= left_out_) return sessions_[found->second - left_out_];
  if (sessions_.size() == k_most_sessions) {
    places_.erase(sessions_.front().told.session);
    sessions_.erase(sessions_.begin());
    ++left_out_;
  }
  places_[id] = sessions_.size() + left_out_;
  sessions_.emplace_back();
  sessions_.back().told.session = id;
  return sessions_.back();
}

void Explainer::add(const TraceLine& line) {
  const bool is_wire = line.event == "<" || line.event == ">";
  const auto& id = line.field("session");
  if (id.empty() && !is_wire) return;
  Session& session = session_of(id);
  Explanation& told = session.told;
  if (!line.field("provider").empty()) told.provider = line.field("provider");
  if (is_wire) {
    note_wire(session, line, line.event == ">");
  } else if (line.event == "session begins") {
    told.server = line.field("server");
  } else if (line.event == "reached") {
    if (line.field("step") == "connect") session.peer = line.field("what");
    note_step(session, line.field("step"), line.field("what"));
  } else if (line.event == "session over" || line.event == "flush over") {
    session.is_flush = line.event == "flush over";
    told.outcome = outcome_named(line.field("outcome"));
    told.cause = cause_named(line.field("cause")).value_or(Cause::unknown);
    told.text = line.field("text");
  } else if (!line.field("why").empty() || !line.field("error").empty()) {
    const auto& why = line.field("why").empty() ? line.field("error") : line.field("why");
    if (told.warnings.size() == k_most_warnings) told.warnings.erase(told.warnings.begin());
    told.warnings.push_back((line.event + ": " + why).substr(0, k_longest_text));
  }
}

// Of several connections the first is told of.
void Explainer::note_step(Session& session, const std::string& step, const std::string& what) {
  auto& steps = session.told.steps;
  const bool is_known = std::any_of(steps.begin(), steps.end(), [&](const auto& one) { return one.first == step; });
  if (is_known || steps.size() == k_most_steps || step.empty()) return;
  steps.emplace_back(step, what.substr(0, k_longest_text));
}

void Explainer::note_wire(Session& session, const TraceLine& line, bool is_ours) {
  const auto& peer = line.field("peer");
  const auto& text = line.field("line");
  if (peer.empty() || text.empty()) return;
  if (session.lines.find(peer) == session.lines.end() && session.lines.size() == k_most_lines) return;
  auto [place, is_new] = session.lines.try_emplace(peer);
  Line& spoken = place->second;
  if (is_new) spoken.order = session.lines.size();
  // After the turn it is the server that commands.
  if (spoken.is_turned) {
    if (!is_ours && starts_with_ignoring_case(text, "MAIL ")) ++spoken.messages_offered;
    return;
  }
  if (is_ours) {
    if (verb_of(text) == "QUIT") return;
    spoken.command = text.substr(0, k_longest_text);
    spoken.reply.clear();
    spoken.has_said_atrn = spoken.has_said_atrn || verb_of(text) == "ATRN";
    return;
  }
  // The reply to QUIT says nothing more.
  if (spoken.reply.empty() || reply_in(spoken.reply).code == 334) spoken.reply = text.substr(0, k_longest_text);
  spoken.has_logged_in = spoken.has_logged_in || reply_in(text).code == 235;
  spoken.is_turned = verb_of(spoken.command) == "ATRN" && reply_in(text).code == 250;
}

const Explainer::Line* Explainer::line_with_server(const Session& session) {
  const auto named = session.lines.find(session.peer);
  if (named != session.lines.end()) return &named->second;
  const Line* found = nullptr;
  // The target is spoken to before the provider, and is never asked for mail.
  for (const auto& [peer, line] : session.lines) {
    const bool is_better = found == nullptr || (line.has_said_atrn && !found->has_said_atrn) ||
                           (line.has_said_atrn == found->has_said_atrn && line.order > found->order);
    if (is_better) found = &line;
  }
  return found;
}

void Explainer::conclude(Session& session) {
  Explanation& told = session.told;
  const Line* line = line_with_server(session);
  if (line != nullptr) {
    if (line->has_logged_in) note_step(session, "auth", "accepted");
    if (line->has_said_atrn) note_step(session, "atrn", line->reply);
    if (line->is_turned)
      note_step(session, "turned", std::to_string(line->messages_offered) + " messages offered on this connection");
  }
  if (!told.outcome && line != nullptr && !line->is_turned) {
    const auto reply = reply_in(line->reply);
    if (reply.code != 0) judge_reply(line->command, reply, told);
    if (!told.outcome && line->reply.empty())
      told.text = "the trace ends before the answer to " + (line->command.empty() ? "the greeting" : line->command);
  }
  Scene scene{With::provider, "[provider." + (told.provider.empty() ? "NAME" : told.provider) + "]", 0};
  if (!told.server.empty()) scene.port = port_of(told.server);
  if (told.server.empty() && !session.peer.empty()) scene.port = port_of(session.peer);
  if (session.is_flush) scene = Scene{With::smart_host, "[outbound]", 0};
  if (told.outcome == Outcome::local_down) scene = Scene{With::target, "[deliver]", 0};
  if (told.outcome) told.remedy = remedy(*told.outcome, told.cause, scene, told.text);
}

void Explainer::add_report(const std::string& session, const std::string& provider, Outcome outcome, Cause cause,
                           const std::string& text) {
  // The printed line does not name the session: it is the last one with that provider.
  auto id = session;
  for (auto it = sessions_.rbegin(); id.empty() && it != sessions_.rend(); ++it) {
    if (it->told.provider == provider) id = it->told.session;
  }
  Explanation& told = session_of(id).told;
  if (told.outcome && told.cause != Cause::unknown) return;
  told.provider = provider;
  told.outcome = outcome;
  told.cause = cause;
  told.text = text.substr(0, k_longest_text);
}

std::vector<Explanation> Explainer::explain() const {
  std::vector<Explanation> all;
  for (Session session : sessions_) {
    conclude(session);
    all.push_back(std::move(session.told));
  }
  return all;
}

}  // namespace odmr::app
