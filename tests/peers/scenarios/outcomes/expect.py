"""What the outcome cases share: the check of exit status and JSON object, and usual set-ups."""

import os
import re
import threading

from harness import wire
from harness.runner import check, equal

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
    # Beside the contract's keys there may be "text", the reason in words; and where it failed, what to do.
    equal(set(session) - {"text", "cause", "remedy"}, KEYS, "keys of the JSON object")
    equal("remedy" in session, EXIT[outcome] != 0, "whether there is a remedy")
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


def fresh(script):
    """A copy, because lists in a script are used up."""
    return {step: list(plan) if isinstance(plan, list) else plan for step, plan in script.items()}


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


def not_pending(pid, number):
    """Whether the process has taken its signal (it is no longer in the pending sets)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        pending = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(mask >> (number - 1) & 1 for mask in pending)


def bench_config(customer):
    return os.path.join(customer.folder, "odmr.toml")
