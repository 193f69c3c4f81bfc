"""Every row of the contract's outcome table and every cause named in it: exit status and JSON object."""

import os
import re
import signal
import ssl
import threading

from harness import sasl, tls, wait, wire
from harness.messages import Ledger
from harness.process import run
from harness.provider import PASSWORD, USER
from harness.runner import check, equal, none
from harness.target import write

EXIT = {"no-mail": 0, "fetched": 0, "deferred": 75, "unavailable": 75, "locked": 75, "local-down": 69,
        "protocol": 76, "tls": 76, "auth": 77, "refused": 77, "config": 78, "state": 73, "bug": 70}
KEYS = {"session", "provider", "outcome", "exit", "started", "seconds", "tls", "auth", "reply", "connections",
        "received"}
COUNTS = ("messages", "recipients", "bytes", "rejected", "deferred", "duplicates")
IMPATIENT = {"connect": "2s", "command": "1s", "atrn": "1s", "idle": "1s", "data": "1s", "target": "1s",
             "final": "1s"}


def expect(result, outcome, *, provider="isp", status=None, received=None, **fields):
    """The exit status, and the JSON object to the letter. `fields` are further values of the object; a
    string for `reply` is how it must begin."""
    equal(result.status, EXIT[outcome] if status is None else status, "exit status")
    session = result.session(provider)
    equal(set(session), KEYS, "keys of the JSON object")
    equal((session["outcome"], session["exit"]), (outcome, EXIT[outcome]), "outcome and exit in JSON")
    check(isinstance(session["session"], str) and session["session"], f"session {session['session']!r}")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", session["started"]), f"started {session['started']!r}")
    check(isinstance(session["seconds"], (int, float)) and 0 <= session["seconds"] <= result.seconds + 1,
          f"seconds {session['seconds']!r}")
    equal(set(session["received"]), set(COUNTS), "keys of received")
    equal(session["received"], {**dict.fromkeys(COUNTS, 0), **(received or {})}, "received")
    for name, wanted in fields.items():
        got = session[name]
        if name == "reply" and wanted is not None:
            check(isinstance(got, str) and got.startswith(wanted), f"reply {got!r} instead of {wanted!r}…")
        else:
            equal(got, wanted, name)
    return session


def counts(letters, recipients=None, **more):
    """The numbers of messages that were all taken."""
    return {"messages": len(letters), "recipients": recipients or sum(len(letter.recipients) for letter in letters),
            "bytes": sum(len(letter.data) for letter in letters), **more}


def scripted(bench, script, letters=None, **options):
    """A provider with a script, a sink, and odmr between them: (provider, sink, customer)."""
    letters = [bench.maker.make()] if letters is None else letters
    isp, sink = bench.provider(letters, script=script, **options), bench.sink()
    return isp, sink, bench.customer(sink, isp)


def no_secret_sent(isp):
    """Neither password nor digest may have gone to that host."""
    logins = [command for session in isp.sessions for command in session.commands if command.upper().startswith("AUTH")]
    equal(logins, [], "login tried")


# One provider's misbehaviour at one step, and what it must lead to. Each is
# (name, script, expected outcome, further fields of the JSON object).
STEPS = [
    # unavailable: not now
    ("421-greeting", {"greeting": wire.say(b"421 4.3.2 too busy")}, "unavailable", {"reply": None}),
    ("450-greeting", {"greeting": wire.say(b"450 4.3.2 too busy")}, "unavailable", {"reply": None}),
    ("421-to-ehlo", {"ehlo": wire.say_then_cut(b"421 4.3.2 closing\r\n")}, "unavailable", {"reply": None}),
    ("454-to-auth", {"auth": wire.say(b"454 4.7.0 no database")}, "unavailable", {"reply": None, "auth": None}),
    ("421-to-auth", {"auth": wire.say_then_cut(b"421 4.7.0 bye\r\n")}, "unavailable", {"reply": None, "auth": None}),
    ("454-after-login", {"auth-final": wire.say(b"454 4.7.0 no database")}, "unavailable", {"auth": None}),
    ("451-to-atrn", {"atrn": wire.say(b"451 4.3.0 cannot tell")}, "unavailable", {"reply": "451"}),
    ("421-to-atrn", {"atrn": wire.say_then_cut(b"421 4.3.0 closing\r\n")}, "unavailable", {"reply": "421"}),
    ("452-to-atrn", {"atrn": wire.say(b"452 4.3.1 no room")}, "unavailable", {"reply": "452"}),
    ("eof-at-greeting", {"greeting": wire.cut()}, "unavailable", {"reply": None}),
    ("eof-at-ehlo", {"ehlo": wire.cut()}, "unavailable", {"reply": None}),
    ("eof-in-ehlo-reply", {"ehlo": wire.say_then_cut(b"250-provider.example\r\n250-AU")}, "unavailable", {"reply": None}),
    ("eof-at-auth", {"auth": wire.cut()}, "unavailable", {"reply": None, "auth": None}),
    ("eof-after-login", {"auth-final": wire.cut()}, "unavailable", {"reply": None, "auth": None}),
    ("eof-at-atrn", {"atrn": wire.cut()}, "unavailable", {"reply": None}),
    ("reset-at-atrn", {"atrn": wire.reset()}, "unavailable", {"reply": None}),
    ("eof-in-atrn-reply", {"atrn": wire.say_then_cut(b"250-turning\r\n25")}, "unavailable", {"reply": None}),
    ("eof-after-the-turn", {"await-greeting": wire.cut()}, "unavailable", {"reply": "250"}),
    ("reset-after-the-turn", {"await-greeting": wire.reset()}, "unavailable", {"reply": "250"}),
    ("eof-after-turned-ehlo", {"mail": wire.cut()}, "unavailable", {"reply": "250"}),
    ("eof-after-mail", {"rcpt": wire.cut()}, "unavailable", {"reply": "250"}),
    ("eof-after-rcpt", {"data": wire.cut()}, "unavailable", {"reply": "250"}),
    ("eof-after-354", {"body": wire.cut()}, "unavailable", {"reply": "250"}),
    ("eof-before-the-dot", {"dot": wire.cut()}, "unavailable", {"reply": "250"}),
    ("reset-before-the-dot", {"dot": wire.reset()}, "unavailable", {"reply": "250"}),
    # protocol: it does not speak ODMR, or speaks it wrongly
    ("500-to-atrn", {"atrn": wire.say(b"500 5.5.1 what?")}, "protocol", {"reply": "500"}),
    ("502-to-atrn", {"atrn": wire.say(b"502 5.5.1 not here")}, "protocol", {"reply": "502"}),
    ("504-to-atrn", {"atrn": wire.say(b"504 5.5.4 no")}, "protocol", {"reply": "504"}),
    ("554-greeting", {"greeting": wire.say(b"554 5.3.2 go away")}, "protocol", {"reply": None}),
    ("521-greeting", {"greeting": wire.say(b"521 5.3.2 no mail here")}, "protocol", {"reply": None}),
    ("garbage-greeting", {"greeting": wire.say(b"SSH-2.0-OpenSSH_9.2")}, "protocol", {"reply": None}),
    ("binary-greeting", {"greeting": wire.say(bytes(range(1, 256)).replace(b"\n", b""))}, "protocol", {"reply": None}),
    ("250-greeting", {"greeting": wire.say(b"250 hello")}, "protocol", {"reply": None}),
    ("235-greeting", {"greeting": wire.say(b"235 you are in")}, "protocol", {"reply": None}),
    ("mixed-codes-in-ehlo", {"ehlo": wire.say(b"250-provider.example\r\n550 AUTH CRAM-MD5")}, "protocol", {}),
    ("garbage-reply-to-atrn", {"atrn": wire.say(b"certainly")}, "protocol", {}),
    ("endless-greeting", {"greeting": wire.say(b"220-" + b"x" * 20_000_000)}, "protocol", {"reply": None}),
    ("endless-lines", {"ehlo": wire.say(b"250-x\r\n" * 1_000_000 + b"250 x")}, "protocol", {"reply": None}),
    # auth
    ("535-to-auth", {"auth": wire.say(b"535 5.7.8 wrong")}, "auth", {"auth": None, "reply": None}),
    ("534-to-auth", {"auth": wire.say(b"534 5.7.9 too weak")}, "auth", {"auth": None, "reply": None}),
    ("538-to-auth", {"auth": wire.say(b"538 5.7.11 encrypt first")}, "auth", {"auth": None, "reply": None}),
    ("535-after-login", {"auth-final": wire.say(b"535 5.7.8 wrong")}, "auth", {"auth": None, "reply": None}),
    ("530-to-atrn", {"atrn": wire.say(b"530 5.7.0 log in first")}, "auth", {"reply": "530"}),
    ("334-not-base64", {"auth": wire.say(b"334 *!*")}, "auth", {"auth": None, "reply": None}),
    # refused
    ("450-to-atrn", {"atrn": wire.say(b"450 4.7.1 not for you")}, "refused", {"reply": "450"}),
    ("550-to-atrn", {"atrn": wire.say(b"550 5.7.1 no")}, "refused", {"reply": "550"}),
    ("553-to-atrn", {"atrn": wire.say(b"553 5.7.1 no such domain")}, "refused", {"reply": "553"}),
    ("554-to-atrn", {"atrn": wire.say(b"554 5.7.1 no")}, "refused", {"reply": "554"}),
    ("501-to-atrn", {"atrn": wire.say(b"501 5.5.4 syntax")}, "refused", {"reply": "501"}),
]

