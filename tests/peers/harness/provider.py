"""An independent, plain ODMR provider (RFC 2645): the server before ATRN, the SMTP sender after it.

Any of its steps can be scripted, see wire.py for the actions. Steps before the turn (the action
stands in for a reply): greeting ehlo starttls tls-ehlo auth auth-final atrn quit-reply.
With takes_mail it is a smart host too: mail that the customer sends after its login is in `transactions`;
steps: sent-mail sent-rcpt sent-data sent-body sent-dot sent-rset.
Steps on the turned line (the action stands in for what is sent): await-greeting turned-ehlo mail
rcpt data body dot dot-reply quit; `await-greeting` and `dot-reply` normally send nothing.
"""

import socket
import threading
from dataclasses import dataclass, field

from . import sasl, tls as tls_of, wait
from .login import Login
from .messages import CUSTOMER_DOMAIN, SECOND_DOMAIN
from .sender import Sender
from .sink import Transactions
from .wire import Cut, Line, Script, shut_listener

USER, PASSWORD = "gateway.example", "correct horse 7 battery"


@dataclass
class Queued:
    """A message and those of its recipients that are still waiting."""
    message: object
    pending: list


@dataclass
class Session:
    """What one connection was about."""
    line: Line
    commands: list = field(default_factory=list)  # of the customer, before the turn
    mechanism: str | None = None
    tls: str | None = None
    atrn: str | None = None                        # the argument of ATRN; "" when it had none
    turned: bool = False
    greeting: str | None = None                    # the customer's 220 and EHLO reply
    extensions: dict = field(default_factory=dict)
    results: list = field(default_factory=list)    # (message ID, recipient, reply) of each recipient
    replies: list = field(default_factory=list)    # every reply on the turned line
    ended: str | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Provider:
    """Listens on a port of its own until stopped; holds mail in `queue`."""

    def __init__(self, messages=(), *, accounts=None, domains=(CUSTOMER_DOMAIN, SECOND_DOMAIN), tls="none",
                 certificate=None, client_ca=None, tls_maximum=None, mechanisms=("CRAM-MD5",), handlers=None,
                 script=None, mode="lockstep", per_session=None, empty="453", patience=30, list_atrn=True,
                 close_notify=True, takes_mail=False):
        self.accounts = accounts or {USER: PASSWORD}
        self.domains = [domain.lower() for domain in domains]
        self.tls = tls                    # none | starttls | implicit
        self.mechanisms = mechanisms      # as listed; with tls = starttls only inside TLS
        self.handlers = {**sasl.MECHANISMS, **(handlers or {})}
        self.script = Script(script)
        self.mode = mode                  # lockstep | pipelined | bdat
        self.per_session = per_session    # at most so many messages on one connection
        self.empty = empty                # 453 | quit | bare-quit | clear-quit: how "no mail" is said
        self.patience = patience
        self.list_atrn = list_atrn
        self.close_notify = close_notify  # False: TLS ends by closing the socket, as some peers do
        self.takes_mail = takes_mail      # from the customer, before ATRN
        self.transactions = []            # what it sent
        self.lmtp, self.store, self.recipient_replies = False, True, {}
        self.queue = []
        self.bounced = []                 # (message ID, recipient, reply) of 5xx
        self.sessions = []
        self.lock = threading.RLock()
        self.context = tls_of.server_context(certificate, client_ca, tls_maximum) if certificate else None
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.stopped = False
        self.put(*messages)
        threading.Thread(target=self._accept, daemon=True).start()

    def put(self, *messages):
        with self.lock:
            self.queue += [Queued(message, list(message.recipients)) for message in messages]

    def pending(self):
        """{message ID: recipients still waiting}."""
        with self.lock:
            return {entry.message.id: list(entry.pending) for entry in self.queue}

    def results(self):
        """All (message ID, recipient, reply) of all sessions."""
        return [result for session in self.sessions for result in session.results]

    def atrn_count(self):
        return sum(session.atrn is not None for session in self.sessions)

    def transcript(self):
        """The whole conversation, for a failure's report."""
        parts = []
        for number, session in enumerate(self.sessions):
            parts.append(f"-- connection {number}, ended: {session.ended}")
            parts += [f"{way} {data[:300]!r}" for way, data in session.line.transcript]
        return "\n".join(parts)

    def wait_idle(self, seconds=20):
        """Until every connection so far has ended."""
        wait.until(lambda: all(session.done.is_set() for session in list(self.sessions)), seconds,
                   "the provider's connections end")

    def stop(self):
        self.stopped = True
        shut_listener(self.listener)
        for session in list(self.sessions):
            if not session.done.is_set():
                session.line.shut()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            session = Session(Line(sock, self.patience))
            self.sessions.append(session)
            threading.Thread(target=self._converse, args=(session,), daemon=True).start()

    def _converse(self, session):
        try:
            session.ended = Conversation(self, session).run()
            if self.close_notify:
                session.line.end_tls()
        except Cut as ending:
            session.ended = str(ending)
        except Exception as error:  # a fault of the bench itself: it must show up in the report
            session.ended = f"FAULT OF THE BENCH: {type(error).__name__}: {error}"
        finally:
            session.line.close()
            session.done.set()


