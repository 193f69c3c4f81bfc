"""Mail from a mailbox, Dovecot's over POP3 and IMAP under TLS, into real targets."""

from harness.dovecot_mailbox import PROTOCOLS, DovecotMailbox
from harness.messages import Ledger
from harness.programs import HOSTNAME
from harness.runner import check, equal, none

ANNA = "anna@customer.example"
LIMIT_KIB = 100 * 1024  # of memory, whatever is in the mailbox


def register(suite):
    for protocol in PROTOCOLS:
        for kind in ("postfix", "dovecot"):
            for tls in ("starttls", "implicit"):
                suite.case(f"mailbox/{protocol}/{kind}/{tls}", protocol, kind, tls)(emptied)
        suite.case(f"mailbox/{protocol}/left-there", protocol)(left_there)
        suite.case(f"mailbox/{protocol}/each-login", protocol)(each_login)
        suite.case(f"mailbox/{protocol}/wrong-password", protocol)(wrong_password)
        suite.case(f"mailbox/{protocol}/refused-and-put-off", protocol)(refused_and_put_off)
        suite.case(f"mailbox/{protocol}/20-MiB", protocol)(large)
        suite.case(f"mailbox/{protocol}/many", protocol, long=True)(many)
    suite.case("mailbox/imap/folder-seen-and-unseen")(folder)
    suite.case("mailbox/pop3/of-many-into-postfix")(of_many)
    suite.case("mailbox/imap/no-such-folder")(no_folder)


def mailbox(bench, **options):
    return bench.keep("mailbox", DovecotMailbox(bench.path("mailbox"), bench.authority, **options)).start()


def customer_of(bench, box, target, protocol, tls="starttls", **keys):
    customer = bench.customer(target)
    customer.isp.update(box.keys(protocol, tls, bench.authority))
    customer.isp.update(keys)
    return customer


def arrived(target, letters, times=1):
    copies = target.deliveries(len(letters) * times)
    none(Ledger(letters).problems(copies, our_name=HOSTNAME))


def emptied(bench, protocol, kind, tls):
    """Byte for byte, with its reverse-path; the mailbox is empty then, and the next run brings nothing."""
    target, letters, box = bench.target(kind), bench.maker.mixture(), mailbox(bench)
    box.put(letters)
    customer = customer_of(bench, box, target, protocol, tls, leave_on_server=False)
    result = customer.run()
    equal(result.status, 0, "exit status")
    session = result.session()
    equal((session["outcome"], session["connections"]), ("fetched", 1), "outcome and connections")
    equal(session["received"]["messages"], len(letters), "messages")
    check(session["tls"].startswith("TLSv1."), "no TLS")
    arrived(target, letters)
    equal(box.files(), [], "left in the mailbox")
    again = customer.run()
    equal((again.status, again.session()["outcome"]), (0, "no-mail"), "the second run")
    arrived(target, letters)


def left_there(bench, protocol):
    """Nothing is deleted, nothing is marked as seen, nothing comes twice; what is new comes."""
    target, box = bench.target("dovecot"), mailbox(bench)
    letters = [bench.maker.make() for _ in range(3)]
    box.put(letters[:2])
    customer = customer_of(bench, box, target, protocol, leave_on_server=True)
    equal(customer.run().session()["received"]["messages"], 2, "messages")
    equal(customer.run().session()["outcome"], "no-mail", "the second run")
    box.put(letters[2:])
    equal(customer.run().session()["received"]["messages"], 1, "of the third run")
    arrived(target, letters)
    equal(box.ids(), sorted(letter.id for letter in letters), "in the mailbox")
    if protocol == "imap":
        equal(box.flags(), ["", "", ""], "flags")
    customer.isp["leave_on_server"] = False
    equal(customer.run().session()["outcome"], "no-mail", "outcome of the run that deletes")
    equal(box.files(), [], "left in the mailbox")
    arrived(target, letters)


def each_login(bench, protocol):
    """Each mechanism that Dovecot offers, the protocol's own login, and APOP."""
    target = bench.target("dovecot")
    box = mailbox(bench, mechanisms="plain login cram-md5 scram-sha-1 scram-sha-256" +
                  (" apop" if protocol == "pop3" else ""))
    for auth, name in (None, "SCRAM-SHA-256"), (["SCRAM-SHA-1"], "SCRAM-SHA-1"), (["CRAM-MD5"], "CRAM-MD5"), \
            (["PLAIN"], "PLAIN"), (["LOGIN"], "LOGIN"):
        customer = customer_of(bench, box, target, protocol, auth=auth)
        result = customer.run()
        equal((result.status, result.session()["auth"]), (0, name), f"auth = {auth}")
    box.stop()
    box = bench.keep("mailbox", DovecotMailbox(bench.path("mailbox2"), bench.authority, mechanisms="apop")).start()
    if protocol == "pop3":
        result = customer_of(bench, box, target, protocol).run()
        equal((result.status, result.session()["auth"]), (0, "APOP"), "with APOP alone")


