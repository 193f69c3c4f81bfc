"""A line that is dialled and paid for: its commands, whatever becomes of the run; its budgets; and the ways to a
provider: several hosts, an own address, IPv4 or IPv6 alone, a SOCKS5 proxy."""

import os
import signal
import socket
import threading

from harness import wait, wire
from harness.messages import Ledger
from harness.runner import check, equal, none
from harness.socks import REFUSED, Socks, pump
from harness.target import write

from .outcomes.expect import counts, expect, fresh, not_pending, scripted
from .outcomes.sent import expect_flush, waiting

ENDINGS = {  # outcome -> what the provider says
    "fetched": {},
    "unavailable": {"greeting": wire.say(b"421 4.3.2 too busy")},
    "refused": {"atrn": wire.say(b"450 4.7.1 too soon")},
    "protocol": {"greeting": wire.say(b"554 5.3.2 go away")},
    "auth": {"auth": wire.say(b"535 5.7.8 wrong")},
    "no-mail": {"atrn": wire.say(b"453 4.2.0 nothing")},
}


def register(suite):
    for outcome, script in ENDINGS.items():
        suite.case(f"line/down-after/{outcome}", outcome, script)(down_after)
    suite.case("line/down-after/local-down")(down_after_local_down)
    for name, (up, words) in FAILURES.items():
        suite.case(f"line/up-{name}", up, words)(up_fails)
    suite.case("line/down-fails")(down_fails)
    for number in (signal.SIGTERM, signal.SIGINT):
        suite.case(f"line/{number.name}-while-it-comes-up", number)(signal_while_coming_up)
        for twice in (False, True):
            suite.case(f"line/{'second-' if twice else ''}{number.name}", number, twice)(signal_in_session)
    suite.case("line/signals-while-it-goes-down")(signal_while_going_down)
    suite.case("line/SIGKILL-in-a-session")(killed_in_session)
    suite.case("line/SIGKILL-while-it-comes-up")(killed_while_coming_up)
    suite.case("line/SIGKILL-while-it-goes-down")(killed_while_going_down)
    suite.case("line/locked-does-not-dial")(locked)
    suite.case("line/nothing-to-send-does-not-dial")(nothing_to_send)
    suite.case("line/sends-and-fetches-over-one")(sends_and_fetches)
    suite.case("line/up-fails-with-mail-to-send")(up_fails_with_mail)
    suite.case("line/list-is-no-shell")(list_is_no_shell)
    suite.case("line/leaves-a-child-behind")(background)
    suite.case("line/run-as-nobody")(run_as)
    suite.case("line/wait")(comes_up_late)
    suite.case("line/max-message-size")(max_message_size)
    suite.case("line/max-bytes/fetch")(max_bytes)
    suite.case("line/max-bytes/provider-has-its-own")(own_budget)
    suite.case("line/max-bytes/send")(max_bytes_of_flush)
    suite.case("line/hosts-in-turn")(hosts)
    suite.case("line/source-address")(source_address)
    suite.case("line/source-address-is-not-ours")(foreign_source)
    suite.case("line/ip-version")(ip_version)
    suite.case("line/proxy")(proxy)
    suite.case("line/proxy-with-login")(proxy_login)
    suite.case("line/proxy-wrong-password")(proxy_wrong_password)
    suite.case("line/proxy-refuses")(proxy_refuses)
    suite.case("line/proxy-for-the-smart-host")(proxy_for_smart_host)


