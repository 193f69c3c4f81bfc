"""The server's half of the SASL mechanisms, written apart from odmr's own library on purpose."""

import base64
import hashlib
import hmac
import os


class Refused(Exception):
    """The login is wrong."""


def b64(data):
    return base64.b64encode(data)


def unb64(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(f"not base64: {text!r}") from error


def check(user, password, accounts):
    if accounts.get(user) != password:
        raise Refused(f"wrong login for {user!r}")
    return user


def cram_md5(ask, initial, accounts):
    """RFC 2195. `ask(challenge)` sends a challenge and returns the decoded answer."""
    if initial is not None:
        raise Refused("CRAM-MD5 has no initial response")
    challenge = b"<%s.1769853600@provider.example>" % os.urandom(6).hex().encode()
    user, _, digest = ask(challenge).decode().rpartition(" ")
    password = accounts.get(user, "")
    if not hmac.compare_digest(digest, hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()):
        raise Refused("wrong digest")
    return check(user, password, accounts)


def plain(ask, initial, accounts):
    """RFC 4616."""
    answer = ask(b"") if initial is None else initial
    parts = answer.decode().split("\0")
    if len(parts) != 3:
        raise Refused("not three parts")
    return check(parts[1], parts[2], accounts)


def login(ask, initial, accounts):
    user = ask(b"Username:") if initial is None else initial
    password = ask(b"Password:")
    return check(user.decode(), password.decode(), accounts)


class Scram:
    """RFC 5802 and 7677 without channel binding. The last three settings make it a bad server."""

    def __init__(self, digest="sha256", iterations=4096, wrong_signature=False, foreign_nonce=False,
                 no_proof=False):
        self.digest = digest
        self.iterations = iterations
        self.wrong_signature = wrong_signature
        self.foreign_nonce = foreign_nonce
        self.no_proof = no_proof

    def _mac(self, key, text):
        return hmac.new(key, text, self.digest).digest()

    def __call__(self, ask, initial, accounts):
        first = (ask(b"") if initial is None else initial).decode()
        binding, _, rest = first.partition(",")
        _, _, bare = rest.partition(",")
        if binding not in ("n", "y"):
            raise Refused("channel binding asked for")
        attributes = dict(part.split("=", 1) for part in bare.split(","))
        user = attributes["n"].replace("=2C", ",").replace("=3D", "=")
        password = accounts.get(user, "")
        nonce = attributes["r"] + b64(os.urandom(12)).decode()
        if self.foreign_nonce:
            nonce = b64(os.urandom(24)).decode()
        salt = os.urandom(16)
        server_first = f"r={nonce},s={b64(salt).decode()},i={self.iterations}"
        final = ask(server_first.encode()).decode()
        if self.no_proof:
            return check(user, password, accounts)
        without_proof, _, proof = final.rpartition(",p=")
        message = f"{bare},{server_first},{without_proof}".encode()
        salted = hashlib.pbkdf2_hmac(self.digest, password.encode(), salt, self.iterations)
        self._check_proof(salted, message, unb64(proof))
        if f",r={nonce}" not in "," + without_proof:
            raise Refused("wrong nonce")
        signature = self._mac(self._mac(salted, b"Server Key"), message)
        if self.wrong_signature:
            signature = bytes(len(signature))
        ask(b"v=" + b64(signature))
        return check(user, password, accounts)

    def _check_proof(self, salted, message, proof):
        client_key = self._mac(salted, b"Client Key")
        stored = hashlib.new(self.digest, client_key).digest()
        signature = self._mac(stored, message)
        wanted = bytes(a ^ b for a, b in zip(client_key, signature))
        if not hmac.compare_digest(proof, wanted):
            raise Refused("wrong proof")


MECHANISMS = {
    "CRAM-MD5": cram_md5,
    "PLAIN": plain,
    "LOGIN": login,
    "SCRAM-SHA-1": Scram("sha1"),
    "SCRAM-SHA-256": Scram("sha256"),
}
