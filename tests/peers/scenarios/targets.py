"""`odmr run` between the scripted provider and each real program as local target."""

import threading
from itertools import product

from harness import messages, wire
from harness.programs import HOSTNAME
from harness.runner import TARGETS, check, equal, none

MODES = ("lockstep", "pipelined", "bdat")
RSS_LIMIT_KIB = 100 * 1024  # a message of 50 MiB must not be held in memory as a whole


def register(suite):
    for kind in TARGETS:
        for mode in MODES:
            suite.case(f"{kind}/mixture/{mode}", kind, mode)(mixture)
        suite.case(f"{kind}/several-recipients", kind)(several_recipients)
        suite.case(f"{kind}/smtputf8", kind)(smtputf8)
        suite.case(f"{kind}/overlong-lines", kind)(overlong_lines)
        suite.case(f"{kind}/50-MiB", kind)(fifty_mib)
        suite.case(f"{kind}/down", kind)(down)
        suite.case(f"{kind}/down-with-login-and-tls", kind)(down_with_tls)
        suite.case(f"{kind}/one-recipient-refused", kind)(one_refused)
        suite.case(f"{kind}/whole-message-refused", kind)(whole_message_refused)
        suite.case(f"{kind}/one-recipient-put-off", kind)(one_put_off)
        suite.case(f"{kind}/whole-message-put-off", kind)(whole_message_put_off)
        for name, script in CUTS.items():
            suite.case(f"{kind}/line-{name}", kind, script)(line_cut)
        suite.case(f"{kind}/one-recipient-kept-here", kind, True)(kept_here)
        suite.case(f"{kind}/down-and-kept-here", kind, False)(kept_here)
        suite.case(f"{kind}/dies-between-two-messages", kind)(target_dies)
        suite.case(f"{kind}/odmr-killed-before-the-dot", kind)(killed)
        suite.case(f"{kind}/no-mail-leaves-no-trace", kind)(no_mail)
    suite.case("unfinished-last-line/bdat")(unfinished_line)
    for kind, mode, tls, per_session in product(TARGETS, MODES, ("none", "starttls", "implicit"), (None, 1, 3)):
        name = f"combination/{kind}/{mode}/{tls}/{per_session or 'all'}-per-session"
        suite.case(name, kind, mode, tls, per_session, long=True)(combination)


def fetch_all(bench, target, letters, customer=None, **provider_options):
    """One run that must bring everything; returns (result, provider)."""
    isp = bench.provider(letters, **provider_options)
    customer = customer or bench.customer(target)
    customer.talk_to(isp)
    result = customer.run()
    equal(result.status, 0, "exit status")
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal(isp.bounced, [], "refused")
    arrived(target, letters)
    fetched(result, isp, letters)
    return result, isp


def arrived(target, letters, expected=None):
    """The right copies of the right messages, to the byte, with one Received line of odmr."""
    expected = expected or {letter.id: letter.recipients for letter in letters}
    copies = target.deliveries(sum(len(recipients) for recipients in expected.values()))
    none(messages.Ledger(letters).problems(copies, expected, our_name=HOSTNAME))


def fetched(result, isp, letters):
    """The JSON object counts what was sent."""
    session = result.session()
    equal(session["outcome"], "fetched", "outcome")
    equal(session["exit"], 0, "exit in JSON")
    equal(session["connections"], len(isp.sessions), "connections")
    equal(session["received"], {
        "messages": len(letters), "recipients": sum(len(letter.recipients) for letter in letters),
        "bytes": sum(len(letter.data) for letter in letters), "rejected": 0, "deferred": 0, "duplicates": 0},
        "received")


def mixture(bench, kind, mode):
    """8-bit, leading dots, longest lines, empty body, null reverse-path …, byte for byte."""
    fetch_all(bench, bench.target(kind), bench.maker.mixture(), mode=mode)


def several_recipients(bench, kind):
    letters = [
        bench.maker.make(recipients=[f"person{n}@{'customer' if n % 2 else 'second'}.example" for n in range(20)]),
        bench.maker.make(recipients=["postmaster@customer.example", "Anna.Upper@customer.example",
                                     "o'hara+tag@second.example"])]
    fetch_all(bench, bench.target(kind), letters)


def smtputf8(bench, kind):
    """Offered to the provider where the target offers it, and only there."""
    target = bench.target(kind)
    if target.scheme == "smtp" and "SMTPUTF8" in target.extensions():
        _, isp = fetch_all(bench, target, [bench.maker.smtputf8(recipients=["jörg@customer.example"])])
        check("SMTPUTF8" in isp.sessions[0].extensions, "SMTPUTF8 not offered to the provider")
    else:
        _, isp = fetch_all(bench, target, [bench.maker.make()])
        check("SMTPUTF8" not in isp.sessions[0].extensions, "SMTPUTF8 offered, but the target has none")