class Dialler:
    """[line] of a customer whose commands write down that they were run."""

    def __init__(self, bench, customer, up="", down="", **keys):
        self.log = write(os.path.join(bench.path(f"line{len(bench.made)}.log")), "")
        os.chmod(self.log, 0o666)
        customer.tables["line"] = {"up": f"echo up >>{self.log}; {up}", "down": f"echo down >>{self.log}; {down}",
                                   **keys}

    def calls(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read().split()


def dialled(bench, script=None, up="", down="", letters=None, **keys):
    isp, sink, customer = scripted(bench, fresh(script or {}), letters)
    return isp, sink, customer, Dialler(bench, customer, up, down, **keys)


def held(bench, step, up="", down="", **keys):
    """odmr running over a line that is up, the provider waiting at `step`."""
    gate, reached = threading.Event(), threading.Event()
    isp, sink, customer, line = dialled(
        bench, {step: [lambda c, n: (reached.set(), wire.gate(gate)(c, n))[1]]}, up, down, **keys)
    running = customer.start()
    bench.stack.callback(running.kill)
    bench.stack.callback(gate.set)
    check(reached.wait(20), f"{step} never reached:\n{running.output(1)}")
    return gate, isp, sink, line, running


# --- down, whatever happens

def down_after(bench, outcome, script):
    isp, _, customer, line = dialled(bench, script)
    was_up = []
    isp.script.steps.setdefault("ehlo", lambda c, n: (was_up.append(line.calls()), c.line.write(n), n)[2])
    result = customer.run()
    equal(result.session()["outcome"], outcome, "outcome")
    check(all(calls == ["up"] for calls in was_up), f"at EHLO the line had seen {was_up}")
    equal(line.calls(), ["up", "down"], "commands")


def down_after_local_down(bench):
    _, sink, customer, line = dialled(bench)
    sink.stop()
    expect(customer.run(), "local-down", connections=0)
    equal(line.calls(), ["up", "down"], "commands")


FAILURES = {
    "fails": ("printf 'ATDT555\\nNO \\033[31mCARRIER\\n' >&2; exit 3",
              "[line] up: /bin/sh: ended with status 3; it said: ATDT555\\x0aNO \\x1b[31mCARRIER"),
    "hangs": ("echo dialling; exec sleep 1000", "[line] up: /bin/sh: took too long; it said: dialling"),
    "is-killed": ("kill -9 $$", "[line] up: /bin/sh: killed by signal 9"),
}


def up_fails(bench, up, words):
    """The provider is not asked, `down` is run all the same, and the session can be looked up."""
    isp, _, customer, line = dialled(bench, up=up, up_timeout="1s")
    result = customer.run()
    session = expect(result, "unavailable", connections=0, tls=None, auth=None, reply=None)
    equal(session["text"], words, "text")
    equal(line.calls(), ["up", "down"], "commands")
    equal(isp.sessions, [], "connections")
    told = customer.run("status", "--json", "--session", session["session"])
    equal(told.status, 0, "exit status of odmr status")
    check("[line] up" in told.stdout, f"odmr status: {told.stdout}")


def down_fails(bench):
    """The mail is here; that the line may cost money now is said loudly."""
    letters = [bench.maker.make()]
    _, _, customer, line = dialled(bench, down="echo no such line; exit 1", letters=letters)
    expect(customer.run(), "fetched", received=counts(letters))
    equal(line.calls(), ["up", "down"], "commands")
    check("the line may still be up" in customer.results[-1].stderr, customer.results[-1].stderr)
    check("ended with status 1; it said: no such line" in customer.results[-1].stderr, customer.results[-1].stderr)


# --- signals

def signal_while_coming_up(bench, number):
    """At once: nothing is in hand. The dialler is asked to hang up before it is killed."""
    isp, _, customer, line = dialled(bench)
    customer.tables["line"]["up"] = (f"trap 'echo hung-up >>{line.log}; exit 1' TERM; echo up >>{line.log}; "
                                     "while :; do sleep 0.01; done")
    running = customer.start()
    bench.stack.callback(running.kill)
    wait.until(lambda: line.calls() == ["up"], 20, "the line comes up")
    running.signal(number)
    result = running.finish(20)
    equal(expect(result, "unavailable", connections=0)["text"], "stopped by a signal", "text")
    equal(line.calls(), ["up", "hung-up", "down"], "commands")
    equal(isp.sessions, [], "connections")


def signal_in_session(bench, number, twice):
    gate, isp, _, line, running = held(bench, "dot")
    running.signal(number)
    wait.until(lambda: not_pending(running.pid, number), 5, "the signal is taken")
    if twice:
        running.signal(number)
    else:
        equal(line.calls(), ["up"], "commands inside the message")
        gate.set()
    equal(running.finish(20).status, 75, "exit status")
    gate.set()
    isp.wait_idle()
    equal(line.calls(), ["up", "down"], "commands")


def signal_while_going_down(bench):
    """`down` is finished, and waited for, however often we are told."""
    fifo = bench.path("go")
    os.mkfifo(fifo)
    _, _, customer, line = dialled(bench, down=f"read word <{fifo}; echo is-down >>__LOG__")
    customer.tables["line"]["down"] = customer.tables["line"]["down"].replace("__LOG__", line.log)
    running = customer.start()
    bench.stack.callback(running.kill)
    wait.until(lambda: line.calls() == ["up", "down"], 20, "the line goes down")
    for _ in range(2):
        running.signal(signal.SIGTERM)
        wait.until(lambda: not_pending(running.pid, signal.SIGTERM), 5, "the signal is taken")
    check(running.process.poll() is None, "odmr ended before the line was down")
    write(fifo, "go\n")
    equal(running.finish(20).status, 0, "exit status")
    equal(line.calls(), ["up", "down", "is-down"], "commands")


# --- SIGKILL: the helper takes it down

def killed_in_session(bench):
    _, _, _, line, running = held(bench, "dot")
    equal(line.calls(), ["up"], "commands inside the message")
    running.signal(signal.SIGKILL)
    running.finish(20)
    wait.until(lambda: "down" in line.calls(), 20, "the line goes down")
    equal(line.calls(), ["up", "down"], "commands")
    no_process_has(line)


def killed_while_coming_up(bench):
    """The dialler is ended first, so that the line does not come up behind `down`."""
    _, _, customer, line = dialled(bench)
    customer.tables["line"]["up"] = (f"trap 'echo hung-up >>{line.log}; exit 1' TERM; echo up >>{line.log}; "
                                     "while :; do sleep 0.01; done")
    running = customer.start()
    bench.stack.callback(running.kill)
    wait.until(lambda: line.calls() == ["up"], 20, "the line comes up")
    running.signal(signal.SIGKILL)
    running.finish(20)
    wait.until(lambda: "down" in line.calls(), 20, "the line goes down")
    equal(line.calls(), ["up", "hung-up", "down"], "commands")
    no_process_has(line)


def killed_while_going_down(bench):
    fifo = bench.path("go")
    os.mkfifo(fifo)
    _, _, customer, line = dialled(bench, down=f"read word <{fifo}; echo is-down >>__LOG__")
    customer.tables["line"]["down"] = customer.tables["line"]["down"].replace("__LOG__", line.log)
    running = customer.start()
    bench.stack.callback(running.kill)
    wait.until(lambda: line.calls() == ["up", "down"], 20, "the line goes down")
    running.signal(signal.SIGKILL)
    running.finish(20)
    write(fifo, "go\n")
    wait.until(lambda: "is-down" in line.calls(), 20, "the line is down")
    no_process_has(line)
    equal(line.calls(), ["up", "down", "is-down"], "commands")


def no_process_has(line):
    """The helper of that run, and what it started, have ended: nothing can be run any more."""
    def is_there():
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read()
            except OSError:
                continue
            if os.path.dirname(line.log).encode() in words and b"odmr" in words:
                return True
        return False
    wait.until(lambda: not is_there(), 20, "the helper ends")


# --- when it is dialled

def locked(bench):
    gate, _, _, line, running = held(bench, "dot")
    customer = next(made for kind, made in bench.made if kind == "odmr")
    expect(customer.run(), "locked", connections=0)
    equal(line.calls(), ["up"], "commands while the first run works")
    gate.set()
    running.finish(20)
    equal(line.calls(), ["up", "down"], "commands")


def nothing_to_send(bench):
    letters, _, customer = waiting(bench, count=1)
    line = Dialler(bench, customer)
    equal(customer.flush().status, 0, "exit status")
    equal(line.calls(), ["up", "down"], "commands of a flush")
    equal(customer.flush().status, 0, "exit status")
    equal(line.calls(), ["up", "down"], "commands, with nothing to send")
    check(letters, "no letters")


def sends_and_fetches(bench):
    _, host, customer = waiting(bench, count=2)
    line = Dialler(bench, customer)
    result = customer.run()
    equal(result.session()["outcome"], "no-mail", "outcome")
    expect_flush(result, "sent", messages=2, recipients=2, bytes=None)
    equal(len(host.deliveries(2)), 2, "messages")
    equal(line.calls(), ["up", "down"], "commands")


def up_fails_with_mail(bench):
    """Nothing is tried, nothing is put off, and both halves of the run say why."""
    _, host, customer = waiting(bench, count=1)
    line = Dialler(bench, customer, up="exit 4")
    result = customer.run()
    equal(result.session()["outcome"], "unavailable", "outcome of the session")
    flush = expect_flush(result, "unavailable", status=75)
    check(flush is None or "status 4" in flush["text"], f"flush: {flush}")
    check("ended with status 4" in result.session(None)["text"], result.stdout)
    equal(line.calls(), ["up", "down"], "commands")
    del customer.tables["line"]
    equal(customer.flush().status, 0, "exit status of the later run")
    equal(len(host.deliveries(1)), 1, "messages")


def list_is_no_shell(bench):
    isp, sink, customer = scripted(bench, {})
    folder = bench.path("words")
    os.mkdir(folder)
    customer.tables["line"] = {"up": ["touch", f"{folder}/$HOME;x"], "down": ["touch", f"{folder}/`y`"]}
    equal(customer.run().status, 0, "exit status")
    equal(sorted(os.listdir(folder)), ["$HOME;x", "`y`"], "files")


def background(bench):
    """A dialler that stays in the background, talks on, and holds our files open: nobody waits for it, nobody kills it."""
    _, _, customer, line = dialled(bench, up="(while :; do echo still here; sleep 0.05; done) & echo $! >__PID__",
                                   down="kill -0 $(cat __PID__) && echo alive >>__LOG__; kill -9 $(cat __PID__)")
    for key in ("up", "down"):
        text = customer.tables["line"][key]
        customer.tables["line"][key] = text.replace("__LOG__", line.log).replace("__PID__", line.log + ".pid")
    equal(customer.run().status, 0, "exit status")
    equal(line.calls(), ["up", "down", "alive"], "commands")


def run_as(bench):
    """Both commands are root's, although the run became somebody else in between."""
    isp, sink, customer = scripted(bench, {})
    customer.top["run_as"] = "nobody"
    log = write(bench.path("ids"), "")
    customer.tables["line"] = {"up": f"id -u >>{log}", "down": f"id -u >>{log}"}
    equal(customer.run().status, 0, "exit status")
    with open(log, encoding="ascii") as file:
        equal(file.read().split(), ["0", "0"], "who ran the commands")


def comes_up_late(bench):
    """`up` is back before the line is there: the provider is tried again until it is."""
    isp, _, customer = scripted(bench, {})
    door = socket.socket()
    door.bind(("127.0.0.1", 0))  # refuses until it listens
    customer.isp["port"] = door.getsockname()[1]
    line = Dialler(bench, customer, wait="30s")
    running = customer.start("run", "--json", "-v")
    bench.stack.callback(running.kill)
    wait.until(lambda: "may still be coming up" in running.output(1), 20, "the first attempt fails")
    door.listen()
    forward(bench, door, isp.port)
    equal(running.finish(30).session()["outcome"], "fetched", "outcome")
    equal(line.calls(), ["up", "down"], "commands")


def forward(bench, door, port):
    bench.stack.callback(door.close)

    def accept():
        while True:
            try:
                here, _ = door.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", port))
            for ends in ((here, there), (there, here)):
                threading.Thread(target=pump, args=ends, daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


# --- budgets

def max_message_size(bench):
    """The large one stays, by name; the limit is announced nowhere; the provider bounces nothing, and a run without the
    limit gets it. It is offered twice, since mail came and so the provider is asked again."""
    letters = [bench.maker.make(), bench.maker.big(200_000), bench.maker.make()]
    isp, sink, customer = scripted(bench, {}, letters)
    customer.tables["line"] = {"max_message_size": "100KiB"}
    session = expect(customer.run(), "deferred", received=counts([letters[0], letters[2]], deferred=2))
    isp.wait_idle()
    check(str(100 * 1024) not in isp.sessions[0].extensions.get("SIZE", ""), f"EHLO: {isp.sessions[0].extensions}")
    equal(isp.bounced, [], "bounced by the provider")
    equal(list(isp.pending()), [letters[1].id], "left at the provider")
    shown = customer.run("status", "--json", "--session", session["session"])
    check(letters[1].reverse_path in shown.stdout and "452 4.3.4" in shown.stdout, f"receipt: {shown.stdout}")
    check(letters[1].reverse_path in customer.results[0].stderr, f"log: {customer.results[0].stderr}")
    del customer.tables["line"]
    expect(customer.run(), "fetched", received=counts(letters[1:2]))
    none(Ledger(letters).problems(sink.deliveries(3)))


def max_bytes(bench):
    letters = [bench.maker.big(50_000) for _ in range(4)]
    isp, sink, customer = scripted(bench, {}, letters)
    customer.tables["line"] = {"max_bytes": "64KiB"}
    session = expect(customer.run(), "deferred", received=counts(letters[:2], deferred=1))
    isp.wait_idle()
    equal(len(isp.sessions), 1, "connections")
    equal(list(isp.pending()), [letter.id for letter in letters[2:]], "left at the provider")
    shown = customer.run("status", "--json", "--session", session["session"])
    check(letters[2].reverse_path in shown.stdout and "421" in shown.stdout, f"receipt: {shown.stdout}")
    del customer.tables["line"]
    customer.run()
    none(Ledger(letters).problems(sink.deliveries(4)))


def own_budget(bench):
    letters = [bench.maker.big(50_000) for _ in range(3)]
    isp, _, customer = scripted(bench, {}, letters)
    customer.tables["line"] = {"max_bytes": "1KiB"}
    customer.isp["max_bytes"] = 0
    expect(customer.run(), "fetched", received=counts(letters))


def max_bytes_of_flush(bench):
    """No message is begun after that; the others wait as they were, and bounce nothing."""
    _, host, customer = waiting(bench, count=4, max_connections=1)
    customer.tables["line"] = {"max_bytes": 1}
    for left in (3, 2):
        result = customer.flush()
        expect_flush(result, "deferred", messages=1, recipients=1, bytes=None)
        check("its share of the line" in result.session(None)["text"], result.stdout)
        equal(len(customer.queue()), left, "in the queue")
    del customer.tables["line"]
    equal(customer.flush().status, 0, "exit status")
    equal(len(host.deliveries(4)), 4, "messages")


# --- ways

def closed_port():
    """A port that refuses, kept so until the socket goes."""
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    return door, door.getsockname()[1]


def hosts(bench):
    """Two that refuse, then the one that is there; confined to the ports of all three. With TLS the name is that of
    the host that was reached."""
    door, port = closed_port()
    with door:
        isp = bench.provider([bench.maker.make()], tls="starttls", certificate=bench.authority.good())
        customer = bench.customer(bench.sink(), isp).verify_with(bench.authority)
        del customer.isp["port"]
        customer.isp["host"] = [f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{isp.port}"]
        result = customer.run()
        equal((result.status, result.session()["outcome"]), (0, "fetched"), "exit status and outcome")
        customer.isp["host"] = [f"127.0.0.1:{port}", f"localhost:{port}"]
        text = expect(customer.run(), "unavailable", connections=0)["text"]
        check(text.startswith(f"127.0.0.1:{port}: ") and f"; localhost:{port}: " in text, text)


def source_address(bench):
    """Also confined: an own address needs a port, which the system chooses."""
    isp, _, customer = scripted(bench, {})
    seen = []
    isp.script.steps["greeting"] = lambda c, n: (seen.append(c.line.sock.getpeername()[0]), c.line.write(n), n)[2]
    customer.isp["source_address"] = "127.0.0.7"
    equal(customer.run().status, 0, "exit status")
    equal(set(seen), {"127.0.0.7"}, "our address")


def foreign_source(bench):
    isp, _, customer = scripted(bench, {})
    customer.isp["source_address"] = "192.0.2.77"
    text = expect(customer.run(), "unavailable", connections=0)["text"]
    check("from source_address 192.0.2.77: Cannot assign requested address" in text, text)
    equal(isp.sessions, [], "connections")


def ip_version(bench):
    """localhost has both here; the provider listens on IPv4 alone."""
    isp, _, customer = scripted(bench, {})
    customer.isp.update({"host": "localhost", "ip": "4"})
    equal(customer.run().status, 0, "exit status")
    customer.isp["ip"] = "6"
    text = expect(customer.run(), "unavailable", connections=0)["text"]
    check("127.0.0.1" not in text, text)
    customer.isp.update({"host": "127.0.0.1", "ip": "6"})
    result = customer.run("check")
    equal(result.status, 78, "exit status of check")
    check('"127.0.0.1" is an IPv4 address, and ip asks for IPv6' in result.stdout, result.stdout)


def proxied(bench, hosts=None, **traits):
    """A provider whose name nobody but the proxy knows. TLS is with the provider, and verified."""
    isp = bench.provider([bench.maker.make()])
    name = "odmr.provider.invalid"
    through = Socks({name: isp.port} if hosts is None else hosts, **traits)
    bench.stack.callback(through.stop)
    sink = bench.sink()
    customer = bench.customer(sink, isp)
    customer.local = sink
    customer.isp.update({"host": name, "proxy": f"socks5://127.0.0.1:{through.port}"})
    return isp, through, customer, name


def proxy(bench):
    isp, through, customer, name = proxied(bench)
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (0, "fetched"), "exit status and outcome")
    equal(set(through.asked), {(name, isp.port)}, "what the proxy was asked for")
    session = result.session()["session"]
    shown = customer.run("status", "--json", "--session", session)
    check(f"{name}:{isp.port} by socks5://127.0.0.1:{through.port}" in shown.stdout, f"receipt: {shown.stdout}")
    # Received names the provider as it named itself, and no address: the proxy's is not the provider's.
    copy, = customer.local.deliveries(1)
    trace = copy.data.partition(b"by ")[0]
    check(trace.startswith(b"Received: from provider.example") and b"127.0.0.1" not in trace, f"trace {trace!r}")


def proxy_login(bench):
    isp, through, customer, _ = proxied(bench, login=("anna", "s3cret of anna"))
    secret = write(os.path.join(customer.folder, "proxy.secret"), "s3cret of anna\n", mode=0o600)
    customer.isp.update({"proxy_user": "anna", "proxy_password_file": secret})
    equal(customer.run("run", "--json", "-vvv").status, 0, "exit status")
    equal(set(through.logins), {("anna", "s3cret of anna")}, "logins")
    check("s3cret" not in customer.results[-1].stderr, "the password is in the log")
    check(not isp.pending(), "the mail is still there")


def proxy_wrong_password(bench):
    isp, _, customer, _ = proxied(bench, login=("anna", "s3cret of anna"))
    text = expect(customer.run(), "unavailable", connections=0)["text"]
    check(text.endswith("the proxy takes no login by name and password") or "wants a login" in text, text)
    secret = write(os.path.join(customer.folder, "proxy.secret"), "wrong\n", mode=0o600)
    customer.isp.update({"proxy_user": "anna", "proxy_password_file": secret})
    text = expect(customer.run(), "unavailable", connections=0)["text"]
    check(text.endswith("the proxy refuses the login of proxy_user"), text)
    equal(isp.sessions, [], "connections")


def proxy_refuses(bench):
    isp, _, customer, name = proxied(bench, reply=REFUSED)
    text = expect(customer.run(), "unavailable", connections=0)["text"]
    check(text.endswith("the proxy says that the host refused the connection") and text.startswith(name), text)
    customer.isp["proxy"] = f"socks5://127.0.0.1:{isp.port}"  # the provider itself, which speaks no SOCKS
    text = expect(customer.run(), "unavailable", connections=0)["text"]
    check(text.endswith("it does not speak SOCKS5"), text)
    door, port = closed_port()
    with door:
        customer.isp["proxy"] = f"socks5://127.0.0.1:{port}"
        text = expect(customer.run(), "unavailable", connections=0)["text"]
        check(text.startswith(f"proxy 127.0.0.1:{port}: Connection refused"), text)


def proxy_for_smart_host(bench):
    _, host, customer = waiting(bench, count=1)
    through = Socks({"smart.invalid": host.port})
    bench.stack.callback(through.stop)
    customer.tables["outbound"].update({"to": f"smtp://smart.invalid:{host.port}", "tls": "none",
                                        "proxy": f"socks5://127.0.0.1:{through.port}"})
    equal(customer.flush().status, 0, "exit status")
    equal(through.asked, [("smart.invalid", host.port)], "what the proxy was asked for")
    equal(len(host.deliveries(1)), 1, "messages")
