"""The outbound queue over several runs: when a message is tried again, what the hand can do, and how it ends."""

import email
import email.policy
import os
import signal
import subprocess
import threading
import time

from harness import wait, wire
from harness.maildir import SHARED, Mailboxes
from harness.messages import Ledger
from harness.programs import binary
from harness.provider import USER
from harness.runner import check, equal, none

from .expect import fresh, not_pending
from .sent import AUTHOR, all_sent, bounce, expect_flush, letter_out, nothing_to_send, still_queued, waiting

BUSY = {"rcpt": wire.say(b"450 4.2.1 busy")}
NOBODY = {"rcpt": wire.say(b"550 5.1.1 no such person")}


def register(suite):
    suite.case("queue/second-run-at-once-does-not-try")(not_yet)
    suite.case("queue/retry-by-hand")(retry)
    suite.case("queue/hold-and-release")(hold)
    suite.case("queue/remove")(remove)
    suite.case("queue/the-hand-says-what-it-did")(says_what_it_did)
    suite.case("queue/works-without-secrets")(without_secrets)
    suite.case("queue/works-without-outbound")(without_outbound)
    suite.case("queue/damaged")(damaged)
    suite.case("queue/cannot-be-read")(unreadable)
    suite.case("queue/nothing-can-be-written-down")(no_notes)
    suite.case("queue/show")(show)
    suite.case("queue/unknown-id")(unknown_id)
    suite.case("queue/mailq")(mailq)
    suite.case("queue/list-during-a-flush")(list_during_flush)
    suite.case("queue/submitted-during-a-flush")(submit_during_flush)
    suite.case("queue/two-runs")(two_runs)
    suite.case("queue/SIGTERM-during-a-flush")(stopped)
    suite.case("queue/free-after-kill")(free_after_kill)
    suite.case("queue/lifetime-over")(lifetime)
    suite.case("queue/lifetime-over-and-host-never-there")(lifetime_unreachable)
    suite.case("queue/delay-notice")(delay_notice)
    for name in BOUNCE_TARGETS:
        suite.case(f"queue/bounce-into-{name}", name)(bounce_into)
    for how in ("retry-all", "by-hand"):
        suite.case(f"queue/bounce-waits-for-the-target/{how}", how)(bounce_waits)
    suite.case("queue/bounce-refused")(bounce_refused)
    suite.case("queue/no-bounce-for-a-bounce")(no_bounce_for_bounce)
    suite.case("queue/bounce-with-the-whole-message")(bounce_whole)
    suite.case("queue/bounce-of-eight-bit")(bounce_eight_bit)
    suite.case("queue/from-of-the-system")(from_system)
    suite.case("queue/eight-bit-as-it-is")(eight_bit_as_it_is)
    suite.case("queue/convert-eight-bit")(convert)
    suite.case("queue/never-converts-what-is-signed")(never_signed)
    suite.case("queue/smtputf8-where-the-host-has-none")(smtputf8_missing)
    suite.case("queue/too-big-by-size")(too_big)
    suite.case("queue/several-messages-on-a-connection")(one_connection)
    suite.case("queue/host-that-takes-three-on-a-connection")(three_on_a_connection)
    for most in (1, 3):
        suite.case(f"queue/max-connections-{most}", most)(max_connections)
    suite.case("queue/hundred-and-fifty-recipients")(many_recipients)
    suite.case("queue/pop-before-smtp")(pop_before_smtp)
    suite.case("queue/pop-before-smtp-refused")(pop_refused)


# When, and by hand

def not_yet(bench):
    """The time of the next try is honoured across runs; --retry-all overrides it."""
    letters, host, customer = waiting(bench, BUSY)
    expect_flush(customer.flush(), "deferred", deferred=1)
    seen = len(host.connections)
    nothing_to_send(customer.flush())
    equal(len(host.connections), seen, "connections of the run before its time")
    entry = still_queued(customer, letters)[0]
    check("busy" in str(entry), f"the last reply is not shown: {entry}")
    host.script.steps.clear()
    expect_flush(customer.flush("--retry-all"), "sent", tally=all_sent(letters))


