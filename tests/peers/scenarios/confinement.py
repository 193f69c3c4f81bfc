"""The programs shut themselves in: what /proc says of them while they work, that mail passes all the same, and that
what lies outside is out of their reach."""

import os
import re
import socket
import subprocess
import threading

from harness import held, wait, wire
from harness.messages import Ledger
from harness.process import Child
from harness.process import run as run_command
from harness.programs import HOSTNAME, binary, copy_for_everybody
from harness.provider import PASSWORD
from harness.runner import check, equal, none

from .outcomes.sent import all_sent, expect_flush, letter_out
from .submit import ENVELOPE, HELLO, Session, away

NOBODY = 65534
NOBODY_GROUPS = {"Uid": [str(NOBODY)] * 4, "Gid": [str(NOBODY)] * 4}
ROOT = {"Uid": ["0"] * 4}
CAN_CONFINE = "this kernel does not confine"  # in the log where it does not


def register(suite):
    for target in ("sink", "maildir"):
        for run_as in (None, "nobody"):
            name = run_as or "root"
            suite.case(f"confined/run/{target}/{name}", target, run_as)(run)
    for run_as in (None, "nobody"):
        name = run_as or "root"
        suite.case(f"confined/submit/{name}", run_as)(submit)
        suite.case(f"confined/odmrd/{name}", run_as)(odmrd)
    suite.case("confined/before-any-peer")(order)
    suite.case("confined/nothing-outside")(nothing_outside)
    suite.case("confined/commands-run-outside")(commands)
    suite.case("confined/late-password-command")(late_command)
    suite.case("confined/odmr-7bit/nobody")(seven_bit)
    suite.case("confined/direct/nobody")(direct)
    suite.case("confined/test-mail/nobody")(test_mail)
    suite.case("confined/trust-by-a-link-to-elsewhere")(trust_elsewhere)
    suite.case("confined/state-dir-of-another")(foreign_state_dir)
    suite.case("confined/maildir-not-his")(foreign_maildir)
    suite.case("confined/unknown-user")(unknown_user)


def facts(pid):
    """/proc/PID/status as words by name."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {name: value.split() for name, value in (line.split(":", 1) for line in file)}


def check_confined(pid, run_as):
    found = facts(pid)
    equal(found["NoNewPrivs"], ["1"], "NoNewPrivs")
    for name, wanted in (NOBODY_GROUPS if run_as else ROOT).items():
        equal(found[name], wanted, name)
    if run_as:
        equal(found["CapEff"], ["0" * 16], "effective capabilities")
        equal(found["CapPrm"], ["0" * 16], "permitted capabilities")
        check("0" not in found["Groups"], f"groups {found['Groups']}")
    # No core dump, no debugger of the same user: its files in /proc are root's.
    equal(os.stat(f"/proc/{pid}/environ").st_uid, 0, "owner of /proc/PID/environ")


def owners(top):
    """Everybody who owns something below."""
    found = {os.lstat(top).st_uid}
    for folder, folders, files in os.walk(top):
        found |= {os.lstat(os.path.join(folder, name)).st_uid for name in folders + files}
    return found


def run(bench, kind, run_as):
    """Looked at in the middle of a message, which arrives; secrets stay root's alone."""
    inside, looked = threading.Event(), threading.Event()

    def hold(conversation, normal):
        inside.set()
        return wire.gate(looked)(conversation, normal)
    letters = [bench.maker.make(), bench.maker.make()]
    isp = bench.provider(letters, script={"dot": [hold, None]})
    box = bench.path("box")
    if run_as and kind == "maildir":
        os.makedirs(box, mode=0o700)
        os.chown(box, NOBODY, NOBODY)
    sink = bench.sink()
    customer = bench.customer(sink if kind == "sink" else f"maildir://{box}/Maildir", isp)
    if not run_as:
        os.makedirs(box, exist_ok=True)
    customer.top["run_as"] = run_as
    running = customer.start()
    try:
        check(inside.wait(30), "no message came")
        check_confined(running.pid, run_as)
    finally:
        looked.set()
    result = running.finish()
    customer.results.append(result)
    equal((result.status, result.session()["outcome"]), (0, "fetched"), "exit status, outcome")
    check(CAN_CONFINE not in result.stderr, "not confined")
    equal("runs as root" in result.stderr, not run_as, "a word of root")
    equal(owners(customer.top["state_dir"]), {NOBODY if run_as else 0}, "owners of the state directory")
    if kind == "sink":
        none(Ledger(letters).problems(sink.deliveries(2), our_name=HOSTNAME))
    else:
        equal(len(os.listdir(f"{box}/Maildir/new")), 2, "messages in the Maildir")
        equal(owners(f"{box}/Maildir"), {NOBODY if run_as else 0}, "owners of the Maildir")
    equal(customer.run().status, 0, "exit status of the second run")


