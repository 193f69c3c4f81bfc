"""Postfix as smart host: a submission service, its logins decided by Dovecot."""

import os

from . import wait
from .postfix import Postfix
from .process import Child
from .provider import PASSWORD, USER
from .smarthost import SmartHost
from .target import ADDRESS, write


class PostfixHost(SmartHost, Postfix):
    """smtpd with SASL on two ports; restrictions and limits are Postfix's own."""

    name = "postfix-host"
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    logins = None
    starts = 0

    def _prepare(self):
        # A new folder each time: for a lock file that a killed Dovecot left in it the next waits ten seconds.
        self.starts += 1
        self.logins = LoginService(os.path.join(self.folder, f"login{self.starts}"), self.mechanisms)
        super()._prepare()

    def _main_cf(self):
        return overridden(super()._main_cf(), f"""
mynetworks = 192.0.2.0/24
message_size_limit = {self.max_size}
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {self.certificate.key}, {self.certificate.certificate}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {self.logins.socket}
smtpd_delay_reject = no
smtpd_client_restrictions = {'reject' if self.turns_away else 'permit'}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access regexp:{self.configuration}/access, permit
""")

    def _master_cf(self):
        return super()._master_cf() + f"""
{ADDRESS}:{self.implicit_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
tlsmgr   unix - - n 1000? 1 tlsmgr
"""

    def _launch(self):
        self.logins.start()
        return super()._launch()

    def stop(self):
        super().stop()
        if self.logins:
            self.logins.stop()


def overridden(text, more):
    """main.cf with other values for some names. To name one twice would have each program log a warning at its start,
    and postlogd, which logs to itself, stand still over it."""
    names = {line.partition(" =")[0] for line in more.splitlines()} - {""}
    return "\n".join(line for line in text.splitlines() if line.partition(" =")[0] not in names) + more


class LoginService:
    """Dovecot's auth service alone, behind a socket that Postfix asks."""

    def __init__(self, folder, mechanisms):
        self.folder = folder
        self.socket = os.path.join(folder, "socket")
        self.child = None
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        accounts = write(os.path.join(folder, "accounts"), f"{USER}:{{PLAIN}}{PASSWORD}::::::\n")
        self.configuration = write(os.path.join(folder, "dovecot.conf"), f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/login.errors
protocols =
ssl = no
default_internal_user = dovecot
default_internal_group = dovecot
default_login_user = dovenull
auth_mechanisms = {' '.join(mechanisms).lower()}
# A wrong password is answered at once.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {accounts}
}}
service auth {{
  unix_listener {self.socket} {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""")

    def start(self):
        self.child = Child(["/usr/sbin/dovecot", "-F", "-c", self.configuration], os.path.join(self.folder, "log"),
                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}, cwd=self.folder)
        wait.until(lambda: os.path.exists(self.socket) or not self.child.running(), 20, "Dovecot's login service")
        if not self.child.running():
            raise RuntimeError(f"Dovecot ended at once:\n{self.child.output()}")

    def stop(self):
        if self.child:
            self.child.kill()
            self.child = None
