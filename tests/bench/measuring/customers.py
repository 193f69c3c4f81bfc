"""Who is measured: each says by which command it fetches from a port into a target."""

import os
import shutil

from harness import fetchmail, provider
from harness.programs import Customer, binary

DOMAINS = ["customer.example", "second.example"]


class Odmr:
    """`odmr run` with a state directory that is new each time."""

    is_bare = False
    share = 1  # of the messages of a workload

    def __init__(self, name="odmr", state=None, **deliver):
        self.name = name
        self.state = state  # the folder for it, or None: beside everything else, on disk
        self.deliver = deliver

    def can(self, scene):
        return True

    def command(self, bench, port, target, tls):
        folder = os.path.join(bench.folder, self.name)
        customer = Customer(folder, target.url, port=port, domains=DOMAINS)
        if self.state:
            customer.top["state_dir"] = os.path.join(self.state, f"odmr-bench-{os.getpid()}")
        shutil.rmtree(customer.top["state_dir"], ignore_errors=True)
        bench.leftovers.add(customer.top["state_dir"])
        if tls:
            customer.verify_with(bench.shared.authority, "implicit").isp["ip"] = "4"
        customer.deliver.update(self.deliver)
        return [binary("odmr"), "run", "--json", "--config", customer.configuration()], customer.environment()


class Fetchmail:
    """fetchmail's ODMR mode, which can only do without TLS, and only hands on by SMTP. A twentieth of the messages is
    enough: it takes its time over each."""

    name = "fetchmail"
    is_bare = False
    share = 0.05

    def can(self, scene):
        return scene.target in ("sink", "postfix") and not scene.tls

    def command(self, bench, port, target, tls):
        return fetchmail.command(os.path.join(bench.folder, self.name), port, provider.USER, provider.PASSWORD, DOMAINS,
                                 target.port, "--silent")


class Relay:
    """Bytes from the sender to the target, TLS taken off: what a customer costs that only passes on."""

    name = "relay"
    is_bare = True
    share = 1

    def can(self, scene):
        return scene.target != "maildir"

    def command(self, bench, port, target, tls):
        trust = [bench.shared.authority.ca_file] if tls else []
        return [os.path.join(bench.build, "relay"), str(port), str(target.port), *trust], {"LC_ALL": "C"}


class Direct:
    """Nobody in between: the sender is connected to the target."""

    name = "direct"
    share = 1

    def can(self, scene):
        return scene.target != "maildir"
