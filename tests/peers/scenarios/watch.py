"""odmr watch: when it begins runs, what becomes of it when one dies, what signals and the service manager do; and
providers that refuse, which are remembered from run to run."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import threading

from harness import wait, wire
from harness.messages import Ledger
from harness.ports import free_port
from harness.programs import binary
from harness.provider import PASSWORD
from harness.runner import check, equal, none
from harness.target import write

from .outcomes.expect import expect


def register(suite):
    suite.case("watch/ready-and-again")(ready_and_again)
    suite.case("watch/submitted-mail-goes-at-once")(submitted)
    suite.case("watch/SIGUSR1")(run_now)
    suite.case("watch/SIGHUP")(reload)
    suite.case("watch/SIGTERM-inside-a-transaction")(stopped_inside)
    suite.case("watch/second-SIGTERM")(stopped_twice)
    suite.case("watch/run-that-is-killed")(killed_run)
    suite.case("watch/hidden-from-commands")(hidden_from_commands)
    suite.case("watch/as-another-user")(as_another_user)
    suite.case("watch/one-per-state-directory")(second_watch)
    suite.case("watch/refused")(watch_refused)
    suite.case("watch/terminal-closes")(terminal_closes)
    suite.case("watch/cannot-begin")(cannot_begin)
    suite.case("watch/held/mail-at-once")(mail_at_once)
    suite.case("watch/held/submitted-mail-goes-at-once")(submitted_while_held)
    suite.case("watch/held/SIGTERM")(stopped_while_held)
    suite.case("watch/held/SIGUSR1-and-SIGHUP")(signals_while_held)
    suite.case("watch/held/two-providers")(two_providers)
    suite.case("watch/held/line-is-lost")(lost_while_held)
    suite.case("watch/held/target-goes-down")(target_goes_down)
    suite.case("watch/held/not-wanted")(hold_not_wanted)
    suite.case("watch/kept/one-connection")(kept)
    suite.case("watch/kept/postfix", "postfix")(kept)
    suite.case("watch/kept/for-a-while")(kept_for_a_while)
    suite.case("watch/kept/submission")(submitted_while_kept)
    suite.case("watch/kept/target-goes-down")(target_goes_down_while_kept)
    suite.case("watch/kept/odmrd-killed")(daemon_killed_while_kept)
    suite.case("watch/kept/odmrd-stopped")(daemon_stopped_while_kept)
    suite.case("watch/kept/run-killed")(run_killed_while_kept)
    suite.case("refused/not-tried-again-at-once")(not_tried)
    suite.case("refused/waits-grow")(waits_grow)
    suite.case("refused/clock-set-back")(clock_set_back)
    suite.case("refused/other-settings")(other_settings)
    suite.case("refused/mail-goes-out-where-ATRN-is-refused")(sent_though_refused)


class Manager:
    """What a service manager hears."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.heard = []

    def has(self, pattern):
        """The first datagram that matches, once it has come."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self.socket.recv(65536, socket.MSG_DONTWAIT).decode())
        return next((one for one in self.heard if re.search(pattern, one, re.MULTILINE)), None)

    def await_(self, pattern, what=None):
        try:
            return wait.until(lambda: self.has(pattern), 30, what or f"the service manager hears {pattern!r}")
        except wait.Overdue as overdue:
            raise AssertionError(f"{overdue}; it heard {self.heard}") from None

    def stop(self):
        self.socket.close()


class Watch:
    """odmr watch --json under way, with a service manager."""

    def __init__(self, bench, customer, *arguments, env=None, interval="1h"):
        customer.tables.setdefault("watch", {"interval": interval, "jitter": "0s"})
        self.manager = Manager(bench.path(f"notify{len(os.listdir(bench.folder))}"))
        bench.stack.callback(self.manager.stop)
        self.running = customer.start("watch", "--json", *arguments,
                                      env={"NOTIFY_SOCKET": self.manager.path, **(env or {})})
        bench.stack.callback(self.kill)
        self.manager.await_("^READY=1")

    @property
    def objects(self):
        """The sessions so far. A line that is being written does not count."""
        return [json.loads(line) for line in self.running.output(0).splitlines(True) if line.endswith("\n")]

    def sessions(self, count, provider="isp"):
        """That many, once there are."""
        def found():
            of_provider = [one for one in self.objects if one["provider"] == provider]
            return len(of_provider) >= count and of_provider
        try:
            return wait.until(found, 60, f"session {count} with {provider}")
        except wait.Overdue as overdue:
            raise AssertionError(f"{overdue}\n{self.running.output(0)}\n{self.running.output(1)}") from None

    def run(self):
        """The process of the run under way."""
        with open(f"/proc/{self.running.pid}/task/{self.running.pid}/children", encoding="ascii") as file:
            children = [int(pid) for pid in file.read().split()]
        return children[0] if children else None

    def idle(self):
        wait.until(lambda: self.run() is None, 30, "the run ends")
        return self

    def signal(self, number):
        self.running.signal(number)
        return self

    def end(self):
        self.signal(signal.SIGTERM)
        result = self.running.finish(30)
        equal(result.status, 0, f"exit status; log:\n{result.stderr}")
        return result

    def kill(self):
        """With the run, which is a process group of its own."""
        if self.running.process.poll() is not None:
            return
        run = self.run()
        self.running.kill()
        if run:
            with contextlib.suppress(ProcessLookupError):
                os.kill(run, signal.SIGKILL)


def held(bench, step, letters):
    """A provider that waits at this step until the gate opens, and its customer."""
    gate, reached = threading.Event(), threading.Event()

    def hold(conversation, normal):
        reached.set()
        return wire.gate(gate)(conversation, normal)
    isp, sink = bench.provider(letters, script={step: [hold]}), bench.sink()
    return gate, reached, isp, sink, bench.customer(sink, isp)


def ready_and_again(bench):
    letters = [bench.maker.make()]
    isp, sink = bench.provider(letters), bench.sink()
    watch = Watch(bench, bench.customer(sink, isp), interval="1s", env={"WATCHDOG_USEC": "200000"})
    first = watch.sessions(1)[0]
    equal((first["outcome"], first["received"]["messages"]), ("fetched", 1), "first session")
    equal({one["outcome"] for one in watch.sessions(3)[1:]}, {"no-mail"}, "outcomes of those after it")
    watch.manager.await_(r"^STATUS=isp: no mail; next run at \d\d:\d\d:\d\d$")
    watch.manager.await_("^WATCHDOG=1$")
    watch.end()
    watch.manager.await_("^STOPPING=1\nEXTEND_TIMEOUT_USEC=")
    none(Ledger(letters).problems(sink.deliveries(1)))


def submitted(bench):
    isp, sink, host = bench.provider(), bench.sink(), bench.host()
    customer = bench.customer(sink, isp).send_through(host)
    watch = Watch(bench, customer)
    watch.sessions(1)
    watch.idle()
    letters = [bench.maker.make(recipients=["a@elsewhere.example"]) for _ in range(3)]
    customer.submit(letters[0])
    flush = watch.sessions(1, None)[0]
    equal((flush["outcome"], flush["sent"]["messages"]), ("sent", 1), "flush")
    customer.submit(*letters[1:])
    none(Ledger(letters).problems(host.deliveries(3)))
    watch.end()
    equal(isp.atrn_count(), 1, "times that the provider was asked for mail")


def run_now(bench):
    """Once more after the run under way, too: what it was about to see it may have seen before the signal."""
    gate, reached, isp, _, customer = held(bench, "atrn", [])
    watch = Watch(bench, customer)
    check(reached.wait(30), "ATRN never came")
    watch.signal(signal.SIGUSR1)
    wait.until(lambda: "SIGUSR1" in watch.running.output(1), 10, "the signal is taken")
    gate.set()
    watch.sessions(2)
    watch.idle()
    watch.signal(signal.SIGUSR1)
    watch.sessions(3)
    watch.end()
    equal(isp.atrn_count(), 3, "times that the provider was asked")


def reload(bench):
    first, second = bench.provider(), bench.provider([bench.maker.make()])
    customer = bench.customer(bench.sink(), first)
    watch = Watch(bench, customer)
    watch.sessions(1)
    watch.idle()
    customer.raw = "[deliver]\nto = 7\n"
    customer.configuration()
    watch.signal(signal.SIGHUP)
    watch.manager.await_(r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
    said = wait.until(lambda: "stays in force" in watch.running.output(1) and watch.running.output(1), 10, "the fault")
    check("odmr.toml:" in said, f"no place of the fault in\n{said}")
    watch.signal(signal.SIGUSR1)
    watch.sessions(2)
    watch.idle()
    equal(first.atrn_count(), 2, "times that the first provider was asked")
    customer.raw = ""
    customer.talk_to(second)
    customer.configuration()
    watch.signal(signal.SIGHUP)
    equal(watch.sessions(3)[2]["outcome"], "fetched", "outcome with the new configuration")
    watch.end()
    equal((first.atrn_count(), len(second.pending())), (2, 0), "the first provider's sessions, mail at the second")
    watch.manager.has("x")
    ready = [one for one in watch.manager.heard if one.startswith("READY=1")]
    equal(len(ready), 3, "times ready")


def stopped_inside(bench):
    """As systemd does it without KillMode: each process of the service has the signal, and no message is cut."""
    letters = [bench.maker.make(), bench.maker.make()]
    gate, reached, isp, sink, customer = held(bench, "dot", letters)
    watch = Watch(bench, customer)
    check(reached.wait(30), "no message came")
    run = watch.run()
    os.kill(run, signal.SIGTERM)
    watch.signal(signal.SIGTERM)
    watch.manager.await_("^STOPPING=1")
    os.kill(run, signal.SIGUSR1)
    os.kill(run, signal.SIGHUP)
    gate.set()
    result = watch.running.finish(30)
    equal(result.status, 0, f"exit status; log:\n{result.stderr}")
    isp.wait_idle()
    equal(watch.sessions(1)[0]["outcome"], "unavailable", "outcome")
    equal(list(isp.pending()), [letters[1].id], "left at the provider")
    none(Ledger(letters[:1]).problems(sink.deliveries(1)))


def stopped_twice(bench):
    gate, reached, isp, sink, customer = held(bench, "dot", [bench.maker.make()])
    watch = Watch(bench, customer)
    check(reached.wait(30), "no message came")
    watch.signal(signal.SIGTERM)
    watch.manager.await_("^STOPPING=1")
    wait.until(lambda: "finished first" in watch.running.output(1), 10, "the run has the first signal")
    watch.signal(signal.SIGTERM)
    result = watch.running.finish(30)
    gate.set()
    equal(result.status, 0, f"exit status; log:\n{result.stderr}")
    isp.wait_idle()
    equal((sink.accepted(), len(isp.pending())), ([], 1), "delivered, and left at the provider")


def killed_run(bench):
    letters = [bench.maker.make()]
    gate, reached, isp, sink, customer = held(bench, "mail", letters)
    watch = Watch(bench, customer)
    check(reached.wait(30), "no message came")
    os.kill(watch.run(), signal.SIGKILL)
    gate.set()
    died = watch.sessions(1, None)[0]
    equal((died["outcome"], died["exit"], died["text"]), ("bug", 70, "the run was killed by SIGKILL"), "what is said")
    watch.idle().signal(signal.SIGUSR1)
    equal(watch.sessions(1)[0]["outcome"], "fetched", "outcome of the next run")
    watch.end()
    none(Ledger(letters).problems(sink.deliveries(1)))


def hidden_from_commands(bench):
    note = bench.path("environment")
    isp = bench.provider()
    customer = bench.customer(bench.sink(), isp, password_file=None,
                              password_command=f"env > {note}; echo '{PASSWORD}'")
    watch = Watch(bench, customer, env={"WATCHDOG_USEC": "60000000", "LISTEN_FDS": "1", "LISTEN_PID": "1"})
    equal(watch.sessions(1)[0]["outcome"], "no-mail", "outcome")
    watch.end()
    with open(note, encoding="utf-8") as file:
        names = {line.split("=")[0] for line in file}
    check("PATH" in names, f"no environment: {names}")
    equal(names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID"}, set(), "what the command sees")


def as_another_user(bench):
    """Root stays what it is to read secrets for the next run; each run becomes somebody else."""
    gate, reached, _, _, customer = held(bench, "atrn", [])
    customer.top["run_as"] = "nobody"
    watch = Watch(bench, customer)
    check(reached.wait(30), "ATRN never came")
    owner = os.stat(f"/proc/{watch.run()}").st_uid
    with open(f"/proc/{watch.run()}/status", encoding="ascii") as file:
        ids = next(line.split()[1:] for line in file if line.startswith("Uid:"))
    check("0" not in ids, f"the run is {ids}, its /proc {owner}'s")
    lock = os.path.join(customer.top["state_dir"], "watch.lock")
    check(os.stat(lock).st_uid != 0, "the lock is root's")
    with open(lock, encoding="ascii") as file:
        equal(file.read(), f"{watch.running.pid}\n", "the lock's text")
    gate.set()
    watch.sessions(1)
    watch.end()


def second_watch(bench):
    customer = bench.customer(bench.sink(), bench.provider())
    watch = Watch(bench, customer)
    watch.sessions(1)
    second = customer.run("watch", "--json")
    equal(second.status, 75, "exit status")
    equal(second.objects[0]["outcome"], "locked", "outcome")
    check(f"(process {watch.running.pid})" in second.objects[0]["text"], f"text {second.objects[0]['text']!r}")
    equal(second.objects[0]["cause"], "watched", "cause")
    lock = os.path.join(customer.top["state_dir"], "watch.lock")
    check(f'"fuser -v {lock}"' in second.objects[0]["remedy"], f"remedy {second.objects[0]['remedy']!r}")
    watch.idle()
    equal(customer.run().status, 0, "exit status of a run beside it")
    watch.end()
    third = Watch(bench, customer)
    third.sessions(1)
    third.end()


def watch_refused(bench):
    isp = bench.provider([bench.maker.make()])
    customer = bench.customer(bench.sink(), isp)
    write(customer.secret, "something else\n", 0o600)
    watch = Watch(bench, customer, interval="1s")
    equal(watch.sessions(1)[0]["outcome"], "auth", "outcome")
    watch.manager.await_("^STATUS=isp: auth: ")
    watch.idle().signal(signal.SIGUSR1)
    again = watch.sessions(2)[1]
    equal((again["outcome"], again["connections"]), ("auth", 0), "who is not tried")
    equal(len(isp.sessions), 1, "connections to the provider")
    write(customer.secret, PASSWORD + "\n", 0o600)
    watch.idle().signal(signal.SIGHUP)
    equal(watch.sessions(3)[2]["outcome"], "fetched", "outcome with the right password")
    watch.end()


def terminal_closes(bench):
    """What was started in a terminal ends with it; SIGHUP to a service means something else."""
    customer = bench.customer(bench.sink(), bench.provider())
    customer.tables["watch"] = {"interval": "1h"}
    configuration = customer.configuration()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(binary("odmr"), ["odmr", "watch", "--config", configuration], customer.environment())
    shown = b""
    try:
        while b"no mail" not in shown:
            shown += os.read(terminal, 4096)
        os.kill(pid, signal.SIGHUP)
        while b"was read again" not in shown:
            shown += os.read(terminal, 4096)
        os.close(terminal)
        status = wait.until(lambda: [s for p, s in [os.waitpid(pid, os.WNOHANG)] if p], 30, "its end")[0]
        equal(os.waitstatus_to_exitcode(status), 0, "exit status")
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def cannot_begin(bench):
    customer = bench.customer(bench.sink(), bench.provider())
    equal(customer.run("watch", "nobody").status, 64, "exit status for an unknown provider")
    customer.tables["watch"] = {"interval": "1h", "max_interval": "5m"}
    faulty = customer.run("watch")
    equal(faulty.status, 78, "exit status for a faulty configuration")
    check("max_interval" in faulty.stderr, f"stderr {faulty.stderr!r}")
    customer.tables["watch"] = {}
    customer.top["state_dir"] = os.path.join(customer.secret, "below-a-file")
    equal(customer.run("watch").status, 73, "exit status for a state directory that cannot be")


# --- lines that the provider holds

class Held(Watch):
    """An hour is between its runs, so that whatever happens does not happen because one is due."""

    def waits(self, count=1):
        """That many times it has begun to wait for mail."""
        def often():
            self.manager.has("x")
            return sum("waiting for mail, with the line held" in one for one in self.manager.heard) >= count
        wait.until(often, 30, f"wait {count} for mail, with the line held; the manager heard {self.manager.heard}")
        return self

    def outcomes(self, provider="isp"):
        return [one["outcome"] for one in self.objects if one["provider"] == provider]


def mail_at_once(bench):
    daemon, sink = bench.daemon(customer={"keep": "0s"}).start(), bench.sink()
    watch = Held(bench, bench.customer(sink, daemon))
    letters = []
    for count in range(1, 4):
        watch.waits(count)
        letters.append(bench.maker.make())
        equal(daemon.enqueue(letters[-1]), 0, "exit status of odmrd enqueue")
        none(Ledger(letters).problems(sink.deliveries(count)))
    watch.waits(4)
    log = watch.end().stderr
    equal(watch.outcomes(), ["fetched"] * 3 + ["no-mail"], f"outcomes; log:\n{log}")
    equal(log.count("mail is waited for, with the line held"), 1, f"times that it is said in\n{log}")


def submitted_while_held(bench):
    daemon, host, sink = bench.daemon().start(), bench.host(), bench.sink()
    customer = bench.customer(sink, daemon).send_through(host)
    watch = Held(bench, customer).waits()
    letters = [bench.maker.make(recipients=["a@elsewhere.example"])]
    customer.submit(letters[0])
    none(Ledger(letters).problems(host.deliveries(1)))
    equal(watch.sessions(1, None)[0]["outcome"], "sent", "outcome of the flush")
    session = watch.sessions(1)[0]
    equal(session["outcome"], "no-mail", "outcome of the session that waited")
    check("made way for other work" in session["text"], f"text {session['text']!r}")
    watch.waits(2)
    came = bench.maker.make()
    equal(daemon.enqueue(came), 0, "exit status of odmrd enqueue")
    none(Ledger([came]).problems(sink.deliveries(1)))
    watch.end()


def stopped_while_held(bench):
    daemon = bench.daemon().start()
    customer = bench.customer(bench.sink(), daemon)
    watch = Held(bench, customer).waits()
    beside = customer.run()
    equal((beside.status, beside.session()["outcome"]), (75, "locked"), "a run beside it")
    watch.end()
    session = watch.sessions(1)[0]
    equal((session["outcome"], session["exit"]), ("no-mail", 0), "outcome")
    check("ended by a signal" in session["text"], f"text {session['text']!r}")
    check(session["seconds"] < 30, f"it took {session['seconds']} s")
    equal(customer.run("status", "--json", "--max-age", "10m").status, 0, "exit status of status --max-age")


def signals_while_held(bench):
    daemon = bench.daemon().start()
    watch = Held(bench, bench.customer(bench.sink(), daemon)).waits()
    watch.signal(signal.SIGUSR1)
    equal(watch.sessions(1)[0]["outcome"], "no-mail", "outcome of the one that waited")
    watch.waits(2).signal(signal.SIGHUP)
    watch.sessions(2)
    # The manager may have heard of the second wait twice, since a reload is told with what goes on.
    wait.until(lambda: daemon.child.output().count("ATRN waits") >= 3, 30, "the third wait")
    watch.end()
    equal(set(watch.outcomes()), {"no-mail"}, "outcomes")


def two_providers(bench):
    """One brings mail, and the other's line is not in the way of what comes next; and one that cannot hold is asked
    at its own times."""
    daemon, other = bench.daemon(customer={"keep": "0s"}).start(), bench.provider()
    sink = bench.sink()
    customer = bench.customer(sink, daemon)
    customer.tables["provider.other"] = {**customer.isp, "port": other.port}
    watch = Held(bench, customer)
    equal(watch.sessions(1, "other")[0]["outcome"], "no-mail", "outcome with the other")
    watch.waits()
    letter = bench.maker.make()
    equal(daemon.enqueue(letter), 0, "exit status of odmrd enqueue")
    none(Ledger([letter]).problems(sink.deliveries(1)))
    # Its first line made way for the other's.
    equal([one["outcome"] for one in watch.sessions(2)], ["no-mail", "fetched"], "outcomes with the one")
    # What the manager hears of waits is about both of them.
    wait.until(lambda: "ATRN waits" in daemon.child.output().partition("turning the line round")[2], 30, "another wait")
    watch.end()
    equal(other.atrn_count(), 1, "times that the other was asked")


def lost_while_held(bench):
    daemon = bench.daemon().start()
    watch = Held(bench, bench.customer(bench.sink(), daemon)).waits()
    daemon.child.process.kill()
    equal(watch.sessions(1)[0]["outcome"], "unavailable", "outcome")
    watch.idle()
    watch.end()


def target_goes_down(bench):
    """While the line is held. The provider keeps its mail, and says so to nobody."""
    daemon, sink = bench.daemon().start(), bench.sink()
    watch = Held(bench, bench.customer(sink, daemon)).waits()
    sink.stop()
    equal(daemon.enqueue(bench.maker.make()), 0, "exit status of odmrd enqueue")
    session = watch.sessions(1)[0]
    equal((session["outcome"], session["reply"][:3]), ("local-down", "250"), "outcome, and the reply to ATRN")
    watch.idle()
    watch.end()
    check("customer.example" in daemon.spool(), f"the spool has\n{daemon.spool()}")


# --- and keeps when all is sent

def kept_line(bench, target=None, **daemon):
    """A watch whose line has brought a message and is kept since."""
    port = free_port("127.0.0.1")
    serving = bench.daemon(address=f"127.0.0.1:{port}", **daemon).start()
    target = target or bench.sink()
    customer = bench.customer(target, serving)
    watch = Held(bench, customer).waits()
    letter = bench.maker.make()
    equal(serving.enqueue(letter), 0, "exit status of odmrd enqueue")
    none(Ledger([letter]).problems(target.deliveries(1)))
    watch.waits(2)
    return serving, target, customer, watch, [letter]


def comes(bench, daemon, target, letters):
    letters.append(bench.maker.make())
    equal(daemon.enqueue(letters[-1]), 0, "exit status of odmrd enqueue")
    none(Ledger(letters).problems(target.deliveries(len(letters))))


def kept(bench, kind=None):
    """All mail goes over one connection, with one login."""
    daemon, target, _, watch, letters = kept_line(bench, bench.target(kind) if kind else None)
    for count in range(3, 6):
        comes(bench, daemon, target, letters)
        watch.waits(count)
    log = watch.end().stderr
    sessions = [one for one in watch.objects if one["provider"] == "isp"]
    equal([(one["outcome"], one["connections"], one["received"]["messages"]) for one in sessions],
          [("fetched", 1, 4)], f"sessions; log:\n{log}")
    equal(daemon.child.output().count(" result=accepted "), 1, "logins")


def kept_for_a_while(bench):
    """When its time is over the line is made anew, and mail goes on."""
    daemon, sink, _, watch, letters = kept_line(bench, customer={"keep": "2s"})
    watch.sessions(1)
    watch.waits(3)
    comes(bench, daemon, sink, letters)
    # A signal before the provider keeps the line again would find a session under way.
    watch.waits(4).end()
    equal(watch.outcomes()[:2], ["fetched"] * 2, "outcomes")


def submitted_while_kept(bench):
    daemon, host, sink = bench.daemon().start(), bench.host(), bench.sink()
    customer = bench.customer(sink, daemon).send_through(host)
    watch = Held(bench, customer).waits()
    letters = []
    comes(bench, daemon, sink, letters)
    watch.waits(2)
    out = bench.maker.make(recipients=["a@elsewhere.example"])
    customer.submit(out)
    none(Ledger([out]).problems(host.deliveries(1)))
    equal(watch.sessions(1)[0]["outcome"], "fetched", "outcome of the session that was kept")
    watch.waits(3)
    comes(bench, daemon, sink, letters)
    check("has other work to do" in daemon.child.output(), "odmrd heard why")
    watch.end()


def target_goes_down_while_kept(bench):
    daemon, sink, _, watch, _ = kept_line(bench)
    sink.stop()
    equal(daemon.enqueue(bench.maker.make()), 0, "exit status of odmrd enqueue")
    session = watch.sessions(1)[0]
    equal((session["outcome"], session["received"]["messages"]), ("local-down", 1), "outcome")
    watch.idle()
    watch.end()
    check("customer.example" in daemon.spool(), f"the spool has\n{daemon.spool()}")


def daemon_killed_while_kept(bench):
    """What has come meanwhile is fetched once it serves again, and nothing twice."""
    daemon, sink, _, watch, letters = kept_line(bench)
    daemon.kill()
    watch.sessions(1)
    letters.append(bench.maker.make())
    equal(daemon.enqueue(letters[-1]), 0, "exit status of odmrd enqueue")
    daemon.start()
    watch.signal(signal.SIGUSR1)
    none(Ledger(letters).problems(sink.deliveries(2)))
    comes(bench, daemon, sink, letters)
    watch.end()


def run_killed_while_kept(bench):
    daemon, sink, _, watch, letters = kept_line(bench)
    os.kill(watch.run(), signal.SIGKILL)
    watch.idle()
    letters.append(bench.maker.make())
    equal(daemon.enqueue(letters[-1]), 0, "exit status of odmrd enqueue")
    watch.signal(signal.SIGUSR1)
    none(Ledger(letters).problems(sink.deliveries(2)))
    watch.waits(3)
    comes(bench, daemon, sink, letters)
    watch.end()


def daemon_stopped_while_kept(bench):
    daemon, _, _, watch, _ = kept_line(bench)
    daemon.stop()
    session = watch.sessions(1)[0]
    equal((session["outcome"], session["connections"]), ("fetched", 1), "QUIT, which ends the session")
    watch.end()


def hold_not_wanted(bench):
    daemon = bench.daemon().start()
    customer = bench.customer(bench.sink(), daemon)
    customer.tables["watch"] = {"interval": "1h", "hold": False}
    watch = Watch(bench, customer)
    session = watch.sessions(1)[0]
    equal((session["outcome"], session.get("text")), ("no-mail", None), "outcome and text")
    watch.idle()
    watch.end()
    equal(len(watch.sessions(1)), 1, "sessions")


# --- providers that refuse

def refusing(bench, *, login=True):
    """A provider that refuses the login, or ATRN, each time, and its customer."""
    isp = bench.provider([bench.maker.make()], script=None if login else {"atrn": wire.say(b"450 4.7.0 too soon")})
    customer = bench.customer(bench.sink(), isp)
    if login:
        write(customer.secret, "something else\n", 0o600)
    return isp, customer


def moved(customer, seconds):
    """As if all sessions had been so much later."""
    with contextlib.closing(sqlite3.connect(os.path.join(customer.top["state_dir"], "journal.db"))) as journal:
        journal.execute("UPDATE session SET ended = ended + ?, started = started + ?", (seconds * 10**6,) * 2)
        journal.commit()


def not_tried(bench):
    for login in (True, False):
        outcome = "auth" if login else "refused"
        isp, customer = refusing(bench, login=login)
        first = expect(customer.run(), outcome)
        second = expect(customer.run(), outcome, connections=0, tls=None, auth=None, reply=None)
        equal(len(isp.sessions), 1, "connections to the provider")
        ago = "the login failed" if login else "ATRN was refused"
        check(re.fullmatch(rf"not tried: {ago} \d+ s ago \(.*\); tried again after \d\d:\d\d:\d\d, or with --force",
                           second["text"]), f"text {second['text']!r}")
        check(first["text"] in second["text"], f"{first['text']!r} is not in {second['text']!r}")
        equal(customer.run("status", "--json").objects[0]["session"], first["session"], "last session of the receipts")
        forced = expect(customer.run("run", "--json", "--force"), outcome)
        equal((forced["connections"], len(isp.sessions)), (1, 2), "connections with --force")


def waits_grow(bench):
    isp, customer = refusing(bench)
    for count in range(1, 4):
        expect(customer.run(), "auth")
        equal(len(isp.sessions), count, "connections")
        expect(customer.run(), "auth", connections=0)
        wait_ = 60 * 2 ** (count - 1)
        moved(customer, 5 - wait_)
        expect(customer.run(), "auth", connections=0)
        moved(customer, -6)
    customer.isp["retry_refused"] = "0s"
    expect(customer.run(), "auth", connections=1)


def clock_set_back(bench):
    isp, customer = refusing(bench)
    expect(customer.run(), "auth")
    moved(customer, 3600)
    expect(customer.run(), "auth", connections=1)
    equal(len(isp.sessions), 2, "connections")


def other_settings(bench):
    """Who has corrected what was wrong is not told to wait."""
    isp, customer = refusing(bench)
    expect(customer.run(), "auth")
    write(customer.secret, "something else again\n", 0o600)
    expect(customer.run(), "auth", connections=1)
    write(customer.secret, PASSWORD + "\n", 0o600)
    equal(customer.run().session()["outcome"], "fetched", "outcome with the right password")
    write(customer.secret, "something else\n", 0o600)
    expect(customer.run(), "auth", connections=1)
    with open(os.path.join(customer.top["state_dir"], "journal.db"), "rb") as file:
        check(b"something else" not in file.read(), "the password is in the journal")


def sent_though_refused(bench):
    """ATRN is refused, the login is not: mail still goes over the provider's connection."""
    isp = bench.provider(script={"atrn": wire.say(b"450 4.7.0 too soon")}, takes_mail=True)
    customer = bench.customer(bench.sink(), isp)
    customer.tables["outbound"] = {"to": "provider"}
    equal(customer.run().session()["outcome"], "refused", "outcome")
    customer.submit(bench.maker.make(recipients=["a@elsewhere.example"]))
    result = customer.run()
    equal(result.session()["connections"], 0, "connections for ATRN")
    equal(result.session(None)["sent"]["messages"], 1, "sent")
    equal(isp.atrn_count(), 1, "ATRN commands")
