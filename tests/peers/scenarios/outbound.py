"""`odmr run` sends what waits: through real smart hosts, over the provider's own connection, and from the queue of
another mail server."""

import os
import threading
from itertools import product

from harness import wire
from harness.messages import MIB, Ledger
from harness.runner import SMART_HOSTS, check, equal, none
from harness.target import write

from .outcomes.sent import (AUTHOR, FRIEND, all_sent, bounce, expect_flush, letter_out, mailbag, still_queued,
                            waiting)

# What odmr may have resident while 50 MiB go through it, TLS with all of OpenSSL included.
RSS_LIMIT_KIB = 20 * 1024


def register(suite):
    for kind, program in SMART_HOSTS.items():
        for tls in program.ways:
            suite.case(f"smart-host/{kind}/mixture/tls-{tls}", kind, tls)(mixture)
        for mechanism in program.mechanisms:
            suite.case(f"smart-host/{kind}/{mechanism}", kind, mechanism)(login)
        suite.case(f"smart-host/{kind}/smtputf8", kind)(smtputf8)
        suite.case(f"smart-host/{kind}/50-MiB", kind)(fifty_mib)
        suite.case(f"smart-host/{kind}/one-refused-one-put-off", kind)(refused_and_put_off)
        suite.case(f"smart-host/{kind}/too-big", kind)(too_big)
        suite.case(f"smart-host/{kind}/turns-away", kind)(turns_away)
        suite.case(f"smart-host/{kind}/stopped", kind)(stopped)
        if program.mechanisms:
            suite.case(f"smart-host/{kind}/wrong-password", kind)(wrong_password)
            suite.case(f"smart-host/{kind}/wrong-certificate", kind)(wrong_certificate)
    suite.case("smart-host/postfix/login-of-the-provider")(auth_as)
    for kind, program in SMART_HOSTS.items():
        for tls, connections, mail in product(program.ways, (1, 2, 5), (1, 20, 60)):
            name = f"smart-host/combination/{kind}/tls-{tls}/{connections}-connections/{mail}-messages"
            suite.case(name, kind, tls, connections, mail, long=True)(combination)
    suite.case("over-the-provider/before-atrn")(over_provider)
    for code in PROVIDER_REFUSALS:
        suite.case(f"over-the-provider/{code}-to-mail", code)(provider_takes_none)
    suite.case("over-the-provider/refused-recipient")(provider_refuses_recipient)
    suite.case("over-the-provider/send-only")(over_provider_send_only)
    suite.case("over-the-provider/target-down")(over_provider_target_down)
    suite.case("over-the-provider/line-lost")(over_provider_line_lost)
    for order in ORDERS:
        suite.case(f"order/{order}", order)(ordered)
    suite.case("order/side-by-side")(side_by_side)
    suite.case("other-queue/postqueue-f")(foreign_queue)
    suite.case("other-queue/command-alone")(foreign_command_alone)
    suite.case("other-queue/limit")(foreign_limit)
    suite.case("other-queue/command-fails")(foreign_fails)


def prepared(bench, kind, letters, tls=None, traits=None, **table):
    """A real smart host, and odmr with messages for it in its queue: (host, customer)."""
    host = bench.smart_host(kind, **(traits or {}))
    local = bench.sink()
    customer = bench.customer(local, bench.provider()).send_through(host, tls or host.ways[0], **table)
    customer.tables["submit"] = {"max_size": "100MiB"}
    customer.local = local
    customer.submit(*letters)
    return host, customer


def mixture(bench, kind, tls):
    """Every kind of message arrives to the byte, and the queue is empty."""
    letters = mailbag(bench) + [letter_out(bench, [FRIEND, "other@faraway.example"])]
    host, customer = prepared(bench, kind, letters, tls)
    expect_flush(customer.run(), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(len(letters) + 1)))
    equal(customer.queue(), [], "queue")


def login(bench, kind, mechanism):
    """With exactly this mechanism; the host's log knows it, too."""
    letters = [letter_out(bench)]
    host, customer = prepared(bench, kind, letters, auth=[mechanism])
    flush = expect_flush(customer.flush(), "sent", tally=all_sent(letters))
    equal(flush.get("auth", mechanism), mechanism, "mechanism in JSON")
    none(Ledger(letters).problems(host.deliveries(1)))


def smtputf8(bench, kind):
    """Addresses in UTF-8 go where the host takes them; a bounce with 5.6.7 where it does not."""
    letter = bench.maker.smtputf8(recipients=["jörg@elsewhere.example"])
    host, customer = prepared(bench, kind, [letter])
    if host.knows_smtputf8:
        expect_flush(customer.flush(), "sent", tally=all_sent([letter]))
        none(Ledger([letter]).problems(host.deliveries(1)))
    else:
        expect_flush(customer.flush(), "sent", bounced=1)
        equal(host.deliveries(0), [], "delivered")