# What happens before TLS is up, where it is demanded: no password may leave. (name, script, outcomes)
TLS_STEPS = [
    ("454-to-starttls", {"starttls": wire.say(b"454 4.7.0 not now")}, ("tls",)),
    ("501-to-starttls", {"starttls": wire.say(b"501 5.5.4 no")}, ("tls",)),
    ("502-to-starttls", {"starttls": wire.say(b"502 5.5.1 no")}, ("tls",)),
    ("clear-text-behind-220", {"starttls": wire.add(b"250-provider.example\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n")},
     ("tls", "protocol")),
    ("garbage-for-a-handshake", {"starttls": wire.say_then_cut(b"220 go\r\n" + b"no handshake" * 20)},
     ("tls", "protocol")),
    ("eof-for-a-handshake", {"starttls": wire.say_then_cut(b"220 go\r\n")}, ("tls", "unavailable")),
    ("not-offered", {"ehlo": wire.say(b"250-provider.example\r\n250-AUTH PLAIN LOGIN CRAM-MD5\r\n250 ATRN")}, ("tls",)),
    ("421-at-starttls", {"starttls": wire.say_then_cut(b"421 4.3.2 bye\r\n")}, ("unavailable", "tls")),
]

CERTIFICATES = ("wrong_name", "expired", "not_yet_valid", "self_signed")


def register(suite):
    register_good(suite)
    for name, script, outcome, fields in STEPS:
        suite.case(f"{outcome}/{name}", script, outcome, fields)(one_step)
    for name, script, outcomes in TLS_STEPS:
        suite.case(f"tls/{name}", script, outcomes)(before_tls)
    for kind in CERTIFICATES:
        for mode in ("starttls", "implicit", "if-available"):
            suite.case(f"tls/certificate-{kind}/{mode}", kind, mode)(bad_certificate)
    register_tls(suite)
    register_auth(suite)
    register_target(suite)
    register_local(suite)
    register_signals(suite)
    register_output(suite)


def one_step(bench, script, outcome, fields):
    """The provider misbehaves at one step. Its mail stays where it is, and nothing is half-delivered."""
    isp, sink, customer = scripted(bench, fresh(script))
    result = customer.run()
    expect(result, outcome, connections=1, **fields)
    isp.wait_idle()
    check(result.rss_kib < 100 * 1024, f"{result.rss_kib} KiB resident")
    equal(len(isp.pending()), 1, "messages left at the provider")
    equal(sink.accepted(), [], "delivered")


def fresh(script):
    """A copy, because lists in a script are used up."""
    return {step: list(plan) if isinstance(plan, list) else plan for step, plan in script.items()}


# no-mail and fetched

def register_good(suite):
    suite.case("no-mail/453")(no_mail_453)
    suite.case("no-mail/250-ehlo-quit")(no_mail_quit)
    suite.case("no-mail/bare-quit")(no_mail_bare_quit)
    suite.case("no-mail/bare-quit-behind-the-250")(no_mail_quit_early)
    for mode in ("starttls", "implicit"):
        suite.case(f"no-mail/clear-text-quit-under-tls/{mode}", mode)(no_mail_clear_quit)
    suite.case("no-mail/atrn-not-listed")(no_mail_not_listed)
    for name, script in GOOD_SCRIPTS.items():
        suite.case(f"fetched/{name}", script)(fetched_with)
    suite.case("fetched/one-message-per-session")(one_per_session)
    suite.case("fetched/max-sessions")(max_sessions)
    suite.case("fetched/line-lost-between-transactions")(lost_between)
    suite.case("fetched/everything-finally-refused")(all_refused)
    for name, action in FOLLOW_UPS.items():
        suite.case(f"fetched/follow-up-{name}", action)(bad_follow_up)
    suite.case("fetched/two-providers")(two_providers)
    suite.case("fetched/named-provider-only")(named_provider)


