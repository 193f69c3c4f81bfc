"""Exim as smart host: logins by its own authenticators, inside TLS only."""

import os
import shutil

from .exim import Exim
from .provider import PASSWORD, USER
from .smarthost import SmartHost
from .target import ADDRESS


class EximHost(SmartHost, Exim):
    """The daemon on two ports, with three authenticators."""

    name = "exim-host"
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5")

    def _prepare(self):
        # Exim reads its key as its own user.
        self.key = os.path.join(self.folder, "host.key")
        shutil.copyfile(self.certificate.key, self.key)
        os.chown(self.key, self.uid, self.gid)
        os.chmod(self.key, 0o600)
        super()._prepare()

    def _more_options(self):
        return f"""
message_size_limit = {self.max_size}
acl_smtp_connect = {'turn_away' if self.turns_away else 'accept'}
tls_advertise_hosts = *
tls_on_connect_ports = {self.implicit_port}
tls_certificate = {self.certificate.certificate}
tls_privatekey = {self.key}
auth_advertise_hosts = ${{if def:tls_in_cipher {{*}}{{}}}}
"""

    def _who_may_send(self):
        return """
  accept  authenticated = *
  deny    message = 550 5.7.1 relaying denied

turn_away:
  deny    message = 554 5.7.1 no mail from you
"""

    def _more_sections(self):
        return f"""
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{ {{eq {{$auth2}}{{{USER}}}}} {{eq {{$auth3}}{{{PASSWORD}}}}} }}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and {{ {{eq {{$auth1}}{{{USER}}}}} {{eq {{$auth2}}{{{PASSWORD}}}}} }}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq {{$auth1}}{{{USER}}} {{{PASSWORD}}} fail}}
  server_set_id = $auth1
"""

    def _listeners(self):
        return f"<; [{ADDRESS}]:{self.port} ; [{ADDRESS}]:{self.implicit_port}"
