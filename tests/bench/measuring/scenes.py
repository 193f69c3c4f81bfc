"""What is measured: a scene is a workload on one kind of line into one kind of target, for several customers."""

from dataclasses import dataclass, field, replace

from .customers import Direct, Fetchmail, Odmr, Relay

KIB, MIB = 1024, 1024 * 1024
ROUND_TRIPS = (50, 200)  # ms
TMPFS = "/dev/shm"


@dataclass
class Workload:
    name: str
    messages: int
    bytes: int
    traced: tuple  # how many messages the two runs under strace have, whose difference counts

    def scaled(self, share):
        return replace(self, messages=max(1, round(self.messages * share)))


WORKLOADS = {each.name: each for each in (
    Workload("4k", 2000, 4 * KIB, (20, 120)), Workload("1m", 200, MIB, (2, 8)), Workload("50m", 5, 50 * MIB, (1, 2)),
    Workload("500m", 1, 500 * MIB, ()))}


@dataclass
class Scene:
    name: str
    workload: Workload
    customers: list
    target: str = "sink"
    tls: bool = False
    mode: str = "pipelined"
    rtt: int = 0
    traced: bool = field(default=False)


def everybody():
    return [Odmr(), Odmr("odmr-tmpfs", state=TMPFS), Fetchmail(), Relay(), Direct()]


def all_scenes():
    scenes = []
    for tls in (False, True):
        for workload in WORKLOADS.values():
            scenes.append(Scene(f"{'tls' if tls else 'plain'}/{workload.name}", workload, everybody(), tls=tls,
                                traced=True))
    return scenes
