"""The smart host: a mail server that takes mail for anybody from whoever has logged in. What the real ones have in
common, and a scripted one."""

from .login import Login
from .ports import accepts, free_port
from .provider import PASSWORD, USER
from .sasl import MECHANISMS
from .sink import Conversation, Sink
from .target import ADDRESS
from .tls import server_context

AWAY = ("elsewhere.example", "faraway.example")  # the rest of the world, as far as the tests have one


class SmartHost:
    """Goes in front of the Target that knows the program. Takes mail for AWAY into its mailboxes after a login inside
    TLS: STARTTLS on `port`, TLS from the first byte on `implicit_port`."""

    domains = AWAY
    ways = ("starttls", "implicit")  # of TLS
    mechanisms = ()                  # offered inside TLS
    knows_smtputf8 = True

    def __init__(self, folder, programs, authority):
        super().__init__(folder, programs)
        self.authority = authority
        self.implicit_port = free_port(ADDRESS)
        self.certificate = self.authority.good()
        self.max_size = 0           # 0: no limit
        self.turns_away = False     # with a greeting 5xx

    def begin(self, refuse=(), put_off=(), *, certificate=None, max_size=0, turns_away=False):
        """start(), with what is particular to a smart host."""
        wanted = (certificate or self.authority.good(), max_size, turns_away)
        if wanted != (self.certificate, self.max_size, self.turns_away):
            self.stop()
        self.certificate, self.max_size, self.turns_away = wanted
        return self.start(refuse, put_off)

    def address(self, tls):
        """As `to` in [outbound] names it; certificates carry a name, not an address."""
        port = self.implicit_port if tls == "implicit" else self.port
        return f"smtp://{self.authority.name}:{port}"

    def _answers(self):
        return accepts(ADDRESS, self.port) and accepts(ADDRESS, self.implicit_port)


class ScriptedHost(Sink):
    """A sink with TLS and a login. Further steps: starttls auth auth-final (see login.py)."""

    def __init__(self, authority, *, tls="none", certificate=None, mechanisms=(), handlers=None, demands_login=True,
                 **options):
        self.authority = authority
        self.tls = tls                      # none | starttls | implicit
        certificate = certificate or (authority.good() if tls != "none" else None)
        self.context = server_context(certificate) if certificate else None
        self.mechanisms = mechanisms        # with tls = starttls only inside TLS
        self.handlers = {**MECHANISMS, **(handlers or {})}
        self.accounts = {USER: PASSWORD}
        self.demands_login = demands_login and bool(mechanisms)
        self.logins = []                    # (user, mechanism) of each that went well
        super().__init__(**options)

    def address(self, tls):
        return f"smtp://{'127.0.0.1' if tls == 'none' else self.authority.name}:{self.port}"

    def conversation(self, line):
        return _HostConversation(self, line)


class _HostConversation(Conversation, Login):
    """One connection to the scripted smart host."""

    def __init__(self, host, line):
        super().__init__(host, line)
        self.host = host
        self.secure = False
        self.handlers.update({"STARTTLS": self._starttls, "AUTH": self._auth})

    def run(self):
        if self.host.tls == "implicit":
            self._secure()
        super().run()
        self.line.end_tls()

    def answer(self, verb, argument):
        if verb == "MAIL" and self.host.demands_login and not self.user:
            self.line.write(b"530 5.7.0 log in first\r\n")
        else:
            super().answer(verb, argument)

    def keywords(self):
        found = list(super().keywords())
        if self.host.tls == "starttls" and not self.secure:
            found.append("STARTTLS")
        elif self.host.mechanisms:
            found.append("AUTH " + " ".join(self.host.mechanisms))
        return found

    def _secure(self):
        self.line.secure(self.host.context)
        self.secure = True

    def _starttls(self, _argument):
        if self.host.tls != "starttls" or self.secure:
            self.line.write(b"502 5.5.1 not here\r\n")
        elif self.step("starttls", b"220 go ahead\r\n")[:3] == b"220":
            self._secure()

    def _auth(self, argument):
        self.auth(argument)
        if self.user:
            self.host.logins.append((self.user, self.mechanism))
