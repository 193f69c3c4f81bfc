"""A scripted SMTP or LMTP server in the role of local target; quick, on TCP or a Unix socket.

Steps of its script (see wire.py): greeting ehlo mail rcpt data body dot rset noop quit. `body` is
reached after 354 and before any content is read, `dot` for each final reply. `recipient_replies`
({recipient: [replies]}) answers single recipients: the first entry at RCPT, the second (LMTP) after
the dot; None means the normal reply.
"""

import hashlib
import os
import re
import socket
import threading
from dataclasses import dataclass, field

from . import wait
from .messages import Delivered
from .wire import Cut, Line, Script, shut_listener

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 209715200")


@dataclass
class Transaction:
    """One transaction that got as far as MAIL."""
    mail: str                 # the whole argument of MAIL
    rcpts: list = field(default_factory=list)      # the arguments of RCPT that were accepted
    data: bytes | None = None                      # as received, unstuffed; None without a final dot
    length: int = 0
    sha256: str | None = None
    replies: list = field(default_factory=list)    # what was answered after the dot

    @property
    def reverse_path(self):
        return path_of(self.mail)

    @property
    def recipients(self):
        return [path_of(argument) for argument in self.rcpts]


class Sink:
    """Listens until stopped. With store=False only length and SHA-256 of a message are kept."""

    def __init__(self, *, lmtp=False, unix=None, script=None, recipient_replies=None, extensions=EXTENSIONS,
                 store=True, patience=60):
        self.lmtp = lmtp
        self.unix = unix
        self.script = Script(script)
        self.recipient_replies = dict(recipient_replies or {})
        self.keywords = extensions
        self.store = store
        self.patience = patience
        self.transactions = []
        self.connections = []  # Line of each
        self.commands = []     # every command line of every connection, in order
        self.open_count = 0
        self.most_open = 0     # connections at once
        self.lock = threading.Lock()
        self.listener = None
        self.port = 0
        self.start()

    @property
    def url(self):
        scheme = "lmtp" if self.lmtp else "smtp"
        return f"{scheme}://{self.unix}" if self.unix else f"{scheme}://127.0.0.1:{self.port}"

    def start(self):
        """Listens (again), on the same port as before."""
        if self.unix:
            if os.path.exists(self.unix):
                os.unlink(self.unix)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.unix)
            self.listener.listen(64)
        else:
            self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
            self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        """Down: connections are closed, new ones refused."""
        shut_listener(self.listener)
        for line in list(self.connections):
            line.shut()

    def accepted(self):
        """The transactions with at least one 2xx after the dot."""
        return [t for t in self.transactions if any(reply[:1] == b"2" for reply in t.replies)]

    def deliveries(self, count=0, seconds=20):
        """As a real target's mailboxes: one copy per recipient that was answered 2xx."""
        wait.until(lambda: len(self._copies()) >= count, seconds, f"{count} copies in the sink")
        return self._copies()

    def _copies(self):
        copies = []
        for transaction in self.accepted():
            for position, recipient in enumerate(transaction.recipients):
                reply = transaction.replies[position if self.lmtp else 0]
                if reply[:1] == b"2":
                    copies.append(Delivered(recipient, transaction.reverse_path, transaction.data))
        return copies

    def wait_idle(self, seconds=20):
        wait.until(lambda: self.open_count == 0, seconds, "the sink's connections end")

    def transcript(self):
        parts = []
        for number, line in enumerate(self.connections):
            parts.append(f"-- target connection {number}")
            parts += [f"{way} {data[:200]!r}" for way, data in line.transcript]
        return "\n".join(parts)

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            line = Line(sock, self.patience)
            self.connections.append(line)
            with self.lock:
                self.open_count += 1
                self.most_open = max(self.most_open, self.open_count)
            threading.Thread(target=self._converse, args=(line,), daemon=True).start()

    def conversation(self, line):
        return Conversation(self, line)

    def _converse(self, line):
        try:
            self.conversation(line).run()
        except Cut:
            pass
        finally:
            line.close()
            with self.lock:
                self.open_count -= 1


