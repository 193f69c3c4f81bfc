"""odmrd enqueue: what an MTA's pipe hands over."""

from faultbench.acknowledged import cut_after_each
from faultbench.campaign import Campaign
from faultbench.disk import KINDS, Disk
from faultbench.scenes import Enqueue
from harness.runner import none


def register(suite):
    suite.case("kill/enqueue")(kill)
    suite.case("errno/enqueue")(errors)
    suite.case("power/enqueue")(power)
    suite.case("power/acknowledged/enqueue")(acknowledged)


def kill(bench):
    Campaign(bench, Enqueue(bench, bench.path("root")), some=40).kills().tell("kill/enqueue")


def errors(bench):
    Campaign(bench, Enqueue(bench, bench.path("root")), some=40).errors().tell("errno/enqueue")


def power(bench):
    with Disk(bench.folder) as disk:
        Campaign(bench, Enqueue(bench, disk.root), some=30).power_cuts(disk, KINDS).tell("power/enqueue")


def acknowledged(bench):
    with Disk(bench.folder) as disk:
        none(cut_after_each(Enqueue(bench, disk.root), disk, list(KINDS), 20))
