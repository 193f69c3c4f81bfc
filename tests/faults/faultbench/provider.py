"""What `odmrd serve` does beside taking mail and handing it over on the turned line: the scenes."""

import contextlib
import glob
import hashlib
import os
import re
import shutil
import smtplib
import subprocess
import time

from harness import wait
from harness.ports import free_port
from harness.provider import PASSWORD, USER
from harness.target import write

from . import stored
from .scenes import AUTHOR, INDEX, REFUSED, Prepared, Serve, Serving, by_lmtp, forget, forget_journal, taken
from .window import NoticeWindows, RelayWindows

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOMAINS = ("customer.example", "elsewhere.example")  # where REFUSED is the customer's
BROKEN = (OSError, smtplib.SMTPException)
PATIENCE = 5   # seconds for a reply of a daemon that was struck
QUIET = 0.05   # seconds without a system call: it waits
GIVES_UP = 2   # seconds for what it does beside a conversation


def smart_host(host):
    """The daemon's table."""
    return {"outbound": {"to": f"smtp://127.0.0.1:{host.port}", "tls": "none"}}


def logged_in(port):
    """A client as a customer."""
    client = smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.login(USER, PASSWORD)
    except BROKEN:
        client.close()
        raise
    return client


class Beside(Prepared, Serving):
    """`odmrd serve` with something prepared."""

    def until_said(self, words, is_done=lambda: False):
        """Until its log has one of these words, or it has ended, or that is done, or a while has passed."""
        log = os.path.join(self.bench.path("struck"), "stderr")

        def is_over():
            with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as file:
                return self.tracer.is_over.is_set() or is_done() or re.search(words, file.read())
            return False

        with contextlib.suppress(wait.Overdue):
            wait.until(is_over, GIVES_UP, "what it does beside")
            wait.until(_Still(self.tracer), GIVES_UP, "it rests")


class _Still:
    """No system call has been made for a while. So each run has the same calls, as far as there is an order in them."""

    def __init__(self, tracer):
        self.tracer = tracer
        self.count, self.since = 0, 0.0

    def __call__(self):
        count, now = len(self.tracer.calls), time.monotonic()
        if count != self.count:
            self.count, self.since = count, now
        return self.tracer.is_over.is_set() or now > self.since + QUIET


class Relay(Beside):
    """Its customer hands in mail of its own before ATRN, which goes on to the smart host while it comes. The queue is
    the customer's, on the customer's disk."""

    addressed_to = (["friend@elsewhere.example"], ["second@elsewhere.example", "third@elsewhere.example"],
                    ["fourth@elsewhere.example"])

    def __init__(self, bench, root):
        self.host = bench.sink()
        super().__init__(bench, root)
        self.customer.tables["outbound"] = {"to": "provider"}
        state = self.customer.top["state_dir"]
        self.queue = os.path.join(state, "queue")
        self.keep(state, self.queue, lambda letter: self.customer.sendmail(letter).status)

    def more(self):
        return {"customer": {"outbound": True}, "tables": smart_host(self.host)}

    def stores(self):
        return [*super().stores(), (self.queue, stored.Legal(beside=INDEX))]

    def illegal(self, at_rest):
        return super().illegal(at_rest) + [
            f"{name}/{id_} is stored at the provider" for name in ("held", "tmp")
            for id_ in _names_in(os.path.join(self.spool, name))]

    def reset(self):
        forget(self.host)
        forget(self.sink)
        shutil.rmtree(self.spool, ignore_errors=True)
        self.bring_back()

    def beside(self, port):
        self.customer.isp["port"] = port
        self.fetch()

    def fetch(self):
        self.customer.results.clear()
        return self.customer.run("run", "--json", "--retry-all")

    def windows(self, run):
        return RelayWindows(run, self.root, {})

    def deliveries(self):
        return taken(self.host)

    def notices(self):
        return taken(self.sink)


class Push(Serve, Beside):
    """ETRN (RFC 1985): the mail goes over a connection of odmrd's own. One recipient of two is put off the first time.
    After it comes another ETRN, and an ATRN that finds nothing."""

    def more(self):
        return {"tables": {"customer.one.etrn": {"to": "127.0.0.1", "port": self.sink.port, "tls": "none"}}}

    def beside(self, port):
        with contextlib.suppress(*BROKEN):
            if self.ask(port) == 253:
                self.until_said("info: pushed|the mail that ETRN asked for waits")

    @staticmethod
    def ask(port):
        with contextlib.closing(logged_in(port)) as client:
            return client.docmd("ETRN", "#one")[0]

    def go_on(self):
        reply = self.ask(self.daemon.port)
        problems = [] if reply in (251, 253) else [f"ETRN is answered {reply}"]
        with contextlib.suppress(wait.Overdue):  # what is left is the verdict's
            wait.until(lambda: not _names_in(os.path.join(self.spool, "held")), 20, "all is sent")
        return problems + super().go_on()


