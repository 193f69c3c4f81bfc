"""`[deliver] deferred = "here"`: what the target puts off is kept by us. The provider is rid of it, and a later run hands
it over, once."""

import os

from harness import wire
from harness.messages import Ledger
from harness.programs import HOSTNAME
from harness.runner import check, equal, none

from .expect import counts, expect
from .local import fill, mounted
from .sent import bounce
from .target import LOST_ANSWERS, PUT_OFF, once

ANNA, LATER, NOBODY = "anna@customer.example", "later@customer.example", "nobody@customer.example"
BUSY, GONE = b"451 4.2.0 busy", b"550 5.1.1 gone"


def register(suite):
    for lmtp in (False, True):
        kind = "lmtp" if lmtp else "smtp"
        for name, script in PUT_OFF.items():
            suite.case(f"kept/{kind}-{name}", lmtp, script)(put_off)
        suite.case(f"kept/{kind}-nothing-listens", lmtp)(down)
    suite.case("kept/every-kind-of-message")(mixture)
    suite.case("kept/smtputf8")(smtputf8)
    suite.case("kept/for-those-who-have-it-not-yet")(some_have_it)
    suite.case("kept/put-off-one-by-one")(one_by_one)
    suite.case("kept/maildir")(maildir)
    suite.case("kept/refused-at-the-second-try")(refused_later)
    suite.case("kept/refused-softly-at-the-second-try")(refused_softly)
    suite.case("kept/a-target-that-refuses-everything-later")(breaker_later)
    suite.case("kept/lifetime")(lifetime)
    suite.case("kept/lifetime-without-sender")(lifetime_without_sender)
    for name, (step, action) in LOST_ANSWERS.items():
        suite.case(f"kept/offered-again-{name}", step, action)(offered_again)
    suite.case("kept/offered-again-in-the-same-run")(offered_again_at_once)
    for name, (size, answer) in FULL.items():
        suite.case(f"kept/no-room-for-{name}", size, answer)(no_room)
    suite.case("kept/each-provider-has-its-own-target")(own_targets)
    suite.case("kept/of-a-provider-that-is-gone")(provider_gone)
    suite.case("kept/nobody-to-tell-the-sender")(nobody_tells)
    suite.case("kept/by-hand")(by_hand)


def keeping(bench, target, letters=(), **options):
    """A provider with these messages, and odmr that keeps here what the target puts off."""
    isp = bench.provider(letters, **options)
    customer = bench.customer(target, isp)
    customer.deliver["deferred"] = "here"
    return isp, customer


def kept(customer):
    """The messages that wait in the state directory."""
    folder = os.path.join(customer.top["state_dir"], "kept", "held")
    return [name for name in sorted(os.listdir(folder)) if "." not in name] if os.path.isdir(folder) else []


def keeps(isp, customer, letters, **received):
    """One run after which the provider has heard 250 for all of it, and what was put off is here."""
    expect(customer.run(), "deferred", received={"deferred": len(letters), **received}, reply="250")
    isp.wait_idle()
    check(all(reply[0] == "2" for _, _, reply in isp.results()), f"answers {isp.results()}")
    equal(isp.pending(), {}, "left at the provider")
    equal(len(kept(customer)), len(letters), "kept")


def waits(isp, customer, number=1):
    """One run that changes nothing: nobody is bothered with it but the one who looks at the exit status."""
    result = customer.run()
    expect(result, "no-mail", status=75)
    check("still kept here" in result.stderr, f"not a word of it in the log: {result.stderr}")
    equal(len(kept(customer)), number, "kept after one more run")
    isp.wait_idle()


def goes(customer, sink, letters, expected=None):
    """One run in which the target takes it: each copy is there once, below one line of ours."""
    expect(customer.run(), "no-mail")
    equal(kept(customer), [], "still kept")
    expected = expected or {letter.id: letter.recipients for letter in letters}
    copies = sink.deliveries(sum(len(recipients) for recipients in expected.values()))
    none(Ledger(letters).problems(copies, expected, our_name=HOSTNAME))
    expect(customer.run(), "no-mail")
    equal(len(sink.deliveries()), len(copies), "copies after one more run")