def submit(bench, run_as):
    """A message into the queue, and the socket goes with the process."""
    customer = bench.customer(bench.sink()).send_through(bench.host())
    customer.top["run_as"] = run_as
    submission = bench.submission(customer)
    check_confined(submission.child.pid, run_as)
    letters = away([bench.maker.make()])
    Session(submission.socket).say(HELLO, *ENVELOPE, ("DATA", 354)).content(letters[0].data)
    state = customer.top["state_dir"]
    none(Ledger(letters).problems(held.copies(state), our_name=HOSTNAME))
    equal(owners(state), {NOBODY if run_as else 0}, "owners of the state directory")
    check(CAN_CONFINE not in submission.child.output(), "not confined")


def odmrd(bench, run_as):
    """Serves what root and others have put into the spool; its files stay its user's."""
    daemon = bench.daemon(tls="starttls", certificate=bench.authority.good())
    if run_as:
        with open(daemon.configuration, encoding="utf-8") as file:
            text = file.read()
        with open(daemon.configuration, "w", encoding="utf-8") as file:
            file.write(f'run_as = "{run_as}"\n' + text)
    letters = [bench.maker.make(), bench.maker.make()]
    equal(daemon.enqueue(letters[0]), 0, "exit status of enqueue before there is a daemon")
    daemon.start()
    check_confined(daemon.child.pid, run_as)
    equal(daemon.enqueue(letters[1]), 0, "exit status of enqueue")
    sink = bench.sink()
    customer = bench.customer(sink).verify_with(bench.authority)
    customer.isp["port"] = daemon.port
    equal(customer.run().session()["outcome"], "fetched", "outcome")
    none(Ledger(letters).problems(sink.deliveries(2)))
    equal(owners(os.path.join(daemon.folder, "spool")), {NOBODY if run_as else 0}, "owners of the spool")
    check(CAN_CONFINE not in daemon.child.output(), "not confined")


CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)$", re.MULTILINE)


def order(bench):
    """As strace sees it: shut in first, then threads and connections."""
    customer = bench.customer(bench.sink(), bench.provider([bench.maker.make()]))
    trace = bench.path("trace")
    done = subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=landlock_restrict_self,clone,clone3,connect,prctl",
                           binary("odmr"), "run", "--json", "--config", customer.configuration()],
                          env=customer.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    equal(done.returncode, 0, "exit status")
    with open(trace, encoding="utf-8", errors="replace") as file:
        calls = [(name, rest) for name, rest in CALL.findall(file.read())]
    shut = [at for at, (name, rest) in enumerate(calls) if name == "landlock_restrict_self" and rest.endswith("= 0")]
    equal(len(shut), 1, "times it shuts itself in")
    before = calls[:shut[0]]
    equal([rest for name, rest in before if "connect" in name and "AF_INET" in rest], [], "connections before that")
    equal([rest for name, rest in before if name.startswith("clone")], [], "threads and children before that")
    check(any("PR_SET_NO_NEW_PRIVS" in rest for _, rest in before), "no_new_privs comes too late")
    check(any(name == "connect" and "AF_INET" in rest for name, rest in calls[shut[0]:]), "it connected to nobody")


