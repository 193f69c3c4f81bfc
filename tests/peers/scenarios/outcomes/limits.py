"""`[limits]`, `soft_bounce` and `breaker`: what the provider hears, and how the run ends."""

from harness import wire
from harness.messages import Ledger
from harness.runner import check, equal, none

from .expect import counts, expect, scripted


def register(suite):
    suite.case("limits/message-size")(message_size)
    suite.case("limits/message-size-found-out-late")(message_size_late)
    suite.case("limits/recipients")(recipients)
    suite.case("limits/session-size")(session_size)
    suite.case("limits/session-time")(session_time)
    suite.case("soft-bounce/at-every-step")(soft_bounce)
    suite.case("breaker/after-two")(breaker_after_two)
    suite.case("breaker/never")(breaker_never)


def answers(isp):
    """What it heard of each recipient, in order: the code and the enhanced one."""
    return [" ".join(reply.split()[:2]) for _, _, reply in isp.results()]


def limited(bench, letters, script=None, **limits):
    isp, sink, customer = scripted(bench, script or {}, letters)
    customer.tables["limits"] = limits
    return isp, sink, customer


def message_size(bench):
    """Told in the EHLO reply, and refused at MAIL before a byte of it comes."""
    letters = [bench.maker.make(), bench.maker.big(200_000)]
    isp, sink, customer = limited(bench, letters, message_size="100KiB")
    expect(customer.run(), "fetched", received=counts(letters[:1], rejected=1))
    isp.wait_idle()
    equal(isp.sessions[0].extensions["SIZE"], str(100 * 1024), "SIZE")
    equal(answers(isp), ["250 2.0.0", "552 5.3.4"], "answers")
    none(Ledger(letters).problems(sink.deliveries(1), {letters[0].id: letters[0].recipients}))


def message_size_late(bench):
    """A provider that does not say how big it is: read to its end, refused, and the next one goes through."""
    letters = [bench.maker.big(200_000), bench.maker.make()]

    def without_size(conversation, normal):
        conversation.line.write(normal.partition(b" SIZE=")[0] + b"\r\n")
        return normal
    isp, sink, customer = limited(bench, letters, {"mail": without_size}, message_size="100KiB")
    expect(customer.run(), "fetched", received=counts(letters[1:], rejected=1))
    isp.wait_idle()
    equal(answers(isp), ["552 5.3.4", "250 2.0.0"], "answers")
    none(Ledger(letters).problems(sink.deliveries(1), {letters[1].id: letters[1].recipients}))


def recipients(bench):
    """Too many in one transaction: the rest hears 452 and comes with the next (RFC 5321 4.5.3.1.10)."""
    letter = bench.maker.make(recipients=[f"person{n}@customer.example" for n in range(120)])
    isp, sink, customer = limited(bench, [letter], recipients=100)
    result = customer.run()
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal([reply[:3] for _, _, reply in isp.results()].count("452"), 20, "recipients who heard 452")
    equal([len(one.recipients) for one in sink.accepted()], [100, 20], "recipients in each transaction")
    none(Ledger([letter]).problems(sink.deliveries(120)))
    equal((result.status, result.session()["received"]["recipients"]), (75, 120), "exit status and recipients")


def session_size(bench):
    """Acts between transactions: the message in hand is whole, the next one is turned away by name, and comes with the
    next run. A provider that has nothing more says QUIT, and nothing is missing."""
    letters = [bench.maker.big(50_000) for _ in range(4)]
    isp, sink, customer = limited(bench, letters, session_size="64KiB")
    expect(customer.run(), "deferred", received=counts(letters[:2], deferred=1))
    isp.wait_idle()
    equal(list(isp.pending()), [letter.id for letter in letters[2:]], "left at the provider")
    check(isp.sessions[-1].ended.startswith("customer closes: 421"), f"ended: {isp.sessions[-1].ended}")
    expect(customer.run(), "fetched", received=counts(letters[2:]))
    none(Ledger(letters).problems(sink.deliveries(4)))


def session_time(bench):
    """Over when it begins: no message is begun, and none is touched."""
    letters = [bench.maker.make() for _ in range(2)]
    isp, sink, customer = limited(bench, letters, session_time="1ms")
    result = customer.run()
    isp.wait_idle()
    equal(len(isp.sessions), 1, "connections")
    check(isp.sessions[0].ended.startswith("customer closes: 421"), f"ended: {isp.sessions[0].ended}")
    equal(isp.bounced, [], "bounced by the provider")
    delivered = {letter.id: letter.recipients for letter in letters if letter.id not in isp.pending()}
    none(Ledger(letters).problems(sink.deliveries(len(delivered)), delivered))
    check(len(delivered) < len(letters), "it all came")
    check(result.status == 75, f"exit status {result.status}: {result.stdout}")


def soft_bounce(bench):
    """What the target, our guard or a limit refuses for good, the provider hears as a 4xx, and keeps."""
    refusals = {"mail": b"550 5.7.1 no", "rcpt": b"550 5.1.1 nobody", "data": b"554 5.5.1 no", "dot": b"554 5.7.1 no"}
    letters = [bench.maker.make() for _ in refusals] + [bench.maker.make(recipients=["x@foreign.example"])]
    isp, sink, customer = scripted(bench, {}, letters)
    customer.deliver["soft_bounce"] = True
    # Each of them refuses the message whose turn it is, and lets the others pass.
    for number, (step, reply) in enumerate(refusals.items()):
        sink.script.steps[step] = [None] * (number - list(refusals).index(step)) + [wire.say(reply)]
    expect(customer.run(), "deferred", received={"deferred": 5})
    isp.wait_idle()
    equal(answers(isp), ["450 4.7.1", "450 4.1.1", "454 4.5.1", "454 4.7.1", "450 4.7.1"], "answers")
    equal(isp.bounced, [], "bounced by the provider")
    equal(len(isp.pending()), 5, "left at the provider")


def refusing(bench, breaker, count):
    letters = [bench.maker.make() for _ in range(count)]
    isp, sink, customer = scripted(bench, {}, letters)
    sink.script.steps["dot"] = wire.say(b"554 5.7.1 no")
    customer.deliver["breaker"] = breaker
    return isp, customer


def breaker_after_two(bench):
    isp, customer = refusing(bench, 2, 5)
    expect(customer.run(), "local-down", received={"rejected": 2}, reply="250")
    isp.wait_idle()
    equal(answers(isp), ["554 5.7.1"] * 2, "answers")
    check(isp.sessions[-1].ended.startswith("customer closes: 421"), f"ended: {isp.sessions[-1].ended}")
    equal(len(isp.pending()), 3, "left at the provider")


def breaker_never(bench):
    isp, customer = refusing(bench, 0, 12)
    expect(customer.run(), "fetched", received={"rejected": 12})
    isp.wait_idle()
    equal(answers(isp), ["554 5.7.1"] * 12, "answers")
    equal(isp.pending(), {}, "left at the provider")
