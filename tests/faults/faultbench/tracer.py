"""ptrace, as far as the bench needs it: runs a program and sees each system call of each of its threads before it
acts, with the power to let it fail, or to end the program there.

Not strace: its `inject=…:when=K` counts for each thread apart and strikes at whichever comes to its K-th call first,
so that most calls of a second thread cannot be reached. bench/strace-agrees holds the two against each other.
"""

import contextlib
import ctypes
import os
import platform
import signal
import struct
import threading
from dataclasses import dataclass, field

from harness.programs import Result

from . import syscalls

TRACEME, SYSCALL, GETREGS, SETREGS, SETOPTIONS, GETEVENTMSG, GET_SYSCALL_INFO = (
    0, 24, 12, 13, 0x4200, 0x4201, 0x420e)
# SYSGOOD, FORK, VFORK, CLONE, EXEC, and EXITKILL: no traced program outlives the bench.
OPTIONS = 1 | 2 | 4 | 8 | 16 | 0x100000
NEW_TRACEE = (1, 2, 3)  # events of fork, vfork, clone
WALL = 0x40000000
ENTRY, EXIT = 1, 2
LONGEST_DATA = 1 << 20
LONGEST_WRITTEN = 1 << 13  # enough for the header of a letter

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request, tid, address=None, data=None):
    result = _libc.ptrace(request, tid, address, data)
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), "ptrace")
    return result


@dataclass
class Call:
    """One system call. `began` and `ended` number all entries and exits of the run in their order."""
    thread: int        # by order of creation; 0 is the program's first
    name: str
    k: int             # the thread's how many-th of this name, from 1
    arguments: tuple
    began: int
    paths: tuple = ()  # what it is about: of paths and descriptors, as far as syscalls.py names them
    was_there: bool = False     # an open: the file was there before
    data: bytes = b""           # what it sends, if it does
    ended: int | None = None    # None: the program ended first
    result: int | None = None   # negative: errno
    written: bytes = b""        # what it writes to a file, or the beginning of that

    @property
    def point(self):
        return Point(self.thread, self.name, self.k)

    def __str__(self):
        about = " -> ".join(self.paths)
        return f"{self.point} {about}".strip()


@dataclass(frozen=True)
class Point:
    """A place in a run: the call is about to be made."""
    thread: int
    name: str
    k: int

    def __str__(self):
        return f"{self.name}#{self.k}" + (f" of thread {self.thread}" if self.thread else "")


class Kill:
    """SIGKILL to the process, before the call acts."""

    def __init__(self, at):
        self.at = at  # call -> bool

    def strike(self, tracer, tracee):
        tracer.kill(tracee)

    def __str__(self):
        return "killed"


class Fail:
    """The call is not made, and reports this error."""

    def __init__(self, at, error):
        self.at = at
        self.error = error

    def strike(self, tracer, tracee):
        tracer.let_fail(tracee, self.error)

    def __str__(self):
        return os.strerror(self.error)


class Shorten:
    """The call writes half of what it was given, and says so."""

    def __init__(self, at):
        self.at = at

    def strike(self, tracer, tracee):
        tracer.shorten(tracee)

    def __str__(self):
        return "short write"


class PowerCut:
    """The file system stops as it stands, and then everything does."""

    def __init__(self, at, cut):
        self.at = at
        self.cut = cut

    def strike(self, tracer, tracee):
        self.cut()
        tracer.kill_all()

    def __str__(self):
        return "power cut"


@dataclass
class Run:
    """How a traced run went."""
    result: Result
    calls: list
    struck: Call | None = None  # the call at which the fault was done


