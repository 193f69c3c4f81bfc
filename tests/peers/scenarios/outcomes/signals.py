"""SIGTERM and SIGINT: never inside a transaction, unless we are told twice."""

import signal
import threading

from harness import wait, wire
from harness.messages import Ledger
from harness.runner import check, equal, none

from .expect import counts, expect, held_run, not_pending, scripted


def register(suite):
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
    wait.until(lambda: not_pending(running.pid, number), 5, "the signal is taken")
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
