"""odmrd whose way out is no host but a program of the mail server here: sendmail -bs."""

import json
import os
import re
import signal
import smtplib
import time

from harness import wait
from harness.messages import Ledger
from harness.provider import PASSWORD, USER
from harness.runner import check, equal, none
from harness.target import write

KINDS = ("postfix", "exim")
LOST = {"postfix": "lost connection after DATA", "exim": "lost while reading message data"}
OURS = "anna@customer.example"


def register(suite):
    for kind in KINDS:
        suite.case(f"outward/sendmail/{kind}", kind)(sends)
        suite.case(f"outward/sendmail/{kind}/cut-in-mid-message", kind)(cut)
        suite.case(f"outward/sendmail/{kind}/notice", kind)(notice)
    suite.case("outward/sendmail/refused-recipient")(refused)
    suite.case("outward/sendmail/cannot-be-started")(cannot_be_started)
    suite.case("outward/sendmail/hangs")(hangs)
    suite.case("outward/sendmail/another-after-reload")(another)
    suite.case("outward/sendmail/runs-as-its-user-and-free")(free)


def provider(bench, words, customer=None, **options):
    return bench.daemon(customer={"outbound": True, **(customer or {})}, tables={"outbound": {"sendmail": words}},
                        **options)


def customer_of(bench, daemon, target):
    customer = bench.customer(target, daemon)
    customer.tables["outbound"] = {"to": "provider"}
    return customer


def sends(bench, kind):
    target = bench.target(kind)
    daemon = provider(bench, target.sendmail()).start()
    letters = [bench.maker.make(reverse_path=OURS), bench.maker.eight_bit(reverse_path=OURS),
               bench.maker.leading_dots(reverse_path=OURS), bench.maker.make(reverse_path="")]
    customer = customer_of(bench, daemon, bench.sink()).submit(*letters)
    equal(customer.run().status, 0, "exit status")
    none(Ledger(letters).problems(target.deliveries(len(letters)), our_name="provider.example"))
    equal(customer.queue(), [], "left in the customer's queue")
    nobody_is_left(daemon, target)


def commands_of(name):
    """Pids of processes in whose command line this text is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if name.encode() in file.read().replace(b"\0", b" "):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def nobody_is_left(daemon, target):
    """What was spoken to has ended, long before odmrd does."""
    words = " ".join(target.sendmail()[-3:])
    wait.until(lambda: not commands_of(words), 20, f"{words} has ended")
    check(daemon.child.running(), "odmrd still runs")


def logged_in(daemon):
    """A customer at the point where it may say MAIL."""
    client = smtplib.SMTP("127.0.0.1", daemon.port, timeout=60)
    client.ehlo("mail.customer.example")
    client.login(USER, PASSWORD)
    return client


def cut(bench, kind):
    """Nothing of a message whose line breaks is delivered, and the next one is."""
    target = bench.target(kind)
    daemon = provider(bench, target.sendmail()).start()
    before = target.log_text().count(LOST[kind])
    client = logged_in(daemon)
    for command in (f"MAIL FROM:<{OURS}>", f"RCPT TO:<{OURS}>"):
        equal(client.docmd(command)[0], 250, command)
    equal(client.docmd("DATA")[0], 354, "DATA")
    client.sock.sendall(b"Subject: half\r\n\r\n" + b"half of it\r\n" * 20_000)
    client.close()
    wait.until(lambda: target.log_text().count(LOST[kind]) > before, 30, f"{kind} sees its input end")
    letter = bench.maker.make(reverse_path=OURS)
    with logged_in(daemon) as client:
        equal(client.sendmail(OURS, letter.recipients, letter.data), {}, "refused recipients")
    none(Ledger([letter]).problems(target.deliveries(1)))
    equal(len(target.mailboxes.files()), 1, "messages in the mailboxes")
    equal(target.queued(), 0, f"in {kind}'s queue")
    nobody_is_left(daemon, target)


def notice(bench, kind):
    """What odmrd has to say to senders goes the same way."""
    target = bench.target(kind)
    daemon = provider(bench, target.sendmail(), {"lifetime": "1s"})
    letter = bench.maker.make(reverse_path="author@customer.example")
    equal(daemon.enqueue(letter), 0, "enqueue")
    held_at = time.monotonic()
    wait.until(lambda: time.monotonic() > held_at + 1.5, 20, "its lifetime is over")
    daemon.start()
    copy = target.deliveries(1)[0]
    equal((copy.reverse_path, copy.recipient), ("", letter.reverse_path), "the notice's envelope")
    check(b"5.4.7" in copy.data, "it says why")


def refused(bench):
    """The mail server's words reach the customer, and who is not refused has the message."""
    no_such = "nobody@customer.example"
    target = bench.target("exim", refuse=[no_such])
    daemon = provider(bench, target.sendmail()).start()
    with logged_in(daemon) as client:
        equal(client.docmd(f"MAIL FROM:<{OURS}>")[0], 250, "MAIL")
        equal(client.docmd(f"RCPT TO:<{OURS}>")[0], 250, "RCPT")
        equal(client.docmd(f"RCPT TO:<{no_such}>"), (550, b"5.1.1 no such person"), "RCPT")
        client.docmd("RSET")
    letter = bench.maker.make(reverse_path=OURS, recipients=[OURS, no_such])
    sink = bench.sink()
    customer_of(bench, daemon, sink).submit(letter).run()
    none(Ledger([letter]).problems(target.deliveries(1), {letter.id: [OURS]}))
    bounce = wait.until(lambda: [t for t in sink.transactions if t.data], 20, "the bounce at the local target")[0]
    check(b"550 5.1.1 no such person" in bounce.data, f"the words are not there:\n{bounce.data.decode()[-2000:]}")
    target.start()