def nothing_outside(bench):
    """Somebody who can write in the state directory puts a link there to a place outside. Who is not confined
    follows it; the server cannot."""
    customer = bench.customer(bench.sink()).send_through(bench.host())
    submission = bench.submission(customer)
    state, outside = customer.top["state_dir"], bench.path("outside")
    os.makedirs(outside, mode=0o700)
    os.rename(os.path.join(state, "queue"), os.path.join(state, "queue.away"))
    os.symlink(outside, os.path.join(state, "queue"))
    line = wire.Line(_connected(submission.socket), 30)
    equal(line.read_reply()[0], 421, "greeting where the queue leads outside")
    equal(os.listdir(outside), [], "outside")
    check("Permission denied" in submission.child.output(), "another reason than permission")
    # For comparison: `odmr sendmail`, which is not confined.
    customer.submit(letter_out(bench))
    check("held" in os.listdir(outside), "the link leads nowhere")
    os.unlink(os.path.join(state, "queue"))
    os.rename(os.path.join(state, "queue.away"), os.path.join(state, "queue"))
    Session(submission.socket).say(HELLO, *ENVELOPE, ("QUIT", 221))


def _connected(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock


def commands(bench):
    """`[outbound] command` is who odmr was when it was started, and under none of its limits."""
    note = bench.path("note")
    customer = bench.customer(bench.sink(), bench.provider()).send_through(
        None, command=f"grep -E '^(Uid|NoNewPrivs):' /proc/self/status > {note}")
    customer.top["run_as"] = "nobody"
    equal(customer.run().status, 0, "exit status")
    with open(note, encoding="ascii") as file:
        equal(file.read().split(), ["Uid:", "0", "0", "0", "0", "NoNewPrivs:", "0"], "the command")


def late_command(bench):
    """A password for the smart host is asked for only when there is mail to send, and that is long after the process
    has shut itself in."""
    note = bench.path("asked")
    host = bench.host(mechanisms=["CRAM-MD5"])
    customer = bench.customer(bench.sink(), bench.provider()).send_through(
        host, password_file=None, password_command=f"printf x >> {note}; echo '{PASSWORD}'")
    customer.top["run_as"] = "nobody"
    equal(customer.run().status, 0, "exit status without mail")
    check(not os.path.exists(note), "asked for though nothing was to be sent")
    letters = [letter_out(bench)]
    customer.submit(*letters)
    expect_flush(customer.run(), "sent", tally=all_sent(letters))
    equal(os.path.getsize(note), 1, "times the command was run")
    none(Ledger(letters).problems(host.deliveries(1)))


def seven_bit(bench):
    """The converter, a program of its own, is started by the confined process."""
    host = bench.host(extensions=())
    customer = bench.customer(bench.sink(), bench.provider()).send_through(host, convert_8bit=True)
    customer.top["run_as"] = "nobody"
    letter = bench.maker.eight_bit(reverse_path="anna@customer.example", recipients=["friend@elsewhere.example"])
    customer.submit(letter)
    folder = bench.path("bin")
    os.makedirs(folder)
    copy_for_everybody(folder)
    done = subprocess.run([os.path.join(folder, "odmr"), "run", "--send-only", "--json", "--config",
                           customer.configuration()], env=customer.environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    equal((done.returncode, b"odmr-7bit:" in done.stderr), (0, False), "exit status, and complaints of the converter")
    copy, = host.deliveries(1)
    check(all(byte < 0x80 for byte in copy.data), "still 8-bit")
    check(b"\r\nContent-Transfer-Encoding: " in copy.data, "not converted")


def direct(bench):
    """Past the queue: nothing is stored, and the state directory is not even made."""
    host = bench.host()
    customer = bench.customer(bench.sink()).send_through(host)
    customer.top["run_as"] = "nobody"
    customer.tables["submit"] = {"listen": ["127.0.0.1:0"]}
    child = bench._keep("submit", Child([binary("odmr"), "submit", "--direct", "--config", customer.configuration()],
                                        bench.path("direct.log"), env=customer.environment()))
    told = wait.until(lambda: re.search(r"^listening on (\S+)$", child.output(), re.MULTILINE), 20, "it listens")
    check_confined(child.pid, "nobody")
    letter, = away([bench.maker.make()])
    Session(told.group(1)).say(HELLO, *ENVELOPE, ("DATA", 354)).content(letter.data)
    none(Ledger([letter]).problems(host.deliveries(1), our_name=HOSTNAME))
    check(not os.path.exists(customer.top["state_dir"]), "a state directory was made")


def test_mail(bench):
    host = bench.host(mechanisms=["CRAM-MD5"])
    customer = bench.customer(bench.sink(), bench.provider()).send_through(host)
    customer.top["run_as"] = "nobody"
    equal(customer.run("probe", "--test-mail", "friend@elsewhere.example").status, 0, "exit status")
    check(host.deliveries(1)[0].reverse_path.startswith("nobody@"), "not sent as nobody")


def trust_elsewhere(bench):
    """A certificate that the hashed trust store has a link to, out of all that may be read, is read late all the
    same."""
    store = bench.path("store")
    os.makedirs(store)
    digest = run_command(["openssl", "x509", "-noout", "-hash", "-in", bench.authority.ca_file]).decode().strip()
    os.symlink(bench.authority.ca_file, os.path.join(store, digest + ".0"))
    letters = [bench.maker.make()]
    isp = bench.provider(letters, tls="starttls", certificate=bench.authority.good())
    sink = bench.sink()
    customer = bench.customer(sink, isp).verify_with(bench.authority)
    customer.isp["ca_file"] = None
    equal(customer.run().session()["outcome"], "tls", "outcome without that trust store")
    result = customer.run(env={"SSL_CERT_DIR": store})
    equal((result.status, result.session()["outcome"]), (0, "fetched"), "exit status, outcome")
    none(Ledger(letters).problems(sink.deliveries(1)))


def foreign_state_dir(bench):
    """A state directory that has another owner is left alone, and the way to hand it over is said."""
    customer = bench.customer(bench.sink(), bench.provider())
    os.makedirs(customer.top["state_dir"], mode=0o700)
    customer.top["run_as"] = "nobody"
    result = customer.run()
    session = result.session()
    equal((result.status, session["outcome"], session["cause"]), (73, "state", "state-of-root"), "how it ended")
    check(f"{customer.top['state_dir']} belongs to root" in session["text"], session["text"])
    check(session["remedy"].endswith(f"chown -R nobody: {customer.top['state_dir']}"), session["remedy"])
    equal(os.listdir(customer.top["state_dir"]), [], "files in it")


def foreign_maildir(bench):
    """A Maildir that its user may not write is a target that is not ready: no ATRN."""
    box = bench.path("Maildir")
    os.makedirs(box, mode=0o700)
    isp = bench.provider([bench.maker.make()])
    customer = bench.customer(f"maildir://{box}", isp)
    customer.top["run_as"] = "nobody"
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (69, "local-down"), "exit status, outcome")
    equal((isp.atrn_count(), os.listdir(box)), (0, []), "ATRN commands, and files in the Maildir")


def unknown_user(bench):
    """Found by `odmr check`, with its place."""
    customer = bench.customer(bench.sink(), bench.provider())
    for name, words in (("no-such-user", "is no user of this system"), ("root", "has all of root's rights")):
        customer.top["run_as"] = name
        result = customer.run("check")
        equal(result.status, 78, "exit status")
        check(re.search(rf'odmr\.toml:3:\d+: run_as: "{name}" {words}', result.stdout), result.stdout)
