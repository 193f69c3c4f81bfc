"""odmr run fetching three messages: killed, failing, without power, and with its line cut."""

from faultbench import campaign, cutter
from faultbench.answered import cut_at_each_answer
from faultbench.campaign import Campaign, Tally
from faultbench.disk import KINDS, Disk
from faultbench.fetch import Fetch, FetchKept, FetchMaildir, FetchMixed
from harness.runner import equal, none

# How many points run without --full; all of them together have to stay within two minutes on two cores.
KILLS = (("fetch", Fetch, 40), ("fetch-mixed", FetchMixed, 30), ("fetch-maildir", FetchMaildir, 30),
         ("kept", FetchKept, 16))
ERRORS = (("fetch", Fetch, 20), ("fetch-maildir", FetchMaildir, 30))
SHORT = (("fetch", Fetch, 16), ("fetch-maildir", FetchMaildir, 16))
CUTS = (("fetch", Fetch, "ext4", 20), ("fetch-xfs", Fetch, "xfs", 16),
        ("fetch-maildir", FetchMaildir, "ext4", 30), ("fetch-maildir-xfs", FetchMaildir, "xfs", 24))
ANSWERED = (("fetch", Fetch, "ext4", False), ("fetch-xfs", Fetch, "xfs", False),
            ("fetch-maildir", FetchMaildir, "ext4", True), ("fetch-maildir-xfs", FetchMaildir, "xfs", True))


def register(suite):
    parts = (("kill", KILLS, kill), ("errno", ERRORS, errors), ("short-write", SHORT, short), ("power", CUTS, power),
             ("power/answered", ANSWERED, answered))
    for name, table, function in parts:
        for row in table:
            suite.case(f"{name}/{row[0]}", *row)(function)
    suite.case("cut/fetch", "none", 15)(cut)
    suite.case("cut/fetch-tls", "starttls", 15)(cut)


def kill(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).kills().tell(f"kill/{name}")


def errors(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).errors().tell(f"errno/{name}")


def short(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).short_writes().tell(f"short-write/{name}")


def power(bench, name, scene, system, some):
    with Disk(bench.folder, system) as disk:
        Campaign(bench, scene(bench, disk.root), some).power_cuts(disk, KINDS).tell(f"power/{name}")


def answered(bench, _name, scene, system, is_read):
    """What the provider has read the answer for, is there; what it has not, does not come twice."""
    with Disk(bench.folder, system) as disk:
        none(cut_at_each_answer(scene(bench, disk.root), disk, list(KINDS), 4 if not campaign.FULL else 40, is_read))


def cut(bench, security, some):
    """Nothing may come twice here: we and the target live on."""
    scene = Fetch(bench, bench.path("root"), tls=security,
                  certificate=bench.authority.good() if security != "none" else None)
    scene.provider.patience = 2
    if security != "none":
        scene.customer.verify_with(bench.authority, security)
    scene.customer.timeouts = {"connect": "1s", "command": "1s", "atrn": "1s", "idle": "1s", "data": "1s"}
    line = bench._keep("cutter", cutter.Cutter(scene.provider.port))
    scene.customer.isp["port"] = line.port
    cut_everywhere(bench, scene, line, some, f"cut/fetch {security}")


def cut_everywhere(bench, scene, line, some, name):
    """The scene's line, through the cutter, at each place or at some."""
    sizes = reference(scene, line)
    cuts = cutter.every(sizes, 16) if campaign.FULL else cutter.seeded(bench.random, sizes, some)
    tally = Tally(found=3 * sum(sizes), run=len(cuts))
    for one in cuts:
        tally.problems += [f"{one}: {problem}" for problem in cut_once(scene, line, one)]
    tally.tell(name)


def reference(scene, line):
    """How many bytes go each way when nothing happens."""
    scene.reset()
    line.begin()
    equal(scene.customer.run().status, 0, "exit status without a cut")
    line.wait_idle()
    none(scene.restart() + scene.at_rest() + scene.compare())
    return line.counts


def cut_once(scene, line, one):
    scene.reset()
    line.begin(one)
    scene.customer.run()
    line.wait_idle()
    line.begin()
    return scene.restart() + scene.at_rest() + scene.compare()
