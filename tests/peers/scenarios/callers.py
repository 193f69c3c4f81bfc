"""Ordinary programs, run by ordinary users, hand mail over through the name `sendmail` and the socket of `odmr
submit`; the next flush sends it."""

import email
import email.policy

from harness.callers import NAMELESS, NOBODY, User
from harness.messages import Ledger
from harness.programs import HOSTNAME
from harness.runner import check, equal, none

from .outcomes.sent import FRIEND


def register(suite):
    suite.case("callers/mail")(mail)
    for way in ("sendmail-cmd", "smtp-server", "smtp"):
        suite.case(f"callers/git-send-email/{way}", way)(git)
    for uid in (NOBODY, NAMELESS):
        suite.case(f"callers/cron/uid-{uid}", uid)(cron)
        suite.case(f"callers/php/uid-{uid}", uid)(php)
    suite.case("callers/mutt")(mutt)
    suite.case("callers/session-on-stdin")(session)
    suite.case("callers/eight-bit-and-long")(eight_bit)
    suite.case("callers/nobody-listens")(nobody_listens)
    suite.case("callers/a-hundred-at-once")(at_once)


def listening(bench, uid=NOBODY, *listen):
    """(user, smart host, customer), with `odmr submit` between them."""
    host = bench.host()
    customer = bench.customer(bench.sink(), bench.provider()).send_through(host)
    submission = bench.submission(customer, *listen)
    user = User(bench.folder, uid, bench.shared.programs, bench.shared.bin, submission.socket)
    user.submission = submission
    return user, host, customer


def sent(customer, host, messages=1):
    """What the smart host gets: (transaction, message) of each."""
    result = customer.flush()
    equal((result.status, result.session(None)["outcome"]), (0, "sent"), "exit status and outcome")
    equal(result.session(None)["sent"]["messages"], messages, "messages")
    found = []
    for transaction in host.accepted():
        check(b"\n" not in transaction.data.replace(b"\r\n", b""), "a line end that is not CRLF")
        message = email.message_from_bytes(transaction.data, policy=email.policy.default)
        for name in ("From", "Date", "Message-ID"):
            equal(len(message.get_all(name, [])), 1, f"fields {name}")
        found.append((transaction, message))
    return found


def mail(bench):
    user, host, customer = listening(bench)
    user.mail("Lamp", b"The lamp is out.\n.\nStill out.\n", FRIEND, "other@faraway.example")
    (transaction, message), = sent(customer, host)
    equal(sorted(transaction.recipients), sorted([FRIEND, "other@faraway.example"]), "recipients")
    equal(transaction.reverse_path, f"nobody@{HOSTNAME}", "reverse-path")
    equal((message["Subject"], message["From"].addresses[0].addr_spec), ("Lamp", f"nobody@{HOSTNAME}"),
          "Subject and From")
    equal(message.get_content().replace("\r\n", "\n"), "The lamp is out.\n.\nStill out.\n", "text")


def git(bench, way):
    listen = ["127.0.0.1:0"] if way == "smtp" else []
    user, host, customer = listening(bench, NOBODY, *listen)
    if way == "smtp":
        address, _, port = user.submission.addresses[1].rpartition(":")
        user.send_email(f"--smtp-server={address}", f"--smtp-server-port={port}")
    else:
        user.send_email(f"--{way}={user.sendmail}", "--envelope-sender=anna@customer.example")
    (transaction, message), = sent(customer, host)
    equal(sorted(transaction.recipients), sorted(["anna@customer.example", FRIEND, "list@faraway.example"]),
          "recipients")
    equal(transaction.reverse_path, "anna@customer.example", "reverse-path")
    equal(message["Subject"], "[PATCH] Mend the café's lamp", "Subject")
    check("It flickered." in message.get_content(), "the text is missing")


def cron(bench, uid):
    """As cron calls it, with what its mail looks like; the job's owner has a name here, or none."""
    user, host, customer = listening(bench, uid)
    user.run(user.sendmail, "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root", stdin=(
        b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@here> lamp --check\n"
        b"Content-Type: text/plain; charset=UTF-8\nAuto-Submitted: auto-generated\nX-Cron-Env: <SHELL=/bin/sh>\n\n"
        b"caf\xc3\xa9 lamp: out\n.\n"))
    (transaction, message), = sent(customer, host)
    equal(transaction.recipients, [f"root@{HOSTNAME}"], "recipients")
    check(transaction.reverse_path.endswith("@" + HOSTNAME), f"reverse-path {transaction.reverse_path!r}")
    equal((message["Subject"], message["Auto-Submitted"]), ("Cron <root@here> lamp --check", "auto-generated"),
          "Subject and Auto-Submitted")
    equal(message.get_content().replace("\r\n", "\n"), "café lamp: out\n.\n", "text")


