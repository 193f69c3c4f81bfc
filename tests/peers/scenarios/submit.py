"""`odmr submit` between programs of this host and the queue: real mail servers that relay through it, sockets of every
kind, signals, a full disk, and the way past the queue."""

import os
import shutil
import signal
import smtplib
import socket
import subprocess
import threading

from harness import held, wait, wire
from harness.exim import Exim
from harness.messages import MIB, Ledger
from harness.postfix import Postfix
from harness.process import Child, run
from harness.programs import HOSTNAME, REPOSITORY, binary
from harness.runner import check, equal, none
from harness.smarthost_postfix import overridden
from harness.target import ADDRESS

AWAY = "friend@elsewhere.example"
PORT = "2525"  # in the examples
NOBODY = 65534
HELLO = ("EHLO desk.example", 250)
ENVELOPE = (("MAIL FROM:<author@sender.example>", 250), (f"RCPT TO:<{AWAY}>", 250))


def register(suite):
    suite.case("submit/postfix-relays-through-it")(postfix)
    suite.case("submit/postfix-hears-why-directly")(postfix_directly)
    suite.case("submit/exim-relays-through-it")(exim)
    suite.case("submit/another-user-on-the-socket")(another_user)
    suite.case("submit/smtplib-over-tcp")(over_tcp)
    suite.case("submit/stdio/pipes")(on_pipes)
    suite.case("submit/stdio/one-socket")(on_one_socket)
    suite.case("submit/stdio/input-ends-inside-a-message")(input_ends)
    suite.case("submit/sockets-passed-on")(passed_on)
    suite.case("submit/systemd-socket-activate")(activated)
    suite.case("submit/no-socket-passed-on")(wrongly_passed_on)
    suite.case("submit/a-hundred-at-once")(hundred)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        suite.case(f"submit/{number.name}-inside-a-message", number)(signal_inside)
    suite.case("submit/second-signal")(second_signal)
    suite.case("submit/stale-socket")(stale)
    suite.case("submit/living-socket")(living)
    suite.case("submit/something-else-in-its-place")(no_socket)
    suite.case("submit/killed-inside-a-message")(killed)
    suite.case("submit/full-disk")(full_disk)
    suite.case("submit/beside-a-run")(beside_a_run)
    suite.case("submit/no-way-out")(no_way_out)
    suite.case("submit/direct/stdio-without-smart-host")(direct_without_host)


def customer_of(bench, host=None, **keys):
    """odmr with a smart host that nobody asks before there is a run."""
    return bench.customer(bench.sink()).send_through(host or bench.host(), **keys)


def queue_of(customer):
    return held.held(customer.top["state_dir"])


def compare(customer, letters):
    """The queue has these, to the byte under one Received line of ours (and those of the program before us)."""
    none(Ledger(letters).problems(held.copies(customer.top["state_dir"]), our_name=HOSTNAME))
    equal(held.half_written(customer.top["state_dir"]), [], "half-written")


def example(name, port):
    """A fragment from examples/, with the port of this test."""
    with open(os.path.join(REPOSITORY, "examples", name), encoding="utf-8") as file:
        text = file.read()
    check(PORT in text.replace("127.0.0.1:2525\"", ""), f"{name} names no port {PORT}")
    return text.replace(PORT, str(port))


