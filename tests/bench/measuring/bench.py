"""One measurement: a source, a customer, a target."""

import json
import os
import shutil
import statistics
import tempfile
from dataclasses import dataclass, fields

from harness.runner import Shared

from .programs import Helper, Trouble, Usage, run_measured
from .targets import MaildirTarget, RealTarget, SinkTarget

PATIENCE = 900  # seconds for one run


@dataclass
class Measured:
    """One run; or, of several, the median of each."""
    messages: float
    bytes: float
    seconds: float
    waits: float              # the sender's, for an answer
    waits_to_atrn: float
    cpu: float = None         # seconds, the customer's; from its start to its end
    resident_kib: float = None
    calls: float = None       # system calls a message
    syncs: float = None

    @property
    def rate(self):
        return self.messages / self.seconds

    @property
    def throughput(self):
        return self.bytes / self.seconds / (1024 * 1024)


def median(runs):
    def middle(name):
        values = [getattr(run, name) for run in runs]
        return None if None in values else statistics.median(values)
    return Measured(**{each.name: middle(each.name) for each in fields(Measured)})


class Bench:
    """What the measurements share."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = tempfile.mkdtemp(prefix="bench-", dir=folder)
        os.chmod(self.folder, 0o755)
        self.shared = Shared(self.folder)
        self.leftovers = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shared.stop()
        for path in (self.folder, *self.leftovers):
            shutil.rmtree(path, ignore_errors=True)

    def target(self, kind):
        if kind == "sink":
            return SinkTarget(self)
        return MaildirTarget(self) if kind == "maildir" else RealTarget(self, kind)

    def run(self, scene, customer, messages, traced=False):
        """(Measured, Usage) of one run."""
        target = self.target(scene.target)
        target.begin()
        try:
            told, usage = self._fetch(scene, customer, messages, target, traced)
            if told["messages"] != messages:
                raise Trouble(f"{told['messages']} messages sent, and not {messages}")
            target.settle(messages)
        finally:
            target.stop()
        measured = Measured(told["messages"], told["bytes"], told["seconds"], told["waits"], told["waits_to_atrn"])
        if usage:
            measured.cpu, measured.resident_kib = usage.cpu, usage.resident_kib
        return measured, usage

    def _fetch(self, scene, customer, messages, target, traced):
        options = ["--messages", messages, "--bytes", scene.workload.bytes, "--mode", scene.mode]
        if customer.name == "direct":
            return self._send_directly(options, target), None
        if customer.is_bare:
            options += ["--bare", *(["--lmtp"] if target.lmtp else [])]
        if scene.tls:
            good = self.shared.authority.good()
            options += ["--certificate", good.certificate, "--key", good.key]
        source = Helper(self.build, "source", *options)
        try:
            command, environment = customer.command(self, source.port, target, scene.tls)
            usage = run_measured(self.build, command, environment, self.folder, PATIENCE, traced)
            return json.loads(source.end()), usage
        finally:
            source.kill()

    def _send_directly(self, options, target):
        run_folder = os.path.join(self.folder, "direct")
        os.makedirs(run_folder, exist_ok=True)
        lmtp = ["--lmtp"] if target.lmtp else []
        command = [os.path.join(self.build, "source"), *map(str, options), *lmtp, "--to", str(target.port)]
        run_measured(self.build, command, {}, run_folder, PATIENCE)
        with open(os.path.join(run_folder, "output"), encoding="ascii") as file:
            return json.load(file)

    def calls(self, scene, customer, scale=1):
        """(system calls, syncs) a message: what more messages cost more, so that the start does not count."""
        few, many = (max(1, round(count * scale)) for count in scene.workload.traced)
        first = self.run(scene, customer, few, traced=True)[1].calls
        second = self.run(scene, customer, many, traced=True)[1].calls
        more = {name: (second.get(name, 0) - first.get(name, 0)) / (many - few) for name in {*first, *second}}
        return sum(more.values()), sum(more.get(name, 0) for name in ("fsync", "fdatasync"))


__all__ = ["Bench", "Measured", "Usage", "median"]
