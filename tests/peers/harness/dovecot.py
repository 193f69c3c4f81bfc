"""Dovecot as local target: LMTP over a Unix socket and over TCP, the installed program with own configuration."""

import os
import pwd

from .process import Child
from .target import ADDRESS, Target, write


class Dovecot(Target):
    """Every user of our domains exists, apart from those it is told to refuse or put off."""

    name = "dovecot"
    scheme = "lmtp"

    def __init__(self, folder, programs=None):
        super().__init__(folder, programs)
        user = pwd.getpwnam("dovecot")
        self.uid, self.gid = user.pw_uid, user.pw_gid
        self.mailboxes.owned_by(self.uid, self.gid)
        self.socket = os.path.join(folder, "lmtp")
        self.over_unix = True  # which of its two listeners `url` names
        self.starts = 0

    @property
    def url(self):
        return f"lmtp://{self.socket}" if self.over_unix else f"lmtp://{ADDRESS}:{self.port}"

    def _prepare(self):
        # New folders each time: for a lock file that a killed Dovecot left in them the next waits ten seconds.
        self.starts += 1
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.configuration = write(os.path.join(self.folder, "dovecot.conf"), f"""
base_dir = {self.folder}/run{self.starts}
state_dir = {self.folder}/state{self.starts}
log_path = {self.folder}/dovecot.errors
protocols = lmtp
listen = {ADDRESS}
ssl = no
default_internal_user = dovecot
default_internal_group = dovecot
default_login_user = dovenull
first_valid_uid = 1
auth_username_chars =
recipient_delimiter =
auth_username_format = %Lu
mail_location = maildir:~
hostname = dovecot.example
postmaster_address = postmaster@{self.domains[0]}
{self._databases()}
service lmtp {{
  unix_listener {self.socket} {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = {ADDRESS}
    port = {self.port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""")

    def _databases(self):
        """Refused and put-off users first, then everybody else. For one who is put off the user database
        itself fails, which Dovecot answers with 451 at RCPT."""
        refused = write(os.path.join(self.folder, "refused"), "".join(
            f"{name}::{self.uid}:{self.gid}::/::\n" for name in self.refused))
        put_off = write(os.path.join(self.folder, "put-off"), "".join(
            f"{name}::{self.uid}:{self.gid}::/::userdb_tempfail=yes\n" for name in self.put_off))
        return f"""
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {refused}
  result_success = return-fail
}}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {put_off}
}}
userdb {{
  driver = static
  args = uid={self.uid} gid={self.gid} home={self.mailboxes.folder}/%Lu allow_all_users=yes
}}
"""

    def stop(self):
        # Asked to end it would take a second over it.
        if self.child:
            self.child.kill()
            self.child = None

    def _launch(self):
        return Child(["/usr/sbin/dovecot", "-F", "-c", self.configuration], self.log,
                     env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}, cwd=self.folder)
