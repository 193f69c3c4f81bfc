"""odmr setup: a configuration that is written, and then fetches; and what fetchmail understands of its own file."""

import os
import pty
import re
import select
import stat
import subprocess
import tomllib

from harness import wait, wire
from harness.dovecot_mailbox import DovecotMailbox
from harness.messages import Ledger
from harness.programs import binary
from harness.provider import PASSWORD, USER
from harness.runner import check, equal, none
from harness.target import write

DOMAINS = ("customer.example", "second.example")


def register(suite):
    for kind in ("postfix", "dovecot"):
        suite.case(f"setup/then-mail-comes/{kind}", kind)(then_mail_comes)
    suite.case("setup/asked")(asked)
    suite.case("setup/asked-again")(asked_again)
    suite.case("setup/target-that-will-not-do")(strange_target)
    suite.case("setup/interrupted")(interrupted)
    suite.case("setup/password-is-not-shown")(password_is_not_shown)
    suite.case("setup/is-there-already")(is_there_already)
    suite.case("setup/several-configurations")(several)
    suite.case("setup/secret-of-another")(secret_of_another)
    suite.case("setup/target-of-any-user")(target_of_any_user)
    suite.case("setup/wrong-password")(wrong_password)
    suite.case("setup/missing-answers")(missing_answers)
    suite.case("setup/refused-by-check")(refused_by_check)
    suite.case("setup/as-another-user")(as_another_user)
    for name in FETCHMAILRCS:
        suite.case(f"setup/fetchmailrc/{name}", name)(as_fetchmail_reads_it)
    suite.case("setup/fetchmailrc/then-mail-comes")(moved_over)
    suite.case("setup/fetchmailrc/mailboxes")(mailboxes_moved_over)
    suite.case("setup/fetchmailrc/refused")(fetchmailrc_refused)


class Home:
    """A folder in which setup writes, without a configuration before."""

    def __init__(self, bench):
        self.customer = bench.customer(bench.sink())
        self.folder = os.path.join(self.customer.folder, "home")
        os.makedirs(self.folder)
        self.configuration = os.path.join(self.folder, "odmr.toml")
        self.state = os.path.join(self.folder, "state")

    def setup(self, *options, stdin=b""):
        """`odmr setup` without questions; the password is the first line of stdin."""
        return self.customer.plain("setup", "-c", self.configuration, "--state-dir", self.state, "--non-interactive",
                                   *options, stdin=stdin)

    def names(self):
        return sorted(os.listdir(self.folder))

    def written(self):
        with open(self.configuration, "rb") as file:
            return tomllib.load(file)

    def password(self, name="isp.secret"):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()


def provider_options(daemon, authority=None):
    options = ["--provider", f"{authority.name if authority else '127.0.0.1'}:{daemon.port}", "--user", USER]
    options += ["--ca-file", authority.ca_file] if authority else ["--tls", "none"]
    for domain in DOMAINS:
        options += ["--domain", domain]
    return options


def then_mail_comes(bench, kind):
    """Against odmrd with TLS and a real target: one command writes it, probes it, and `odmr run` brings the mail."""
    certificate = bench.authority.good()
    daemon = bench.daemon(tls="starttls", certificate=certificate).start()
    target = bench.target(kind)
    home = Home(bench)
    result = home.setup(*provider_options(daemon, bench.authority), "--deliver", target.url, "--json",
                        stdin=PASSWORD.encode() + b"\n")
    report, = result.objects
    equal((result.status, report["outcome"], report["good"], report["faults"]), (0, "no-mail", True, []),
          "exit status, outcome, good, faults")
    equal(report["configuration"], home.configuration, "configuration")
    check("odmr" in report["command"], "no command switches it on")
    equal(home.names()[:2], ["isp.secret", "odmr.toml"], "what is there")
    equal(home.password(), PASSWORD.encode() + b"\n", "secret")
    for name in ("odmr.toml", "isp.secret"):
        equal(stat.S_IMODE(os.stat(os.path.join(home.folder, name)).st_mode), 0o600, f"mode of {name}")
    message = bench.maker.make()
    equal(daemon.enqueue(message), 0, "exit status of enqueue")
    fetched = home.customer.plain("run", "--json", "-c", home.configuration)
    equal((fetched.status, fetched.session()["received"]["messages"]), (0, 1), "exit status, messages")