def overlong_lines(bench, kind):
    fetch_all(bench, bench.target(kind), [bench.maker.overlong_lines()])


def fifty_mib(bench, kind):
    result, _ = fetch_all(bench, bench.target(kind), [bench.maker.big()], mode="pipelined")
    check(result.rss_kib < RSS_LIMIT_KIB, f"{result.rss_kib} KiB resident")


def unfinished_line(bench):
    """Content without CRLF at its end, which only BDAT can carry: at most that CRLF is added."""
    target = bench.target("postfix")
    letters = [bench.maker.unfinished_line()]
    isp = bench.provider(letters, mode="bdat")
    result = bench.customer(target, isp).run()
    isp.wait_idle()
    equal(result.status, 0, "exit status")
    arrived(target, letters)


def down(bench, kind):
    """The line is not turned: the provider's queue and its retry clock stay as they are."""
    target = bench.target(kind)
    target.stop()
    letters = [bench.maker.make()]
    isp = bench.provider(letters)
    result = bench.customer(target, isp).run()
    equal(result.status, 69, "exit status")
    equal(result.session()["outcome"], "local-down", "outcome")
    equal(isp.atrn_count(), 0, "ATRN commands")
    equal(isp.pending(), {letters[0].id: letters[0].recipients}, "left at the provider")


def down_with_tls(bench, kind):
    """The same over STARTTLS; once the target is up again, everything comes."""
    target = bench.target(kind)
    target.stop()
    letters = [bench.maker.make()]
    isp = bench.provider(letters, tls="starttls", certificate=bench.authority.good())
    customer = bench.customer(target, isp).verify_with(bench.authority)
    equal(customer.run().status, 69, "exit status while down")
    equal(isp.atrn_count(), 0, "ATRN commands while down")
    bench.target(kind)
    equal(customer.run().status, 0, "exit status when up again")
    arrived(target, letters)


def one_refused(bench, kind):
    """The provider hears the target's 550 for that recipient, the other gets the message."""
    target = bench.target(kind, refuse=["nobody@customer.example"])
    letter = bench.maker.make(recipients=["nobody@customer.example", "anna@customer.example"])
    isp = bench.provider([letter])
    result = bench.customer(target, isp).run()
    equal(result.status, 0, "exit status")
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal([(r, reply[:3]) for _, r, reply in isp.bounced], [("nobody@customer.example", "550")], "refused")
    arrived(target, [letter], {letter.id: ["anna@customer.example"]})
    received = result.session()["received"]
    equal((received["messages"], received["recipients"], received["rejected"]), (1, 1, 0), "received")


def whole_message_refused(bench, kind):
    target = bench.target(kind, refuse=["nobody@customer.example"])
    letters = [bench.maker.make(recipients=["nobody@customer.example"]), bench.maker.make()]
    isp = bench.provider(letters)
    result = bench.customer(target, isp).run()
    equal(result.status, 0, "exit status")
    isp.wait_idle()
    equal([(id_, reply[:3]) for id_, _, reply in isp.bounced], [(letters[0].id, "550")], "refused")
    arrived(target, letters, {letters[1].id: letters[1].recipients})
    session = result.session()
    equal(session["outcome"], "fetched", "outcome")
    equal((session["received"]["messages"], session["received"]["rejected"]), (1, 1), "messages and rejected")


def one_put_off(bench, kind):
    """The other recipient's copy is delivered once, now; the put-off one stays and comes by a later run."""
    target = bench.target(kind, put_off=["later@customer.example"])
    letter = bench.maker.make(recipients=["anna@customer.example", "later@customer.example"])
    isp = bench.provider([letter])
    customer = bench.customer(target, isp)
    result = customer.run()
    equal(result.status, 75, "exit status")
    isp.wait_idle()
    equal(result.session()["outcome"], "deferred", "outcome")
    equal(isp.pending(), {letter.id: ["later@customer.example"]}, "left at the provider")
    put_off = [reply for _, recipient, reply in isp.results() if recipient == "later@customer.example"]
    check(put_off and all(reply[0] == "4" for reply in put_off), f"answers for the put-off recipient: {put_off}")
    target.deliveries(1)  # a target stopped between mailbox and queue would deliver again by itself
    later_run(bench, kind, target, customer, letter, ["anna@customer.example", "later@customer.example"])


def whole_message_put_off(bench, kind):
    target = bench.target(kind, put_off=["later@customer.example"])
    letter = bench.maker.make(recipients=["later@customer.example"])
    isp = bench.provider([letter])
    customer = bench.customer(target, isp)
    result = customer.run()
    equal(result.status, 75, "exit status")
    isp.wait_idle()
    session = result.session()
    equal(session["outcome"], "deferred", "outcome")
    equal((session["received"]["messages"], session["received"]["deferred"]), (0, 1), "messages and deferred")
    equal(isp.pending(), {letter.id: letter.recipients}, "left at the provider")
    later_run(bench, kind, target, customer, letter, letter.recipients)