def put_off(bench, lmtp, script):
    letters = [bench.maker.make()]
    sink = bench.sink(lmtp=lmtp, script=script)
    isp, customer = keeping(bench, sink, letters)
    keeps(isp, customer, letters)
    waits(isp, customer)
    sink.script.steps.clear()
    goes(customer, sink, letters)


def down(bench, lmtp):
    """The line is used all the same."""
    letters = [bench.maker.make(), bench.maker.make()]
    sink = bench.sink(lmtp=lmtp)
    isp, customer = keeping(bench, sink, letters)
    sink.stop()
    keeps(isp, customer, letters)
    waits(isp, customer, 2)
    sink.start()
    goes(customer, sink, letters)


def mixture(bench):
    """To the byte and with its envelope: 8-bit, leading dots, longest lines, empty, null reverse-path."""
    letters = bench.maker.mixture()
    for mode in ("pipelined", "bdat"):
        sink = bench.sink(script={"dot": wire.say(BUSY)})
        isp, customer = keeping(bench, sink, letters, mode=mode)
        keeps(isp, customer, letters)
        sink.script.steps.clear()
        tried = len(sink.transactions)
        goes(customer, sink, letters)
        announced = ["BODY=8BITMIME" in one.mail for one in sink.transactions[tried:]]
        equal(announced, ["8BITMIME" in letter.parameters for letter in letters], "BODY=8BITMIME, message by message")


def smtputf8(bench):
    letters = [bench.maker.smtputf8(recipients=["jörg@customer.example"])]
    sink = bench.sink(script={"mail": wire.say(BUSY)})
    isp, customer = keeping(bench, sink, letters)
    keeps(isp, customer, letters)
    sink.script.steps.clear()
    goes(customer, sink, letters)
    parameters = set(sink.transactions[-1].mail.split()[1:])
    check({"BODY=8BITMIME", "SMTPUTF8"} <= parameters, f"parameters of MAIL: {parameters}")


def some_have_it(bench):
    """LMTP: who has it is not asked again, nor is who was refused."""
    letter = bench.maker.make(recipients=[ANNA, LATER, NOBODY, "bert@second.example"])
    sink = bench.sink(lmtp=True, recipient_replies={LATER: [None, BUSY], NOBODY: [None, GONE]})
    isp, customer = keeping(bench, sink, [letter])
    expect(customer.run(), "deferred", received=counts([letter], 2))
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal(isp.bounced, [], "bounced by the provider")
    sink.recipient_replies.clear()
    goes(customer, sink, [letter], {letter.id: [ANNA, LATER, "bert@second.example"]})
    equal(sink.transactions[-1].recipients, [LATER], "asked for at the second try")


def one_by_one(bench):
    """Each run brings it to one more of three."""
    recipients = [ANNA, "bert@second.example", LATER]
    letter = bench.maker.make(recipients=recipients)
    sink = bench.sink(lmtp=True, recipient_replies={one: [None, BUSY] for one in recipients})
    isp, customer = keeping(bench, sink, [letter])
    keeps(isp, customer, [letter])
    for one in recipients[:2]:
        del sink.recipient_replies[one]
        waits(isp, customer)
    sink.recipient_replies.clear()
    goes(customer, sink, [letter])


def maildir(bench):
    """A Maildir whose disk is out of reach puts off as well."""
    folder, away = bench.path("boxes"), bench.path("away")
    os.mkdir(folder)
    letters = [bench.maker.make(recipients=[ANNA, "bert@second.example"])]
    isp, customer = keeping(bench, f"maildir://{folder}/shared", letters)
    os.rename(folder, away)
    keeps(isp, customer, letters)
    waits(isp, customer)
    os.rename(away, folder)
    expect(customer.run(), "no-mail")
    equal(kept(customer), [], "still kept")
    files = [os.path.join(folder, "shared", "new", name) for name in os.listdir(os.path.join(folder, "shared", "new"))]
    equal(len(files), 1, "files in the Maildir")
    with open(files[0], "rb") as file:
        text = file.read().replace(b"\n", b"\r\n")
    check(text.endswith(letters[0].data), f"changed: {text[:500]!r}")
    equal(text.count(b"by " + HOSTNAME.encode()), 1, "Received lines of ours")
    equal([line for line in text.split(b"\r\n") if line.startswith(b"Delivered-To:")],
          [b"Delivered-To: " + one.encode() for one in letters[0].recipients], "Delivered-To")


