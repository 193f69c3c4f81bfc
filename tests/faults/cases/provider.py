"""odmrd serve: the customer's own mail, ETRN, notices, lists of recipients, the index of what is held."""

from faultbench.campaign import Campaign, changes_files
from faultbench.disk import KINDS, Disk
from faultbench.provider import Expired, Index, Push, Refused, Relay, Upload

# How many points run without --full, each kind: killed, failing, without power. Together they take three quarters of a
# minute on two cores.
SCENES = (("relay", Relay, 8, 6, 4), ("push", Push, 8, 6, 8), ("refused", Refused, 8, 6, 8),
          ("expired", Expired, 8, 6, 8), ("upload", Upload, 6, 6, 8))
SOME_OF_INDEX = 2


def register(suite):
    for name, scene, kills, errors, cuts in SCENES:
        suite.case(f"kill/{name}", name, scene, kills)(kill)
        suite.case(f"errno/{name}", name, scene, errors)(fail)
        suite.case(f"power/{name}", name, scene, cuts)(power)
    suite.case("kill/index")(kill_index)
    suite.case("errno/index")(fail_index)
    suite.case("power/index", "index", Index, SOME_OF_INDEX)(power)


def kill(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).kills().tell(f"kill/{name}")


def fail(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).errors().tell(f"errno/{name}")


def power(bench, name, scene, some):
    with Disk(bench.folder) as disk:
        Campaign(bench, scene(bench, disk.root), some).power_cuts(disk, KINDS).tell(f"power/{name}")


def kill_index(bench):
    """Some thousands of calls read the messages; a kill there leaves what one at the next change does."""
    scene = Index(bench, bench.path("root"))
    Campaign(bench, scene, SOME_OF_INDEX, lambda call: changes_files(call, scene.root)).kills().tell("kill/index")


def fail_index(bench):
    scene = Index(bench, bench.path("root"))
    Campaign(bench, scene, SOME_OF_INDEX, is_of_index).errors().tell("errno/index")


def is_of_index(call):
    return any("/held.db" in path for path in call.paths)
