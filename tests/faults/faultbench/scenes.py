"""What is struck: a program's run in a prepared state, the restart after it, and the verdict.

The invariants (I1 to I5 of the README) are in Scene; the scenes only say what was submitted, how to go on, and where
to look."""

import contextlib
import glob
import os
import re
import shutil
import signal
import smtplib
import subprocess
import threading
from collections import Counter

from harness import messages, wait
from harness.ports import free_port
from harness.process import Child
from harness.programs import binary

from . import stored
from .window import Windows

RESTARTS = 3  # at most, until nothing waits any more; the first must already end in success
AUTHOR = "anna@customer.example"
REFUSED = "nobody@elsewhere.example"
PUT_OFF = "later@elsewhere.example"
INDEX = (r"index(\.db)?(-wal|-shm|-journal)?",)  # of a queue, beside its messages


class Scene:
    """Subclasses know how to make a fresh state (reset), the command that is struck, how to go on after it (restart),
    which stores there are, and where mail comes out."""

    status = 0  # what the program exits with when nothing happens to it

    def __init__(self, bench, root):
        self.bench = bench
        self.root = root
        self.letters = {}
        self.acknowledged = set()
        self.spool_ids = {}  # {id in the store: the ledger's id} of what was there before
        self.forgiven = 0    # copies too many that came in the window, of all verdicts
        os.makedirs(root, exist_ok=True)

    # --- what subclasses add to these

    def stores(self):
        """Pairs of a directory and a stored.Legal."""
        raise NotImplementedError

    def notices(self):
        """Copies of what came to tell an author that something was refused."""
        return []

    def meanwhile(self, _tracer):
        """A context manager around the run, for what has to happen beside it."""
        return contextlib.nullcontext()

    def windows(self, run):
        """When a fault could double a message, of that run."""
        return Windows(run, self.root, self.spool_ids)

    def note_acknowledgement(self, run):
        """For programs that take mail."""

    def told_not_kept(self, run):
        """Ids of letters of which the program has said that they were not kept."""
        return set()

    def expect_of_complete(self, windows):
        """What else must be so in a run without a fault."""
        return []

    # --- the verdict

    def judge(self, run, complete=False):
        """Every broken invariant as a line of text, after the restart. `complete`: nothing was done to the run."""
        self.note_acknowledgement(run)
        windows = self.windows(run)
        problems = self.illegal(at_rest=False) + windows.problems()
        if complete:
            problems += self.expect_of_complete(windows)
        problems += self.restart()
        return problems + self.at_rest() + self.compare(windows.letters_open(), self.told_not_kept(run))

    def at_rest(self):
        waiting = [f"{id_} is still there" for store, _ in self.stores() for id_ in stored.held(store)]
        return self.illegal(at_rest=True) + waiting

    def illegal(self, at_rest):
        return [problem for store, legal in self.stores() for problem in legal.problems(store, at_rest)]

    def compare(self, allowed_twice=frozenset(), not_kept=frozenset()):
        """What was submitted with what came out. `allowed_twice`: ids, or pairs of an id and for whom."""
        copies = self.deliveries()
        once = {(messages.id_of(copy.data), copy.recipient): copy for copy in copies}
        due = {id_: [recipient for recipient in letter.recipients if recipient != REFUSED]
               for id_, letter in self.letters.items()
               if id_ in self.acknowledged or any(seen == id_ for seen, _ in once)}
        problems = messages.Ledger(self.letters.values()).problems(list(once.values()), due)
        counted = Counter((messages.id_of(copy.data), copy.recipient) for copy in copies)
        counted += Counter((messages.id_of(copy.data), "its author") for copy in self.notices())
        for (id_, recipient), times in counted.items():
            if times == 2 and (id_ in allowed_twice or (id_, recipient) in allowed_twice):
                self.forgiven += 1
            elif times > 1:
                problems.append(f"{id_} came {times} times to {recipient}")
            if id_ in not_kept:
                problems.append(f"{id_} came to {recipient} although the program had said that it failed")
        return problems + self._compare_notices(counted)

    def _compare_notices(self, counted):
        refused = {id_ for id_, letter in self.letters.items() if REFUSED in letter.recipients}
        told = {id_ for id_, recipient in counted if recipient == "its author"}
        return [f"nobody was told that {id_} was refused" for id_ in refused & self.acknowledged - told] + [
            f"a notice about {id_}, which nobody refused" for id_ in told - refused] + [
            f"a notice from {copy.reverse_path!r} to {copy.recipient}" for copy in self.notices()
            if (copy.reverse_path, copy.recipient) != ("", AUTHOR)]