class Person:
    """Somebody at a terminal, who answers each question when it has been asked."""

    def __init__(self, home, *options, env=None):
        self.seen = b""
        self.place = 0  # in what has been seen: behind what was expected last
        master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [binary("odmr"), "setup", "-c", home.configuration, "--state-dir", home.state, *options],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**home.customer.environment(), "TERM": "dumb", **(env or {})})
        os.close(slave)
        self.master = master

    def _read(self):
        ready, _, _ = select.select([self.master], [], [], 0.05)
        if ready:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                return False
        return True

    def text(self):
        return self.seen.decode("utf-8", "replace").replace("\r\n", "\n")

    def expect(self, words):
        """Waits for the words behind those of the last time."""

        def found():
            self._read()
            return words in self.text()[self.place:]
        wait.until(found, 30, f"{words!r} is said; so far: {self.text()[-1500:]!r}")
        self.place = self.text().index(words, self.place) + len(words)

    def answer(self, question, words):
        self.expect(question)
        os.write(self.master, words.encode() + b"\n")

    def finish(self):
        def ended():
            self._read()
            return self.process.poll() is not None
        wait.until(ended, 60, "setup ends")
        while True:
            before = len(self.seen)
            if not self._read() or len(self.seen) == before:
                break
        os.close(self.master)
        return self.process.returncode


def asked(bench):
    """The six questions, a wrong answer among them; what was typed is in the file, and mail comes."""
    daemon = bench.daemon().start()
    home = Home(bench)
    target = bench.sink()
    port = target.url.rsplit(":", 1)[1]
    person = Person(home, "--tls", "none")
    person.answer("Provider: ", "no host")
    person.expect("That cannot be")
    person.answer("Provider: ", f"127.0.0.1:{daemon.port}")
    person.answer("Domains", " ".join(DOMAINS))
    person.answer("User [customer.example]: ", USER)
    person.answer("Password", PASSWORD)
    person.answer("Target", f"127.0.0.1:{port}")
    person.answer("Smart host [none]: ", "")
    person.answer("Every [5m]: ", "10")
    person.answer("[yes]: ", "")
    person.expect("Switch it on, every 10m:")
    equal(person.finish(), 0, "exit status")
    check(PASSWORD not in person.text(), "the password is on the screen")
    check(re.search(r"\*/10 \* \* \* \*|systemctl", person.text()), "no command switches it on")
    equal(home.written()["watch"]["interval"], "10m", "interval")
    message = bench.maker.make()
    equal(daemon.enqueue(message), 0, "exit status of enqueue")
    equal(home.customer.plain("run", "-c", home.configuration).status, 0, "exit status of the run")
    equal(len(target.deliveries(1)), 1, "messages delivered")


def asked_again(bench):
    """A configuration that is there stays, unless somebody says "replace"; then it is what Enter takes."""
    home = Home(bench)
    options = ["--provider", "odmr.example.net:1366", "--domain", "customer.example,second.example", "--user", USER,
               "--deliver", "maildir:///tmp/no-such", "--smart-host", "smtp.example.net", "--smart-host-without-login",
               "--interval", "1h", "--no-probe"]
    equal(home.setup(*options, stdin=PASSWORD.encode() + b"\n").status, 0, "exit status")
    before, names = home.written(), home.names()
    person = Person(home)
    person.answer("[stop]: ", "")
    equal(person.finish(), 64, "exit status of stop")
    equal((home.written(), home.names()), (before, names), "what is there")
    person = Person(home, "--no-probe")
    person.answer("[stop]: ", "nonsense")
    person.answer("[stop]: ", "replace")
    for question in ("Provider [odmr.example.net:1366]: ", "Domains [customer.example second.example]: ",
                     f"User [{USER}]: ", "[as it was]: ", "Target [maildir:///tmp/no-such]: ",
                     "Smart host [smtp://smtp.example.net:587]: ", "same user and password? [no]: ", "Every [1h]: ",
                     "odmr.toml? [yes]: "):
        person.answer(question, "")
    equal(person.finish(), 0, "exit status of replace")
    before["outbound"]["to"] = "smtp://smtp.example.net:587"  # the port is said now
    equal(home.written(), before, "what is written")
    equal(home.password(), PASSWORD.encode() + b"\n", "secret")
    equal(home.names(), ["isp.secret", "isp.secret.bak", "odmr.toml", "odmr.toml.bak"], "what is there")


