"""odmrd as provider: for odmr with every mechanism, and for fetchmail, which nobody here wrote."""

import base64
import hashlib
import hmac
import re
import resource
import socket
import ssl

from harness import fetchmail, wait
from harness.messages import Ledger
from harness.programs import HOSTNAME
from harness.provider import PASSWORD, USER
from harness.runner import check, equal, none
from harness.wire import Cut, Line

from .targets import arrived, fetched

MECHANISMS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN")


def register(suite):
    suite.case("odmrd/fetchmail-into-postfix")(fetchmail_into_postfix)
    suite.case("odmrd/fetchmail-finds-no-mail")(fetchmail_no_mail)
    for mechanism in MECHANISMS:
        suite.case(f"odmrd/odmr/{mechanism}", mechanism)(mechanism_against_odmrd)
        suite.case(f"odmrd/odmr/{mechanism}/wrong-password", mechanism)(wrong_password)
    for tls in ("none", "implicit"):
        suite.case(f"odmrd/odmr/tls-{tls}", tls)(by_tls)
    for kind in ("postfix", "exim", "opensmtpd", "dovecot"):
        suite.case(f"odmrd/odmr/mixture-into-{kind}", kind)(mixture)
    suite.case("odmrd/odmr/50-MiB")(fifty_mib)
    suite.case("odmrd/odmr/no-mail")(no_mail)
    suite.case("odmrd/odmr/put-off-stays-in-the-spool")(put_off)
    suite.case("odmrd/idle-connections/many-addresses")(idle_from_many)
    suite.case("odmrd/idle-connections/one-address")(idle_from_one)
    suite.case("odmrd/enqueue-for-nobody")(enqueue_for_nobody)
    for allowed in ("several", "one"):
        suite.case(f"odmrd/odmr/parallel/{allowed}-at-a-time", allowed)(parallel)
    for name, commands in DIALOGUES.items():
        suite.case(f"odmrd/dialogue/{name}", commands)(dialogue)
    suite.case("odmrd/dialogue/starttls-throws-away-clear-text")(injection)
    for mechanism in ("CRAM-MD5", "PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "EXTERNAL"):
        suite.case(f"scripted-provider/{mechanism}", mechanism)(mechanism_against_script)


def held(daemon, letters):
    for letter in letters:
        equal(daemon.enqueue(letter), 0, "exit status of odmrd enqueue")


def fetchmail_into_postfix(bench):
    """CRAM-MD5 in clear text, the only thing fetchmail's ODMR mode can do."""
    target, daemon = bench.target("postfix"), bench.daemon().start()
    letters = bench.maker.mixture()
    held(daemon, letters)
    result = fetchmail.fetch(bench.path("fetchmail"), daemon.port, USER, PASSWORD,
                             ["customer.example", "second.example"], target.port)
    equal(result.status, 0, f"fetchmail's exit status\n{result.output[-2000:]}")
    arrived_without_us(target, letters)
    equal(daemon.spool().count("@"), 0, f"addresses left in the spool:\n{daemon.spool()}")


def arrived_without_us(target, letters):
    none(Ledger(letters).problems(target.deliveries(sum(len(letter.recipients) for letter in letters))))


def fetchmail_no_mail(bench):
    target, daemon = bench.target("postfix"), bench.daemon().start()
    result = fetchmail.fetch(bench.path("fetchmail"), daemon.port, USER, PASSWORD, ["customer.example"], target.port)
    check(result.status in (0, 1), f"fetchmail's exit status {result.status}\n{result.output[-2000:]}")
    check("453" in result.output, f"no 453 seen:\n{result.output[-2000:]}")


def idle(bench, daemon, count, address):
    """Connections that say nothing, until the case is over; nothing of what they hear is read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    for _ in range(count):
        bench.stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 10, (address, 0)))


def served_beside(bench, daemon):
    """A customer gets his mail as if he were alone; what odmrd then takes of memory, in KiB."""
    letter = bench.maker.make()
    held(daemon, [letter])
    sink = bench.sink()
    result = bench.customer(sink, daemon).run()
    equal((result.status, result.session()["outcome"]), (0, "fetched"), "exit status and outcome")
    none(Ledger([letter]).problems(sink.deliveries(1)))
    check(result.session()["seconds"] < 2, f"the customer waited {result.session()['seconds']} s")
    with open(f"/proc/{daemon.child.process.pid}/status", encoding="ascii") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    check(resident < 64 << 10, f"odmrd takes {resident} KiB")
    return resident


def idle_from_many(bench):
    """512 sessions hang, all there is room for but the customer's, and each is one."""
    daemon = bench.daemon(max_connections=520).start()
    alone = served_beside(bench, daemon)
    for number in range(16):
        idle(bench, daemon, 32, f"127.0.1.{number}")
    among = served_beside(bench, daemon)
    equal(daemon.child.output().count("turned away"), 0, "connections turned away")
    check(among - alone < 512 * 32, f"{(among - alone) / 512:.1f} KiB for an idle connection")


def idle_from_one(bench):
    """More than there is room for, from one address: it does not get all of it."""
    daemon = bench.daemon().start()
    idle(bench, daemon, 600, "127.0.0.2")
    wait.until(lambda: daemon.child.output().count("turned away: too many connections") == 550, 20, "550 turned away")
    served_beside(bench, daemon)


def secured(bench, tls="starttls"):
    return bench.daemon(tls=tls, certificate=bench.authority.good()).start()


def mechanism_against_odmrd(bench, mechanism):
    """Verified STARTTLS, and the login is made with exactly this mechanism."""
    sink, daemon, letters = bench.sink(), secured(bench), [bench.maker.make()]
    held(daemon, letters)
    customer = bench.customer(sink, daemon, auth=[mechanism]).verify_with(bench.authority)
    result = customer.run()
    equal(result.status, 0, "exit status")
    session = result.session()
    equal((session["outcome"], session["auth"]), ("fetched", mechanism), "outcome and mechanism")
    check(session["tls"] in ("TLSv1.2", "TLSv1.3"), f"tls {session['tls']!r}")
    arrived(sink, letters)


def wrong_password(bench, mechanism):
    sink, daemon, letters = bench.sink(), secured(bench), [bench.maker.make()]
    held(daemon, letters)
    customer = bench.customer(sink, daemon, auth=[mechanism], password_file=None, password="wrong horse")
    customer.verify_with(bench.authority)
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (77, "auth"), "exit status and outcome")
    check("customer.example" in daemon.spool(), "the mail is no longer held")