def forget(sink):
    """As if nothing had ever come to it."""
    sink.wait_idle()
    for seen in (sink.transactions, sink.connections, sink.commands):
        seen.clear()


def forget_journal(customer):
    """The letters are the same at every point, and the customer must not know them from the one before."""
    for path in glob.glob(os.path.join(customer.top["state_dir"], "journal.db*")):
        os.unlink(path)


def taken(sink):
    """What a server would have: all that came whole and was not refused, also where the answer could not be told."""
    sink.wait_idle()
    copies = []
    for transaction in sink.transactions:
        replies = transaction.replies if sink.lmtp else transaction.replies * len(transaction.recipients)
        for position, recipient in enumerate(transaction.recipients if transaction.sha256 else ()):
            if position >= len(replies) or replies[position][:1] == b"2":
                copies.append(messages.Delivered(recipient, transaction.reverse_path, transaction.data))
    return copies


class Submission(Scene):
    """A program that takes one message: exit 0 says that it is kept."""

    size = 150_000  # more than one write

    def new_letter(self):
        self.letter = self.bench.maker.big(self.size, reverse_path=AUTHOR, recipients=[self.recipient])
        self.letters[self.letter.id] = self.letter

    def start_over(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        self.letters.clear()
        self.acknowledged.clear()
        self.new_letter()

    def note_acknowledgement(self, run):
        if run.result.status == 0:
            self.acknowledged.add(self.letter.id)

    def told_not_kept(self, run):
        """It has ended by itself, and not with 0. One that was killed has said nothing."""
        return {self.letter.id} if run.result.status > 0 else set()

    def hand_in(self, **env):
        """Without a tracer, to its end: the exit status."""
        arguments, _, environment, stdin = self.command(**env)
        return subprocess.run(arguments, input=stdin, env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60).returncode

    def stop(self):
        """Ends what hand_in() has left running, by force."""

    def expect_of_complete(self, windows):
        return [] if self.acknowledged else ["the message was not taken"]


class Provider(Scene):
    """odmrd with its customer. The restart: `odmrd serve`, and the customer fetches what is there."""

    folders = ("bounces", "failed", "queue")  # stores below the spool
    environment = {}                          # of the restart

    def __init__(self, bench, root):
        super().__init__(bench, root)
        self.spool = os.path.join(root, "spool")
        self.sink = bench.sink()
        self.daemon = bench.daemon(spool=self.spool, **self.more())
        self.customer = bench.customer(self.sink)

    def more(self):
        """Of the daemon's configuration."""
        return {}

    def stores(self):
        beside = (*self.folders, "lock", "recipients", "warned", r"(calls|held)\.db(-wal|-shm|-journal)?",
                  r"salting-key(\.[a-z0-9]+)?")
        return [(self.spool, stored.Legal(beside=beside))] + [
            (os.path.join(self.spool, name), stored.Legal(beside=INDEX if name == "queue" else ()))
            for name in self.folders]

    def fetch(self):
        self.customer.results.clear()
        return self.customer.run()

    def restart(self):
        log = os.path.join(self.daemon.folder, "odmrd.log")  # its new port will be read there
        if os.path.exists(log):
            os.unlink(log)
        self.daemon.start(**self.environment)
        try:
            self.customer.talk_to(self.daemon)
            return self.go_on()
        finally:
            self.daemon.stop()

    def go_on(self):
        """While odmrd runs again. What goes wrong, as lines of text."""
        result = self.fetch()
        return [] if result.status == 0 else [f"the customer's run exits {result.status}: {result.stderr[-500:]}"]

    def deliveries(self):
        return taken(self.sink)


class Enqueue(Submission, Provider):
    """`odmrd enqueue` into a spool that is not there yet."""

    recipient = "bert@customer.example"

    def reset(self):
        forget(self.sink)
        self.start_over(self.spool)

    def command(self, **env):
        arguments = [binary("odmrd"), "enqueue", "--config", self.daemon.configuration, "-f", self.letter.reverse_path,
                     *self.letter.recipients]
        return arguments, self.bench.path("struck"), {"PATH": "/usr/bin:/bin", **env}, self.letter.data


class Serving(Provider):
    """`odmrd serve`, and something that happens beside it (`beside`); then it is told to stop."""

    def beside(self, port):
        """Once it listens there."""
        raise NotImplementedError

    def command(self):
        arguments = [binary("odmrd"), "serve", "--config", self.daemon.configuration]
        return arguments, self.bench.path("struck"), {"PATH": "/usr/bin:/bin"}

    @contextlib.contextmanager
    def meanwhile(self, tracer):
        output = os.path.join(self.bench.path("struck"), "stdout")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(output)
        self.tracer = tracer
        thread = threading.Thread(target=self._act_beside, args=(tracer, output))
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _act_beside(self, tracer, output):
        """Where the word that it listens was lost, it is told to stop all the same."""
        found = True
        with contextlib.suppress(wait.Overdue):
            found = wait.until(lambda: tracer.is_over.is_set() or self._listening(output), 10, "odmrd listens or ends")
        if found is not True:
            self.beside(int(found.group(1)))
        tracer.signal(signal.SIGTERM)

    @staticmethod
    def _listening(output):
        with contextlib.suppress(FileNotFoundError), open(output, encoding="utf-8") as file:
            return re.search(r"^listening on \S*:(\d+)$", file.read(), re.MULTILINE)
        return None


def by_lmtp(port, letter):
    """What an MTA hears at last about the letter that it hands over; None where the line broke before it."""
    reply = None
    with contextlib.suppress(OSError, smtplib.SMTPServerDisconnected):
        try:
            client = smtplib.LMTP("127.0.0.1", port, timeout=30)
            client.sendmail(letter.reverse_path, letter.recipients, letter.data)
            reply = 250
            client.quit()
        except smtplib.SMTPRecipientsRefused as refused:
            reply = next(iter(refused.recipients.values()))[0]
        except smtplib.SMTPResponseException as refused:
            reply = refused.smtp_code
    return reply


class Take(Submission, Serving):
    """`odmrd serve` while an MTA hands over a message by LMTP: its 250 says that it is kept."""

    recipient = "bert@customer.example"
    reply = None  # the last word about the message; none where the line broke before it

    def more(self):
        return {"intake": {"address": f"127.0.0.1:{free_port('127.0.0.1')}"}}

    def reset(self):
        forget(self.sink)
        self.reply = None
        self.start_over(self.spool)

    def beside(self, _port):
        self.reply = by_lmtp(self.daemon.intake_port, self.letter)

    def note_acknowledgement(self, run):
        if self.reply == 250:
            self.acknowledged.add(self.letter.id)

    def told_not_kept(self, run):
        """It has said so; nothing is said by a line that broke."""
        return {self.letter.id} if self.reply not in (None, 250) else set()


class Prepared(Scene):
    """One that begins with mail in a store: made once, copied for each run."""

    def keep(self, folder, store, submit):
        self.fill(submit)
        self.put_away(folder, store)

    def fill(self, submit):
        """`submit` puts one letter in, and gives the exit status."""
        for recipients in self.addressed_to:
            letter = self.bench.maker.make(reverse_path=AUTHOR, recipients=recipients)
            self.letters[letter.id] = letter
            status = submit(letter)
            if status != 0:
                raise AssertionError(f"a message for the beginning was not taken: exit {status}")
        self.acknowledged = set(self.letters)

    def put_away(self, folder, store):
        self.spool_ids = {id_: message.letter for id_, message in stored.held(store).items()}
        self.kept = (self.bench.path("kept"), folder)
        shutil.move(folder, self.kept[0])

    def bring_back(self):
        source, folder = self.kept
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)

    def expect_of_complete(self, windows):
        """The trace shows each message's dot and the note that settled it, or the verdict would forgive too much."""
        return [f"the trace shows {len(windows.of(id_))} dots of {id_}, not one that was settled"
                for id_ in self.letters if [window.closed is not None for window in windows.of(id_)] != [True]]


