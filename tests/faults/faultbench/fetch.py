"""`odmr run` fetching mail: the scene, for a target that speaks SMTP or LMTP and for a Maildir."""

import os
import shutil

from harness.maildir import SHARED, Mailboxes
from harness.messages import Delivered
from harness.programs import binary

from . import stored
from .scenes import INDEX, PUT_OFF, Scene, forget, taken
from .window import FetchWindows

CUSTOMER = "customer.example"
# What may be in the state directory: the lock, the journal with SQLite's files beside it, bounces.
STATE = {"tickets", "lock", "journal.db", "journal.db-wal", "journal.db-shm", "journal.db-journal", "bounces"}


class Fetch(Scene):
    """A provider with three messages. It keeps each until it has read our answer."""

    addressed_to = ([f"anna@{CUSTOMER}"], [f"bert@{CUSTOMER}", f"clara@{CUSTOMER}"], [f"dora@{CUSTOMER}"])
    mode = "lockstep"

    def __init__(self, bench, root, target=None, **options):
        super().__init__(bench, root)
        self.state = os.path.join(root, "state")
        self.journal = os.path.join(self.state, "journal.db-wal")
        self.provider = bench.provider(mode=self.mode, patience=20, **options)
        self.target = target or self.make_target()
        self.customer = bench.customer(self.target, self.provider)
        self.customer.top["state_dir"] = self.state
        for recipients in self.addressed_to:
            letter = bench.maker.make(recipients=recipients)
            self.letters[letter.id] = letter
        self.acknowledged = set(self.letters)  # all of it is the provider's, or was taken

    def make_target(self):
        return self.bench.sink()

    def empty_target(self):
        forget(self.target)

    def reset(self):
        self.provider.wait_idle()
        self.provider.sessions.clear()
        self.provider.queue.clear()
        self.provider.bounced.clear()
        self.provider.put(*self.letters.values())
        self.empty_target()
        shutil.rmtree(self.state, ignore_errors=True)

    def command(self, **env):
        arguments = [binary("odmr"), "run", "--json", "--config", self.customer.configuration()]
        return arguments, self.bench.path("struck"), {**self.customer.environment(), **env}

    def windows(self, run):
        return FetchWindows(run, self.root, self.journal)

    def expect_of_complete(self, windows):
        """The trace shows each message's dot and the commit that settled it, or the verdict would forgive too much."""
        return [f"the trace shows {len(windows.of(id_))} dots of {id_}, not one that was settled"
                for id_ in self.letters if [window.closed is not None for window in windows.of(id_)] != [True]]

    def restart(self):
        self.provider.wait_idle()
        problems = []
        self.customer.results.clear()
        for number in range(3):
            if number and not self.provider.pending():
                break
            result = self.customer.run()
            self.provider.wait_idle()
            if result.status != 0:
                problems.append(f"run {number + 1} after it exits {result.status}: {result.stderr[-500:]}")
        return problems

    def at_rest(self):
        left = [f"the provider still has {id_}" for id_ in self.provider.pending()]
        bounced = [f"the provider was told that {id_} is refused: {reply}"
                   for id_, _, reply in self.provider.bounced]
        return self.illegal(at_rest=True) + left + bounced

    def illegal(self, at_rest):
        names = set(os.listdir(self.state)) if os.path.isdir(self.state) else set()
        return [f"{name} has no place in the state directory" for name in sorted(names - STATE)]

    def deliveries(self):
        return taken(self.target)


class FetchMixed(Fetch):
    """LMTP, a recipient who is put off once while the message's other one has it, and a provider that pipelines."""

    addressed_to = ([f"anna@{CUSTOMER}"], [f"bert@{CUSTOMER}", f"{PUT_OFF.partition('@')[0]}@{CUSTOMER}"],
                    [f"dora@{CUSTOMER}"])
    mode = "pipelined"
    status = 75

    def make_target(self):
        return self.bench.sink(lmtp=True)

    def reset(self):
        super().reset()
        self.target.recipient_replies = {self.addressed_to[1][1]: [None, b"450 4.2.1 not now"]}

    def expect_of_complete(self, windows):
        """One of them went twice, as it should: to the recipients in turn."""
        return [f"the trace shows a dot of {window.letter} that was not settled" for window in windows.all
                if window.closed is None] + [f"no dot of {id_}" for id_ in self.letters if not windows.of(id_)]

    def restart(self):
        self.target.recipient_replies.clear()
        return super().restart()


class FetchKept(Fetch):
    """`deferred = "here"`: of three messages one is put off, and one for one of its two recipients. The restart finds a
    target that takes everything."""

    status = 75
    legal = stored.Legal(beside=INDEX)

    def __init__(self, bench, root):
        super().__init__(bench, root)
        self.customer.deliver["deferred"] = "here"
        self.kept = os.path.join(self.state, "kept")

    def reset(self):
        super().reset()
        self.target.recipient_replies = {self.addressed_to[number][0]: [b"450 4.2.1 not now"] for number in (0, 1)}

    def expect_of_complete(self, windows):
        """Two are here, and the provider has none of them; dots went to the target for those whom it took."""
        here = {one.letter: one.recipients for one in stored.held(self.kept).values() if one}
        ids = list(self.letters)
        wanted = {ids[number]: [self.addressed_to[number][0]] for number in (0, 1)}
        seen = [len(windows.of(id_)) for id_ in ids]
        return ([f"kept here: {here} instead of {wanted}"] if here != wanted else []) + (
            [f"dots of the messages: {seen}"] if seen != [0, 1, 1] else []) + [
            f"the provider still has {id_}" for id_ in self.provider.pending()]

    def restart(self):
        self.target.recipient_replies.clear()
        return super().restart()

    def at_rest(self):
        return super().at_rest() + [f"{name} is still kept here" for name in stored.held(self.kept)]

    def illegal(self, at_rest):
        names = set(os.listdir(self.state)) if os.path.isdir(self.state) else set()
        return [f"{name} has no place in the state directory" for name in sorted(names - STATE - {"kept"})] + (
            self.legal.problems(self.kept, at_rest))


class FetchMaildir(Fetch):
    """Final delivery: the messages are on the disk that is struck."""

    def make_target(self):
        self.boxes = Mailboxes(os.path.join(self.root, "boxes"))
        self.maildir = os.path.join(self.boxes.folder, SHARED)
        return f"maildir://{self.maildir}"

    def empty_target(self):
        self.boxes.clear()

    def windows(self, run):
        return FetchWindows(run, self.root, self.journal, os.path.join(self.maildir, "new"))

    def deliveries(self):
        return [copy for _, path in self.boxes.files() for copy in copies_in(path)]


def copies_in(path):
    """One for each Delivered-To above the message; a file without any is a message for nobody."""
    with open(path, "rb") as file:
        data = file.read().replace(b"\n", b"\r\n")
    fields = {b"return-path": [], b"delivered-to": []}
    for line in data.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() not in fields:
            break
        fields[name.lower()].append(value.strip().decode())
    reverse_path = "".join(fields[b"return-path"]).strip("<>")
    return [Delivered(recipient, reverse_path, data) for recipient in fields[b"delivered-to"] or ["nobody"]]
