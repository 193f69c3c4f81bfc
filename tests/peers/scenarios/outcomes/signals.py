"""SIGTERM and SIGINT: never inside a transaction, unless we are told twice."""

import os
import signal
import threading

from harness import wait, wire
from harness.messages import Ledger
from harness.runner import check, equal, none

from .expect import counts, expect, held_run, not_pending, scripted
from .sent import waiting


def register(suite):
    for number in (signal.SIGTERM, signal.SIGINT):
        suite.case(f"unavailable/{number.name}-before-the-turn", number)(signal_before_turn)
        suite.case(f"unavailable/{number.name}-inside-a-transaction", number)(signal_inside)
    for to in ("provider", "outbound"):
        suite.case(f"unavailable/password-command-hangs-{to}", to)(password_command_hangs)
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


def password_command_hangs(bench, to):
    """A store of passwords that waits for somebody: a signal ends the command with all that it has started, and the
    run, as if there had been none. The next run has the lock."""
    letters, host, customer = waiting(bench)
    customer.talk_to(bench.provider())
    started = bench.path("started")
    table = customer.isp if to == "provider" else customer.tables["outbound"]
    before = dict(table)
    table.update({"user": "gateway.example", "password_file": None,
                  "password_command": f"sleep 1000 & echo $! > {started}.tmp; mv {started}.tmp {started}; wait"})
    if to == "outbound":
        table.pop("password_file")
    running = customer.start("run", "--json")
    bench.stack.callback(running.kill)
    wait.until(lambda: os.path.exists(started), 20, "the command has begun")
    running.signal(signal.SIGTERM)
    result = running.finish(5)
    equal(result.status, 75, "exit status")
    report = result.session("isp" if to == "provider" else None)
    equal((report["outcome"], report["cause"]), ("unavailable", "stopped"), "how it ended")
    with open(started, encoding="ascii") as file:
        sleeper = int(file.read())
    wait.until(lambda: not os.path.exists(f"/proc/{sleeper}"), 5, "what the command has started is gone")
    table.clear()
    table.update(before)
    equal(customer.run().status, 0, "exit status of the next run")
    none(Ledger(letters).problems(host.deliveries(1)))


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