def retry(bench):
    """`odmr queue retry` makes that message due, and no other."""
    letters, host, customer = waiting(bench, BUSY, count=2)
    expect_flush(customer.flush(), "deferred", deferred=2)
    host.script.steps.clear()
    first = customer.queue()[0]["id"]
    equal(customer.run("queue", "retry", first).status, 0, "exit status of retry")
    expect_flush(customer.flush(), "sent", messages=1, recipients=1, bytes=len(letters[0].data))
    none(Ledger(letters).problems(host.deliveries(1), {letters[0].id: letters[0].recipients}))


def hold(bench):
    letters, host, customer = waiting(bench)
    id_ = customer.queue()[0]["id"]
    equal(customer.run("queue", "hold", id_).status, 0, "exit status of hold")
    nothing_to_send(customer.flush("--retry-all"))
    equal(host.connections, [], "connections while held")
    still_queued(customer, letters)
    equal(customer.run("queue", "release", id_).status, 0, "exit status of release")
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))


def remove(bench):
    """Gone without a word to anybody."""
    letters, host, customer = waiting(bench, count=2)
    equal(customer.run("queue", "remove", customer.queue()[0]["id"]).status, 0, "exit status of remove")
    still_queued(customer, letters[1:])
    expect_flush(customer.flush(), "sent", tally=all_sent(letters[1:]))
    equal(customer.local.transactions, [], "notices")


def says_what_it_did(bench):
    """One line, or one object; and a held message is not made due by asking for it."""
    letters, _, customer = waiting(bench, count=2)
    first = customer.queue()[0]["id"]
    equal(customer.run("queue", "hold", "--all").stdout, "held 2 messages\n", "hold")
    result = customer.run("queue", "retry", first)
    check(result.status == 75 and "release" in result.stderr, f"retry: exit {result.status}, {result.stderr!r}")
    equal(customer.run("queue", "release", first, "--json").objects, [{"done": "released", "messages": 1}], "release")
    equal(customer.run("queue", "retry", first).stdout, "made due 1 message\n", "retry")
    equal(customer.run("queue", "remove", first).stdout, "removed 1 message\n", "remove")
    still_queued(customer, letters[1:])


def without_secrets(bench):
    """Who looks at the queue, and works on it, needs no password; and a slip elsewhere is the business of `check`."""
    letters, _, customer = waiting(bench)
    id_ = customer.queue()[0]["id"]
    customer.tables["outbound"].update({"user": "gateway.example", "password_file": "/no/such/file"})
    customer.deliver["slip"] = "of the pen"
    still_queued(customer, letters)
    equal(customer.called("mailq").status, 0, "exit status of mailq")
    for action in ("show", "hold", "release", "retry", "remove"):
        equal(customer.run("queue", action, id_).status, 0, f"exit status of {action}")


def without_outbound(bench):
    """Mail that nothing would send is not hidden: the list has it, and each run says that it waits."""
    letters, _, customer = waiting(bench)
    id_ = customer.queue()[0]["id"]
    outbound = customer.tables.pop("outbound")
    still_queued(customer, letters)
    result = customer.flush()
    check("no [outbound]" in result.stderr, f"the log: {result.stderr}")
    equal(customer.run("queue", "retry", id_).status, 78, "exit status of retry")
    for action in ("show", "hold", "release"):
        equal(customer.run("queue", action, id_).status, 0, f"exit status of {action}")
    customer.tables["outbound"] = outbound
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))


def held_file(customer, id_):
    return os.path.join(customer.top["state_dir"], "queue", "held", id_)


