"""Dovecot as the provider of a mailbox: POP3 and IMAP, with TLS, over a Maildir that the tests fill."""

import os
import pwd

from . import wait
from .messages import id_of
from .ports import accepts, free_port
from .process import Child
from .provider import PASSWORD, USER
from .target import ADDRESS, write

PROTOCOLS = ("pop3", "imap")


class DovecotMailbox:
    """One user, the one whom all scripted providers know, with the folders INBOX and Lists."""

    def __init__(self, folder, authority, mechanisms="plain login cram-md5 scram-sha-256"):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        user = pwd.getpwnam("dovecot")
        self.uid, self.gid = user.pw_uid, user.pw_gid
        self.box = os.path.join(folder, "box")
        os.makedirs(self.box)
        for name in ("", ".Lists"):
            for part in ("cur", "new", "tmp"):
                os.makedirs(os.path.join(self.box, name, part))
        for where, _, _ in os.walk(self.box):
            os.chown(where, self.uid, self.gid)
        self.ports = {(protocol, tls): free_port(ADDRESS) for protocol in PROTOCOLS for tls in ("starttls", "implicit")}
        self.count = 0
        self.log = os.path.join(folder, "dovecot.log")
        users = write(os.path.join(folder, "users"), f"{USER}:{{PLAIN}}{PASSWORD}:{self.uid}:{self.gid}::{self.box}::\n")
        good = authority.good()
        listeners = "".join(f"""
service {protocol}-login {{
  inet_listener {protocol} {{
    address = {ADDRESS}
    port = {self.ports[protocol, "starttls"]}
  }}
  inet_listener {protocol}s {{
    address = {ADDRESS}
    port = {self.ports[protocol, "implicit"]}
    ssl = yes
  }}
}}
""" for protocol in PROTOCOLS)
        self.configuration = write(os.path.join(folder, "dovecot.conf"), f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.errors
protocols = pop3 imap
listen = {ADDRESS}
ssl = yes
ssl_cert = <{good.certificate}
ssl_key = <{good.key}
auth_mechanisms = {mechanisms}
disable_plaintext_auth = yes
default_internal_user = dovecot
default_internal_group = dovecot
default_login_user = dovenull
first_valid_uid = 1
mail_location = maildir:~
pop3_uidl_format = %g
passdb {{
  driver = passwd-file
  args = {users}
}}
userdb {{
  driver = passwd-file
  args = {users}
}}
{listeners}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""")
        self.child = None

    def start(self):
        self.child = Child(["/usr/sbin/dovecot", "-F", "-c", self.configuration], self.log,
                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}, cwd=self.folder)
        wait.until(lambda: all(accepts(ADDRESS, port) for port in self.ports.values()) or not self.child.running(),
                   30, "dovecot listens")
        if not self.child.running():
            raise RuntimeError(f"dovecot ended at once:\n{self.child.output()}")
        return self

    def stop(self):
        if self.child:
            self.child.kill()
            self.child = None

    def put(self, letters, folder="", line_end=b"\n"):
        """Into the folder's new, as a delivery agent would: with the reverse-path above."""
        for letter in letters:
            self.count += 1
            data = b"Return-Path: <" + letter.reverse_path.encode() + b">\r\n" + letter.data
            name = f"{1_700_000_000 + self.count}.M{self.count}.provider"
            path = os.path.join(self.box, folder, "tmp", name)
            with open(path, "wb") as file:
                file.write(data.replace(b"\r\n", line_end))
            os.chown(path, self.uid, self.gid)
            os.rename(path, os.path.join(self.box, folder, "new", name))
        return self

    def files(self, folder=""):
        return [os.path.join(self.box, folder, part, name) for part in ("new", "cur")
                for name in os.listdir(os.path.join(self.box, folder, part))]

    def ids(self, folder=""):
        """The ledger's IDs of what is there, sorted."""
        found = []
        for path in self.files(folder):
            with open(path, "rb") as file:
                found.append(id_of(file.read()))
        return sorted(found)

    def flags(self, folder=""):
        """Of each message: the letters behind ":2,"."""
        return [os.path.basename(path).partition(":2,")[2] for path in self.files(folder)]

    def keys(self, protocol, tls, authority):
        """Of [provider.NAME]."""
        return {"protocol": protocol, "host": authority.name, "port": self.ports[protocol, tls], "tls": tls,
                "ca_file": authority.ca_file, "domains": None, "deliver_to": "anna@customer.example"}
