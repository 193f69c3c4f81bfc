"""odmrd as what stands behind an MX: mail comes in by LMTP and SMTP, from real mail servers, and goes to the customer."""

import contextlib
import os
import signal
import smtplib
import socket
import subprocess

from harness import fetchmail, wait
from harness.feeders import FEEDERS
from harness.messages import Ledger
from harness.ports import free_port
from harness.programs import binary
from harness.provider import PASSWORD, USER
from harness.runner import check, equal, none
from harness.target import write
from harness.wire import Line

from .daemon import ask, log_in

DOMAINS = ["customer.example", "second.example"]


def register(suite):
    for kind in FEEDERS:
        for protocol in ("lmtp", "smtp"):
            suite.case(f"gateway/{kind}-by-{protocol}", kind, protocol)(fed)
    suite.case("gateway/fetchmail-behind-postfix")(fetchmail_behind)
    suite.case("gateway/unix-socket")(unix_socket)
    suite.case("gateway/recipients-and-quota")(refused)
    suite.case("gateway/recipients-told")(told)
    suite.case("gateway/checked")(checked)
    suite.case("gateway/killed-while-mail-comes")(killed)
    suite.case("gateway/SIGHUP")(reloaded)


def gateway(bench, protocol="lmtp", **customer):
    return bench.daemon(intake={"address": f"127.0.0.1:{free_port('127.0.0.1')}", "protocol": protocol},
                        customer=customer)


def feeder(bench, kind, protocol, daemon):
    made = FEEDERS[kind](bench.path(f"feeding-{kind}"), bench.shared.programs, protocol, daemon.intake_port)
    return bench.keep(f"feeding {kind}", made).start()


def has_come(daemon, letters):
    wait.until(lambda: daemon.spool().count("  <") >= len(letters) * 1, 60, f"{len(letters)} messages held")


def arrived(sink, letters):
    copies = sink.deliveries(sum(len(letter.recipients) for letter in letters))
    none(Ledger(letters).problems(copies, our_name="provider.example"))


def fed(bench, kind, protocol):
    """From a client of the MX to the customer's server, to the byte."""
    daemon, sink = gateway(bench, protocol).start(), bench.sink()
    letters = [letter for letter in bench.maker.mixture() if letter.data.endswith(b"\r\n")]
    letters.append(bench.maker.make(recipients=["anna@customer.example", "bert@second.example"]))
    feeder(bench, kind, protocol, daemon).feed(letters)
    has_come(daemon, letters)
    result = bench.customer(sink, daemon).run()
    equal(result.status, 0, "exit status")
    arrived(sink, letters)
    equal(daemon.spool().count("@"), 0, f"addresses left in the spool:\n{daemon.spool()}")


def fetchmail_behind(bench):
    """Nothing in the way of it is ours but odmrd."""
    daemon, target = gateway(bench).start(), bench.target("postfix")
    letters = [bench.maker.make() for _ in range(3)]
    feeder(bench, "postfix", "lmtp", daemon).feed(letters)
    has_come(daemon, letters)
    result = fetchmail.fetch(bench.path("fetchmail"), daemon.port, USER, PASSWORD, DOMAINS, target.port)
    equal(result.status, 0, f"fetchmail's exit status\n{result.output[-2000:]}")
    none(Ledger(letters).problems(target.deliveries(len(letters)), our_name="provider.example"))


def unix_socket(bench):
    """A socket that any user of the machine can use, which goes with the daemon."""
    path = bench.path("run/lmtp")
    daemon = bench.daemon(intake={"address": path}).start()
    letter = bench.maker.make()
    client = smtplib.LMTP(path)
    client.sendmail(letter.reverse_path, letter.recipients, letter.data)
    client.quit()
    sink = bench.sink()
    equal(bench.customer(sink, daemon).run().status, 0, "exit status")
    arrived(sink, [letter])
    daemon.stop()
    with socket.socket(socket.AF_UNIX) as gone, contextlib.suppress(FileNotFoundError):
        gone.connect(path)
        check(False, f"{path} is still there")


