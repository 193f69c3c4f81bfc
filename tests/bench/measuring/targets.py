"""Where the mail goes: a sink of ours, Postfix and Dovecot as tests/peers sets them up, a Maildir."""

import os
import shutil

from harness import wait

from .programs import Helper, Trouble


class SinkTarget:
    """Takes everything and keeps nothing."""

    lmtp = False

    def __init__(self, bench, *options):
        self.bench = bench
        self.options = options
        self.sink = None

    @property
    def port(self):
        return self.sink.port

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    def begin(self):
        self.sink = Helper(self.bench.build, "sink", *self.options)

    def settle(self, count):
        """Fails where not all has come."""
        taken = self.sink.end()
        if f"taken {count} messages" not in taken:
            raise Trouble(f"sink: {taken}, and not {count} messages")

    def stop(self):
        if self.sink:
            self.sink.kill()


class RealTarget:
    """A program of tests/peers. What it still does with the mail is not waited for by the clock, but is done before
    the next measurement begins."""

    def __init__(self, bench, kind):
        # Dovecot over TCP: all customers get there.
        self.target = bench.shared.target("dovecot-tcp" if kind == "dovecot" else kind)
        self.lmtp = self.target.scheme == "lmtp"

    @property
    def port(self):
        return self.target.port

    @property
    def url(self):
        return self.target.url

    def begin(self):
        self.target.start()
        self.target.clear()

    def settle(self, count):
        try:
            wait.until(lambda: not self.target.queued() and len(self.target.mailboxes.files()) >= count, 300,
                       f"{count} messages in {self.target.name}'s mailboxes")
        except wait.Overdue as error:
            raise Trouble(str(error)) from error
        self.target.clear()

    def stop(self):
        pass  # the bench ends all of them together


class MaildirTarget:
    """odmr is the delivery agent itself."""

    lmtp = False
    port = None

    def __init__(self, bench):
        self.folder = os.path.join(bench.folder, "Maildir")

    @property
    def url(self):
        return f"maildir://{self.folder}"

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self, count):
        there = len(os.listdir(os.path.join(self.folder, "new")))
        if there != count:
            raise Trouble(f"{there} files in the Maildir, and not {count}")

    def stop(self):
        shutil.rmtree(self.folder, ignore_errors=True)
