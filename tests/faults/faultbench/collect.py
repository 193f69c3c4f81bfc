"""`odmr run` collecting mail from a mailbox: the scene, for both protocols, deleting and leaving."""

from harness.maildrop import Maildrop

from .fetch import CUSTOMER, Fetch

WHOSE = f"anna@{CUSTOMER}"


class Collect(Fetch):
    """A mailbox with three messages."""

    addressed_to = ([WHOSE], [WHOSE], [WHOSE])
    protocol = "pop3"
    leaves = False

    def __init__(self, bench, root):
        super().__init__(bench, root)
        self.provider.stop()
        self.provider = bench.keep("mailbox", Maildrop(self.protocol, self.leaves, patience=20))
        self.customer.isp.update({"protocol": self.protocol, "port": self.provider.port, "domains": None,
                                  "deliver_to": WHOSE, "leave_on_server": self.leaves})

    def at_rest(self):
        there = sorted(self.provider.ids())
        wanted = sorted(self.letters) if self.leaves else []
        return super().at_rest() + ([f"in the mailbox: {there}, not {wanted}"] if there != wanted else [])


class CollectLeft(Collect):
    leaves = True


class CollectImap(Collect):
    protocol = "imap"


class CollectImapLeft(CollectImap):
    leaves = True
