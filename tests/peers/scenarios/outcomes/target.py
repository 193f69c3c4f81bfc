"""What the local target does to us: deferred, local-down; and what must never arrive twice."""

from harness import wait, wire
from harness.messages import Ledger
from harness.runner import check, equal, none

from .expect import IMPATIENT, counts, expect, scripted


def register(suite):
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
    for name, (step, action) in LOST_ANSWERS.items():
        suite.case(f"duplicates/{name}", step, action)(lost_answer)
    for name, action in LOST_BEFORE.items():
        suite.case(f"duplicates/{name}", action)(lost_before)
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
    sink = bench.sink(lmtp=lmtp, script={"dot": wire.say(b"554 5.7.1 no")})
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
    """530 to MAIL is our own fault in configuration: nobody's mail is bounced for it."""
    letters = [bench.maker.make()]
    isp, sink = bench.provider(letters), bench.sink(script={"mail": wire.say(b"530 5.7.0 log in first")})
    result = bench.customer(sink, isp).run()
    isp.wait_idle()
    equal(isp.bounced, [], "bounced by the provider")
    equal(len(isp.pending()), 1, "left at the provider")
    check(result.status in (69, 75), f"exit status {result.status}")


# The provider does not get, or does not read, our answer to its final dot: the target has the message by then.
LOST_ANSWERS = {
    "cut-after-the-dot": ("dot-reply", wire.cut()),
    "reset-after-the-dot": ("dot-reply", wire.reset()),
    "cut-and-quit-after-the-dot": ("dot", wire.say_then_cut(b".\r\nQUIT\r\n")),
}


def once(is_time, action):
    """The action, but not before `is_time`: what has to happen first would else be a race."""
    def wait_and_act(conversation, normal):
        wait.until(is_time, 20, "the time to cut the line")
        return action(conversation, normal)
    return [wait_and_act]


def lost_answer(bench, step, action):
    """It sends the message again: answered 250, not delivered again. odmr may ask again at once, or the
    next run does."""
    letters = [bench.maker.make(recipients=["anna@customer.example", "bert@second.example"])]
    isp, sink, customer = scripted(bench, {}, letters)
    isp.script.steps[step] = once(sink.accepted, action) if step == "dot-reply" else [action]
    runs = [customer.run(), customer.run()]
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal(runs[1].status, 0, "exit status of the second run")
    none(Ledger(letters).problems(sink.deliveries(2)))
    received = [result.session()["received"] for result in runs]
    equal((sum(r["messages"] for r in received), sum(r["duplicates"] for r in received)), (1, 1),
          "messages and duplicates")


# It goes before we have said anything to the target: odmr looks, as far as a line can be looked at, and hands over
# nothing of which nobody would hear.
LOST_BEFORE = {"gone-with-the-dot": wire.cut(), "reset-with-the-dot": wire.reset()}


def lost_before(bench, action):
    """Whether odmr saw it in time or not: it is there once."""
    letters = [bench.maker.make(recipients=["anna@customer.example", "bert@second.example"])]
    isp, sink, customer = scripted(bench, {"dot-reply": [action]}, letters)
    runs = [customer.run(), customer.run()]
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal(runs[1].status, 0, "exit status of the second run")
    none(Ledger(letters).problems(sink.deliveries(2)))


def identical_mail(bench):
    """The same bytes ten times in good order are ten messages."""
    letter = bench.maker.make()
    isp, sink, customer = scripted(bench, {}, [letter] * 10)
    expect(customer.run(), "fetched", received=counts([letter] * 10))
    equal(len(sink.accepted()), 10, "delivered")