def strange_target(bench):
    """odmr itself, which would send the mail out again, and one that refuses: taken only when that is meant."""
    home = Home(bench)
    person = Person(home, "--no-probe", "--provider", "odmr.example.net", "--domain", "customer.example", "--user", "u",
                    "--smart-host", "none", "--interval", "5m")
    person.answer("Password", "x")
    for greeting, words in ((b"220 here.example ESMTP odmr", "that is odmr itself"),
                            (b"554 5.3.2 go away", "it says \"554 5.3.2 go away\""), (b"nonsense", "nonsense")):
        sink = bench.sink(script={"greeting": wire.say(greeting)})
        person.answer("Target", sink.url)
        person.expect(words)
        person.answer("Take it all the same? [no]: ", "")
    sink = bench.sink()
    person.answer("Target", sink.url)
    person.expect("It says sink.example ready")
    person.answer("odmr.toml? [yes]: ", "no")
    equal(person.finish(), 64, "exit status")
    equal(home.names(), [], "what is there")
    sink.wait_idle()
    equal(sink.commands, ["QUIT"], "what the mail server heard")


def interrupted(bench):
    """Ctrl-C and Ctrl-D at any question: nothing is there, and the terminal echoes again."""
    answers = [("Provider: ", "odmr.example.net"), ("Domains", "customer.example"), ("User", ""), ("Password", "x"),
               ("Target", "maildir:///tmp/no-such"), ("Smart host", ""), ("Every", ""), ("[yes]: ", "")]
    for count in range(len(answers)):
        for key, status in ((b"\x03", 130), (b"\x04", 64)):
            home = Home(bench)
            person = Person(home)
            # Without a controlling terminal Ctrl-C is no signal: it is sent as one.
            for question, words in answers[:count]:
                person.answer(question, words)
            person.expect(answers[count][0])
            if key == b"\x03":
                person.process.send_signal(2)
            else:
                os.write(person.master, key)
            equal(person.finish(), status, f"exit status at {answers[count][0]!r}")
            check("nothing was written" in person.text(), f"what is said: {person.text()[-300:]!r}")
            equal(home.names(), [], f"what is there after {key!r} at {answers[count][0]!r}")


def password_is_not_shown(bench):
    """Neither in what is said, nor in the log at its most talkative, nor on a command line, nor in the JSON."""
    daemon = bench.daemon().start()
    home = Home(bench)
    result = home.setup(*provider_options(daemon), "--deliver", bench.sink().url, "-vv", "--json",
                        stdin=PASSWORD.encode() + b"\n")
    equal(result.status, 0, "exit status")
    check(PASSWORD not in result.stdout + result.stderr, "the password is in the output")
    check(PASSWORD.encode() not in open(home.configuration, "rb").read(), "the password is in the configuration")


def is_there_already(bench):
    home = Home(bench)
    write(home.configuration, "# mine\n", mode=0o600)
    options = ["--provider", "odmr.example.net", "--domain", "customer.example", "--deliver", "maildir:///tmp/x",
               "--no-probe"]
    refused = home.setup(*options, stdin=b"x\n")
    equal(refused.status, 73, "exit status")
    check("--force" in refused.stderr, f"what is said: {refused.stderr!r}")
    equal(home.names(), ["odmr.toml"], "what is there")
    equal(home.setup(*options, "--force", stdin=b"x\n").status, 0, "exit status with --force")
    with open(home.configuration + ".bak", encoding="utf-8") as file:
        equal(file.read(), "# mine\n", "what was there before")