# Oddities of honest providers: the mail comes all the same.
GOOD_SCRIPTS = {
    "plainly": {},
    "atrn-reply-of-two-lines": {"atrn": [wire.say(b"250-turning\r\n250 round")]},
    "early-ehlo": {"atrn": [wire.add(b"EHLO provider.example\r\n")], "turned-ehlo": [wire.say_raw(b"")]},
    "mail-with-a-space": {"mail": [wire.say_raw(b"MAIL FROM: <author@sender.example>\r\n")]},
    "lower-case": {"mail": [wire.say_raw(b"mail from:<author@sender.example>\r\n")], "data": [wire.say_raw(b"data\r\n")]},
    "byte-by-byte": {"greeting": wire.trickle(), "ehlo": wire.trickle(), "atrn": wire.trickle(),
                     "turned-ehlo": wire.trickle(), "mail": wire.trickle(), "rcpt": wire.trickle(),
                     "data": wire.trickle(), "body": wire.trickle(), "dot": wire.trickle(), "quit": wire.trickle()},
    "quit-without-reading-221": {"quit": [wire.say_then_cut(b"QUIT\r\n")]},
    "quit-with-the-dot": {"dot": [wire.say_raw(b".\r\nQUIT\r\n")], "quit": [wire.say_raw(b"")]},
    "reset-after-quit": {"quit": [wire.call(lambda conversation, normal: quit_and_reset(conversation, normal))]},
    "noop-and-rset": {"turned-ehlo": [wire.call(lambda conversation, normal: noop_and_rset(conversation, normal))]},
}


def quit_and_reset(conversation, normal):
    conversation.line.write(normal)
    conversation.line.reset()
    raise wire.Cut("reset after QUIT")


def noop_and_rset(conversation, normal):
    """Commands that an SMTP server must answer at any time."""
    conversation.line.write(b"NOOP\r\n")
    conversation.line.read_reply()
    conversation.line.write(b"RSET\r\n")
    conversation.line.read_reply()
    conversation.line.write(normal)
    return normal


def no_mail_453(bench):
    isp, _, customer = scripted(bench, {}, [])
    expect(customer.run(), "no-mail", tls=None, auth="CRAM-MD5", reply="453", connections=1)
    equal(isp.sessions[0].atrn, "customer.example,second.example", "argument of ATRN")


def no_mail_quit(bench):
    _, _, customer = scripted(bench, {}, [], empty="quit")
    expect(customer.run(), "no-mail", reply="250", connections=1)


def no_mail_bare_quit(bench):
    _, _, customer = scripted(bench, {}, [], empty="bare-quit")
    expect(customer.run(), "no-mail", reply="250", connections=1)


def no_mail_quit_early(bench):
    """The QUIT stands in the same segment as the 250."""
    quit_behind = wire.say_then_cut(b"250 2.0.0 turning\r\nQUIT\r\n")
    _, _, customer = scripted(bench, {"atrn": quit_behind}, [])
    expect(customer.run(), "no-mail", reply="250", connections=1)


def no_mail_clear_quit(bench, mode):
    """Exim's way: six bytes of clear text inside the TLS connection."""
    isp, _, customer = scripted(bench, {}, [], empty="clear-quit", tls=mode, certificate=bench.authority.good())
    customer.verify_with(bench.authority, mode)
    expect(customer.run(), "no-mail", tls="TLSv1.3", reply="250", connections=1)
    equal(isp.sessions[0].ended, "clear-text QUIT", "how it ended")


def no_mail_not_listed(bench):
    """ATRN is sent also where EHLO does not list it."""
    isp, _, customer = scripted(bench, {}, [], list_atrn=False)
    expect(customer.run(), "no-mail", reply="453")


def fetched_with(bench, script):
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, fresh(script), letters)
    result = customer.run()
    isp.wait_idle()
    expect(result, "fetched", tls=None, auth="CRAM-MD5", reply="250", connections=len(isp.sessions),
           received=counts(letters))
    none(Ledger(letters).problems(sink.deliveries(1)))


def one_per_session(bench):
    """As Exim over TLS: odmr asks again until 453."""
    letters = [bench.maker.make() for _ in range(5)]
    isp, sink, customer = scripted(bench, {}, letters, per_session=1)
    expect(customer.run(), "fetched", connections=6, received=counts(letters))
    none(Ledger(letters).problems(sink.deliveries(5)))


def max_sessions(bench):
    letters = [bench.maker.make() for _ in range(5)]
    isp, sink, customer = scripted(bench, {}, letters, per_session=1)
    customer.isp["max_sessions"] = 2
    expect(customer.run(), "fetched", connections=2, received=counts(letters[:2]))
    equal(len(isp.pending()), 3, "left at the provider")


def lost_between(bench):
    """A line lost between transactions, after mail, only leads to a follow-up."""
    letters = [bench.maker.make(), bench.maker.make()]
    isp, sink, customer = scripted(bench, {"mail": [None, wire.cut()]}, letters)
    result = customer.run()
    isp.wait_idle()
    expect(result, "fetched", connections=len(isp.sessions), received=counts(letters))
    none(Ledger(letters).problems(sink.deliveries(2)))


def all_refused(bench):
    letter = bench.maker.make(recipients=["nobody@customer.example"])
    isp = bench.provider([letter])
    sink = bench.sink(recipient_replies={"nobody@customer.example": [b"550 5.1.1 nobody"]})
    expect(bench.customer(sink, isp).run(), "fetched", received={"rejected": 1})
    isp.wait_idle()
    equal([reply[:3] for _, _, reply in isp.bounced], ["550"], "refused")


# The second ATRN, sent because mail came: what goes wrong there does not count.
FOLLOW_UPS = {
    "450": {"atrn": [None, wire.say(b"450 4.7.1 too soon")]},
    "451": {"atrn": [None, wire.say(b"451 4.3.0 no idea")]},
    "421-greeting": {"greeting": [None, wire.say(b"421 4.3.2 busy")]},
    "eof": {"greeting": [None, wire.cut()]},
    "535": {"auth-final": [None, wire.say(b"535 5.7.8 once only")]},
    "turned-and-empty": {"atrn": [None, wire.say_then_cut(b"250 turning\r\nQUIT\r\n")]},
}


def bad_follow_up(bench, script):
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, fresh(script), letters)
    expect(customer.run(), "fetched", reply="250", received=counts(letters))
    none(Ledger(letters).problems(sink.deliveries(1)))


