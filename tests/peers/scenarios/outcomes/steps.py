"""One misbehaviour of the provider at one step each."""

from harness import wire
from harness.runner import check, equal

from .expect import expect, fresh, scripted

# One provider's misbehaviour at one step, and what it must lead to. Each is
# (name, script, expected outcome, further fields of the JSON object).
STEPS = [
    # unavailable: not now
    ("421-greeting", {"greeting": wire.say(b"421 4.3.2 too busy")}, "unavailable", {"reply": None}),
    ("450-greeting", {"greeting": wire.say(b"450 4.3.2 too busy")}, "unavailable", {"reply": None}),
    ("421-to-ehlo", {"ehlo": wire.say_then_cut(b"421 4.3.2 closing\r\n")}, "unavailable", {"reply": None}),
    ("454-to-auth", {"auth": wire.say(b"454 4.7.0 no database")}, "unavailable", {"reply": None, "auth": None}),
    ("421-to-auth", {"auth": wire.say_then_cut(b"421 4.7.0 bye\r\n")}, "unavailable", {"reply": None, "auth": None}),
    ("454-after-login", {"auth-final": wire.say(b"454 4.7.0 no database")}, "unavailable", {"auth": None}),
    ("451-to-atrn", {"atrn": wire.say(b"451 4.3.0 cannot tell")}, "unavailable", {"reply": "451"}),
    ("421-to-atrn", {"atrn": wire.say_then_cut(b"421 4.3.0 closing\r\n")}, "unavailable", {"reply": "421"}),
    ("452-to-atrn", {"atrn": wire.say(b"452 4.3.1 no room")}, "unavailable", {"reply": "452"}),
    ("eof-at-greeting", {"greeting": wire.cut()}, "unavailable", {"reply": None}),
    ("eof-at-ehlo", {"ehlo": wire.cut()}, "unavailable", {"reply": None}),
    ("eof-in-ehlo-reply", {"ehlo": wire.say_then_cut(b"250-provider.example\r\n250-AU")}, "unavailable", {"reply": None}),
    ("eof-at-auth", {"auth": wire.cut()}, "unavailable", {"reply": None, "auth": None}),
    ("eof-after-login", {"auth-final": wire.cut()}, "unavailable", {"reply": None, "auth": None}),
    ("eof-at-atrn", {"atrn": wire.cut()}, "unavailable", {"reply": None}),
    ("reset-at-atrn", {"atrn": wire.reset()}, "unavailable", {"reply": None}),
    ("eof-in-atrn-reply", {"atrn": wire.say_then_cut(b"250-turning\r\n25")}, "unavailable", {"reply": None}),
    ("eof-after-the-turn", {"await-greeting": wire.cut()}, "unavailable", {"reply": "250"}),
    ("reset-after-the-turn", {"await-greeting": wire.reset()}, "unavailable", {"reply": "250"}),
    ("eof-after-turned-ehlo", {"mail": wire.cut()}, "unavailable", {"reply": "250"}),
    ("eof-after-mail", {"rcpt": wire.cut()}, "unavailable", {"reply": "250"}),
    ("eof-after-rcpt", {"data": wire.cut()}, "unavailable", {"reply": "250"}),
    ("eof-after-354", {"body": wire.cut()}, "unavailable", {"reply": "250"}),
    ("eof-before-the-dot", {"dot": wire.cut()}, "unavailable", {"reply": "250"}),
    ("reset-before-the-dot", {"dot": wire.reset()}, "unavailable", {"reply": "250"}),
    # protocol: it does not speak ODMR, or speaks it wrongly
    ("500-to-atrn", {"atrn": wire.say(b"500 5.5.1 what?")}, "protocol", {"reply": "500"}),
    ("502-to-atrn", {"atrn": wire.say(b"502 5.5.1 not here")}, "protocol", {"reply": "502"}),
    ("504-to-atrn", {"atrn": wire.say(b"504 5.5.4 no")}, "protocol", {"reply": "504"}),
    ("554-greeting", {"greeting": wire.say(b"554 5.3.2 go away")}, "protocol", {"reply": None}),
    ("521-greeting", {"greeting": wire.say(b"521 5.3.2 no mail here")}, "protocol", {"reply": None}),
    ("garbage-greeting", {"greeting": wire.say(b"SSH-2.0-OpenSSH_9.2")}, "protocol", {"reply": None}),
    ("binary-greeting", {"greeting": wire.say(bytes(range(1, 256)).replace(b"\n", b""))}, "protocol", {"reply": None}),
    ("250-greeting", {"greeting": wire.say(b"250 hello")}, "protocol", {"reply": None}),
    ("235-greeting", {"greeting": wire.say(b"235 you are in")}, "protocol", {"reply": None}),
    ("mixed-codes-in-ehlo", {"ehlo": wire.say(b"250-provider.example\r\n550 AUTH CRAM-MD5")}, "protocol", {}),
    ("garbage-reply-to-atrn", {"atrn": wire.say(b"certainly")}, "protocol", {}),
    ("endless-greeting", {"greeting": wire.say(b"220-" + b"x" * 20_000_000)}, "protocol", {"reply": None}),
    ("endless-lines", {"ehlo": wire.say(b"250-x\r\n" * 1_000_000 + b"250 x")}, "protocol", {"reply": None}),
    # auth
    ("535-to-auth", {"auth": wire.say(b"535 5.7.8 wrong")}, "auth", {"auth": None, "reply": None}),
    ("534-to-auth", {"auth": wire.say(b"534 5.7.9 too weak")}, "auth", {"auth": None, "reply": None}),
    ("538-to-auth", {"auth": wire.say(b"538 5.7.11 encrypt first")}, "auth", {"auth": None, "reply": None}),
    ("535-after-login", {"auth-final": wire.say(b"535 5.7.8 wrong")}, "auth", {"auth": None, "reply": None}),
    ("530-to-atrn", {"atrn": wire.say(b"530 5.7.0 log in first")}, "auth", {"reply": "530"}),
    ("334-not-base64", {"auth": wire.say(b"334 *!*")}, "protocol", {"auth": None, "reply": None}),
    # refused
    ("450-to-atrn", {"atrn": wire.say(b"450 4.7.1 not for you")}, "refused", {"reply": "450"}),
    ("550-to-atrn", {"atrn": wire.say(b"550 5.7.1 no")}, "refused", {"reply": "550"}),
    ("553-to-atrn", {"atrn": wire.say(b"553 5.7.1 no such domain")}, "refused", {"reply": "553"}),
    ("554-to-atrn", {"atrn": wire.say(b"554 5.7.1 no")}, "refused", {"reply": "554"}),
    ("501-to-atrn", {"atrn": wire.say(b"501 5.5.4 syntax")}, "refused", {"reply": "501"}),
]


def register(suite):
    for name, script, outcome, fields in STEPS:
        suite.case(f"{outcome}/{name}", script, outcome, fields)(one_step)


def one_step(bench, script, outcome, fields):
    """The provider misbehaves at one step. Its mail stays where it is, and nothing is half-delivered."""
    isp, sink, customer = scripted(bench, fresh(script))
    result = customer.run()
    expect(result, outcome, connections=1, **fields)
    isp.wait_idle()
    check(result.rss_kib < 100 * 1024, f"{result.rss_kib} KiB resident")
    equal(len(isp.pending()), 1, "messages left at the provider")
    equal(sink.accepted(), [], "delivered")
