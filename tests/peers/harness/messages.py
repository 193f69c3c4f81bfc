"""Messages made from a seed, a ledger of them, and the comparison with what was delivered."""

import hashlib
import random
import re
from dataclasses import dataclass, field

CUSTOMER_DOMAIN = "customer.example"
SECOND_DOMAIN = "second.example"
MIB = 1024 * 1024

# What a server on the way may put above a message, and nothing else.
TRACE_FIELD = re.compile(
    rb"(?:Received|Return-Path|Delivered-To|Envelope-to|Delivery-date|X-[!-9;-~]+):[^\r\n]*\r\n"
    rb"(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE)

WORDS = ("line provider customer turnaround queue letter morning river harbour lamp winter paper "
         "signal distant answer window garden copper thread silent").split()


@dataclass
class Message:
    """One message with its envelope. `data` is the content with CRLF line ends, not dot-stuffed."""
    id: str
    reverse_path: str
    recipients: list
    data: bytes
    parameters: str = ""       # of MAIL, such as BODY=8BITMIME
    wire: bytes | None = None  # instead of data, to the byte: for what no honest sender writes
    cuts: tuple = ()           # positions in wire at which a new segment begins
    sha256: str = field(init=False)

    def __post_init__(self):
        self.sha256 = hashlib.sha256(self.data).hexdigest()

    def segments(self):
        edges = [0, *self.cuts, len(self.wire)]
        return [self.wire[start:end] for start, end in zip(edges, edges[1:])]


@dataclass
class Delivered:
    """One copy found in a mailbox, with CRLF line ends."""
    recipient: str
    reverse_path: str
    data: bytes


class Maker:
    """Makes messages; the same seed makes the same messages."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.count = 0

    def _new_id(self):
        self.count += 1
        return f"{self.count:04d}-{self.random.getrandbits(64):016x}"

    def _text(self, lines):
        choose = self.random.choice
        return b"".join(
            " ".join(choose(WORDS) for _ in range(self.random.randrange(4, 12))).encode() + b"\r\n"
            for _ in range(lines))

    def make(self, body=None, recipients=None, reverse_path="author@sender.example", parameters="",
             subject="A letter", headers=b""):
        """A small, real-looking message around `body`."""
        id_ = self._new_id()
        body = self._text(self.random.randrange(3, 30)) if body is None else body
        recipients = recipients or [f"anna@{CUSTOMER_DOMAIN}"]
        data = (
            b"Received: from desk.sender.example (desk.sender.example [192.0.2.7])\r\n"
            b"\tby out.sender.example with ESMTPS id " + id_.encode() + b"\r\n"
            b"\tfor <somebody@elsewhere.example>; Sat, 31 Jan 2026 09:59:58 +0100\r\n"
            b"Date: Sat, 31 Jan 2026 09:59:57 +0100\r\n"
            b"From: The Author <author@sender.example>\r\n"
            b"To: " + ", ".join(recipients[:5]).encode() + b"\r\n"
            b"Subject: " + subject.encode() + b"\r\n"
            b"Message-ID: <" + id_.encode() + b"@ledger.example>\r\n"
            + headers +
            b"MIME-Version: 1.0\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"\r\n" + body)
        return Message(id_, reverse_path, list(recipients), data, parameters)

    def eight_bit(self, **options):
        """Every byte from 0x80 to 0xff, announced as 8BITMIME."""
        body = b"".join(bytes([value]) * 3 + b" caf\xc3\xa9 na\xefve\r\n" for value in range(0x80, 0x100))
        return self.make(body, parameters=options.pop("parameters", "BODY=8BITMIME"), **options)

    def smtputf8(self, **options):
        """Names and subject in UTF-8, in the reverse-path too."""
        return self.make("Grüße aus Köln\r\n".encode(), subject="Grüße", reverse_path="jürgen@sender.example",
                         parameters="BODY=8BITMIME SMTPUTF8", **options)

    def leading_dots(self, **options):
        """Lines that begin with dots, a lone dot in the middle and one as the very last line."""
        body = (b".\r\n..\r\n...\r\n.x\r\n. \r\n..y\r\n\r\n.\r\n" + b"." * 998 + b"\r\n"
                b"text\r\n.\r\n")
        return self.make(body, **options)

    def long_lines(self, **options):
        """Lines as long as RFC 5321 allows."""
        body = b"".join(bytes([self.random.randrange(0x61, 0x7b)]) * 998 + b"\r\n" for _ in range(40))
        return self.make(body, **options)

    def overlong_lines(self, **options):
        """Longer lines than RFC 5321 allows; real mail has them."""
        return self.make(b"z" * 1999 + b"\r\n" + b"q" * 20000 + b"\r\nend\r\n", **options)

    def empty_body(self, **options):
        return self.make(b"", **options)

    def trailing_blank_lines(self, **options):
        return self.make(b"text\r\n\r\n \r\n\t\r\n\r\n\r\n", **options)

    def unfinished_line(self, **options):
        """No CRLF at the end: only BDAT can carry that."""
        return self.make(b"text\r\nand no line end", **options)

    def big(self, size=50 * MIB, **options):
        """At least `size` bytes, each line its own, so that nothing lost or doubled goes unseen."""
        block = self.random.getrandbits(48)
        line = b"%012x %08d " + b"x" * 54 + b"\r\n"
        body = b"".join(line % (block, number) for number in range(size // 78 + 1))
        return self.make(body, **options)

    def mixture(self):
        """One message of each kind that every target takes."""
        return [self.make(), self.eight_bit(), self.eight_bit(parameters=""), self.leading_dots(),
                self.long_lines(), self.empty_body(), self.trailing_blank_lines(),
                self.make(reverse_path="")]


def id_of(data):
    """The ledger's ID inside a delivered message, or None."""
    found = re.search(rb"^Message-ID: <([0-9a-f-]+)@ledger\.example>\r?$", data, re.MULTILINE)
    return found.group(1).decode() if found else None


def trace_above(delivered, original):
    """The bytes put above the original, or None when the rest is not the original to the byte."""
    if not delivered.endswith(original):
        return None
    prefix = delivered[:len(delivered) - len(original)]
    position = 0
    while position < len(prefix):
        matched = TRACE_FIELD.match(prefix, position)
        if not matched:
            return None
        position = matched.end()
    return prefix


def first_difference(delivered, original):
    """A short account of where the two part, for a person to read."""
    start = max(delivered.find(original[:60]), 0)
    rest = delivered[start:]
    for position, (got, wanted) in enumerate(zip(rest, original)):
        if got != wanted:
            return (f"at byte {position}: {rest[position - 20:position + 40]!r} "
                    f"instead of {original[position - 20:position + 40]!r}")
    return f"lengths differ: {len(rest)} instead of {len(original)} bytes; above: {delivered[:start][-200:]!r}"


class Ledger:
    """What was handed to the provider. Compares with what came out at the other end."""

    def __init__(self, messages=()):
        self.messages = {message.id: message for message in messages}

    def problems(self, deliveries, expected=None, our_name=None):
        """Every discrepancy as a line of text. `expected` is {id: recipients}; default: all.
        With `our_name` each copy must carry one Received line of that host, not more."""
        if expected is None:
            expected = {message.id: message.recipients for message in self.messages.values()}
        wanted = {(id_, recipient.lower()) for id_, recipients in expected.items() for recipient in recipients}
        found = []
        for copy in deliveries:
            found += self._check_copy(copy, wanted, our_name)
        seen = [(id_of(copy.data), copy.recipient.lower()) for copy in deliveries]
        found += [f"lost: {id_} for {recipient}" for id_, recipient in sorted(wanted - set(seen))]
        found += [f"delivered {seen.count(pair)} times: {pair}" for pair in sorted(set(seen), key=str)
                  if seen.count(pair) > 1]
        return found

    def _check_copy(self, copy, wanted, our_name):
        id_ = id_of(copy.data)
        if id_ not in self.messages:
            return [f"unknown message for {copy.recipient}: {copy.data[:300]!r}"]
        message = self.messages[id_]
        found = []
        if (id_, copy.recipient.lower()) not in wanted:
            found.append(f"not meant to be delivered: {id_} for {copy.recipient}")
        if copy.reverse_path != message.reverse_path:
            found.append(f"{id_}: reverse-path {copy.reverse_path!r} instead of {message.reverse_path!r}")
        original = message.data if message.data.endswith(b"\r\n") else message.data + b"\r\n"
        above = trace_above(copy.data, original)
        if above is None:
            found.append(f"{id_} changed {first_difference(copy.data, original)}")
        elif our_name and above.count(b"by " + our_name.encode()) != 1:
            found.append(f"{id_}: {above.count(b'by ' + our_name.encode())} Received lines of {our_name}, not 1")
        return found
