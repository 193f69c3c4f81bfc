"""PRDR (an answer for each recipient after the dot) with the program that made it known: Exim as the sender."""

from harness.exim_sender import EximSender
from harness.messages import Ledger, id_of
from harness.runner import check, equal

ANNA, LATER, NOBODY = "anna@customer.example", "later@customer.example", "nobody@customer.example"


def register(suite):
    suite.case("prdr/exim-sends-lmtp-answers")(mixed)


def mixed(bench):
    """One has it, one is put off, one is refused: Exim hears of each, and comes again for the one alone."""
    exim = bench._keep("exim", EximSender(bench.path("exim"), bench.shared.programs))
    letter = bench.maker.make(recipients=[ANNA, LATER, NOBODY])
    exim.put(letter)
    isp = bench.provider([letter])
    isp.script.steps["await-greeting"] = [exim.send, exim.send]
    sink = bench.sink(lmtp=True, recipient_replies={LATER: [None, b"450 4.2.1 not now"],
                                                    NOBODY: [None, b"550 5.1.1 gone"]})
    customer = bench.customer(sink, isp, max_sessions=1)
    first = customer.run()
    isp.wait_idle()
    equal((first.status, first.session()["outcome"]), (75, "deferred"), "exit status and outcome")
    log = exim.log_text()
    check(" PRDR" in log, f"exim did not use PRDR:\n{log}")
    said = {who: [line for line in log.splitlines() if f" {mark} {who} " in line]
            for mark, who in (("=>", ANNA), ("->", ANNA), ("==", LATER), ("**", NOBODY)) if f" {mark} {who} " in log}
    equal(sorted(said), [ANNA, LATER, NOBODY], f"recipients of whom exim heard, in\n{log}")
    check("450 4.2.1 not now" in said[LATER][0] and "550 5.1.1 gone" in said[NOBODY][0], f"in which words:\n{log}")
    sink.recipient_replies.clear()
    equal(customer.run().status, 0, "exit status of the second run")
    isp.wait_idle()
    equal(sorted((copy.recipient, id_of(copy.data)) for copy in sink.deliveries(2)),
          [(ANNA, letter.id), (LATER, letter.id)], "delivered")
    equal(sink.transactions[-1].recipients, [LATER], "asked for by the second run")
