"""Child processes that the bench owns: each leads a process group of its own and ends by its pid."""

import os
import select
import signal
import subprocess


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
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def run(arguments, timeout=60, **options):
    """A short helper command (openssl, postmap): its output, or an error that shows it."""
    done = subprocess.run([str(argument) for argument in arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} failed: {done.stdout.decode('utf-8', 'replace')}")
    return done.stdout


def wait_measured(process, seconds):
    """Waits for a Popen; (exit status, rusage), or None when it still runs after `seconds`."""
    handle = os.pidfd_open(process.pid)
    try:
        readable, _, _ = select.select([handle], [], [], seconds)
    finally:
        os.close(handle)
    if not readable:
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage
