"""Does a fault at each point of a program's run, every time in a fresh state, and collects what went wrong."""

import errno
from dataclasses import dataclass, field

from harness.runner import equal, none

from . import syscalls
from .tracer import Fail, Kill, PowerCut, Shorten, Tracer

# What a call says on a bad disk, a full one, with a signal, and without memory or descriptors.
_DISK = (errno.EIO, errno.ENOSPC)
_SLOW = (errno.EINTR, errno.EIO)
_ERRORS_OF = {
    "write writev pwrite64 ftruncate fallocate fsync fdatasync close": (*_DISK, errno.EINTR),
    "mkdir mkdirat rename renameat renameat2 link linkat unlink unlinkat": _DISK,
    "open openat": (*_DISK, errno.EMFILE, errno.EINTR),
    "socket dup fcntl epoll_create1 eventfd2 pipe2": (errno.EMFILE,),
    "mmap brk clone clone3": (errno.ENOMEM,),
    "read pread64 readv flock connect poll ppoll": _SLOW,
    "recvmsg recvfrom sendmsg sendto": (*_SLOW, errno.ECONNRESET),
    "fstat newfstatat stat statx getdents64 getrandom statfs chmod fchmod": (errno.EIO,),
}
ERRORS = {name: errors for names, errors in _ERRORS_OF.items() for name in names.split()}

# Those whose size tracer.Shorten knows how to halve.
SHORT = ("write", "pwrite64", "sendto", "sendmsg")

FULL = False  # --full: every point


@dataclass
class Tally:
    """What a case has to tell beside its outcome."""
    found: int = 0
    run: int = 0
    missed: int = 0   # the run ended before the point came: threads take turns as they like
    doubled: int = 0  # within the window
    problems: list = field(default_factory=list)

    def tell(self, what):
        print(f"points {what}: {self.found} found, {self.run} run"
              + (f", {self.missed} of these not reached" if self.missed else "")
              + (f"; {self.doubled} came twice, within the window" if self.doubled else "")
              + (f"; {len(self.problems)} problems" if self.problems else ""), flush=True)
        none(self.problems)
        if not self.run or 2 * self.missed > self.run:
            raise AssertionError(f"{self.missed} of {self.run} points were not reached")


def touches(call, root):
    """It changes something that others can see: a file below `root`, or a conversation."""
    if call.data or call.name in ("connect", "recvmsg", "recvfrom", "exit_group", "kill"):
        return True
    return changes_files(call, root)


def changes_files(call, root):
    if call.name in syscalls.READS or not any(path.startswith(root) for path in call.paths):
        return False
    return call.name not in ("open", "openat") or syscalls.creates(call.name, call.arguments)


class Campaign:
    """All faults of one case. `scene`: see scenes.py. `only`: which calls are struck, where others say nothing new; all
    without it."""

    def __init__(self, bench, scene, some, only=None):
        self.scene = scene
        self.some = None if FULL else some  # of many points only so many run
        self.only = only or (lambda call: True)
        self.random = bench.random
        self.tally = Tally()
        self.reference = self._reference()

    def _reference(self):
        """The run that nothing happens to must be right itself, or its points are worth nothing."""
        run = self._strike(None)
        equal(run.result.status, self.scene.status, f"exit status without a fault ({run.result.stderr[-500:]})")
        none(self.scene.judge(run, complete=True))
        return run

    def kills(self):
        calls = list(filter(self.only, self.reference.calls))
        self._each([(f"killed at {call}", Kill(self._at(call)), None)
                    for call in self._choose(calls, lambda call: touches(call, self.scene.root))])
        return self.tally

    def errors(self):
        """Each call that can fail, with each error that fits it."""
        calls = [call for call in self.reference.calls if syscalls.can_fail(call) and self.only(call)]
        pairs = [(call, error) for call in calls for error in ERRORS.get(call.name, ())]
        self._each([(f"{errno.errorcode[error]} at {call}", Fail(self._at(call), error), None)
                    for call, error in self._choose(pairs, lambda pair: touches(pair[0], self.scene.root))])
        return self.tally

    def short_writes(self):
        """Each write to a file or a line that could take less than it was given."""
        calls = [call for call in self.reference.calls if call.name in SHORT and (call.result or 0) > 1
                 and (call.data or changes_files(call, self.scene.root))]
        self._each([(f"short write at {call}", Shorten(self._at(call)), None)
                    for call in self._choose(calls, lambda _: True)])
        return self.tally

    def power_cuts(self, disk, kinds):
        """At the n-th call that changes files, and after the last one, with each kind of cut."""
        changes = [call for call in self.reference.calls if changes_files(call, self.scene.root)
                   or call.name == "exit_group"]
        cuts = [(number, kind) for number in range(1, len(changes) + 1) for kind in kinds]
        self._each([(f"power cut ({kind}) at {changes[number - 1]}",
                     PowerCut(_Nth(number, self.scene.root), lambda kind=kind: disk.cut(kind)), disk)
                    for number, kind in self._choose(cuts, lambda _: True)])
        disk.check()
        return self.tally

    def _at(self, call):
        """Whether another run's call is this one of the reference. Which of several threads takes a work is left to
        chance: the calls of those beside the first are counted together."""
        if call.thread == 0:
            return lambda other: other.point == call.point
        like = [one for one in self.reference.calls if one.thread and one.name == call.name]
        return _NthBeside(call.name, 1 + next(i for i, one in enumerate(like) if one is call))

    def _choose(self, points, matters):
        """All, or a seeded part: three quarters of it from what changes something, as far as there is so much."""
        self.tally.found += len(points)
        if self.some is None or len(points) <= self.some:
            return points
        important = [number for number, point in enumerate(points) if matters(point)]
        rest = sorted(set(range(len(points))) - set(important))
        first = self.random.sample(important, min(len(important), max(self.some * 3 // 4, self.some - len(rest))))
        chosen = first + self.random.sample(rest, min(len(rest), self.some - len(first)))
        return [points[number] for number in sorted(chosen)]

    def _each(self, faults):
        for what, fault, disk in faults:
            self.tally.run += 1
            self.tally.problems += [f"{what}: {problem}" for problem in self._strike_and_judge(fault, disk)]
        self.tally.doubled = self.scene.forgiven

    def _strike_and_judge(self, fault, disk):
        try:
            run = self._strike(fault, disk)
            self.tally.missed += run.struck is None
            return self.scene.judge(run)
        except AssertionError as hanging:
            return [str(hanging)]

    def _strike(self, fault, disk=None):
        self.scene.reset()
        if disk:
            disk.sync()
        tracer = Tracer(fault)
        try:
            with self.scene.meanwhile(tracer):
                return tracer.run(*self.scene.command())
        finally:
            if disk:
                disk.power_on()


class _Nth:
    """The n-th call that changes files; threads may take turns in another order than the last time."""

    def __init__(self, number, root):
        self.left = number
        self.root = root

    def __call__(self, call):
        self.left -= changes_files(call, self.root) or call.name == "exit_group"
        return self.left == 0


class _NthBeside:
    """The n-th call of that name, of all threads but the first."""

    def __init__(self, name, number):
        self.name = name
        self.left = number

    def __call__(self, call):
        self.left -= call.thread != 0 and call.name == self.name
        return self.left == 0
