"""What is printed where mail does not go out, for each way in which a smart host can fail: by the run, and afterwards
by `odmr queue list` and `odmr status`, which have to say the same. Word for word, in words.golden."""

import re

from harness import tls, wire
from harness.programs import binary
from harness.runner import check
from harness.target import write

from .expect import IMPATIENT
from .sent import letter_out, waiting
from .words import compare, without_chance

PASSWORD_OF_ANOTHER = "something else\n"


def register(suite):
    for name, provoke in CAUSES.items():
        suite.case(f"words/sending/{name}", name, provoke)(told)


def told(bench, name, provoke):
    customer, ran = provoke(bench)
    said = ran.stdout.splitlines()
    check(len(said) == 1, f"said of the flush: {ran.stdout!r}")
    check(said[0].startswith("sent: ") != ("What to do: " in said[0]), f"what to do, or nothing to do: {said[0]!r}")
    said += [line for line in ran.stderr.splitlines() if line.startswith(("warning: ", "error: ")) and " tls " not in line]
    said += ["$ odmr queue list", *customer.run("queue", "list").stdout.splitlines()]
    said += ["$ odmr status", *about_sending(customer.run("status").stdout)]
    compare(f"sending: {name}", without_time(without_chance("\n".join(said), customer)))


def about_sending(status):
    """Of what `odmr status` prints, all but the provider, who is not asked in these cases."""
    parts = re.split(r"\n(?=\S)", status.strip())
    return [line for part in parts if not part.startswith("isp") for line in part.splitlines()]


def without_time(text):
    """What is another in each run: ids, sizes, the time, certificates."""
    text = re.sub(r"\b(session|id)=\w+", r"\1=ID", text)
    text = re.sub(r"\b[0-9a-z]{17}[ ?!*]  +\d+ .*  (?=\S)", "ID  SIZE  DATE  ", text)
    text = re.sub(r"sha256:[A-Za-z0-9+/]{43}=", "sha256:PIN", text)
    text = re.sub(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\dZ?)?)?( UTC)?", "DATE", text)
    text = re.sub(r"\b\d+(\.\d+)? (B|bytes|KiB|octets)\b", "SIZE", text)
    return re.sub(r"\b\d+(\.\d+)? ?(s|ms|seconds?|minutes?|min|hours?|h)\b", "TIME", text)


def sent(customer, *more):
    return customer, customer.run("run", "--send-only", *more)


def plain_host(script):
    def provoke(bench):
        _, _, customer = waiting(bench, script)
        customer.timeouts.update(IMPATIENT)
        return sent(customer)
    return provoke


def secured_host(script=None, **options):
    def provoke(bench):
        host = bench.host(tls="starttls", mechanisms=("SCRAM-SHA-256", "PLAIN"), script=script, **options)
        _, _, customer = waiting(bench, host=host)
        return sent(customer)
    return provoke


def with_certificate(kind):
    def provoke(bench):
        return secured_host(certificate=getattr(bench.authority, kind)())(bench)
    return provoke


def nothing_listens(bench):
    _, host, customer = waiting(bench)
    host.stop()
    return sent(customer)


def no_such_name(bench):
    """As where the line is down."""
    _, _, customer = waiting(bench)
    customer.tables["outbound"]["to"] = "smtp://no-such-host.invalid"
    command = ["unshare", "-n", binary("odmr"), "run", "--send-only", "-c", customer.configuration()]
    return customer, customer._finished(command, 60, None, b"")


def wrong_password(bench):
    host = bench.host(tls="starttls", mechanisms=("SCRAM-SHA-256", "PLAIN"))
    _, _, customer = waiting(bench, host=host)
    write(customer.secret, PASSWORD_OF_ANOTHER, 0o600)
    return sent(customer)


def no_login_on_offer(bench):
    _, _, customer = waiting(bench)
    customer.tables["outbound"].update({"user": "gateway.example", "password_file": customer.secret})
    return sent(customer)


def only_plain_in_clear_text(bench):
    _, _, customer = waiting(bench, host=bench.host(mechanisms=("PLAIN", "LOGIN")))
    return sent(customer)


def no_starttls(bench):
    _, _, customer = waiting(bench)
    customer.tables["outbound"]["tls"] = "starttls"
    return sent(customer)


def of_another_authority(bench):
    return secured_host(certificate=tls.Authority(bench.path("other-authority")).good())(bench)


def refused_with_nobody_to_tell(bench):
    """A bounce of ours, so to say: it has no author."""
    _, _, customer = waiting(bench, {"rcpt": wire.say(b"550 5.1.1 no such person")}, count=0)
    customer.submit(letter_out(bench, reverse_path=""))
    return sent(customer)


CAUSES = {
    "connection-refused": nothing_listens,
    "name-server-silent": no_such_name,
    "no-greeting": plain_host({"greeting": wire.silence()}),
    "put-off": plain_host({"greeting": wire.say(b"421 4.3.2 busy")}),
    "greeting-refused": plain_host({"greeting": wire.say(b"554 5.3.2 no mail from dial-up lines")}),
    "hello-refused": plain_host({"ehlo": wire.say(b"550 5.7.1 not you")}),
    "login-refused": wrong_password,
    "login-put-off": secured_host({"auth": wire.say(b"454 4.7.0 no database")}),
    "auth-not-offered": no_login_on_offer,
    "mechanism-needs-tls": only_plain_in_clear_text,
    "login-demanded-at-mail": plain_host({"mail": wire.say(b"530 5.7.0 log in first")}),
    "starttls-not-offered": no_starttls,
    "starttls-refused": secured_host({"starttls": wire.say(b"454 4.7.0 no TLS today")}),
    "certificate-expired": with_certificate("expired"),
    "certificate-of-another-host": with_certificate("wrong_name"),
    "certificate-of-unknown-issuer": of_another_authority,
    "put-off-at-mail": plain_host({"mail": wire.say(b"451 4.3.0 not now")}),
    "put-off-at-rcpt": plain_host({"rcpt": wire.say(b"450 4.2.1 greylisted, come back in five minutes")}),
    "put-off-at-the-dot": plain_host({"dot": wire.say(b"452 4.3.1 no room")}),
    "line-lost-at-data": plain_host({"data": wire.cut()}),
    "refused-at-mail": plain_host({"mail": wire.say(b"550 5.7.1 not from you")}),
    "refused-at-rcpt": plain_host({"rcpt": wire.say(b"550 5.1.1 no such person")}),
    "refused-at-the-dot": plain_host({"dot": wire.say(b"554 5.7.1 spam")}),
    "refused-and-nobody-to-tell": refused_with_nobody_to_tell,
}
