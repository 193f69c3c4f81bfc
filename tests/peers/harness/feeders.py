"""Real mail servers as the MX in front of odmrd: what they take for the customer's domains goes to its intake."""

import smtplib

from .exim import Exim
from .postfix import Postfix
from .smarthost_postfix import overridden
from .target import ADDRESS


class Feeder:
    """`protocol` and `port` of the intake are known before it starts."""

    def __init__(self, folder, programs, protocol, port):
        self.protocol, self.intake = protocol, port
        super().__init__(folder, programs)

    def feed(self, messages):
        """Hands them in as the world would; each has to be taken."""
        with smtplib.SMTP(ADDRESS, self.port, timeout=30) as client:
            client.ehlo("sender.example")
            for message in messages:
                options = [word for word in message.parameters.split() if word.startswith(("BODY", "SMTPUTF8"))]
                client.sendmail(message.reverse_path, message.recipients, message.data, mail_options=options)


class FeedingPostfix(Feeder, Postfix):
    name = "feeding-postfix"

    def _main_cf(self):
        return overridden(super()._main_cf(), f"""
virtual_mailbox_domains =
relay_domains = {', '.join(self.domains)}
relay_transport = {self.protocol}:inet:{ADDRESS}:{self.intake}
default_transport = error:nobody
smtp_tls_security_level = none
lmtp_tls_security_level = none
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
""").replace("relay_transport = smtp:inet:", "relay_transport = smtp:")

    def _master_cf(self):
        return super()._master_cf() + "lmtp unix - - n - - lmtp\n"


class HoldingPostfix(FeedingPostfix):
    """Holds what it takes for the customer until it hears ETRN (ETRN_README), and sends it to a port of ours then."""

    name = "holding-postfix"

    def deferred(self):
        return self._in("deferred")

    def _main_cf(self):
        return overridden(super()._main_cf(), f"""
myhostname = holding.example
relay_transport = etrn-only:[{ADDRESS}]:{self.intake}
defer_transports = etrn-only
fast_flush_domains = {', '.join(self.domains)}
queue_run_delay = 1h
minimal_backoff_time = 1h
maximal_backoff_time = 1h
""")

    def _master_cf(self):
        return super()._master_cf() + "etrn-only unix - - n - - smtp\n"


class FeedingExim(Feeder, Exim):
    name = "feeding-exim"

    def _configuration(self):
        mine = f"""
begin transports
intake:
  driver = smtp
  protocol = {self.protocol}
  hosts = {ADDRESS}
  allow_localhost
  port = {self.intake}
  hosts_try_fastopen =
"""
        text = super()._configuration().replace("  transport = maildir\n", "  transport = intake\n  self = send\n")
        return text.replace("begin transports\n", mine.lstrip())


FEEDERS = {"postfix": FeedingPostfix, "exim": FeedingExim}