def wrong_password(bench, protocol):
    target, box = bench.target("dovecot"), mailbox(bench)
    customer = customer_of(bench, box, target, protocol, password_file=None, password="not this one")
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (77, "auth"), "exit status and outcome")
    check("not this one" not in result.stderr, "the password is in the log")


def refused_and_put_off(bench, protocol):
    """Who does not get it has it in the mailbox still, and hears why."""
    box, letters = mailbox(bench), [bench.maker.make()]
    box.put(letters)
    for options, code in ({"put_off": [ANNA]}, "451"), ({"refuse": [ANNA]}, "550"):
        target = bench.target("dovecot", **options)
        customer = customer_of(bench, box, target, protocol, leave_on_server=False)
        result = customer.run()
        equal((result.status, result.session()["outcome"]), (75, "deferred"), "exit status and outcome")
        check(code in result.stderr, f"no {code} in the log")
        equal(box.ids(), [letters[0].id], "in the mailbox")
        equal(target.deliveries(0), [], "delivered")
    customer = customer_of(bench, box, bench.target("dovecot"), protocol, leave_on_server=False)
    equal(customer.run().status, 0, "exit status once the target takes it")
    arrived(bench.shared.target("dovecot"), letters)
    equal(box.files(), [], "left in the mailbox")


def large(bench, protocol):
    """Streamed: it is never held in memory as a whole."""
    target, box, letters = bench.target("dovecot"), mailbox(bench), [bench.maker.big(20 * 1024 * 1024)]
    box.put(letters)
    result = customer_of(bench, box, target, protocol, leave_on_server=False).run()
    equal(result.status, 0, "exit status")
    arrived(target, letters)
    check(result.rss_kib < LIMIT_KIB, f"{result.rss_kib} KiB resident")


def many(bench, protocol):
    """More than one connection takes; the rest of them left there are listed in bounded memory."""
    target, box = bench.target("dovecot"), mailbox(bench)
    letters = [bench.maker.make(b"short\r\n") for _ in range(300)]
    box.put(letters)
    customer = customer_of(bench, box, target, protocol, leave_on_server=True)
    equal(customer.run(seconds=120).session()["received"]["messages"], len(letters), "messages")
    equal(customer.run().session()["outcome"], "no-mail", "the second run")
    arrived(target, letters)


def folder(bench):
    """Another folder than INBOX; only what is unseen, which is seen then."""
    target, box = bench.target("dovecot"), mailbox(bench)
    letters = [bench.maker.make() for _ in range(2)]
    box.put([bench.maker.make()]).put(letters, folder=".Lists")
    customer = customer_of(bench, box, target, "imap", folder="Lists", unseen_only=True, mark_seen=True)
    equal(customer.run().session()["received"]["messages"], 2, "messages")
    arrived(target, letters)
    equal(sorted(box.flags(".Lists")), ["S", "S"], "flags")
    equal(customer.run().session()["outcome"], "no-mail", "the second run")
    equal(len(box.files()), 1, "in INBOX")


def of_many(bench):
    """The provider wrote for whom, as Delivered-To; Postfix would take that for a loop."""
    target, box = bench.target("postfix"), mailbox(bench)
    recipients = [ANNA, "bert@customer.example"]
    letters = [bench.maker.make(recipients=[one]) for one in recipients]
    for letter in letters:
        letter.data = f"Delivered-To: mbox-{letter.recipients[0]}\r\n".encode() + letter.data
    box.put(letters)
    for letter in letters:
        letter.data = letter.data.partition(b"\r\n")[2]
    customer = customer_of(bench, box, target, "pop3", deliver_to=None, domains=["customer.example"],
                           envelope=["Delivered-To mbox-"])
    equal(customer.run().status, 0, "exit status")
    arrived(target, letters)
    equal(box.files(), [], "left in the mailbox")


def no_folder(bench):
    target, box = bench.target("dovecot"), mailbox(bench)
    result = customer_of(bench, box, target, "imap", folder="Nowhere").run()
    equal((result.status, result.session()["outcome"]), (77, "refused"), "exit status and outcome")
    check("Nowhere" in result.session()["text"], "the text does not name the folder")
