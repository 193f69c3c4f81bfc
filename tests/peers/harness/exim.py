"""Exim as local target: Debian's program, started from the unpacked package, own configuration."""

import os
import pwd

from .maildir import SHARED
from .process import Child
from .target import ADDRESS, Target, files_below, write


class Exim(Target):
    """Takes mail by SMTP and puts it into one Maildir, a copy per recipient."""

    name = "exim"

    def __init__(self, folder, programs):
        super().__init__(folder, programs)
        user = pwd.getpwnam("Debian-exim")
        self.uid, self.gid = user.pw_uid, user.pw_gid
        self.mailboxes.owned_by(self.uid, self.gid)
        self.spool = os.path.join(folder, "spool")
        os.makedirs(self.spool, exist_ok=True)
        os.chown(self.spool, self.uid, self.gid)

    def sendmail(self):
        """The words of a program that speaks SMTP on its standard input and output and delivers as this one."""
        return [os.path.join(self.programs, "usr/sbin/exim4"), "-C", self.configuration, "-bs"]

    def queued(self):
        return files_below(os.path.join(self.spool, "input"))

    def _prepare(self):
        self.configuration = write(os.path.join(self.folder, "exim.conf"), self._configuration())

    def _configuration(self):
        return f"""
primary_hostname = exim.example
domainlist ours = {' : '.join(self.domains)}
exim_path = {self.programs}/usr/sbin/exim4
spool_directory = {self.spool}
log_file_path = {self.spool}/%slog
pid_file_path = {self.spool}/exim.pid
exim_user = Debian-exim
exim_group = Debian-exim
# Delivery runs without a second program start as root, which a -C file would not be trusted for.
deliver_drop_privilege = true
smtputf8_advertise_hosts = *
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
never_users =
{self._more_options()}

begin acl
rcpt:
  deny    recipients = {self._list(self.refused)}
          message    = 550 5.1.1 no such person
  defer   recipients = {self._list(self.put_off)}
          message    = 450 4.2.1 mailbox busy
{self._who_may_send()}

begin routers
ours:
  driver = accept
  domains = +ours
  transport = maildir

begin transports
maildir:
  driver = appendfile
  # One Maildir for all: Exim refuses ("tainted") to make a path out of an address.
  directory = {self.mailboxes.folder}/{SHARED}
  maildir_format
  return_path_add
  delivery_date_add
  envelope_to_add
  user = Debian-exim
  group = Debian-exim
{self._more_sections()}
"""

    def _more_options(self):
        return """
message_size_limit = 0
tls_advertise_hosts =
"""

    def _who_may_send(self):
        return """
  accept  domains    = +ours
  # As Debian's default does for hosts in relay_from_hosts, and localhost is one of them.
  accept  hosts      = 127.0.0.1
"""

    def _more_sections(self):
        return ""

    def _listeners(self):
        return f"<; [{ADDRESS}]:{self.port}"

    @staticmethod
    def _list(addresses):
        return " : ".join(addresses) or ":"

    def _launch(self):
        return Child([os.path.join(self.programs, "usr/sbin/exim4"), "-C", self.configuration, "-bdf", "-q1h",
                      "-oX", self._listeners(), "-oP", os.path.join(self.spool, "exim.pid")],
                     self.log, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, cwd=self.folder)