def second_provider(bench, customer, **options):
    other = bench.provider(**options)
    customer.tables["provider.zweiter"] = {**customer.isp, "port": other.port}
    return other


def two_providers(bench):
    """One object each; the exit status is the worse one's."""
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, {}, letters)
    second_provider(bench, customer, script={"atrn": wire.say(b"550 5.7.1 no")})
    result = customer.run()
    equal(len(result.objects), 2, "JSON objects")
    expect(result, "fetched", status=77, received=counts(letters))
    expect(result, "refused", provider="zweiter", reply="550")


def named_provider(bench):
    isp, _, customer = scripted(bench, {}, [])
    other = second_provider(bench, customer)
    result = customer.run("run", "--json", "zweiter")
    expect(result, "no-mail", provider="zweiter")
    equal((len(isp.sessions), len(other.sessions), len(result.objects)), (0, 1, 1), "connections and objects")


# tls

def register_tls(suite):
    suite.case("tls/foreign-authority")(foreign_authority)
    suite.case("tls/wrong-pin")(wrong_pin)
    suite.case("tls/pin-in-place-of-the-chain")(pin_suffices)
    suite.case("tls/pin-and-ca-file-both-count")(pin_and_ca)
    suite.case("tls/only-tls-1.1")(old_tls)
    suite.case("tls/implicit-against-clear-text")(implicit_against_clear)
    suite.case("tls/starttls-against-implicit")(starttls_against_implicit)
    suite.case("tls/if-available-where-not-offered-warns")(if_available)
    suite.case("tls/verified-login-and-mail")(verified)


def before_tls(bench, script, outcomes):
    isp, sink, customer = scripted(bench, fresh(script), tls="starttls", certificate=bench.authority.good(),
                                   mechanisms=("PLAIN", "LOGIN", "CRAM-MD5"))
    result = customer.verify_with(bench.authority).run()
    outcome = result.session()["outcome"]
    check(outcome in outcomes, f"outcome {outcome}, not one of {outcomes}")
    expect(result, outcome, tls=None, auth=None, reply=None)
    isp.wait_idle()
    no_secret_sent(isp)


def bad_certificate(bench, kind, mode):
    isp, sink, customer = scripted(bench, {}, tls="implicit" if mode == "implicit" else "starttls",
                                   certificate=getattr(bench.authority, kind)())
    result = customer.verify_with(bench.authority, mode).run()
    expect(result, "tls", auth=None, reply=None)
    isp.wait_idle()
    no_secret_sent(isp)
    equal(len(isp.pending()), 1, "left at the provider")


def foreign_authority(bench):
    other = tls.Authority(bench.path("other-authority"))
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=other.good())
    expect(customer.verify_with(bench.authority).run(), "tls", auth=None, reply=None)
    no_secret_sent(isp)


def wrong_pin(bench):
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=bench.authority.good())
    customer.isp.update({"host": "localhost", "tls": "starttls", "pin": ["sha256:" + "0" * 64]})
    expect(customer.run(), "tls", auth=None, reply=None)
    no_secret_sent(isp)


def pin_suffices(bench):
    """Without ca_file the pin stands in place of chain and name; any one of the list is enough."""
    certificate = bench.authority.self_signed()
    _, _, customer = scripted(bench, {}, [], tls="starttls", certificate=certificate)
    customer.isp.update({"host": "127.0.0.1", "tls": "starttls",
                         "pin": ["sha256:" + "0" * 64, "sha256:" + certificate.spki_sha256()]})
    expect(customer.run(), "no-mail", tls="TLSv1.3")


def pin_and_ca(bench):
    """With ca_file as well the right pin does not make up for a wrong name."""
    certificate = bench.authority.wrong_name()
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=certificate)
    customer.verify_with(bench.authority).isp["pin"] = ["sha256:" + certificate.spki_sha256()]
    expect(customer.run(), "tls", auth=None)
    no_secret_sent(isp)


def old_tls(bench):
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=bench.authority.good(),
                                tls_maximum=ssl.TLSVersion.TLSv1_1)
    expect(customer.verify_with(bench.authority).run(), "tls", auth=None, reply=None)
    no_secret_sent(isp)


def implicit_against_clear(bench):
    _, _, customer = scripted(bench, {})
    expect(customer.verify_with(bench.authority, "implicit").run(), "tls", tls=None, auth=None, reply=None)


def starttls_against_implicit(bench):
    """Both sides wait for the other; our patience ends it."""
    isp, _, customer = scripted(bench, {}, tls="implicit", certificate=bench.authority.good())
    customer.verify_with(bench.authority).timeouts.update(IMPATIENT)
    expect(customer.run(), "unavailable", tls=None, auth=None, reply=None)


def if_available(bench):
    _, _, customer = scripted(bench, {}, [])
    customer.isp["tls"] = "if-available"
    result = customer.run()
    expect(result, "no-mail", tls=None, auth="CRAM-MD5")
    check(result.stderr.strip(), "no warning")


def verified(bench):
    letters = [bench.maker.make()]
    for mode in ("starttls", "implicit", "if-available"):
        isp, sink, customer = scripted(bench, {}, letters, tls="implicit" if mode == "implicit" else "starttls",
                                       certificate=bench.authority.good())
        expect(customer.verify_with(bench.authority, mode).run(), "fetched", tls="TLSv1.3", auth="CRAM-MD5",
               received=counts(letters))


# auth

def register_auth(suite):
    suite.case("auth/not-offered")(auth_not_offered)
    suite.case("auth/only-plain-in-clear-text")(only_plain_in_clear)
    suite.case("auth/filter-leaves-nothing")(filter_leaves_nothing)
    suite.case("auth/wrong-password")(wrong_password)
    for name, scram in BAD_SCRAM.items():
        suite.case(f"auth/scram-{name}", scram)(bad_scram)
    suite.case("auth/stronger-first")(stronger_first)


BAD_SCRAM = {
    "wrong-signature": sasl.Scram(wrong_signature=True),
    "foreign-nonce": sasl.Scram(foreign_nonce=True),
    "235-without-proof": sasl.Scram(no_proof=True),
    "one-iteration": sasl.Scram(iterations=1),
    "endless-iterations": sasl.Scram(iterations=2_000_000_000),
}


def auth_not_offered(bench):
    isp, _, customer = scripted(bench, {}, mechanisms=())
    expect(customer.run(), "auth", auth=None, reply=None)
    no_secret_sent(isp)


def only_plain_in_clear(bench):
    isp, _, customer = scripted(bench, {}, mechanisms=("PLAIN", "LOGIN"))
    expect(customer.run(), "auth", auth=None, reply=None)
    no_secret_sent(isp)


