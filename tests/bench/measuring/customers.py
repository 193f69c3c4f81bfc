"""Who is measured: each says by which command it fetches from a port into a target."""

import functools
import os
import shutil
import subprocess
import tempfile

from harness import fetchmail, provider
from harness.programs import Customer, binary

DOMAINS = ["customer.example", "second.example"]


@functools.lru_cache
def knows(*keys):
    """Whether this odmr has these keys in [deliver]: an older one is measured without what needs them."""
    with tempfile.TemporaryDirectory() as folder:
        customer = Customer(folder, "smtp://127.0.0.1:25")
        customer.deliver.update(dict.fromkeys(keys, 1))
        command = [binary("odmr"), "check", "--config", customer.configuration()]
        return subprocess.run(command, env=customer.environment(), stdin=subprocess.DEVNULL, capture_output=True,
                              check=False).returncode == 0


class Odmr:
    """`odmr run` with a state directory that is new each time."""

    is_bare = False
    is_traced = staticmethod(lambda workload: bool(workload.traced))
    under = ()  # a command that runs it: perf record, strace

    def __init__(self, name="odmr", state=None, share=1, **deliver):
        self.name = name
        self.share = share  # of the messages of a workload
        self.state = state  # the folder for it, or None: beside everything else, on disk
        self.deliver = deliver

    def can(self, scene):
        return not self.deliver or knows(*sorted(self.deliver))

    def command(self, bench, port, target, tls):
        folder = os.path.join(bench.folder, self.name)
        customer = Customer(folder, target.url, port=port, domains=DOMAINS)
        if self.state:
            customer.top["state_dir"] = os.path.join(self.state, f"odmr-bench-{os.getpid()}")
        shutil.rmtree(customer.top["state_dir"], ignore_errors=True)
        bench.leftovers.add(customer.top["state_dir"])
        if tls:
            customer.verify_with(bench.shared.authority, tls).isp["ip"] = "4"
        customer.deliver.update(self.deliver)
        command = [*self.under, binary("odmr"), "run", "--json", "--config", customer.configuration()]
        return command, customer.environment()


class Fetchmail:
    """fetchmail's ODMR mode, which can only do without TLS. A twentieth of the messages is enough: it takes its time
    over each."""

    name = "fetchmail"
    is_bare = False

    def __init__(self, share=0.05):
        self.share = share

    def is_traced(self, workload):
        return workload.bytes < 10 * 1024 * 1024  # it reads byte by byte

    def can(self, scene):
        return scene.target in ("sink", "postfix") and not scene.tls and scene.mode in ("pipelined", "lockstep")

    def command(self, bench, port, target, tls):
        return fetchmail.command(os.path.join(bench.folder, self.name), port, provider.USER, provider.PASSWORD, DOMAINS,
                                 target.port, "--silent")


class Relay:
    """Bytes from the sender to the target, TLS taken off: what a customer costs that only passes on."""

    name = "relay"
    is_bare = True
    is_traced = staticmethod(lambda workload: bool(workload.traced))
    share = 1

    def can(self, scene):
        return scene.target != "maildir"

    def command(self, bench, port, target, tls):
        trust = [bench.shared.authority.ca_file] if tls else []
        return [os.path.join(bench.build, "relay"), str(port), str(target.port), *trust], {"LC_ALL": "C"}


class Direct:
    """Nobody in between: the sender is connected to the target."""

    name = "direct"
    is_bare = True
    is_traced = staticmethod(lambda workload: False)  # there is none
    share = 1

    def can(self, scene):
        return scene.target != "maildir"
