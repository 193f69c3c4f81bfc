"""Ports for peers that cannot be told "any port" (Postfix, Exim, OpenSMTPD, Dovecot)."""

import os
import random
import socket

_chooser = random.Random(os.urandom(8))


def _ephemeral_start():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as ports:
        return int(ports.read().split()[0])


def free_port(address="127.0.0.1"):
    """A port nobody listens on, outside the range from which the kernel gives ports to connections,
    so that nothing takes it between now and the peer's own bind."""
    start = _ephemeral_start()
    low, high = (10000, start) if start > 12000 else (61000, 65535)
    for _ in range(200):
        port = _chooser.randrange(low, high)
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port found")


def accepts(address, port):
    """True once something listens there."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False
