"""Postfix as local target: Debian's program, started from the unpacked package, own configuration."""

import os
import pwd
import shutil

from .maildir import SHARED
from .process import Child
from .target import ADDRESS, Target, files_below, write
from .unpacked import program_of

QUEUES = ("incoming", "active", "deferred", "maildrop", "hold", "corrupt")
FOLDERS = QUEUES + ("bounce", "defer", "flush", "trace", "saved", "private", "public", "pid")


class Postfix(Target):
    """smtpd, cleanup, qmgr and virtual(8): mail goes into one Maildir, a copy per recipient."""

    name = "postfix"

    def __init__(self, folder, programs):
        super().__init__(folder, programs)
        user = pwd.getpwnam("postfix")
        self.uid, self.gid = user.pw_uid, user.pw_gid
        self.mailboxes.owned_by(self.uid, self.gid)
        self.configuration = os.path.join(folder, "etc")
        self.queue = os.path.join(folder, "queue")

    def queued(self):
        return sum(self._in(name) for name in QUEUES)

    def sendmail(self):
        """The words of a program that speaks SMTP on its standard input and output and puts mail into this queue. For
        root: nobody else may name a configuration of his own."""
        program = os.path.join(self.folder, "sendmail")
        if not os.path.exists(program):  # OpenSMTPD has a program of that name, too
            program_of("postfix", "usr/sbin/sendmail", self.folder)
        return ["/usr/bin/env", f"LD_LIBRARY_PATH={self.libraries}", program, "-C", self.configuration, "-bs"]

    def _in(self, name):
        return files_below(os.path.join(self.queue, name))

    def _prepare(self):
        os.makedirs(self.configuration, exist_ok=True)
        self._make_folders()
        self._make_library_path()
        access = "".join(f"/^{_pattern(r)}$/ 550 5.1.1 no such person\n" for r in self.refused)
        access += "".join(f"/^{_pattern(r)}$/ 450 4.2.1 mailbox busy\n" for r in self.put_off)
        write(os.path.join(self.configuration, "access"), access)
        write(os.path.join(self.configuration, "main.cf"), self._main_cf())
        write(os.path.join(self.configuration, "master.cf"), self._master_cf())

    def _make_folders(self):
        os.makedirs(self.queue, exist_ok=True)
        for name in FOLDERS:
            path = os.path.join(self.queue, name)
            os.makedirs(path, exist_ok=True)
            if name != "pid":
                os.chown(path, self.uid, self.gid)
            os.chmod(path, 0o755 if name in ("pid", "public") else 0o700)
        data = os.path.join(self.folder, "data")
        os.makedirs(data, exist_ok=True)
        os.chown(data, self.uid, self.gid)

    def _make_library_path(self):
        self.libraries = os.path.join(self.programs, "usr/lib/postfix")

    def _main_cf(self):
        return f"""
compatibility_level = 3.6
command_directory = {self.programs}/usr/sbin
daemon_directory = {self.libraries}/sbin
shlib_directory = no
meta_directory = {self.configuration}
queue_directory = {self.queue}
data_directory = {self.folder}/data
mail_owner = postfix
setgid_group = postdrop
import_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH
export_environment = TZ LD_LIBRARY_PATH MAIL_CONFIG
maillog_file = {self.folder}/maillog
maillog_file_prefixes = {self.folder}
myhostname = postfix.example
mydestination =
inet_interfaces = {ADDRESS}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtputf8_enable = yes
smtputf8_autodetect_classes = all
# As Debian's default, localhost may send anywhere. Nobody listens there: such mail stays in the queue.
default_transport = smtp:[{ADDRESS}]:1
relay_transport = smtp:[{ADDRESS}]:1
alias_maps =
alias_database =
virtual_mailbox_domains = {', '.join(self.domains)}
virtual_mailbox_maps = static:{SHARED}/
virtual_mailbox_base = {self.mailboxes.folder}
virtual_uid_maps = static:{self.uid}
virtual_gid_maps = static:{self.gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 0
local_header_rewrite_clients =
smtpd_recipient_restrictions = check_recipient_access regexp:{self.configuration}/access, permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
"""

    def _master_cf(self):
        return f"""
{ADDRESS}:{self.port} inet n - n - - smtpd
postlog  unix-dgram n - n - 1 postlogd
pickup   unix n - n 60 1 pickup
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
verify   unix - - n - 1 verify
flush    unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp     unix - - n - - smtp
error    unix - - n - - error
retry    unix - - n - - error
discard  unix - - n - - discard
virtual  unix - n n - - virtual
anvil    unix - - n - 1 anvil
"""

    def _launch(self):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LD_LIBRARY_PATH": self.libraries,
                       "MAIL_CONFIG": self.configuration, "LC_ALL": "C"}
        return Child([os.path.join(self.libraries, "sbin/master"), "-c", self.configuration, "-d"],
                     self.log, env=environment, cwd=self.folder)

    def clear(self):
        super().clear()
        for name in QUEUES:
            for entry in os.listdir(os.path.join(self.queue, name)):
                path = os.path.join(self.queue, name, entry)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def _pattern(address):
    """An address as a regexp(5) pattern."""
    return "".join(c if c.isalnum() or ord(c) > 127 else "\\" + c for c in address)
