"""`odmr probe`: every step but ATRN; with --test-mail one message by the configured way. A report of each step."""

import email
import email.policy
import os
import pty
import select
import signal
import subprocess
import time

from harness import wait, wire
from harness.programs import binary
from harness.runner import check, equal

from .outcomes.expect import held_run, scripted
from .outcomes.sent import FRIEND, letter_out

# Among the steps that are told, in this order.
STEPS = {
    "starttls": ["connect", "greeting", "tls", "auth", "mail", "rcpt", "message"],
    "implicit": ["connect", "tls", "greeting", "auth", "mail", "rcpt", "message"],
    "none": ["connect", "greeting", "mail", "rcpt", "message"],
}


def register(suite):
    for kind, tls in (("postfix", "starttls"), ("exim", "implicit"), ("opensmtpd", "none")):
        suite.case(f"test-mail/{kind}", kind, tls)(taken)
    suite.case("test-mail/over-the-provider")(over_provider)
    for name, (at, reply, step, status) in FAILURES.items():
        suite.case(f"test-mail/{name}", at, reply, step, status)(fails)
    suite.case("test-mail/wrong-password")(wrong_password)
    suite.case("test-mail/no-address")(no_address)
    suite.case("probe/all-is-well")(all_is_well)
    suite.case("probe/nothing-is-made")(nothing_is_made)
    suite.case("probe/a-run-is-not-disturbed")(beside_a_run)
    suite.case("probe/each-part-is-tried")(each_part)
    suite.case("probe/certificate")(certificate)
    suite.case("probe/smart-host")(smart_host)
    suite.case("probe/secret-that-cannot-be-read")(unreadable_secret)
    suite.case("probe/unknown-provider")(unknown_provider)
    suite.case("probe/port-386")(port_386)
    suite.case("probe/silent-port")(silent_port)
    suite.case("probe/too-few-descriptors")(too_few_descriptors)


# What the host says, the step that has to report it, and the exit status.
FAILURES = {
    "554-greeting": ("greeting", b"554 5.3.2 go away", "greeting", 75),
    "454-to-starttls": ("starttls", b"454 4.7.0 no certificate today", "tls", 76),
    "550-to-rcpt": ("rcpt", b"550 5.1.1 no such person", "rcpt", 69),
    "450-to-rcpt": ("rcpt", b"450 4.2.1 mailbox busy", "rcpt", 75),
    "554-to-the-dot": ("dot", b"554 5.7.1 looks like spam", "message", 69),
}


def prepared(bench, host, tls):
    return bench.customer(bench.sink(), bench.provider()).send_through(host, tls)


def probe(customer):
    """(result, steps told)."""
    result = customer.run("probe", "--test-mail", FRIEND, "--json")
    return result, result.objects


def taken(bench, kind, tls):
    """A message that a person can make sense of arrives, nothing else does, and nothing stays in the queue."""
    host = bench.smart_host(kind)
    customer = prepared(bench, host, tls)
    waiting = letter_out(bench)
    customer.submit(waiting)
    result, steps = probe(customer)
    equal((result.status, [step["step"] for step in steps if not step["good"]]), (0, []), "exit status, failed steps")
    equal([step["step"] for step in steps if step["step"] in STEPS[tls]], STEPS[tls], "steps")
    copy, = host.deliveries(1)
    message = email.message_from_bytes(copy.data, policy=email.policy.default)
    for name in ("From", "To", "Date", "Message-ID", "Subject"):
        equal(len(message.get_all(name, [])), 1, f"fields {name}")
    check(message.get_content().strip(), "the message says nothing")
    equal(len(customer.queue()), 1, "messages in the queue: the one that was there")


def over_provider(bench):
    isp = bench.provider([bench.maker.make()], takes_mail=True)
    customer = bench.customer(bench.sink(), isp)
    customer.tables["outbound"] = {"to": "provider"}
    result, _ = probe(customer)
    equal(result.status, 0, "exit status")
    equal((len(isp.transactions), isp.atrn_count(), len(isp.pending())), (1, 0, 1),
          "messages taken, ATRN commands, messages left")


def fails(bench, at, reply, step, status):
    """The report ends with the step that failed, and with the host's own words."""
    host = bench.host(tls="starttls", mechanisms=("PLAIN",), script={at: wire.say(reply)})
    result, steps = probe(prepared(bench, host, "starttls"))
    equal(result.status, status, "exit status")
    equal([one["step"] for one in steps if not one["good"]], [step], "failed steps")
    words = reply.decode().split(" ", 2)[2]
    check(words in next(one["text"] for one in steps if not one["good"]), f"{words!r} is not in {result.stdout!r}")
    equal(host.accepted(), [], "accepted")


