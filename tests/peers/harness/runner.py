"""Registers cases, runs them one after the other, and says how each ended."""

import argparse
import contextlib
import fnmatch
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from dataclasses import dataclass

from . import messages, tls, unpacked
from .dovecot import Dovecot
from .exim import Exim
from .localmta import LocalPostfix
from .opensmtpd import OpenSmtpd
from .pop import Pop
from .postfix import Postfix
from .programs import Customer, Daemon, Submission, copy_for_everybody
from .provider import Provider
from .sink import Sink
from .smarthost import ScriptedHost, SmartHost
from .smarthost_exim import EximHost
from .smarthost_opensmtpd import OpenSmtpdHost
from .smarthost_postfix import PostfixHost

TARGETS = {"postfix": Postfix, "exim": Exim, "opensmtpd": OpenSmtpd, "dovecot": Dovecot, "dovecot-tcp": Dovecot}
SMART_HOSTS = {"postfix": PostfixHost, "exim": EximHost, "opensmtpd": OpenSmtpdHost}
CASE_SECONDS = 240   # no case may take longer, whatever hangs
SHARE_OF_LONG = 8    # one in so many of the long combinations runs without --full


@dataclass
class Case:
    name: str
    function: object
    long: bool = False  # one of many combinations: without --full only some of them run
    later: str = ""     # what of the contract has to be built before this can hold; not run until then


class Suite:
    """The cases of one program, in the order in which they were written."""

    def __init__(self):
        self.cases = []

    def case(self, name, *arguments, long=False, later=""):
        """Decorator. `arguments` are handed to the function after the bench."""
        def register(function):
            self.cases.append(Case(name, lambda bench: function(bench, *arguments), long, later))
            return function
        return register


class Shared:
    """What all cases of a run use together: unpacked programs, certificates, running real targets."""

    def __init__(self, folder):
        self.folder = folder
        self.targets = {}
        self._programs = None
        self._authority = None
        self._bin = None

    @property
    def bin(self):
        """A folder with our programs, for any user."""
        if not self._bin:
            self._bin = os.path.join(self.folder, "bin")
            os.mkdir(self._bin)
            copy_for_everybody(self._bin)
        return self._bin

    @property
    def programs(self):
        if not self._programs:
            self._programs = unpacked.copy_programs(os.path.join(self.folder, "programs"))
        return self._programs

    @property
    def authority(self):
        if not self._authority:
            self._authority = tls.Authority(os.path.join(self.folder, "certificates"))
        return self._authority

    def target(self, kind):
        if kind not in self.targets:
            target = TARGETS[kind](os.path.join(self.folder, kind), self.programs)
            if kind == "dovecot-tcp":
                target.over_unix = False
            self.targets[kind] = target
        return self.targets[kind]

    def smart_host(self, kind):
        name = f"{kind}-host"
        if name not in self.targets:
            folder = os.path.join(self.folder, name)
            self.targets[name] = SMART_HOSTS[kind](folder, self.programs, self.authority)
        return self.targets[name]

    def stop(self):
        for target in self.targets.values():
            target.stop()