def several(bench):
    """Each has a state directory of its own, whatever its file is called; one that is replaced keeps its own."""
    home = Home(bench)
    options = ["--provider", "odmr.example.net", "--domain", "customer.example", "--deliver", "maildir:///tmp/x",
               "--no-probe", "--non-interactive"]
    environment = {**home.customer.environment(), "XDG_STATE_HOME": home.folder}
    directories = set()
    for number, file in enumerate(("club.toml", "my-isp.toml", "my.isp.toml", "my isp.toml")):
        path = os.path.join(home.folder, file)
        done = subprocess.run([binary("odmr"), "setup", "-c", path, "--name", f"isp{number}", *options], input=b"x\n",
                              env=environment, capture_output=True, timeout=60, check=False)
        equal(done.returncode, 0, f"exit status: {done.stderr!r}")
        with open(path, "rb") as written:
            directories.add(tomllib.load(written)["state_dir"])
        self_made = re.search(r"/etc/cron\.d/(\S+)", done.stdout.decode())
        check(not self_made or re.fullmatch(r"[A-Za-z0-9_-]+", self_made.group(1)), f"what cron reads: {done.stdout!r}")
    equal(len(directories), 4, f"state directories {directories}")
    for directory in directories:
        check(os.path.isdir(directory), f"{directory} was not made")
        os.rmdir(directory)  # root's are below /var/lib
    write(os.path.join(home.folder, "old.toml"), 'state_dir = "/srv/mail"\n', mode=0o600)
    home.configuration = os.path.join(home.folder, "old.toml")
    done = subprocess.run([binary("odmr"), "setup", "-c", home.configuration, "--name", "old", "--force", *options],
                          input=b"x\n", env=environment, capture_output=True, timeout=60, check=False)
    equal((done.returncode, home.written()["state_dir"]), (0, "/srv/mail"), "exit status, state directory")


def secret_of_another(bench):
    """What another configuration uses is not replaced, with --force neither; a person hears of it before the questions."""
    home = Home(bench)
    options = ["--provider", "odmr.example.net", "--domain", "customer.example", "--deliver", "maildir:///tmp/x",
               "--no-probe"]
    equal(home.setup(*options, stdin=b"first\n").status, 0, "exit status of the first")
    home.configuration = os.path.join(home.folder, "b.toml")
    refused = home.setup(*options, "--force", stdin=b"second\n")
    equal(refused.status, 73, "exit status with --force")
    check("--name" in refused.stderr, f"what is said: {refused.stderr!r}")
    equal(home.password(), b"first\n", "secret")
    person = Person(home, "--no-probe")
    person.expect("isp.secret is there already")
    person.answer("Name, or stop [stop]: ", "a/b")
    person.expect("That cannot be")
    person.answer("Name, or stop [stop]: ", "second")
    for question, words in (("Provider: ", "odmr.example.net"), ("Domains", "customer.example"), ("User", ""),
                            ("Password", "second"), ("Target", "maildir:///tmp/x"), ("Smart host", "smtp.other.example"),
                            ("same user and password? [no]: ", ""), ("Every", ""), ("[yes]: ", "")):
        person.answer(question, words)
    equal(person.finish(), 0, "exit status")
    equal((home.password(), home.password("second.secret")), (b"first\n", b"second\n"), "secrets")
    check("auth_as" not in home.written()["outbound"], "the provider's password goes to another's smart host")
    person = Person(home, "--name", "isp", "--force")
    person.answer("Name, or stop [stop]: ", "")
    equal(person.finish(), 64, "exit status of stop")


