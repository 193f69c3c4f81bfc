"""OpenSMTPD as local target: Debian's program, started from the unpacked package, own configuration."""

import os
import pwd

from .maildir import SHARED
from .process import Child
from .programs import REPOSITORY
from .target import ADDRESS, Target, files_below, write

OWN_MOUNTS = os.path.join(REPOSITORY, "tests", "own-mounts")
# Paths that are compiled in. The program runs in a mount namespace of its own, where they are ours.
SPOOL = "/var/spool/smtpd"
HELPERS = "/usr/libexec/opensmtpd"
EMPTY = "/var/lib/opensmtpd/empty"


class OpenSmtpd(Target):
    """Takes mail by SMTP and puts it into one Maildir, a copy per recipient."""

    name = "opensmtpd"

    def __init__(self, folder, programs):
        super().__init__(folder, programs)
        user = pwd.getpwnam("nobody")
        self.uid, self.gid = user.pw_uid, user.pw_gid
        self.mailboxes.owned_by(self.uid, self.gid)
        self.spool = os.path.join(folder, "spool")
        os.makedirs(self.spool, exist_ok=True)
        os.chmod(self.spool, 0o711)
        for path in (SPOOL, HELPERS, EMPTY):
            os.makedirs(path, exist_ok=True)

    def queued(self):
        return files_below(os.path.join(self.spool, "queue")) + files_below(os.path.join(self.spool, "incoming"))

    def _prepare(self):
        domains = ", ".join(f'"{domain}"' for domain in self.domains)
        self.configuration = write(os.path.join(self.folder, "smtpd.conf"), f"""
table domains {{ {domains} }}
table users {{ "@" = "nobody" }}
table homes {{ "nobody" = "{self.uid}:{self.gid}:{self.mailboxes.folder}" }}
table refused file:{self._table("refused", self.refused)}
table busy file:{self._table("busy", self.put_off)}
{self._more_tables()}
filter "refused" phase rcpt-to match rcpt-to <refused> reject "550 5.1.1 no such person"
filter "busy" phase rcpt-to match rcpt-to <busy> reject "450 4.2.1 mailbox busy"
filter "both" chain {{ "refused", "busy" }}
{self._listeners()}
action "keep" maildir "{self.mailboxes.folder}/{SHARED}" virtual <users> userbase <homes>
action "away" relay host smtp://{ADDRESS}:1
{self._matches()}
""")

    def _more_tables(self):
        return 'smtp max-message-size "500M"'

    def _listeners(self):
        return f'listen on {ADDRESS} port {self.port} hostname opensmtpd.example no-dsn filter "both"'

    def _matches(self):
        return """
match from any for domain <domains> action "keep"
# As Debian's default: what comes from this machine may go anywhere.
match from local for any action "away"
"""

    def _table(self, name, addresses):
        # An empty table file is an error, so it always names somebody.
        return write(os.path.join(self.folder, name),
                     "\n".join(addresses or ("nobody-at-all@invalid.example",)) + "\n")

    def _launch(self):
        helpers = os.path.join(self.programs, HELPERS.lstrip("/"))
        program = os.path.join(self.programs, "usr/sbin/smtpd")
        return Child([OWN_MOUNTS, "sh", "-ec",
                      'mount --bind "$1" /var/spool/smtpd; mount --bind "$2" /usr/libexec/opensmtpd; '
                      'mount -t tmpfs tmpfs /run; exec "$3" -d -f "$4"',
                      "smtpd", self.spool, helpers, program, self.configuration],
                     self.log, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}, cwd=self.folder)