def wrong_password(bench):
    host = bench.host(tls="starttls", mechanisms=("PLAIN",))
    customer = prepared(bench, host, "starttls")
    customer.tables["outbound"].update({"password_file": None, "password": "wrong horse"})
    result, steps = probe(customer)
    equal(result.status, 77, "exit status")
    equal([one["step"] for one in steps if not one["good"]], ["auth"], "failed steps")
    check("wrong horse" not in result.stdout + result.stderr, "the password is in the output")


def no_address(bench):
    host = bench.host()
    customer = prepared(bench, host, "none")
    equal(customer.run("probe", "--test-mail", "nobody at all").status, 64, "exit status")
    equal(host.connections, [], "connections")


# --- without a message

def probe_all(customer, *more):
    """(result, objects), whose text may not hold the password either."""
    result = customer.run("probe", "--json", *more)
    return result, result.objects


def failures(objects):
    return [(one["part"], one["step"]) for one in objects if not one["good"] and one["result"] == "fail"]


def all_is_well(bench):
    """Everything is told, ATRN is not said, no message moves."""
    isp, sink, customer = scripted(bench, {})
    equal(customer.run().status, 0, "exit status of the run before")
    before = isp.atrn_count()
    isp.put(bench.maker.make())
    said = len(sink.commands)
    result, objects = probe_all(customer)
    equal((result.status, failures(objects)), (0, []), "exit status, failures")
    equal([one["step"] for one in objects if one["part"] == "provider"],
          ["name", "connect", "greeting", "hello", "mechanism", "auth", "tls", "atrn", "quit"], "steps with the provider")
    equal([one["step"] for one in objects if one["part"] == "target" and one["step"] == "rcpt"], ["rcpt", "rcpt"],
          "a recipient for each domain")
    equal([one["step"] for one in objects if one["part"] == "state"], ["directory", "space", "lock", "journal"],
          "steps with the state directory")
    check(all(one["seconds"] >= 0 for one in objects), "a time below nothing")
    equal((isp.atrn_count(), len(isp.pending()), len(sink.deliveries())), (before, 1, 1), "ATRN, kept, delivered")
    check("DATA" not in [command.upper() for command in sink.commands[said:]], "DATA was said to the target")


def nothing_is_made(bench):
    _, _, customer = scripted(bench, {})
    customer.deliver["to"] = "maildir://" + os.path.join(customer.folder, "Maildir")
    result, _ = probe_all(customer)
    equal(result.status, 0, "exit status")
    for path in (customer.top["state_dir"], os.path.join(customer.folder, "Maildir")):
        check(not os.path.exists(path), f"{path} was made")


def beside_a_run(bench):
    gate, _, _, customer, running = held_run(bench)
    result, objects = probe_all(customer)
    equal((result.status, failures(objects)), (0, []), "exit status, failures")
    lock = next(one for one in objects if one["step"] == "lock")
    check("a run is at work" in lock["text"], f"the lock: {lock}")
    gate.set()
    equal(running.finish().status, 0, "exit status of the run")


def each_part(bench):
    """One failure in each part, each with its remedy, and the exit status of the gravest."""
    isp, sink, customer = scripted(bench, {"auth-final": wire.say(b"535 5.7.8 no")})
    sink.stop()
    os.makedirs(customer.top["state_dir"])
    os.chown(customer.top["state_dir"], 65534, 65534)
    result, objects = probe_all(customer)
    equal(result.status, 73, "exit status")
    equal(failures(objects), [("provider", "auth"), ("target", "connect"), ("state", "directory")], "failures")
    for one in objects:
        if one["result"] == "fail":
            check(one["remedy"] and one["cause"] and one["outcome"], f"no remedy in {one}")
    equal([one["part"] for one in objects if one["result"] == "skip"], ["provider", "target", "state"], "skipped once")
    equal(isp.atrn_count(), 0, "ATRN commands")


