"""A mailbox at a provider, over POP3 and IMAP in clear text: every byte and every deletion in the test's hand."""

import base64
import hashlib
import socket
import threading

from . import wait
from .provider import PASSWORD, USER
from .wire import Cut, Line, shut_listener

VALIDITY = 7


class Maildrop:
    """Messages stay until QUIT, or EXPUNGE, has been read whole."""

    def __init__(self, protocol, leaves=False, patience=30):
        self.protocol = protocol
        self.leaves = leaves  # nothing of it is to be deleted
        self.patience = patience
        self.messages = {}  # by UID: [id, content, marked as deleted]
        self.last_uid = 0
        self.sessions, self.queue, self.bounced = [], [], []
        self.active = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def put(self, *letters):
        """In place of all that is there; UIDs go on."""
        with self.lock:
            self.messages.clear()
            for letter in letters:
                self.last_uid += 1
                content = b"Return-Path: <" + letter.reverse_path.encode() + b">\r\n" + letter.data
                self.messages[self.last_uid] = [letter.id, content, False]

    def ids(self):
        with self.lock:
            return [id_ for id_, _, _ in self.messages.values()]

    def pending(self):
        """What should not be there at the end."""
        return {} if self.leaves else {id_: "mailbox" for id_ in self.ids()}

    def wait_idle(self):
        wait.until(lambda: self.active == 0, 30, "the mailbox's connections are over")

    def stop(self):
        shut_listener(self.listener)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.active += 1
            threading.Thread(target=self._converse, args=(Line(sock, self.patience),), daemon=True).start()

    def _converse(self, line):
        try:
            (self._pop3 if self.protocol == "pop3" else self._imap)(line)
        except Cut:
            pass
        finally:
            line.close()
            with self.lock:
                self.active -= 1

    # --- POP3 (RFC 1939)

    def _pop3(self, line):
        stamp = b"<1.2@mailbox.example>"
        line.write(b"+OK ready " + stamp + b"\r\n")
        shown, marked = [], set()
        while True:
            verb, _, argument = line.read_line().decode().strip().partition(" ")
            if verb == "CAPA":
                line.write(b"+OK\r\nPIPELINING\r\nUIDL\r\n.\r\n")
            elif verb == "APOP":
                right = argument == f"{USER} {hashlib.md5(stamp + PASSWORD.encode()).hexdigest()}"
                shown = list(self.messages.items())
                line.write(b"+OK\r\n" if right else b"-ERR wrong\r\n")
            elif verb in ("LIST", "UIDL"):
                lines = [f"{number} {uid if verb == 'UIDL' else len(message[1])}\r\n"
                         for number, (uid, message) in enumerate(shown, 1)]
                line.write(b"+OK\r\n" + "".join(lines).encode() + b".\r\n")
            elif verb == "RETR":
                content = shown[int(argument) - 1][1][1].replace(b"\r\n.", b"\r\n..")
                line.write(b"+OK\r\n" + content + b".\r\n")
            elif verb == "DELE":
                marked.add(shown[int(argument) - 1][0])
                line.write(b"+OK\r\n")
            elif verb == "QUIT":
                with self.lock:
                    for uid in marked:
                        self.messages.pop(uid, None)
                line.write(b"+OK bye\r\n")
                return
            else:
                line.write(b"-ERR what?\r\n")

    # --- IMAP (RFC 3501), as far as odmr speaks it

    def _imap(self, line):
        line.write(b"* OK [CAPABILITY IMAP4rev1 UIDPLUS AUTH=CRAM-MD5] ready\r\n")
        while True:
            tag, _, command = line.read_line().decode().strip().partition(" ")
            reply = b""
            if command == "AUTHENTICATE CRAM-MD5":
                line.write(b"+ " + base64.b64encode(b"<1.2@mailbox.example>") + b"\r\n")
                line.read_line()
            elif command == "CAPABILITY":
                reply = b"* CAPABILITY IMAP4rev1 UIDPLUS AUTH=CRAM-MD5\r\n"
            elif command.startswith(("SELECT", "EXAMINE")):
                reply = f"* {len(self.messages)} EXISTS\r\n* OK [UIDVALIDITY {VALIDITY}] valid\r\n".encode()
            elif command.startswith("UID SEARCH "):
                found = [uid for uid, message in self.messages.items() if command.endswith("ALL") or not message[2]]
                reply = f"* SEARCH {' '.join(map(str, found))}".rstrip().encode() + b"\r\n"
            elif command.startswith("UID FETCH "):
                reply = b"".join(self._fetched(uid, "BODY" in command) for uid in self._chosen(command.split()[2]))
            elif command.startswith("UID STORE "):
                for uid in self._chosen(command.split()[2]):
                    self.messages[uid][2] |= "Deleted" in command
            elif command.startswith("UID EXPUNGE "):
                with self.lock:
                    for uid in self._chosen(command.split()[2]):
                        if self.messages[uid][2]:
                            del self.messages[uid]
            elif command == "LOGOUT":
                reply = b"* BYE\r\n"
            line.write(reply + tag.encode() + b" OK done\r\n")
            if command == "LOGOUT":
                return

    def _chosen(self, text):
        found = []
        for part in text.split(","):
            first, _, last = part.partition(":")
            end = int(first) if not last else 1 << 32 if last == "*" else int(last)
            found += [uid for uid in self.messages if int(first) <= uid <= end]
        return found

    def _fetched(self, uid, whole):
        content = self.messages[uid][1]
        head = f"* {uid} FETCH (UID {uid} "
        if not whole:
            return f"{head}RFC822.SIZE {len(content)})\r\n".encode()
        return f"{head}BODY[] {{{len(content)}}}\r\n".encode() + content + b")\r\n"
