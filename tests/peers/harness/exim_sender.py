"""Exim as the provider's sender on the turned line. Debian's Exim (4.96) has no ATRN, so the scripted provider holds the
dialogue up to it; then the line is Exim's, which takes it for a connection that it has made."""

import os
import select
import socket
import subprocess

from .exim import Exim
from .target import ADDRESS, write
from .wire import Cut


class EximSender(Exim):
    """Sends what is put into its queue to the port that it finds the turned line behind."""

    name = "exim-sender"

    def __init__(self, folder, programs):
        super().__init__(folder, programs)
        self.listener = socket.create_server((ADDRESS, 0))
        self._prepare()

    def _configuration(self):
        return f"""
primary_hostname = provider.example
exim_path = {self.programs}/usr/sbin/exim4
spool_directory = {self.spool}
log_file_path = {self.spool}/%slog
exim_user = Debian-exim
exim_group = Debian-exim
deliver_drop_privilege = true
host_lookup =
message_size_limit = 0
untrusted_set_sender = *

begin routers
authors:
  driver = redirect
  domains = sender.example
  data = :blackhole:
turned_line:
  driver = manualroute
  route_list = * {ADDRESS}
  self = send
  transport = turned_line

begin transports
turned_line:
  driver = smtp
  port = {self.listener.getsockname()[1]}
  allow_localhost
  hosts_avoid_tls = *
  hosts_try_prdr = *

begin retry
* * F,1h,1s
"""

    def _exim(self, *arguments, **options):
        return subprocess.Popen([os.path.join(self.programs, "usr/sbin/exim4"), "-C", self.configuration, *arguments],
                                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, cwd=self.folder, **options)

    def put(self, message):
        """Into its queue, and no further."""
        done = self._exim("-odq", "-oi", "-f", message.reverse_path, *message.recipients, stdin=subprocess.PIPE)
        done.communicate(message.data.replace(b"\r\n", b"\n"), timeout=30)
        if done.returncode != 0:
            raise AssertionError(f"exim -odq: exit {done.returncode}")

    def send(self, conversation, _normal):
        """For a provider's script, at `await-greeting`: a queue run over this line."""
        with self._exim("-qff") as run:
            self.listener.settimeout(20)
            connection, _ = self.listener.accept()
            with connection:
                join(conversation.line.sock, connection)
            run.wait(30)
        raise Cut("exim has left")

    def stop(self):
        self.listener.close()


def join(one, other):
    """Bytes from each to the other, until both have ended. Exim says QUIT behind its last dot and ends its half there,
    before it has read an answer."""
    peer_of = {one: other, other: one}
    while peer_of:
        readable, _, _ = select.select(list(peer_of), [], [], 20)
        if not readable:
            raise Cut("silence between exim and odmr")
        for side in readable:
            data = side.recv(65536)
            if data:
                peer_of[side].sendall(data)
            else:
                peer_of.pop(side).shutdown(socket.SHUT_WR)
