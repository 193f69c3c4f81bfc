"""The outbound queue's files, read as src/spool/message_file.hpp describes them, and by nobody of odmr."""

import os
import re
from dataclasses import dataclass

from .messages import Delivered

VALUE = re.compile(rb"([TFnvRH])(\d+):")
END = re.compile(rb"\nEND [0-9a-f]{16} [0-9a-f]{8}\n\Z")


@dataclass
class Held:
    """One message in the queue."""
    id: str
    reverse_path: str
    recipients: list
    attributes: dict   # of the message
    data: bytes

    def copies(self):
        return [Delivered(recipient, self.reverse_path, self.data) for recipient in self.recipients]


def held(state_dir):
    """The messages in the queue, in the order of arrival. A half-written one is an error."""
    folder = os.path.join(state_dir, "queue", "held")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [_read(os.path.join(folder, name)) for name in names if "." not in name]


def half_written(state_dir):
    folder = os.path.join(state_dir, "queue", "tmp")
    return os.listdir(folder) if os.path.isdir(folder) else []


def copies(state_dir):
    """All that is held, as mailboxes would have it: one copy per recipient."""
    return [copy for message in held(state_dir) for copy in message.copies()]


def _read(path):
    with open(path, "rb") as file:
        text = file.read()
    end = END.search(text)
    if not text.startswith(b"odmr message 1\n") or not end:
        raise AssertionError(f"{path} is no whole message: {text[:100]!r}")
    message = Held(os.path.basename(path), "", [], {}, b"")
    position, name = len(b"odmr message 1\n"), ""
    while True:
        matched = VALUE.match(text, position)
        kind, start = matched.group(1), matched.end()
        stop = start + int(matched.group(2))
        value, position = text[start:stop].decode("utf-8", "surrogateescape"), stop + 1
        if kind == b"H":
            break
        if kind == b"F":
            message.reverse_path = value
        elif kind == b"R":
            message.recipients.append(value)
        elif kind == b"n":
            name = value
        elif kind == b"v" and not message.recipients:
            message.attributes[name] = value
    message.data = text[position:end.start()]
    return message