@dataclass
class _Tracee:
    tid: int
    number: int
    counts: dict = field(default_factory=dict)
    call: Call | None = None
    error: int = 0  # to be reported by the call under way

    def memory(self, address, size):
        with open(f"/proc/{self.tid}/mem", "rb", buffering=0) as file:
            return os.pread(file.fileno(), size, address)

    def put(self, address, data):
        with open(f"/proc/{self.tid}/mem", "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), data, address)

    def text(self, address):
        """A string that ends in NUL; it may stand at the end of the last page."""
        found = b""
        while b"\0" not in found and len(found) < 4096:
            at = address + len(found)
            found += self.memory(at, 4096 - at % 4096)
        return os.fsdecode(found.split(b"\0")[0])

    def descriptor(self, number):
        """What a descriptor is, as the kernel says it: a path, "socket:[4711]" …"""
        try:
            return os.readlink(f"/proc/{self.tid}/fd/{number}")
        except OSError:
            return ""

    def path(self, directory, address):
        name = self.text(address)
        if os.path.isabs(name):
            return name
        if directory is None or ctypes.c_int(directory).value < 0:  # AT_FDCWD
            return os.path.normpath(os.path.join(os.readlink(f"/proc/{self.tid}/cwd"), name))
        return os.path.normpath(os.path.join(self.descriptor(directory), name))


class Tracer:
    """Runs one program to its end. All calls must come from one thread, as ptrace wants it."""

    def __init__(self, fault=None):
        self.fault = fault
        self.calls = []
        self.struck = None
        self.clock = 0
        self.tracees = {}
        self.early = set()    # threads whose first stop came before their creator's word about them
        self.awaited = set()  # and those of which it comes later
        self.born = 0
        self.names = syscalls.names()
        self.handle = -1  # of the program, for signals from other threads
        self.lock = threading.Lock()
        self.is_over = threading.Event()

    def run(self, arguments, folder, env, stdin=b"", seconds=60):
        """The program's output goes into `folder`."""
        os.makedirs(folder, exist_ok=True)
        files = [os.path.join(folder, name) for name in ("stdin", "stdout", "stderr")]
        with open(files[0], "wb") as file:
            file.write(stdin)
        leader = _start(arguments, files, env)
        self.handle = os.pidfd_open(leader)
        overdue = threading.Event()
        timer = threading.Timer(seconds, lambda: (overdue.set(), os.killpg(leader, signal.SIGKILL)))
        timer.daemon = True
        try:
            timer.start()
            status = self._follow(leader)
        finally:
            timer.cancel()
            self.kill_all()
            with self.lock:
                self.is_over.set()
                os.close(self.handle)
        out, err = (_read(path) for path in files[1:])
        if overdue.is_set():
            raise AssertionError(f"still running after {seconds} s; last calls:\n"
                                 + "\n".join(map(str, self.calls[-20:])) + f"\n{err[-2000:]}")
        return Run(Result(status, out, err, 0.0, 0), self.calls, self.struck)

    def signal(self, number):
        """From another thread, to the program alone, if it is still there."""
        with self.lock, contextlib.suppress(ProcessLookupError):
            if not self.is_over.is_set():
                signal.pidfd_send_signal(self.handle, number)

    def kill(self, tracee):
        os.kill(tracee.tid, signal.SIGKILL)

    def kill_all(self):
        for tid in list(self.tracees):
            try:
                os.kill(tid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def let_fail(self, tracee, error):
        """At its entry: the number of no call takes the place of the call's own."""
        registers = _registers(tracee.tid)
        registers[ORIG_RAX] = 2**64 - 1
        _ptrace(SETREGS, tracee.tid, None, registers)
        tracee.error = error

    def shorten(self, tracee):
        """At its entry: the size in the third register is halved, or that of the first buffer of a sendmsg."""
        call = tracee.call
        if call.name == "sendmsg":
            vector, = struct.unpack_from("=Q", tracee.memory(call.arguments[1], 24), 16)
            size, = struct.unpack("=Q", tracee.memory(vector + 8, 8))
            tracee.put(vector + 8, struct.pack("=Q", max(size // 2, 1)))
            return
        registers = _registers(tracee.tid)
        registers[RDX] = max(registers[RDX] // 2, 1)
        _ptrace(SETREGS, tracee.tid, None, registers)

    # --- following

    def _follow(self, leader):
        os.waitpid(leader, WALL)  # stopped by its own exec
        _ptrace(SETOPTIONS, leader, None, OPTIONS)
        self._add(leader)
        self._resume(leader)
        ended = None
        while self.tracees:
            tid, status = os.waitpid(-leader, WALL)
            if os.WIFSTOPPED(status):
                self._stopped(tid, status)
                continue
            self.tracees.pop(tid, None)
            if tid == leader:
                ended = os.waitstatus_to_exitcode(status)
        return ended

    def _add(self, tid):
        self.tracees[tid] = _Tracee(tid, self.born)
        self.born += 1

    def _resume(self, tid, number=0):
        try:
            _ptrace(SYSCALL, tid, None, number)
        except ProcessLookupError:
            pass  # killed meanwhile; its end will be reported

    def _stopped(self, tid, status):
        number, event = os.WSTOPSIG(status), status >> 16
        if tid not in self.tracees:
            self.early.add(tid)  # stays stopped until its creator has said who it is
            return
        try:
            if number == signal.SIGTRAP | 0x80:
                self._system_call(self.tracees[tid])
                number = 0
            elif event in NEW_TRACEE:
                self._born_of(tid)
                number = 0
            elif event or number == signal.SIGTRAP or self._first_stop(tid, number):
                number = 0
        except ProcessLookupError:
            pass
        self._resume(tid, number)

    def _born_of(self, tid):
        child = ctypes.c_ulong()
        _ptrace(GETEVENTMSG, tid, None, ctypes.byref(child))
        self._add(child.value)
        if child.value in self.early:
            self.early.remove(child.value)
            self._resume(child.value)
        else:
            self.awaited.add(child.value)

    def _first_stop(self, tid, number):
        """Each new thread begins with a SIGSTOP that nobody sent."""
        if number != signal.SIGSTOP or tid not in self.awaited:
            return False
        self.awaited.remove(tid)
        return True

    def _system_call(self, tracee):
        info = ctypes.create_string_buffer(88)
        _ptrace(GET_SYSCALL_INFO, tracee.tid, len(info), info)
        if info.raw[0] == ENTRY:
            number, *arguments = struct.unpack_from("=7Q", info.raw, 24)
            self._enters(tracee, self.names.get(number, str(number)), tuple(arguments))
        elif info.raw[0] == EXIT and tracee.call:
            self._leaves(tracee, struct.unpack_from("=q", info.raw, 24)[0])

    def _enters(self, tracee, name, arguments):
        self.clock += 1
        tracee.counts[name] = k = tracee.counts.get(name, 0) + 1
        call = Call(tracee.number, name, k, arguments, self.clock)
        tracee.call = call
        _describe(call, tracee)
        self.calls.append(call)
        if self.fault and not self.struck and self.fault.at(call):
            self.struck = call
            self.fault.strike(self, tracee)

    def _leaves(self, tracee, result):
        call, tracee.call = tracee.call, None
        if tracee.error:
            result, tracee.error = -tracee.error, 0
            registers = _registers(tracee.tid)
            registers[RAX] = 2**64 + result
            _ptrace(SETREGS, tracee.tid, None, registers)
        self.clock += 1
        call.ended, call.result = self.clock, result


# Places in x86-64's user_regs_struct. Another machine needs these three and nothing else.
RAX, RDX, ORIG_RAX = 10, 12, 15


def _registers(tid):
    if platform.machine() != "x86_64":
        raise RuntimeError("the bench knows how to let a system call fail on x86-64 alone")
    registers = (ctypes.c_uint64 * 27)()
    _ptrace(GETREGS, tid, None, registers)
    return registers


def _start(arguments, files, env):
    """The program, stopped behind its exec, leading a process group of its own."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        for number, path in enumerate(files):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
            os.dup2(os.open(path, flags, 0o600), number)
        os.closerange(3, 256)
        _ptrace(TRACEME, 0)
        os.execve(arguments[0], arguments, env)
    finally:
        os._exit(127)


def _read(path):
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def _describe(call, tracee):
    name, arguments = call.name, call.arguments
    if name in syscalls.PATHS:
        call.paths = tuple(tracee.path(None if directory is None else arguments[directory], arguments[path])
                           for directory, path in syscalls.PATHS[name])
        call.was_there = os.path.lexists(call.paths[-1])
    elif name in syscalls.WITH_FILE:
        call.paths = (tracee.descriptor(arguments[0]),)
        if name in syscalls.SENDS and call.paths[0].startswith("socket:"):
            call.data = _sent(name, arguments, tracee)
        elif name in ("write", "pwrite64") and os.path.isabs(call.paths[0]):
            call.written = tracee.memory(arguments[1], min(arguments[2], LONGEST_WRITTEN))


def _sent(name, arguments, tracee):
    if name in ("write", "sendto"):
        return tracee.memory(arguments[1], min(arguments[2], LONGEST_DATA))
    vector, count = arguments[1], arguments[2]
    if name == "sendmsg":  # msghdr: name, its length, vector, count
        vector, count = struct.unpack_from("=2Q", tracee.memory(arguments[1], 32), 16)
    pieces = struct.iter_unpack("=2Q", tracee.memory(vector, 16 * count))
    return b"".join(tracee.memory(base, min(size, LONGEST_DATA)) for base, size in pieces)
