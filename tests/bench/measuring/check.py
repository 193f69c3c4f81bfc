"""tests/bench/run --check: would the bench show what it is there to show? It measures bad things on purpose."""

from dataclasses import replace

from .customers import Direct, Odmr, Relay
from .programs import Lacks, Trouble
from .scenes import WORKLOADS, Scene
from .targets import SinkTarget

MESSAGES = 40
SCENE = Scene("check", replace(WORKLOADS["4k"], messages=MESSAGES, traced=(5, 25)), [])


def slow_target(bench):
    """A target that takes 5 ms over each letter keeps everybody below 200 a second."""
    kind, bench.target = bench.target, lambda _: SinkTarget(bench, 5000)
    try:
        slow = {each.name: bench.run(SCENE, each, MESSAGES)[0].rate for each in (Odmr(), Relay(), Direct())}
    finally:
        bench.target = kind
    fast = bench.run(SCENE, Direct(), MESSAGES)[0].rate
    return max(slow.values()) < 200 < fast, f"slow {slow}, fast {fast:.0f}"


def long_line(bench):
    """A letter takes two round trips when pipelined, four in lock-step, and hardly longer."""
    found = {}
    for mode, trips in (("pipelined", 2), ("lockstep", 4)):
        run = bench.run(replace(SCENE, mode=mode, rtt=20), Relay(), MESSAGES)[0]
        found[mode] = (run.waits / MESSAGES, run.seconds / (trips * MESSAGES * 0.02))
    good = found["pipelined"][0] == 2 and found["lockstep"][0] == 4 and all(1 <= f[1] < 1.2 for f in found.values())
    return good, str(found)


def odmrd_on_a_long_line(bench):
    """The longer the line, the longer odmrd's mail takes."""
    near, far = (bench.run(replace(SCENE, provider="odmrd", rtt=rtt), Odmr(), MESSAGES)[0] for rtt in (20, 60))
    return far.seconds > 1.8 * near.seconds and far.trips_to_atrn >= 5, f"20 ms: {near}\n      60 ms: {far}"


def lost_message(bench):
    """A target that has got fewer than were sent is no measurement."""
    target = bench.target("sink")
    target.begin()
    try:
        target.settle(1)
    except Trouble as trouble:
        return "taken 0 messages" in str(trouble), str(trouble)
    return False, "nobody noticed"


def sender_cut_off(bench):
    """Nor is a customer that fails."""
    class Nobody(Relay):
        def command(self, *_):
            return ["false"], {"PATH": "/usr/bin:/bin"}
    try:
        bench.run(SCENE, Nobody(), MESSAGES)
    except Lacks as lacks:
        return False, str(lacks)
    except Trouble as trouble:
        return True, str(trouble)
    return False, "nobody noticed"


def calls(bench):
    """System calls: the relay needs about twelve for a letter and never syncs, odmr syncs; the start does not count."""
    relay, odmr = bench.calls(SCENE, Relay()), bench.calls(SCENE, Odmr())
    return 8 <= relay[0] <= 16 and relay[1] == 0 and odmr[1] >= 0.9, f"relay {relay}, odmr {odmr}"


CHECKS = (slow_target, long_line, odmrd_on_a_long_line, lost_message, sender_cut_off, calls)


def run(bench):
    failed = 0
    for check in CHECKS:
        try:
            good, said = check(bench)
        except Trouble as trouble:
            good, said = False, str(trouble)
        failed += not good
        print(f"{'ok   ' if good else 'FAIL '} bench: {check.__doc__.splitlines()[0]}\n      {said}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return failed == 0
