"""odmrd beyond ATRN: mail of the customer's own before it, ETRN, and what senders hear of mail that came to nothing."""

import os
import subprocess
import time

from harness import fetchmail, wait
from harness.feeders import FEEDERS
from harness.messages import Ledger
from harness.ports import free_port
from harness.provider import PASSWORD, USER
from harness.runner import check, equal, none

AWAY = "elsewhere.example"


def register(suite):
    suite.case("outward/odmr-sends-and-fetches")(both_ways)
    suite.case("outward/odmr-over-tls-behind-postfix")(behind_postfix)
    suite.case("outward/forged-sender")(forged)
    suite.case("outward/smart-host-away")(smart_host_away)
    suite.case("etrn/fetchmail")(etrn_by_fetchmail)
    suite.case("etrn/fetchmail-logged-in")(etrn_logged_in)
    suite.case("etrn/swaks")(etrn_by_swaks)
    suite.case("notices/refused-by-the-customer")(refused)
    suite.case("notices/never-fetched")(never_fetched)


def provider(bench, smart_host=None, customer=None, etrn=None, **options):
    tables = {}
    if smart_host:
        tables["outbound"] = {"to": f"smtp://127.0.0.1:{smart_host.port}", "tls": "none"}
    if etrn is not None:
        tables["customer.one.etrn"] = {"tls": "none", **etrn}
    return bench.daemon(customer=customer, tables=tables, **options)


def own_mail(bench, count=3):
    """Mail of the customer's, to the rest of the world."""
    return [bench.maker.make(reverse_path="anna@customer.example", recipients=[f"r{i}@{AWAY}"]) for i in range(count)]


def passed_on(smart_host, letters):
    copies = sorted((t.reverse_path, tuple(t.recipients), t.data) for t in smart_host.transactions if t.data)
    equal(len(copies), len(letters), "messages at the smart host")
    for letter in letters:
        check(any(sender == letter.reverse_path and list(recipients) == letter.recipients and data.endswith(letter.data)
                  for sender, recipients, data in copies), f"{letter.id} did not arrive as it was")


def both_ways(bench):
    """What was submitted goes out, what is held comes in, over one connection."""
    smart_host, sink = bench.sink(), bench.sink()
    daemon = provider(bench, smart_host, {"outbound": True}).start()
    incoming, outgoing = [bench.maker.make() for _ in range(2)], own_mail(bench)
    for letter in incoming:
        equal(daemon.enqueue(letter), 0, "enqueue")
    customer = bench.customer(sink, daemon)
    customer.tables["outbound"] = {"to": "provider"}
    customer.submit(*outgoing)
    result = customer.run()
    equal(result.status, 0, "exit status")
    passed_on(smart_host, outgoing)
    none(Ledger(incoming).problems(sink.deliveries(2)))
    equal(customer.queue(), [], "left in the customer's queue")
    trace = smart_host.transactions[0].data.decode()
    check("by provider.example with ESMTPA" in trace, f"our Received line is not there:\n{trace[:400]}")


def behind_postfix(bench):
    """TLS on the way up, a real mail server as the smart host."""
    target = bench.target("postfix")
    daemon = bench.daemon(customer={"outbound": True}, tls="starttls", certificate=bench.shared.authority.good(),
                          tables={"outbound": {"to": f"smtp://127.0.0.1:{target.port}", "tls": "none"}}).start()
    letters = [bench.maker.make(reverse_path="anna@customer.example") for _ in range(3)]
    customer = bench.customer(bench.sink(), daemon).verify_with(bench.shared.authority)
    customer.tables["outbound"] = {"to": "provider"}
    customer.submit(*letters)
    equal(customer.run().status, 0, "exit status")
    none(Ledger(letters).problems(target.deliveries(len(letters)), our_name="provider.example"))


def forged(bench):
    """The provider's refusal is the sender's bounce, and nothing is passed on."""
    smart_host, sink = bench.sink(), bench.sink()
    daemon = provider(bench, smart_host, {"outbound": True}).start()
    customer = bench.customer(sink, daemon)
    customer.tables["outbound"] = {"to": "provider"}
    customer.submit(bench.maker.make(reverse_path="ceo@bank.example", recipients=[f"r@{AWAY}"]))
    customer.run()
    equal([t for t in smart_host.transactions if t.data], [], "messages at the smart host")
    bounce = wait.until(lambda: [t for t in sink.transactions if t.data], 20, "the bounce at the local target")[0]
    equal((bounce.reverse_path, bounce.recipients), ("", ["ceo@bank.example"]), "the bounce's envelope")
    check(b"550 5.7.1 mail is taken from" in bounce.data, "it has the provider's words")


