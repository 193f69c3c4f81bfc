"""systemd's units, as `cmake --install` makes them: systemd itself finds nothing wrong with them, they are shut in, and
what the programs do in a session is allowed in there."""

import dataclasses
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess

from harness import wait
from harness.messages import Ledger
from harness.process import Child
from harness.process import run as run_command
from harness.programs import REPOSITORY, binary
from harness.runner import check, equal, none

from .outcomes.sent import letter_out

NOBODY = 65534
EXPOSURE = 1.5
SERVICES = {"odmr.service", "odmr@.service", "odmr-watch.service", "odmr-submit.service", "odmr-submit@.service",
            "odmrd.service"}
OTHERS = {"odmr.timer", "odmr@.timer", "odmr-submit.socket", "odmrd.socket"}
DROP_INS = os.path.join(REPOSITORY, "packaging", "systemd", "drop-ins")


def register(suite):
    suite.case("units/installed")(installed)
    suite.case("units/verify")(verify)
    suite.case("units/shut-in")(shut_in)
    suite.case("units/patience")(patience)
    suite.case("units/conditions")(conditions)
    for target in ("lmtp", "maildir"):
        suite.case(f"units/system-calls/run/{target}", target)(calls_of_run)
    suite.case("units/system-calls/odmrd")(calls_of_odmrd)
    suite.case("units/system-calls/submit")(calls_of_submit)
    suite.case("units/system-calls/watch")(calls_of_watch)
    suite.case("units/journal")(to_journal)
    suite.case("units/syslog")(to_syslog)


def units(bench):
    """Where they are, after an installation into the bench's folder."""
    prefix = bench.path("prefix")
    folder = os.path.join(prefix, "lib", "systemd", "system")
    if not os.path.isdir(folder):
        build = os.environ.get("ODMR_BIN_DIR") or os.path.join(REPOSITORY, "build", "release")
        run_command(["cmake", "--install", build, "--prefix", prefix])
    return folder


class Unit:
    """One file; what is said several times for a key is a list, in the order of the file."""

    def __init__(self, path):
        self.said = {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, equals, value = line.strip().partition("=")
                if equals and not key.startswith("#"):
                    self.said.setdefault(key, []).append(value)

    def last(self, key):
        return self.said[key][-1]


def installed(bench):
    """All of them, with the programs where they are."""
    folder = units(bench)
    equal(set(os.listdir(folder)), SERVICES | OTHERS, "units")
    for name in SERVICES:
        command = Unit(os.path.join(folder, name)).last("ExecStart").lstrip("-").split()[0]
        check(os.access(command, os.X_OK), f"{name}: {command} is not there")
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            equal(re.findall(r"@\w+@", file.read()), [], f"unfilled in {name}")


def verify(bench):
    """systemd has nothing to say, alone and with each drop-in."""
    folder = units(bench)
    # Where it looks for what they are about: themselves, and the units of the system.
    environment = {"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": folder + ":"}
    paths = sorted(glob.glob(folder + "/*"))

    def said():
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout
    equal(said(), (0, ""), "systemd-analyze verify")
    over = os.path.join(folder, "odmr.service.d")
    for drop_in in sorted(os.listdir(DROP_INS)):
        os.makedirs(over)
        shutil.copy(os.path.join(DROP_INS, drop_in), over)
        equal(said(), (0, ""), f"systemd-analyze verify with {drop_in}")
        shutil.rmtree(over)
    with open(os.path.join(folder, "odmr.service"), "a", encoding="utf-8") as file:
        file.write("NoSuchKey=yes\n")
    check("NoSuchKey" in said()[1], "verify does not see a key that there is not")


def exposure(path):
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", path],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    text = done.stdout.decode("utf-8", "replace")
    found = re.search(r"exposure level for \S+: ([0-9.]+)", text)
    check(found, text[-500:])
    return done.returncode, float(found.group(1))


def shut_in(bench):
    folder = units(bench)
    for name in sorted(SERVICES):
        status, level = exposure(os.path.join(folder, name))
        check(status == 0 and level <= EXPOSURE, f"{name}: exposure {level}, status {status}")
        user = Unit(os.path.join(folder, name)).last("User")
        equal(user, "odmrd" if name == "odmrd.service" else "odmr", f"user of {name}")


SECONDS = {"s": 1, "min": 60, "h": 3600}


def seconds(text):
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)(min|s|h)", text))


def default_grace(header):
    """As the settings have it."""
    with open(os.path.join(REPOSITORY, "src", "app", header), encoding="utf-8") as file:
        number, unit = re.search(r"stop_grace = std::chrono::(\w+)\((\d+)\)", file.read()).group(2, 1)
    return int(number) * {"seconds": 1, "minutes": 60}[unit]


def patience(bench):
    """systemd kills nobody who still has the time that the configuration gives."""
    folder = units(bench)
    for name in sorted(SERVICES):
        header = "provider_settings.hpp" if name == "odmrd.service" else "settings.hpp"
        given = seconds(Unit(os.path.join(folder, name)).last("TimeoutStopSec"))
        check(given > default_grace(header), f"{name}: {given} s, and stop_grace is {default_grace(header)} s")


