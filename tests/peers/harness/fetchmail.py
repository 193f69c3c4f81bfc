"""fetchmail 6.4.37 as ODMR customer: the incumbent, as a second opinion on a provider."""

import os
import subprocess
from dataclasses import dataclass

from .target import write


@dataclass
class Fetched:
    status: int  # 0 fetched, 1 nothing there, others are errors (see fetchmail(1))
    output: str


def command(folder, provider_port, user, password, domains, target_port, *options):
    """(arguments, environment) of one run: logs in with CRAM-MD5 in clear text, sends ATRN, joins the line to the
    target's port."""
    os.makedirs(folder, exist_ok=True)
    control = write(os.path.join(folder, "fetchmailrc"), f"""
poll 127.0.0.1 proto odmr port {provider_port}
  user "{user}" there with password "{password}" sslproto ''
  fetchdomains {' '.join(domains)}
  smtphost 127.0.0.1/{target_port}
""", mode=0o600)
    environment = {"PATH": "/usr/bin:/bin", "HOME": folder, "FETCHMAILHOME": folder, "LC_ALL": "C"}
    # fetchmail looks its host's own name up, which need not resolve on a bare machine.
    script = 'hostname localhost; exec fetchmail -f "$@"'
    return ["unshare", "--uts", "sh", "-ec", script, "fetchmail", control, "--nodetach", "--nosyslog",
            *options], environment


def fetch(folder, provider_port, user, password, domains, target_port, seconds=60):
    """One run, with all that was said."""
    arguments, environment = command(folder, provider_port, user, password, domains, target_port, "-vv")
    done = subprocess.run(arguments, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
    return Fetched(done.returncode, done.stdout.decode("utf-8", "replace"))


def etrn(folder, provider_port, domains, user="", password="", seconds=60):
    """ETRN for each of the domains, after a login where there is a user."""
    os.makedirs(folder, exist_ok=True)
    login = f'esmtpname "{user}" esmtppassword "{password}"' if user else ""
    control = write(os.path.join(folder, "etrn-fetchmailrc"), f"""
poll 127.0.0.1 proto etrn port {provider_port} {login}
  user nobody
  fetchdomains {' '.join(domains)}
""", mode=0o600)
    environment = {"PATH": "/usr/bin:/bin", "HOME": folder, "FETCHMAILHOME": folder, "LC_ALL": "C"}
    script = 'hostname localhost; exec fetchmail -f "$@"'
    done = subprocess.run(["unshare", "--uts", "sh", "-ec", script, "fetchmail", control, "--nodetach", "--nosyslog",
                           "-vv"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds)
    return Fetched(done.returncode, done.stdout.decode("utf-8", "replace"))
