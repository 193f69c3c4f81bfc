"""A provider that tries to send mail to others through us: the target trusts localhost, so we must not."""

from harness.messages import Ledger
from harness.runner import TARGETS, check, equal, none

# RCPT paths. Each of the first would reach victim@elsewhere.example through some of the real targets.
ATTACKS = {
    "foreign-domain": "victim@elsewhere.example",
    "percent": "victim%elsewhere.example@customer.example",
    "bang": "elsewhere.example!victim@customer.example",
    "quoted-at": '"victim@elsewhere.example"@customer.example',
    "source-route": "@customer.example:victim@elsewhere.example",
    "source-route-away": "@elsewhere.example:victim@customer.example",
    "subdomain": "victim@sub.customer.example",
    "superdomain": "victim@example",
    "address-literal": "victim@[127.0.0.1]",
    "look-alike": "victim@notcustomer.example",
}
SYNTAX_ERRORS = {
    "trailing-dot": "victim@elsewhere.example.",
    "no-domain": "victim",
    "two-ats": "victim@elsewhere.example@customer.example",
    "empty": "",
    "newline-encoded": "victim\u2028@customer.example",
    "space": "victim @elsewhere.example",
}


def register(suite):
    for name, path in ATTACKS.items():
        suite.case(f"relay/sink/{name}", path, "550")(refused_by_guard)
    for name, path in SYNTAX_ERRORS.items():
        suite.case(f"relay/sink/{name}", path, "5")(refused_by_guard)
    for kind in TARGETS:
        suite.case(f"relay/{kind}", kind)(through_real_target)
    suite.case("relay/mail-parameters")(mail_parameters)
    suite.case("relay/atrn-all-accepts-only-the-list")(other_own_domain)
    suite.case("relay/own-domain-in-capitals")(capitals)


def refused_by_guard(bench, path, code):
    """Refused at RCPT, and the target never hears of it."""
    sink = bench.sink()
    honest, attack = bench.maker.make(), bench.maker.make(recipients=[path])
    isp = bench.provider([honest, attack])
    result = bench.customer(sink, isp).run()
    isp.wait_idle()
    equal(result.status, 0, "exit status")
    replies = [reply for id_, _, reply in isp.results() if id_ == attack.id]
    check(replies and all(reply.startswith(code) for reply in replies), f"answered {replies}, not {code}")
    none(Ledger([honest]).problems(sink.deliveries(1)))
    seen = [c for c in sink.commands if "victim" in c or c.upper().startswith("RCPT") and "anna@" not in c]
    equal(seen, [], "the target heard of it")
    equal(result.session()["received"]["rejected"], 1, "rejected")


def through_real_target(bench, kind):
    """All of them at once, with the program behind that would relay them."""
    target = bench.target(kind)
    letters = [bench.maker.make()] + [bench.maker.make(recipients=[path]) for path in ATTACKS.values()]
    isp = bench.provider(letters)
    result = bench.customer(target, isp).run()
    isp.wait_idle()
    equal(result.status, 0, "exit status")
    equal(len(isp.bounced), len(ATTACKS), "refused")
    none(Ledger(letters).problems(target.deliveries(1), {letters[0].id: letters[0].recipients}))
    check("victim" not in target.log_text(), "the target's log names the victim")


def mail_parameters(bench):
    """AUTH= and unknown parameters of MAIL give the provider no standing with the target."""
    sink = bench.sink(extensions=("PIPELINING", "8BITMIME", "AUTH PLAIN", "XCLIENT NAME ADDR", "SIZE"))
    letter = bench.maker.make()
    isp = bench.provider([letter])
    isp.script.steps["mail"] = lambda conversation, _: conversation.line.write(
        b"MAIL FROM:<author@sender.example> AUTH=<admin@customer.example>\r\n") or b""
    bench.customer(sink, isp).run()
    isp.wait_idle()
    equal([c for c in sink.commands if "admin" in c or c.upper().startswith(("XCLIENT", "AUTH"))], [], "passed on")


def other_own_domain(bench):
    """atrn_all sends ATRN bare, but only the configured domains are accepted."""
    sink = bench.sink()
    letters = [bench.maker.make(), bench.maker.make(recipients=["victim@second.example"])]
    isp = bench.provider(letters)
    customer = bench.customer(sink, isp, domains=["customer.example"], atrn_all=True)
    result = customer.run()
    isp.wait_idle()
    equal(isp.sessions[0].atrn, "", "argument of ATRN")
    equal(result.status, 0, "exit status")
    equal([(id_, reply[:3]) for id_, _, reply in isp.bounced], [(letters[1].id, "550")], "refused")
    none(Ledger(letters).problems(sink.deliveries(1), {letters[0].id: letters[0].recipients}))


def capitals(bench):
    """A domain is the same in capitals; the local part goes on as it was written."""
    sink = bench.sink()
    letter = bench.maker.make(recipients=["Anna.Upper@CUSTOMER.Example"])
    isp = bench.provider([letter])
    equal(bench.customer(sink, isp).run().status, 0, "exit status")
    copies = sink.deliveries(1)
    equal([copy.recipient.rpartition("@")[0] for copy in copies], ["Anna.Upper"], "local part")