# --- what comes to nothing

def refused_later(bench):
    """Refused for good once the provider is rid of it: its author hears of it, from us, once."""
    letters = [bench.maker.make(recipients=[ANNA, NOBODY])]
    sink = bench.sink(script={"data": wire.say(BUSY)})
    host = bench.host()
    isp, customer = keeping(bench, sink, letters)
    customer.send_through(host)
    keeps(isp, customer, letters)
    equal(host.transactions, [], "sent while it waits")
    sink.script.steps.clear()
    sink.recipient_replies[NOBODY] = [GONE]
    equal(customer.run().status, 0, "exit status of the second run")
    none(Ledger(letters).problems(sink.deliveries(1), {letters[0].id: [ANNA]}, our_name=HOSTNAME))
    bounced_once(customer, host, letters[0], [NOBODY])


def bounced_once(customer, host, letter, recipients, status="5"):
    equal(kept(customer), [], "still kept")
    copies = host.deliveries(1)
    equal([(copy.reverse_path, copy.recipient) for copy in copies], [("", letter.reverse_path)], "bounces")
    bounce(copies[0], letter, recipients, status=status)
    equal(customer.run().status, 0, "exit status of one more run")
    equal(len(host.deliveries()), 1, "bounces after one more run")


def refused_softly(bench):
    """soft_bounce: nothing is refused for good, so it waits on."""
    letters = [bench.maker.make()]
    sink = bench.sink(script={"dot": wire.say(b"550 5.7.1 no")})
    host = bench.host()
    isp, customer = keeping(bench, sink, letters)
    customer.send_through(host)
    customer.deliver["soft_bounce"] = True
    keeps(isp, customer, letters)
    waits(isp, customer)
    equal(host.transactions, [], "bounces")
    sink.script.steps.clear()
    goes(customer, sink, letters)


def breaker_later(bench):
    """The fault is the target's own: after two messages no more are lost to it."""
    letters = [bench.maker.make() for _ in range(6)]
    sink = bench.sink(script={"mail": wire.say(BUSY)})
    host = bench.host()
    isp, customer = keeping(bench, sink, letters)
    customer.send_through(host)
    customer.deliver["breaker"] = 2
    keeps(isp, customer, letters)
    sink.script.steps["mail"] = wire.say(b"550 5.7.1 nothing for anybody")
    expect(customer.run(), "no-mail", status=75)
    equal(len(kept(customer)), 4, "kept after the breaker")
    equal(len(host.deliveries(2)), 2, "bounces")
    sink.script.steps.clear()
    copies = {letter.id: letter.recipients for letter in letters[2:]}
    goes(customer, sink, letters, copies)


def lifetime(bench):
    """It is tried once more at its end; then its author is told what the target last said."""
    letters = [bench.maker.make()]
    sink = bench.sink(script={"dot": wire.say(b"451 4.2.9 never mind")})
    host = bench.host()
    isp, customer = keeping(bench, sink, letters)
    customer.send_through(host)
    keeps(isp, customer, letters)
    waits(isp, customer)
    customer.deliver["lifetime"] = "1ms"  # over since long, for a message that an earlier run has kept
    equal(customer.run().status, 0, "exit status at its end")
    bounced_once(customer, host, letters[0], letters[0].recipients, status="4")
    check(b"never mind" in host.deliveries(1)[0].data, "the target's words are not in the bounce")


def lifetime_without_sender(bench):
    """Nobody can be told, and nobody is: a bounce of a bounce there is not (RFC 5321 6.1)."""
    letters = [bench.maker.make(reverse_path="")]
    sink = bench.sink(script={"dot": wire.say(BUSY)})
    host = bench.host()
    isp, customer = keeping(bench, sink, letters)
    customer.send_through(host)
    keeps(isp, customer, letters)
    customer.deliver["lifetime"] = "1ms"
    customer.run()
    customer.run()
    equal(host.transactions, [], "sent")
    equal(sink.accepted(), [], "delivered")


# --- never twice, and never none

