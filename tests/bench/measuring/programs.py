"""The bench's own programs, and how a program's run is measured."""

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass


class Trouble(Exception):
    """A measurement that could not be made."""


class Lacks(Trouble):
    """A peer that does not offer what the measurement is about."""


class Ended(Trouble):
    """A program that did not end well."""

    def __init__(self, program, status, said):
        super().__init__(f"{program}: exit status {status}:\n{said}")
        self.status, self.said = status, said.strip()


class Helper:
    """One of our programs that listens, says where, and has said all when its stdin has ended."""

    def __init__(self, build, name, *arguments):
        self.name = name
        self.process = subprocess.Popen([os.path.join(build, name), *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = self.process.stdout.readline().split()
        if not said:
            raise Trouble(f"{name} does not listen: {self.process.stderr.read()}")
        self.port = int(said[-1])

    def end(self, seconds=60):
        """What it has printed."""
        try:
            out, err = self.process.communicate("", timeout=seconds)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise Trouble(f"{self.name} does not end") from error
        self._judge(err)
        return out.strip()

    def _judge(self, said):
        if self.process.returncode == 3:
            raise Lacks(said.strip())
        if self.process.returncode != 0:
            raise Trouble(f"{self.name}: exit status {self.process.returncode}: {said.strip()}")

    def check(self):
        """Fails where it has ended before its time."""
        if self.process.poll() is not None:
            self._judge(self.process.communicate()[1])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@dataclass
class Usage:
    """What one run of a program took of the machine."""
    cpu: float = 0           # seconds, user and system
    resident_kib: int = 0    # the most at once
    calls: dict = None       # system calls by name, where strace counted them


def run_measured(build, command, env, folder, seconds, traced=False):
    """Runs it to its end, and fails where it does not end well. With strace, times are worth nothing."""
    usage_file, calls_file = os.path.join(folder, "usage"), os.path.join(folder, "calls")
    output = os.path.join(folder, "output")
    tracer = ["strace", "-f", "-c", "-U", "name,calls", "-o", calls_file] if traced else []
    with open(output, "wb") as log:
        process = subprocess.Popen([os.path.join(build, "measure"), usage_file, *tracer, *command], env=env,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = f"none within {seconds} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if status != 0:
        raise Ended(os.path.basename(command[0]), status, tail(output))
    with open(usage_file, encoding="ascii") as file:
        told = json.load(file)
    return Usage(told["user"] + told["system"], told["resident_kib"], read_calls(calls_file) if traced else None)


def tail(path, size=2000):
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")[-size:]


def read_calls(path):
    """{name: calls} of what `strace -c -U name,calls` has written."""
    with open(path, encoding="ascii") as file:
        found = re.findall(r"^(\w+)\s+(\d+)$", file.read(), re.MULTILINE)
    return {name: int(calls) for name, calls in found if name != "total"}
