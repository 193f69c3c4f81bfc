"""The programs under test: odmr with a written configuration, and odmrd as a daemon."""

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass

from . import wait
from .process import Child, wait_measured
from .provider import PASSWORD, USER
from .target import write

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
HOSTNAME = "mail.customer.example"  # what odmr calls itself in these tests


def binary(name):
    folder = os.environ.get("ODMR_BIN_DIR") or os.path.join(REPOSITORY, "build", "release")
    path = os.path.join(folder, name)
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"missing program {path} (ODMR_BIN_DIR says where it is)")
    return path


def copy_for_everybody(folder):
    """The programs where any user of this machine may run them; odmr is `sendmail` and `mailq` there too."""
    source = os.path.dirname(binary("odmr"))
    for name in os.listdir(source):
        path = os.path.join(source, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            os.chmod(shutil.copy(path, folder), 0o755)
    for name in ("sendmail", "mailq"):
        os.symlink("odmr", os.path.join(folder, name))
    return folder


def toml_table(name, values):
    """One table; JSON's strings, numbers, booleans and lists are TOML's too."""
    lines = [f"[{name}]"] if name else []
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


@dataclass
class Result:
    """How one run of a program ended."""
    status: int        # the exit status; a negative one is a signal
    stdout: str
    stderr: str
    seconds: float
    rss_kib: int       # the most memory that was resident at once

    @property
    def objects(self):
        """The JSON lines of stdout. Each must parse: a stray line there is a fault."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]

    def session(self, provider="isp"):
        """The one JSON object of the given provider."""
        found = [one for one in self.objects if one.get("provider") == provider]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} JSON objects for provider {provider!r}, not 1: {self.stdout!r}")
        return found[0]


class Running:
    """A program under way. finish() waits for its end; the test may send signals before."""

    def __init__(self, arguments, folder, env, stdin=b""):
        self.started = time.monotonic()
        self.paths = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        given = os.path.join(folder, "stdin")
        with open(given, "wb") as file:
            file.write(stdin)
        with open(given, "rb") as input_, open(self.paths[0], "wb") as out, open(self.paths[1], "wb") as err:
            self.process = subprocess.Popen(arguments, stdin=input_, stdout=out, stderr=err, env=env,
                                            start_new_session=True)
        self.pid = self.process.pid

    def output(self, which):
        with open(self.paths[which], "rb") as file:
            return file.read().decode("utf-8", "replace")

    def signal(self, number):
        os.kill(self.pid, number)

    def finish(self, seconds=60):
        done = wait_measured(self.process, seconds)
        if done is None:
            self.kill()
            raise AssertionError(f"still running after {seconds} s; its log:\n{self.output(1)[-3000:]}")
        status, resident = done
        return Result(status, self.output(0), self.output(1), time.monotonic() - self.started, resident)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Customer:
    """odmr with a configuration of its own; every table is a dictionary that a test may change
    before it runs something. A value of None leaves a key out."""

    def __init__(self, folder, target_url, provider=None, **provider_keys):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        self.secret = os.path.join(folder, "isp.secret")
        write(self.secret, PASSWORD + "\n", mode=0o600)
        self.top = {"state_dir": os.path.join(folder, "state"), "hostname": HOSTNAME}
        self.deliver = {"to": target_url}
        self.timeouts = {}
        self.tables = {}  # further tables: name -> values
        self.raw = ""     # text put behind it all
        self.isp = {"host": "127.0.0.1", "port": 366, "tls": "none", "user": USER, "password_file": self.secret,
                    "domains": ["customer.example", "second.example"]}
        if provider:
            self.talk_to(provider)
        self.isp.update(provider_keys)
        self.results = []

    def talk_to(self, provider):
        self.isp["port"] = provider.port

    def verify_with(self, authority, tls="starttls"):
        """TLS with full verification against the bench's own CA."""
        self.isp.update({"host": authority.name, "tls": tls, "ca_file": authority.ca_file})
        return self

    def send_through(self, host, tls="none", **keys):
        """[outbound]: a smart host, real or scripted, with the login that all of them know, where they want one;
        or None, for the keys alone."""
        table = {"to": host.address(tls), "tls": tls} if host else {}
        if host and host.mechanisms:
            table.update({"user": USER, "password_file": self.secret})
        if tls != "none":
            table["ca_file"] = host.authority.ca_file
        self.tables["outbound"] = {**table, **keys}
        return self

    def configuration(self):
        text = toml_table("", self.top) + toml_table("deliver", self.deliver)
        if self.isp is not None:
            text += toml_table("provider.isp", self.isp)
        if self.timeouts:
            text += toml_table("timeouts", self.timeouts)
        for name, values in self.tables.items():
            text += toml_table(name, values)
        return write(os.path.join(self.folder, "odmr.toml"), text + self.raw, mode=0o600)

    def environment(self):
        return {"PATH": "/usr/bin:/bin", "HOME": self.folder, "LC_ALL": "C.UTF-8"}

    def start(self, *arguments, env=None):
        """Starts `odmr ARGUMENTS --config …`, or `odmr run --json …` without arguments."""
        arguments = list(arguments) or ["run", "--json"]
        command = [binary("odmr"), *arguments, "--config", self.configuration()]
        folder = os.path.join(self.folder, f"run{len(os.listdir(self.folder))}")
        os.makedirs(folder)
        return Running(command, folder, {**self.environment(), **(env or {})})

    def run(self, *arguments, seconds=60, env=None):
        running = self.start(*arguments, env=env)
        try:
            result = running.finish(seconds)
        finally:
            running.kill()
        self.results.append(result)
        return result

    def sendmail(self, message):
        """A local program hands a message to `odmr sendmail`, with LF line ends as they do."""
        return self.plain("sendmail", "-i", "-f", message.reverse_path, *message.recipients,
                          env={"ODMR_CONFIG": self.configuration()}, stdin=message.data.replace(b"\r\n", b"\n"))

    def submit(self, *messages):
        """The same for many; each must be taken."""
        for message in messages:
            result = self.sendmail(message)
            if result.status != 0:
                raise AssertionError(f"odmr sendmail: exit {result.status}\n{result.stderr}")
        return self

    def flush(self, *more, **options):
        """`odmr run` that leaves the provider alone."""
        return self.run("run", "--json", "--send-only", *more, **options)

    def queue(self):
        """What `odmr queue list --json` prints: an object per message, in the order of arrival."""
        result = self.run("queue", "list", "--json")
        if result.status != 0:
            raise AssertionError(f"odmr queue list: exit {result.status}\n{result.stderr}")
        return result.objects

    def plain(self, *arguments, seconds=60, env=None, stdin=b""):
        """The program with exactly these arguments, no --config added."""
        return self._finished([binary("odmr"), *arguments], seconds, env, stdin)

    def called(self, name, *arguments, env=None, stdin=b""):
        """The program under another name (sendmail, mailq), with this configuration."""
        path = os.path.join(self.folder, name)
        if not os.path.islink(path):
            os.symlink(binary("odmr"), path)
        return self._finished([path, *arguments], 60, {"ODMR_CONFIG": self.configuration(), **(env or {})}, stdin)

    def _finished(self, command, seconds, env, stdin):
        folder = os.path.join(self.folder, f"run{len(os.listdir(self.folder))}")
        os.makedirs(folder)
        result = Running(command, folder, {**self.environment(), **(env or {})}, stdin).finish(seconds)
        self.results.append(result)
        return result


class Submission:
    """`odmr submit` of a customer, listening on a Unix socket that every user may reach."""

    def __init__(self, customer, folder):
        self.customer = customer
        self.folder = folder
        self.socket = os.path.join(folder, "submit")
        self.addresses = []
        self.child = None

    def start(self, *more):
        self.customer.tables.setdefault("submit", {})["listen"] = [self.socket, *more]
        self.child = Child([binary("odmr"), "submit", "--config", self.customer.configuration()],
                           os.path.join(self.customer.folder, "submit.log"), env=self.customer.environment())
        found = wait.until(lambda: self._listening() or not self.child.running(), 20, "odmr submit listens")
        if found is True:
            raise AssertionError(f"odmr submit ended at once:\n{self.child.output()}")
        self.addresses = found
        return self

    def _listening(self):
        told = re.findall(r"^listening on (\S+)$", self.child.output(), re.MULTILINE)
        return len(told) == len(self.customer.tables["submit"]["listen"]) and told

    def stop(self):
        if self.child:
            self.child.stop()
            self.child = None


class Daemon:
    """odmrd serve with one customer, on a port that the system chose."""

    def __init__(self, folder, *, tls="none", certificate=None, domains=("customer.example", "second.example"),
                 spool=None, intake=None, customer=None, tables=None, address="127.0.0.1:0", **top):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        secret = write(os.path.join(folder, "customer.secret"), PASSWORD + "\n", mode=0o600)
        listen = {"address": address, "tls": tls}
        if certificate:
            os.chmod(certificate.key, 0o600)
            listen.update({"certificate": certificate.certificate, "key": certificate.key})
        self.configuration = write(os.path.join(folder, "odmrd.toml"), (
            toml_table("", {"spool": spool or os.path.join(folder, "spool"), "hostname": "provider.example", **top})
            + toml_table("listen.odmr", listen)
            + (toml_table("intake.mta", intake) if intake else "")
            + toml_table("customer.one", {"user": USER, "password_file": secret, "domains": list(domains),
                                          **(customer or {})})
            + "".join(toml_table(name, values) for name, values in (tables or {}).items())))
        self.intake_port = int(intake["address"].rpartition(":")[2]) if intake and ":" in intake["address"] else None
        self.child = None
        self.said_before = 0  # bytes of its log, of earlier starts
        self.port = None

    def start(self, **env):
        log = os.path.join(self.folder, "odmrd.log")
        self.said_before = os.path.getsize(log) if os.path.exists(log) else 0
        self.child = Child([binary("odmrd"), "serve", "--config", self.configuration], log,
                           env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **env})
        found = wait.until(lambda: self._listening() or not self.child.running(), 20, "odmrd listens")
        if found is True:
            raise AssertionError(f"odmrd ended at once:\n{self.child.output()}")
        self.port = int(found.group(1))
        return self

    def _listening(self):
        return re.search(r"^listening on \S*:(\d+)$", self.child.output()[self.said_before:], re.MULTILINE)

    def stop(self):
        if self.child:
            self.child.stop()
            self.child = None

    def kill(self):
        """As a crash does it."""
        self.child.kill()
        self.child = None

    def enqueue(self, message):
        """One message into the spool; what `odmrd enqueue` exited with."""
        done = subprocess.run([binary("odmrd"), "enqueue", "--config", self.configuration, "-f",
                               message.reverse_path, *message.recipients], input=message.data,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode

    def status(self, customer="one"):
        """What `odmrd status --json` says of a customer."""
        done = subprocess.run([binary("odmrd"), "status", "--json", "--config", self.configuration],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=True)
        objects = [json.loads(line) for line in done.stdout.splitlines()]
        return next(one for one in objects if one["customer"] == customer)

    def spool(self):
        """What `odmrd spool list` prints."""
        done = subprocess.run([binary("odmrd"), "spool", "list", "--config", self.configuration],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=True)
        return done.stdout.decode("utf-8", "replace")
