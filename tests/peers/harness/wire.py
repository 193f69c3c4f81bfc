"""What the scripted provider and the scripted target share: a line reader and scripted actions."""

import os
import socket
import ssl
import struct
import threading


class Cut(Exception):
    """The connection ended; the text says how."""


def shut_listener(listener):
    """New connections are refused, and a thread that waits in accept() comes back with an OSError."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()


class Line:
    """One connection, TLS or not, that is read line by line and keeps a transcript."""

    def __init__(self, sock, patience):
        self.sock = sock
        self.patience = patience
        self.buffer = b""
        self.transcript = []  # ("<", line from the peer) and (">", bytes sent by us)
        self.sock.settimeout(patience)
        if sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def secure(self, context):
        """The server's half of a TLS handshake. Unread clear text is thrown away (RFC 3207)."""
        self.buffer = b""
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True)
        except (OSError, ssl.SSLError) as error:
            raise Cut(f"TLS handshake failed: {error}") from error

    def read_more(self):
        try:
            block = self.sock.recv(262144)
        except socket.timeout as error:
            raise Cut("silence of the peer") from error
        except (OSError, ssl.SSLError) as error:
            raise Cut(f"line lost: {error}") from error
        if not block:
            raise Cut("end of file")
        self.buffer += block

    def read_line(self):
        """The next line without its CRLF."""
        while b"\n" not in self.buffer:
            self.read_more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        line = line.removesuffix(b"\r")
        self.transcript.append(("<", line))
        return line

    def read_reply(self):
        """(code, whole text) of one SMTP reply, continuation lines included."""
        lines = []
        while True:
            line = self.read_line().decode("utf-8", "replace")
            lines.append(line)
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)

    def write(self, data, note=True):
        if note:
            self.transcript.append((">", data))
        try:
            self.sock.sendall(data)
        except (OSError, ssl.SSLError) as error:
            raise Cut(f"line lost: {error}") from error

    def write_beside_tls(self, data):
        """Bytes straight to the socket under a TLS connection, as Exim's bare QUIT goes."""
        self.transcript.append((">", data))
        os.write(self.sock.fileno(), data)

    def end_tls(self):
        """Sends close_notify; the peer's own is welcome but not waited for long."""
        if isinstance(self.sock, ssl.SSLSocket):
            try:
                self.sock.settimeout(2)
                self.sock.unwrap()
            except (OSError, ValueError):
                pass

    def wait_for_end(self):
        """Reads and drops until the peer ends the connection."""
        try:
            while True:
                self.read_more()
                self.buffer = b""
        except Cut:
            pass

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def shut(self):
        """Wakes a thread that reads from this connection."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def reset(self):
        """Ends the connection with RST instead of FIN."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.close()


# Actions: what a script may do at a step in place of the normal reply. Each is called with the
# conversation (which has .line) and the normal reply, and returns after it has done its part.

def say(data):
    """Another reply; the conversation goes on as that reply's code demands."""
    data = data if data.endswith(b"\n") else data + b"\r\n"

    def action(conversation, _normal):
        conversation.line.write(data)
        return data
    return action


def say_raw(data):
    """Exactly these bytes, nothing added."""
    def action(conversation, _normal):
        conversation.line.write(data)
        return data
    return action


def add(data):
    """The normal reply with more bytes behind it, in one segment."""
    def action(conversation, normal):
        conversation.line.write(normal + data)
        return normal
    return action


def before(data):
    """More bytes, then the normal reply, in one segment."""
    def action(conversation, normal):
        conversation.line.write(data + normal)
        return normal
    return action


def trickle():
    """The normal reply, each byte in a segment of its own."""
    def action(conversation, normal):
        for value in normal:
            conversation.line.write(bytes([value]), note=False)
        return normal
    return action


def cut():
    """Closes at this step instead of answering."""
    def action(_conversation, _normal):
        raise Cut("cut by the script")
    return action


def say_then_cut(data):
    def action(conversation, _normal):
        conversation.line.write(data)
        raise Cut("cut by the script")
    return action


def reset():
    """RST at this step instead of an answer."""
    def action(conversation, _normal):
        conversation.line.reset()
        raise Cut("reset by the script")
    return action


def silence():
    """Says nothing until the peer gives up."""
    def action(conversation, _normal):
        conversation.line.wait_for_end()
        raise Cut("silent until the peer left")
    return action


def gate(event, seconds=30):
    """The normal reply, but only after the test has set `event`."""
    def action(conversation, normal):
        if not event.wait(seconds):
            raise Cut("the gate never opened")
        conversation.line.write(normal)
        return normal
    return action


def call(function):
    """Anything: function(conversation, normal) -> the reply that counts as given."""
    return function


class Script:
    """Which action is due at which step. A list is used up one by one (None = the normal reply)."""

    def __init__(self, steps=None):
        self.steps = dict(steps or {})
        self.lock = threading.Lock()
        self.reached = {}  # step -> how often

    def action(self, step):
        with self.lock:
            self.reached[step] = self.reached.get(step, 0) + 1
            planned = self.steps.get(step)
            if isinstance(planned, list):
                return planned.pop(0) if planned else None
            return planned

    def perform(self, step, conversation, normal):
        """Gives the normal reply or does what the script says; returns the reply given."""
        action = self.action(step)
        if action is None:
            if normal:
                conversation.line.write(normal)
            return normal
        return action(conversation, normal)