def refused(bench):
    daemon = gateway(bench, recipients=["anna@customer.example"], quota="3KiB").start()
    client = smtplib.LMTP("127.0.0.1", daemon.intake_port)
    client.ehlo()
    for recipient, code in (("anna@customer.example", 250), ("ANNA+list@customer.example", 250),
                            ("bert@customer.example", 550), ("anna@second.example", 550),
                            ("anna@elsewhere.example", 550), ("postmaster@second.example", 250)):
        client.docmd("MAIL", "FROM:<a@sender.example>")
        equal(client.docmd("RCPT", f"TO:<{recipient}>")[0], code, recipient)
        client.docmd("RSET")
    for code in (250, 452):
        client.docmd("MAIL", "FROM:<a@sender.example> SIZE=2000")
        equal(client.docmd("RCPT", "TO:<anna@customer.example>")[0], code, "reply to RCPT")
        if code == 250:
            client.docmd("DATA")
            client.send(b"\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 25 + b".\r\n")
            equal(client.getreply()[0], 250, "reply to the message")
    client.quit()


def checked(bench):
    """`odmrd check` tells for whom mail is taken: nobody should learn from bounces that a list is empty."""
    empty = write(bench.path("nobody"), "# later\n")
    for keys, said in (({}, "any recipient"), ({"recipients": ["anna@customer.example", "@second.example"]}, "2 listed"),
                       ({"recipients_file": empty}, "0 listed"),
                       ({"recipients_upload": True}, "those that it tells by itself")):
        daemon = gateway(bench, **keys)
        done = subprocess.run([binary("odmrd"), "check", "--config", daemon.configuration], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        equal((done.returncode, done.stderr), (0, ""), "exit status, and complaints")
        equal(done.stdout.splitlines(), [f"customer one: customer.example, second.example; recipients: {said}",
                                         "the configuration is good"], "output")


def told(bench):
    """The customer tells its recipients itself: all others are refused, from the next RCPT on, also after a crash."""
    daemon, sink = gateway(bench, recipients_upload=True).start(), bench.sink()
    client = smtplib.LMTP("127.0.0.1", daemon.intake_port)
    client.ehlo()

    def code(recipient, asked):
        asked.docmd("MAIL", "FROM:<a@sender.example>")
        reply = asked.docmd("RCPT", f"TO:<{recipient}>")[0]
        asked.docmd("RSET")
        return reply

    equal(code("bert@customer.example", client), 250, "before there is a list")
    customer = bench.customer(sink, daemon)
    customer.isp["recipients_file"] = write(os.path.join(customer.folder, "recipients"),
                                            "anna@customer.example  # and nobody else\n@second.example\n")
    for log in ("told our recipients", None):
        result = customer.run()
        equal(result.status, 0, "exit status")
        equal("told our recipients" in result.stderr, log is not None, f"told? {result.stderr}")
    for asked in (client, None):
        if not asked:
            daemon.kill()
            daemon.start()
            asked = smtplib.LMTP("127.0.0.1", daemon.intake_port)
            asked.ehlo()
        for recipient, reply in (("bert@customer.example", 550), ("ANNA+list@customer.example", 250),
                                 ("bert@second.example", 250), ("postmaster@customer.example", 250)):
            equal(code(recipient, asked), reply, recipient)
    status = daemon.status()
    equal(status["recipients"]["count"], 2, "recipients in odmrd status")
    # Another list, and one that is none: that changes nothing, and mail comes all the same.
    customer.talk_to(daemon)
    write(customer.isp["recipients_file"], "bert\n")
    equal(customer.run().status, 0, "exit status")
    write(customer.isp["recipients_file"], "anna@elsewhere.example\n")
    letter = bench.maker.make(recipients=["bert@customer.example"])
    equal(daemon.enqueue(letter), 0, "exit status of odmrd enqueue")
    result = customer.run()
    equal(result.status, 0, "exit status")
    check("none of the provider's domains" in result.stderr, f"the log says\n{result.stderr}")
    none(Ledger([letter]).problems(sink.deliveries(1)))
    equal(code("bert@customer.example", asked), 250, "the new list")
    equal(code("anna@customer.example", asked), 550, "who was on the old one")
    asked.quit()


def reloaded(bench):
    """Recipients and password change while a customer is logged in, whose line stays; a faulty file changes nothing."""
    daemon = gateway(bench, recipients=["anna@customer.example"]).start()
    client = smtplib.LMTP("127.0.0.1", daemon.intake_port)
    client.ehlo()
    line = Line(socket.create_connection(("127.0.0.1", daemon.port), 20), 20)
    line.read_reply()
    ask(line, "EHLO x")
    equal(log_in(line), 235, "login")

    def is_taken(recipient):
        with smtplib.LMTP("127.0.0.1", daemon.intake_port) as asked:
            asked.ehlo()
            asked.docmd("MAIL", "FROM:<a@sender.example>")
            return asked.docmd("RCPT", f"TO:<{recipient}>")[0] == 250

    check(not is_taken("bert@customer.example"), "bert is taken before the reload")
    with open(daemon.configuration, encoding="utf-8") as file:
        good = file.read()
    write(daemon.configuration, good.replace("anna@customer.example", "bert@customer.example"))
    write(os.path.join(daemon.folder, "customer.secret"), "another one\n", mode=0o600)
    daemon.child.signal(signal.SIGHUP)
    wait.until(lambda: "the configuration was read again" in daemon.child.output(), 20, "the reload is told")
    check(is_taken("bert@customer.example") and not is_taken("anna@customer.example"), "the new list counts")
    equal(ask(line, "ATRN"), 453, "reply to ATRN on the line of before")
    result = bench.customer(bench.sink(), daemon).run()
    equal(result.status, 77, "exit status with the password of before")
    write(daemon.configuration, good + "nonsense = 1\n")
    daemon.child.signal(signal.SIGHUP)
    wait.until(lambda: "the one before stays in force" in daemon.child.output(), 20, "the faulty file is told")
    check(is_taken("bert@customer.example"), "a faulty file has changed something")


def killed(bench):
    """Each message that was answered 250 is there after SIGKILL, once; Postfix brings the others again."""
    daemon, sink = gateway(bench).start(), bench.sink()
    postfix = feeder(bench, "postfix", "lmtp", daemon)
    letters = [bench.maker.make() for _ in range(40)]
    postfix.feed(letters[:20])
    wait.until(lambda: daemon.spool().count("  <") >= 3, 60, "some are held")
    daemon.kill()
    postfix.feed(letters[20:])
    daemon.start()
    wait.until(lambda: postfix.queued() == 0, 60, "Postfix has handed over all")
    customer = bench.customer(sink, daemon)
    equal(customer.run().status, 0, "exit status")
    copies = sink.deliveries(len(letters))
    seen = {copy.data for copy in copies}
    # What was on disk when the kill came, and not yet answered, comes twice: Postfix cannot know (RFC 1047).
    check(len(copies) - len(seen) == 0, "the same bytes came twice")
    none([problem for problem in Ledger(letters).problems(copies) if "delivered" not in problem])