def filter_leaves_nothing(bench):
    isp, _, customer = scripted(bench, {})
    customer.isp["auth"] = ["SCRAM-SHA-256"]
    expect(customer.run(), "auth", auth=None, reply=None)
    no_secret_sent(isp)


def wrong_password(bench):
    isp, _, customer = scripted(bench, {})
    write(customer.secret, "something else\n", 0o600)
    expect(customer.run(), "auth", auth=None, reply=None, connections=1)


def bad_scram(bench, scram):
    """A server that cannot prove that it knows the password is none to take mail from."""
    isp, sink, customer = scripted(bench, {}, mechanisms=("SCRAM-SHA-256",), handlers={"SCRAM-SHA-256": scram})
    result = customer.run()
    expect(result, "auth", auth=None, reply=None)
    equal(isp.atrn_count(), 0, "ATRN commands")


def stronger_first(bench):
    """The order of strength is odmr's, not the server's."""
    mechanisms = ("LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    _, _, customer = scripted(bench, {}, [], tls="starttls", certificate=bench.authority.good(),
                              mechanisms=mechanisms)
    expect(customer.verify_with(bench.authority).run(), "no-mail", auth="SCRAM-SHA-256")


# the target's doings: deferred, local-down, duplicates

def register_target(suite):
    for lmtp in (False, True):
        kind = "lmtp" if lmtp else "smtp"
        for name, reply in PUT_OFF.items():
            suite.case(f"deferred/{kind}-{name}", lmtp, reply)(put_off)
        for name, script in NOT_READY.items():
            suite.case(f"local-down/{kind}-{name}", lmtp, script)(target_not_ready)
        suite.case(f"local-down/{kind}-nothing-listens", lmtp)(target_down)
        suite.case(f"local-down/{kind}-refuses-everything", lmtp)(breaker)
        for name, script in TARGET_DIES.items():
            suite.case(f"deferred/{kind}-dies-{name}", lmtp, script)(target_dies)
    suite.case("local-down/lmtp-socket-missing")(lmtp_socket_missing)
    suite.case("deferred/lmtp-mixed-replies")(lmtp_mixed)
    suite.case("fetched/lmtp-one-recipient-refused-after-the-dot")(lmtp_late_refusal)
    suite.case("deferred/target-5xx-at-mail")(refused_at_mail)
    for name, script in LOST_ANSWERS.items():
        suite.case(f"duplicates/{name}", script)(lost_answer)
    suite.case("duplicates/identical-mail-that-is-meant")(identical_mail)


PUT_OFF = {
    "mail": {"mail": wire.say(b"451 4.3.0 not now")},
    "rcpt": {"rcpt": wire.say(b"450 4.2.1 busy")},
    "data": {"data": wire.say(b"451 4.3.0 not now")},
    "dot": {"dot": wire.say(b"452 4.3.1 no room")},
}
NOT_READY = {
    "421-greeting": {"greeting": wire.say(b"421 4.3.2 busy")},
    "554-greeting": {"greeting": wire.say(b"554 5.3.2 no")},
    "eof-at-greeting": {"greeting": wire.cut()},
    "silent": {"greeting": wire.silence()},
    "ehlo-refused": {"ehlo": wire.say(b"550 5.7.1 no")},
    "eof-at-ehlo": {"ehlo": wire.cut()},
    "garbage": {"greeting": wire.say(b"SSH-2.0-OpenSSH_9.2")},
}
TARGET_DIES = {
    "at-mail": {"mail": wire.cut()},
    "at-rcpt": {"rcpt": wire.cut()},
    "at-data": {"data": wire.cut()},
    "in-the-body": {"body": wire.cut()},
    "421-at-the-dot": {"dot": wire.say_then_cut(b"421 4.3.2 bye\r\n")},
}


def put_off(bench, lmtp, script):
    """The provider keeps the message and hears 4xx; a later run brings it, once."""
    letters = [bench.maker.make()]
    isp, sink = bench.provider(letters), bench.sink(lmtp=lmtp, script=script)
    customer = bench.customer(sink, isp)
    expect(customer.run(), "deferred", received={"deferred": 1}, reply="250")
    isp.wait_idle()
    check(all(reply[0] == "4" for _, _, reply in isp.results()), f"answers {isp.results()}")
    comes_later(isp, sink, customer, letters)


def comes_later(isp, sink, customer, letters, **more):
    sink.script.steps.clear()
    equal(list(isp.pending()), [letter.id for letter in letters], "left at the provider")
    expect(customer.run(), "fetched", received=counts(letters, **more))
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider after the later run")
    none(Ledger(letters).problems(sink.deliveries(len(letters))))


def target_dies(bench, lmtp, script):
    """Inside a transaction: the provider's data is read to its end and answered 4xx, never cut off."""
    letters = [bench.maker.make()]
    isp, sink = bench.provider(letters), bench.sink(lmtp=lmtp, script=script)
    customer = bench.customer(sink, isp)
    result = customer.run()
    isp.wait_idle()
    check(result.session()["outcome"] in ("deferred", "local-down"), f"outcome {result.session()['outcome']}")
    replies = [reply for session in isp.sessions for reply in session.replies]
    check(any(reply[0] == "4" for reply in replies), f"the provider never heard 4xx: {replies}")
    comes_later(isp, sink, customer, letters)


def target_not_ready(bench, lmtp, script):
    letters = [bench.maker.make()]
    isp, sink = bench.provider(letters), bench.sink(lmtp=lmtp, script=script)
    customer = bench.customer(sink, isp)
    customer.timeouts.update(IMPATIENT)
    local_down(customer.run(), isp)


def target_down(bench, lmtp):
    isp, sink = bench.provider([bench.maker.make()]), bench.sink(lmtp=lmtp)
    sink.stop()
    local_down(bench.customer(sink, isp).run(), isp)


def lmtp_socket_missing(bench):
    isp = bench.provider([bench.maker.make()])
    local_down(bench.customer(f"lmtp://{bench.path('no-such-socket')}", isp).run(), isp)


def local_down(result, isp):
    expect(result, "local-down", reply=None)
    equal(isp.atrn_count(), 0, "ATRN commands")
    equal(len(isp.pending()), 1, "left at the provider")


def breaker(bench, lmtp):
    """A target that refuses everything is out of order: stop before the provider has bounced it all."""
    letters = [bench.maker.make(b"text\r\n") for _ in range(300)]
    isp = bench.provider(letters)
    sink = bench.sink(lmtp=lmtp, script={"rcpt": wire.say(b"550 5.7.1 no")})
    result = bench.customer(sink, isp).run()
    isp.wait_idle()
    equal((result.status, result.session()["outcome"]), (69, "local-down"), "exit status and outcome")
    check(len(isp.pending()) >= 150, f"only {len(isp.pending())} of 300 messages left at the provider")