def by_tls(bench, tls):
    sink, letters = bench.sink(), [bench.maker.make()]
    daemon = bench.daemon().start() if tls == "none" else secured(bench, tls)
    held(daemon, letters)
    customer = bench.customer(sink, daemon)
    if tls != "none":
        customer.verify_with(bench.authority, tls)
    equal(customer.run().status, 0, "exit status")
    arrived(sink, letters)


def mixture(bench, kind):
    """From enqueue to mailbox to the byte, through both our programs and a real target."""
    target, daemon = bench.target(kind), secured(bench)
    letters = bench.maker.mixture() + [
        bench.maker.make(recipients=["anna@customer.example", "bert@second.example"])]
    held(daemon, letters)
    result = bench.customer(target, daemon).verify_with(bench.authority).run()
    equal(result.status, 0, "exit status")
    arrived(target, letters)
    equal(result.session()["received"]["messages"], len(letters), "messages")


def fifty_mib(bench):
    sink, daemon, letters = bench.sink(), secured(bench), [bench.maker.big()]
    held(daemon, letters)
    result = bench.customer(sink, daemon).verify_with(bench.authority).run()
    equal(result.status, 0, "exit status")
    arrived(sink, letters)
    check(result.rss_kib < 100 * 1024, f"{result.rss_kib} KiB resident")


def no_mail(bench):
    result = bench.customer(bench.sink(), secured(bench)).verify_with(bench.authority).run()
    session = result.session()
    equal((result.status, session["outcome"], session["reply"][:3]), (0, "no-mail", "453"), "status, outcome, reply")


def parallel(bench, allowed):
    """The domains are spread over two ATRN sessions; where odmrd allows one, the other domain's mail comes after it."""
    daemon = bench.daemon(customer={"one_atrn_at_a_time": allowed == "one"}).start()
    letters = [bench.maker.make(recipients=[f"anna@{domain}"]) for domain in ("customer.example", "second.example") * 20]
    letters.append(bench.maker.make(recipients=["anna@customer.example", "bert@second.example"]))
    held(daemon, letters)
    sink = bench.sink()
    customer = bench.customer(sink, daemon, parallel=2)
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (0, "fetched"), "exit status and outcome")
    check(result.session()["connections"] >= 2, "one connection took all")
    again = customer.run()
    equal(again.status, 0, "exit status of the second run")
    none(Ledger(letters).problems(sink.deliveries(len(letters) + 1), our_name=HOSTNAME))
    both = re.search(r"allows no further ATRN at a time", result.stderr)
    equal(both is not None, allowed == "one", "told that one at a time is allowed")


