"""When could a fault double a message? Only between our final dot and the durable note of its answer.

Both are read from the trace of the very run that was struck: the dot from the bytes that were sent, the note from the
calls that changed files named after the message, and from the fsyncs that made each of these durable."""

import os
import re
from dataclasses import dataclass, field

from harness import messages

from . import syscalls
from .stored import ID

END_OF_DATA = b"\r\n.\r\n"
CHUNK = re.compile(rb"BDAT (\d+) LAST\r\n")


@dataclass
class Window:
    """One message that was given to a server."""
    letter: str       # the ledger's id
    connection: str
    opened: int       # at the entry of the call that sent the dot
    is_chunk: bool = False  # BDAT LAST, to a customer that knows what comes again: others may be under way with it
    closed: int | None = None
    noted: bool = False
    is_unanswered: bool = False  # reading the answer has failed: whatever is noted then, it is not the answer
    unsynced: dict = field(default_factory=dict)  # what has to be synced for the note to be durable: since when
    told: bool = False  # it is about what an author is told

    def open_at(self, moment):
        return self.opened < moment and (self.closed is None or moment <= self.closed)


class Windows:
    """All windows of one run. `spool_ids`: {id of the store: the ledger's id}."""

    def __init__(self, run, root, spool_ids):
        self.root = root
        self.spool_ids = spool_ids
        self.all = []
        self._outgoing = {}  # connection -> what it has been sent since the last dot
        events = sorted([(call.began, call, self._begins) for call in run.calls]
                        + [(call.ended, call, self._ends) for call in run.calls if call.ended],
                        key=lambda event: event[0])
        for moment, call, see in events:
            if call is not run.struck or call.result is not None:
                see(moment, call)

    def of(self, letter):
        return [window for window in self.all if window.letter == letter]

    def letters_open(self):
        """Of which an answer may be lost: a fault ends the run, so whatever is open then is open at its end."""
        return {window.letter for window in self.all if window.closed is None}

    def problems(self):
        """A connection never has two messages under way, unless they go by BDAT."""
        return [f"the dot of {window.letter} was sent before the answer to {other.letter} was on disk"
                for window in self.all for other in self.all
                if other is not window and other.connection == window.connection and other.open_at(window.opened)
                and not (window.is_chunk and other.is_chunk)]

    def _begins(self, moment, call):
        if call.data:
            self._sends(moment, call)

    def _ends(self, moment, call):
        if call.name in syscalls.RECEIVES and call.result < 0 and -call.result not in syscalls.NOT_YET:
            for window in self.all:
                window.is_unanswered |= window.connection == call.paths[0] and window.closed is None
        if call.result < 0 or not call.paths or not call.paths[-1].startswith(self.root):
            return
        if call.name in syscalls.SYNCS:
            self._synced(moment, call)
        elif call.name in syscalls.PATHS and (call.name not in ("open", "openat") or self._made(call)):
            for path in call.paths:
                self._changes(path, os.path.dirname(path), moment, is_note=call.name not in ("open", "openat"))
        elif call.name in syscalls.WRITES:
            self._changes(call.paths[0], call.paths[0], moment, is_note=True)

    @staticmethod
    def _made(call):
        return syscalls.creates(call.name, call.arguments) and not call.was_there

    def _changes(self, path, to_sync, moment, is_note):
        """The last dot of the message that the file is named after is what it can be about. A new file says nothing
        yet; what is written into it, or that the message goes, does."""
        found = ID.match(os.path.basename(path))
        for window in self._about(path, found.group()) if found else []:
            if window.closed is None:
                window.unsynced[to_sync] = moment
                window.noted |= is_note

    def _about(self, _path, id_):
        """What a change to a file of that id is a note about."""
        return self.of(self.spool_ids.get(id_))[-1:]

    def _synced(self, moment, call):
        """An fsync answers for what was done before it began."""
        for window in self.all:
            if window.closed is None and window.unsynced.get(call.paths[0], call.began) < call.began:
                del window.unsynced[call.paths[0]]
                if window.noted and not window.unsynced and not window.is_unanswered:
                    window.closed = moment

    def _sends(self, moment, call):
        connection = call.paths[0]
        sent = call.data if call.result is None else call.data[:max(call.result, 0)]
        text = self._outgoing.get(connection, b"") + sent
        while message := self._next_message(text):
            content, is_chunk, end = message
            self.all.append(self._window(content, connection, moment, is_chunk))
            text = text[end:]
        self._outgoing[connection] = text

    def _window(self, content, connection, moment, is_chunk):
        return Window(messages.id_of(content), connection, moment, is_chunk)

    @staticmethod
    def _next_message(text):
        """Its content, whether it went by BDAT, and where it ends; nothing where it is not whole."""
        chunk = CHUNK.search(text)
        dot = text.find(END_OF_DATA)
        if chunk and not 0 <= dot < chunk.start():
            end = chunk.end() + int(chunk.group(1))
            return (text[chunk.end():end], True, end) if end <= len(text) else None
        return (text[:dot], False, dot + len(END_OF_DATA)) if dot >= 0 else None