def cut_when_kept(bench, step, action):
    """A provider that does not read our 250 to what we have kept: (letters, provider, sink, odmr)."""
    letters = [bench.maker.make(recipients=[ANNA, "bert@second.example"])]
    sink = bench.sink(script={"rcpt": wire.say(BUSY)})
    isp, customer = keeping(bench, sink, letters)
    isp.script.steps[step] = once(lambda: kept(customer), action) if step == "dot-reply" else [action]
    return letters, isp, sink, customer


def offered_again(bench, step, action):
    """It is offered again when it has left from here for the target."""
    letters, isp, sink, customer = cut_when_kept(bench, step, action)
    customer.isp["max_sessions"] = 1
    equal(customer.run().status, 75, "exit status of the first run")
    isp.wait_idle()
    equal(len(kept(customer)), 1, "kept")
    sink.script.steps.clear()
    for _ in range(2):
        equal(customer.run().status, 0, "exit status of a later run")
        isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal(kept(customer), [], "still kept")
    none(Ledger(letters).problems(sink.deliveries(2), our_name=HOSTNAME))


def offered_again_at_once(bench):
    """It is offered again while it is here, and the target still puts off."""
    letters, isp, sink, customer = cut_when_kept(bench, "dot-reply", wire.cut())
    expect(customer.run(), "deferred", received={"deferred": 1, "duplicates": 1})
    isp.wait_idle()
    equal(isp.pending(), {}, "left at the provider")
    equal(len(kept(customer)), 1, "kept")
    sink.script.steps.clear()
    goes(customer, sink, letters)


# A message that finds no room in a file system of 2 MiB: already while it comes in, or for its second copy. What the
# provider hears then is our 452, or the word of the target that put it off.
FULL = {"the-message": (3_000_000, "452"), "what-is-kept": (1_200_000, "451")}


def no_room(bench, size, answer):
    letters = [bench.maker.big(size, recipients=[ANNA])]
    sink = bench.sink(script={"rcpt": wire.say(BUSY)})
    isp, customer = keeping(bench, sink, letters)
    folder = mounted(bench, customer, "size=2m")
    expect(customer.run(), "state", received={"deferred": 1})
    isp.wait_idle()
    equal([reply[:3] for _, _, reply in isp.results()], [answer], "answers")
    equal(list(isp.pending()), [letters[0].id], "left at the provider")
    equal(kept(customer), [], "kept")
    check("held" not in os.listdir(folder), "something is left over")
    sink.script.steps.clear()
    customer.deliver["deferred"] = "provider"
    expect(customer.run(), "fetched", received=counts(letters))
    none(Ledger(letters).problems(sink.deliveries(1), our_name=HOSTNAME))


# --- several providers

def own_targets(bench):
    """Each with its own [provider.NAME.deliver]: what one of them puts off goes to that one later, and to no other."""
    general, second = bench.sink(), bench.sink(lmtp=True, script={"mail": wire.say(BUSY)})
    letters = [bench.maker.make(), bench.maker.make()]
    isp, other = bench.provider(letters[:1]), bench.provider(letters[1:])
    customer = bench.customer(general, isp)
    customer.tables["provider.other"] = {**customer.isp, "port": other.port}
    customer.tables["provider.other.deliver"] = {"to": second.url, "deferred": "here"}
    result = customer.run()
    expect(result, "fetched", status=75, received=counts(letters[:1]))
    expect(result, "deferred", provider="other", status=75, received={"deferred": 1})
    equal((isp.pending(), other.pending()), ({}, {}), "left at the providers")
    second.script.steps.clear()
    expect(customer.run("run", "--json", "isp"), "no-mail")  # it has no business with the other's mail
    equal(len(kept(customer)), 1, "kept after a run with the one provider")
    equal(customer.run().status, 0, "exit status of the second run")
    equal(kept(customer), [], "still kept")
    for sink, letter in ((general, letters[0]), (second, letters[1])):
        none(Ledger([letter]).problems(sink.deliveries(1), our_name=HOSTNAME))


