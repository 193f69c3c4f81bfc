"""packaging/hooks: each one run as its caller runs it, with programs in its PATH that write down what they are asked."""

import os
import subprocess
import threading

from harness import wait, wire
from harness.programs import REPOSITORY, binary
from harness.runner import check, equal
from harness.target import write

HOOKS = os.path.join(REPOSITORY, "packaging", "hooks")
OWN_MOUNTS = os.path.join(REPOSITORY, "tests", "own-mounts")
# /run/systemd/system says whether systemd runs, /etc/default/odmr may hold back: both as the case has them.
PREPARE = 'mount -t tmpfs none /run; [ -z "$1" ] || mkdir -p /run/systemd/system; mount --bind "$2" /etc/default; ' \
          'shift 2; exec "$@"'

# hook -> (arguments, environment) of "the line is up"
UP = {
    "ppp/ip-up.d/odmr": (["ppp0", "/dev/ttyS0", "115200", "192.0.2.9", "192.0.2.1", "isp"],
                         {"PPP_IFACE": "ppp0", "PPP_TTY": "/dev/ttyS0", "PPP_SPEED": "115200",
                          "PPP_LOCAL": "192.0.2.9", "PPP_REMOTE": "192.0.2.1", "PPP_IPPARAM": "isp"}),
    "NetworkManager/dispatcher.d/50-odmr": (["ppp0", "up"],
                                            {"CONNECTION_ID": "isp", "DEVICE_IFACE": "ppp0",
                                             "NM_DISPATCHER_ACTION": "up", "CONNECTIVITY_STATE": "FULL"}),
    "networkd-dispatcher/routable.d/50-odmr": ([], {"IFACE": "ppp0", "STATE": "routable", "OperationalState": "routable",
                                                    "AdministrativeState": "configured", "ADDR": "192.0.2.9"}),
    "network/if-up.d/odmr": ([], {"IFACE": "ppp0", "LOGICAL": "ppp0", "ADDRFAM": "inet", "METHOD": "ppp",
                                  "MODE": "start", "PHASE": "post-up", "VERBOSITY": "0"}),
}
# hook -> what else its caller tells it of: changes of the arguments or the environment
OTHERWISE = {
    "ppp/ip-up.d/odmr": [],
    "NetworkManager/dispatcher.d/50-odmr": [
        (["ppp0", action], {}) for action in ("down", "pre-up", "pre-down", "vpn-down", "dhcp4-change",
                                              "connectivity-change", "vpn-pre-up", "reapply")
    ] + [(["lo", "up"], {}), (["none", "hostname"], {}), (["", "connectivity-change"], {}), ([], {})],
    "networkd-dispatcher/routable.d/50-odmr": [(None, {"IFACE": "lo"}), (None, {"OperationalState": "degraded"}),
                                               (None, {"IFACE": ""})],
    "network/if-up.d/odmr": [(None, {"IFACE": "lo", "METHOD": "loopback"}), (None, {"IFACE": "--all"}),
                             (None, {"MODE": "stop", "PHASE": "pre-down"}), (None, {"ADDRFAM": "meta"}),
                             (None, {"METHOD": "loopback"})],
}


def register(suite):
    for hook in UP:
        name = hook.replace("/", "-")
        for systemd in (True, False):
            suite.case(f"hooks/{name}/{'systemd' if systemd else 'background'}", hook, systemd)(line_up)
        suite.case(f"hooks/{name}/other-events", hook)(other_events)
        suite.case(f"hooks/{name}/not-configured", hook)(not_configured)
        suite.case(f"hooks/{name}/default-odmr", hook)(held_back)
        suite.case(f"hooks/{name}/unit-is-missing", hook)(unit_missing)
        suite.case(f"hooks/{name}/unit-is-masked", hook)(unit_masked)
    suite.case("hooks/two-at-once")(two_at_once)
    suite.case("hooks/one-text")(one_text)


