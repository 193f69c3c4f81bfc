"""A home server behind its provider's address translation: three networks, real mail servers at both ends, odmrd in
between, odmr watch at home."""

import os
import smtplib
import statistics
import threading
import time

from harness import wait
from harness.feeders import FeedingPostfix
from harness.messages import Ledger
from harness.namespaces import Home
from harness.ports import free_port
from harness.postfix import Postfix
from harness.programs import Daemon
from harness.runner import TARGETS, check, equal, none
from harness.smarthost_postfix import overridden
from harness.target import ADDRESS

from .watch import Watch


def register(suite):
    suite.case("cgnat/delay")(delay)
    suite.case("cgnat/nobody-gets-in")(nobody_gets_in)
    for target, is_long in (("dovecot", False), ("postfix", True)):
        suite.case(f"cgnat/line-cut-and-odmrd-killed/{target}", target, long=is_long)(troubled)


class SendingPostfix(Postfix):
    """A mail server somewhere, for which the VPS is the MX of the customer's domains."""

    name = "sending-postfix"

    def __init__(self, folder, programs, host, port):
        self.exchanger = f"[{host}]:{port}"
        super().__init__(folder, programs)

    def _main_cf(self):
        return overridden(super()._main_cf(), f"""
virtual_mailbox_domains =
relay_domains = {', '.join(self.domains)}
relay_transport = smtp:{self.exchanger}
smtp_tls_security_level = none
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
""")


class MxPostfix(FeedingPostfix):
    """The VPS's, which the world can reach."""

    name = "mx-postfix"

    def _main_cf(self):
        return overridden(super()._main_cf(), """
inet_interfaces = all
myhostname = mx.provider.example
smtpd_recipient_restrictions = reject_unauth_destination, permit
""")

    def _master_cf(self):
        return super()._master_cf().replace(f"{ADDRESS}:{self.port} inet", f"{self.port} inet")


class House:
    """All of it, running."""

    def __init__(self, bench, kind):
        self.bench, self.net = bench, bench.keep("network", Home())
        programs = bench.shared.programs
        with self.net.vps.inside():
            port, certificate = free_port("0.0.0.0"), bench.shared.authority.good()
            self.daemon = bench.keep("odmrd", Daemon(
                bench.path("odmrd"), tls="starttls", certificate=certificate,
                address=f"{self.net.VPS}:{port}",
                intake={"address": f"{ADDRESS}:{free_port(ADDRESS)}", "protocol": "lmtp"}))
            self.daemon.start()
            self.exchanger = bench.keep("mx", MxPostfix(bench.path("mx"), programs, "lmtp", self.daemon.intake_port))
            self.exchanger.start()
        with self.net.sender.inside():
            self.sender = bench.keep("sender", SendingPostfix(bench.path("sender"), programs, self.net.VPS,
                                                              self.exchanger.port))
            self.sender.start()
        with self.net.home.inside():
            self.target = bench.keep("target", TARGETS[kind](bench.path(kind), programs)).start()
            customer = bench.customer(self.target, self.daemon).verify_with(bench.shared.authority)
            customer.isp["host"] = self.net.VPS
            customer.isp["pin"] = ["sha256:" + certificate.spki_sha256()]
            customer.isp.pop("ca_file")
            self.watch = Watch(bench, customer, interval="1s")
        self.waits()

    def waits(self):
        """The home server's line is held."""
        def is_held():
            said = self.daemon.child.output()
            return said.count("ATRN waits") > said.count(" session customer=")
        wait.until(is_held, 60, "the line is held")

    def send(self, letters):
        with self.net.sender.inside(), smtplib.SMTP(ADDRESS, self.sender.port, timeout=30) as client:
            client.ehlo("desk.sender.example")
            for letter in letters:
                client.sendmail(letter.reverse_path, letter.recipients, letter.data)

    def arrived(self):
        return len(self.target.mailboxes.files())


def letter(bench):
    return bench.maker.make(recipients=["anna@customer.example"])


def delay(bench):
    """From the sender's mail server to the mailbox at home, one message after the other."""
    house = House(bench, "postfix")
    delays = []
    letters = [letter(bench) for _ in range(10)]
    for number, one in enumerate(letters):
        house.waits()
        begun = time.monotonic()
        house.send([one])
        wait.until(lambda n=number: house.arrived() > n, 30, "the message is in the mailbox at home")
        delays.append(time.monotonic() - begun)
    none(Ledger(letters).problems(house.target.deliveries(len(letters)), our_name="provider.example"))
    print(f"      cgnat: from mail server to mailbox: median {statistics.median(delays) * 1000:.0f} ms,"
          f" most {max(delays) * 1000:.0f} ms, of {len(delays)}", flush=True)


def nobody_gets_in(bench):
    """The home server has no address of its own to which the VPS could connect."""
    net = bench.keep("network", Home())
    net.home.run("ping", "-c", "1", "-W", "5", net.VPS) if os.path.exists("/usr/bin/ping") else None
    with net.vps.inside():
        for address in ("192.168.1.2", net.ROUTER):
            try:
                smtplib.SMTP(address, 25, timeout=1)
            except OSError:
                continue
            check(False, f"{address} can be reached")


def troubled(bench, kind):
    """Mail keeps coming while the line breaks, falls silent for a while, and odmrd is killed: all of it arrives, once."""
    house = House(bench, kind)
    letters = [letter(bench) for _ in range(60)]
    sent = threading.Event()

    def send_all():
        for begin in range(0, len(letters), 5):
            before = house.arrived()
            house.send(letters[begin:begin + 5])
            wait.until(lambda b=before: house.arrived() > b or sent.is_set(), 120, "the next one arrives")
        sent.set()

    sending = threading.Thread(target=send_all, daemon=True)
    sending.start()
    for after, act, undo in ((5, house.net.break_line, house.net.mend_line),
                             (15, house.net.silence_line, house.net.mend_line),
                             (25, lambda: killed(house), lambda: None),
                             (35, house.net.break_line, house.net.mend_line)):
        wait.until(lambda n=after: house.arrived() >= n, 120, f"{after} messages are at home")
        act()
        noticed = time.monotonic()
        wait.until(lambda t=noticed: time.monotonic() > t + 1, 10, "a second has passed")
        undo()
    sending.join(180)
    check(sent.is_set(), "all has been sent")
    copies = house.target.deliveries(len(letters), 120)
    equal(len(copies), len(letters), "copies at home")
    none(Ledger(letters).problems(copies, our_name="provider.example"))
    print(f"      cgnat: {len(letters)} messages, three cuts, one kill: {len(copies)} copies", flush=True)


def killed(house):
    with house.net.vps.inside():
        house.daemon.kill()
        house.daemon.start()
