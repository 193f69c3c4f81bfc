"""odmr as sendmail(1): as the queue's owner, as root, and as a user who may read nothing of odmr's. What stands in the
queue, or arrives at the socket, is compared to the byte. (callers.py has the programs that call it.)"""

import os
import re
import shutil
import socket
import subprocess
import threading

from harness.programs import binary
from harness.runner import check, equal
from harness.target import write
from harness.wire import Cut, Line

NOBODY = 65534
HOSTNAME = "mail.customer.example"
HEADER = b"From: anna@customer.example\nTo: bert@elsewhere.example\nSubject: x\n" \
         b"Date: Sat, 31 Jan 2026 10:00:00 +0000\nMessage-ID: <1@customer.example>\n"
MESSAGE = HEADER + b"\n.hidden\n..\nJ\xc3\xb6rg\nno end"


def wire(message):
    """As it has to come out: CRLF line ends, the last one too."""
    return message.replace(b"\n", b"\r\n") + b"\r\n"


def register(suite):
    for who in (0, NOBODY):
        suite.case(f"sendmail/queue/by-{'root' if who == 0 else 'its-owner'}", who)(into_queue)
        suite.case(f"sendmail/queue/50-MiB-by-{'root' if who == 0 else 'its-owner'}", who)(large_into_queue)
    suite.case("sendmail/queue/four-callers-at-once")(at_once)
    suite.case("sendmail/queue/disk-full")(disk_full)
    suite.case("sendmail/socket/user-without-configuration")(by_user)
    suite.case("sendmail/socket/user-who-may-read-the-configuration")(by_reading_user)
    suite.case("sendmail/socket/50-MiB")(large_by_user)
    suite.case("sendmail/socket/200-recipients")(many_recipients)
    suite.case("sendmail/socket/-bs")(session_by_user)
    suite.case("sendmail/socket/-bs-breaks")(session_breaks)
    for name, (script, status) in REFUSALS.items():
        suite.case(f"sendmail/socket/{name}", script, status)(refused)
    suite.case("sendmail/socket/nobody-there")(nobody_there)
    suite.case("sendmail/socket/not-for-this-user")(forbidden)
    suite.case("sendmail/names-and-modes")(names)
    suite.case("sendmail/nothing-would-send-it")(nothing_sends)
    suite.case("sendmail/usage")(usage)