class Conversation:
    """One connection to the sink."""

    def __init__(self, sink, line):
        self.sink = sink
        self.line = line
        self.transactions = Transactions(sink, line, self.step)
        self.handlers = {"NOOP": self._noop, "LHLO" if sink.lmtp else "EHLO": self._hello}
        self.handlers.update(self.transactions.verbs)

    def step(self, name, normal):
        return self.sink.script.perform(name, self, normal)

    def run(self):
        if self.step("greeting", b"220 sink.example ready\r\n")[:1] != b"2":
            self.line.wait_for_end()
            return
        while True:
            command = self.line.read_line().decode("utf-8", "surrogateescape")
            self.sink.commands.append(command)
            verb, _, argument = command.partition(" ")
            if verb.upper() == "QUIT":
                self.step("quit", b"221 bye\r\n")
                return
            self.answer(verb.upper(), argument)

    def answer(self, verb, argument):
        if verb in self.handlers:
            self.handlers[verb](argument)
        else:
            self.line.write(b"500 5.5.1 unknown command\r\n")

    def keywords(self):
        return self.sink.keywords

    def _noop(self, _argument):
        self.step("noop", b"250 ok\r\n")

    def _hello(self, _argument):
        lines = ["sink.example", *self.keywords()]
        out = [f"250-{line}\r\n" for line in lines[:-1]] + [f"250 {lines[-1]}\r\n"]
        self.step("ehlo", "".join(out).encode())


class Transactions:
    """The transactions of one connection. What comes is kept in owner.transactions; `step` performs a step of the
    owner's script."""

    def __init__(self, owner, line, step):
        self.owner = owner
        self.line = line
        self.step = step
        self.current = None
        self.verbs = {"MAIL": self._mail, "RCPT": self._rcpt, "DATA": self._data, "BDAT": self._bdat,
                      "RSET": self._rset}

    def _rset(self, _argument):
        self.current = None
        self.step("rset", b"250 2.0.0 ok\r\n")

    def _mail(self, argument):
        if self.current:
            self.line.write(b"503 5.5.1 nested MAIL\r\n")
        elif self.step("mail", b"250 2.1.0 ok\r\n")[:1] == b"2":
            self.current = Transaction(argument)
            self.owner.transactions.append(self.current)

    def _rcpt(self, argument):
        if not self.current:
            self.line.write(b"503 5.5.1 no MAIL\r\n")
            return
        normal = self._planned(path_of(argument), 0) or b"250 2.1.5 ok\r\n"
        if self.step("rcpt", normal)[:1] == b"2":
            self.current.rcpts.append(argument)

    def _planned(self, recipient, position):
        plan = self.owner.recipient_replies.get(recipient)
        reply = plan[position] if plan and len(plan) > position else None
        return reply + b"\r\n" if reply else None

    def _data(self, _argument):
        if not self.current or not self.current.rcpts:
            self.line.write(b"503 5.5.1 no valid recipients\r\n")
            return
        if self.step("data", b"354 go ahead\r\n")[:3] != b"354":
            return
        self.step("body", b"")
        self._finish(self._read_content())

    def _bdat(self, argument):
        size, _, last = argument.partition(" ")
        while len(self.line.buffer) < int(size):
            self.line.read_more()
        chunk, self.line.buffer = self.line.buffer[:int(size)], self.line.buffer[int(size):]
        if not self.current or not self.current.rcpts:
            self.line.write(b"503 5.5.1 no valid recipients\r\n")
            return
        self.current.data = (self.current.data or b"") + chunk
        if last:
            self._finish([self.current.data])
        else:
            self.line.write(b"250 2.0.0 chunk taken\r\n")

    def _read_content(self):
        """The message up to CRLF.CRLF, unstuffed, as a list of blocks."""
        if self.line.buffer[:3] == b".\r\n":
            self.line.buffer = self.line.buffer[3:]
            return [b""]
        blocks = []
        held = b"\r\n" + self.line.buffer  # as if after a CRLF, so that a first line's dot is seen
        while True:
            end = held.find(b"\r\n.\r\n")
            if end >= 0:
                blocks.append(held[:end + 2])
                self.line.buffer = held[end + 5:]
                return _unstuff(blocks)
            blocks.append(held[:-4])
            held = held[-4:]
            self.line.buffer = b""
            self.line.read_more()
            held += self.line.buffer

    def _finish(self, blocks):
        transaction, self.current = self.current, None
        digest = hashlib.sha256()
        for block in blocks:
            digest.update(block)
        transaction.length = sum(len(block) for block in blocks)
        transaction.sha256 = digest.hexdigest()
        transaction.data = b"".join(blocks) if self.owner.store else None
        recipients = transaction.recipients if self.owner.lmtp else [None]
        for recipient in recipients:
            normal = self._planned(recipient, 1) or b"250 2.0.0 stored\r\n"
            transaction.replies.append(self.step("dot", normal))


def _unstuff(blocks):
    """Takes away the CRLF put in front and the dot that begins each stuffed line."""
    return [b"".join(blocks).replace(b"\r\n..", b"\r\n.")[2:]]


def path_of(argument):
    """The address inside the <…> of a MAIL or RCPT argument, as written."""
    found = re.search(r"<(.*?)>(?: |$)", argument)
    return found.group(1) if found else argument
