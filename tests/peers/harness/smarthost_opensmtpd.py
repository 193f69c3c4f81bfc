"""OpenSMTPD as smart host, without TLS and login: Debian 12's cannot finish a handshake as server (its process that
keeps the keys does not get on with OpenSSL 3, OpenSMTPD issue 1171), and without TLS it lets nobody log in."""

from .opensmtpd import OpenSmtpd
from .smarthost import SmartHost
from .target import ADDRESS


class OpenSmtpdHost(SmartHost, OpenSmtpd):
    """Trusts this machine's programs, and relays for nobody else."""

    name = "opensmtpd-host"
    ways = ("none",)
    knows_smtputf8 = False

    def _more_tables(self):
        return f"""
smtp max-message-size "{self.max_size or 500 * 1024 * 1024}"
filter "go-away" phase connect match rdns disconnect "554 5.7.1 no mail from you"
"""

    def _listeners(self):
        chosen = "go-away" if self.turns_away else "both"
        return "\n".join(f'listen on {ADDRESS} port {port} hostname opensmtpd.example no-dsn filter "{chosen}"'
                         for port in (self.port, self.implicit_port))

    def _matches(self):
        return 'match from local for domain <domains> action "keep"'
