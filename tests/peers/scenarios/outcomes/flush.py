"""The outbound flush: an object of its own with "provider":null, whose outcome says how the smart host took it."""

import os
import shutil

from harness import tls, wire
from harness.messages import Ledger
from harness.runner import check, equal, none
from harness.target import write

from .expect import IMPATIENT, fresh
from .local import fill, mounted
from .sent import all_sent, bounce, expect_flush, letter_out, nothing_to_send, still_queued, waiting

MANY = 20  # messages that wait behind a smart host that is out of order


def register(suite):
    suite.case("flush/sent")(sent)
    suite.case("flush/bytes-without-our-own-lines")(bytes_sent)
    suite.case("flush/send-only-leaves-the-provider-alone")(send_only)
    suite.case("flush/receive-only-leaves-the-queue-alone")(receive_only)
    suite.case("flush/nothing-to-send-says-nothing")(nothing)
    for name, script in PUT_OFF.items():
        suite.case(f"flush/deferred-{name}", script)(put_off)
    for name, script in OUT_OF_ORDER.items():
        suite.case(f"flush/unavailable-{name}", script)(out_of_order)
    suite.case("flush/unavailable-nothing-listens")(nothing_listens)
    suite.case("flush/unavailable-unknown-name")(unknown_name)
    for name, script in LOST.items():
        suite.case(f"flush/line-lost-{name}", script)(line_lost)
    for name, script in REFUSED.items():
        suite.case(f"flush/bounced-{name}", script)(bounced)
    suite.case("flush/one-refused-one-put-off-one-sent")(mixed)
    suite.case("flush/login-demanded-of-one-that-has-none")(login_demanded)
    suite.case("flush/auth-not-offered")(auth_not_offered)
    suite.case("flush/auth-only-plain-in-clear-text")(plain_in_clear)
    suite.case("flush/auth-wrong-password")(wrong_password)
    for name, script in LOGIN_PUT_OFF.items():
        suite.case(f"flush/unavailable-{name}", script)(login_put_off)
    for name in ("wrong_name", "expired", "self_signed"):
        suite.case(f"flush/tls-certificate-{name}", name)(bad_certificate)
    suite.case("flush/tls-foreign-authority")(foreign_authority)
    suite.case("flush/tls-not-offered")(tls_not_offered)
    suite.case("flush/config-password-file-missing")(password_missing)
    suite.case("flush/no-mail-no-secret")(secret_not_asked_for)
    suite.case("flush/state-queue-is-a-file")(queue_is_a_file)
    suite.case("flush/state-disk-full")(disk_full)
    suite.case("flush/worst-of-both-is-the-exit-status")(worst_of_both)


# The message is put off, the connection is not.
PUT_OFF = {
    "mail": {"mail": wire.say(b"451 4.3.0 not now")},
    "rcpt": {"rcpt": wire.say(b"450 4.2.1 busy")},
    "data": {"data": wire.say(b"451 4.3.0 not now")},
    "dot": {"dot": wire.say(b"452 4.3.1 no room")},
}
# The connection is refused, and no message with it.
OUT_OF_ORDER = {
    "421-greeting": {"greeting": wire.say(b"421 4.3.2 busy")},
    "554-greeting": {"greeting": wire.say(b"554 5.3.2 no")},
    "eof-greeting": {"greeting": wire.cut()},
    "silent-greeting": {"greeting": wire.silence()},
    "421-to-ehlo": {"ehlo": wire.say_then_cut(b"421 4.3.2 closing\r\n")},
    "550-to-ehlo": {"ehlo": wire.say(b"550 5.7.1 not you")},
}
LOST = {
    "at-mail": {"mail": wire.cut()},
    "at-rcpt": {"rcpt": wire.cut()},
    "at-data": {"data": wire.cut()},
    "in-the-body": {"body": wire.cut()},
    "421-at-the-dot": {"dot": wire.say_then_cut(b"421 4.3.2 bye\r\n")},
}
REFUSED = {
    "mail": {"mail": wire.say(b"550 5.7.1 not from you")},
    "rcpt": {"rcpt": wire.say(b"550 5.1.1 no such person")},
    "data": {"data": wire.say(b"554 5.7.1 no")},
    "dot": {"dot": wire.say(b"554 5.7.1 spam")},
    "dot-552": {"dot": wire.say(b"552 5.3.4 too big")},
}
LOGIN_PUT_OFF = {
    "454-to-auth": {"auth": wire.say(b"454 4.7.0 no database")},
    "454-after-login": {"auth-final": wire.say(b"454 4.7.0 no database")},
    "421-to-auth": {"auth": wire.say_then_cut(b"421 4.7.0 bye\r\n")},
}