class Scene:
    """Programs that write down how they were called; `odmr` stays until it is told to go."""

    def __init__(self, bench, hook, systemd=False, *, has_unit=True, is_masked=False):
        self.hook, self.systemd = hook, systemd
        self.folder = bench.path("hook")
        self.log, self.go = os.path.join(self.folder, "log"), os.path.join(self.folder, "go")
        self.programs = os.path.join(self.folder, "bin")
        self.defaults = os.path.join(self.folder, "default")
        for folder in (self.folder, self.programs, self.defaults):
            os.mkdir(folder)
        os.mkfifo(self.go)
        write(self.log, "")
        self.configuration = write(os.path.join(self.folder, "odmr.toml"), "")
        self.program("systemctl", f'echo "systemctl $*" >>{self.log}\n[ "$1" != cat ] || exit {0 if has_unit else 1}\n'
                                  f'exit {1 if is_masked else 0}')
        self.program("odmr", f'echo "odmr $*" >>{self.log}\nread word <{self.go}\necho "odmr ended" >>{self.log}\n'
                             'echo "what it has to say" >&2')
        self.program("logger", f'sed "s/^/logger: /" >>{self.log}')

    def program(self, name, text):
        write(os.path.join(self.programs, name), "#!/bin/sh\n" + text + "\n", mode=0o755)

    def call(self, arguments=None, environment=None):
        """Runs the hook; silence and exit 0 are part of every case. Comes back when the hook does: its output must not
        be held open by what it has started."""
        usual, given = UP[self.hook]
        env = {"PATH": f"{self.programs}:/usr/bin:/bin", "ODMR_CONFIG": self.configuration, **given,
               **(environment or {})}
        command = [OWN_MOUNTS, "sh", "-c", PREPARE, "sh", "yes" if self.systemd else "", self.defaults,
                   os.path.join(HOOKS, self.hook), *(usual if arguments is None else arguments)]
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=20)
        equal((done.returncode, done.stdout), (0, b""), "exit status and output of the hook")

    def calls(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read().splitlines()

    def release(self):
        with open(self.go, "w", encoding="ascii") as file:
            file.write("go\n")


STARTS = ["systemctl cat odmr.service", "systemctl start --no-block odmr.service"]


def in_background(scene, before=()):
    """odmr was started once, is still there now that the hook has gone, and what it says goes to syslog."""
    wait.until(lambda: len(scene.calls()) > len(before), 20, "odmr is started")
    equal(scene.calls(), [*before, "odmr run -q"], "calls")
    scene.release()
    wait.until(lambda: len(scene.calls()) >= len(before) + 3, 20, "odmr ends")
    equal(scene.calls()[len(before) + 1:], ["odmr ended", "logger: what it has to say"], "calls")


def line_up(bench, hook, systemd):
    scene = Scene(bench, hook, systemd)
    scene.call()
    if systemd:
        equal(scene.calls(), STARTS, "calls")
    else:
        in_background(scene)


def other_events(bench, hook):
    scene = Scene(bench, hook, True)
    for arguments, environment in OTHERWISE[hook]:
        scene.call(arguments, environment)
        equal(scene.calls(), [], f"calls for {arguments} {environment}")
    scene.call()  # so that silence was no accident
    equal(scene.calls(), STARTS, "calls")


def not_configured(bench, hook):
    scene = Scene(bench, hook, True)
    os.unlink(scene.configuration)
    scene.call()
    equal(scene.calls(), [], "calls without a configuration")
    write(scene.configuration, "")
    os.unlink(os.path.join(scene.programs, "odmr"))
    scene.call()
    equal(scene.calls(), [], "calls without odmr")


def held_back(bench, hook):
    scene = Scene(bench, hook, True)
    for text, calls in (("ODMR_LINE_UP=no\n", []), ('ODMR_INTERFACES="wwan* eth0"\n', []),
                        ('ODMR_INTERFACES="wwan* ppp?"\n', STARTS)):
        write(os.path.join(scene.defaults, "odmr"), text)
        scene.call()
        equal(scene.calls(), calls, f"calls with {text}")


def unit_missing(bench, hook):
    scene = Scene(bench, hook, True, has_unit=False)
    scene.call()
    in_background(scene, STARTS[:1])


def unit_masked(bench, hook):
    """Switched off by the administrator: not started in another way."""
    scene = Scene(bench, hook, True, is_masked=True)
    scene.call()
    equal(scene.calls(), STARTS, "calls")


def two_at_once(bench):
    """With the real odmr, without systemd: the second one finds the first, says so to syslog, and nothing else."""
    gate, reached = threading.Event(), threading.Event()
    letter = bench.maker.make()
    isp, sink = bench.provider([letter], script={"atrn": [lambda c, n: (reached.set(), wire.gate(gate)(c, n))[1]]}), \
        bench.sink()
    customer = bench.customer(sink, isp)
    scene = Scene(bench, "ppp/ip-up.d/odmr")
    scene.configuration = customer.configuration()
    scene.program("odmr", f'exec {binary("odmr")} "$@"')
    scene.call()
    check(reached.wait(20), "the first run never got to ATRN")
    scene.call()
    wait.until(lambda: any("another run" in line for line in scene.calls()), 20, "the second run ends as locked")
    gate.set()
    wait.until(lambda: not isp.pending(), 20, "the mail is fetched")
    equal([line for line in scene.calls() if "another run" not in line], [], "what else was said")
    equal(len(sink.deliveries(1)), 1, "messages")


def one_text(bench):
    """What the hooks have in common is the same in all of them."""
    texts = set()
    for hook in UP:
        with open(os.path.join(HOOKS, hook), encoding="utf-8") as file:
            texts.add(file.read().partition("# --- the same in every hook of odmr\n")[2])
    equal(len(texts), 1, "different texts")
    check(len(texts.pop()) > 500, "the common part is missing")