def damaged(bench):
    """Set aside, but not in silence: the run's outcome, a word in each later run, and in the list."""
    letters, _, customer = waiting(bench, count=2)
    id_ = customer.queue()[0]["id"]
    with open(held_file(customer, id_), "r+b") as file:
        file.seek(-100, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    flush = expect_flush(customer.flush(), "state", tally=all_sent(letters[1:]))
    check(f"corrupt/{id_}" in flush["text"], f"text {flush['text']!r}")
    result = customer.flush()
    nothing_to_send(result)
    check("corrupt" in result.stderr, f"the log: {result.stderr}")
    check("1 damaged message" in customer.run("queue", "list").stderr, "the list does not tell")


def unreadable(bench):
    """What cannot be read waits, and is said every time; what is written about it is not guessed at."""
    letters, host, customer = waiting(bench, count=2)
    id_ = customer.queue()[0]["id"]
    os.mkfifo(held_file(customer, id_) + ".done")
    flush = expect_flush(customer.flush(), "deferred", tally=all_sent(letters[1:]))
    check(id_ in flush["text"], f"text {flush['text']!r}")
    result = customer.run("queue", "list")
    check("cannot be read" in result.stdout + result.stderr, f"the list: {result.stdout} {result.stderr}")
    os.unlink(held_file(customer, id_) + ".done")
    customer.flush("--retry-all")
    none(Ledger(letters).problems(host.deliveries(2)))


def no_notes(bench):
    """With no file allowed to grow nothing is sent: what is not written down would go again with every run."""
    host = bench.host(recipient_replies={"late@elsewhere.example": [b"450 4.2.1 busy"]})
    _, _, customer = waiting(bench, host=host, count=0)
    letter = letter_out(bench, recipients=["good@elsewhere.example", "late@elsewhere.example"])
    customer.submit(letter)
    command = [binary("odmr"), "run", "--send-only", "--retry-all", "--config", customer.configuration()]
    for _ in range(3):
        done = subprocess.run(["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command], env=customer.environment(),
                              capture_output=True, check=False, timeout=60)
        equal(done.returncode, 73, "exit status")
        check(b"written down" in done.stderr, f"{done.stderr!r}")
    equal(host.connections, [], "connections")
    customer.flush("--retry-all")
    equal([copy.recipient for copy in host.deliveries(1)], ["good@elsewhere.example"], "who has it")


def show(bench):
    letters, _, customer = waiting(bench)
    id_ = customer.queue()[0]["id"]
    shown = customer.run("queue", "show", id_)
    equal(shown.status, 0, "exit status of show")
    for what in (id_, AUTHOR, *letters[0].recipients):
        check(what in shown.stdout, f"{what} is not in {shown.stdout!r}")


def unknown_id(bench):
    letters, _, customer = waiting(bench)
    for action in ("show", "retry", "hold", "release", "remove"):
        result = customer.run("queue", action, "no-such-id")
        check(result.status != 0 and result.stderr.strip(), f"{action}: exit {result.status}, {result.stderr!r}")
    still_queued(customer, letters)


def mailq(bench):
    """The same list under the name that every administrator knows."""
    letters, _, customer = waiting(bench)
    result = customer.called("mailq")
    equal(result.status, 0, "exit status")
    for what in (customer.queue()[0]["id"], AUTHOR, *letters[0].recipients):
        check(what in result.stdout, f"{what} is not in {result.stdout!r}")


# While a flush is under way

def held_flush(bench, step, letters=1, **table):
    """A flush that waits at a step of the smart host until the gate opens."""
    gate, reached = threading.Event(), threading.Event()

    def stay(conversation, normal):
        reached.set()
        return wire.gate(gate)(conversation, normal)
    letters, host, customer = waiting(bench, {step: [stay]}, count=letters, **table)
    running = customer.start("run", "--json", "--send-only")
    bench.stack.callback(running.kill)
    check(reached.wait(20), f"{step} never reached:\n{running.output(1)}")
    return gate, letters, host, customer, running


def list_during_flush(bench):
    """The list needs no lock; what is being sent at this moment cannot be taken away."""
    gate, letters, host, customer, running = held_flush(bench, "dot")
    id_ = still_queued(customer, letters)[0]["id"]
    equal(customer.run("queue", "remove", id_).status, 75, "exit status of remove")
    gate.set()
    expect_flush(running.finish(), "sent", tally=all_sent(letters))


def submit_during_flush(bench):
    """Submission never waits for a flush. What came meanwhile goes with it, or with the next."""
    gate, letters, host, customer, running = held_flush(bench, "dot")
    late = letter_out(bench)
    customer.submit(late)
    gate.set()
    check(running.finish().status == 0, "exit status")
    customer.flush()
    none(Ledger([*letters, late]).problems(host.deliveries(2)))


def two_runs(bench):
    """Whoever comes second says so, and touches nothing."""
    gate, letters, host, customer, running = held_flush(bench, "dot")
    seen = len(host.connections)
    result = customer.flush("--retry-all")
    equal((result.status, {one["outcome"] for one in result.objects}), (75, {"locked"}), "exit status and outcomes")
    equal(len(host.connections), seen, "connections")
    gate.set()
    expect_flush(running.finish(), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(1)))


def stopped(bench):
    """The transaction in hand is finished, the rest stays for later."""
    gate, letters, host, customer, running = held_flush(bench, "dot", letters=3, max_connections=1)
    running.signal(signal.SIGTERM)
    wait.until(lambda: not_pending(running.pid, signal.SIGTERM), 5, "the signal is taken")
    gate.set()
    expect_flush(running.finish(20), "unavailable", tally=all_sent(letters[:1], deferred=None))
    still_queued(customer, letters[1:])
    expect_flush(customer.flush(), "sent", tally=all_sent(letters[1:]))
    none(Ledger(letters).problems(host.deliveries(3)))


def free_after_kill(bench):
    """kill -9 leaves no lock, and loses nothing: the next run sends what the host had not yet taken."""
    gate, letters, host, customer, running = held_flush(bench, "data", letters=3)
    running.kill()
    gate.set()
    host.wait_idle()
    taken = len(host.accepted())
    result = customer.flush()
    equal((result.status, result.session(None)["outcome"]), (0, "sent"), "exit status and outcome")
    equal(result.session(None)["sent"]["messages"], 3 - taken, "messages of the later run")
    none(Ledger(letters).problems(host.deliveries(3)))


# How it ends

TOO_LATE = "4.4.7"  # RFC 3463: delivery time expired, which is a transient error that lasted


def older_than(seconds, begun):
    wait.until(lambda: time.time() - begun > seconds, seconds + 5, "time goes by")


def lifetime(bench):
    """What is put off too long has failed, with the host's last word, and the author is told."""
    begun = time.time()
    letters, host, customer = waiting(bench, BUSY, lifetime="1s")
    older_than(2.5, begun)
    expect_flush(customer.flush("--retry-all"), "sent", bounced=1)
    _, groups = bounce(customer.local.deliveries(1)[0], letters[0], letters[0].recipients, status=TOO_LATE)
    check("busy" in str(groups[0]["Diagnostic-Code"]), f"Diagnostic-Code {groups[0]['Diagnostic-Code']!r}")
    equal(customer.queue(), [], "queue")


def lifetime_unreachable(bench):
    """The same where the host was never there to say anything: not forgotten in silence."""
    begun = time.time()
    letters, host, customer = waiting(bench, lifetime="1s")
    host.stop()
    older_than(2.5, begun)
    result = customer.flush("--retry-all")
    equal((result.status, result.session(None)["outcome"]), (75, "unavailable"), "exit status and outcome")
    equal(result.session(None)["sent"]["bounced"], 1, "bounced")
    bounce(customer.local.deliveries(1)[0], letters[0], letters[0].recipients, status=TOO_LATE)
    equal(customer.queue(), [], "queue")


def delay_notice(bench):
    """The author is told once that it takes longer; the message goes on waiting."""
    begun = time.time()
    letters, host, customer = waiting(bench, BUSY, delay_notice="1s")
    older_than(2.5, begun)
    for _ in range(2):
        expect_flush(customer.flush("--retry-all"), "deferred", deferred=1)
    copy, = customer.local.deliveries(1)
    bounce(copy, letters[0], letters[0].recipients, action="delayed", status="4")
    still_queued(customer, letters)


BOUNCE_TARGETS = ("smtp", "lmtp", "maildir", "dovecot", "postfix")


def bounce_into(bench, name):
    """The notice goes to the local target, whatever that is."""
    letters, host, customer = waiting(bench, NOBODY)
    if name == "maildir":
        boxes = Mailboxes(bench.path("boxes"))
        customer.deliver["to"] = f"maildir://{boxes.folder}/{SHARED}"
    else:
        target = bench.sink(lmtp=name == "lmtp") if name in ("smtp", "lmtp") else bench.target(name)
        customer.deliver["to"] = target.url
    expect_flush(customer.flush(), "sent", bounced=1)
    copies = boxes.read() if name == "maildir" else target.deliveries(1)
    equal([copy.recipient for copy in copies], [AUTHOR], "who is told")
    bounce(copies[0], letters[0], letters[0].recipients)


def bounce_waits(bench, how):
    """A local target that is down delays the notice; it is not lost, nor sent twice."""
    letters, host, customer = waiting(bench, NOBODY)
    customer.local.stop()
    result = customer.flush()
    equal(result.session(None)["sent"]["bounced"], 1, "bounced")
    check(customer.queue(), "the message is gone although nobody was told")
    customer.local.start()
    if how == "by-hand":
        equal(customer.run("queue", "retry", customer.queue()[0]["id"]).status, 0, "exit status of retry")
    customer.flush(*["--retry-all"] if how == "retry-all" else [])
    bounce(customer.local.deliveries(1)[0], letters[0])
    customer.flush("--retry-all")
    equal(len(customer.local.accepted()), 1, "notices")
    equal(customer.queue(), [], "queue")
    equal(len(host.connections), 1, "connections to the smart host")


def bounce_refused(bench):
    """The local target does not want the bounce: the run's outcome, and the word of each run after it."""
    _, host, customer = waiting(bench, NOBODY)
    customer.local.recipient_replies[AUTHOR] = [b"550 5.7.1 no bounces here"]
    flush = expect_flush(customer.flush(), "deferred", bounced=1)
    entry, = customer.queue()
    check(entry["id"] in flush["text"] and "no bounces here" in flush["text"], f"text {flush['text']!r}")
    equal((entry["stopped"], entry["reply"]), ("undeliverable", "550 5.7.1 no bounces here"), "in the list")
    check("no such person" in entry["recipients"][0]["reply"], f"the host's own words: {entry}")
    for _ in range(2):
        result = customer.flush()
        nothing_to_send(result)
        check(entry["id"] in result.stderr, f"the log: {result.stderr}")


def no_bounce_for_bounce(bench):
    """Nobody can be told about mail with the null reverse-path: it is not tried again, and the log and the list say
    that it is there."""
    _, host, customer = waiting(bench, NOBODY, count=0)
    customer.submit(letter_out(bench, reverse_path=""))
    expect_flush(customer.flush(), "sent", bounced=1)
    said = customer.results[-1].stderr
    entry, = customer.queue()
    check(any(line.startswith("error") and entry["id"] in line for line in said.splitlines()), f"the log: {said}")
    equal(entry["stopped"], "undeliverable", "in the list")
    nothing_to_send(customer.flush("--retry-all"))
    equal((customer.local.transactions, len(host.connections)), ([], 1), "notices, and connections to the host")


def bounce_whole(bench):
    letters, host, customer = waiting(bench, NOBODY, bounce="message")
    expect_flush(customer.flush(), "sent", bounced=1)
    notice, _ = bounce(customer.local.deliveries(1)[0], letters[0])
    equal(list(notice.iter_parts())[2].get_content_type(), "message/rfc822", "type of the third part")
    body = letters[0].data.partition(b"\r\n\r\n")[2]
    check(body in customer.local.deliveries(1)[0].data, "the message's text is not in the notice")


def bounce_eight_bit(bench):
    """A notice about a message with 8-bit header and body is in order, with whatever the host said."""
    reply = b"550 5.1.1 no \x1b[2J\xff\xfe such \xc3\xa4 person\r"
    _, host, customer = waiting(bench, {"dot": wire.say(reply)}, count=0)
    letter = bench.maker.eight_bit(reverse_path=AUTHOR, recipients=["friend@elsewhere.example"])
    customer.submit(letter)
    expect_flush(customer.flush(), "sent", bounced=1)
    copy = customer.local.deliveries(1)[0]
    bounce(copy, letter)
    check(b"\x1b" not in copy.data, "an escape sequence of the host is in the notice")


# What is sent

def from_system(bench):
    """A smart host that insists: reverse-path and From are the system's, the author stays in Reply-To."""
    letters, host, customer = waiting(bench, **{"from": "system@customer.example"})
    expect_flush(customer.flush(), "sent", messages=1, recipients=1, bytes=None)
    copy = host.deliveries(1)[0]
    equal(copy.reverse_path, "system@customer.example", "reverse-path")
    seen = email.message_from_bytes(copy.data, policy=email.policy.default)
    equal([address.addr_spec for address in seen["From"].addresses], ["system@customer.example"], "From")
    equal([address.addr_spec for address in seen["Reply-To"].addresses], ["author@sender.example"], "Reply-To")
    equal(copy.data.partition(b"\r\n\r\n")[2], letters[0].data.partition(b"\r\n\r\n")[2], "text")


SEVEN_BIT_HOST = ("PIPELINING", "SIZE 209715200")


def eight_bit_as_it_is(bench):
    """The default, even to a host without 8BITMIME."""
    host = bench.host(extensions=SEVEN_BIT_HOST)
    _, _, customer = waiting(bench, host=host, count=0)
    letter = bench.maker.eight_bit(reverse_path=AUTHOR, recipients=["friend@elsewhere.example"])
    customer.submit(letter)
    expect_flush(customer.flush(), "sent", tally=all_sent([letter]))
    none(Ledger([letter]).problems(host.deliveries(1)))
    check("BODY" not in host.transactions[0].mail, f"MAIL {host.transactions[0].mail!r} to a host without 8BITMIME")


def convert(bench):
    """Text becomes quoted-printable, and says the same; to a host with 8BITMIME it goes as it is."""
    text = "Grüße aus Köln, naïve café\r\n" * 20
    for extensions, is_converted in ((SEVEN_BIT_HOST, True), (("8BITMIME", *SEVEN_BIT_HOST), False)):
        host = bench.host(extensions=extensions)
        _, _, customer = waiting(bench, host=host, count=0, convert_8bit=True)
        letter = bench.maker.make(text.encode(), reverse_path=AUTHOR, recipients=["friend@elsewhere.example"])
        customer.submit(letter)
        expect_flush(customer.flush(), "sent", messages=1, recipients=1, bytes=None)
        data = host.deliveries(1)[0].data
        equal(all(byte < 128 for byte in data), is_converted, "7-bit")
        seen = email.message_from_bytes(data, policy=email.policy.default)
        equal(seen.get_content().replace("\r\n", "\n"), text.replace("\r\n", "\n"), "text")
        if not is_converted:
            none(Ledger([letter]).problems(host.deliveries(1)))


SIGNED = """\
Content-Type: multipart/signed; boundary=outer; protocol="application/pgp-signature"; micalg=pgp-sha256\r
\r
--outer\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
\r
Grüße, unterschrieben\r
--outer\r
Content-Type: application/pgp-signature\r
\r
no real signature\r
--outer--\r
"""


def never_signed(bench):
    """A signature holds for exactly these bytes: they go as they are, wherever they stand."""
    host = bench.host(extensions=SEVEN_BIT_HOST)
    _, _, customer = waiting(bench, host=host, count=0, convert_8bit=True)
    letters = [bench.maker.make(reverse_path=AUTHOR, recipients=["friend@elsewhere.example"]) for _ in range(2)]
    head = letters[0].data.partition(b"MIME-Version")[0] + b"MIME-Version: 1.0\r\n"
    letters[0].data = head + SIGNED.encode()
    head = letters[1].data.partition(b"MIME-Version")[0] + b"MIME-Version: 1.0\r\n"
    letters[1].data = (head + b"Content-Type: multipart/mixed; boundary=wide\r\n\r\n--wide\r\n" + SIGNED.encode()
                       + b"--wide--\r\n")
    customer.submit(*letters)
    expect_flush(customer.flush(), "sent", tally={**all_sent(letters), "bytes": None})
    for copy in host.deliveries(2):
        check(SIGNED.encode().partition(b"\r\n\r\n")[2] in copy.data, f"signed part changed: {copy.data[-600:]!r}")


def smtputf8_missing(bench):
    """No conversion of addresses: a bounce with 5.6.7; other mail goes."""
    host = bench.host(extensions=("PIPELINING", "8BITMIME"))
    plain, _, customer = waiting(bench, host=host)
    letter = letter_out(bench, ["jörg@elsewhere.example"])
    customer.submit(letter)
    expect_flush(customer.flush(), "sent", tally=all_sent(plain, bounced=1))
    _, groups = bounce(customer.local.deliveries(1)[0], letter)
    equal(groups[0]["Status"], "5.6.7", "Status")
    check(not any("jörg" in command for command in host.commands), "the address was sent")


def too_big(bench):
    """The host's SIZE tells beforehand: a bounce, without the body having gone over the line."""
    host = bench.host(extensions=("PIPELINING", "8BITMIME", "SIZE 100000"))
    small, _, customer = waiting(bench, host=host)
    letter = bench.maker.big(200_000, reverse_path=AUTHOR, recipients=["friend@elsewhere.example"])
    customer.submit(letter)
    expect_flush(customer.flush(), "sent", tally=all_sent(small, bounced=1))
    _, groups = bounce(customer.local.deliveries(1)[0], letter)
    check(groups[0]["Status"] in ("5.3.4", "5.2.3"), f"Status {groups[0]['Status']}")
    none(Ledger([*small, letter]).problems(host.deliveries(1), {small[0].id: small[0].recipients}))


def one_connection(bench):
    letters, host, customer = waiting(bench, count=20, max_connections=1)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))
    equal(len(host.connections), 1, "connections")
    none(Ledger(letters).problems(host.deliveries(20)))


