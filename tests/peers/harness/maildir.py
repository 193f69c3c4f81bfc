"""Mailboxes as the targets leave them: a Maildir per recipient or one for all, read by the tests."""

import os
import re
import shutil

from .messages import Delivered

SHARED = "shared"  # a Maildir for everybody: there the recipient stands in a field at the top
DELIVERED_TO = re.compile(rb"^(?:Delivered-To|Envelope-to): *<?([^>\n]*?)>?\r?$", re.IGNORECASE | re.MULTILINE)
RETURN_PATH = re.compile(rb"^Return-Path: *<?([^>\n]*)>?", re.IGNORECASE | re.MULTILINE)


class Mailboxes:
    """A folder with one Maildir per recipient address, or the one called SHARED."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def owned_by(self, uid, gid):
        os.chown(self.folder, uid, gid)
        return self

    def files(self):
        """(recipient, path) of each message there is, oldest first."""
        found = []
        for recipient in sorted(os.listdir(self.folder)):
            for part in ("new", "cur"):
                box = os.path.join(self.folder, recipient, part)
                if os.path.isdir(box):
                    found += [(recipient, os.path.join(box, name)) for name in sorted(os.listdir(box))]
        return found

    def read(self):
        copies = []
        for recipient, path in self.files():
            with open(path, "rb") as file:
                data = file.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            matched = RETURN_PATH.search(data)
            reverse_path = matched.group(1).decode("utf-8").strip() if matched else ""  # OpenSMTPD adds none for <>
            if recipient == SHARED:
                recipient = DELIVERED_TO.search(data).group(1).decode("utf-8")
            copies.append(Delivered(recipient, reverse_path, data))
        return copies

    def clear(self):
        for name in os.listdir(self.folder):
            shutil.rmtree(os.path.join(self.folder, name))
