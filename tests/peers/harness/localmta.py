"""Postfix as the local MTA that keeps its own queue, for `[outbound] command`."""

import smtplib

from . import wait
from .postfix import Postfix
from .smarthost_postfix import overridden
from .target import ADDRESS


class LocalPostfix(Postfix):
    """Everything that is not for our domains goes to a relay host, which may be away."""

    name = "local-postfix"

    def __init__(self, folder, programs, relay):
        self.relay = relay
        super().__init__(folder, programs)

    def _main_cf(self):
        return overridden(super()._main_cf(), f"""
default_transport = smtp
relayhost = [{ADDRESS}]:{self.relay.port}
# Tried once when it comes, then not before somebody asks for it.
minimal_backoff_time = 1h
maximal_backoff_time = 1h
queue_run_delay = 1h
""")

    def _master_cf(self):
        return super()._master_cf() + "showq unix n - n - - showq\n"  # which postqueue asks

    def keep(self, messages):
        """Puts mail into the queue while the relay host is away, so that it stays there."""
        self.relay.stop()
        with smtplib.SMTP(ADDRESS, self.port, timeout=30) as client:
            for message in messages:
                client.sendmail(message.reverse_path, message.recipients, message.data)
        wait.until(lambda: self._in("deferred") == len(messages), 30, f"{len(messages)} messages put off by Postfix")

    def command(self, name, *arguments):
        """A command of its package, as an array for the configuration."""
        return ["env", f"LD_LIBRARY_PATH={self.libraries}", f"{self.programs}/usr/sbin/{name}",
                "-c", self.configuration, *arguments]
