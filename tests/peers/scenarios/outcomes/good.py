"""no-mail and fetched: what honest providers do, odd as it may be."""

import ssl

from harness import wire
from harness.messages import Ledger
from harness.runner import equal, none

from .expect import counts, expect, fresh, scripted


def register(suite):
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
    suite.case("fetched/tls-ends-without-close-notify")(no_close_notify)
    suite.case("fetched/clear-text-quit-behind-close-notify")(late_clear_quit)
    suite.case("fetched/tls-1.2")(tls_1_2)
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


def no_close_notify(bench):
    """After QUIT a closed socket is end enough."""
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, {}, letters, tls="starttls", certificate=bench.authority.good(),
                                   close_notify=False)
    expect(customer.verify_with(bench.authority).run(), "fetched", tls="TLSv1.3", received=counts(letters))


def late_clear_quit(bench):
    """Exim again: QUIT, close_notify, and a second QUIT in clear text."""
    def quit_twice(conversation, normal):
        conversation.line.write(normal)
        conversation.line.read_reply()
        conversation.line.sock.unwrap().sendall(b"QUIT\r\n")
        raise wire.Cut("QUIT in clear text behind close_notify")
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, {"quit": [quit_twice]}, letters, tls="starttls",
                                   certificate=bench.authority.good())
    expect(customer.verify_with(bench.authority).run(), "fetched", tls="TLSv1.3", received=counts(letters))


def tls_1_2(bench):
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, {}, letters, tls="starttls", certificate=bench.authority.good(),
                                   tls_maximum=ssl.TLSVersion.TLSv1_2)
    expect(customer.verify_with(bench.authority).run(), "fetched", tls="TLSv1.2", received=counts(letters))


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