def three_on_a_connection(bench):
    """Exim and others say 421 after so many: no reason to stop, another connection takes the next three."""
    def mail(conversation, normal):
        conversation.taken = getattr(conversation, "taken", 0) + 1
        if conversation.taken > 3:
            return wire.say_then_cut(b"421 4.7.0 too many messages on this connection\r\n")(conversation, normal)
        conversation.line.write(normal)
        return normal
    letters, host, customer = waiting(bench, {"mail": mail}, count=10)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(10)))


def max_connections(bench, most):
    """As many as allowed at once, and never more: the host holds each back until it has seen that many."""
    all_here = threading.Event()

    def together(conversation, normal):
        if conversation.sink.open_count == most:
            all_here.set()
        return wire.gate(all_here)(conversation, normal)
    letters, host, customer = waiting(bench, fresh({"mail": together}), count=30, max_connections=most)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))
    equal((host.most_open, len(host.connections)), (most, most), "connections at once, and in all")
    none(Ledger(letters).problems(host.deliveries(30)))


def many_recipients(bench):
    """More than a hundred recipients are split (RFC 5321 4.5.3.1.8); each gets it once."""
    _, host, customer = waiting(bench, count=0)
    letter = letter_out(bench, [f"friend{n}@elsewhere.example" for n in range(150)])
    customer.submit(letter)
    expect_flush(customer.flush(), "sent", tally=all_sent([letter]))
    check(max(len(t.rcpts) for t in host.accepted()) <= 100, "more than 100 recipients in one transaction")
    none(Ledger([letter]).problems(host.deliveries(150)))


