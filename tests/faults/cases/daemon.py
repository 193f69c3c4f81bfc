"""odmrd serve: held mail handed over on the turned line."""

from faultbench.campaign import Campaign
from faultbench.disk import KINDS, Disk
from faultbench.scenes import Serve


def register(suite):
    suite.case("kill/serve")(kill)
    suite.case("power/serve")(power)


def kill(bench):
    Campaign(bench, Serve(bench, bench.path("root")), some=40).kills().tell("kill/serve")


def power(bench):
    with Disk(bench.folder) as disk:
        Campaign(bench, Serve(bench, disk.root), some=30).power_cuts(disk, KINDS).tell("power/serve")
