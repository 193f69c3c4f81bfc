"""Programs of this machine that hand mail to `sendmail`, run as an ordinary user who has no other way to odmr than
the socket of `odmr submit`."""

import os
import subprocess

from .target import write

NOBODY = 65534      # has a name
NAMELESS = 54321    # has none: no entry in passwd


class User:
    """Runs programs as somebody, with nothing of odmr's in reach but the programs and the socket."""

    def __init__(self, folder, uid, programs, bin_folder, socket):
        self.home = os.path.join(folder, f"home-{uid}")
        os.makedirs(self.home)
        os.chown(self.home, uid, uid)
        self.uid = uid
        self.programs = programs
        self.sendmail = os.path.join(bin_folder, "sendmail")
        self.environment = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": self.home, "LC_ALL": "C.UTF-8",
                            "ODMR_SUBMIT": socket}

    def run(self, *command, stdin=b"", status=0):
        """What it printed. Another exit status is a failure."""
        done = subprocess.run([str(part) for part in command], input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=self.environment, cwd=self.home, timeout=60,
                              user=self.uid, group=self.uid, extra_groups=[])
        output = done.stdout.decode("utf-8", "replace")
        if done.returncode != status:
            raise AssertionError(f"{command}: exit {done.returncode} instead of {status}\n{output}")
        return output

    def file(self, name, text):
        path = write(os.path.join(self.home, name), text)
        os.chown(path, self.uid, self.uid)
        return path

    def mail(self, subject, text, *recipients):
        """mail(1), BSD's."""
        self.file(".mailrc", f"set sendmail={self.sendmail}\n")
        return self.run(os.path.join(self.programs, "usr/bin/bsd-mailx"), "-s", subject, *recipients, stdin=text)

    def patch(self):
        """A repository with one commit: the file that `git format-patch` makes of it."""
        for arguments in (["init", "-q"], ["config", "user.name", "Anna Author"],
                          ["config", "user.email", "anna@customer.example"],
                          ["commit", "-q", "--allow-empty", "-m", "Mend the café's lamp\n\nIt flickered."],
                          ["format-patch", "-q", "--always", "--root", "-o", "patches"]):
            self.run("git", *arguments)
        folder = os.path.join(self.home, "patches")
        return os.path.join(folder, os.listdir(folder)[0])

    def send_email(self, *how):
        """git send-email of that patch."""
        return self.run("git", "send-email", "--confirm=never", "--no-validate", "--to=friend@elsewhere.example",
                        "--cc=Lists <list@faraway.example>", *how, self.patch())
