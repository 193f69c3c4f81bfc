"""What all real peers in the role of local target have in common."""

import os
import smtplib

from . import wait
from .maildir import Mailboxes
from .messages import CUSTOMER_DOMAIN, SECOND_DOMAIN
from .ports import accepts, free_port

ADDRESS = "127.0.0.1"


class Target:
    """A mail server under test conditions. Subclasses know how to write its configuration (_prepare),
    which programs to start (_launch) and how much it has accepted but not yet put into a mailbox (queued)."""

    name = "target"
    scheme = "smtp"
    domains = (CUSTOMER_DOMAIN, SECOND_DOMAIN)

    def __init__(self, folder, programs=None):
        self.folder = folder
        self.programs = programs  # where the unpacked programs are
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        self.mailboxes = Mailboxes(os.path.join(folder, "mail"))
        self.log = os.path.join(folder, self.name + ".log")
        self.port = free_port(ADDRESS)
        self.child = None
        self.refused = self.put_off = ()

    @property
    def url(self):
        return f"{self.scheme}://{ADDRESS}:{self.port}"

    def start(self, refuse=(), put_off=()):
        """Up and answering, on the same port each time. `refuse` get 550 at RCPT, `put_off` 450."""
        if self.child and self.child.running() and (self.refused, self.put_off) == (tuple(refuse), tuple(put_off)):
            return self
        self.stop()
        self.refused, self.put_off = tuple(refuse), tuple(put_off)
        self._prepare()
        self.child = self._launch()
        try:
            wait.until(lambda: self._answers() or not self.child.running(), 30, f"{self.name} listens")
        except wait.Overdue as error:
            raise RuntimeError(f"{error}\n{self.child.output()}") from error
        if not self.child.running():
            raise RuntimeError(f"{self.name} ended at once:\n{self.child.output()}")
        return self

    def stop(self):
        if self.child:
            self.child.stop()
            self.child = None

    def clear(self):
        self.mailboxes.clear()

    def deliveries(self, count, seconds=60):
        """The copies in the mailboxes, once there are `count` and nothing more is under way."""
        try:
            wait.until(lambda: len(self.mailboxes.files()) >= count and not self.queued(), seconds,
                       f"{count} copies in {self.name}'s mailboxes")
        except wait.Overdue:
            if self.queued():
                raise
        return self.mailboxes.read()

    def extensions(self):
        """The keywords of its reply to EHLO or LHLO."""
        with smtplib.SMTP(ADDRESS, self.port, timeout=30) as client:
            client.ehlo("bench.example")
            return {keyword.upper() for keyword in client.esmtp_features}

    def queued(self):
        """How many messages it has accepted and not yet put into a mailbox."""
        return 0

    def log_text(self):
        """All that it has logged so far."""
        text = ""
        for directory, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.isfile(path) and ("log" in name or name.endswith(".errors")):
                    with open(path, encoding="utf-8", errors="replace") as file:
                        text += file.read()
        return text

    def _answers(self):
        return accepts(ADDRESS, self.port)

    def _prepare(self):
        raise NotImplementedError

    def _launch(self):
        raise NotImplementedError


def files_below(folder):
    """How many regular files there are under a folder (a mail queue)."""
    return sum(len(names) for _, _, names in os.walk(folder))


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    # Postfix waits two seconds for a main.cf that was changed just now.
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path