def sent(bench):
    letters, host, customer = waiting(bench)
    result = customer.run()
    equal([one["outcome"] for one in result.objects if one["provider"]], ["no-mail"], "the provider's outcome")
    expect_flush(result, "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(1)))
    equal(customer.queue(), [], "queue")


def bytes_sent(bench):
    """As RFC 1870 counts them, without what we put above: what was handed in."""
    letters, _, customer = waiting(bench, count=2)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters), exact=True)


def send_only(bench):
    letters, host, customer = waiting(bench)
    isp = bench.provider()
    customer.talk_to(isp)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))
    equal(isp.sessions, [], "connections to the provider")


def receive_only(bench):
    letters, host, customer = waiting(bench)
    isp = bench.provider()
    customer.talk_to(isp)
    nothing_to_send(customer.run("run", "--json", "--receive-only"))
    equal((len(isp.sessions), len(host.connections)), (1, 0), "connections to provider and smart host")
    still_queued(customer, letters)


def nothing(bench):
    host = bench.host()
    customer = bench.customer(bench.sink(), bench.provider()).send_through(host)
    nothing_to_send(customer.run())
    equal(host.connections, [], "connections to the smart host")


def goes_out(customer, host, letters):
    """Once the smart host behaves and we are told not to wait, each message arrives, once."""
    host.script.steps.clear()
    still_queued(customer, letters)
    expect_flush(customer.flush("--retry-all"), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(len(letters))))
    equal(customer.local.transactions, [], "notices")


def put_off(bench, script):
    letters, host, customer = waiting(bench, script, count=3)
    expect_flush(customer.flush(), "deferred", deferred=3)
    goes_out(customer, host, letters)


def out_of_order(bench, script):
    """Nothing is bounced for it, and it costs two connections, not one for each message."""
    letters, host, customer = waiting(bench, script, count=MANY)
    customer.timeouts.update(IMPATIENT)
    expect_flush(customer.flush(), "unavailable", deferred=None)
    equal(len(host.connections), 2, "connections")
    goes_out(customer, host, letters)


def nothing_listens(bench):
    letters, host, customer = waiting(bench, count=MANY)
    host.stop()
    expect_flush(customer.flush(), "unavailable", deferred=None)
    host.start()
    goes_out(customer, host, letters)


def unknown_name(bench):
    """As when the line is down: a name that does not resolve is no reason to give anything up."""
    letters, host, customer = waiting(bench)
    right = customer.tables["outbound"]["to"]
    customer.tables["outbound"]["to"] = "smtp://no-such-host.invalid"
    expect_flush(customer.flush(), "unavailable", deferred=None)
    customer.tables["outbound"]["to"] = right
    goes_out(customer, host, letters)


def line_lost(bench, script):
    """A line lost before the host's answer to the dot: the message waits. Only this host is the trouble, so it is
    left alone after two connections."""
    letters, host, customer = waiting(bench, script, count=MANY)
    result = customer.flush()
    check(result.session(None)["outcome"] in ("unavailable", "deferred"), f"outcome {result.stdout!r}")
    equal(result.status, 75, "exit status")
    check(len(host.connections) <= 4, f"{len(host.connections)} connections")
    goes_out(customer, host, letters)


