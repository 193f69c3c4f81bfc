"""tls: whatever is wrong with it, no password leaves."""

import ssl

from harness import tls, wire
from harness.runner import check, equal

from .expect import IMPATIENT, counts, expect, fresh, no_secret_sent, scripted

# What happens before TLS is up, where it is demanded: no password may leave. (name, script, outcomes)
TLS_STEPS = [
    ("454-to-starttls", {"starttls": wire.say(b"454 4.7.0 not now")}, ("tls",)),
    ("501-to-starttls", {"starttls": wire.say(b"501 5.5.4 no")}, ("tls",)),
    ("502-to-starttls", {"starttls": wire.say(b"502 5.5.1 no")}, ("tls",)),
    ("clear-text-behind-220", {"starttls": wire.add(b"250-provider.example\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n")},
     ("tls", "protocol")),
    ("garbage-for-a-handshake", {"starttls": wire.say_then_cut(b"220 go\r\n" + b"no handshake" * 20)},
     ("tls", "protocol")),
    ("eof-for-a-handshake", {"starttls": wire.say_then_cut(b"220 go\r\n")}, ("tls", "unavailable")),
    ("not-offered", {"ehlo": wire.say(b"250-provider.example\r\n250-AUTH PLAIN LOGIN CRAM-MD5\r\n250 ATRN")}, ("tls",)),
    ("421-at-starttls", {"starttls": wire.say_then_cut(b"421 4.3.2 bye\r\n")}, ("unavailable", "tls")),
]

CERTIFICATES = ("wrong_name", "expired", "not_yet_valid", "self_signed", "weak_key", "weak_hash")


def register(suite):
    for name, script, outcomes in TLS_STEPS:
        suite.case(f"tls/{name}", script, outcomes)(before_tls)
    for kind in CERTIFICATES:
        for mode in ("starttls", "implicit", "if-available"):
            suite.case(f"tls/certificate-{kind}/{mode}", kind, mode)(bad_certificate)
    suite.case("tls/foreign-authority")(foreign_authority)
    suite.case("tls/wrong-pin")(wrong_pin)
    suite.case("tls/pin-in-place-of-the-chain")(pin_suffices)
    suite.case("tls/pin-and-ca-file-both-count")(pin_and_ca)
    suite.case("tls/only-tls-1.1")(old_tls)
    suite.case("tls/implicit-against-clear-text")(implicit_against_clear)
    suite.case("tls/starttls-against-implicit")(starttls_against_implicit)
    suite.case("tls/if-available-where-not-offered-warns")(if_available)
    suite.case("tls/verified-login-and-mail")(verified)


def before_tls(bench, script, outcomes):
    isp, sink, customer = scripted(bench, fresh(script), tls="starttls", certificate=bench.authority.good(),
                                   mechanisms=("PLAIN", "LOGIN", "CRAM-MD5"))
    result = customer.verify_with(bench.authority).run()
    outcome = result.session()["outcome"]
    check(outcome in outcomes, f"outcome {outcome}, not one of {outcomes}")
    expect(result, outcome, tls=None, auth=None, reply=None)
    isp.wait_idle()
    no_secret_sent(isp)


def bad_certificate(bench, kind, mode):
    isp, sink, customer = scripted(bench, {}, tls="implicit" if mode == "implicit" else "starttls",
                                   certificate=getattr(bench.authority, kind)())
    result = customer.verify_with(bench.authority, mode).run()
    expect(result, "tls", auth=None, reply=None)
    isp.wait_idle()
    no_secret_sent(isp)
    equal(len(isp.pending()), 1, "left at the provider")


def foreign_authority(bench):
    other = tls.Authority(bench.path("other-authority"))
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=other.good())
    expect(customer.verify_with(bench.authority).run(), "tls", auth=None, reply=None)
    no_secret_sent(isp)


def wrong_pin(bench):
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=bench.authority.good())
    customer.isp.update({"host": "localhost", "tls": "starttls", "pin": ["sha256:" + "0" * 64]})
    expect(customer.run(), "tls", auth=None, reply=None)
    no_secret_sent(isp)


def pin_suffices(bench):
    """Without ca_file the pin stands in place of chain and name; any one of the list is enough."""
    certificate = bench.authority.self_signed()
    _, _, customer = scripted(bench, {}, [], tls="starttls", certificate=certificate)
    customer.isp.update({"host": "127.0.0.1", "tls": "starttls",
                         "pin": ["sha256:" + "0" * 64, "sha256:" + certificate.spki_sha256()]})
    expect(customer.run(), "no-mail", tls="TLSv1.3")


def pin_and_ca(bench):
    """With ca_file as well the right pin does not make up for a wrong name."""
    certificate = bench.authority.wrong_name()
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=certificate)
    customer.verify_with(bench.authority).isp["pin"] = ["sha256:" + certificate.spki_sha256()]
    expect(customer.run(), "tls", auth=None)
    no_secret_sent(isp)


def old_tls(bench):
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=bench.authority.good(),
                                tls_maximum=ssl.TLSVersion.TLSv1_1)
    expect(customer.verify_with(bench.authority).run(), "tls", auth=None, reply=None)
    no_secret_sent(isp)


def implicit_against_clear(bench):
    _, _, customer = scripted(bench, {})
    expect(customer.verify_with(bench.authority, "implicit").run(), "tls", tls=None, auth=None, reply=None)


def starttls_against_implicit(bench):
    """Both sides wait for the other; our patience ends it."""
    isp, _, customer = scripted(bench, {}, tls="implicit", certificate=bench.authority.good())
    customer.verify_with(bench.authority).timeouts.update(IMPATIENT)
    expect(customer.run(), "unavailable", tls=None, auth=None, reply=None)


def if_available(bench):
    _, _, customer = scripted(bench, {}, [])
    customer.isp["tls"] = "if-available"
    result = customer.run()
    expect(result, "no-mail", tls=None, auth="CRAM-MD5")
    check(result.stderr.strip(), "no warning")


def verified(bench):
    letters = [bench.maker.make()]
    for mode in ("starttls", "implicit", "if-available"):
        isp, sink, customer = scripted(bench, {}, letters, tls="implicit" if mode == "implicit" else "starttls",
                                       certificate=bench.authority.good())
        expect(customer.verify_with(bench.authority, mode).run(), "fetched", tls="TLSv1.3", auth="CRAM-MD5",
               received=counts(letters))
