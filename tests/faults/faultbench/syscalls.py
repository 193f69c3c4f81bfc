"""What the bench knows of system calls: their names, and which of them change files or send bytes."""

import errno
import functools
import subprocess

# With the place of (directory descriptor, path) pairs among their arguments; None: relative to the working directory.
PATHS = {
    "open": ((None, 0),), "creat": ((None, 0),), "mkdir": ((None, 0),), "rmdir": ((None, 0),), "unlink": ((None, 0),),
    "truncate": ((None, 0),), "rename": ((None, 0), (None, 1)), "link": ((None, 0), (None, 1)),
    "symlink": ((None, 1),), "openat": ((0, 1),), "mkdirat": ((0, 1),), "unlinkat": ((0, 1),), "symlinkat": ((1, 2),),
    "renameat": ((0, 1), (2, 3)), "renameat2": ((0, 1), (2, 3)), "linkat": ((0, 1), (2, 3)),
}
# Those with a descriptor as their first argument.
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate")
SYNCS = ("fsync", "fdatasync")
SENDS = ("write", "writev", "sendto", "sendmsg")
RECEIVES = ("recvfrom", "recvmsg")
READS = ("read", "pread64", "readv")
WITH_FILE = {*WRITES, *SYNCS, *SENDS, *RECEIVES, *READS, "close", "fchmod", "syncfs", "sync_file_range"}

NOT_YET = (errno.EAGAIN, errno.EINTR)  # no word about the line: the caller asks again

F_DUPFD, F_DUPFD_CLOEXEC = 0, 1030
O_CREAT, O_TRUNC, O_WRONLY_OR_RDWR = 0o100, 0o1000, 0o3


@functools.cache
def names():
    """{number: name}, from the kernel's own header."""
    text = subprocess.run(["gcc", "-E", "-dM", "-"], input=b"#include <asm/unistd.h>\n", stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    words = (line.split() for line in text.splitlines() if line.startswith("#define __NR_"))
    return {int(word[2]): word[1].removeprefix("__NR_") for word in words if word[2].isdigit()}


def can_fail(call):
    """An eventfd never does, nor does a pipe by which a program tells itself of a signal: the kernel has no such error,
    and who is told of one has lost the signal. Of fcntl the calls can that ask for a descriptor."""
    if any(path.startswith(("anon_inode:", "pipe:")) for path in call.paths):
        return False
    return call.name != "fcntl" or call.arguments[1] in (F_DUPFD, F_DUPFD_CLOEXEC)


def creates(name, arguments):
    """Whether an open may make, or empty, a file."""
    flags = {"open": 1, "openat": 2}.get(name)
    return name == "creat" or flags is not None and bool(arguments[flags] & (O_CREAT | O_TRUNC))