def lmtp_mixed(bench):
    """One recipient 250, one 451 after the dot: nobody loses it, nobody gets it twice."""
    letter = bench.maker.make(recipients=["anna@customer.example", "later@customer.example"])
    isp = bench.provider([letter])
    sink = bench.sink(lmtp=True, recipient_replies={"later@customer.example": [None, b"451 4.2.0 busy"]})
    customer = bench.customer(sink, isp)
    result = customer.run()
    isp.wait_idle()
    equal((result.status, result.session()["outcome"]), (75, "deferred"), "exit status and outcome")
    check(isp.pending(), "nothing left at the provider although a recipient was put off")
    sink.recipient_replies.clear()
    equal(customer.run().status, 0, "exit status of the later run")
    none(Ledger([letter]).problems(sink.deliveries(2)))


def lmtp_late_refusal(bench):
    """One recipient 250, one 550 after the dot: taken, and the provider is not told to bounce anna's copy."""
    letter = bench.maker.make(recipients=["anna@customer.example", "nobody@customer.example"])
    isp = bench.provider([letter])
    sink = bench.sink(lmtp=True, recipient_replies={"nobody@customer.example": [None, b"550 5.1.1 gone"]})
    bench.customer(sink, isp).run()
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal([r for _, r, _ in isp.bounced], [], "bounced by the provider")
    none(Ledger([letter]).problems(sink.deliveries(1), {letter.id: ["anna@customer.example"]}))


def refused_at_mail(bench):
    """5xx to MAIL is our own fault in configuration: nobody's mail is bounced for it."""
    letters = [bench.maker.make()]
    isp, sink = bench.provider(letters), bench.sink(script={"mail": wire.say(b"550 5.7.1 not from you")})
    result = bench.customer(sink, isp).run()
    isp.wait_idle()
    equal(isp.bounced, [], "bounced by the provider")
    equal(len(isp.pending()), 1, "left at the provider")
    check(result.status in (69, 75), f"exit status {result.status}")


# The provider does not get, or does not read, our answer to its final dot.
LOST_ANSWERS = {
    "cut-after-the-dot": {"dot-reply": [wire.cut()]},
    "reset-after-the-dot": {"dot-reply": [wire.reset()]},
    "cut-and-quit-after-the-dot": {"dot": [wire.say_then_cut(b".\r\nQUIT\r\n")]},
}


def lost_answer(bench, script):
    """It sends the message again: answered 250, not delivered again. odmr may ask again at once, or the
    next run does."""
    letters = [bench.maker.make(recipients=["anna@customer.example", "bert@second.example"])]
    isp, sink, customer = scripted(bench, fresh(script), letters)
    runs = [customer.run(), customer.run()]
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal(runs[1].status, 0, "exit status of the second run")
    none(Ledger(letters).problems(sink.deliveries(2)))
    received = [result.session()["received"] for result in runs]
    equal((sum(r["messages"] for r in received), sum(r["duplicates"] for r in received)), (1, 1),
          "messages and duplicates")


def identical_mail(bench):
    """The same bytes ten times in good order are ten messages."""
    letter = bench.maker.make()
    isp, sink, customer = scripted(bench, {}, [letter] * 10)
    expect(customer.run(), "fetched", received=counts([letter] * 10))
    equal(len(sink.accepted()), 10, "delivered")


# locked, config, state, command line

def register_local(suite):
    suite.case("unavailable/nothing-listens")(nothing_listens)
    suite.case("unavailable/unknown-host")(unknown_host)
    for step in ("greeting", "ehlo", "auth", "auth-final", "atrn", "await-greeting"):
        suite.case(f"unavailable/silent-at-{step}", step)(silent)
    for step in ("body", "dot"):
        suite.case(f"unavailable/silent-at-{step}", step)(silent)
    suite.case("fetched/silent-between-transactions")(silent_between)
    suite.case("locked/two-runs")(two_runs)
    suite.case("locked/free-after-kill")(free_after_kill)
    for name, change in FAULTS.items():
        suite.case(f"config/{name}", change)(faulty)
    suite.case("config/no-file")(no_file)
    suite.case("config/check-names-every-fault")(every_fault)
    suite.case("config/check-of-a-good-file")(good_file)
    for name, arguments in MISTAKES.items():
        suite.case(f"command-line/{name}", arguments)(mistake)
    suite.case("command-line/help-and-version")(help_and_version)
    suite.case("state/is-a-file")(state_is_a_file)
    suite.case("state/read-only")(state_read_only)
    suite.case("state/full-before")(state_full)
    suite.case("state/no-inodes")(state_no_inodes)


def nothing_listens(bench):
    isp, _, customer = scripted(bench, {})
    isp.stop()
    expect(customer.run(), "unavailable", tls=None, auth=None, reply=None)


def unknown_host(bench):
    _, _, customer = scripted(bench, {})
    customer.isp["host"] = "no-such-host.invalid"
    expect(customer.run(), "unavailable", tls=None, auth=None, reply=None)


def silent(bench, step):
    """It falls silent at one step, and our patience is short."""
    isp, sink, customer = scripted(bench, {step: wire.silence()})
    customer.timeouts.update(IMPATIENT)
    result = customer.run(seconds=30)
    expect(result, "unavailable")
    equal(len(isp.pending()), 1, "left at the provider")
    equal(sink.accepted(), [], "delivered")


def silent_between(bench):
    """Between transactions closing does no harm: what came has come."""
    letters = [bench.maker.make(), bench.maker.make()]
    isp, sink, customer = scripted(bench, {"mail": [None, wire.silence()]}, letters)
    customer.timeouts["idle"] = "1s"
    expect(customer.run(seconds=30), "fetched", received=counts(letters))


def held_run(bench, step="atrn", letters=None):
    """odmr running, with the provider waiting at `step` until the gate opens."""
    gate, reached = threading.Event(), threading.Event()

    def hold(conversation, normal):
        reached.set()
        return wire.gate(gate)(conversation, normal)
    isp, sink, customer = scripted(bench, {step: [hold]}, letters)
    running = customer.start()
    bench.stack.callback(running.kill)
    check(reached.wait(20), f"{step} never reached:\n{running.output(1)}")
    return gate, isp, sink, customer, running


def two_runs(bench):
    gate, isp, _, customer, running = held_run(bench)
    expect(customer.run(), "locked", tls=None, auth=None, reply=None, connections=0)
    equal(len(isp.sessions), 1, "connections to the provider")
    gate.set()
    equal(running.finish().status, 0, "exit status of the first run")