def provider_gone(bench):
    """It goes to whoever has its domain now. Where nobody has, no other's target is bothered with it, which would
    refuse it for good, unless there is only one."""
    general, second, third = bench.sink(), bench.sink(script={"mail": wire.say(BUSY)}), bench.sink()
    letters = [bench.maker.make(recipients=[f"carl{number}@second.example"]) for number in range(2)]
    isp, other = bench.provider(domains=["customer.example", "third.example"]), bench.provider(letters)
    customer = bench.customer(general, isp, domains=["customer.example"])
    with_third = {**customer.isp, "domains": ["third.example"]}
    mine = {**customer.isp, "port": other.port, "domains": ["second.example"]}

    def providers(**tables):
        for name in [name for name in customer.tables if name.startswith("provider.")]:
            del customer.tables[name]
        for name, (keys, sink) in tables.items():
            customer.tables[f"provider.{name}"] = keys
            customer.tables[f"provider.{name}.deliver"] = {"to": sink.url, "deferred": "here"}

    providers(other=(mine, second))
    expect(customer.run(), "deferred", provider="other", status=75, received={"deferred": 2})
    equal(len(kept(customer)), 2, "kept")
    second.script.steps["mail"] = [None, wire.say(BUSY)]
    providers(renamed=(mine, second), third=(with_third, third))
    expect(customer.run("run", "--json", "isp"), "no-mail")  # it has no business with the other's mail
    equal(customer.run().status, 75, "exit status under the new name")
    equal((len(kept(customer)), len(second.accepted())), (1, 1), "kept, and delivered, under the new name")
    providers(third=(with_third, third))
    result = customer.run()
    equal(result.status, 75, "exit status without the provider")
    check("no provider is configured any more whose mail this is" in result.stderr, f"log {result.stderr}")
    equal((len(kept(customer)), third.accepted(), general.accepted()), (1, [], []), "kept, and delivered elsewhere")
    providers()
    equal(customer.run().status, 0, "exit status with one target")
    equal((kept(customer), len(general.accepted())), ([], 1), "kept, and delivered to the only target")


def nobody_tells(bench):
    """Without [outbound] each run says that a sender waits to be told."""
    letters = [bench.maker.make()]
    sink = bench.sink(script={"dot": wire.say(BUSY)})
    isp, customer = keeping(bench, sink, letters)
    keeps(isp, customer, letters)
    sink.script.steps["dot"] = wire.say(GONE)
    for run in ("refuses it", "has nothing to do"):
        result = customer.run()
        expect(result, "no-mail")
        warnings = [line for line in result.stderr.splitlines() if "no [outbound] to tell its senders by" in line]
        check(len(warnings) == 1 and "messages=1" in warnings[0], f"warnings of the run that {run}: {warnings}")
    equal(kept(customer), [], "kept")


# --- odmr queue --kept

def by_hand(bench):
    """Listed, shown, held, released and removed like mail in the outbound queue; a retry makes no sense."""
    letters = [bench.maker.make(), bench.maker.make()]
    sink = bench.sink(script={"dot": wire.say(BUSY)})
    isp, customer = keeping(bench, sink, letters)
    empty = customer.run("queue", "--kept")
    equal((empty.status, empty.stdout), (0, "No mail is kept for the local target\n"), "a list of nothing")
    keeps(isp, customer, letters)
    listed = customer.run("queue", "list", "--kept", "--json").objects
    equal([one["recipients"] for one in listed],
          [[{"address": ANNA, "standing": "waiting"}]] * 2, "recipients of the list")
    equal([one["id"] for one in listed], kept(customer), "ids of the list")
    text = customer.run("queue", "--kept").stdout
    check(all(one["id"] in text for one in listed) and "2 messages" in text, f"the list in words: {text}")
    check("kept here for the local target: 2 messages (" in customer.run("status").stdout, "odmr status says nothing of them")
    whole = customer.run("queue", "show", "--kept", "--message", listed[0]["id"]).stdout
    check(whole.endswith(letters[0].data.decode()), f"shown: {whole}")
    equal(customer.run("queue", "retry", "--kept", "--all").status, 64, "exit status of a retry")
    equal(customer.run("queue", "hold", "--kept", listed[0]["id"]).status, 0, "exit status of hold")
    equal(customer.run("queue", "remove", "--kept", listed[1]["id"]).status, 0, "exit status of remove")
    sink.script.steps.clear()
    equal(customer.run().status, 0, "exit status of a run with a held message")
    equal((kept(customer), sink.accepted()), ([listed[0]["id"]], []), "kept, and delivered")
    equal(customer.run("queue", "release", "--kept", "--all").status, 0, "exit status of release")
    goes(customer, sink, letters[:1])
