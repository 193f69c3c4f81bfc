"""What is printed where this host, or the real network, is at fault: word for word, in words.golden. What peers do is
in tests/conversation/diagnoses. ODMR_WRITE_GOLDEN=1 writes the file anew."""

import contextlib
import fcntl
import os
import re
import socket
import sqlite3

from harness import wire
from harness.process import run
from harness.programs import binary, copy_for_everybody
from harness.runner import check, equal
from harness.target import write

from .expect import EXIT, held_run, scripted
from .local import fill, mounted, mounted_on

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "words.golden")
NOBODY = 65534


def register(suite):
    for cause, provoke in CAUSES.items():
        suite.case(f"words/{cause}", cause, provoke)(told)
    suite.case("words/a-trace-explains-itself")(explained)
    suite.case("words/what-is-no-trace")(no_trace)


def golden():
    """title -> line"""
    try:
        with open(GOLDEN, encoding="utf-8") as file:
            parts = file.read().split("== ")[1:]
    except FileNotFoundError:
        parts = []
    return {title: line.strip() for title, line in (part.split("\n", 1) for part in parts)}


def without_chance(text, customer):
    text = text.replace(customer.folder, "FOLDER")
    text = re.sub(r"(127\.0\.0\.1|\]|localhost):\d+", r"\1:PORT", text)
    return re.sub(r"and not \d+", "and not PORT", text)


def told(bench, cause, provoke):
    """The printed line names outcome and cause, and a person can act on it."""
    customer, result = provoke(bench)
    line = without_chance(next(one for one in result.stdout.splitlines() if "What to do: " in one), customer)
    outcome = next(word for word in line.split(": ") if word in EXIT)
    equal(result.status, EXIT[outcome], "exit status")
    compare(cause, line)


def compare(title, text):
    texts = golden()
    if os.environ.get("ODMR_WRITE_GOLDEN"):
        texts[title] = text
        write(GOLDEN, "".join(f"== {one}\n{words}\n" for one, words in sorted(texts.items())))
    equal(text, texts.get(title), "what is said")


def nothing_listens(bench):
    isp, _, customer = scripted(bench, {})
    isp.stop()
    return customer, customer.run("run")


def no_such_host(bench):
    _, _, customer = scripted(bench, {})
    customer.isp["host"] = "no-such-host.invalid"
    return customer, without_network(customer)


def no_way(bench):
    _, _, customer = scripted(bench, {})
    customer.isp["host"] = "192.0.2.1"
    customer.isp["port"] = 366
    customer.deliver["to"] = "maildir://" + os.path.join(customer.folder, "Maildir")
    return customer, without_network(customer)


def without_network(customer):
    """The program where there is no line at all."""
    customer.deliver["to"] = "maildir://" + os.path.join(customer.folder, "Maildir")
    return customer._finished(["unshare", "-n", binary("odmr"), "run", "-c", customer.configuration()], 60, None, b"")


def target_down(bench):
    _, sink, customer = scripted(bench, {})
    sink.stop()
    return customer, customer.run("run")


def no_socket(bench):
    _, _, customer = scripted(bench, {})
    customer.deliver["to"] = "lmtp://" + os.path.join(customer.folder, "no-such-socket")
    return customer, customer.run("run")


def socket_of_another(bench):
    _, _, customer = scripted(bench, {})
    path = os.path.join(customer.folder, "lmtp")
    listener = socket.socket(socket.AF_UNIX)
    bench.stack.callback(listener.close)
    listener.bind(path)
    listener.listen()
    os.chmod(path, 0o600)
    customer.deliver["to"] = "lmtp://" + path
    customer.top["run_as"] = "nobody"
    return customer, customer.run("run")


def maildir_of_another(bench):
    """Mail to a directory that root has made, and the program runs as somebody else."""
    isp, _, customer = scripted(bench, {})
    maildir = os.path.join(customer.folder, "Maildir")
    for folder in ("", "/tmp", "/new", "/cur"):
        os.makedirs(maildir + folder, exist_ok=True)
    customer.deliver["to"] = "maildir://" + maildir
    customer.top["run_as"] = "nobody"
    result = customer.run("run")
    equal(isp.atrn_count(), 0, "ATRN commands")
    return customer, result


def maildir_full(bench):
    _, _, customer = scripted(bench, {})
    maildir = os.path.join(customer.folder, "Maildir")
    for folder in ("", "/tmp", "/new", "/cur"):
        os.makedirs(maildir + folder, exist_ok=True)
    fill(mounted_on(bench, maildir + "/tmp", "size=64k"))
    customer.deliver["to"] = "maildir://" + maildir
    return customer, customer.run("run")


def two_runs(bench):
    gate, _, _, customer, running = held_run(bench)
    result = customer.run("run")
    gate.set()
    running.finish()
    return customer, result


def full(bench):
    _, _, customer = scripted(bench, {})
    fill(mounted(bench, customer, "size=1m"))
    return customer, customer.run("run")


