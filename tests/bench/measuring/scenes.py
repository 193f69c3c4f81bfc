"""What is measured: a scene is a workload on one kind of line into one kind of target, for several customers."""

from dataclasses import dataclass, replace

from .customers import Direct, Fetchmail, Odmr, Relay

KIB, MIB = 1024, 1024 * 1024
TMPFS = "/dev/shm"
MODES = ("pipelined", "overlapped", "lockstep", "bdat", "streamed")


@dataclass
class Workload:
    name: str
    messages: int
    bytes: int
    traced: tuple = ()  # how many messages the two runs under strace have, whose difference counts

    def scaled(self, share):
        return replace(self, messages=max(1, round(self.messages * share)))


WORKLOADS = {each.name: each for each in (
    Workload("4k", 2000, 4 * KIB, (20, 120)), Workload("1m", 200, MIB, (5, 25)), Workload("50m", 5, 50 * MIB, (2, 8)),
    Workload("500m", 1, 500 * MIB))}


@dataclass
class Scene:
    name: str
    workload: Workload
    customers: list
    target: str = "sink"
    provider: str = "source"  # or odmrd
    tls: str = ""             # implicit, starttls
    mode: str = "pipelined"
    rtt: int = 0              # ms
    traced: bool = False


def everybody():
    return [Odmr(), Odmr("odmr-tmpfs", state=TMPFS), Fetchmail(), Relay(), Direct()]


def all_scenes():
    return [*near(), *modes(), *start(), *far(), *from_odmrd(), *real_targets(), *growth()]


def near():
    """Nothing but the customer takes time."""
    for tls in ("", "implicit"):
        for workload in WORKLOADS.values():
            yield Scene(f"{'tls' if tls else 'plain'}/{workload.name}", workload, everybody(), tls=tls, traced=True)


def modes():
    """The ways that senders have, with small messages."""
    for mode in MODES[1:]:
        yield Scene(f"modes/{mode}", replace(WORKLOADS["4k"], messages=5000 if mode == "streamed" else 2000),
                    everybody(), mode=mode)


def start():
    """The way to ATRN."""
    for tls in ("", "implicit", "starttls"):
        yield Scene(f"start/{tls or 'plain'}", replace(WORKLOADS["4k"], messages=1), [Odmr(), Fetchmail(1)], tls=tls,
                    rtt=50)


def far():
    """A long line: the round trips are what counts."""
    for rtt in (50, 200):
        for mode in MODES:
            workload = replace(WORKLOADS["4k"], messages=1000 if mode == "streamed" else 1000 // rtt)
            customers = [Odmr(), Fetchmail(1), Relay(), Direct()]
            yield Scene(f"far/{rtt}ms/4k/{mode}", workload, customers, mode=mode, rtt=rtt)
        for name in ("1m", "50m"):
            workload = replace(WORKLOADS[name], messages=5)
            yield Scene(f"far/{rtt}ms/{name}", workload, [Odmr(), Relay(), Direct()], rtt=rtt)


def from_odmrd():
    """Both halves are ours."""
    for rtt in (0, 50, 200):
        yield Scene(f"odmrd/{rtt}ms", replace(WORKLOADS["4k"], messages=200), [Odmr()], provider="odmrd", rtt=rtt)


def real_targets():
    for target in ("postfix", "dovecot", "maildir"):
        for name, messages in (("4k", 200), ("1m", 50), ("50m", 3)):
            customers = [Odmr(), Odmr("odmr-1", max_connections=1), Fetchmail(0.2), Relay(), Direct()]
            yield Scene(f"{target}/{name}", replace(WORKLOADS[name], messages=messages), customers, target=target)
        customers = [Odmr(), Odmr("odmr-1", max_connections=1), Relay(), Direct()]
        yield Scene(f"{target}/4k/streamed", replace(WORKLOADS["4k"], messages=400), customers, target=target,
                    mode="streamed")


def growth():
    """Time grows as the number of messages does, memory does not."""
    customers = [Odmr(f"odmr-x{share}", state=TMPFS, share=share) for share in (1, 10, 100)]
    yield Scene("growth", replace(WORKLOADS["4k"], messages=1000), customers, mode="overlapped")
