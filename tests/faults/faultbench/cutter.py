"""A line between odmr and its provider that is cut behind a chosen byte."""

import contextlib
import selectors
import socket
import struct
import threading
from dataclasses import dataclass

from harness.wire import shut_listener

HOWS = ("reset", "closed", "silence")
TO_CUSTOMER, TO_PROVIDER = 0, 1


@dataclass(frozen=True)
class Cut:
    """Behind byte `at` of the direction `way` of the first connection."""
    way: int
    at: int
    how: str

    def __str__(self):
        to = ("to the customer", "to the provider")[self.way]
        return f"{self.how} behind byte {self.at} {to}"


class Cutter:
    """Listens in the provider's place and passes on what comes, until the cut; later connections are left alone. What
    was passed on before it arrives."""

    def __init__(self, port):
        self.to = port
        self.cut = None
        self.counts = [0, 0]  # bytes passed on over the first connection since begin()
        self.connections = 0
        self.over = []        # an event for each connection since begin()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def begin(self, cut=None):
        self.cut, self.counts, self.connections, self.over = cut, [0, 0], 0, []

    def wait_idle(self):
        for event in self.over:
            event.wait(20)

    def stop(self):
        shut_listener(self.listener)

    def transcript(self):
        return f"passed on: {self.counts}; {self.cut}"

    def _accept(self):
        while True:
            try:
                customer, _ = self.listener.accept()
            except OSError:
                return
            cut = self.cut if self.connections == 0 else None
            counts = self.counts if self.connections == 0 else [0, 0]
            self.connections += 1
            event = threading.Event()
            self.over.append(event)
            threading.Thread(target=self._pass_on, args=(customer, cut, counts, event), daemon=True).start()

    def _pass_on(self, customer, cut, counts, event):
        provider = socket.create_connection(("127.0.0.1", self.to))
        for sock in (customer, provider):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _Line(customer, provider, cut, counts).run()
        finally:
            for sock in (customer, provider):
                sock.close()
            event.set()


class _Line:
    """Both directions of one connection."""

    def __init__(self, customer, provider, cut, counts):
        self.ends = (customer, provider)
        self.cut = cut
        self.counts = counts

    def run(self):
        with selectors.DefaultSelector() as ready:
            for way, source in ((TO_CUSTOMER, self.ends[1]), (TO_PROVIDER, self.ends[0])):
                ready.register(source, selectors.EVENT_READ, way)
            while ready.get_map():
                for key, _ in ready.select():
                    data = _read(key.fileobj)
                    if data is None or self._forward(key.data, data):
                        return
                    if not data:
                        ready.unregister(key.fileobj)

    def _forward(self, way, data):
        """True: the line is over."""
        to = self.ends[way]
        left = self.cut.at - self.counts[way] if self.cut and self.cut.way == way else len(data) + 1
        self.counts[way] += min(len(data), left)
        with contextlib.suppress(OSError):
            if data:
                to.sendall(data[:left])
            else:
                to.shutdown(socket.SHUT_WR)
        if len(data) < left:
            return False
        self._end()
        return True

    def _end(self):
        if self.cut.how == "reset":
            for sock in self.ends:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self.cut.how == "silence":
            _wait_until_both_leave(self.ends)


def _read(sock):
    """b"" at its end, None when it is lost."""
    try:
        return sock.recv(65536)
    except OSError:
        return None


def _wait_until_both_leave(ends):
    """Reads what comes and throws it away. Neither hears that the other one has left."""
    for sock in ends:
        sock.settimeout(20)
        with contextlib.suppress(OSError):
            while sock.recv(65536):
                pass


def seeded(random, sizes, count):
    """So many cuts, spread over directions and ways of cutting."""
    cuts = []
    for number in range(count):
        way = number % 2
        cuts.append(Cut(way, random.randrange(1, sizes[way] + 1), HOWS[number // 2 % len(HOWS)]))
    return cuts


def every(sizes, silence_at_each):
    """All of them; a silent line takes as long as patience lasts, and is so only at each so-many-th byte."""
    return [Cut(way, at, how) for way in (TO_CUSTOMER, TO_PROVIDER) for at in range(1, sizes[way] + 1) for how in HOWS
            if how != "silence" or at % silence_at_each == 0]