def free_after_kill(bench):
    gate, isp, _, customer, running = held_run(bench)
    running.kill()
    gate.set()
    isp.wait_idle()
    equal(customer.run().status, 0, "exit status")


def _set(table, key, value):
    return lambda customer: getattr(customer, table).update({key: value})


FAULTS = {
    "unknown-key": _set("isp", "colour", "red"),
    "unknown-top-level-key": _set("top", "colour", "red"),
    "unknown-table": _set("tables", "colours", {"red": 1}),
    "wrong-type": _set("isp", "port", "three"),
    "port-out-of-range": _set("isp", "port", 70000),
    "no-host": _set("isp", "host", None),
    "no-user": _set("isp", "user", None),
    "no-target": _set("deliver", "to", None),
    "unknown-target-scheme": _set("deliver", "to", "gopher://127.0.0.1"),
    "unknown-tls-word": _set("isp", "tls", "maybe"),
    "unknown-mechanism": _set("isp", "auth", ["ROT13"]),
    "bad-duration": _set("timeouts", "command", "soon"),
    "bad-pin": _set("isp", "pin", ["sha256:abc"]),
    "no-ca-file": lambda customer: customer.isp.update({"tls": "starttls", "ca_file": "/no/such/file.pem"}),
    "command-in-a-domain": _set("isp", "domains", ["customer.example\r\nMAIL FROM:<>"]),
    "domain-of-one-label": _set("isp", "domains", ["example"]),
    "no-domains": _set("isp", "domains", None),
    "two-passwords": _set("isp", "password", "x"),
    "secret-file-missing": _set("isp", "password_file", "/no/such/file"),
    "secret-file-readable-by-all": lambda customer: os.chmod(customer.secret, 0o644),
    "secret-file-writable-by-group": lambda customer: os.chmod(customer.secret, 0o660),
    "secret-file-of-somebody-else": lambda customer: os.chown(customer.secret, 65534, 65534),
    "empty-secret-file": lambda customer: write(customer.secret, "", 0o600),
    "syntax-error": lambda customer: setattr(customer, "raw", "[deliver\nto = \n"),
}


def faulty(bench, change):
    """Exit 78, one object with provider null, and nobody is spoken to."""
    isp, _, customer = scripted(bench, {})
    change(customer)
    result = customer.run()
    expect(result, "config", provider=None, tls=None, auth=None, reply=None, connections=0)
    check("odmr.toml" in result.stderr or ".secret" in result.stderr or "/no/such" in result.stderr,
          f"the fault's place is not named: {result.stderr!r}")
    equal(isp.sessions, [], "connections")


def no_file(bench):
    _, _, customer = scripted(bench, {})
    result = customer.plain("run", "--json", "--config", bench.path("no-such-file.toml"))
    expect(result, "config", provider=None, connections=0)


def every_fault(bench):
    """`odmr check`: all faults at once, each with file, line and key."""
    _, _, customer = scripted(bench, {})
    customer.isp.update({"colour": "red", "port": 70000, "tls": "maybe"})
    result = customer.run("check")
    equal(result.status, 78, "exit status")
    text = result.stdout + result.stderr
    for key in ("colour", "port", "tls"):
        line = next(number for number, line in enumerate(open(bench_config(customer), encoding="utf-8"), 1)
                    if line.startswith(key + " ") and number > 4)
        check(any("odmr.toml" in told and re.search(rf"\b{line}\b", told) and key in told
                  for told in text.splitlines()), f"no fault for {key} with line {line} in:\n{text}")


def bench_config(customer):
    return os.path.join(customer.folder, "odmr.toml")


def good_file(bench):
    isp, _, customer = scripted(bench, {})
    equal(customer.run("check").status, 0, "exit status")
    equal(isp.sessions, [], "connections")


MISTAKES = {
    "no-command": [],
    "unknown-command": ["fetch"],
    "unknown-option": ["run", "--bogus"],
    "unknown-provider": ["run", "nobody"],
    "option-without-value": ["run", "--config"],
    "receive-only-and-send-only": ["run", "--receive-only", "--send-only"],
    "no-option-takes-a-secret": ["run", "--password", "x"],
}


def mistake(bench, arguments):
    isp, _, customer = scripted(bench, {})
    customer.configuration()
    given = ["--config", bench_config(customer)] if "nobody" in arguments else []
    result = customer.plain(*arguments, *given)
    equal(result.status, 64, "exit status")
    check(result.stderr.strip(), "nothing said")
    equal(isp.sessions, [], "connections")


def help_and_version(bench):
    _, _, customer = scripted(bench, {})
    for arguments in (["--help"], ["--version"], ["run", "--help"]):
        result = customer.plain(*arguments)
        equal((result.status, result.stderr), (0, ""), f"{arguments}: exit status and stderr")
        check(result.stdout.strip(), f"{arguments}: nothing said")


def state_is_a_file(bench):
    isp, _, customer = scripted(bench, {})
    write(customer.top["state_dir"], "")
    expect(customer.run(), "state", reply=None)
    equal(isp.atrn_count(), 0, "ATRN commands")


def mounted(bench, customer, options):
    """A file system of its own for the state directory."""
    folder = customer.top["state_dir"]
    os.makedirs(folder)
    run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder])
    bench.stack.callback(run, ["umount", "-l", folder])
    return folder


def state_read_only(bench):
    isp, _, customer = scripted(bench, {})
    mounted(bench, customer, "ro")
    expect(customer.run(), "state", reply=None)
    equal(isp.atrn_count(), 0, "ATRN commands")


def nothing_lost(isp, sink, letters):
    """Each message is still at the provider or was delivered; none is in both or neither place."""
    isp.wait_idle()
    delivered = {letter.id for letter in letters for copy in sink.deliveries() if copy.data.endswith(letter.data)}
    equal(sorted(delivered ^ set(isp.pending())), sorted(letter.id for letter in letters), "delivered or kept")


def state_full(bench):
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, {}, letters)
    folder = mounted(bench, customer, "size=1m")
    fill(folder)
    expect(customer.run(), "state")
    nothing_lost(isp, sink, letters)


def fill(folder):
    """Takes every byte that is left."""
    try:
        with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        pass


def state_no_inodes(bench):
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, {}, letters)
    mounted(bench, customer, "nr_inodes=1")
    expect(customer.run(), "state")
    nothing_lost(isp, sink, letters)


# signals

