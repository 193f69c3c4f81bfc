"""odmr: handing in, the flush of the queue, and the way of a bounce to the local target."""

from faultbench.acknowledged import cut_after_each
from faultbench.campaign import Campaign
from faultbench.disk import KINDS, Disk
from faultbench.scenes import Bounce, Flush, Sendmail, Session, Submit
from harness.runner import none

# How many points run without --full; together they have to stay within three minutes on two cores.
KILLS = (("sendmail", Sendmail, 60), ("session", Session, 30), ("flush", Flush, 45), ("bounce", Bounce, 30))
ERRORS = (("sendmail", Sendmail, 60), ("session", Session, 30), ("flush", Flush, 30))
CUTS = (("sendmail", Sendmail, 56), ("session", Session, 20), ("flush", Flush, 40), ("bounce", Bounce, 30))
ACKNOWLEDGED = (("sendmail", Sendmail, 120), ("submit", Submit, 40))


def register(suite):
    parts = (("kill", KILLS, kill), ("errno", ERRORS, errors), ("power", CUTS, power),
             ("power/acknowledged", ACKNOWLEDGED, acknowledged))
    for name, table, function in parts:
        for row in table:
            suite.case(f"{name}/{row[0]}", *row)(function)


def kill(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).kills().tell(f"kill/{name}")


def errors(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).errors().tell(f"errno/{name}")


def power(bench, name, scene, some):
    with Disk(bench.folder) as disk:
        Campaign(bench, scene(bench, disk.root), some).power_cuts(disk, KINDS).tell(f"power/{name}")


def acknowledged(bench, _name, scene, count):
    with Disk(bench.folder) as disk:
        none(cut_after_each(scene(bench, disk.root), disk, list(KINDS), count))