class Session:
    """A caller's session."""

    def __init__(self, where):
        if isinstance(where, socket.socket):
            sock = where
        elif where.startswith("/"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(where)
        else:
            host, _, port = where.rpartition(":")
            sock = socket.create_connection((host.strip("[]"), int(port)))
        self.line = wire.Line(sock, 30)
        equal(self.line.read_reply()[0], 220, "greeting")

    def say(self, *dialogue):
        """Each (command, code of its reply)."""
        for command, wanted in dialogue:
            self.line.write(command.encode() + b"\r\n")
            code, text = self.line.read_reply()
            equal((code, text) if code != wanted else code, wanted, f"reply to {command[:60]}")
        return self

    def content(self, data, wanted=250):
        self.line.write(stuffed(data) + b".\r\n")
        code, text = self.line.read_reply()
        equal((code, text) if code != wanted else code, wanted, "reply to the message")
        return text


def stuffed(data):
    return data.replace(b"\r\n.", b"\r\n..")


def away(letters):
    for letter in letters:
        letter.recipients[:] = [AWAY]
    return letters


# Mail servers of this host.

class RelayingPostfix(Postfix):
    """With the fragment from examples/ in its main.cf."""

    name = "relaying-postfix"

    def __init__(self, folder, programs, fragment):
        self.fragment = fragment
        super().__init__(folder, programs)

    def _main_cf(self):
        return overridden(super()._main_cf(), "\ndefault_transport = smtp\n" + self.fragment)


class RelayingExim(Exim):
    """With the fragment from examples/ among its routers and transports."""

    name = "relaying-exim"

    def __init__(self, folder, programs, fragment):
        before, self.transport = fragment.split('# After "begin transports":\n')
        self.router = before.split("for local domains:\n")[1]
        super().__init__(folder, programs)

    def _configuration(self):
        text = super()._configuration()
        text = text.replace("\nbegin routers\n", "\nbegin routers\n" + self.router)
        text = text.replace("\nbegin transports\n", "\nbegin transports\n" + self.transport)
        return "domainlist local_domains =\n" + text


def relaying(bench, program, fragment):
    mta = program(bench.path(program.name), bench.shared.programs, fragment)
    bench.stack.callback(mta.stop)
    bench.made.append((program.name, mta))
    return mta.start()


def hand_over(port, letters):
    with smtplib.SMTP(ADDRESS, port, timeout=60) as client:
        client.command_encoding = "utf-8"
        client.ehlo("bench.example")
        for letter in letters:
            client.sendmail(letter.reverse_path, letter.recipients, letter.data, letter.parameters.split())


def postfix(bench):
    customer = customer_of(bench)
    submission = bench.submission(customer, "127.0.0.1:0")
    mta = relaying(bench, RelayingPostfix, example("postfix-relayhost.cf", port_of(submission)))
    letters = away(bench.maker.mixture() + [bench.maker.smtputf8()])
    hand_over(mta.port, letters)
    wait.until(lambda: len(queue_of(customer)) >= len(letters) and not mta.queued(), 60, "Postfix hands all over")
    compare(customer, letters)
    equal({message.attributes["submitter"] for message in queue_of(customer)}, {"127.0.0.1"}, "submitter")


def exim(bench):
    customer = customer_of(bench)
    submission = bench.submission(customer, "127.0.0.1:0")
    mta = relaying(bench, RelayingExim, example("exim-smarthost.conf", port_of(submission)))
    letters = away(bench.maker.mixture())
    hand_over(mta.port, letters)
    wait.until(lambda: len(queue_of(customer)) >= len(letters) and not mta.queued(), 60, "Exim hands all over")
    compare(customer, letters)


def postfix_directly(bench):
    """The smart host's refusal is Postfix's own to bounce, and a smart host that is away keeps mail in its queue."""
    host = bench.host(recipient_replies={AWAY: [b"550 5.1.1 unknown over there"]})
    customer = customer_of(bench, host)
    customer.tables["submit"] = {"listen": ["127.0.0.1:0"]}
    child, address = listening(bench, customer, "--direct")
    mta = relaying(bench, RelayingPostfix, example("postfix-relayhost.cf", address.rpartition(":")[2]))
    letter, = away([bench.maker.make()])
    hand_over(mta.port, [letter])
    wait.until(lambda: "unknown over there" in mta.log_text(), 30, "Postfix hears the smart host's words")
    host.recipient_replies.clear()
    good, = away([bench.maker.make()])
    hand_over(mta.port, [good])
    # Postfix's bounce for the first one goes the same way.
    arrived = wait.until(lambda: [copy for copy in host.deliveries() if copy.recipient == AWAY], 30, "the good one")
    none(Ledger([good]).problems(arrived, our_name=HOSTNAME))
    host.stop()
    late, = away([bench.maker.make()])
    hand_over(mta.port, [late])
    wait.until(lambda: "the smart host is not ready" in mta.log_text(), 30, "Postfix hears that nobody is there")
    check(mta.queued() >= 1, "Postfix has not kept it")
    check(not os.path.exists(os.path.join(customer.top["state_dir"], "queue")), "something was stored")
    equal(child.running(), True, "odmr submit runs")


def port_of(submission):
    return submission.addresses[1].rpartition(":")[2]


# Callers.

def as_user(uid, function):
    """Runs function in a child process of that user; its word must be "fine"."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        word = b"fine"
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            function()
        except BaseException as error:  # the parent is to hear of whatever it is
            word = repr(error).encode()
        os.write(write, word)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        word = said.read().decode()
    os.waitpid(pid, 0)
    equal(word, "fine", f"uid {uid}")


def another_user(bench):
    """Who may read neither configuration nor queue; the system says who it was."""
    customer = customer_of(bench)
    submission = bench.submission(customer)
    letter, = away([bench.maker.make()])
    as_user(NOBODY, lambda: Session(submission.socket).say(
        HELLO, ("MAIL FROM:<author@sender.example> RET=HDRS ENVID=7", 250),
        (f"RCPT TO:<{AWAY}> NOTIFY=FAILURE", 250), ("DATA", 354)).content(letter.data))
    message, = queue_of(customer)
    compare(customer, [letter])
    ours = int(message.attributes.pop("trace_size"))
    check(message.data[:ours].endswith(b"\r\n") and message.data[ours:ours + 1] not in b" \t", "the size of our line")
    equal(message.attributes, {"submitter": f"uid {NOBODY}", "ret": "HDRS", "envid": "7"}, "attributes")
    check(f"from desk.example (uid {NOBODY})".encode() in message.data, "Received does not say who it was")
    log = submission.child.output()
    for part in (f"id={message.id}", f'submitter="uid {NOBODY}"', "reverse_path=author@sender.example", "recipients=1",
                 f"size={len(letter.data)}"):
        check(part in log, f"no {part} in the log:\n{log}")
    equal(log.count("message queued"), 1, "lines of the log about the message")


def over_tcp(bench):
    """On IPv4 and IPv6; bare names are for the socket alone."""
    customer = customer_of(bench)
    submission = bench.submission(customer, "127.0.0.1:0", "[::1]:0")
    letters = away([bench.maker.make(), bench.maker.make()])
    for address, letter in zip(submission.addresses[1:], letters):
        session = Session(address).say(HELLO, ENVELOPE[0], ("RCPT TO:<root>", 501), ENVELOPE[1], ("DATA", 354))
        session.content(letter.data)
    compare(customer, letters)
    equal([message.attributes["submitter"] for message in queue_of(customer)], ["127.0.0.1", "::1"], "submitters")
    Session(submission.socket).say(HELLO, ENVELOPE[0], ("RCPT TO:<root>", 250), ("DATA", 354)).content(letters[0].data)
    equal(queue_of(customer)[-1].recipients, [f"root@{HOSTNAME}"], "recipient")


def stdio(bench, customer, **streams):
    process = subprocess.Popen([binary("odmr"), "submit", "--stdio", "--config", customer.configuration()],
                               env=customer.environment(), stderr=subprocess.PIPE, start_new_session=True, **streams)
    bench.stack.callback(lambda: process.poll() is None and process.kill())
    return process


DIALOGUE = [b"EHLO desk.example", b"MAIL FROM:<author@sender.example>", b"RCPT TO:<friend@elsewhere.example>", b"DATA"]


def on_pipes(bench):
    """A command at a time, as pine does; then all of it at once."""
    customer = customer_of(bench)
    letters = away([bench.maker.make(), bench.maker.leading_dots()])
    process = stdio(bench, customer, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def reply():
        while True:
            line = process.stdout.readline()
            if line[3:4] != b"-":
                return line[:3]
    equal(reply(), b"220", "greeting")
    for command, wanted in zip(DIALOGUE + [stuffed(letters[0].data) + b"."], (b"250", b"250", b"250", b"354", b"250")):
        process.stdin.write(command + b"\r\n")
        process.stdin.flush()
        equal(reply(), wanted, f"reply to {command[:40]!r}")
    said, log = process.communicate(b"\r\n".join(DIALOGUE[1:]) + b"\r\n" + stuffed(letters[1].data) + b".\r\nQUIT\r\n")
    equal([line[:3] for line in said.splitlines()], [b"250", b"250", b"354", b"250", b"221"], "replies")
    equal(process.returncode, 0, f"exit status\n{log.decode()}")
    compare(customer, letters)
    equal({message.attributes["submitter"] for message in queue_of(customer)}, {f"uid {os.getuid()}"}, "submitter")


def on_one_socket(bench):
    """As inetd, or a unit with Accept=yes, has it: the caller is who is at the other end."""
    customer = customer_of(bench)
    letter, = away([bench.maker.make()])
    listener = socket.socket(socket.AF_UNIX)
    path = bench.path("accepting")
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(1)

    def serve():
        ours, _ = listener.accept()
        with ours:
            processes.append(stdio(bench, customer, stdin=ours, stdout=ours))
    processes = []
    thread = threading.Thread(target=serve)
    thread.start()
    as_user(NOBODY, lambda: Session(path).say(HELLO, *ENVELOPE, ("DATA", 354)).content(letter.data))
    thread.join()
    equal(processes[0].wait(20), 0, "exit status")
    compare(customer, [letter])
    equal(queue_of(customer)[0].attributes["submitter"], f"uid {NOBODY}", "submitter")


def input_ends(bench):
    customer = customer_of(bench)
    process = stdio(bench, customer, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.communicate(b"\r\n".join(DIALOGUE) + b"\r\nSubject: half\r\n\r\nof a mess")
    equal(process.returncode, 75, "exit status")
    compare(customer, [])
    between = stdio(bench, customer, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    between.communicate(b"EHLO desk.example\r\n")
    equal(between.returncode, 0, "exit status after an end between messages")


# Sockets that somebody else has opened.

def listening(bench, customer, *more, command=()):
    """(child, first address) of an `odmr submit` that is told where to listen in another way."""
    child = Child([*command, binary("odmr"), "submit", *more, "--config", customer.configuration()],
                  bench.path("submit.log"), env=customer.environment())
    bench.stack.callback(child.stop)
    wait.until(lambda: "listening on" in child.output() or not child.running(), 20, "odmr submit listens")
    check(child.running(), f"odmr submit ended at once:\n{child.output()}")
    return child, child.output().split("listening on ")[1].split("\n")[0]


def passed_on(bench):
    """A Unix and a TCP socket as systemd passes them; what the configuration names is not opened."""
    customer = customer_of(bench)
    own = bench.path("own")
    customer.tables["submit"] = {"listen": [own]}
    path = bench.path("passed")
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        unix.bind(path)
        unix.listen(8)
        port = tcp.getsockname()[1]
        for sock, number in ((unix, 103), (tcp, 104)):
            os.dup2(sock.fileno(), number)
        script = ('exec 3<&103 4<&104 103<&- 104<&-; LISTEN_FDS=2 LISTEN_PID=$$ exec "$0" submit --config "$1"')
        process = subprocess.Popen(["bash", "-c", script, binary("odmr"), customer.configuration()],
                                   env=customer.environment(), pass_fds=(103, 104), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        for number in (103, 104):
            os.close(number)
    bench.stack.callback(lambda: process.poll() is None and process.kill())
    told = [process.stdout.readline().decode() for _ in range(2)]
    equal(told, [f"listening on {path}\n", f"listening on 127.0.0.1:{port}\n"], "what it says")
    letters = away([bench.maker.make(), bench.maker.make()])
    for where, letter in zip((path, f"127.0.0.1:{port}"), letters):
        Session(where).say(HELLO, *ENVELOPE, ("DATA", 354)).content(letter.data)
    compare(customer, letters)
    process.terminate()
    equal(process.wait(20), 0, "exit status")
    check(os.path.exists(path), "a socket that is not ours was removed")
    check(not os.path.exists(own), "it listened where it was not told to")


def activated(bench):
    """systemd's own program for it. It starts odmr when the first caller is there."""
    customer = customer_of(bench)
    path = bench.path("activated")
    child = Child(["systemd-socket-activate", "-l", path, "-E", "HOME=/nonexistent", binary("odmr"), "submit",
                   "--config", customer.configuration()], bench.path("activate.log"), env=customer.environment())
    bench.stack.callback(child.stop)
    wait.until(lambda: os.path.exists(path) or not child.running(), 20, "systemd-socket-activate listens")
    letter, = away([bench.maker.make()])
    Session(path).say(HELLO, *ENVELOPE, ("DATA", 354)).content(letter.data)
    compare(customer, [letter])


def wrongly_passed_on(bench):
    """What is no listening socket is a mistake in a unit, and is said."""
    customer = customer_of(bench)
    script = 'exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" submit --config "$1"'
    done = subprocess.run(["bash", "-c", script, binary("odmr"), customer.configuration()], timeout=30,
                          env=customer.environment(), stdin=subprocess.DEVNULL, capture_output=True)
    equal(done.returncode, 78, "exit status")
    check(b"descriptor 3" in done.stderr, f"not said: {done.stderr!r}")


# Many, and the end.

def hundred(bench):
    """A hundred sessions of one user at once, each inside a message; one more is turned away, and another user is not;
    all are answered."""
    customer = customer_of(bench)
    submission = bench.submission(customer)
    letters = away([bench.maker.make() for _ in range(100)])
    sessions = [Session(submission.socket).say(HELLO, *ENVELOPE, ("DATA", 354)) for _ in letters]
    one_more = socket.socket(socket.AF_UNIX)
    one_more.connect(submission.socket)
    line = wire.Line(one_more, 30)
    equal(line.read_reply()[0], 421, "greeting of one too many")
    line.close()
    greeted = ("import socket, sys; line = socket.socket(socket.AF_UNIX); line.connect(sys.argv[1]); "
               "print(line.recv(3).decode())")
    other = subprocess.run(["/usr/bin/python3", "-c", greeted, submission.socket], user=NOBODY, group=NOBODY,
                           extra_groups=[], capture_output=True, text=True, timeout=30, check=True)
    equal(other.stdout, "220\n", "greeting of another user")
    for session, letter in zip(sessions, letters):
        session.line.write(stuffed(letter.data) + b".\r\n")
    for session in sessions:
        equal(session.line.read_reply()[0], 250, "reply to the message")
        session.line.close()
    compare(customer, letters)
    Session(submission.socket).say(HELLO, ("QUIT", 221))


def signal_inside(bench, number):
    """The message under way is finished; who is idle is sent away, nobody else comes in, and the socket goes."""
    customer = customer_of(bench)
    submission = bench.submission(customer)
    letter, = away([bench.maker.make()])
    idle = Session(submission.socket).say(HELLO)
    busy = Session(submission.socket).say(HELLO, *ENVELOPE, ("DATA", 354))
    busy.line.write(letter.data[:100])
    submission.child.signal(number)
    equal(idle.line.read_reply()[0], 421, "the idle one's last reply")
    check(not os.path.exists(submission.socket), "the socket is still there")
    check(submission.child.running(), "left inside a message")
    busy.line.write(letter.data[100:] + b".\r\n")
    equal(busy.line.read_reply()[0], 250, "reply to the message")
    equal(busy.line.read_reply()[0], 421, "last reply")
    equal(submission.child.process.wait(20), 0, "exit status")
    compare(customer, [letter])


def second_signal(bench):
    customer = customer_of(bench)
    submission = bench.submission(customer)
    idle = Session(submission.socket).say(HELLO)
    Session(submission.socket).say(HELLO, *ENVELOPE, ("DATA", 354)).line.write(b"Subject: x\r\n\r\nhalf")
    submission.child.signal(signal.SIGTERM)
    equal(idle.line.read_reply()[0], 421, "the idle one's last reply")
    submission.child.signal(signal.SIGTERM)
    equal(submission.child.process.wait(20), 0, "exit status")
    compare(customer, [])


def stale(bench):
    """A killed one leaves its socket; the next takes its place, with no hand."""
    customer = customer_of(bench)
    submission = bench.submission(customer)
    submission.child.kill()
    check(os.path.exists(submission.socket), "nothing stale to replace")
    os.unlink(submission.child.log)  # so that what the next one says is its own
    again = bench.submission(customer)
    letter, = away([bench.maker.make()])
    Session(again.socket).say(HELLO, *ENVELOPE, ("DATA", 354)).content(letter.data)
    compare(customer, [letter])
    equal(os.stat(again.socket).st_mode & 0o777, 0o666, "mode of the socket")


def refused_to_listen(customer, path):
    customer.tables["submit"] = {"listen": [path]}
    result = customer.run("submit")
    equal(result.status, 75, "exit status")
    return result.stderr


def living(bench):
    """Neither another odmr's socket is taken away nor anybody else's."""
    customer = customer_of(bench)
    submission = bench.submission(customer)
    check("another process listens there" in refused_to_listen(customer, submission.socket), "not said")
    Session(submission.socket).say(HELLO, ("QUIT", 221))
    path = bench.path("foreign")
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(path)
        foreign.listen(1)
        check("another process listens there" in refused_to_listen(customer, path), "not said")
        check(os.path.exists(path), "somebody else's socket was removed")


def no_socket(bench):
    customer = customer_of(bench)
    path = bench.path("file")
    with open(path, "w", encoding="ascii") as file:
        file.write("precious")
    check("is no socket" in refused_to_listen(customer, path), "not said")
    with open(path, encoding="ascii") as file:
        equal(file.read(), "precious", "the file")


def killed(bench):
    """SIGKILL inside a message: nothing of it is mail, and what was answered 250 is."""
    customer = customer_of(bench)
    submission = bench.submission(customer)
    letter, = away([bench.maker.make()])
    session = Session(submission.socket).say(HELLO, *ENVELOPE, ("DATA", 354))
    session.content(letter.data)
    session.say(*ENVELOPE, ("DATA", 354)).line.write(bench.maker.big(MIB).data)
    submission.child.kill()
    none(Ledger([letter]).problems(held.copies(customer.top["state_dir"])))
    equal(customer.flush().status, 0, "exit status of the run after it")
    equal(held.half_written(customer.top["state_dir"]), [], "half-written after the run")


# The disk.

def full_disk(bench):
    """A file system of 4 MiB: at MAIL where the size is told, else after the message; nothing stays behind."""
    customer = customer_of(bench)
    folder = bench.path("small")
    os.mkdir(folder)
    run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", folder])
    bench.stack.callback(run, ["umount", "-l", folder])
    customer.top["state_dir"] = os.path.join(folder, "state")
    submission = bench.submission(customer)
    big = away([bench.maker.big(6 * MIB)])[0]
    session = Session(submission.socket).say(HELLO, (f"MAIL FROM:<a@b.example> SIZE={4 * MIB}", 452), *ENVELOPE,
                                             ("DATA", 354))
    equal(session.content(big.data, 452), "452 4.3.1 the queue has no room for this now", "reply to the message")
    compare(customer, [])
    small, = away([bench.maker.make()])
    session.say(*ENVELOPE, ("DATA", 354)).content(small.data)
    compare(customer, [small])
    with open(os.path.join(folder, "filler"), "wb") as filler:
        filler.write(bytes(3 * MIB))
    session.say(("MAIL FROM:<a@b.example>", 452))
    os.unlink(os.path.join(folder, "filler"))
    session.say(("MAIL FROM:<a@b.example>", 250))
    shutil.rmtree(os.path.join(folder, "state"), ignore_errors=True)


def beside_a_run(bench):
    """A flush that hangs at the smart host holds the lock of the state directory; mail is taken all the same."""
    reached, gate = threading.Event(), threading.Event()
    host = bench.host(script={"dot": [lambda c, n: (reached.set(), wire.gate(gate)(c, n))[1]]})
    customer = customer_of(bench, host)
    submission = bench.submission(customer)
    first, second = away([bench.maker.make(), bench.maker.make()])
    Session(submission.socket).say(HELLO, *ENVELOPE, ("DATA", 354)).content(first.data)
    running = customer.start("run", "--json", "--send-only")
    bench.stack.callback(running.kill)
    check(reached.wait(20), "the flush has not begun")
    Session(submission.socket).say(HELLO, *ENVELOPE, ("DATA", 354)).content(second.data)
    equal(len(queue_of(customer)), 2, "messages in the queue")
    gate.set()
    equal(running.finish(30).status, 0, "exit status of the run")


def no_way_out(bench):
    """Without [outbound] nothing would ever leave: that is said at once."""
    customer = bench.customer(bench.sink(), bench.provider())
    customer.tables["submit"] = {"listen": [bench.path("socket")]}
    result = customer.run("submit")
    equal(result.status, 78, "exit status")
    check("[outbound]" in result.stderr, f"not said: {result.stderr}")
    customer.send_through(bench.host(), **{"from": "system@customer.example"})
    result = customer.run("submit", "--direct")
    equal(result.status, 78, "exit status with --direct and from")


def direct_without_host(bench):
    """421 instead of a greeting, and an exit status that says later."""
    host = bench.host()
    host.stop()
    customer = customer_of(bench, host)
    done = customer.run("submit", "--stdio", "--direct")
    equal((done.status, done.stdout[:3]), (75, "421"), "exit status and greeting")