def bounced(bench, script):
    """Refused for good: the author, who is one of ours, gets one notice, and the next message goes all the same."""
    letters, host, customer = waiting(bench, {step: [action] for step, action in script.items()}, count=2,
                                      max_connections=1)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters[1:], bounced=1))
    copies = customer.local.deliveries(1)
    equal([copy.recipient for copy in copies], ["anna@customer.example"], "who is told")
    bounce(copies[0], letters[0], letters[0].recipients)
    none(Ledger(letters).problems(host.deliveries(1), {letters[1].id: letters[1].recipients}))
    nothing_to_send(customer.flush("--retry-all"))
    equal(len(customer.local.accepted()), 1, "notices")


def mixed(bench):
    """Three recipients, three answers, each with its own consequence."""
    host = bench.host(recipient_replies={"nobody@elsewhere.example": [b"550 5.1.1 no such person"],
                                         "later@elsewhere.example": [b"450 4.2.1 busy"]})
    _, _, customer = waiting(bench, host=host, count=0)
    letter = bench.maker.make(reverse_path="anna@customer.example", recipients=[
        "friend@elsewhere.example", "nobody@elsewhere.example", "later@elsewhere.example"])
    customer.submit(letter)
    expect_flush(customer.flush(), "deferred", messages=1, recipients=1, bytes=len(letter.data), bounced=1,
                 deferred=None)
    _, groups = bounce(customer.local.deliveries(1)[0], letter, ["nobody@elsewhere.example"])
    check("no such person" in str(groups[0]["Diagnostic-Code"]), f"Diagnostic-Code {groups[0]['Diagnostic-Code']!r}")
    equal(groups[0]["Status"], "5.1.1", "Status")
    host.recipient_replies.clear()
    expect_flush(customer.flush("--retry-all"), "sent", messages=1, recipients=1, bytes=len(letter.data))
    none(Ledger([letter]).problems(host.deliveries(2), {
        letter.id: ["friend@elsewhere.example", "later@elsewhere.example"]}))
    equal(len(customer.local.accepted()), 1, "notices")


# Login and TLS: whatever is wrong with them, nothing is lost and no message is blamed for it.

def blameless(customer, host, letters, outcome):
    expect_flush(customer.flush(), outcome, deferred=None)
    equal(host.accepted(), [], "sent")
    check(len(host.connections) <= 2, f"{len(host.connections)} connections")
    still_queued(customer, letters)
    equal(customer.local.transactions, [], "notices")


def auth_not_offered(bench):
    letters, host, customer = waiting(bench, count=MANY)
    customer.tables["outbound"].update({"user": "gateway.example", "password_file": customer.secret})
    blameless(customer, host, letters, "auth")


def plain_in_clear(bench):
    """No password goes over a line that others can read."""
    letters, host, customer = waiting(bench, host=bench.host(mechanisms=("PLAIN", "LOGIN")), count=MANY)
    blameless(customer, host, letters, "auth")
    equal([command for command in host.commands if command.startswith("AUTH")], [], "logins tried")


def login_demanded(bench):
    """530 to MAIL is our own fault in configuration: no message is blamed for it."""
    letters, host, customer = waiting(bench, {"mail": wire.say(b"530 5.7.0 log in first")}, count=MANY)
    result = customer.flush()
    check(result.session(None)["outcome"] in ("auth", "unavailable", "deferred"), f"outcome {result.stdout!r}")
    goes_out(customer, host, letters)


def secured(bench, count=1, **options):
    host = bench.host(tls="starttls", mechanisms=("SCRAM-SHA-256", "PLAIN"), **options)
    return waiting(bench, host=host, count=count)


def wrong_password(bench):
    """Temporary too: somebody mends the password, and everything goes out."""
    letters, host, customer = secured(bench, MANY)
    write(customer.secret, "something else\n", 0o600)
    blameless(customer, host, letters, "auth")
    write(customer.secret, "correct horse 7 battery\n", 0o600)
    goes_out(customer, host, letters)


