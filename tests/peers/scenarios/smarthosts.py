"""The smart hosts themselves, asked by smtplib: are they what the outbound cases take them for?
These cases need neither odmr nor odmrd."""

import smtplib
import ssl

from harness.messages import Ledger
from harness.provider import PASSWORD, USER
from harness.runner import SMART_HOSTS, check, equal, none

from .bench import hand_over


def register(suite):
    for kind, program in SMART_HOSTS.items():
        for tls in program.ways:
            suite.case(f"bench/smart-host/{kind}/tls-{tls}", kind, tls)(takes_mail)
        if program.mechanisms:
            suite.case(f"bench/smart-host/{kind}/logins", kind)(logins)
        suite.case(f"bench/smart-host/{kind}/answers", kind)(answers)
        suite.case(f"bench/smart-host/{kind}/turns-away", kind)(turns_away)
    suite.case("bench/smart-host/scripted")(scripted)
    suite.case("bench/provider-takes-mail")(provider_takes_mail)


def connect(bench, host, tls):
    context = ssl.create_default_context(cafile=bench.authority.ca_file)
    if tls == "implicit":
        client = smtplib.SMTP_SSL("localhost", host.implicit_port, timeout=60, context=context)
        client.ehlo("bench.example")
        return client
    client = smtplib.SMTP("localhost", host.port, timeout=60)
    client.ehlo("bench.example")
    check("auth" not in client.esmtp_features, "offers a login in clear text")
    if tls == "starttls":
        client.starttls(context=context)
        client.ehlo("bench.example")
    return client


def log_in(client, host):
    """Where logins are, nothing goes without one."""
    if host.mechanisms:
        client.docmd("MAIL FROM:<author@sender.example>")
        equal(client.docmd("RCPT TO:<friend@elsewhere.example>")[0] // 100, 5, "class of the reply without a login")
        client.rset()
        client.login(USER, PASSWORD)


def takes_mail(bench, kind, tls):
    """Every kind of message arrives to the byte."""
    host = bench.smart_host(kind)
    letters = bench.maker.mixture()
    for letter in letters:
        letter.recipients[:] = ["friend@elsewhere.example"]
    if host.knows_smtputf8:
        letters.append(bench.maker.smtputf8(recipients=["jörg@faraway.example"]))
    client = connect(bench, host, tls)
    log_in(client, host)
    client.command_encoding = "utf-8"
    for letter in letters:
        hand_over(client, letter, lmtp=False)
    client.quit()
    none(Ledger(letters).problems(host.deliveries(len(letters))))


def logins(bench, kind):
    """It offers the mechanisms that it is said to, takes the right password with each and no wrong one."""
    host = bench.smart_host(kind)
    client = connect(bench, host, "starttls")
    equal(sorted(client.esmtp_features["auth"].split()), sorted(host.mechanisms), "mechanisms")
    client.quit()
    for mechanism in set(host.mechanisms) & {"PLAIN", "LOGIN", "CRAM-MD5"}:
        for password, wanted in ((PASSWORD, 235), ("wrong horse", 535)):
            client = connect(bench, host, "starttls")
            equal(logged_in(client, mechanism, password), wanted, f"reply to {mechanism} with {password!r}")
            client.close()


def logged_in(client, mechanism, password):
    client.user, client.password = USER, password
    method = getattr(client, "auth_" + mechanism.lower().replace("-", "_"))
    try:
        return client.auth(mechanism, method)[0]
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code


def answers(bench, kind):
    """It refuses and puts off whom it is told to, and what is too big."""
    host = bench.smart_host(kind, refuse=["nobody@elsewhere.example"], put_off=["later@elsewhere.example"],
                            max_size=100_000)
    client = connect(bench, host, host.ways[0])
    equal(client.esmtp_features["size"], "100000", "size offered")
    log_in(client, host)
    client.docmd("MAIL FROM:<author@sender.example>")
    equal(client.docmd("RCPT TO:<nobody@elsewhere.example>")[0], 550, "the refused recipient")
    equal(client.docmd("RCPT TO:<later@elsewhere.example>")[0], 450, "the put-off recipient")
    client.rset()
    equal(too_big(client) // 100, 5, "class of the reply to what is too big")
    client.close()


def too_big(client):
    """Refused at MAIL for its SIZE; OpenSMTPD reads it first."""
    code, _ = client.docmd("MAIL FROM:<author@sender.example> SIZE=200000")
    if code == 250:
        client.docmd("RCPT TO:<friend@elsewhere.example>")
        code, _ = client.data(b"x" * 70 + b"\r\n" + (b"y" * 98 + b"\r\n") * 2000)
    return code


def turns_away(bench, kind):
    host = bench.smart_host(kind, turns_away=True)
    client = smtplib.SMTP(timeout=60)
    equal(client.connect("127.0.0.1", host.port)[0], 554, "greeting")
    client.close()


def scripted(bench):
    """The scripted one takes mail inside TLS from whoever has logged in, and from nobody else."""
    letter = bench.maker.leading_dots(recipients=["friend@elsewhere.example"])
    for tls in ("starttls", "implicit"):
        host = bench.host(tls=tls, mechanisms=("CRAM-MD5", "PLAIN"))
        host.implicit_port = host.port
        client = connect(bench, host, tls)
        equal(client.docmd("MAIL FROM:<author@sender.example>")[0], 530, "MAIL without a login")
        equal(logged_in(client, "PLAIN", "wrong horse"), 535, "the wrong password")
        client.login(USER, PASSWORD)
        hand_over(client, letter, lmtp=False)
        client.quit()
        none(Ledger([letter]).problems(host.deliveries(1)))
        equal(host.logins, [(USER, "CRAM-MD5")], "logins")


def provider_takes_mail(bench):
    """Before ATRN, after the login; one that does not says 502."""
    letter = bench.maker.make(recipients=["friend@elsewhere.example"])
    for takes_mail in (True, False):
        isp = bench.provider(takes_mail=takes_mail)
        client = smtplib.SMTP("127.0.0.1", isp.port, timeout=60)
        client.ehlo("bench.example")
        equal(client.docmd("MAIL FROM:<author@sender.example>")[0], 502, "MAIL before the login")
        client.login(USER, PASSWORD)
        if takes_mail:
            hand_over(client, letter, lmtp=False)
            equal([transaction.data for transaction in isp.transactions], [letter.data], "taken")
        else:
            equal(client.docmd("MAIL FROM:<author@sender.example>")[0], 502, "MAIL where it is not taken")
        equal(client.docmd("ATRN customer.example")[0], 453, "ATRN")
        client.close()