class Told(Beside):
    """Held mail comes to nothing, and its author hears of it, by way of bounces/, queue/ and the smart host. The
    restart comes a day later: a notice that was put off is due then."""

    def __init__(self, bench, root):
        self.host = bench.sink()
        super().__init__(bench, root)
        self.environment = {"LD_PRELOAD": _a_day_later(bench)}
        self.keep(self.spool, self.spool, self.daemon.enqueue)

    def reset(self):
        forget(self.host)
        forget(self.sink)
        self.bring_back()

    def windows(self, run):
        return NoticeWindows(run, self.spool, self.letters, self.spool_ids)

    def notices(self):
        return taken(self.host)

    def is_all_told(self):
        """Nothing waits in the spool."""
        return not any(_names_in(os.path.join(self.spool, name, "held")) for name in ("", "bounces", "queue"))

    def wait_until_told(self):
        self.until_said("notices to senders wait|senders cannot be told|cannot be bounced|no bounce can be written|"
                        "the queue does not take|the spool does not take|the queue of notices", self.is_all_told)

    def go_on(self):
        with contextlib.suppress(wait.Overdue):  # what is left is the verdict's
            wait.until(self.is_all_told, 20, "all is told")
        return []

    def expect_of_complete(self, windows):
        """Of each that was refused the trace shows a bounce and a notice, both settled, and of each other one dot."""
        problems = [f"the trace shows a {'word' if window.told else 'dot'} about {window.letter} that was not settled"
                    for window in windows.all if window.closed is None]
        for id_, letter in self.letters.items():
            told = sum(window.told for window in windows.of(id_))
            wanted = 2 if REFUSED in letter.recipients else 0
            if told != wanted:
                problems.append(f"the trace shows {told} steps to a notice about {id_}, not {wanted}")
        return problems


class Refused(Told):
    """Its customer fetches, and takes some of it never. One refusal alone: of two it is left to chance whether they are
    seen to together."""

    addressed_to = (["bert@customer.example"], ["clara@customer.example", REFUSED])

    def __init__(self, bench, root):
        super().__init__(bench, root)
        self.customer.isp["domains"] = list(DOMAINS)

    def more(self):
        """Nothing is ever too old: whoever looks for that has the domains to himself, and ATRN is answered 450."""
        return {"domains": DOMAINS, "customer": {"lifetime": "0s"}, "tables": smart_host(self.host)}

    def reset(self):
        super().reset()
        self.sink.recipient_replies = {REFUSED: [b"550 5.1.1 no such person"]}
        forget_journal(self.customer)

    def beside(self, port):
        self.customer.isp["port"] = port
        self.fetch()
        self.wait_until_told()

    def go_on(self):
        result = self.fetch()
        return super().go_on() + (
            [] if result.status == 0 else [f"the customer's run exits {result.status}: {result.stderr[-500:]}"])


class Expired(Told):
    """Nobody fetches it in its lifetime."""

    addressed_to = ([REFUSED], [REFUSED])

    def __init__(self, bench, root):
        super().__init__(bench, root)
        over = time.monotonic() + 1.1
        wait.until(lambda: time.monotonic() > over, 5, "its lifetime is over")

    def more(self):
        return {"domains": DOMAINS, "customer": {"lifetime": "1s"}, "tables": smart_host(self.host)}

    def beside(self, _port):
        self.wait_until_told()


