"""`odmr probe --test-mail`: one message by the configured way, and a report of each step."""

import email
import email.policy

from harness import wire
from harness.runner import check, equal

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
