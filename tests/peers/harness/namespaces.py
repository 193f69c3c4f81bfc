"""Networks of the test's own: hosts are network namespaces without a name, joined by pairs of virtual Ethernet."""

import contextlib
import ctypes
import os
import subprocess

from . import wait

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    """A network namespace. It lasts as long as its holder, a process that does nothing."""

    def __init__(self, name):
        self.name = name
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        path = f"/proc/{self.holder.pid}/ns/net"
        wait.until(lambda: os.readlink(path) != own, 20, f"the namespace of {name}")
        self.descriptor = os.open(path, os.O_RDONLY)
        self.run("ip", "link", "set", "lo", "up")

    @contextlib.contextmanager
    def inside(self):
        """What this thread connects to, listens on and starts meanwhile is there; what it started stays there."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(self.descriptor)
            yield self
        finally:
            _enter(before)
            os.close(before)

    def run(self, *command):
        with self.inside():
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(command)}: {done.stdout.decode()}")
        return done.stdout.decode()

    def stop(self):
        os.close(self.descriptor)
        self.holder.stdin.close()
        self.holder.wait()


def join(one, address, other, other_address):
    """A cable. Its ends are named after the host at the other end; addresses with their prefix length."""
    one.run("ip", "link", "add", other.name, "type", "veth", "peer", "name", one.name, "netns", str(other.holder.pid))
    for host, name, own in ((one, other.name, address), (other, one.name, other_address)):
        host.run("ip", "address", "add", own, "dev", name)
        host.run("ip", "link", "set", name, "up")


class Home:
    """sender — vps — router — home: the router translates addresses (NAT), and lets nobody in."""

    SENDER, VPS, ROUTER = "198.51.100.2", "198.51.100.1", "203.0.113.2"

    def __init__(self):
        self.sender, self.vps, self.router, self.home = (Host(name) for name in ("sender", "vps", "router", "home"))
        join(self.sender, f"{self.SENDER}/24", self.vps, f"{self.VPS}/24")
        join(self.router, f"{self.ROUTER}/24", self.vps, "203.0.113.1/24")
        join(self.home, "192.168.1.2/24", self.router, "192.168.1.1/24")
        self.home.run("ip", "route", "add", "default", "via", "192.168.1.1")
        self.router.run("ip", "route", "add", "default", "via", "203.0.113.1")
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._rules("""
            table ip home {
              chain translate { type nat hook postrouting priority srcnat; oifname "vps" masquerade; }
              chain line { type filter hook forward priority -5; }
              chain guard {
                type filter hook forward priority 0; policy drop;
                iifname "home" accept
                ct state established,related accept
              }
            }""")

    def _rules(self, text):
        self.router.run("nft", text)

    def break_line(self):
        """Every connection is reset, at both ends, as when an address has changed."""
        self._rules("add rule ip home line meta l4proto tcp reject with tcp reset")

    def silence_line(self):
        """Nothing gets through, and nobody is told."""
        self._rules("add rule ip home line drop")

    def mend_line(self):
        self._rules("flush chain ip home line")

    def stop(self):
        for host in (self.home, self.router, self.vps, self.sender):
            host.stop()
