"""Child processes that the bench owns: each leads a process group of its own and ends by its pid."""

import os
import select
import signal
import subprocess
import time

from . import wait

SAMPLE_SECONDS = 0.02  # how often a running program's memory is looked at


class Child:
    """One started program with its output in a file."""

    def __init__(self, arguments, log, env=None, cwd=None, preexec=None):
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=env, cwd=cwd, preexec_fn=preexec, start_new_session=True)
        self.pid = self.process.pid

    def running(self):
        return self.process.poll() is None

    def output(self):
        with open(self.log, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def signal(self, number):
        """Sends to the program alone, not to its children."""
        if self.running():
            os.kill(self.pid, number)

    def stop(self, patience=5):
        """Asks it to end, then ends what is left of its process group."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        self._kill_group()
        self.process.wait()

    def kill(self):
        self._kill_group()
        self.process.wait()

    def _kill_group(self):
        """Ends what is left of the group and waits for it: a dying child still holds its listening port."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()
        wait.until(lambda: not _alive(self.pid), 10, f"process group {self.pid} ends")


def _alive(group):
    """Whether a process of the group still runs. Zombies do not: nobody may ever collect them."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                state, _, its_group = file.read().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def run(arguments, timeout=60, **options):
    """A short helper command (openssl, postmap): its output, or an error that shows it."""
    done = subprocess.run([str(argument) for argument in arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} failed: {done.stdout.decode('utf-8', 'replace')}")
    return done.stdout


def wait_measured(process, seconds):
    """Waits for a Popen: (exit status, most KiB resident), or None when it still runs after `seconds`.

    The kernel's own account at the end (ru_maxrss) begins with what the forking bench had resident, so
    the program's high-water mark is read while it runs; only its last moments can be missed."""
    handle = os.pidfd_open(process.pid)
    deadline = time.monotonic() + seconds
    peak = 0
    try:
        while not select.select([handle], [], [], SAMPLE_SECONDS)[0]:
            peak = max(peak, _high_water(process.pid))
            if time.monotonic() > deadline:
                return None
    finally:
        os.close(handle)
    return process.wait(), peak


def _high_water(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0