def later_run(bench, kind, target, customer, letter, recipients):
    """The target now takes everybody; nothing may arrive twice. It is only stopped once its own queue is
    empty: what it had under way it might itself deliver again."""
    target.deliveries(len(recipients) - 1)
    bench.shared.target(kind).start()
    result = customer.run()
    equal(result.status, 0, "exit status of the later run")
    equal(result.session()["outcome"], "fetched", "outcome of the later run")
    arrived(target, [letter], {letter.id: recipients})


# Where the line is lost, once.
CUTS = {
    "cut-before-the-dot": {"dot": [None, wire.cut()]},
    "reset-before-the-dot": {"dot": [None, wire.reset()]},
    "cut-after-the-dot": {"dot-reply": [None, wire.cut()]},
    "reset-after-the-dot": {"dot-reply": [None, wire.reset()]},
}


def line_cut(bench, kind, script):
    """Three messages, the line is lost in the second: after another run each has arrived once."""
    target = bench.target(kind)
    letters = [bench.maker.make(recipients=["anna@customer.example", "bert@second.example"]) for _ in range(3)]
    isp = bench.provider(letters, script={step: list(plan) for step, plan in script.items()})
    customer = bench.customer(target, isp)
    customer.run()
    isp.wait_idle()
    equal(customer.run().status, 0, "exit status of the second run")
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    arrived(target, letters)


def target_dies(bench, kind):
    """The target goes down while the provider is about to send its second message, and comes back later."""
    target = bench.target(kind)
    letters = [bench.maker.make(), bench.maker.make()]
    reached, gate = threading.Event(), threading.Event()

    def hold(conversation, normal):
        reached.set()
        return wire.gate(gate)(conversation, normal)
    isp = bench.provider(letters, script={"mail": [None, hold]})
    customer = bench.customer(target, isp)
    running = customer.start()
    bench.stack.callback(running.kill)
    check(reached.wait(30), f"no second message:\n{running.output(1)}")
    target.deliveries(1)
    target.stop()
    gate.set()
    result = running.finish()
    isp.wait_idle()
    check(result.status in (69, 75), f"exit status {result.status}")
    equal(list(isp.pending()), [letters[1].id], "left at the provider")
    target.start()
    equal(customer.run().status, 0, "exit status of the later run")
    arrived(target, letters)


def killed(bench, kind):
    """kill -9 before the final dot: the real target drops its half, and the next run brings it once."""
    target = bench.target(kind)
    letters = [bench.maker.make(b"half\r\n" * 20000)]
    reached, gate = threading.Event(), threading.Event()

    def hold(conversation, normal):
        reached.set()
        return wire.gate(gate)(conversation, normal)
    isp = bench.provider(letters, script={"dot": [hold]})
    customer = bench.customer(target, isp)
    running = customer.start()
    check(reached.wait(30), f"no message:\n{running.output(1)}")
    running.kill()
    gate.set()
    isp.wait_idle()
    equal(customer.run().status, 0, "exit status of the next run")
    arrived(target, letters)


def no_mail(bench, kind):
    target = bench.target(kind)
    isp = bench.provider()
    result = bench.customer(target, isp).run()
    equal(result.status, 0, "exit status")
    equal(result.session()["outcome"], "no-mail", "outcome")
    equal(target.deliveries(0), [], "copies")


def combination(bench, kind, mode, tls, per_session):
    """A whole mailbag through every way of sending, securing and portioning it."""
    target = bench.target(kind)
    letters = bench.maker.mixture()
    options = {"tls": tls, "certificate": bench.authority.good()} if tls != "none" else {}
    customer = bench.customer(target)
    if tls != "none":
        customer.verify_with(bench.authority, tls)
    fetch_all(bench, target, letters, customer, mode=mode, per_session=per_session, **options)


def kept_here(bench, kind, put_off):
    """deferred = "here": the provider is rid of it at once, and once the real target takes it, it is there."""
    later = "later@customer.example"
    target = bench.target(kind, put_off=[later] if put_off else ())
    letters = [bench.maker.eight_bit(recipients=["anna@customer.example", later]), bench.maker.leading_dots()]
    if not put_off:
        target.stop()
    isp = bench.provider(letters, mode="pipelined")
    customer = bench.customer(target, isp)
    customer.deliver["deferred"] = "here"
    result = customer.run()
    isp.wait_idle()
    equal((result.status, result.session()["outcome"]), (75, "deferred"), "exit status and outcome")
    equal((isp.pending(), isp.bounced), ({}, []), "left at, and bounced by, the provider")
    if put_off:
        target.deliveries(2)  # it is only stopped once its own queue is empty
    bench.shared.target(kind).start()
    equal(customer.run().status, 0, "exit status of the later run")
    arrived(target, letters)
    equal(customer.run().status, 0, "exit status of one more run")
    arrived(target, letters)