def put_off(bench):
    sink = bench.sink(recipient_replies={"later@customer.example": [b"450 4.2.1 busy"]})
    daemon = secured(bench)
    letter = bench.maker.make(recipients=["anna@customer.example", "later@customer.example"])
    held(daemon, [letter])
    customer = bench.customer(sink, daemon).verify_with(bench.authority)
    equal(customer.run().status, 75, "exit status")
    check("customer.example" in daemon.spool(), "the put-off message is no longer held")
    sink.recipient_replies.clear()
    equal(customer.run().status, 0, "exit status of the later run")
    arrived(sink, [letter])


def enqueue_for_nobody(bench):
    equal(bench.daemon().enqueue(bench.maker.make(recipients=["a@elsewhere.example"])), 67, "exit status")


# What a customer may and may not say: (command, code of the reply), on a listener without TLS.
# The word LOGIN stands for a login with CRAM-MD5.
DIALOGUES = {
    "atrn-before-auth": [("EHLO x", 250), ("ATRN customer.example", 530), ("QUIT", 221)],
    "no-mail": [("EHLO x", 250), ("LOGIN", 235), ("ATRN customer.example", 453)],
    "foreign-domain": [("EHLO x", 250), ("LOGIN", 235), ("ATRN elsewhere.example", 450)],
    "one-foreign-domain-among-own": [("EHLO x", 250), ("LOGIN", 235), ("ATRN customer.example,elsewhere.example", 450)],
    "domain-in-capitals": [("EHLO x", 250), ("LOGIN", 235), ("ATRN CUSTOMER.EXAMPLE", 453)],
    "all-domains": [("EHLO x", 250), ("LOGIN", 235), ("ATRN", 453)],
    "second-login": [("EHLO x", 250), ("LOGIN", 235), ("AUTH CRAM-MD5", 503)],
    "login-cancelled": [("EHLO x", 250), ("AUTH CRAM-MD5", 334), ("*", 501), ("LOGIN", 235)],
    "unknown-mechanism": [("EHLO x", 250), ("AUTH NTLM", 504), ("QUIT", 221)],
    "atrn-syntax": [("EHLO x", 250), ("LOGIN", 235), ("ATRN a.example, b.example", 501)],
}


def dialogue(bench, commands):
    daemon = bench.daemon().start()
    line = Line(socket.create_connection(("127.0.0.1", daemon.port), 20), 20)
    equal(line.read_reply()[0], 220, "greeting")
    for command, wanted in commands:
        code = log_in(line) if command == "LOGIN" else ask(line, command)
        equal(code, wanted, f"reply to {command}")
    line.close()


def ask(line, command):
    line.write(command.encode() + b"\r\n")
    return line.read_reply()[0]


def log_in(line):
    """CRAM-MD5 as a customer."""
    line.write(b"AUTH CRAM-MD5\r\n")
    challenge = base64.b64decode(line.read_reply()[1][4:])
    digest = hmac.new(PASSWORD.encode(), challenge, hashlib.md5).hexdigest()
    return ask(line, base64.b64encode(f"{USER} {digest}".encode()).decode())


def injection(bench):
    """CVE-2011-0411: commands sent behind STARTTLS in clear text are not executed inside TLS."""
    daemon = secured(bench)
    line = Line(socket.create_connection(("127.0.0.1", daemon.port), 20), 20)
    line.read_reply()
    ask(line, "EHLO x")
    line.write(b"STARTTLS\r\nEHLO injected\r\n")
    context = ssl.create_default_context(cafile=bench.authority.ca_file)
    try:
        equal(line.read_reply()[0] // 100, 2, "reply to STARTTLS")
        line.sock = context.wrap_socket(line.sock, server_hostname="localhost")
        line.sock.settimeout(20)
        equal(line.buffer, b"", "clear text behind the reply")
        line.write(b"QUIT\r\n")
        code, _ = line.read_reply()
        equal(code, 221, "first reply inside TLS")
    except (Cut, OSError, AssertionError) as error:
        # Refusing or closing is as good; answering the injected command is not.
        check("first reply" not in str(error), str(error))


def mechanism_against_script(bench, mechanism):
    """A provider written by other hands; EXTERNAL by TLS client certificate."""
    sink, letters = bench.sink(), [bench.maker.make()]
    isp = bench.provider(letters, tls="starttls", certificate=bench.authority.good(), mechanisms=(mechanism,),
                         client_ca=bench.authority.ca_file)
    customer = bench.customer(sink, isp).verify_with(bench.authority)
    if mechanism == "EXTERNAL":
        mine = bench.authority.client()
        customer.isp.update({"client_certificate": mine.certificate, "client_key": mine.key})
    result = customer.run()
    equal(result.status, 0, "exit status")
    equal(result.session()["auth"], mechanism, "auth")
    arrived(sink, letters)
    fetched(result, isp, letters)