def fifty_mib(bench, kind):
    """To the byte, with the first kind of TLS that the host has, and never as a whole in memory."""
    letters = [bench.maker.big(50 * MIB, reverse_path=AUTHOR, recipients=[FRIEND])]
    host, customer = prepared(bench, kind, letters)
    result = customer.flush()
    expect_flush(result, "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(1)))
    check(result.rss_kib < RSS_LIMIT_KIB, f"{result.rss_kib} KiB resident")


def refused_and_put_off(bench, kind):
    """One notice for the one, another try for the other, and the third has its mail."""
    letter = letter_out(bench, ["nobody@elsewhere.example", FRIEND, "later@elsewhere.example"])
    host, customer = prepared(bench, kind, [letter], traits={
        "refuse": ["nobody@elsewhere.example"], "put_off": ["later@elsewhere.example"]})
    expect_flush(customer.flush(), "deferred", messages=1, recipients=1, bytes=len(letter.data), bounced=1,
                 deferred=None)
    host.deliveries(1)
    _, groups = bounce(customer.local.deliveries(1)[0], letter, ["nobody@elsewhere.example"])
    check("no such person" in str(groups[0]["Diagnostic-Code"]), f"Diagnostic-Code {groups[0]['Diagnostic-Code']!r}")
    bench.shared.smart_host(kind).begin()
    expect_flush(customer.flush("--retry-all"), "sent", messages=1, recipients=1, bytes=len(letter.data))
    none(Ledger([letter]).problems(host.deliveries(2), {letter.id: [FRIEND, "later@elsewhere.example"]}))
    equal(len(customer.local.accepted()), 1, "notices")


def too_big(bench, kind):
    """More than the host's message_size_limit: one bounce, and the small one goes."""
    letters = [bench.maker.big(300_000, reverse_path=AUTHOR, recipients=[FRIEND]), letter_out(bench)]
    host, customer = prepared(bench, kind, letters, traits={"max_size": 100_000})
    expect_flush(customer.flush(), "sent", tally=all_sent(letters[1:], bounced=1))
    bounce(customer.local.deliveries(1)[0], letters[0])
    none(Ledger(letters).problems(host.deliveries(1), {letters[1].id: letters[1].recipients}))


def turns_away(bench, kind):
    """A refused connection is no refused message: twenty stay as they are."""
    letters = [letter_out(bench) for _ in range(20)]
    host, customer = prepared(bench, kind, letters, traits={"turns_away": True})
    expect_flush(customer.flush(), "unavailable", deferred=None)
    still_queued(customer, letters)
    host = bench.smart_host(kind)
    expect_flush(customer.flush("--retry-all"), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(20)))
    equal(customer.local.transactions, [], "notices")


def stopped(bench, kind):
    letters = [letter_out(bench) for _ in range(5)]
    host, customer = prepared(bench, kind, letters)
    host.stop()
    expect_flush(customer.flush(), "unavailable", deferred=None)
    still_queued(customer, letters)
    host.start()
    expect_flush(customer.flush("--retry-all"), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(5)))


def wrong_password(bench, kind):
    letters = [letter_out(bench) for _ in range(5)]
    host, customer = prepared(bench, kind, letters)
    right = open(customer.secret, encoding="ascii").read()
    write(customer.secret, "wrong horse\n", 0o600)
    expect_flush(customer.flush(), "auth", deferred=None)
    still_queued(customer, letters)
    equal(customer.local.transactions, [], "notices")
    write(customer.secret, right, 0o600)
    expect_flush(customer.flush("--retry-all"), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(5)))


def wrong_certificate(bench, kind):
    letters = [letter_out(bench)]
    host, customer = prepared(bench, kind, letters, traits={"certificate": bench.authority.wrong_name()})
    expect_flush(customer.flush(), "tls", deferred=None)
    still_queued(customer, letters)
    host = bench.smart_host(kind)
    expect_flush(customer.flush("--retry-all"), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(1)))


def auth_as(bench):
    letters = [letter_out(bench)]
    host, customer = prepared(bench, "postfix", letters)
    for key in ("user", "password_file"):
        del customer.tables["outbound"][key]
    customer.tables["outbound"]["auth_as"] = "isp"
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(1)))


def combination(bench, kind, tls, connections, count):
    letters = [letter_out(bench, [FRIEND, "other@faraway.example"]) for _ in range(count)]
    host, customer = prepared(bench, kind, letters, tls, max_connections=connections)
    expect_flush(customer.run(), "sent", tally=all_sent(letters))
    none(Ledger(letters).problems(host.deliveries(2 * count)))


# Over the provider's own connection, before ATRN

PROVIDER_REFUSALS = {
    "500": b"500 5.5.1 what?",
    "502": b"502 5.5.1 not here",
    "503": b"503 5.5.1 not now",
    "530": b"530 5.7.0 not for you",
}


