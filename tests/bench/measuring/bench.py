"""One measurement: a source, a customer, a target."""

import contextlib
import json
import os
import shutil
import statistics
import tempfile
from dataclasses import dataclass, fields

from harness.runner import Shared

from .programs import Ended, Helper, Lacks, Trouble, run_measured
from .spools import Spools
from .targets import MaildirTarget, RealTarget, SinkTarget

PATIENCE = 900  # seconds for one run


@dataclass
class Measured:
    """One run; or, of several, the median of each."""
    messages: float
    bytes: float
    seconds: float
    waits: float              # the sender's, for an answer
    trips_to_atrn: float = None
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


@dataclass
class Here:
    """A port of this machine."""
    port: int


class Bench:
    """What the measurements share."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = tempfile.mkdtemp(prefix="bench-", dir=folder)
        os.chmod(self.folder, 0o755)
        self.shared = Shared(self.folder)
        self.spools = Spools(os.path.join(self.folder, "odmrd"))
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
        measured = Measured(told["messages"], told["bytes"], told["seconds"], told["waits"])
        if not customer.is_bare:
            # Before the sender first waits for an answer lies TCP's handshake, and behind the last wait comes the
            # answer to ATRN.
            measured.trips_to_atrn = told["waits_to_atrn"] + 2
        if usage:
            measured.cpu, measured.resident_kib = usage.cpu, usage.resident_kib
        return measured, usage

    def _fetch(self, scene, customer, messages, target, traced):
        if scene.provider == "odmrd":
            return self._fetch_from_odmrd(scene, customer, messages, target, traced)
        options = ["--messages", messages, "--bytes", scene.workload.bytes, "--mode", scene.mode]
        if customer.is_bare:
            options += ["--bare", *(["--lmtp"] if target.lmtp else [])]
        if customer.name == "direct":
            return self._send_directly(options, scene.rtt, target), None
        if scene.tls:
            good = self.shared.authority.good()
            options += ["--certificate", good.certificate, "--key", good.key]
            options += ["--starttls"] if scene.tls == "starttls" else []
        with self._helper("source", *options) as source, self._line(source.port, scene.rtt) as line:
            try:
                usage = self._run(customer, line.port, target, scene, traced)
            except Trouble:
                source.check()  # it may know better why
                raise
            return json.loads(source.end()), usage

    def _run(self, customer, port, target, scene, traced):
        command, environment = customer.command(self, port, target, scene.tls)
        return run_measured(self.build, command, environment, self.folder, PATIENCE, traced)

    @contextlib.contextmanager
    def _helper(self, *arguments):
        helper = Helper(self.build, *arguments)
        try:
            yield helper
        finally:
            helper.kill()

    def _line(self, port, rtt):
        """To whoever listens at the port, so long; the same machine where it has no length."""
        return self._helper("delay", port, rtt) if rtt else contextlib.nullcontext(Here(port))

    def _send_directly(self, options, rtt, target):
        folder = os.path.join(self.folder, "direct")
        os.makedirs(folder, exist_ok=True)
        with self._line(target.port, rtt) as line:
            command = [os.path.join(self.build, "source"), *map(str, options), "--to", str(line.port)]
            try:
                run_measured(self.build, command, {}, folder, PATIENCE)
            except Ended as ended:
                if ended.status == 3:
                    raise Lacks(ended.said) from ended
                raise
        with open(os.path.join(folder, "output"), encoding="ascii") as file:
            return json.load(file)

    def _fetch_from_odmrd(self, scene, customer, messages, target, traced):
        """The line itself is the witness of when the 250 to ATRN and the last 250 have come to odmrd."""
        daemon = self.spools.daemon(messages, scene.workload.bytes)
        try:
            with self._helper("delay", daemon.start().port, scene.rtt, "--watch") as line:
                usage = self._run(customer, line.port, target, scene, traced)
                said = line.end().splitlines()
        finally:
            daemon.stop()
        if len(said) != 1:
            raise Trouble(f"{len(said)} connections on which mail came, and not 1")
        told = json.loads(said[0])
        seconds = told["seconds"]
        return {"messages": messages, "bytes": messages * scene.workload.bytes, "seconds": seconds,
                "waits": seconds * 1000 / scene.rtt if scene.rtt else None,
                "waits_to_atrn": told["turns_to_atrn"] / 2}, usage

    def calls(self, scene, customer):
        """(system calls, syncs) a message: what more messages cost more, so that the start does not count."""
        few, many = scene.workload.traced
        first = self.run(scene, customer, few, traced=True)[1].calls
        second = self.run(scene, customer, many, traced=True)[1].calls
        more = {name: (second.get(name, 0) - first.get(name, 0)) / (many - few) for name in {*first, *second}}
        return sum(more.values()), sum(more.get(name, 0) for name in ("fsync", "fdatasync"))

