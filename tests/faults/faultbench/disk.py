"""A disk whose power can be cut: a file system in a file, mounted where only this program sees it.

The runner has moved into a mount namespace of its own (see `run`), and the loop device clears itself with its last
user, so nothing stays behind even when the bench itself is killed."""

import fcntl
import os
import struct
import subprocess
from dataclasses import dataclass

from harness import wait

FS_IOC_SHUTDOWN = 0x8004587D
# What a cut takes with it. The second kind gives the files of zero length that follow a rename without fsync.
KINDS = {"everything-unsynced": 2, "data-unsynced": 1}


@dataclass(frozen=True)
class FileSystem:
    """How one is made, mounted and checked."""
    make: tuple
    options: str
    check: tuple
    mebibytes: int


FILE_SYSTEMS = {
    # Nothing reaches the disk by itself, and no rename is an fsync in disguise.
    "ext4": FileSystem(("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
                       "loop,commit=3600,noauto_da_alloc", ("e2fsck", "-f", "-n"), 64),
    # The smallest that mkfs.xfs makes; the file has holes. Two disks may be one's copy of the other: nouuid.
    "xfs": FileSystem(("mkfs.xfs", "-q", "-f"), "loop,nouuid", ("xfs_repair", "-n", "-f"), 300),
}

NEEDS = "power cuts need root, ext4 or xfs, loop devices and a mount namespace"


def _run(*arguments):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise AssertionError(f"{NEEDS}; \"{' '.join(arguments)}\" failed: "
                             + done.stdout.decode("utf-8", "replace").strip())


class Disk:
    """A context manager: mounted at `root` until its end."""

    def __init__(self, folder, kind="ext4"):
        self.kind = kind
        self.system = FILE_SYSTEMS[kind]
        self.image = os.path.join(folder, f"disk.{kind}")
        self.root = os.path.join(folder, "disk")
        self.mounted = False
        self.is_off = False

    def __enter__(self):
        if "ODMR_FAULTS_NAMESPACE" not in os.environ:
            raise AssertionError(f"{NEEDS}; tests/own-mounts failed")
        os.makedirs(self.root)
        with open(self.image, "wb") as file:
            file.truncate(self.system.mebibytes << 20)
        _run(*self.system.make, self.image)
        self._mount()
        return self

    def __exit__(self, *_):
        if self.mounted:
            self._unmount()
        os.unlink(self.image)

    def _mount(self):
        _run("mount", "-t", self.kind, "-o", self.system.options, self.image, self.root)
        self.mounted = True

    def _unmount(self):
        # A killed program's last files close a moment after its end was reported.
        wait.until(lambda: subprocess.run(["umount", self.root], stderr=subprocess.DEVNULL).returncode == 0, 20,
                   f"umount {self.root}")
        self.mounted = False

    def cut(self, kind):
        """From here on the disk stands as it is: every call that would change it fails."""
        directory = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(directory, FS_IOC_SHUTDOWN, struct.pack("=I", KINDS[kind]))
        finally:
            os.close(directory)
        self.is_off = True

    def power_on(self):
        """After a cut: the journal is replayed."""
        if self.is_off:
            self._unmount()
            self._mount()
            self.is_off = False

    def sync(self):
        """All that was written so far will be there after a cut."""
        _run("sync", "-f", self.root)

    def check(self):
        """The file system itself is whole, so that what is missing is nobody's fault but the program's."""
        self._unmount()
        _run(*self.system.check, self.image)
        self._mount()