def login_put_off(bench, script):
    letters, host, customer = secured(bench, MANY, script=script)
    blameless(customer, host, letters, "unavailable")
    goes_out(customer, host, letters)


def bad_certificate(bench, kind):
    letters, host, customer = secured(bench, MANY, certificate=getattr(bench.authority, kind)())
    blameless(customer, host, letters, "tls")
    equal([command for command in host.commands if not command.startswith(("EHLO", "STARTTLS", "QUIT"))], [],
          "said to a host that is not who it should be")


def foreign_authority(bench):
    other = tls.Authority(bench.path("other-authority"))
    letters, host, customer = secured(bench, certificate=other.good())
    blameless(customer, host, letters, "tls")


def tls_not_offered(bench):
    letters, host, customer = waiting(bench, count=MANY)
    customer.tables["outbound"]["tls"] = "starttls"
    blameless(customer, host, letters, "tls")
    equal([command for command in host.commands if command.startswith("MAIL")], [], "mail sent in clear text")


# At home

def password_missing(bench):
    """What can be seen in the configuration alone ends the run before it begins; so it is config either way."""
    letters, host, customer = waiting(bench)
    customer.tables["outbound"].update({"user": "gateway.example", "password_file": "/no/such/file"})
    result = customer.flush()
    equal((result.status, result.session(None)["outcome"]), (78, "config"), "exit status and outcome")
    equal(host.connections, [], "connections")
    for key in ("user", "password_file"):
        del customer.tables["outbound"][key]
    still_queued(customer, letters)


def secret_not_asked_for(bench):
    """A store of passwords may ask somebody, or be locked: with nothing to send it is left alone."""
    host = bench.host()
    customer = bench.customer(bench.sink(), bench.provider()).send_through(host)
    asked = bench.path("asked")
    customer.tables["outbound"].update({"user": "gateway.example", "password_command": ["touch", asked]})
    nothing_to_send(customer.run())
    check(not os.path.exists(asked), "the password was asked for with nothing to send")


def queue_is_a_file(bench):
    letters, host, customer = waiting(bench)
    queue = os.path.join(customer.top["state_dir"], "queue")
    aside = bench.path("queue-aside")
    shutil.move(queue, aside)
    write(queue, "")
    result = customer.flush()
    equal((result.status, result.session(None)["outcome"]), (73, "state"), "exit status and outcome")
    os.unlink(queue)
    shutil.move(aside, queue)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))


def disk_full(bench):
    """What the host has taken cannot be written down: the flush stops there, and nothing is lost."""
    host = bench.host()
    customer = bench.customer(bench.sink(), bench.provider()).send_through(host, max_connections=1)
    folder = mounted(bench, customer, "size=2m")
    letters = [letter_out(bench) for _ in range(MANY)]
    customer.submit(*letters)
    fill(folder)
    result = customer.flush()
    equal((result.status, result.session(None)["outcome"]), (73, "state"), "exit status and outcome")
    check(len(host.accepted()) <= 2, f"{len(host.accepted())} messages sent that were not noted")
    os.unlink(os.path.join(folder, "filler"))
    equal(customer.flush("--retry-all").status, 0, "exit status with room again")
    found = {copy.data for copy in host.deliveries(MANY)}
    check(all(any(data.endswith(letter.data) for data in found) for letter in letters), "a message is lost")
    equal(customer.queue(), [], "queue")


def worst_of_both(bench):
    """Mail comes in, and the smart host is not there: 75. Then the other way round."""
    letters, host, customer = waiting(bench, fresh({"greeting": wire.say(b"421 4.3.2 busy")}))
    isp = bench.provider([bench.maker.make()])
    customer.talk_to(isp)
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (75, "fetched"), "exit status and the provider's outcome")
    host.script.steps.clear()
    isp.script.steps["atrn"] = wire.say(b"550 5.7.1 no")
    result = customer.run("run", "--json", "--retry-all")
    expect_flush(result, "sent", status=77, tally=all_sent(letters))
    equal(result.session()["outcome"], "refused", "the provider's outcome")