def target_of_any_user(bench):
    """A program at a port that any user may take is no mail server that setup chooses by itself."""
    home = Home(bench)
    script = "ip link set lo up && exec python3 - \"$@\""
    program = """
import socket, subprocess, sys, threading
def serve(port):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        line, _ = listener.accept()
        line.sendall(b"220 here.example ESMTP\\r\\n")
        line.close()
for port in map(int, sys.argv[1].split(",")):
    threading.Thread(target=serve, args=(port,), daemon=True).start()
    while socket.socket().connect_ex(("127.0.0.1", port)):
        pass
sys.exit(subprocess.run(sys.argv[2:], input=b"x\\n").returncode)
"""
    def setup(ports):
        return subprocess.run(
            ["unshare", "--net", "sh", "-c", script, "sh", ports, binary("odmr"), "setup", "-c", home.configuration,
             "--state-dir", home.state, "--non-interactive", "--no-probe", "--provider", "odmr.example.net", "--domain",
             "customer.example"],
            input=program.encode(), env=home.customer.environment(), capture_output=True, timeout=60, check=False)
    refused = setup("2525")
    equal(refused.returncode, 64, f"exit status: {refused.stderr!r}")
    check(b"smtp://127.0.0.1:2525 answers" in refused.stderr, f"what is said: {refused.stderr!r}")
    equal(home.names(), [], "what is there")
    taken = setup("2525,25")
    equal(taken.returncode, 0, f"exit status: {taken.stderr!r}")
    check(b"Received mail goes to smtp://127.0.0.1:25\n" in taken.stdout, f"what is said: {taken.stdout!r}")


def wrong_password(bench):
    """The probe says it, and its exit status is setup's; the configuration is written all the same."""
    daemon = bench.daemon().start()
    home = Home(bench)
    result = home.setup(*provider_options(daemon), "--deliver", bench.sink().url, stdin=b"wrong horse\n")
    equal(result.status, 77, "exit status")
    check("What to do:" in result.stdout and "The configuration is written, but a run would end as auth (77)"
          in result.stdout, f"what is said: {result.stdout[-800:]!r}")
    check(os.path.exists(home.configuration), "there is no configuration")


def missing_answers(bench):
    home = Home(bench)
    result = home.setup(stdin=b"x\n")
    equal(result.status, 64, "exit status")
    for option in ("--provider", "--domain"):
        check(f"{option} is missing" in result.stderr, f"{option} is not named: {result.stderr!r}")
    whole = ["--provider", "odmr.example.net", "--domain", "customer.example", "--deliver", "maildir:///tmp/x"]
    result = home.setup(*whole)
    equal(result.status, 64, "exit status without a password")
    check("standard input" in result.stderr, f"what is said: {result.stderr!r}")
    equal(home.setup(*whole, "--interval", "soon", stdin=b"x\n").status, 64, "exit status of a wrong interval")
    equal(home.names(), [], "what is there")


def refused_by_check(bench):
    """What `odmr check` would refuse is not written."""
    home = Home(bench)
    result = home.setup("--provider", "odmr.example.net", "--domain", "customer.example", "--deliver",
                        "maildir:///tmp/x", "--ca-file", "/no/such/file.pem", stdin=b"x\n")
    equal(result.status, 78, "exit status")
    check("ca_file" in result.stderr and "nothing was written" in result.stderr, f"what is said: {result.stderr!r}")
    equal(home.names(), [], "what is there")


def as_another_user(bench):
    """Somebody who is not root, without --config: below ~/.config, and with a crontab."""
    folder = bench.path("nobody")
    os.makedirs(folder)
    os.chown(folder, 65534, 65534)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", os.path.join(bench.shared.bin, "odmr"), "setup",
         "--non-interactive", "--provider", "odmr.example.net", "--domain", "customer.example", "--deliver",
         f"maildir://{folder}/Maildir", "--no-probe"],
        input=b"x\n", env={"PATH": "/usr/bin:/bin", "HOME": folder}, capture_output=True, timeout=60, check=False)
    equal(done.returncode, 0, f"exit status: {done.stderr!r}")
    check(b"| crontab -" in done.stdout and b" -c " not in done.stdout, f"what switches it on: {done.stdout!r}")
    for name in ("odmr.toml", "isp.secret"):
        status = os.stat(os.path.join(folder, ".config/odmr", name))
        equal((status.st_uid, stat.S_IMODE(status.st_mode)), (65534, 0o600), f"owner and mode of {name}")


