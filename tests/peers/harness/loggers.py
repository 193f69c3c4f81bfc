#!/usr/bin/python3
"""Runs a command whose log goes to a journald, or to a syslogd, that is us: loggers.py journal|syslog COMMAND…

Prints a JSON list of what was logged: for the journal an object per record, for syslog a text per line. To be started by
tests/own-mounts, since it takes the places where those two listen."""

import json
import os
import socket
import subprocess
import sys
import tempfile

JOURNAL, SYSLOG = "/run/systemd/journal/socket", "/dev/log"
DEVICES = ("null", "zero", "full", "random", "urandom")


def call(*command):
    subprocess.run(command, check=True)


def cover(folder):
    """An empty folder in its place; of /dev what every program needs stays."""
    with tempfile.TemporaryDirectory() as aside:
        call("mount", "--bind", folder, aside)
        call("mount", "-t", "tmpfs", "tmpfs", folder)
        for name in DEVICES if folder == "/dev" else ():
            open(f"/dev/{name}", "wb").close()
            call("mount", "--bind", f"{aside}/{name}", f"/dev/{name}")
        call("umount", aside)


def listen(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(path)
    os.chmod(path, 0o666)
    server.setblocking(False)
    return server


def all_of(server):
    while True:
        try:
            yield server.recv(1 << 20)
        except BlockingIOError:
            return


def record(datagram):
    """Where no value has a line end."""
    return dict(line.split("=", 1) for line in datagram.decode("utf-8").splitlines())


def journal(command):
    cover("/run")
    server = listen(JOURNAL)
    ours, theirs = socket.socketpair()
    status = os.fstat(theirs.fileno())
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, timeout=60,
                          env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, check=False)
    theirs.close()
    return done.returncode, ours.recv(1 << 20).decode(), [record(datagram) for datagram in all_of(server)]


def syslog(command):
    cover("/dev")
    server = listen(SYSLOG)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          timeout=60, check=False)
    return done.returncode, "", [datagram.decode("utf-8") for datagram in all_of(server)]


status, stderr, logged = {"journal": journal, "syslog": syslog}[sys.argv[1]](sys.argv[2:])
json.dump({"status": status, "stderr": stderr, "logged": logged}, sys.stdout)
