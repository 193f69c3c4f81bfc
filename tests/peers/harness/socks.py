"""A SOCKS5 proxy (RFC 1928, RFC 1929) that looks names up in a table of its own."""

import socket
import threading

from .wire import shut_listener

REFUSED = 5


class Socks:
    """Listens on a port of its own until stopped. `hosts`: name -> port on this machine."""

    def __init__(self, hosts, *, login=None, reply=0):
        self.hosts = hosts
        self.login = login    # (user, password) that it wants, or None
        self.reply = reply    # what it says to every CONNECT; 0: it connects
        self.asked = []       # (name or address, port)
        self.logins = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        shut_listener(self.listener)

    def transcript(self):
        return f"asked for {self.asked}, logins {self.logins}"

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            try:
                there = self._agree(sock)
            except (OSError, EOFError):
                return
            if there:
                threading.Thread(target=pump, args=(there, sock), daemon=True).start()
                pump(sock, there)

    def _agree(self, sock):
        version, count = _read(sock, 2)
        methods = _read(sock, count)
        wanted = 2 if self.login else 0
        if version != 5 or wanted not in methods:
            sock.sendall(b"\x05\xff")
            return None
        sock.sendall(bytes((5, wanted)))
        if self.login and not self._log_in(sock):
            return None
        name = self._request(sock)
        if self.reply or name not in self.hosts:
            sock.sendall(bytes((5, self.reply or 4, 0, 1, 0, 0, 0, 0, 0, 0)))
            return None
        there = socket.create_connection(("127.0.0.1", self.hosts[name]))
        sock.sendall(bytes((5, 0, 0, 1, 127, 0, 0, 1, 0, 0)))
        return there

    def _log_in(self, sock):
        _read(sock, 1)
        user = _read(sock, _read(sock, 1)[0]).decode()
        password = _read(sock, _read(sock, 1)[0]).decode()
        self.logins.append((user, password))
        good = (user, password) == self.login
        sock.sendall(bytes((1, 0 if good else 1)))
        return good

    def _request(self, sock):
        _, _, _, kind = _read(sock, 4)
        if kind == 3:
            name = _read(sock, _read(sock, 1)[0]).decode()
        else:
            name = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, _read(sock, 4 if kind == 1 else 16))
        self.asked.append((name, int.from_bytes(_read(sock, 2), "big")))
        return name


def _read(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def pump(source, to):
    """Bytes from one socket to the other, to their end."""
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass
