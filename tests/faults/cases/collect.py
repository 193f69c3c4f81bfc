"""odmr run collecting three messages from a mailbox: killed, failing, without power, and with its line cut."""

from faultbench.campaign import Campaign
from faultbench.collect import Collect, CollectImap, CollectImapLeft, CollectLeft
from faultbench.cutter import Cutter
from faultbench.disk import KINDS, Disk

from .fetch import cut_everywhere

SCENES = (("pop3", Collect), ("pop3-left", CollectLeft), ("imap", CollectImap), ("imap-left", CollectImapLeft))


def register(suite):
    for name, scene in SCENES:
        suite.case(f"kill/{name}", name, scene, 24)(kill)
        suite.case(f"cut/{name}", name, scene, 15)(cut)
    suite.case("power/pop3", "pop3", Collect, 12)(power)
    suite.case("power/imap-left", "imap-left", CollectImapLeft, 12)(power)
    suite.case("errno/imap", "imap", CollectImap, 20)(errors)


def kill(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).kills().tell(f"kill/{name}")


def errors(bench, name, scene, some):
    Campaign(bench, scene(bench, bench.path("root")), some).errors().tell(f"errno/{name}")


def power(bench, name, scene, some):
    with Disk(bench.folder, "ext4") as disk:
        Campaign(bench, scene(bench, disk.root), some).power_cuts(disk, KINDS).tell(f"power/{name}")


def cut(bench, name, scene, some):
    """Nothing may come twice here: we and the target live on."""
    stage = scene(bench, bench.path("root"))
    stage.provider.patience = 2
    stage.customer.timeouts = {"connect": "1s", "command": "1s", "data": "1s"}
    line = bench.keep("cutter", Cutter(stage.provider.port))
    stage.customer.isp["port"] = line.port
    cut_everywhere(bench, stage, line, some, f"cut/{name}")