class Upload(Beside):
    """Its customer tells its recipients anew (XRECIPIENTS): the list of before counts or the new one, and after a 250
    the new one. A message is held meanwhile."""

    addressed_to = (["anna@customer.example"],)
    others = [f"person{number}@second.example" for number in range(600)]
    before = ["anna@customer.example", "bert@customer.example", *others]
    anew = ["anna@customer.example", "clara@customer.example", *reversed(others)]
    reply = None  # the last word about the list; none where the line broke before it

    def __init__(self, bench, root):
        super().__init__(bench, root)
        self.daemon.start()
        try:
            self.tell(self.daemon.port, self.before)
        finally:
            self.daemon.stop()
        self.keep(self.spool, self.spool, self.daemon.enqueue)

    def more(self):
        return {"intake": {"address": f"127.0.0.1:{free_port('127.0.0.1')}"},
                "customer": {"recipients_upload": True}}

    def tell(self, port, entries):
        with contextlib.closing(logged_in(port)) as client:
            salt = client.docmd("XRECIPIENTS")[1].split()[1].decode()
            digests = sorted(hashlib.sha256((salt + entry).encode()).hexdigest() for entry in entries)
            self.reply, text = client.docmd("XRECIPIENTS", f"{salt} {len(digests)}")
            if self.reply == 354:
                self.reply = None
                client.send("\r\n".join([*digests, ".", ""]))
                self.reply, text = client.getreply()
            if self.reply != 250:
                raise smtplib.SMTPResponseException(self.reply, text)

    def reset(self):
        forget(self.sink)
        self.reply = None
        self.customer.isp["recipients_file"] = None
        forget_journal(self.customer)
        self.bring_back()

    def beside(self, port):
        with contextlib.suppress(*BROKEN, IndexError):  # a reply that is no salt
            self.tell(port, self.anew)
        self.reply = self.reply if self.reply != -1 else None  # smtplib's word for a line that broke

    def list_now(self):
        """Whose list the intake goes by; what it says otherwise."""
        replies = []
        with contextlib.closing(smtplib.LMTP("127.0.0.1", self.daemon.intake_port, timeout=PATIENCE)) as client:
            client.ehlo()
            for who in ("anna", "bert", "clara", "nobody"):
                client.docmd("MAIL", "FROM:<a@sender.example>")
                replies.append(client.docmd("RCPT", f"TO:<{who}@customer.example>")[0])
                client.docmd("RSET")
        return {(250, 250, 550, 550): "before", (250, 550, 250, 550): "new"}.get(tuple(replies), str(replies))

    def go_on(self):
        """Then the customer, who is odmr now, tells it again, and fetches."""
        wanted = {None: ("before", "new"), 250: ("new",)}.get(self.reply, ("before",))
        first = self.list_now()
        self.customer.isp["recipients_file"] = write(os.path.join(self.customer.folder, "recipients"),
                                                     "\n".join([*self.anew, ""]))
        problems = super().go_on()
        counts = self.daemon.status()["recipients"]
        return problems + (
            [f"the list is that of {first} after the reply {self.reply}"] if first not in wanted else []) + (
            [f"told again, the list is {self.list_now()}"] if self.list_now() != "new" else []) + (
            [f"odmrd status counts {counts}"] if not counts or counts["count"] != len(self.anew) else [])

    def illegal(self, at_rest):
        names = _names_in(os.path.join(self.spool, "recipients"))
        lists = [name for name in names if re.fullmatch("[0-9a-f]{64}[.][0-9a-f]{16}", name)]
        others = [name for name in names if name not in lists and (at_rest or not name.startswith("new."))]
        return super().illegal(at_rest) + [f"recipients/{name}" for name in others] + (
            [f"{len(lists)} lists of recipients"] if at_rest and len(lists) != 1 else [])

    def expect_of_complete(self, _windows):
        return [] if self.reply == 250 else [f"the list was answered {self.reply}"]


class Index(Beside):
    """A start that writes held.db, since so much is held; then the mail of one domain is fetched, one message comes,
    and the end writes what has changed."""

    few = 3
    enough = 260  # it is worth an index from 256 on
    addressed_to = [["bert@customer.example"]] * enough + [["dora@second.example"]] * few

    def __init__(self, bench, root):
        super().__init__(bench, root)
        self.coming = bench.maker.make(reverse_path=AUTHOR, recipients=["eva@customer.example"])
        self.reply = None  # to it
        self.daemon.start()
        try:
            with smtplib.LMTP("127.0.0.1", self.daemon.intake_port) as client:
                self.fill(lambda letter: len(client.sendmail(letter.reverse_path, letter.recipients, letter.data)))
        finally:
            self.daemon.stop()
        for path in glob.glob(os.path.join(self.spool, "held.db*")):
            os.unlink(path)
        self.put_away(self.spool, self.spool)
        self.letters[self.coming.id] = self.coming

    def more(self):
        return {"intake": {"address": f"127.0.0.1:{free_port('127.0.0.1')}"}}

    def reset(self):
        forget(self.sink)
        forget_journal(self.customer)
        self.acknowledged.discard(self.coming.id)
        self.reply = None
        self.bring_back()

    def beside(self, port):
        self.customer.isp.update({"port": port, "domains": ["second.example"]})
        self.fetch()
        self.reply = by_lmtp(self.daemon.intake_port, self.coming)

    def note_acknowledgement(self, run):
        if self.reply == 250:
            self.acknowledged.add(self.coming.id)

    def told_not_kept(self, run):
        return {self.coming.id} if self.reply not in (None, 250) else set()

    def go_on(self):
        """It knows of all that is there."""
        there = len(stored.held(self.spool))
        known = self.daemon.status()["held"]["messages"]
        self.customer.isp["domains"] = ["customer.example", "second.example"]
        return super().go_on() + ([f"odmrd knows of {known} messages, and {there} are held"] if known != there else [])

    def expect_of_complete(self, windows):
        names = _names_in(self.spool)
        seen = sum(window.closed is not None for window in windows.all)
        return ([] if "held.db" in names else ["there is no index"]) + (
            [] if self.reply == 250 else [f"the message that came was answered {self.reply}"]) + (
            [] if seen == len(windows.all) == self.few else [f"{seen} of {len(windows.all)} dots were settled"])


def _names_in(folder):
    """Nothing where the disk is off, or the folder not made yet."""
    with contextlib.suppress(OSError):
        return os.listdir(folder)
    return []


def _a_day_later(bench):
    """What is loaded into a program for that."""
    library = bench.path("a_day_later.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, "a_day_later.c")], check=True)
    return library