# A smart host that takes mail from whoever has just asked for his own

def opened_by_pop(bench):
    pop, host = bench.pop(), bench.host()

    def mail(conversation, normal):
        reply = normal if pop.logins else b"530 5.7.0 fetch your mail first\r\n"
        conversation.line.write(reply)
        return reply
    host.script.steps["mail"] = mail
    letters, _, customer = waiting(bench, host=host)
    customer.tables["outbound.pop_before_smtp"] = {
        "host": bench.authority.name, "port": pop.port, "tls": "starttls", "ca_file": bench.authority.ca_file,
        "user": USER, "password_file": customer.secret}
    return letters, host, pop, customer


def pop_before_smtp(bench):
    letters, host, pop, customer = opened_by_pop(bench)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(1)))
    equal(pop.logins, 1, "POP logins")
    check("STLS" in pop.commands[:2], f"no TLS before the login: {pop.commands}")


def pop_refused(bench):
    """A wrong POP password is a wrong password: nothing is lost, and the smart host is left alone."""
    letters, host, pop, customer = opened_by_pop(bench)
    customer.tables["outbound.pop_before_smtp"].update({"password_file": None, "password": "wrong horse"})
    expect_flush(customer.flush(), "auth", deferred=None)
    equal(host.transactions, [], "transactions at the smart host")
    still_queued(customer, letters)
