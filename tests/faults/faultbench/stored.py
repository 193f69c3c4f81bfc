"""The spool on disk as src/spool/store.hpp and message_file.hpp describe it, read by code of its own."""

import os
import re
import zlib
from dataclasses import dataclass

from harness import messages

ID = re.compile(r"[0-9a-hjkmnp-tv-z]{17}")
END = re.compile(rb"\nEND ([0-9a-f]{16}) ([0-9a-f]{8})\n")
END_SIZE = 31


@dataclass
class Stored:
    """A whole message file."""
    recipients: list
    data: bytes

    @property
    def letter(self):
        return messages.id_of(self.data)


def parse(content):
    """What a message file holds, or None for anything that is not a whole one."""
    end = END.fullmatch(content[-END_SIZE:])
    head = re.match(rb"odmr message 1\n", content)
    whole = content[:-END_SIZE]
    if not head or not end or zlib.crc32(whole) != int(end.group(2), 16):
        return None
    place, recipients = head.end(), []
    while record := re.compile(rb"(\w)(\d+):").match(content, place):
        value = content[record.end():record.end() + int(record.group(2))]
        place = record.end() + len(value) + 1
        if record.group(1) == b"R":
            recipients.append(os.fsdecode(value))
        if record.group(1) == b"H":
            break
    body = whole[place:]
    return Stored(recipients, body) if len(body) == int(end.group(1), 16) else None


def read(path):
    with open(path, "rb") as file:
        return parse(file.read())


def held(store):
    """{id: Stored or None} of a store's directory, also where it is not there yet."""
    folder = os.path.join(store, "held")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return {name: read(os.path.join(folder, name)) for name in sorted(names) if ID.fullmatch(name)}


class Legal:
    """What may be in a store. `beside`: patterns of what its directory may hold beside the three of a store (an index,
    the lock, further stores)."""

    def __init__(self, beside=()):
        self.beside = beside

    def problems(self, store, at_rest):
        """Every illegal state as a line of text. `at_rest`: after a restart, when nothing may be left over either."""
        found = []
        for name in os.listdir(store) if os.path.isdir(store) else []:
            check = {"tmp": self._tmp, "held": self._held, "corrupt": self._corrupt}.get(name)
            if check:
                found += check(os.path.join(store, name), at_rest)
            elif not any(re.fullmatch(pattern, name) for pattern in self.beside):
                found.append(f"{name} has no place in {store}")
        return found

    def _tmp(self, folder, at_rest):
        names = os.listdir(folder)
        found = [f"{name} in tmp/" for name in names if not ID.fullmatch(name)]
        return found + [f"tmp/{name} was left over" for name in names if at_rest]

    def _held(self, folder, at_rest):
        found, names = [], set(os.listdir(folder))
        for name in names:
            id_, _, suffix = name.partition(".")
            if not ID.fullmatch(id_) or suffix not in ("", "done"):
                found.append(f"{name} in held/")
            elif not suffix and not read(os.path.join(folder, name)):
                found.append(f"held/{name} is no whole message ({os.path.getsize(os.path.join(folder, name))} bytes)")
            elif suffix and at_rest and id_ not in names:
                found.append(f"held/{name} has lost its message")
        return found

    def _corrupt(self, folder, _at_rest):
        return [f"{name} was set aside as corrupt" for name in os.listdir(folder)]