def over(bench, letters, script=None, held=1, **options):
    """odmr that sends over the provider's connection: (provider, sink, customer, messages held for us)."""
    incoming = [bench.maker.make() for _ in range(held)]
    isp = bench.provider(incoming, script=script, takes_mail=True, **options)
    sink = bench.sink()
    customer = bench.customer(sink, isp)
    customer.tables["outbound"] = {"to": "provider"}
    customer.submit(*letters)
    return isp, sink, customer, incoming


def taken(isp):
    """(message ID line, recipients) of what the provider took from us."""
    return sorted((transaction.data, tuple(transaction.recipients)) for transaction in isp.transactions
                  if any(reply[:1] == b"2" for reply in transaction.replies))


def arrived_at(isp, letters):
    copies = taken(isp)
    equal(len(copies), len(letters), "messages taken by the provider")
    for letter in letters:
        check(any(data.endswith(letter.data) and list(recipients) == letter.recipients for data, recipients in copies),
              f"{letter.id} did not arrive as it was")


def over_provider(bench):
    """Ours goes on the logged-in connection, then the line is turned and theirs comes."""
    letters = mailbag(bench)
    isp, sink, customer, incoming = over(bench, letters)
    result = customer.run()
    expect_flush(result, "sent", tally=all_sent(letters))
    equal(result.session()["outcome"], "fetched", "the provider's outcome")
    arrived_at(isp, letters)
    none(Ledger(incoming).problems(sink.deliveries(1)))
    commands = [command.split()[0].upper() for command in isp.sessions[0].commands]
    check(commands.index("AUTH") < commands.index("MAIL") < commands.index("ATRN"), f"order {commands}")
    check("MAIL" not in commands[commands.index("ATRN"):], "MAIL after ATRN")


def provider_takes_none(bench, code):
    """It does not take mail there: put off, never bounced, and ATRN follows."""
    letters = [letter_out(bench) for _ in range(3)]
    isp, sink, customer, incoming = over(bench, letters, {"sent-mail": wire.say(PROVIDER_REFUSALS[code])})
    result = customer.run()
    expect_flush(result, "deferred", deferred=None)
    equal(result.session()["outcome"], "fetched", "the provider's outcome")
    none(Ledger(incoming).problems(sink.deliveries(1)))
    still_queued(customer, letters)
    equal(len(sink.accepted()), 1, "delivered here, notices included")
    check(isp.script.reached["sent-mail"] <= 2, f"{isp.script.reached['sent-mail']} MAIL commands")
    isp.script.steps.clear()
    expect_flush(customer.run("run", "--json", "--retry-all"), "sent", tally=all_sent(letters))
    arrived_at(isp, letters)


def provider_refuses_recipient(bench):
    """5xx to RCPT is meant for the message: a bounce, and ATRN follows."""
    letters = [letter_out(bench, ["nobody@elsewhere.example"]), letter_out(bench)]
    isp, sink, customer, incoming = over(bench, letters)
    isp.recipient_replies["nobody@elsewhere.example"] = [b"550 5.1.1 no such person"]
    result = customer.run()
    expect_flush(result, "sent", tally=all_sent(letters[1:], bounced=1))
    equal(result.session()["outcome"], "fetched", "the provider's outcome")
    arrived_at(isp, letters[1:])
    notices = [copy for copy in sink.deliveries(2) if copy.reverse_path == ""]
    bounce(notices[0], letters[0], letters[0].recipients)


def over_provider_send_only(bench):
    """A connection without ATRN."""
    letters = [letter_out(bench)]
    isp, sink, customer, _ = over(bench, letters)
    expect_flush(customer.flush(), "sent", tally=all_sent(letters))
    arrived_at(isp, letters)
    equal((isp.atrn_count(), len(isp.pending())), (0, 1), "ATRN commands, and messages left at the provider")


def over_provider_target_down(bench):
    """Nothing can come in, so the line is not turned; ours goes all the same."""
    letters = [letter_out(bench)]
    isp, sink, customer, _ = over(bench, letters)
    sink.stop()
    result = customer.run()
    expect_flush(result, "sent", status=69, tally=all_sent(letters))
    equal(result.session()["outcome"], "local-down", "the provider's outcome")
    arrived_at(isp, letters)
    equal((isp.atrn_count(), len(isp.pending())), (0, 1), "ATRN commands, and messages left at the provider")


def over_provider_line_lost(bench):
    """Lost before the answer to the dot: the next run sends it, and fetches."""
    letters = [letter_out(bench)]
    isp, sink, customer, incoming = over(bench, letters, {"sent-body": [wire.cut()]})
    result = customer.run()
    equal(result.status, 75, "exit status")
    still_queued(customer, letters)
    result = customer.run("run", "--json", "--retry-all")
    expect_flush(result, "sent", tally=all_sent(letters))
    arrived_at(isp, letters)
    none(Ledger(incoming).problems(sink.deliveries(1)))