class Serve(Prepared, Serving):
    """`odmrd serve` while its customer fetches; one recipient of two is put off the first time."""

    put_off = "later@customer.example"
    addressed_to = (["bert@customer.example"], ["clara@customer.example", put_off], ["dora@second.example"])

    def __init__(self, bench, root):
        super().__init__(bench, root)
        self.keep(self.spool, self.spool, self.daemon.enqueue)

    def reset(self):
        forget(self.sink)
        self.sink.recipient_replies = {self.put_off: [b"450 4.2.1 not now"]}
        forget_journal(self.customer)
        self.bring_back()

    def beside(self, port):
        self.customer.isp["port"] = port
        self.fetch()

    def restart(self):
        self.sink.recipient_replies.clear()
        return super().restart()


class Outbound(Scene):
    """odmr with a smart host and a local target, both scripted. The restart: flushing until nothing waits."""

    def __init__(self, bench, root, local=None):
        super().__init__(bench, root)
        self.state = os.path.join(root, "state")
        self.queue = os.path.join(self.state, "queue")
        self.host = bench.sink()
        self.local = bench.sink(**(local or {}))
        self.customer = bench.customer(self.local, port=1)
        self.customer.top["state_dir"] = self.state
        self.customer.tables["outbound"] = {"to": self.host.url, "tls": "none", "max_connections": 2}
        self.customer.tables["submit"] = {"listen": "127.0.0.1:0"}
        self.environment = {**self.customer.environment(), "ODMR_CONFIG": self.customer.configuration()}

    def forget(self):
        forget(self.host)
        forget(self.local)
        self.host.recipient_replies = {REFUSED: [b"550 5.1.1 no such person"]}

    def stores(self):
        return [(self.queue, stored.Legal(beside=INDEX))]

    def sendmail(self, letter, **env):
        arguments = [binary("odmr"), "sendmail", "-i", "-f", letter.reverse_path, *letter.recipients]
        return (arguments, self.bench.path("struck"), {**self.environment, **env},
                letter.data.replace(b"\r\n", b"\n"))

    def flush(self, **env):
        arguments = [binary("odmr"), "run", "--send-only", "--retry-all"]
        return arguments, self.bench.path("struck"), {**self.environment, **env}

    def restart(self):
        problems = []
        self.customer.results.clear()
        for number in range(RESTARTS):
            if number and not stored.held(self.queue):
                break
            result = self.customer.run("run", "--send-only", "--retry-all")
            if result.status != 0:
                problems.append(f"run {number + 1} after it exits {result.status}: {result.stderr[-500:]}")
        return problems

    def deliveries(self):
        return taken(self.host)

    def notices(self):
        return taken(self.local)