class Setting:
    """The program with its other names in a folder of its own, and a configuration."""

    def __init__(self, bench, owner=0, outbound=True, **submit):
        self.bench = bench
        self.bin = bench.path("bin")
        os.makedirs(self.bin)
        self.odmr = shutil.copy(binary("odmr"), self.bin)
        os.chmod(self.odmr, 0o755)
        for name in ("sendmail", "mailq", "newaliases"):
            os.symlink("odmr", os.path.join(self.bin, name))
        self.state = bench.path("state")
        os.makedirs(self.state, 0o700)
        os.chown(self.state, owner, owner)
        tables = [f'state_dir = "{self.state}"', f'hostname = "{HOSTNAME}"']
        tables += ["[outbound]", 'to = "smtp://127.0.0.1:1"'] if outbound else []
        tables += ["[submit]"] + [f'{key} = "{value}"' for key, value in submit.items()] if submit else []
        self.configuration = write(bench.path("odmr.toml"), "\n".join(tables) + "\n")
        os.chmod(self.configuration, 0o644)

    def run(self, *arguments, stdin=MESSAGE, user=0, program="odmr", configured=True, environment=None, wrap=()):
        """(exit status, stdout, stderr)"""
        command = [*wrap, os.path.join(self.bin, program)]
        if configured and program == "odmr":
            command += ["-c", self.configuration]
        env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(environment or {})}
        done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, env=env, timeout=120,
                              user=user, group=user, extra_groups=[])
        return done.returncode, done.stdout.decode(), done.stderr.decode("utf-8", "replace")

    def send(self, *arguments, status=0, **how):
        got = self.run("sendmail", *arguments, **how)
        equal(got[0], status, f"exit status\n{got[2]}")
        return got[2]

    def queued(self):
        """[(path, envelope records, message)] of what stands in the queue."""
        folder = os.path.join(self.state, "queue", "held")
        return [read_queue_file(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]

    def left_behind(self):
        folder = os.path.join(self.state, "queue")
        return [f"{place}/{name}" for place in ("tmp", "held", "corrupt") if os.path.isdir(os.path.join(folder, place))
                for name in os.listdir(os.path.join(folder, place))]


def read_queue_file(path):
    with open(path, "rb") as file:
        content = file.read()
    head, _, rest = content.partition(b"\n")
    equal(head, b"odmr message 1", "the version")
    records = []
    while True:
        kind, length = re.match(rb"(\w)(\d+):", rest).groups()
        begin = rest.index(b":") + 1
        records.append((kind.decode(), rest[begin:begin + int(length)].decode()))
        rest = rest[begin + int(length) + 1:]
        if kind == b"H":
            break
    message, end = rest[:-31], rest[-31:]
    check(re.fullmatch(rb"\nEND [0-9a-f]{16} [0-9a-f]{8}\n", end), f"the end: {end!r}")
    return path, records, message


def without_trace(message, uid):
    """The message behind our Received line, which has to be right."""
    found = re.match(rb"Received: from localhost \(uid (\d+)\)\r\n\tby mail\.customer\.example with local\r\n"
                     rb"\tid [0-9a-z]{17}(\r\n\tfor <[^>]+>)?;\r\n\t[^\r]+ \+0000\r\n", message)
    check(found, f"no right Received line: {message[:300]!r}")
    equal(int(found.group(1)), uid, "the user in Received")
    return message[found.end():]


class Server:
    """A small SMTP server on a Unix socket. `script` gives other replies, by verb ("." for the content), or None to
    hang up."""

    def __init__(self, bench, script=None, mode=0o666):
        self.script = script or {}
        self.path = bench.path("submit")
        self.heard = []
        self.content = None
        self.over = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, mode)
        self.listener.listen(8)
        bench.stack.callback(self.stop)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def stop(self):
        self.listener.close()

    @property
    def environment(self):
        return {"ODMR_SUBMIT": self.path}

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                self._talk(Line(connection, 60))
            except (Cut, OSError):
                pass
            finally:
                connection.close()
                self.over.set()

    @property
    def commands(self):
        """All of the conversation, when it is over: the client does not wait for the reply to QUIT."""
        check(self.over.wait(30), "the conversation goes on")
        return self.heard

    def _say(self, line, verb, normal):
        reply = self.script.get(verb, normal)
        if reply is None:
            raise Cut
        line.write(reply + b"\r\n")
        return reply[:1] in b"23"

    def _talk(self, line):
        if not self._say(line, "greeting", b"220 mail.customer.example ESMTP"):
            return
        while True:
            command = line.read_line()
            self.heard.append(command.decode())
            verb = command.split()[0].upper().decode()
            if verb == "EHLO":
                self._say(line, verb, b"250-mail.customer.example\r\n250-PIPELINING\r\n250-SIZE 0\r\n"
                                      b"250-8BITMIME\r\n250 SMTPUTF8")
            elif verb == "DATA":
                if self._say(line, verb, b"354 go ahead"):
                    self._take(line)
            elif verb == "QUIT":
                line.write(b"221 bye\r\n")
                return
            else:
                self._say(line, verb, b"250 ok")

    def _take(self, line):
        content = bytearray(b"\r\n" + line.buffer)
        seen = 0
        while (end := content.find(b"\r\n.\r\n", seen)) < 0:
            seen = max(len(content) - 4, 0)
            line.buffer = b""
            line.read_more()
            content += line.buffer
        line.buffer = bytes(content[end + 5:])
        self.content = bytes(content[:end + 2]).replace(b"\r\n..", b"\r\n.")[2:]
        self._say(line, ".", b"250 queued")


def into_queue(bench, user):
    """The owner writes by himself; root becomes the owner, and what it made is the owner's."""
    setting = Setting(bench, owner=NOBODY)
    setting.send("-i", "-f", "anna@customer.example", "bert@elsewhere.example", "root", user=user)
    (path, records, message), = setting.queued()
    equal(without_trace(message, user), wire(MESSAGE), "the message")
    equal([one for one in records if one[0] in "FR"],
          [("F", "anna@customer.example"), ("R", "bert@elsewhere.example"), ("R", f"root@{HOSTNAME}")], "the envelope")
    attributes = [one[1] for one in records if one[0] in "nv"]
    equal(attributes[:5], ["body", "8BITMIME", "submitter", f"uid {user}", "trace_size"], "attributes")
    status = os.stat(path)
    equal((status.st_uid, status.st_gid, status.st_mode & 0o777), (NOBODY, NOBODY, 0o600), "owner, group, rights")
    equal(os.stat(os.path.dirname(path)).st_uid, NOBODY, "the owner of the queue")


