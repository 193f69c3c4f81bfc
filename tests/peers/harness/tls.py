"""A certificate authority and its good and bad certificates, made with the openssl command."""

import os
import ssl
from dataclasses import dataclass

from .process import run


@dataclass
class Certificate:
    certificate: str  # path of the PEM file
    key: str

    def spki_sha256(self):
        """The SHA-256 of the public key, hex, as a pin names it."""
        public = run(["openssl", "x509", "-in", self.certificate, "-noout", "-pubkey"])
        folder = os.path.dirname(self.certificate)
        path = os.path.join(folder, "public.pem")
        with open(path, "wb") as file:
            file.write(public)
        der = os.path.join(folder, "public.der")
        run(["openssl", "pkey", "-pubin", "-in", path, "-outform", "DER", "-out", der])
        return run(["openssl", "dgst", "-sha256", "-r", der]).split()[0].decode()


class Authority:
    """One CA in one folder. Certificates are made when first asked for."""

    def __init__(self, folder, name="localhost"):
        self.folder = folder
        self.name = name  # the host name that good certificates carry
        os.makedirs(folder, exist_ok=True)
        self.ca_file = os.path.join(folder, "ca.pem")
        self.ca_key = os.path.join(folder, "ca.key")
        self.made = {}
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", self.ca_key, "-out", self.ca_file, "-days", "3650", "-subj", "/CN=Bench CA",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        open(os.path.join(folder, "index.txt"), "w", encoding="ascii").close()
        open(os.path.join(folder, "index.txt.attr"), "w", encoding="ascii").write("unique_subject = no\n")

    def good(self):
        return self._signed("good", self.name)

    def wrong_name(self):
        return self._signed("wrong-name", "somebody.else.example")

    def expired(self):
        return self._signed("expired", self.name, start="20200101000000Z", end="20200201000000Z")

    def not_yet_valid(self):
        return self._signed("not-yet-valid", self.name, start="20980101000000Z", end="20990101000000Z")

    def weak_key(self):
        """RSA of 1024 bits."""
        return self._signed("weak-key", self.name, key="rsa:1024")

    def weak_hash(self):
        """Signed with SHA-1."""
        return self._signed("weak-hash", self.name, digest="sha1")

    def client(self):
        """A certificate for a customer that proves itself with EXTERNAL."""
        return self._signed("client", "example.org", usage="clientAuth")

    def self_signed(self):
        if "self-signed" not in self.made:
            made = self._paths("self-signed")
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", made.key, "-out", made.certificate, "-days", "30", "-subj", f"/CN={self.name}",
                 "-addext", f"subjectAltName={self._alternative(self.name)}"])
            self.made["self-signed"] = made
        return self.made["self-signed"]

    def _paths(self, kind):
        return Certificate(os.path.join(self.folder, kind + ".pem"), os.path.join(self.folder, kind + ".key"))

    @staticmethod
    def _alternative(name):
        return f"DNS:{name},IP:127.0.0.1" if name == "localhost" else f"DNS:{name}"

    def _signed(self, kind, name, start=None, end=None, usage="serverAuth", key="ec", digest="sha256"):
        if kind not in self.made:
            self.made[kind] = self._sign(kind, name, start, end, usage, key, digest)
        return self.made[kind]

    def _sign(self, kind, name, start, end, usage, key, digest):
        made = self._paths(kind)
        request = os.path.join(self.folder, kind + ".csr")
        curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else []
        run(["openssl", "req", "-new", "-newkey", key, *curve, "-nodes",
             "-keyout", made.key, "-out", request, "-subj", f"/CN={name}"])
        # `openssl ca` is the only command of OpenSSL 3.0 that lets both dates be chosen.
        configuration = os.path.join(self.folder, kind + ".cnf")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(f"""[ca]
default_ca = bench
[bench]
database = {self.folder}/index.txt
new_certs_dir = {self.folder}
rand_serial = yes
default_md = {digest}
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
basicConstraints = CA:false
subjectAltName = {self._alternative(name)}
extendedKeyUsage = {usage}
""")
        dates = ["-startdate", start, "-enddate", end] if start else ["-days", "30"]
        run(["openssl", "ca", "-batch", "-config", configuration, "-cert", self.ca_file, "-keyfile", self.ca_key,
             "-in", request, "-out", made.certificate, "-notext", *dates])
        return made


def server_context(certificate, client_ca=None, maximum=None):
    """For a scripted server; `maximum` makes it an old one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Old versions and weak certificates are only there when the security level allows them.
    context.set_ciphers("ALL:@SECLEVEL=0" if maximum else "DEFAULT:@SECLEVEL=0")
    if maximum:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = maximum
    context.load_cert_chain(certificate.certificate, certificate.key)
    if client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(client_ca)
    return context