# --- moving over from fetchmail

# What fetchmail 6.4.37 takes; the chosen entry's host behind each.
FETCHMAILRCS = {
    "usual": """
poll isp.example protocol ODMR
  user "example.org" there with password "geheim" is root here
  fetchdomains example.org example.com
  smtphost localhost/2525
""",
    "defaults": """
set daemon 300
set postmaster "root"
defaults proto odmr port 1366 user default.example there with password "def pass" smtphost 127.0.0.1/2525
skip other.example
poll isp.example via odmr.isp.example fetchdomains example.org, example.com
""",
    "words-and-escapes": r"""
# a comment; poll none.example
poll isp.example with proto odmr, port 1366 and timeout 60 \
  options via 'odmr.isp.example';
  user poll has pass 's\\x41\\102\\67\\0103 "quoted" # no comment' options nokeep fetchall
  fetchdomains example.org:example.com smtp mail.example # "open
  antispam 571 550 warnings 3600 no rewrite
""",
    "lmtp-and-tls": r"""
server isp.example proto odmr username example.org pass secret\"word
 lmtp smtphost localhost/2424 ssl sslcertfile /etc/ssl/certs/ca-certificates.crt fetchdomains example.org
""",
}


def understood_by_fetchmail(home, control):
    """What it says of the one entry that it would poll."""
    done = subprocess.run(["fetchmail", "-V", "-v", "-f", control], stdin=subprocess.DEVNULL, capture_output=True,
                          env={"PATH": "/usr/bin:/bin", "HOME": home.folder, "LC_ALL": "C"}, timeout=60)
    said = done.stdout.decode()
    found = re.search(r"^Options for retrieving from (.*)@(\S+):$", said, re.MULTILINE)
    check(found, f"fetchmail does not take it: {said[-300:]!r} {done.stderr[-300:]!r}")
    user, name = found.groups()
    host = re.search(r"True name of server is (\S+)\.$", said, re.MULTILINE)
    port = re.search(r"Protocol is ODMR \(using (?:service (\d+)|default port)\)", said)
    return {
        "user": user, "host": host.group(1) if host else name, "port": port.group(1) or "366",
        "password": re.search(r'Password = "(.*)"\.$', said, re.MULTILINE).group(1),
        "domains": re.search(r"mail will be fetched are: (.*)$", said, re.MULTILINE).group(1).split(),
        "target": re.search(r"Messages will be ([SL]MTP)-forwarded to: (\S+)", said).groups(),
        "ssl": "SSL encrypted sessions enabled" in said,
    }


def as_fetchmail_reads_it(bench, name):
    """The file that setup writes says what fetchmail says that it has understood."""
    home = Home(bench)
    control = write(os.path.join(home.customer.folder, "fetchmailrc"), FETCHMAILRCS[name], mode=0o600)
    theirs = understood_by_fetchmail(home, control)
    result = home.setup("--from-fetchmailrc", control, "--no-probe")
    equal(result.status, 0, f"exit status: {result.stderr}")
    written = home.written()
    isp = written["provider"]["isp"]
    host, _, port = isp["host"].partition(":")
    scheme, _, place = written["deliver"]["to"].partition("://")
    # fetchmail shows them as C would write them.
    password = home.password().decode()[:-1].replace("\\", "\\\\").replace('"', '\\"').replace("\b", "\\b")
    ours = {"user": isp["user"], "host": host, "port": port or "366", "password": password, "domains": isp["domains"],
            "target": (scheme.upper(), place.replace(":", "/")), "ssl": isp.get("tls") == "implicit"}
    equal(ours, theirs, "what the file says, to us and to fetchmail")


