"""SMTP smuggling (CVE-2023-51764, -51765, -51766, -51747): one transaction of the provider never becomes two messages
at a target, whichever of the real ones it is."""

import re

from harness.messages import Message
from harness.runner import TARGETS, check, equal, none

# robustness.md 2.1: each looks like the end of a message to some server.
SEQUENCES = {
    "lf-dot-lf": b"\n.\n",
    "lf-dot-crlf": b"\n.\r\n",
    "crlf-dot-lf": b"\r\n.\n",
    "cr-dot-cr": b"\r.\r",
    "crlf-dot-cr": b"\r\n.\r",
    "cr-dot-crlf": b"\r.\r\n",
    "crlf-nul-dot-crlf": b"\r\n\0.\r\n",
    "crlf-dot-crcrlf": b"\r\n.\r\r\n",
}


def smuggling_message(maker, sequence, cut=None):
    """A message whose text hides a second transaction behind `sequence`. With `cut` a new segment
    begins so many bytes into the sequence."""
    outer = maker.make(b"outer text")
    inner = (b"MAIL FROM:<smuggler@evil.example>\r\nRCPT TO:<anna@customer.example>\r\nDATA\r\n"
             b"Subject: smuggled\r\n\r\nsmuggled text\r\n.\r\n")
    cuts = () if cut is None else (len(outer.data) + cut,)
    return Message(outer.id, outer.reverse_path, outer.recipients, outer.data,
                   wire=outer.data + sequence + inner, cuts=cuts)


def target_of(bench, kind):
    return bench.sink(lmtp=kind == "sink-lmtp") if kind.startswith("sink") else bench.target(kind)


def register(suite):
    for kind in (*TARGETS, "sink", "sink-lmtp"):
        for name, sequence in SEQUENCES.items():
            suite.case(f"smuggling/{kind}/{name}", kind, sequence, None)(one_stays_one)
    for kind in (*TARGETS, "sink", "sink-lmtp"):
        suite.case(f"smuggling/{kind}/mended", kind)(mended_goes_through)
    for kind in ("postfix", "dovecot", "sink"):
        for name, sequence in SEQUENCES.items():
            for cut in range(len(sequence) + 1):
                suite.case(f"smuggling/{kind}/{name}/cut-{cut}", kind, sequence, cut, long=True)(one_stays_one)


def one_stays_one(bench, kind, sequence, cut):
    """At most the outer message arrives, the smuggled one never, and the line stays in step: an honest
    message behind it comes through."""
    target = target_of(bench, kind)
    outer, honest = smuggling_message(bench.maker, sequence, cut), bench.maker.make()
    isp = bench.provider([outer, honest])
    result = bench.customer(target, isp).run()
    isp.wait_idle()
    copies = target.deliveries(1)
    smuggled = [copy for copy in copies if copy.reverse_path == "smuggler@evil.example"]
    none([f"smuggled: {copy.data[:200]!r}" for copy in smuggled])
    check(len(copies) <= 2, f"{len(copies)} copies of 2 messages")
    check(any(copy.data.endswith(honest.data) for copy in copies), "the honest message behind it did not arrive")
    equal([id_ for id_, _, _ in isp.results()], [outer.id, honest.id], "messages the provider got an answer for")
    equal(result.status, 0, "exit status")


def mended(letter):
    """What is to arrive of a smuggling message: all of it, up to the only real end, as one text with spaces for lone
    CR and LF."""
    assert letter.wire.endswith(b"\r\n.\r\n")
    text = letter.wire[:-len(b".\r\n")]
    text = re.sub(rb"(^|\r\n)\.", rb"\1", text)
    return re.sub(rb"\r(?!\n)|(?<!\r)\n", b" ", text)


def as_kept(kind, data):
    """NUL is the targets' own affair: OpenSMTPD loses the rest of its line, Dovecot keeps 0x80."""
    if kind == "opensmtpd":
        return re.sub(rb"\0[^\r\n]*", b"", data)
    return data.replace(b"\0", b"").replace(b"\x80", b"")


def mended_goes_through(bench, kind):
    """stray_newlines = "fix": each of the messages arrives, once, as one text, and the honest one behind them."""
    target = target_of(bench, kind)
    letters = [smuggling_message(bench.maker, sequence) for sequence in SEQUENCES.values()]
    honest = bench.maker.make()
    isp = bench.provider([*letters, honest])
    result = bench.customer(target, isp, stray_newlines="fix").run()
    isp.wait_idle()
    equal(result.status, 0, "exit status")
    copies = target.deliveries(len(letters) + 1)
    equal(len(copies), len(letters) + 1, "copies")
    none([f"smuggled: {copy.data[:200]!r}" for copy in copies if copy.reverse_path == "smuggler@evil.example"])
    for wanted in [mended(letter) for letter in letters] + [honest.data]:
        found = [copy for copy in copies if as_kept(kind, copy.data).endswith(as_kept(kind, wanted))]
        equal(len(found), 1, f"copies that end in {wanted[-250:]!r}")