class Bench:
    """What one case has at hand. All that it makes ends with it."""

    def __init__(self, shared, name, seed):
        self.shared = shared
        self.folder = tempfile.mkdtemp(prefix="case-", dir=shared.folder)
        os.chmod(self.folder, 0o755)
        self.random = random.Random(seed ^ zlib.crc32(name.encode()))
        self.maker = messages.Maker(self.random.getrandbits(32))
        self.stack = contextlib.ExitStack()
        self.made = []  # (what, object) for the report of a failure

    @property
    def authority(self):
        return self.shared.authority

    def path(self, name):
        return os.path.join(self.folder, name)

    def target(self, kind, refuse=(), put_off=()):
        """A real target, running, with empty mailboxes."""
        target = self.shared.target(kind).start(refuse, put_off)
        target.clear()
        self.made.append((kind, target))
        return target

    def smart_host(self, kind, **traits):
        """A real smart host, running, with empty mailboxes."""
        host = self.shared.smart_host(kind).begin(**traits)
        host.clear()
        self.made.append((kind, host))
        return host

    def keep(self, what, thing):
        """Something that ends with the case."""
        return self._keep(what, thing)

    def _keep(self, what, thing):
        self.made.append((what, thing))
        self.stack.callback(thing.stop)
        return thing

    def provider(self, *arguments, **options):
        return self._keep("provider", Provider(*arguments, **options))

    def sink(self, **options):
        return self._keep("sink", Sink(**options))

    def local_mta(self, relay):
        """A Postfix of its own that relays through this sink, running."""
        mta = self._keep("local postfix", LocalPostfix(self.path("local-postfix"), self.shared.programs, relay))
        return mta.start()

    def host(self, **options):
        """A scripted smart host."""
        return self._keep("smart host", ScriptedHost(self.authority, **options))

    def pop(self, secured=True):
        return self._keep("pop", Pop(tls.server_context(self.authority.good()) if secured else None))

    def daemon(self, **options):
        return self._keep("odmrd", Daemon(self.path("odmrd"), **options))

    def customer(self, target, provider=None, **keys):
        """odmr set up for this target (a real one, a sink, or an URL) and this provider."""
        url = target if isinstance(target, str) else target.url
        customer = Customer(self.path(f"customer{len(self.made)}"), url, provider, **keys)
        self.made.append(("odmr", customer))
        return customer

    def submission(self, customer, *listen):
        """`odmr submit` of this customer."""
        submission = Submission(customer, self.path(""))
        return self._keep("submit", submission).start(*listen)

    def report(self):
        """What the case's parts have seen, shortened, for a failure."""
        parts = []
        for what, thing in self.made:
            if isinstance(thing, (Provider, Sink)):
                parts.append(f"[{what}]\n{thing.transcript()[-3000:]}")
            elif isinstance(thing, Customer):
                parts += [f"[odmr exit {r.status}]\n{r.stdout[-1000:]}{r.stderr[-2500:]}" for r in thing.results]
            elif isinstance(thing, SmartHost):
                parts.append(f"[{what}]\n{thing.log_text()[-2000:]}")
            elif isinstance(thing, (Daemon, Submission)) and thing.child:
                parts.append(f"[{what}]\n{thing.child.output()[-2000:]}")
        return "\n".join(parts)

    def close(self):
        self.stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def equal(got, wanted, what):
    """An assertion that says what was compared."""
    if got != wanted:
        raise AssertionError(f"{what}: {got!r} instead of {wanted!r}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def none(problems):
    """No discrepancy was found."""
    if problems:
        raise AssertionError("\n".join(problems[:20]))


def _overdue(_number, _frame):
    raise AssertionError(f"case took longer than {CASE_SECONDS} s")


def _chosen(cases, options):
    """All short cases and a seeded part of the long ones; everything with --full or when named."""
    if options.names:
        patterns = [name if any(c in name for c in "*?[") else f"*{name}*" for name in options.names]
        return [case for case in cases if any(fnmatch.fnmatch(case.name, pattern) for pattern in patterns)]
    cases = [case for case in cases if not case.later]
    if options.full:
        return cases
    long = [case for case in cases if case.long]
    some = random.Random(options.seed).sample(long, min(len(long), -(-len(long) // SHARE_OF_LONG)))
    return [case for case in cases if not case.long or case in some]


def _run_one(case, shared, seed):
    """None when it went well, otherwise the account of the failure."""
    bench = Bench(shared, case.name, seed)
    signal.alarm(CASE_SECONDS)
    try:
        case.function(bench)
        return None
    except Exception as error:
        account = f"{type(error).__name__}: {error}"
        if not isinstance(error, (AssertionError, FileNotFoundError)):
            account += "\n" + traceback.format_exc()
        return account + "\n" + bench.report()
    finally:
        signal.alarm(0)
        bench.close()


def main(suite, description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", metavar="NAME", nargs="*", help="only cases whose name contains this (or matches it)")
    parser.add_argument("--full", action="store_true", help="every combination, not a seeded part of them")
    parser.add_argument("--seed", type=int, default=1, help="chooses the part, and the messages' content")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    options = parser.parse_args()
    cases = _chosen(suite.cases, options)
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    signal.signal(signal.SIGALRM, _overdue)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="odmr-bench-")
    os.chmod(folder, 0o755)
    shared = Shared(folder)
    failed = 0
    try:
        for case in cases:
            failed += not _tell(case, _timed(case, shared, options.seed))
    finally:
        shared.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for case in suite.cases:
        if case.later and case not in cases:
            print(f"later {case.name}: waits for {case.later}")
    print(f"ran {len(cases)} of {len(suite.cases)} cases, seed {options.seed}")
    print(f"{len(cases) - failed} passed, {failed} failed", flush=True)
    return 1 if failed or not cases else 0


def _timed(case, shared, seed):
    begun = time.monotonic()
    return _run_one(case, shared, seed), time.monotonic() - begun


def _tell(case, outcome):
    account, seconds = outcome
    if account is None:
        print(f"ok    {case.name} ({seconds:.1f} s)", flush=True)
        return True
    print(f"FAIL  {case.name} ({seconds:.1f} s)", flush=True)
    print("      " + account.replace("\n", "\n      "), flush=True)
    return False