def moved_over(bench):
    """fetchmail's file, with its password, and `odmr run` brings the mail."""
    daemon = bench.daemon().start()
    home = Home(bench)
    target = bench.sink()
    control = write(os.path.join(home.customer.folder, "fetchmailrc"), f"""
poll 127.0.0.1 proto odmr port {daemon.port} interface "lo/127.0.0.1"
  user "{USER}" there with password "{PASSWORD}" fetchdomains {' '.join(DOMAINS)}
  smtphost 127.0.0.1/{target.url.rsplit(':', 1)[1]}
poll pop.example proto pop2 user x pass y
""", mode=0o600)
    result = home.setup("--from-fetchmailrc", control, "--tls", "none")
    equal(result.status, 0, "exit status")
    for words in ('"interface" is not carried over', "with protocol pop2 is not carried over"):
        check(words in result.stdout, f"{words!r} is not said: {result.stdout!r}")
    equal(daemon.enqueue(bench.maker.make()), 0, "exit status of enqueue")
    equal(home.customer.plain("run", "-c", home.configuration).status, 0, "exit status of the run")
    equal(len(target.deliveries(1)), 1, "messages delivered")


def mailboxes_moved_over(bench):
    """No ODMR at all: one command, and the mail of both mailboxes comes, over TLS."""
    home, target = Home(bench), bench.sink()
    box = bench.keep("mailbox", DovecotMailbox(bench.path("mailbox"), bench.shared.authority)).start()
    authority, letters = bench.shared.authority, [bench.maker.make(), bench.maker.make()]
    box.put(letters[:1]).put(letters[1:], folder=".Lists")
    control = write(os.path.join(home.customer.folder, "fetchmailrc"), f"""
set daemon 600
defaults user "{USER}" there password "{PASSWORD}" is anna@customer.example here nokeep fetchall
  sslcertfile {authority.ca_file} smtphost 127.0.0.1/{target.url.rsplit(':', 1)[1]}
poll {authority.name} proto pop3 port {box.ports["pop3", "implicit"]} ssl
poll lists via {authority.name} proto imap port {box.ports["imap", "starttls"]} folder Lists
poll etrn.invalid proto etrn fetchdomains customer.example
""", mode=0o600)
    result = home.setup("--from-fetchmailrc", control, "--no-probe")
    equal(result.status, 0, f"exit status: {result.stderr}")
    providers = home.written()["provider"]
    equal([(p["protocol"], p.get("leave_on_server")) for p in providers.values()],
          [("pop3", False), ("imap", False), ("etrn", None)], "providers")
    names = list(providers)
    equal(home.names(), sorted(["odmr.toml", *(f"{name}.secret" for name in names)]), "files")
    check("the mail comes by the provider's own connection" in result.stdout, result.stdout)
    result = home.customer.plain("run", "-c", home.configuration, *names[:2])
    equal(result.status, 0, f"exit status of the run: {result.stderr}")
    none(Ledger(letters).problems(target.deliveries(2)))
    equal(box.files() + box.files(".Lists"), [], "left in the mailbox")


def fetchmailrc_refused(bench):
    """With its file and line, and no word that may be a password."""
    home = Home(bench)
    for text, words in (("poll x proto odmr\n user a pass SECRET SECRET\n", "fetchmailrc: line 2:"),
                        ("poll x proto pop2 user a pass SECRET\n", "no entry that could be carried over"),
                        ("poll x proto odmr user a\npoll y proto odmr user b\n", "--entry")):
        control = write(os.path.join(home.customer.folder, "fetchmailrc"), text, mode=0o600)
        result = home.setup("--from-fetchmailrc", control, "--no-probe")
        equal(result.status, 78, "exit status")
        check(words in result.stderr, f"{words!r} is not said: {result.stderr!r}")
        check("SECRET" not in result.stdout + result.stderr, "a password is said")
    equal(home.names(), [], "what is there")
