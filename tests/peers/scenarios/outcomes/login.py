"""auth: refused, impossible, or with a server that cannot prove itself."""

from harness import sasl
from harness.runner import equal
from harness.target import write

from .expect import expect, no_secret_sent, scripted


def register(suite):
    suite.case("auth/not-offered")(auth_not_offered)
    suite.case("auth/only-plain-in-clear-text")(only_plain_in_clear)
    suite.case("auth/filter-leaves-nothing")(filter_leaves_nothing)
    suite.case("auth/wrong-password")(wrong_password)
    for name, scram in BAD_SCRAM.items():
        suite.case(f"auth/scram-{name}", scram)(bad_scram)
    suite.case("auth/stronger-first")(stronger_first)


BAD_SCRAM = {
    "wrong-signature": sasl.Scram(wrong_signature=True),
    "foreign-nonce": sasl.Scram(foreign_nonce=True),
    "235-without-proof": sasl.Scram(no_proof=True),
    "one-iteration": sasl.Scram(iterations=1),
    "endless-iterations": sasl.Scram(iterations=2_000_000_000),
}


def auth_not_offered(bench):
    isp, _, customer = scripted(bench, {}, mechanisms=())
    expect(customer.run(), "auth", auth=None, reply=None)
    no_secret_sent(isp)


def only_plain_in_clear(bench):
    isp, _, customer = scripted(bench, {}, mechanisms=("PLAIN", "LOGIN"))
    expect(customer.run(), "auth", auth=None, reply=None)
    no_secret_sent(isp)


def filter_leaves_nothing(bench):
    isp, _, customer = scripted(bench, {})
    customer.isp["auth"] = ["SCRAM-SHA-256"]
    expect(customer.run(), "auth", auth=None, reply=None)
    no_secret_sent(isp)


def wrong_password(bench):
    isp, _, customer = scripted(bench, {})
    write(customer.secret, "something else\n", 0o600)
    expect(customer.run(), "auth", auth=None, reply=None, connections=1)


def bad_scram(bench, scram):
    """A server that cannot prove that it knows the password is none to take mail from."""
    isp, sink, customer = scripted(bench, {}, mechanisms=("SCRAM-SHA-256",), handlers={"SCRAM-SHA-256": scram})
    result = customer.run()
    expect(result, "auth", auth=None, reply=None)
    equal(isp.atrn_count(), 0, "ATRN commands")


def stronger_first(bench):
    """The order of strength is odmr's, not the server's."""
    mechanisms = ("LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
    _, _, customer = scripted(bench, {}, [], tls="starttls", certificate=bench.authority.good(),
                              mechanisms=mechanisms)
    expect(customer.verify_with(bench.authority).run(), "no-mail", auth="SCRAM-SHA-256")