class Sendmail(Submission, Outbound):
    """`odmr sendmail` into a state directory that is not there yet."""

    recipient = "friend@elsewhere.example"

    def reset(self):
        self.forget()
        self.start_over(self.state)

    def command(self, **env):
        return self.sendmail(self.letter, **env)


class Session(Sendmail):
    """`odmr sendmail -bs`: an SMTP session on standard input and output."""

    def command(self, **env):
        text = (f"EHLO desk.customer.example\r\nMAIL FROM:<{self.letter.reverse_path}>\r\n"
                f"RCPT TO:<{self.recipient}>\r\nDATA\r\n").encode() + self.letter.data + b".\r\nQUIT\r\n"
        return [binary("odmr"), "sendmail", "-bs"], self.bench.path("struck"), {**self.environment, **env}, text

    @staticmethod
    def _final_reply(run):
        found = re.search(r"^354 .*\n(\d)", run.result.stdout, re.MULTILINE)
        return found.group(1) if found else ""

    def note_acknowledgement(self, run):
        if self._final_reply(run) == "2":
            self.acknowledged.add(self.letter.id)

    def told_not_kept(self, run):
        return {self.letter.id} if self._final_reply(run) in ("4", "5") else set()


class Submit(Sendmail):
    """`odmr submit`, which listens."""

    server = None

    def hand_in(self, **env):
        """0 as soon as the 250 is read; the server knows nothing of its end yet."""
        arguments = [binary("odmr"), "submit"]
        self.server = Child(arguments, self.bench.path(f"submit{len(self.letters)}.log"), {**self.environment, **env})
        found = wait.until(lambda: re.search(r"^listening on \S*:(\d+)$", self.server.output(), re.MULTILINE), 20,
                           "odmr submit listens")
        self.client = smtplib.SMTP("127.0.0.1", int(found.group(1)), timeout=60)
        try:
            self.client.sendmail(self.letter.reverse_path, self.letter.recipients, self.letter.data)
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code
        return 0

    def stop(self):
        self.server.kill()
        self.client.close()


class Flush(Prepared, Outbound):
    """`odmr run --send-only` with a queue in which every answer occurs: taken, refused, put off for one of two."""

    addressed_to = (["friend@elsewhere.example"], ["second@elsewhere.example", PUT_OFF], [REFUSED],
                    ["third@elsewhere.example"])
    status = 75

    def __init__(self, bench, root, **options):
        super().__init__(bench, root, **options)
        self.keep(self.state, self.queue, lambda letter: self.customer.sendmail(letter).status)

    def reset(self):
        self.forget()
        self.host.recipient_replies[PUT_OFF] = [b"450 4.2.1 not now"]
        self.bring_back()

    def command(self, **env):
        return self.flush(**env)

    def restart(self):
        del self.host.recipient_replies[PUT_OFF]
        return super().restart()


class Bounce(Flush):
    """The same with nothing but refused messages, and the local target speaks LMTP."""

    addressed_to = ([REFUSED], [REFUSED])
    status = 0

    def __init__(self, bench, root):
        super().__init__(bench, root, local={"lmtp": True})