def of_another(bench):
    _, _, customer = scripted(bench, {})
    os.makedirs(customer.top["state_dir"])
    os.chown(customer.top["state_dir"], NOBODY, NOBODY)
    return customer, customer.run("run")


def of_root(bench):
    """Somebody runs it by hand, in a state directory that root has made."""
    _, _, customer = scripted(bench, {})
    os.makedirs(customer.top["state_dir"])
    os.chown(customer.secret, NOBODY, NOBODY)
    configuration = customer.configuration()
    os.chown(configuration, NOBODY, NOBODY)
    os.chmod(customer.top["state_dir"], 0o755)
    run(["touch", os.path.join(customer.top["state_dir"], "lock")])
    os.chmod(os.path.join(customer.top["state_dir"], "lock"), 0o600)
    programs = bench.path("programs")
    os.makedirs(programs)
    os.chmod(programs, 0o755)
    odmr = os.path.join(copy_for_everybody(programs), "odmr")
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", odmr, "run", "-c", configuration]
    return customer, customer._finished(command, 60, None, b"")


def given_to_nobody(bench):
    """run_as is there, and root has made the directory before."""
    _, _, customer = scripted(bench, {})
    os.makedirs(customer.top["state_dir"])
    customer.top["run_as"] = "nobody"
    return customer, customer.run("run")


def of_newer_version(bench):
    _, _, customer = scripted(bench, {})
    customer.run("run")
    with contextlib.closing(sqlite3.connect(os.path.join(customer.top["state_dir"], "journal.db"))) as journal:
        journal.execute("PRAGMA user_version = 99")
    return customer, customer.run("run")


def open_to_others(bench):
    isp, _, customer = scripted(bench, {})
    os.makedirs(customer.top["state_dir"])
    os.chmod(customer.top["state_dir"], 0o777)
    result = customer.run("run")
    equal(len(isp.sessions), 0, "connections to the provider")
    return customer, result


def two_watches(bench):
    _, _, customer = scripted(bench, {})
    os.makedirs(customer.top["state_dir"])
    with open(os.path.join(customer.top["state_dir"], "watch.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return customer, customer.run("watch")


def read_only(bench):
    _, _, customer = scripted(bench, {})
    mounted(bench, customer, "ro")
    return customer, customer.run("run")


def no_directory(bench):
    _, _, customer = scripted(bench, {})
    write(customer.top["state_dir"], "")
    return customer, customer.run("run")


def no_password(bench):
    _, _, customer = scripted(bench, {})
    customer.isp["password_file"] = None
    customer.isp["password_command"] = ["/bin/false"]
    return customer, customer.run("run")


def no_line(bench):
    _, _, customer = scripted(bench, {})
    customer.tables["line"] = {"up": ["/bin/false"]}
    return customer, customer.run("run")


CAUSES = {
    "line-not-up": no_line,
    "connection-refused": nothing_listens,
    "name-server-silent": no_such_host,
    "host-unreachable": no_way,
    "target: connection-refused": target_down,
    "socket-missing": no_socket,
    "socket-denied": socket_of_another,
    "maildir-unusable": maildir_of_another,
    "mail-put-off, by a full Maildir": maildir_full,
    "locked": two_runs,
    "disk-full": full,
    "state-of-another-user": of_another,
    "state-of-root": of_root,
    "state-of-root, and run_as": given_to_nobody,
    "state-of-newer-version": of_newer_version,
    "state-open-to-others": open_to_others,
    "watched": two_watches,
    "state-denied": read_only,
    "state-unusable": no_directory,
    "configuration": no_password,
}


def explained(bench):
    """The trace of a run, in both formats, says what the run said."""
    for form in ("text", "json"):
        _, _, customer = scripted(bench, {"atrn": wire.say(b"450 4.7.1 not yours")})
        customer.tables["log"] = {"format": form}
        ran = customer.run("run", "-vv")
        trace = write(os.path.join(customer.folder, "trace"), ran.stderr)
        result = customer.plain("explain", trace, "--json")
        equal(result.status, 0, "exit status")
        session, = result.objects
        equal((session["outcome"], session["cause"], session["exit"]), ("refused", "atrn-refused", 77), "what is told")
        check("450 4.7.1 not yours" in session["text"], f"the provider's words: {session['text']!r}")
        steps = [one["step"] for one in session["steps"]]
        equal([one for one in ("connect", "greeting", "hello", "mechanism", "auth", "atrn") if one not in steps], [],
              f"steps missing in {steps}")
        check(session["remedy"] in ran.stdout, f"another remedy than the run's: {session['remedy']!r}")


def no_trace(bench):
    _, _, customer = scripted(bench, {})
    noise = os.path.join(customer.folder, "noise")
    with open(noise, "wb") as file:
        file.write(os.urandom(1 << 20) + b"x" * (8 << 20))
    result = customer.plain("explain", noise)
    equal(result.status, 65, "exit status")
    check("run -vv" in result.stderr, f"what would be one is not said: {result.stderr!r}")
    check(result.rss_kib < 32 << 10, f"{result.rss_kib} KiB for a long line")
    equal(customer.plain("explain", "/no/such/file").status, 66, "exit status")