def certificate(bench):
    """The pin that is printed is one that works, and is asked for where nobody vouches for the certificate."""
    isp = bench.provider([], tls="starttls", certificate=bench.authority.good())
    customer = bench.customer(bench.sink(), isp)
    customer.isp.update({"host": bench.authority.name, "tls": "starttls"})
    result, objects = probe_all(customer)
    equal((result.status, failures(objects)), (76, [("provider", "certificate")]), "exit status, failures")
    failed = next(one for one in objects if one["step"] == "certificate")
    equal(failed["cause"], "certificate-of-unknown-issuer", "cause")
    pin = failed["remedy"].split('pin = ["')[1].split('"')[0]
    customer.isp["pin"] = [pin]
    result, objects = probe_all(customer)
    equal((result.status, failures(objects)), (0, []), "exit status, failures with the pin")
    shown = next(one for one in objects if one["step"] == "certificate")["text"]
    check(pin in shown and "left" in shown, f"pin and days in {shown!r}")
    begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400)) for days in (-1, 5.5))
    soon = bench.provider([], tls="starttls",
                          certificate=bench.authority._signed("ends-soon", bench.authority.name, begin, end))
    other = bench.customer(bench.sink(), soon).verify_with(bench.authority)
    result, objects = probe_all(other)
    shown = next(one for one in objects if one["step"] == "certificate")
    equal((result.status, shown["result"]), (0, "warn"), "exit status, mark of a certificate that ends soon")
    check("5 days left" in shown["text"] and shown["remedy"], f"days left in {shown}")
    customer.isp["pin"] = ["sha256:" + "A" * 43 + "="]
    _, objects = probe_all(customer)
    failed = next(one for one in objects if one["step"] == "certificate")
    equal(failed["cause"], "pin-mismatch", "cause with another pin")
    check(pin in failed["text"] and "A" * 43 in failed["text"], f"expected and found in {failed['text']!r}")


def smart_host(bench):
    host = bench.host(tls="starttls", mechanisms=("PLAIN",))
    customer = prepared(bench, host, "starttls")
    result, objects = probe_all(customer)
    equal((result.status, failures(objects)), (0, []), "exit status, failures")
    equal([one["step"] for one in objects if one["part"] == "smart-host"],
          ["name", "connect", "greeting", "hello", "tls", "certificate", "hello", "mechanism", "auth", "quit"], "steps")
    check(not any(command.upper().startswith(("MAIL", "RCPT")) for command in host.commands), "MAIL was said")
    customer.tables["outbound"].update({"password_file": None, "password": "wrong horse"})
    result, objects = probe_all(customer)
    equal((result.status, failures(objects)), (77, [("smart-host", "auth")]), "exit status, failures")
    check("wrong horse" not in result.stdout + result.stderr, "the password is in the output")


def unreadable_secret(bench):
    _, _, customer = scripted(bench, {})
    customer.isp.update({"password_file": None, "password_command": ["/bin/false"]})
    result, objects = probe_all(customer)
    equal((result.status, failures(objects)), (78, [("provider", "configuration")]), "exit status, failures")
    check(any(one["part"] == "target" and one["step"] == "rcpt" for one in objects), "the target was not tried")


def unknown_provider(bench):
    isp, _, customer = scripted(bench, {})
    equal(customer.run("probe", "nobody").status, 64, "exit status")
    equal(isp.sessions, [], "connections")


def port_386(bench):
    """Taken from Exim's manual."""
    _, _, customer = scripted(bench, {})
    customer.isp["port"] = 386
    checked = customer.run("check")
    equal(checked.status, 0, "exit status of check")
    check("366" in checked.stdout, f"nothing about 366 in {checked.stdout!r}")
    result, objects = probe_all(customer)
    failed = next(one for one in objects if one["step"] == "connect" and one["part"] == "provider")
    equal((result.status, failed["cause"]), (75, "connection-refused"), "exit status, cause")
    check("write port = 366" in failed["remedy"], f"remedy {failed['remedy']!r}")


def silent_port(bench):
    """On a terminal the step that is waited for stands there, and Ctrl-C says which one it was."""
    _, _, customer = scripted(bench, {"greeting": wire.silence()})
    master, slave = pty.openpty()
    process = subprocess.Popen([binary("odmr"), "probe", "-c", customer.configuration()], stdin=slave, stdout=slave,
                               stderr=slave, env={**customer.environment(), "TERM": "xterm"})
    bench.stack.callback(process.kill)
    os.close(slave)
    seen = b""

    def shows(words):
        nonlocal seen
        ready, _, _ = select.select([master], [], [], 0.05)
        if ready:
            try:
                seen += os.read(master, 65536)
            except OSError:
                pass
        return words in seen
    wait.until(lambda: shows(b"...   greeting"), 30, "the step is shown")
    process.send_signal(signal.SIGINT)
    wait.until(lambda: shows(b"FAIL  greeting"), 30, f"the step that was waited for is named: {seen!r}")
    equal(process.wait(30), 75, "exit status")
    os.close(master)


def too_few_descriptors(bench):
    """Is no fault of ours, and said as what it is."""
    _, _, customer = scripted(bench, {})
    said = []
    for limit in range(4, 9):
        done = subprocess.run(["prlimit", f"--nofile={limit}", binary("odmr"), "run", "-c", customer.configuration()],
                              env=customer.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              check=False)
        check(b"a fault of its own" not in done.stderr, f"with {limit}: {done.stderr!r}")
        said.append(b"too few file descriptors" in done.stderr and done.returncode == 73)
    check(any(said), "never said")
