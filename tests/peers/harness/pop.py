"""A POP3 server that is there for its login alone: POP-before-SMTP."""

import hashlib
import socket
import threading

from .provider import PASSWORD, USER
from .wire import Cut, Line, shut_listener


class Pop:
    """STLS or clear text, APOP or USER and PASS (RFC 1939, 2595)."""

    def __init__(self, context=None):
        self.context = context
        self.logins = 0       # that went well
        self.commands = []
        self.lines = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        shut_listener(self.listener)
        for line in list(self.lines):
            line.shut()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            line = Line(sock, 30)
            self.lines.append(line)
            threading.Thread(target=self._converse, args=(line,), daemon=True).start()

    def _converse(self, line):
        stamp, user = b"<7.1769853600@pop.example>", ""
        try:
            line.write(b"+OK ready " + stamp + b"\r\n")
            while True:
                verb, _, argument = line.read_line().decode().partition(" ")
                self.commands.append(verb.upper())
                if verb.upper() == "QUIT":
                    line.write(b"+OK bye\r\n")
                    return
                if verb.upper() == "STLS" and self.context:
                    line.write(b"+OK go ahead\r\n")
                    line.secure(self.context)
                elif verb.upper() == "CAPA":
                    line.write(b"+OK\r\nUSER\r\n" + (b"STLS\r\n" if self.context else b"") + b".\r\n")
                elif verb.upper() == "USER":
                    user = argument
                    line.write(b"+OK\r\n")
                elif verb.upper() == "PASS":
                    self._answer(line, (user, argument) == (USER, PASSWORD))
                elif verb.upper() == "APOP":
                    digest = hashlib.md5(stamp + PASSWORD.encode()).hexdigest()
                    self._answer(line, argument == f"{USER} {digest}")
                else:
                    line.write(b"-ERR what?\r\n")
        except Cut:
            pass
        finally:
            line.close()

    def _answer(self, line, is_right):
        self.logins += is_right
        line.write(b"+OK welcome\r\n" if is_right else b"-ERR wrong\r\n")
