#include "app/remedy.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace odmr::app {

namespace {

// {table} is the configuration's, {state_dir} and {user} are the scene's. A null `for_target`: the same words. What
// only the provider's port can be wrong about is said in port_hint().
struct Row {
  Outcome outcome;
  Cause cause;
  const char* text;
  const char* for_target = nullptr;
};

// In the order of the outcomes (base/outcome.hpp), so that odmr(1) can have it as it stands.
constexpr std::array k_rows = {
    Row{Outcome::deferred, Cause::mail_put_off,
        "\"odmr status --session ID\" shows the local target's answers (\"odmr status\" names the session); where what "
        "they say passes (greylisting, a full disk) nothing has to be done"},
    Row{Outcome::deferred, Cause::mail_kept_here,
        "\"odmr queue --kept\" shows what waits and why; each run hands it to the local target again"},
    Row{Outcome::deferred, Cause::mail_left_there,
        "see what the answer says of the message; delete it in the mailbox, or let the local mail server take it; "
        "refused = \"bounce\" in {table} tells senders, and deletes"},
    Row{Outcome::unavailable, Cause::name_not_found,
        "correct host in {table}; where it is right, ask the name server (getent ahosts NAME)",
        "correct \"to\" in {table}"},
    Row{Outcome::unavailable, Cause::name_server_silent,
        "the line or its name server is down: look whether the line is up and what /etc/resolv.conf names"},
    Row{Outcome::unavailable, Cause::connection_refused,
        "nothing listens there, or a firewall says no: check host and port in {table}; where it worked before, the "
        "server may be down: the next run tries again",
        "start the local mail server, or correct \"to\" in {table}"},
    Row{Outcome::unavailable, Cause::host_unreachable, "there is no way to it: look whether the line is up (ip route)",
        "start the local mail server, or correct \"to\" in {table}"},
    Row{Outcome::unavailable, Cause::no_connection_in_time,
        "the server is down, or a firewall on the way drops the connection: check host and port in {table}, and ask "
        "the provider whether that port is open to your line",
        "start the local mail server, or correct \"to\" in {table}"},
    Row{Outcome::unavailable, Cause::no_greeting,
        "a port that speaks TLS from the first byte waits for us to begin: write tls = \"implicit\" in {table}; or the "
        "server is overloaded, or turns your address away",
        "look whether the local mail server hangs; where its port speaks TLS from the first byte, write "
        "tls = \"implicit\" in {table}"},
    Row{Outcome::unavailable, Cause::put_off,
        "nothing to change here: the next run tries again; where it stays so for hours, show the server's words to who "
        "runs it"},
    Row{Outcome::unavailable, Cause::no_answer,
        "the server or the line hangs: the next run tries again; where it stays so at the same step, show the trace "
        "(odmr run -vv) to the provider",
        "look whether the local mail server hangs, or waits for a name server"},
    Row{Outcome::unavailable, Cause::line_lost,
        "the next run tries again; where it breaks at the same step each time, show the trace (odmr run -vv) to the "
        "provider",
        "look at the local mail server's log for why it closes"},
    Row{Outcome::unavailable, Cause::line_lost_in_message,
        "nothing is lost, the provider keeps the message: the next run tries again; where the same message breaks the "
        "line each time, show the trace (odmr run -vv) to the provider"},
    Row{Outcome::unavailable, Cause::login_put_off,
        "the server cannot check logins now: the next run tries again; change no password for it"},
    Row{Outcome::unavailable, Cause::signal_unanswered,
        "compare what was heard with expect of signal in {table}; where the words are others but good, correct expect; "
        "else ask the provider what send has to be"},
    Row{Outcome::unavailable, Cause::stopped, "nothing: the provider keeps its mail for the next run"},
    Row{Outcome::locked, Cause::locked,
        "wait for that run; where it does not end, \"fuser -v {state_dir}/lock\" names it"},
    Row{Outcome::locked, Cause::watched,
        "\"odmr watch\" is running, and one is enough: \"fuser -v {state_dir}/watch.lock\" names it; end it first "
        "(systemctl stop odmr-watch) where this one is to take its place"},
    Row{Outcome::local_down, Cause::socket_missing,
        "start the delivery agent that makes this socket, or correct \"to\" in {table}"},
    Row{Outcome::local_down, Cause::socket_denied,
        "let the user that runs odmr open this socket (its mode and group are the delivery agent's to set)"},
    Row{Outcome::local_down, Cause::maildir_unusable,
        "let the user that runs odmr write there (its tmp and new too), make the directory that it is to be in, or "
        "correct \"to\" in {table}"},
    Row{Outcome::local_down, Cause::target_refuses_all,
        "most often the local mail server does not know the domains: make it take mail for them; its log has its "
        "reasons"},
    Row{Outcome::protocol, Cause::greeting_refused,
        "the server does not serve this port, or not your address: check host and port in {table}, and show its words "
        "to the provider",
        "look at the local mail server's log: it turns this host away"},
    Row{Outcome::protocol, Cause::not_smtp,
        "something else than a mail server answers there: check host and port in {table}",
        "something else than a mail server answers there: correct \"to\" in {table}"},
    Row{Outcome::protocol, Cause::hello_refused,
        "show the server's words to the provider; where they are about the name, set hostname in the configuration",
        "where its words are about the name, set hostname in the configuration; for a delivery agent write to = "
        "\"lmtp://HOST:PORT\" in {table}"},
    Row{Outcome::protocol, Cause::out_of_step,
        "the server breaks the protocol, or something on the way does: show the trace (odmr run -vv) to the provider"},
    Row{Outcome::protocol, Cause::no_odmr,
        "no ODMR is spoken there; it may be the port of ordinary submission: write the provider's ODMR host and port "
        "in {table}"},
    Row{Outcome::protocol, Cause::no_etrn,
        "no ETRN is to be had there: correct host and port in {table}, or ask the provider how the mail is sent for; "
        "some offer it to addresses of their own, or inside TLS, alone"},
    Row{Outcome::protocol, Cause::nothing_but_errors,
        "show the trace (odmr run -vv) to the provider; [limits] errors is how many are put up with"},
    Row{Outcome::tls, Cause::starttls_not_offered,
        "for a port that speaks TLS from the first byte write tls = \"implicit\" in {table}; where it worked before, "
        "somebody on the way may take the offer away: do not give TLS up for it",
        "for a server on this very host write tls = \"none\" in {table}, or give it a certificate"},
    Row{Outcome::tls, Cause::starttls_refused,
        "the server has trouble with its own TLS, or somebody on the way refuses it: tell the provider, and do not "
        "give TLS up for it",
        "look at the local mail server's log for what its TLS lacks"},
    Row{Outcome::tls, Cause::not_tls,
        "the port does not speak TLS from the first byte: write tls = \"starttls\" in {table}, or the right port"},
    Row{Outcome::tls, Cause::tls_handshake,
        "the two have no version (1.2 at least) or cipher in common, or the server wants a client certificate: see its "
        "log, or ask who runs it"},
    Row{Outcome::tls, Cause::certificate_expired,
        "where the clock here is right, the certificate has to be renewed by who runs the server: tell them; where it "
        "is wrong, set it (timedatectl)"},
    Row{Outcome::tls, Cause::certificate_not_yet_valid,
        "the clock here is slow, most likely: set it (timedatectl); where it is right, tell who runs the server"},
    Row{Outcome::tls, Cause::certificate_of_another_host,
        "write in {table} the host name that the certificate is for, where that is your provider's; or tell the "
        "provider",
        "write to in {table} with the host name that the certificate is for"},
    Row{Outcome::tls, Cause::certificate_of_unknown_issuer,
        "where the provider has an authority of its own, put its certificate into a file and that into ca_file in "
        "{table}; where it vouches for this public key (by telephone, by letter), write pin = [\"{pin}\"] there",
        "put the authority's certificate into a file and that into ca_file in {table}, or write pin = [\"{pin}\"] "
        "there"},
    Row{Outcome::tls, Cause::certificate_unusable,
        "the certificate cannot serve as it is: show these words to who runs the server"},
    Row{Outcome::tls, Cause::pin_mismatch,
        "ask the provider whether the server has a new key: where it has, add \"{pin}\" to pin in {table}; where it "
        "has not, somebody stands between"},
    Row{Outcome::auth, Cause::auth_not_offered,
        "where tls = \"none\" in {table}, write \"starttls\" or \"implicit\"; otherwise this is the wrong host or "
        "port, "
        "or the provider offers logins to other addresses only",
        "leave user and password out of {table} where the target wants no login; otherwise let it offer AUTH"},
    Row{Outcome::auth, Cause::mechanism_needs_tls,
        "a password goes as it is only inside verified TLS: write tls = \"starttls\" (or \"implicit\") in {table}"},
    Row{Outcome::auth, Cause::mechanism_excluded,
        "add one of those that the server offers to auth in {table}, or leave auth out"},
    Row{Outcome::auth, Cause::no_mechanism,
        "ask the provider for one of SCRAM-SHA-256, CRAM-MD5 (RFC 2645 demands it), PLAIN or LOGIN"},
    Row{Outcome::auth, Cause::credentials_unusable, "correct user and the password in {table}"},
    Row{Outcome::auth, Cause::login_refused,
        "check user and the password in {table} (the file or command that it names); correct it before the next run: "
        "some providers lock an account after several failures"},
    Row{Outcome::auth, Cause::no_proof,
        "who answers there does not know the password, so it is not your provider: check host in {table}, and change "
        "nothing about auth to get round it"},
    Row{Outcome::auth, Cause::not_logged_in,
        "write user and the password into {table}; where they are there, show the trace (odmr run -vv) to the "
        "provider"},
    Row{Outcome::refused, Cause::atrn_refused,
        "compare domains in {table} with those that the provider has for this login; where they are the same, let more "
        "time pass between runs"},
    Row{Outcome::refused, Cause::atrn_forbidden,
        "compare domains in {table} with those that the provider has for this login, and show its words to the "
        "provider"},
    Row{Outcome::refused, Cause::etrn_refused,
        "compare domains in {table} with those that the provider has for you, and ask whether it takes ETRN for them "
        "from your address or login"},
    Row{Outcome::refused, Cause::folder_refused,
        "correct folder in {table}: the name as the provider has it, such as \"INBOX\" or \"Archive/2026\""},
    Row{Outcome::unavailable, Cause::line_not_up,
        "run the command of up in [line] by hand, as the user that odmr runs as: what it and the dialler's log say is "
        "the reason"},
    Row{Outcome::config, Cause::configuration, "\"odmr check\" prints every fault with its file, line and key"},
    Row{Outcome::state, Cause::disk_full,
        "make room on that file system (df -h); the provider keeps its mail until then"},
    Row{Outcome::state, Cause::state_of_another_user,
        "run odmr as that user, or name him in run_as; where single files are another's, \"chown -R {user}: "
        "{state_dir}\" "
        "gives them back"},
    Row{Outcome::state, Cause::state_of_root,
        "give it to the user that runs odmr, as root: chown -R {user}: {state_dir}"},
    Row{Outcome::state, Cause::state_denied,
        "let the user that runs odmr write there, or name another directory in state_dir"},
    Row{Outcome::state, Cause::state_unusable,
        "look at the directory and its disk (dmesg); what is not damaged is used again by the next run"},
    Row{Outcome::state, Cause::state_of_newer_version,
        "install the version of odmr that was here last, or a newer one; nothing is wrong with the state directory"},
    Row{Outcome::state, Cause::state_open_to_others,
        "look whether all that is in it is yours (ls -la {state_dir}), then: chmod 0700 {state_dir}"},
};

// What is said of a port that is no ODMR port, where that may be why.
std::string port_hint(Cause cause, const Scene& scene) {
  const bool may_be_it = cause == Cause::connection_refused || cause == Cause::no_connection_in_time ||
                         cause == Cause::no_greeting || cause == Cause::greeting_refused || cause == Cause::not_smtp ||
                         cause == Cause::auth_not_offered || cause == Cause::no_odmr;
  if (!may_be_it || scene.with != With::provider || scene.port == k_odmr_port) return {};
  if (scene.port == 386) return "; Exim's manual has port 386 by a slip, ODMR is on 366: write port = 366";
  if (scene.port == 0) return "; ODMR is on port 366, mostly";
  return "; ODMR is on port 366, mostly, and not " + std::to_string(scene.port);
}

void replace(std::string& text, std::string_view what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

// As net::in_words() ends: a stranger's words come before it, never behind.
std::string pin_in(const std::string& text) {
  constexpr std::string_view before = "public key sha256:";
  constexpr std::size_t digest = 44;
  const auto at = text.rfind(before);
  if (at == std::string::npos) return "sha256:DIGEST";
  return text.substr(at + before.size() - 7, 7 + digest);
}

const Row* row_of(Cause cause) {
  const auto found = std::find_if(k_rows.begin(), k_rows.end(), [&](const Row& row) { return row.cause == cause; });
  return found == k_rows.end() ? nullptr : &*found;
}

// Where no cause is known.
const char* by_outcome(Outcome outcome) {
  switch (outcome) {
    case Outcome::bug:
      return "please report it with what was printed";
    case Outcome::config:
      return row_of(Cause::configuration)->text;
    case Outcome::state:
      return row_of(Cause::state_unusable)->text;
    case Outcome::local_down:
      return "look at the local mail server and its log, and at to in {table}";
    case Outcome::tls:
      return row_of(Cause::tls_handshake)->text;
    case Outcome::auth:
      return row_of(Cause::login_refused)->text;
    case Outcome::protocol:
      return row_of(Cause::out_of_step)->text;
    case Outcome::refused:
      return row_of(Cause::atrn_forbidden)->text;
    case Outcome::unavailable:
      return row_of(Cause::put_off)->text;
    case Outcome::deferred:
      return "\"odmr queue\" shows what waits, and what the smart host said";
    default:
      return "";
  }
}

}  // namespace

std::string remedy(Outcome outcome, Cause cause, const Scene& scene, const std::string& said) {
  if (exit_status(outcome) == 0) return {};
  const Row* row = row_of(cause);
  std::string text = by_outcome(outcome);
  if (row != nullptr) text = scene.with == With::target && row->for_target != nullptr ? row->for_target : row->text;
  text += port_hint(cause, scene);
  replace(text, "{table}", scene.table);
  replace(text, "{state_dir}", scene.state_dir);
  replace(text, "{user}", scene.user);
  replace(text, "{pin}", pin_in(said));
  return text;
}

Cause cause_of_state(const Error& error) {
  if (error.cause != Cause::unknown) return error.cause;
  if (error.code == Errc::no_space) return Cause::disk_full;
  return error.code == Errc::denied ? Cause::state_denied : Cause::state_unusable;
}

std::vector<Diagnosis> diagnoses() {
  Scene target;
  target.with = With::target;
  target.table = "[deliver]";
  std::vector<Diagnosis> all;
  for (const Row& row : k_rows) {
    const bool is_of_target = row.outcome == Outcome::local_down;
    all.push_back({row.outcome, row.cause, remedy(row.outcome, row.cause, is_of_target ? target : Scene()), {}});
    if (row.for_target != nullptr) all.back().for_target = remedy(Outcome::local_down, row.cause, target);
  }
  return all;
}

}  // namespace odmr::app