def large(bench, size=50 * 1024 * 1024 - 2048):
    line = bench.random.randbytes(37).hex().encode() + b"\n"
    return HEADER + b"\n" + line * (size // (len(line) + 1))  # which is one longer on the wire


def large_into_queue(bench, user):
    setting, message = Setting(bench, owner=NOBODY), large(bench)
    setting.send("-i", "-f", "anna@customer.example", "bert@elsewhere.example", user=user, stdin=message)
    (_, _, stored), = setting.queued()
    check(without_trace(stored, user) == message.replace(b"\n", b"\r\n"), "the message differs")
    said = setting.send("-i", "bert@elsewhere.example", user=user, stdin=message + message, status=65)
    check("larger than" in said, said)
    equal(len(setting.left_behind()), 1, f"files in the queue: {setting.left_behind()}")


def at_once(bench):
    setting = Setting(bench)

    def caller(i):
        for j in range(10):
            setting.send("-i", f"{i}.{j}@elsewhere.example")

    threads = [threading.Thread(target=caller, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recipients = sorted(value for _, records, _ in setting.queued() for kind, value in records if kind == "R")
    equal(recipients, sorted(f"{i}.{j}@elsewhere.example" for i in range(4) for j in range(10)), "recipients")


def disk_full(bench):
    """The file-size limit stands for a full disk: EFBIG."""
    setting = Setting(bench)
    limited = ("/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "sh")
    setting.send("-i", "bert@elsewhere.example", stdin=HEADER + b"\n" + b"x" * 4096, status=75, wrap=limited)
    equal(setting.left_behind(), [], "files in the queue")


def by_user(bench):
    """No configuration, no right to the queue: the socket, whose server's name is taken for the host's."""
    setting, server = Setting(bench), Server(bench)
    setting.send("-i", "root", "bert@elsewhere.example", user=NOBODY, configured=False, environment=server.environment)
    equal(server.content, wire(MESSAGE), "the message")
    equal(server.commands[:1] + server.commands[2:],
          [f"EHLO {HOSTNAME}", f"RCPT TO:<root@{HOSTNAME}>", "RCPT TO:<bert@elsewhere.example>", "DATA", "QUIT"],
          "the conversation")
    equal(server.commands[1], f"MAIL FROM:<nobody@{HOSTNAME}> SIZE={len(wire(MESSAGE))} BODY=8BITMIME", "MAIL")


def by_reading_user(bench):
    """The configuration says which socket, and what the host is called. -t takes out Bcc there, too."""
    server = Server(bench)
    setting = Setting(bench, listen=server.path)
    setting.send("-t", "-f", "<>", user=NOBODY, stdin=HEADER + b"Bcc: anna@customer.example\n\nhello\n.\nnot this\n")
    equal(server.content, wire(HEADER + b"\nhello"), "the message")
    equal([line.split()[1] for line in server.commands[1:-2]],
          ["FROM:<>", "TO:<bert@elsewhere.example>", "TO:<anna@customer.example>"], "the envelope")


def large_by_user(bench):
    setting, server, message = Setting(bench), Server(bench), large(bench)
    setting.send("-i", "bert@elsewhere.example", stdin=message, user=NOBODY, configured=False,
                 environment=server.environment)
    check(server.content == message.replace(b"\n", b"\r\n"), "the message differs")


def many_recipients(bench):
    setting, server = Setting(bench), Server(bench)
    recipients = [f"{i}@elsewhere.example" for i in range(200)]
    setting.send("-i", *recipients, user=NOBODY, configured=False, environment=server.environment)
    equal([line[9:-1] for line in server.commands if line.startswith("RCPT")], recipients, "recipients")


def session_by_user(bench):
    """-bs: byte by byte to the server and back."""
    setting, server = Setting(bench), Server(bench)
    said = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bert@elsewhere.example>\r\nDATA\r\n" + wire(HEADER) + \
        b"\r\n.\r\nQUIT\r\n"
    status, output, errors = setting.run("sendmail", "-bs", user=NOBODY, configured=False, stdin=said,
                                         environment=server.environment)
    equal(status, 0, f"exit status\n{errors}")
    equal([line[:3] for line in output.splitlines()],
          ["220", "250", "250", "250", "250", "250", "250", "250", "354", "250", "221"], "the replies")
    equal(server.content, wire(HEADER) + b"\r\n", "the message")


def session_breaks(bench):
    """-bs, and the server dies: whoever called hears of it."""
    setting, server = Setting(bench), Server(bench, {"RCPT": None})
    status, output, errors = setting.run("sendmail", "-bs", user=NOBODY, configured=False,
                                         stdin=b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bert@elsewhere.example>\r\nDATA\r\n",
                                         environment=server.environment)
    equal(status, 75, f"exit status\n{output}\n{errors}")
    check("the server has ended the conversation" in errors, f"said {errors!r}")


REFUSALS = {
    "greeting-421": ({"greeting": b"421 not now"}, 75),
    "greeting-554": ({"greeting": b"554 no"}, 75),
    "hello-502": ({"EHLO": b"502 what"}, 75),
    "sender-550": ({"MAIL": b"550 5.7.1 not from you"}, 69),
    "sender-452": ({"MAIL": b"452 4.3.1 full"}, 75),
    "too-large-552": ({"MAIL": b"552 5.3.4 too large"}, 65),
    "recipient-550": ({"RCPT": b"550 5.1.1 no such user"}, 67),
    "recipient-450": ({"RCPT": b"450 4.2.1 later"}, 75),
    "data-554": ({"DATA": b"554 no"}, 69),
    "data-451": ({"DATA": b"451 later"}, 75),
    "content-550": ({".": b"550 5.6.0 not this"}, 65),
    "content-451": ({".": b"451 4.3.0 later"}, 75),
    "no-protocol": ({"EHLO": b"hello there"}, 76),
    "hangs-up-at-the-greeting": ({"greeting": None}, 75),
    "hangs-up-at-the-recipient": ({"RCPT": None}, 75),
    "hangs-up-after-the-content": ({".": None}, 75),
}


def refused(bench, script, status):
    setting, server = Setting(bench), Server(bench, script)
    said = setting.send("-i", "bert@elsewhere.example", user=NOBODY, configured=False, environment=server.environment,
                        status=status)
    (verb, reply), = script.items()
    check(said.startswith("odmr sendmail: ") and said.count("\n") == 1, f"said {said!r}")
    if reply and status != 76:
        check(reply.decode() in said, f"the server's words are not in {said!r}")
    equal(server.content is not None, verb == ".", "whether content was sent")


def nobody_there(bench):
    setting = Setting(bench)
    said = setting.send("-i", "root", user=NOBODY, configured=False, status=75,
                        environment={"ODMR_SUBMIT": bench.path("none")})
    check("odmr submit" in said, said)


def forbidden(bench):
    setting, server = Setting(bench), Server(bench, mode=0o600)
    setting.send("-i", "root", user=NOBODY, configured=False, environment=server.environment, status=77)
    equal(server.heard, [], "what the server heard")


def names(bench):
    """What is not submission becomes odmr-main, with a command of its own."""
    setting = Setting(bench)
    main = write(os.path.join(setting.bin, "odmr-main"), '#!/bin/sh\nprintf "%s\\n" "$@"\n', mode=0o755)
    os.chmod(main, 0o755)
    c = setting.configuration
    flush = f"-c\n{c}\nrun\n--send-only\n--retry-all\n"
    for program, arguments, output in (
            ("odmr", ["sendmail", "-q"], flush), ("odmr", ["sendmail", "-q30m"], flush),
            ("sendmail", ["-q", "-C", c], flush), ("sendmail", ["-q"], "run\n--send-only\n--retry-all\n"),
            ("mailq", [], "queue\nlist\n--mailq\n"), ("sendmail", ["-bp"], "queue\nlist\n--mailq\n"),
            ("odmr", ["sendmail", "-bs"], f"-c\n{c}\nsubmit\n--stdio\n"),
            ("odmr", ["sendmail", "-bs", "--direct"], f"-c\n{c}\nsubmit\n--stdio\n--direct\n"), ("newaliases", [], ""),
            ("sendmail", ["-bi"], ""), ("odmr", ["run", "x"], f"-c\n{c}\nrun\nx\n"),
            ("odmr", ["sendmail", "--direct", "root"], f"-c\n{c}\nsendmail\n--direct\nroot\n"),
            ("sendmail", ["--direct", "-t"], "--direct\n-t\n"), ("sendmail", ["--version"], None)):
        status, said, errors = setting.run(*arguments, program=program, stdin=b"")
        equal(status, 0, f"exit status of {program} {arguments}\n{errors}")
        check(said == output if output is not None else said.startswith("odmr "), f"{program} {arguments}: {said!r}")
    os.unlink(main)
    status, _, errors = setting.run("-i", "-C", c, "root", program="sendmail")
    equal(status, 0, f"exit status as sendmail\n{errors}")
    equal(len(setting.queued()), 1, "messages in the queue")


def nothing_sends(bench):
    setting = Setting(bench, outbound=False)
    said = setting.send("root", status=78)
    check("[outbound]" in said, said)
    equal(setting.left_behind(), [], "files in the queue")


def usage(bench):
    setting = Setting(bench)
    for arguments, status in ((["-Z", "root"], 64), ([], 64), (["-t"], 0), (["-i", "not an address"], 64),
                              (["-f", "a b", "root"], 64)):
        setting.send(*arguments, status=status)
    setting.send("-t", stdin=b"To: Anna Example\n\nx\n", status=65)
    setting.send("-t", stdin=b"Subject: x\n\nx\n", status=64)
    equal(len(setting.queued()), 1, "messages in the queue")
