"""Spools for odmrd, filled once and copied for each run."""

import os
import shutil

from harness.messages import Message
from harness.programs import Daemon

from .programs import Trouble

LINE = b"x" * 76 + b"\r\n"


class Spools:
    def __init__(self, folder):
        self.folder = folder
        self.started = 0
        self.filled = {}  # (messages, bytes) -> the folder with them

    def daemon(self, messages, size):
        """A daemon whose spool holds so many, not yet started."""
        if (messages, size) not in self.filled:
            self.filled[messages, size] = self._fill(messages, size)
        spool = os.path.join(self.folder, "spool")
        shutil.rmtree(spool, ignore_errors=True)
        shutil.copytree(self.filled[messages, size], spool)
        self.started += 1  # a log of its own for each, which says where it listens
        return Daemon(os.path.join(self.folder, f"daemon{self.started}"), spool=spool)

    def _fill(self, messages, size):
        spool = os.path.join(self.folder, f"{messages}-of-{size}")
        daemon = Daemon(os.path.join(self.folder, "filler"), spool=spool)
        header = b"Subject: %07d\r\n\r\n"
        for number in range(messages):
            data = header % number + LINE * ((size - len(header)) // len(LINE))
            status = daemon.enqueue(Message(number, "author@sender.example", ["anna@customer.example"], data))
            if status != 0:
                raise Trouble(f"odmrd enqueue: exit status {status}")
        return spool