class FetchWindows(Windows):
    """Those of `odmr run` with what it received: the note is in the journal, whose log (SQLite's WAL) is synced when
    it is committed; and a message goes to the target by a dot, or into a Maildir by its new name there."""

    def __init__(self, run, root, journal, maildir=None):
        self.journal = journal
        self.maildir = maildir
        self._named = {}  # a file in the Maildir -> its window
        super().__init__(run, root, {})

    def _begins(self, moment, call):
        super()._begins(moment, call)
        if self.maildir and call.name.startswith("rename") and os.path.dirname(call.paths[-1]) == self.maildir:
            self.all.append(Window(_letter_in(call.paths[-1]), self.maildir, moment))
            self._named[call.paths[-1]] = self.all[-1]

    def _ends(self, moment, call):
        """A file that did not get its name, or is taken back since its directory could not be synced, leaves nothing
        to note."""
        super()._ends(moment, call)
        window = self._named.get(call.paths[-1]) if call.paths else None
        if window and (call.name.startswith("rename") and call.result < 0
                       or call.name.startswith("unlink") and call.result == 0):
            window.closed = moment

    def _changes(self, path, to_sync, moment, is_note):
        if path != self.journal or not is_note:
            return
        for window in self.all:
            if window.closed is None:
                window.unsynced[to_sync] = moment
                window.noted = True


class RelayWindows(Windows):
    """Those of mail that is passed on and never stored: from the dot to the smart host until a 250 has gone out to the
    customer, who notes it on a disk of its own. A 4yz leaves the window open: the customer will come again, whatever it
    is told then (221, to its QUIT)."""

    def _ends(self, moment, call):
        if call.data[:1] in (b"2", b"4", b"5") and call.result and call.result > 0:
            for window in self.all:
                if window.closed is None and window.connection != call.paths[0] and window.opened < call.began:
                    window.is_unanswered |= call.data[:1] != b"2"
                    window.closed = None if window.is_unanswered else moment
        super()._ends(moment, call)


class NoticeWindows(Windows):
    """Those of held mail that comes to nothing, of which the author is told. A bounce that was put into bounces/ before
    its message is marked makes a second one, and a notice whose dot was sent before the queue has its note goes again.
    Whose a file is, is read from what was written into it."""

    def __init__(self, run, spool, letters, spool_ids):
        self.queue = os.path.join(spool, "queue")
        self.bounces = os.path.join(spool, "bounces")
        self.letters = letters
        super().__init__(run, spool, dict(spool_ids))

    def letters_open(self):
        """Pairs, as the verdict counts them."""
        return {(window.letter, whom) for window in self.all if window.closed is None
                for whom in (["its author"] if window.told else self.letters[window.letter].recipients)}

    def _begins(self, moment, call):
        super()._begins(moment, call)
        found = ID.match(os.path.basename(call.paths[-1])) if call.paths else None
        letter = messages.id_of(call.written) if found and call.written else None
        if letter:
            self.spool_ids[found.group()] = letter
        if found and self._names_bounce(call):
            self.all.append(Window(self.spool_ids.get(found.group()), self.bounces, moment, told=True))

    def _ends(self, moment, call):
        """A bounce that did not get its name is none."""
        super()._ends(moment, call)
        if self._names_bounce(call) and call.result < 0:
            next(window for window in reversed(self.all) if window.connection == self.bounces).closed = moment

    def _names_bounce(self, call):
        return call.name.startswith("rename") and os.path.dirname(call.paths[-1]) == os.path.join(self.bounces, "held")

    def _window(self, content, connection, moment, is_chunk):
        window = super()._window(content, connection, moment, is_chunk)
        window.told = b"Content-Type: multipart/report" in content
        return window

    def _about(self, path, id_):
        """A file of the queue is about the notice, one of the held mail about the rest, and one in bounces/ about
        nothing that could come twice."""
        store = os.path.dirname(os.path.dirname(path))
        if store == self.bounces:
            return []
        windows = self.of(self.spool_ids.get(id_))
        notices = [window for window in windows if window.told and window.connection != self.bounces]
        if store == self.queue:
            return notices[-1:]
        rest = [window for window in windows if window not in notices]
        return [window for told in (False, True) for window in [one for one in rest if one.told is told][-1:]]


def _letter_in(path):
    """None where a power cut has taken it."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return messages.id_of(file.read())
