"""The scripted provider as SMTP client on the turned line: one transaction, in the ways senders have."""


class Sender:
    """One message on the turned line."""

    def __init__(self, conversation, message, recipients):
        self.conversation = conversation
        self.session = conversation.session
        self.message = message
        self.recipients = recipients
        self.answers = {}  # recipient -> the reply that decides about it

    def send(self):
        mode = self.conversation.provider.mode
        offers = self.session.extensions
        if "SMTPUTF8" in self.message.parameters and "SMTPUTF8" not in offers:
            self._answer_all("553 5.6.7 bench: the customer does not take SMTPUTF8")
        elif self.message.wire is not None:
            self._send_wire()
        elif mode == "bdat" and "CHUNKING" in offers:
            self._send_bdat()
        elif mode in ("pipelined", "bdat") and "PIPELINING" in offers:
            self._send_pipelined()
        else:
            self._send_lockstep()

    def _step(self, name, normal):
        return self.conversation.step(name, normal)

    def _mail(self):
        parameters = [p for p in self.message.parameters.split()
                      if p.partition("=")[0].replace("BODY", "8BITMIME") in self.session.extensions]
        if "SIZE" in self.session.extensions and self.message.wire is None:
            parameters.append(f"SIZE={len(self.message.data)}")
        return " ".join([f"MAIL FROM:<{self.message.reverse_path}>", *parameters]).encode() + b"\r\n"

    @staticmethod
    def _rcpt(recipient):
        return f"RCPT TO:<{recipient}>\r\n".encode()

    def _answer_all(self, reply):
        for recipient in self.recipients:
            self.answers.setdefault(recipient, reply)

    def _reply(self):
        return self.conversation._reply()

    def _read_rcpt(self, recipient):
        code, text = self._reply()
        if code // 100 != 2:
            self.answers[recipient] = text

    def _waiting(self):
        return [recipient for recipient in self.recipients if recipient not in self.answers]

    def _send_lockstep(self):
        self._step("mail", self._mail())
        code, text = self._reply()
        if code // 100 != 2:
            self._answer_all(text)
            return
        for recipient in self.recipients:
            self._step("rcpt", self._rcpt(recipient))
            self._read_rcpt(recipient)
        if not self._waiting():
            self.conversation.line.write(b"RSET\r\n")
            self._reply()
            return
        self._step("data", b"DATA\r\n")
        self._content(*self._reply())

    def _send_pipelined(self):
        group = [("mail", self._mail())] + [("rcpt", self._rcpt(r)) for r in self.recipients]
        self._group(group + [("data", b"DATA\r\n")])
        code, text = self._reply()
        if code // 100 != 2:
            self._answer_all(text)
        for recipient in self.recipients:
            self._read_rcpt(recipient)
        code, text = self._reply()
        if code == 354 and not self._waiting():
            self.conversation.line.write(b".\r\n")  # RFC 2920: nobody left, an empty message ends it
            self._reply()
            return
        self._content(code, text)

    def _group(self, group):
        """Several commands in one segment, unless the script has plans for one of them."""
        script = self.conversation.provider.script
        if any(name in script.steps for name, _ in group):
            for name, data in group:
                self._step(name, data)
        else:
            self.conversation.line.write(b"".join(data for _, data in group))

    def _content(self, code, text):
        if code != 354:
            self._answer_all(text)
            return
        stuffed = self.message.data.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        if not stuffed.endswith(b"\r\n"):
            stuffed += b"\r\n"
        self._step("body", stuffed)
        self._step("dot", b".\r\n")
        self._step("dot-reply", b"")
        self._final()

    def _final(self):
        _, text = self._reply()
        self._answer_all(text)

    def _send_bdat(self):
        """As Exim does under TLS: the whole transaction in one go."""
        group = [("mail", self._mail())] + [("rcpt", self._rcpt(r)) for r in self.recipients]
        group.append(("data", b"BDAT %d LAST\r\n" % len(self.message.data)))
        self._group(group)
        self._step("body", self.message.data)
        self._step("dot-reply", b"")
        code, text = self._reply()
        if code // 100 != 2:
            self._answer_all(text)
        for recipient in self.recipients:
            self._read_rcpt(recipient)
        self._final()

    def _send_wire(self):
        """Exactly the bytes that the test wrote, then one reply; more of them are read after QUIT."""
        self.conversation.line.write(self._mail())
        self._reply()
        for recipient in self.recipients:
            self.conversation.line.write(self._rcpt(recipient))
            self._read_rcpt(recipient)
        self.conversation.line.write(b"DATA\r\n")
        self._reply()
        for segment in self.message.segments():
            self.conversation.line.write(segment)
        self._final()
