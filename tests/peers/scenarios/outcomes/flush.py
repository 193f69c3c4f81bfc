"""The outbound flush: an object of its own with "provider":null."""

from harness import wire
from harness.messages import Ledger
from harness.provider import USER
from harness.runner import equal, none

SENT_KEYS = {"session", "provider", "outcome", "exit", "started", "seconds", "sent"}
SENT_COUNTS = ("messages", "recipients", "bytes", "deferred", "bounced")


def register(suite):
    suite.case("flush/sent", later="the outbound queue")(flush_sent)
    suite.case("flush/send-only-leaves-the-provider-alone", later="the outbound queue")(flush_send_only)
    suite.case("flush/receive-only-leaves-the-queue-alone", later="the outbound queue")(flush_receive_only)
    suite.case("flush/nothing-to-send-says-nothing", later="the outbound queue")(flush_nothing)
    for name, script in FLUSH_PUT_OFF.items():
        suite.case(f"flush/deferred-{name}", script, "deferred", later="the outbound queue")(flush_put_off)
    for name, script in FLUSH_REFUSED.items():
        suite.case(f"flush/unavailable-{name}", script, "unavailable", later="the outbound queue")(flush_put_off)
    suite.case("flush/unavailable-nothing-listens", later="the outbound queue")(flush_nothing_listens)
    suite.case("flush/bounced", later="the outbound queue")(flush_bounced)
    suite.case("flush/auth-not-offered", later="the outbound queue")(flush_auth)
    suite.case("flush/tls-not-offered", later="the outbound queue")(flush_tls)


FLUSH_PUT_OFF = {
    "mail": {"mail": wire.say(b"451 4.3.0 not now")},
    "rcpt": {"rcpt": wire.say(b"450 4.2.1 busy")},
    "dot": {"dot": wire.say(b"452 4.3.1 no room")},
}
FLUSH_REFUSED = {
    "421-greeting": {"greeting": wire.say(b"421 4.3.2 busy")},
    "554-greeting": {"greeting": wire.say(b"554 5.3.2 no")},
}


def outbound(bench, script=None, **table):
    """odmr with one message in its outbound queue: (message, smart host, customer, provider)."""
    isp, host = bench.provider(), bench.sink(script=script)
    customer = bench.customer(bench.sink(), isp)
    customer.tables["outbound"] = {"to": host.url, "tls": "none", **table}
    letter = bench.maker.make(reverse_path="anna@customer.example", recipients=["friend@elsewhere.example"])
    equal(customer.sendmail(letter).status, 0, "exit status of odmr sendmail")
    return letter, host, customer, isp


def expect_flush(result, outcome, status, sent=None):
    equal(result.status, status, "exit status")
    flush = result.session(None)
    equal(set(flush), SENT_KEYS, "keys of the JSON object")
    equal((flush["outcome"], flush["exit"]), (outcome, status), "outcome and exit in JSON")
    equal(flush["sent"], {**dict.fromkeys(SENT_COUNTS, 0), **(sent or {})}, "sent")


def flush_sent(bench):
    letter, host, customer, isp = outbound(bench)
    result = customer.run()
    equal([one["outcome"] for one in result.objects if one["provider"]], ["no-mail"], "the provider's outcome")
    expect_flush(result, "sent", 0, {"messages": 1, "recipients": 1, "bytes": len(letter.data)})
    none(Ledger([letter]).problems(host.deliveries(1)))


def flush_send_only(bench):
    letter, host, customer, isp = outbound(bench)
    result = customer.run("run", "--json", "--send-only")
    expect_flush(result, "sent", 0, {"messages": 1, "recipients": 1, "bytes": len(letter.data)})
    equal(isp.sessions, [], "connections to the provider")


def flush_receive_only(bench):
    _, host, customer, isp = outbound(bench)
    equal(customer.run("run", "--json", "--receive-only").status, 0, "exit status")
    equal((len(isp.sessions), len(host.connections)), (1, 0), "connections to provider and smart host")


def flush_nothing(bench):
    isp, host = bench.provider(), bench.sink()
    customer = bench.customer(bench.sink(), isp)
    customer.tables["outbound"] = {"to": host.url, "tls": "none"}
    result = customer.run()
    equal([one["provider"] for one in result.objects], ["isp"], "objects")


def flush_put_off(bench, script, outcome):
    """It stays queued, and goes out once the smart host takes it and we are told not to wait."""
    letter, host, customer, _ = outbound(bench, script)
    result = customer.run("run", "--json", "--send-only")
    expect_flush(result, outcome, 75, {"deferred": result.session(None)["sent"]["deferred"]})
    host.script.steps.clear()
    result = customer.run("run", "--json", "--send-only", "--retry-all")
    expect_flush(result, "sent", 0, {"messages": 1, "recipients": 1, "bytes": len(letter.data)})
    none(Ledger([letter]).problems(host.deliveries(1)))


def flush_nothing_listens(bench):
    _, host, customer, _ = outbound(bench)
    host.stop()
    result = customer.run("run", "--json", "--send-only")
    expect_flush(result, "unavailable", 75, {"deferred": result.session(None)["sent"]["deferred"]})


def flush_bounced(bench):
    """Refused for good: the author, who is one of ours, gets a notice with the null reverse-path."""
    _, host, customer, isp = outbound(bench, {"rcpt": wire.say(b"550 5.1.1 no such person")})
    local = bench.sink()
    customer.deliver["to"] = local.url
    result = customer.run()
    expect_flush(result, "sent", 0, {"bounced": 1})
    equal([(c.reverse_path, c.recipient) for c in local.deliveries(1)], [("", "anna@customer.example")], "notice")


def flush_auth(bench):
    _, host, customer, _ = outbound(bench)
    customer.tables["outbound"].update({"user": USER, "password_file": customer.secret})
    result = customer.run("run", "--json", "--send-only")
    expect_flush(result, "auth", 77, {"deferred": result.session(None)["sent"]["deferred"]})
    equal(host.accepted(), [], "sent")


def flush_tls(bench):
    _, host, customer, _ = outbound(bench)
    customer.tables["outbound"]["tls"] = "starttls"
    result = customer.run("run", "--json", "--send-only")
    expect_flush(result, "tls", 76, {"deferred": result.session(None)["sent"]["deferred"]})
    equal(host.accepted(), [], "sent")