# Order

ORDERS = ("send-first", "receive-first")


def both_ways(bench, order, host_script=None, isp_script=None):
    letters, host, customer = waiting(bench, host=bench.host(script=host_script), count=3, order=order)
    incoming = [bench.maker.make() for _ in range(3)]
    isp = bench.provider(incoming, script=isp_script)
    customer.talk_to(isp)
    return letters, incoming, host, isp, customer


def ended_well(result, letters, incoming, host, customer):
    expect_flush(result, "sent", tally=all_sent(letters))
    equal(result.session()["outcome"], "fetched", "the provider's outcome")
    none(Ledger(letters).problems(host.deliveries(3)))
    none(Ledger(incoming).problems(customer.local.deliveries(3)))


def ordered(bench, order):
    """Each peer notes, when it is first spoken to, what the other has done by then."""
    seen = {}

    def note(who, count):
        def action(conversation, normal):
            seen.setdefault(who, count())
            conversation.line.write(normal)
            return normal
        return action
    letters, incoming, host, isp, customer = both_ways(bench, order)
    host.script.steps["greeting"] = note("host", lambda: len(customer.local.accepted()))
    isp.script.steps["greeting"] = note("provider", lambda: len(host.accepted()))
    ended_well(customer.run(), letters, incoming, host, customer)
    wanted = {"send-first": {"provider": 3, "host": 0}, "receive-first": {"provider": 0, "host": 3}}[order]
    equal(seen, wanted, "messages that had gone the other way by the first greeting")


def side_by_side(bench):
    """The default: each peer greets only when the other has been called too."""
    called = {"host": threading.Event(), "provider": threading.Event()}

    def meet(mine, other):
        def action(conversation, normal):
            called[mine].set()
            return wire.gate(called[other])(conversation, normal)
        return action
    letters, incoming, host, isp, customer = both_ways(
        bench, None, {"greeting": meet("host", "provider")}, {"greeting": meet("provider", "host")})
    ended_well(customer.run(), letters, incoming, host, customer)


# Somebody else's queue

def with_command(bench, **keys):
    return bench.customer(bench.sink(), bench.provider()).send_through(None, **keys)


def foreign_queue(bench):
    """A real Postfix keeps the mail and has nowhere to send it; `postqueue -f` starts it while the line is up, and
    the run ends when its queue is empty."""
    far = bench.sink()
    postfix = bench.local_mta(far)
    letters = [letter_out(bench) for _ in range(5)]
    postfix.keep(letters)
    equal(postfix.queued(), 5, "messages in Postfix's queue")
    far.start()
    customer = with_command(bench, command=postfix.command("postqueue", "-f"),
                            command_until=postfix.command("postqueue", "-j"), command_limit="30s")
    result = customer.run()
    equal(result.status, 0, "exit status")
    equal(postfix.queued(), 0, "messages in Postfix's queue after the run")
    none(Ledger(letters).problems(far.deliveries(5)))


def counting(bench, name, text):
    """A shell command that notes each of its runs in a file: (command, the number of its runs so far)."""
    path = bench.path(name)

    def runs():
        return len(open(path, encoding="ascii").read()) if os.path.exists(path) else 0
    return f"printf x >> {path}; {text}", runs


def foreign_command_alone(bench):
    """Without a command that tells, it is run once and not waited for; so too with mail that comes in."""
    command, runs = counting(bench, "runs", "true")
    isp = bench.provider([bench.maker.make()])
    customer = with_command(bench, command=command)
    customer.talk_to(isp)
    result = customer.run()
    equal((result.status, result.session()["outcome"], runs()), (0, "fetched", 1), "status, outcome, runs")
    equal(customer.run("run", "--json", "--receive-only").status, 0, "exit status with --receive-only")
    equal(runs(), 1, "runs with --receive-only")


def foreign_limit(bench):
    """A queue that does not get empty holds the run up no longer than the limit: its mail is put off."""
    until, runs = counting(bench, "runs", "echo still-here")
    customer = with_command(bench, command="true", command_until=until, command_limit="2s")
    result = customer.run(seconds=30)
    check(2 <= result.seconds < 10, f"{result.seconds:.1f} s")
    equal(result.status, 75, "exit status")
    check(runs() >= 2, f"asked {runs()} times")
    check(result.stderr.strip(), "nothing said of a queue that is not empty")


def foreign_fails(bench):
    customer = with_command(bench, command="exit 3", command_until="echo 0")
    result = customer.run()
    check(result.stderr.strip(), "nothing said of a command that failed")
    equal((result.status, result.session()["outcome"]), (75, "no-mail"), "exit status, and the provider's outcome")