def conditions(bench):
    """What starts by itself does so only where there is a configuration."""
    folder = units(bench)
    for name in sorted(SERVICES | OTHERS):
        unit = Unit(os.path.join(folder, name))
        if "WantedBy" in unit.said:
            configuration = {"odmrd.service": "/etc/odmrd/odmrd.toml", "odmrd.socket": "/etc/odmrd/odmrd.toml",
                             "odmr@.timer": "/etc/odmr/%i.toml"}
            equal(unit.last("ConditionPathExists"), configuration.get(name, "/etc/odmr/odmr.toml"),
                  f"condition of {name}")


# --- system calls

GROUPS = {}


def members(group):
    """A group of systemd's, down to the calls."""
    if not GROUPS:
        name = None
        for line in run_command(["systemd-analyze", "syscall-filter"]).decode().splitlines():
            if line.startswith("@"):
                name = line.strip()
                GROUPS[name] = []
            elif line.startswith("    ") and not line.strip().startswith("#"):
                GROUPS[name].append(line.strip())
            elif line.startswith("#"):  # what the kernel has and no group
                name = "#"
                GROUPS.setdefault(name, [])
    if not group.startswith("@"):
        return {group}
    return set().union(*(members(one) for one in GROUPS[group]))


def allowed(path):
    """SystemCallFilter= as systemd reads it: the first line allows, "~" takes away."""
    calls = members("@default")
    for line in Unit(path).said["SystemCallFilter"]:
        named = set().union(*(members(one) for one in line.lstrip("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls


CALL = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)


def hold_against(trace, path, at_least):
    with open(trace, encoding="utf-8", errors="replace") as file:
        made = set(CALL.findall(file.read()))
    equal(at_least - made, set(), "calls that a session makes, and that are not in the trace")
    equal(made - allowed(path), set(), f"calls that {os.path.basename(path)} forbids")


def strace(trace):
    return ["strace", "-f", "-qq", "-u", "nobody", "-o", trace]


def give_to_nobody(folder):
    for top, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(top, name), NOBODY, NOBODY, follow_symlinks=False)


def end(child):
    """The traced program, of which strace waits for the end."""
    os.killpg(child.pid, signal.SIGTERM)
    child.process.wait(20)


WHOLE_SESSION = {"connect", "landlock_restrict_self", "clone3", "execve", "fsync", "prctl", "socketpair", "unlink"}


def calls_of_run(bench, kind):
    """TLS on both sides, a login whose password a command tells, LMTP or a Maildir, the outbound queue, a command."""
    sink = bench.sink(lmtp=True) if kind == "lmtp" else None
    box = bench.path("box")
    os.makedirs(box)
    os.chown(box, NOBODY, NOBODY)
    host = bench.host(tls="starttls", mechanisms=["SCRAM-SHA-256"])
    isp = bench.provider([bench.maker.make(), bench.maker.make()], tls="starttls", certificate=bench.authority.good(),
                         mechanisms=["SCRAM-SHA-256"])
    customer = bench.customer(sink or f"maildir://{box}/Maildir", isp).verify_with(bench.authority)
    customer.send_through(host, tls="starttls", convert_8bit=True, command="true",
                          password_file=None, password_command=["cat", customer.secret])
    customer.submit(letter_out(bench))
    configuration = customer.configuration()
    give_to_nobody(customer.folder)
    trace = bench.path("trace")
    done = subprocess.run([*strace(trace), os.path.join(bench.shared.bin, "odmr"), "run", "--json", "--config",
                           configuration], env=customer.environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    equal((done.returncode, done.stdout.count(b'"outcome":"fetched"'), done.stdout.count(b'"outcome":"sent"')),
          (0, 1, 1), f"exit status, sessions; {done.stdout} {done.stderr[-2000:]}")
    equal(len(os.listdir(f"{box}/Maildir/new")) if kind == "maildir" else len(sink.deliveries(2)), 2, "messages")
    folder = units(bench)
    for name in ("odmr.service", "odmr@.service", "odmr-watch.service"):
        hold_against(trace, os.path.join(folder, name), WHOLE_SESSION)


def calls_of_odmrd(bench):
    """serve, with a customer who fetches by TLS, and enqueue beside it."""
    # Its own, since the other cases' servers refuse a key that is another user's.
    shown = bench.path("shown")
    os.makedirs(shown)
    good = bench.authority.good()
    own = dataclasses.replace(good, certificate=shutil.copy(good.certificate, shown), key=shutil.copy(good.key, shown))
    daemon = bench.daemon(tls="starttls", certificate=own)
    letter = bench.maker.make()
    for folder in (daemon.folder, shown):
        give_to_nobody(folder)
    trace = bench.path("trace")
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    odmrd = os.path.join(bench.shared.bin, "odmrd")
    child = bench._keep("odmrd", Child([*strace(trace), odmrd, "serve", "--config", daemon.configuration],
                                       bench.path("log"), env=environment))
    told = wait.until(lambda: re.search(r"^listening on \S*:(\d+)$", child.output(), re.MULTILINE), 20, "it listens")
    taken = bench.path("enqueue")
    done = subprocess.run([*strace(taken), odmrd, "enqueue", "--config", daemon.configuration, "-f",
                           letter.reverse_path, *letter.recipients], input=letter.data, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    equal(done.returncode, 0, f"exit status of enqueue: {done.stdout}")
    sink = bench.sink()
    customer = bench.customer(sink).verify_with(bench.authority)
    customer.isp["port"] = int(told.group(1))
    equal(customer.run().session()["outcome"], "fetched", "outcome")
    none(Ledger([letter]).problems(sink.deliveries(1)))
    end(child)
    path = os.path.join(units(bench), "odmrd.service")
    hold_against(trace, path, {"accept", "listen", "landlock_restrict_self", "fsync"})
    hold_against(taken, path, {"fsync"})


def calls_of_submit(bench):
    customer = bench.customer(bench.sink()).send_through(bench.host())
    place = os.path.join(customer.folder, "submit")
    customer.tables["submit"] = {"listen": [place]}
    configuration = customer.configuration()
    give_to_nobody(customer.folder)
    trace = bench.path("trace")
    odmr = os.path.join(bench.shared.bin, "odmr")
    child = bench._keep("submit", Child([*strace(trace), odmr, "submit", "--config", configuration], bench.path("log"),
                                        env=customer.environment()))
    wait.until(lambda: "listening on" in child.output(), 20, "it listens")
    done = subprocess.run([odmr, "sendmail", "friend@elsewhere.example"], input=b"Subject: x\n\nx\n",
                          env={**customer.environment(), "ODMR_SUBMIT": place}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60)
    equal(done.returncode, 0, f"exit status of sendmail: {done.stdout}")
    end(child)
    folder = units(bench)
    for name in ("odmr-submit.service", "odmr-submit@.service"):
        hold_against(trace, os.path.join(folder, name), {"accept", "landlock_restrict_self", "fsync"})


def calls_of_watch(bench):
    """Until the first run is over; ready is what it says by systemd's own socket."""
    isp = bench.provider([bench.maker.make()], tls="starttls", certificate=bench.authority.good())
    sink = bench.sink()
    customer = bench.customer(sink, isp).verify_with(bench.authority)
    configuration = customer.configuration()
    give_to_nobody(customer.folder)
    trace, place = bench.path("trace"), bench.path("notify")
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(place)
    os.chmod(place, 0o666)
    notified.settimeout(20)
    child = bench._keep("watch", Child([*strace(trace), os.path.join(bench.shared.bin, "odmr"), "watch", "--config",
                                        configuration], bench.path("log"),
                                       env={**customer.environment(), "NOTIFY_SOCKET": place}))
    said = ""
    while "READY=1" not in said.splitlines():
        said += notified.recv(4096).decode() + "\n"
    equal(len(sink.deliveries(1)), 1, "messages")
    end(child)
    hold_against(trace, os.path.join(units(bench), "odmr-watch.service"),
                 {"connect", "landlock_restrict_self", "sendto"})


# --- the log

LOGGERS = os.path.join(REPOSITORY, "tests", "peers", "harness", "loggers.py")


def logged(bench, kind):
    """What a session with one message, of which the target refuses a recipient, says there."""
    sink = bench.sink(recipient_replies={"carl@customer.example": (b"550 5.1.1 no \xffcarl", None)})
    letter = bench.maker.make(recipients=["anna@customer.example", "carl@customer.example"])
    customer = bench.customer(sink, bench.provider([letter]))
    done = subprocess.run([os.path.join(REPOSITORY, "tests", "own-mounts"), "python3", LOGGERS, kind, binary("odmr"),
                           "run", "--config", customer.configuration()], env=customer.environment(),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=True)
    said = json.loads(done.stdout)
    equal(said["status"], 0, "exit status")
    return said


def to_journal(bench):
    """Levels and fields arrive as such, and nothing is said twice."""
    said = logged(bench, "journal")
    equal(said["stderr"], "", "on standard error besides")
    for record in said["logged"]:
        equal((record["SYSLOG_IDENTIFIER"], record["SYSLOG_FACILITY"]), ("odmr", "2"), "identifier, facility")
    sessions = {record["ODMR_SESSION"] for record in said["logged"] if "ODMR_SESSION" in record}
    equal(len(sessions), 1, "sessions")
    received, = (one for one in said["logged"] if one["MESSAGE"].startswith("message received"))
    equal((received["PRIORITY"], received["ODMR_PROVIDER"], received["ODMR_RECIPIENTS"]), ("6", "isp", "1"),
          "of the message")
    warning = [one for one in said["logged"] if "carl@customer.example" in one.get("ODMR_RECIPIENT", "")]
    check(warning and "\\xff" in warning[0]["MESSAGE"], f"the refusal: {said['logged']}")


def to_syslog(bench):
    """A daemon's log: priority, facility mail, program and process."""
    said = logged(bench, "syslog")
    check(any(re.match(r"<22>\w{3} [ \d]\d [\d:]{8} odmr\[\d+\]: message received .*provider=isp", line)
              for line in said["logged"]), f"{said['logged']}")