def register_signals(suite):
    for number in (signal.SIGTERM, signal.SIGINT):
        suite.case(f"unavailable/{number.name}-before-the-turn", number)(signal_before_turn)
        suite.case(f"unavailable/{number.name}-inside-a-transaction", number)(signal_inside)
    suite.case("unavailable/second-signal-closes")(second_signal)
    suite.case("unavailable/end-of-stop-grace-closes")(grace_ends)


def signal_before_turn(bench, number):
    gate, isp, _, _, running = held_run(bench, "atrn")
    running.signal(number)
    result = running.finish(20)
    gate.set()
    expect(result, "unavailable")
    equal(len(isp.pending()), 1, "left at the provider")


def signal_inside(bench, number):
    """The transaction in hand is finished, then the line is closed; the second message stays."""
    letters = [bench.maker.make(), bench.maker.make()]
    gate, isp, sink, customer, running = held_run(bench, "dot", letters)
    running.signal(number)
    wait.until(lambda: running.output(1) or True, 1, "log")
    gate.set()
    result = running.finish(20)
    isp.wait_idle()
    expect(result, "unavailable", received=counts(letters[:1]))
    equal(list(isp.pending()), [letters[1].id], "left at the provider")
    equal(customer.run().status, 0, "exit status of the later run")
    none(Ledger(letters).problems(sink.deliveries(2)))


def second_signal(bench):
    """Closes even inside a transaction; nothing half-read is delivered."""
    gate, isp, sink, _, running = held_run(bench, "dot")
    running.signal(signal.SIGTERM)
    wait.until(lambda: not_pending(running.pid, signal.SIGTERM), 5, "the first signal is taken")
    running.signal(signal.SIGTERM)
    result = running.finish(20)
    gate.set()
    isp.wait_idle()
    expect(result, "unavailable")
    equal(sink.accepted(), [], "delivered")
    equal(len(isp.pending()), 1, "left at the provider")


def not_pending(pid, number):
    """Whether the process has taken its signal (it is no longer in the pending sets)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        pending = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(mask >> (number - 1) & 1 for mask in pending)


def grace_ends(bench):
    gate, reached = threading.Event(), threading.Event()
    isp, sink, customer = scripted(bench, {"dot": [lambda c, n: (reached.set(), wire.gate(gate)(c, n))[1]]})
    customer.top["stop_grace"] = "1s"
    running = customer.start()
    bench.stack.callback(running.kill)
    check(reached.wait(20), "never inside a transaction")
    running.signal(signal.SIGTERM)
    result = running.finish(20)
    gate.set()
    expect(result, "unavailable")
    equal(sink.accepted(), [], "delivered")


# what is printed

def register_output(suite):
    suite.case("output/quiet-when-all-is-well")(quiet)
    suite.case("output/quiet-when-there-is-no-mail")(quiet_no_mail)
    suite.case("output/one-line-of-json-only")(json_only)
    for mechanism in ("CRAM-MD5", "PLAIN", "LOGIN", "SCRAM-SHA-256"):
        suite.case(f"output/no-secret-with-vvv/{mechanism}", mechanism)(no_secret)
    suite.case("output/no-secret-in-proc")(no_secret_in_proc)
    suite.case("output/no-message-text-with-vvv")(no_message_text)
    suite.case("output/control-characters-of-the-provider")(control_characters)


def quiet(bench):
    _, _, customer = scripted(bench, {}, tls="starttls", certificate=bench.authority.good())
    result = customer.verify_with(bench.authority).run("run", "-q")
    equal((result.status, result.stdout, result.stderr), (0, "", ""), "status, stdout, stderr")


def quiet_no_mail(bench):
    _, _, customer = scripted(bench, {}, [], tls="starttls", certificate=bench.authority.good())
    result = customer.verify_with(bench.authority).run("run", "-q")
    equal((result.status, result.stdout, result.stderr), (0, "", ""), "status, stdout, stderr")


def json_only(bench):
    _, _, customer = scripted(bench, {})
    result = customer.run()
    equal(result.stdout.count("\n"), 1, "lines on stdout")
    check(result.stdout.startswith("{") and result.stdout.endswith("}\n"), f"stdout {result.stdout!r}")


def traces_of_the_secret():
    """The password itself and the forms in which mechanisms send it."""
    secret, user = PASSWORD.encode(), USER.encode()
    return [secret, sasl.b64(secret), sasl.b64(b"\0" + user + b"\0" + secret), secret.hex().encode()]


def no_secret(bench, mechanism):
    """Nor what CRAM-MD5 sent: its digest is as good as a password to whoever guesses offline."""
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=bench.authority.good(), mechanisms=(mechanism,))
    result = customer.verify_with(bench.authority).run("run", "-vvv")
    equal(result.status, 0, "exit status")
    isp.wait_idle()
    answers = [data for session in isp.sessions for data in after_334(session.line.transcript)]
    check(result.stderr.strip(), "-vvv says nothing")
    for trace in traces_of_the_secret() + [answer for answer in answers if len(answer) > 8]:
        check(trace.decode() not in result.stdout + result.stderr, f"{trace!r} is in the output")


def after_334(transcript):
    """The customer's answers to challenges, and initial responses."""
    found = []
    for (way, data), (next_way, answer) in zip(transcript, transcript[1:]):
        if way == ">" and data.startswith(b"334") and next_way == "<":
            found.append(answer)
    return found + [data.split()[2] for way, data in transcript
                    if way == "<" and data.startswith(b"AUTH ") and len(data.split()) > 2]


def no_secret_in_proc(bench):
    gate, _, _, _, running = held_run(bench, "atrn")
    for process in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{process}/{name}", "rb") as file:
                    text = file.read()
            except OSError:
                continue
            check(not any(trace in text for trace in traces_of_the_secret()), f"secret in /proc/{process}/{name}")
    gate.set()
    equal(running.finish().status, 0, "exit status")


def no_message_text(bench):
    letter = bench.maker.make(b"the quick brown fox of this very test\r\n")
    _, _, customer = scripted(bench, {}, [letter])
    result = customer.run("run", "-vvv")
    equal(result.status, 0, "exit status")
    check("quick brown fox" not in result.stdout + result.stderr, "the message's text is in the log")


def control_characters(bench):
    """What a provider says cannot forge log lines or steer a terminal."""
    reply = b"550 5.7.1 no \x1b[2J\x07\rerror: forged \xff"
    _, _, customer = scripted(bench, {"atrn": wire.say(reply)})
    result = customer.run("run", "--json", "-v")
    equal((result.status, result.session()["outcome"]), (77, "refused"), "exit status and outcome")
    check(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", result.stdout + result.stderr), "control characters in the output")
    check(not any(line.startswith("error: forged") for line in result.stderr.splitlines()), "a forged log line")