class Conversation(Login):
    """One connection from greeting to end."""

    def __init__(self, provider, session):
        self.provider = self.host = provider
        self.session = session
        self.line = session.line
        self.secure = False
        self.sent = Transactions(provider, session.line, lambda name, normal: self.step("sent-" + name, normal))

    def step(self, name, normal):
        return self.provider.script.perform(name, self, normal)

    def run(self):
        if self.provider.tls == "implicit":
            self._start_tls()
        if self.step("greeting", b"220 provider.example ODMR ready\r\n")[:1] != b"2":
            self.line.wait_for_end()
            return "not greeted"
        while True:
            command = self.line.read_line().decode("utf-8", "replace")
            self.session.commands.append(command)
            verb, _, argument = command.partition(" ")
            ended = self._dispatch(verb.upper(), argument.strip())
            if ended:
                return ended

    def _dispatch(self, verb, argument):
        """Answers one command; the text that says how the session ended, once it has."""
        if verb == "EHLO":
            self.step("tls-ehlo" if self.secure else "ehlo", self._ehlo_reply())
        elif verb == "STARTTLS" and self.provider.tls == "starttls" and not self.secure:
            if self.step("starttls", b"220 go ahead\r\n")[:3] == b"220":
                self._start_tls()
        elif verb == "AUTH":
            self.auth(argument)
            self.session.mechanism = self.mechanism
        elif verb == "ATRN":
            return self._atrn(argument)
        elif verb == "QUIT":
            self.step("quit-reply", b"221 bye\r\n")
            return "customer said QUIT"
        elif self.provider.takes_mail and self.user and verb in self.sent.verbs:
            self.sent.verbs[verb](argument)
        else:
            self.line.write(b"502 not here\r\n")
        return None

    def _start_tls(self):
        self.line.secure(self.provider.context)
        self.secure = True
        self.session.tls = self.line.sock.version()

    def _ehlo_reply(self):
        keywords = ["provider.example"]
        if self.provider.tls == "starttls" and not self.secure:
            keywords.append("STARTTLS")
        elif self.provider.mechanisms:
            keywords.append("AUTH " + " ".join(self.provider.mechanisms))
        if self.provider.list_atrn:
            keywords.append("ATRN")
        if self.provider.takes_mail:
            keywords += ["PIPELINING", "8BITMIME", "SIZE 209715200"]
        return reply_lines(250, keywords)

    # The turn

    def _atrn(self, argument):
        self.session.atrn = argument
        named = [domain.lower() for domain in argument.split(",")] if argument else self.provider.domains
        due = self._due(named)
        if not self.user:
            reply = b"530 5.7.0 log in first\r\n"
        elif not set(named) <= set(self.provider.domains):
            reply = b"450 4.7.1 not for you\r\n"
        elif not due and self.provider.empty == "453":
            reply = b"453 4.0.0 you have no mail\r\n"
        else:
            reply = b"250 2.0.0 OK now reversing the connection\r\n"
        given = self.step("atrn", reply)
        if last_code(given) != 250:
            return None
        self.session.turned = True
        return self._turned(due)

    def _due(self, named):
        """Raw paths without a domain and foreign ones (the tests' attacks) are due as well."""
        foreign_too = set(named) | {""}
        with self.provider.lock:
            due = [entry for entry in self.provider.queue
                   if entry.pending and (entry.message.wire is not None or any(
                       domain_of(r) in foreign_too or domain_of(r) not in self.provider.domains
                       for r in entry.pending))]
        return due[:self.provider.per_session]

    # The turned line: now we are the SMTP client

    def _turned(self, due):
        if not due and self.provider.empty == "bare-quit":
            self.line.write(b"QUIT\r\n")
            return "bare QUIT"
        if not due and self.provider.empty == "clear-quit":
            self.line.write_beside_tls(b"QUIT\r\n")
            return "clear-text QUIT"
        self.step("await-greeting", b"")
        code, text = self._reply()
        self.session.greeting = text
        if code != 220:
            return f"greeted with {code}"
        self.step("turned-ehlo", b"EHLO provider.example\r\n")
        code, text = self._reply()
        self.session.extensions = parse_extensions(text)
        for entry in due:
            self._send_entry(entry)
        self.step("quit", b"QUIT\r\n")
        code, _ = self._reply()
        return f"QUIT answered {code}"

    def _reply(self):
        code, text = self.line.read_reply()
        self.session.replies.append(text)
        if code == 421:
            raise Cut(f"customer closes: {text}")
        return code, text

    def _send_entry(self, entry):
        sender = Sender(self, entry.message, list(entry.pending))
        try:
            sender.send()
        finally:
            self._settle(entry, sender.answers)

    def _settle(self, entry, answers):
        """2xx and 5xx take a recipient off the queue, anything else leaves it there."""
        with self.provider.lock:
            for recipient, reply in answers.items():
                self.session.results.append((entry.message.id, recipient, reply))
                if reply[:1] == "5":
                    self.provider.bounced.append((entry.message.id, recipient, reply))
                if reply[:1] in "25":
                    entry.pending.remove(recipient)
            self.provider.queue = [queued for queued in self.provider.queue if queued.pending]


def reply_lines(code, lines):
    """A reply of several lines."""
    out = [f"{code}-{line}\r\n" for line in lines[:-1]] + [f"{code} {lines[-1]}\r\n"]
    return "".join(out).encode()


def last_code(reply):
    """The code of a reply's last line; 0 when it has none."""
    last = reply.rstrip(b"\r\n").split(b"\n")[-1]
    return int(last[:3]) if last[:3].isdigit() else 0


def parse_extensions(text):
    """{keyword: parameters} of an EHLO reply."""
    found = {}
    for line in text.split("\n")[1:]:
        keyword, _, parameters = line[4:].partition(" ")
        found[keyword.upper()] = parameters
    return found


def domain_of(recipient):
    return recipient.rpartition("@")[2].lower()
