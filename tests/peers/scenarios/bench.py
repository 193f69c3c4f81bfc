"""The bench itself: are the real peers, the scripted ones and the comparison what they claim to be?
These cases need neither odmr nor odmrd."""

import smtplib

from harness import fetchmail, messages, provider as odmr_provider, wait
from harness.runner import TARGETS, check, equal, none

from .smuggling import SEQUENCES, smuggling_message

SMTP_TARGETS = ("postfix", "exim", "opensmtpd")


def connect(target):
    """smtplib, which knows nothing of this bench."""
    if target.scheme == "lmtp":
        client = smtplib.LMTP("127.0.0.1", target.port, timeout=60)
        client.docmd("LHLO bench.example")
    else:
        client = smtplib.SMTP("127.0.0.1", target.port, timeout=60)
        client.docmd("EHLO bench.example")
    client.command_encoding = "utf-8"
    return client


def hand_over(client, message, lmtp):
    client.docmd(f"MAIL FROM:<{message.reverse_path}> {message.parameters}".strip())
    for recipient in message.recipients:
        equal(client.docmd(f"RCPT TO:<{recipient}>")[0], 250, f"reply for {recipient}")
    client.docmd("DATA")
    client.send((message.wire or message.data.replace(b"\r\n.", b"\r\n..") + b".\r\n"))
    for _ in message.recipients if lmtp else [None]:
        equal(client.getreply()[0], 250, "reply to the final dot")


def register(suite):
    for kind in TARGETS:
        suite.case(f"bench/{kind}/direct", kind)(direct)
        suite.case(f"bench/{kind}/answers", kind)(answers)
    for kind in SMTP_TARGETS:
        suite.case(f"bench/{kind}/is-an-open-relay-for-localhost", kind)(open_relay)
    for mode in ("lockstep", "pipelined", "bdat"):
        suite.case(f"bench/fetchmail-from-scripted-provider/{mode}", mode)(fetchmail_from_provider)
    suite.case("bench/smuggling-has-teeth")(smuggling_has_teeth)
    suite.case("bench/comparison")(comparison)


def direct(bench, kind):
    """Every kind of message goes in by smtplib and is found again to the byte."""
    target = bench.target(kind)
    letters = bench.maker.mixture() + [
        bench.maker.overlong_lines(),
        bench.maker.make(recipients=["anna@customer.example", "bert@second.example", "postmaster@customer.example"])]
    client = connect(target)
    if "SMTPUTF8" in client.esmtp_features or target.scheme == "smtp" and "SMTPUTF8" in target.extensions():
        letters.append(bench.maker.smtputf8(recipients=["jörg@customer.example"]))
    for letter in letters:
        hand_over(client, letter, target.scheme == "lmtp")
    client.quit()
    copies = target.deliveries(sum(len(letter.recipients) for letter in letters))
    none(messages.Ledger(letters).problems(copies))


def answers(bench, kind):
    """It refuses and puts off whom it is told to, and is down when it is stopped."""
    target = bench.target(kind, refuse=["nobody@customer.example"], put_off=["later@customer.example"])
    client = connect(target)
    client.docmd("MAIL FROM:<author@sender.example>")
    equal(client.docmd("RCPT TO:<nobody@customer.example>")[0], 550, "the refused recipient")
    equal(client.docmd("RCPT TO:<later@customer.example>")[0] // 10, 45, "the put-off recipient")
    client.quit()
    target.stop()
    try:
        connect(target)
    except OSError:
        return
    raise AssertionError("answers although it was stopped")


def open_relay(bench, kind):
    """Said by localhost, each of them would take mail for anybody: what odmr's guard is there for."""
    client = connect(bench.target(kind))
    client.docmd("MAIL FROM:<author@sender.example>")
    equal(client.docmd("RCPT TO:<victim@elsewhere.example>")[0], 250, "a foreign recipient")
    client.quit()


def fetchmail_from_provider(bench, mode):
    """fetchmail, a customer that we did not write, finds our scripted provider acceptable."""
    target = bench.target("postfix")
    letters = bench.maker.mixture() + [bench.maker.smtputf8(), bench.maker.overlong_lines()]
    isp = bench.provider(letters, mode=mode)
    result = fetchmail.fetch(bench.path("fetchmail"), isp.port, odmr_provider.USER, odmr_provider.PASSWORD,
                             ["customer.example"], target.port)
    equal(result.status, 0, f"fetchmail's exit status\n{result.output}")
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    none(messages.Ledger(letters).problems(target.deliveries(len(letters))))


def smuggling_has_teeth(bench):
    """Debian's Postfix alone takes some of the sequences for the end of a message, or the smuggling
    cases would prove nothing. (Debian's Exim is mended; OpenSMTPD dies of the bytes behind it.)"""
    target = bench.target("postfix")
    torn = [name for name, sequence in SEQUENCES.items() if makes_two(bench, target, sequence)]
    check(torn, "no sequence works even without odmr in between")


def makes_two(bench, target, sequence):
    target.clear()
    client = connect(target)
    message = smuggling_message(bench.maker, sequence)
    client.docmd(f"MAIL FROM:<{message.reverse_path}>")
    client.docmd(f"RCPT TO:<{message.recipients[0]}>")
    client.docmd("DATA")
    client.send(message.wire + b"QUIT\r\n")
    try:
        while client.getreply()[0] != 221:
            pass
    except smtplib.SMTPServerDisconnected:
        pass
    client.close()
    wait.until(lambda: not target.queued(), 20, f"{target.name}'s queue is empty")
    return len(target.deliveries(0)) > 1


def comparison(bench):
    """The comparison sees what it is there to see."""
    letter = bench.maker.make()
    ledger = messages.Ledger([letter])
    trace = b"Return-Path: <author@sender.example>\r\nReceived: from x\r\n\tby y; now\r\nX-Original-To: a\r\n"

    def found(data, recipient=letter.recipients[0], reverse_path=letter.reverse_path):
        return ledger.problems([messages.Delivered(recipient, reverse_path, data)])
    none(found(trace + letter.data))
    check(found(trace + b"Subject: added\r\n" + letter.data), "an added Subject was not seen")
    check(found(trace + letter.data + b"\r\n"), "an added line at the end was not seen")
    check(found(trace + letter.data[:-2]), "a missing line end was not seen")
    check(found(trace + letter.data.replace(b"A letter", b"B letter")), "a changed byte was not seen")
    check(found(letter.data, recipient="other@customer.example"), "another recipient was not seen")
    check(found(letter.data, reverse_path=""), "another reverse-path was not seen")
    check(ledger.problems([]), "a loss was not seen")
    copy = messages.Delivered(letter.recipients[0], letter.reverse_path, letter.data)
    check(ledger.problems([copy, copy]), "a duplicate was not seen")
