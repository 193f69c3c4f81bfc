"""odmrd serve: held mail handed over on the turned line, and mail that comes in by LMTP."""

from faultbench.campaign import Campaign
from faultbench.disk import KINDS, Disk
from faultbench.scenes import Serve, Take


def register(suite):
    suite.case("kill/serve")(kill)
    suite.case("power/serve")(power)
    suite.case("kill/take")(kill_take)
    suite.case("errno/take")(errors_of_take)
    suite.case("power/take")(power_of_take)


def kill(bench):
    Campaign(bench, Serve(bench, bench.path("root")), some=30).kills().tell("kill/serve")


def power(bench):
    with Disk(bench.folder) as disk:
        Campaign(bench, Serve(bench, disk.root), some=30).power_cuts(disk, KINDS).tell("power/serve")


def kill_take(bench):
    Campaign(bench, Take(bench, bench.path("root")), some=40).kills().tell("kill/take")


def errors_of_take(bench):
    Campaign(bench, Take(bench, bench.path("root")), some=20).errors().tell("errno/take")


def power_of_take(bench):
    with Disk(bench.folder) as disk:
        Campaign(bench, Take(bench, disk.root), some=30).power_cuts(disk, KINDS).tell("power/take")