def php(bench, uid):
    """PHP's mail(): recipients out of the header, and what was Bcc is seen by nobody."""
    user, host, customer = listening(bench, uid)
    user.run(user.sendmail, "-t", "-i", stdin=(
        b"To: Friend <friend@elsewhere.example>, \"Other, The\" <other@faraway.example>\nSubject: Order 7\n"
        b"X-PHP-Originating-Script: 33:order.php\nFrom: Shop <shop@customer.example>\n"
        b"Cc: third@faraway.example\nBcc: hidden@faraway.example,\n second@elsewhere.example\n\nThank you.\n"))
    (transaction, message), = sent(customer, host)
    equal(sorted(transaction.recipients), sorted([FRIEND, "other@faraway.example", "third@faraway.example",
                                                  "hidden@faraway.example", "second@elsewhere.example"]), "recipients")
    check(b"hidden" not in transaction.data and b"Bcc" not in transaction.data, "Bcc can be read")
    equal([address.addr_spec for address in message["From"].addresses], ["shop@customer.example"], "From")


def mutt(bench):
    """Its default options, and those for delivery reports."""
    user, host, customer = listening(bench)
    user.run(user.sendmail, "-oem", "-oi", "-f", "anna@customer.example", "-N", "failure,delay", "-R", "full", "--",
             FRIEND, stdin=b"From: Anna <anna@customer.example>\nTo: friend@elsewhere.example\nSubject: hm\n"
             b"Date: Sat, 31 Jan 2026 09:59:57 +0100\nMessage-ID: <1@customer.example>\n\nhm\n")
    (transaction, message), = sent(customer, host)
    equal((transaction.reverse_path, transaction.recipients), ("anna@customer.example", [FRIEND]), "envelope")
    equal((message["Message-ID"], message["Date"]), ("<1@customer.example>", "Sat, 31 Jan 2026 09:59:57 +0100"),
          "Message-ID and Date")


def session(bench):
    """`sendmail -bs`: SMTP on stdin and stdout, as an Accept=yes socket unit or pine has it."""
    user, host, customer = listening(bench)
    said = user.run(user.sendmail, "-bs", stdin=(
        b"EHLO desk.customer.example\r\nMAIL FROM:<anna@customer.example>\r\nRCPT TO:<friend@elsewhere.example>\r\n"
        b"DATA\r\nSubject: by hand\r\nFrom: anna@customer.example\r\n\r\n..dot\r\n.\r\nQUIT\r\n"))
    codes = [line[:3] for line in said.splitlines() if line[3:4] == " "]
    equal(codes, ["220", "250", "250", "250", "354", "250", "221"], "replies")
    (transaction, message), = sent(customer, host)
    equal(message.get_content().replace("\r\n", "\n"), ".dot\n", "text")


def eight_bit(bench):
    """Bytes come through as they were: 8-bit, leading dots, the longest lines."""
    user, host, customer = listening(bench)
    letters = [bench.maker.eight_bit(), bench.maker.leading_dots(), bench.maker.long_lines(), bench.maker.empty_body()]
    for letter in letters:
        user.run(user.sendmail, "-i", "-f", "anna@customer.example", FRIEND, stdin=letter.data.replace(b"\r\n", b"\n"))
    for letter in letters:
        letter.reverse_path, letter.recipients[:] = "anna@customer.example", [FRIEND]
    sent(customer, host, 4)
    none(Ledger(letters).problems(host.deliveries(4)))


def nobody_listens(bench):
    """Without `odmr submit` an ordinary user's mail is refused for now, aloud, and nothing of it is kept."""
    user, host, customer = listening(bench)
    user.submission.stop()
    said = user.run(user.sendmail, "-i", FRIEND, stdin=b"Subject: x\n\nx\n", status=75)
    check(said.strip(), "nothing said")
    equal(customer.queue(), [], "queue")


def at_once(bench):
    """Many callers at the same time, each with its own message."""
    user, host, customer = listening(bench)
    user.run("sh", "-ec", 'for n in $(seq 100); do printf "Subject: number $n\\n\\nx\\n" | '
             f'{user.sendmail} -i {FRIEND} & pids="$pids $!"; done; for pid in $pids; do wait $pid; done')
    found = sent(customer, host, 100)
    equal(sorted(int(message["Subject"].split()[1]) for _, message in found), list(range(1, 101)), "numbers")
    equal(customer.queue(), [], "queue")