def script(bench, name, text):
    """A program, here in the place of sendmail."""
    path = write(bench.path(name), "#!/bin/sh\n" + text, mode=0o755)
    return path


def cannot_be_started(bench):
    """It is there when odmrd begins, and gone later: mail waits at the customer's, and the log says why."""
    program = script(bench, "sendmail-gone", "exit 0\n")
    daemon = provider(bench, [program, "-bs"]).start()
    os.unlink(program)
    customer = customer_of(bench, daemon, bench.sink()).submit(bench.maker.make(reverse_path=OURS))
    customer.run()
    equal(len(customer.queue()), 1, "left in the customer's queue")
    said = daemon.child.output()
    check(f"{program} -bs: cannot be started: {program}: No such file or directory" in said, said[-2000:])


def hangs(bench):
    """It says nothing and does not end by itself: it ends with odmrd."""
    told = bench.path("pid")
    program = script(bench, "sendmail-hangs", f"trap '' HUP\necho $$ >{told}\nwhile :; do sleep 0.1; done\n")
    daemon = provider(bench, [program, "-bs"]).start()
    client = logged_in(daemon)
    client.sock.sendall(f"MAIL FROM:<{OURS}>\r\n".encode())
    pid = int(wait.until(lambda: os.path.exists(told) and open(told, encoding="ascii").read().strip(), 20, "it runs"))
    daemon.child.signal(signal.SIGTERM)
    equal(daemon.child.process.wait(30), 0, "odmrd's exit status")
    check(not commands_of(program), f"{program} ({pid}) has outlived odmrd")
    client.close()


def another(bench):
    """SIGHUP cannot name another program: that is said, and nothing changes; the rest of the table it can."""
    target = bench.target("exim")
    daemon = provider(bench, target.sendmail()).start()

    def reload_with(table):
        with open(daemon.configuration, encoding="utf-8") as file:
            text = file.read()
        write(daemon.configuration, re.sub(r"\[outbound\]\n.*\n", "[outbound]\n" + table + "\n", text))
        said = len(daemon.child.output())
        daemon.child.signal(signal.SIGHUP)
        return lambda words: wait.until(lambda: words in daemon.child.output()[said:], 20, f"the log has {words!r}")

    def one_arrives(count):
        letter = bench.maker.make(reverse_path=OURS)
        with logged_in(daemon) as client:
            equal(client.sendmail(OURS, letter.recipients, letter.data), {}, "refused recipients")
        equal(len(target.deliveries(count)), count, "messages that arrived")

    says = reload_with('sendmail = ["/bin/false"]')
    says("the one before stays in force")
    says("sendmail names a program that was not there at the start, and who is shut in can start no other; restart odmrd")
    one_arrives(1)
    reload_with(f"sendmail = {json.dumps(target.sendmail())}\nlifetime = \"1d\"")("the configuration was read again")
    one_arrives(2)


def free(bench):
    """The program runs as the user of run_as, and may get the privileges that its file has; odmrd may not."""
    told = bench.path("told")
    os.mkdir(told)
    os.chmod(told, 0o777)
    program = script(bench, "sendmail-tells", f"(id -un; grep NoNewPrivs /proc/self/status) >{told}/who\necho 554 no\n")
    daemon = provider(bench, [program, "-bs"], run_as="nobody").start()
    with logged_in(daemon) as client:
        equal(client.docmd(f"MAIL FROM:<{OURS}>")[0], 451, "MAIL")
    with open(f"{told}/who", encoding="ascii") as file:
        equal(file.read().split(), ["nobody", "NoNewPrivs:", "0"], "who it is")
    with open(f"/proc/{daemon.child.pid}/status", encoding="ascii") as file:
        check(re.search(r"^NoNewPrivs:\t1$", file.read(), re.MULTILINE), "odmrd itself has shut itself in")
