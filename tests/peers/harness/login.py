"""AUTH as the scripted servers answer it: the provider, and the smart host."""

from . import sasl


class Login:
    """For a conversation with .line, .step() and .secure, and .host, which has .script, .mechanisms, .handlers and
    .accounts. Steps: auth (the action stands in for the whole dialogue), auth-final."""

    user = None
    mechanism = None

    def auth(self, argument):
        name, _, initial = argument.partition(" ")
        planned = self.host.script.action("auth")
        if planned:
            if planned(self, b"235 ok\r\n")[:3] == b"235":
                self.user = "scripted"
            return
        if name.upper() not in self.host.mechanisms:
            self.line.write(b"504 5.5.4 unknown mechanism\r\n")
            return
        try:
            self.user = self._log_in(name.upper(), initial)
        except (sasl.Refused, ValueError, KeyError):
            self.line.write(b"535 5.7.8 login refused\r\n")
            return
        self.mechanism = name.upper()
        if self.step("auth-final", b"235 2.7.0 welcome\r\n")[:3] != b"235":
            self.user = None

    def _log_in(self, name, initial):
        if name == "EXTERNAL":
            return self._external(initial)
        first = None
        if initial:
            first = b"" if initial == "=" else sasl.unb64(initial)
        return self.host.handlers[name](self._ask, first, self.host.accounts)

    def _external(self, initial):
        certificate = self.line.sock.getpeercert() if self.secure else None
        if not certificate:
            raise sasl.Refused("no client certificate")
        if not initial:
            self._ask(b"")
        return next(iter(self.host.accounts))

    def _ask(self, challenge):
        self.line.write(b"334 " + sasl.b64(challenge) + b"\r\n")
        answer = self.line.read_line()
        if answer == b"*":
            raise sasl.Refused("cancelled")
        return sasl.unb64(answer)