def smart_host_away(bench):
    """Mail waits at the customer's, and what is held comes in all the same."""
    gone = bench.sink()
    gone.stop()
    sink = bench.sink()
    daemon = provider(bench, gone, {"outbound": True}).start()
    letter = bench.maker.make()
    equal(daemon.enqueue(letter), 0, "enqueue")
    customer = bench.customer(sink, daemon)
    customer.tables["outbound"] = {"to": "provider"}
    customer.submit(*own_mail(bench, 1))
    result = customer.run()
    equal(result.session()["outcome"], "fetched", "the provider's outcome")
    none(Ledger([letter]).problems(sink.deliveries(1)))
    equal(len(customer.queue()), 1, "left in the customer's queue")


def etrn_target(bench, daemon_options, ask):
    """Mail held, asked for by `ask`, at a real mail server that can be reached."""
    target = bench.target("postfix")
    options = {"to": "127.0.0.1", "port": target.port, **daemon_options}
    daemon = provider(bench, etrn=options).start()
    letters = [bench.maker.make(recipients=["anna@customer.example"]) for _ in range(3)]
    for letter in letters:
        equal(daemon.enqueue(letter), 0, "enqueue")
    ask(daemon)
    none(Ledger(letters).problems(target.deliveries(len(letters))))
    wait.until(lambda: daemon.spool().count("@") == 0, 20, "the spool is empty")


def etrn_by_fetchmail(bench):
    def ask(daemon):
        result = fetchmail.etrn(bench.path("fetchmail"), daemon.port, ["customer.example"])
        equal(result.status, 0, f"fetchmail's exit status\n{result.output[-2000:]}")

    etrn_target(bench, {"without_login": True}, ask)


def etrn_logged_in(bench):
    def ask(daemon):
        refused = fetchmail.etrn(bench.path("fetchmail"), daemon.port, ["customer.example"])
        check("459" in refused.output, f"a stranger is refused\n{refused.output[-2000:]}")
        result = fetchmail.etrn(bench.path("fetchmail"), daemon.port, ["customer.example"], USER, PASSWORD)
        equal(result.status, 0, f"fetchmail's exit status\n{result.output[-2000:]}")

    etrn_target(bench, {}, ask)


def etrn_by_swaks(bench):
    """swaks has no ETRN of its own; it says what it is given for a name, a second line too."""
    def ask(daemon):
        done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(daemon.port), "--quit-after", "HELO",
                               "--helo", "swaks.example\r\nETRN @customer.example"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        check(b"250 2.0.0 what is waiting is being sent" in done.stdout, f"ETRN's reply\n{done.stdout.decode()}")

    etrn_target(bench, {"without_login": True}, ask)


def feeding(bench, daemon):
    made = FEEDERS["postfix"](bench.path("feeding-postfix"), bench.shared.programs, "lmtp", daemon.intake_port)
    return bench.keep("feeding postfix", made).start()


def refused(bench):
    """From the MX to a customer who knows no such recipient, and back to the sender."""
    smart_host = bench.sink()
    daemon = provider(bench, smart_host, intake={"address": f"127.0.0.1:{free_port('127.0.0.1')}"}).start()
    letter = bench.maker.make()
    feeding(bench, daemon).feed([letter])
    wait.until(lambda: "  <" in daemon.spool(), 60, "the message is held")
    sink = bench.sink(recipient_replies={r: [b"550 5.1.1 no such user"] for r in letter.recipients})
    bench.customer(sink, daemon).run()
    notice = wait.until(lambda: [t for t in smart_host.transactions if t.data], 30, "the notice at the smart host")[0]
    equal((notice.reverse_path, notice.recipients), ("", [letter.reverse_path]), "its envelope")
    for words in (b"multipart/report", b"550 5.1.1 no such user", b"Reporting-MTA: dns; provider.example"):
        check(words in notice.data, f"{words} is not in it")
    daemon.stop()
    equal(sorted(os.listdir(os.path.join(daemon.folder, "spool", "bounces", "held"))), [], "left in bounces/")


def never_fetched(bench):
    smart_host = bench.sink()
    daemon = provider(bench, smart_host, {"lifetime": "1s"})
    letter = bench.maker.make()
    equal(daemon.enqueue(letter), 0, "enqueue")
    wait.until(lambda: "<" in daemon.spool(), 20, "the message is held")
    held_at = time.monotonic()
    wait.until(lambda: time.monotonic() > held_at + 1.5, 20, "its lifetime is over")
    daemon.start()
    notice = wait.until(lambda: [t for t in smart_host.transactions if t.data], 30, "the notice at the smart host")[0]
    equal((notice.reverse_path, notice.recipients), ("", [letter.reverse_path]), "its envelope")
    check(b"5.4.7" in notice.data, "it says why")
    equal(daemon.spool().count("@"), 0, "addresses left in the spool")
