"""odmrd as who rents it out runs it: customers added while it serves, how it stands, and sockets that systemd passes on."""

import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess

from harness import wait
from harness.messages import Ledger
from harness.process import Child
from harness.programs import binary
from harness.runner import check, equal, none


def register(suite):
    suite.case("odmrd/customer/added-while-it-serves")(added)
    suite.case("odmrd/customer/by-root-for-the-daemon")(by_root)
    suite.case("odmrd/status")(status)
    suite.case("odmrd/status/page")(page)
    suite.case("odmrd/sockets/passed-on")(passed_on)
    suite.case("odmrd/sockets/of-no-table")(of_no_table)


def odmrd(daemon, *arguments, stdin=b""):
    done = subprocess.run([binary("odmrd"), *arguments, "-c", daemon.configuration], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def reload(daemon):
    before = daemon.child.output().count("the configuration was read again")
    daemon.child.signal(signal.SIGHUP)
    wait.until(lambda: daemon.child.output().count("the configuration was read again") > before, 20, "read again")


def added(bench):
    """It logs in by SCRAM-SHA-256 and, inside TLS, by PLAIN; by CRAM-MD5 once its password is kept; and is removed."""
    sink = bench.sink()
    daemon = bench.daemon(tls="starttls", certificate=bench.authority.good()).start()
    code, out, err = odmrd(daemon, "customer", "add", "--domain", "club.example", "club", "--json")
    equal((code, err), (0, ""), "customer add")
    told, = objects(out)
    check(len(told["password"]) >= 20, f"password {told['password']!r}")
    with open(told["file"], encoding="utf-8") as file:
        check(told["password"] not in file.read(), "the password stands in the file")
    equal(os.stat(told["file"]).st_mode & 0o777, 0o600, "mode of the file")

    def fetch(mechanism, password):
        letter = bench.maker.make(recipients=["anna@club.example"])
        equal(daemon.enqueue(letter), 0, "exit status of odmrd enqueue")
        customer = bench.customer(sink, daemon, auth=[mechanism], user="club.example", domains=["club.example"],
                                  password_file=None, password=password).verify_with(bench.authority)
        return letter, customer.run().session()["outcome"]

    reload(daemon)
    letters = []
    for mechanism in ("SCRAM-SHA-256", "PLAIN"):
        letter, outcome = fetch(mechanism, told["password"])
        equal(outcome, "fetched", mechanism)
        letters.append(letter)
    equal(fetch("SCRAM-SHA-256", "wrong horse")[1], "auth", "a wrong password")
    letter, outcome = fetch("CRAM-MD5", told["password"])
    equal(outcome, "auth", "CRAM-MD5 with a verifier")
    letters.append(letter)
    wait.until(lambda: "odmrd customer password --cram-md5" in daemon.child.output(), 10, "the log says why")

    code, out, _ = odmrd(daemon, "customer", "password", "club", "--cram-md5", "--password-stdin", "-q", stdin=b"geheim\n")
    equal((code, out), (0, ""), "customer password")
    reload(daemon)
    _, outcome = fetch("CRAM-MD5", "geheim")
    equal(outcome, "fetched", "CRAM-MD5 with the password")
    code, _, err = odmrd(daemon, "customer", "remove", "club")
    equal((code, err), (0, ""), "customer remove")
    reload(daemon)
    equal(odmrd(daemon, "enqueue", "-f", "", "anna@club.example", stdin=b"x\n")[0], 67, "mail for who is gone")


def by_root(bench):
    """What root adds, the daemon can read as the user that it has become, and cannot write."""
    if os.geteuid() != 0:
        return
    daemon = bench.daemon(run_as="nobody")
    code, out, err = odmrd(daemon, "customer", "add", "--domain", "club.example", "club", "--json")
    equal((code, err), (0, ""), "customer add")
    status = os.stat(objects(out)[0]["file"])
    equal((status.st_uid, status.st_mode & 0o777), (0, 0o640), "owner and mode of the file")
    equal(os.stat(os.path.dirname(objects(out)[0]["file"])).st_mode & 0o777, 0o750, "mode of the directory")


def status(bench):
    """While it serves and when it does not; a call that brought mail, a login that was refused."""
    sink, daemon, letter = bench.sink(), bench.daemon(customer={"quota": "1MiB"}).start(), bench.maker.make()
    equal(daemon.enqueue(letter), 0, "exit status of odmrd enqueue")

    def now():
        code, out, err = odmrd(daemon, "status", "--json")
        equal((code, err), (0, ""), "odmrd status")
        *customers, whole = objects(out)
        return customers[0], whole

    one, whole = now()
    equal((one["held"]["messages"], one["last_call"], whole["runs"]), (1, None, True), "before the call")
    equal(bench.customer(sink, daemon, password_file=None, password="wrong").run().status, 77, "a wrong password")
    equal(bench.customer(sink, daemon).run().status, 0, "exit status of odmr")
    none(Ledger([letter]).problems(sink.deliveries(1)))
    wait.until(lambda: now()[0]["last_call"], 10, "the call is written down")
    one, whole = now()
    equal((one["held"]["messages"], one["last_call"]["good"]), (0, True), "after the call")
    equal(sum(day["messages"] for day in whole["days"]), 1, "messages of today")
    equal([login["count"] for login in whole["refused_logins"]], [1], "refused logins")
    daemon.stop()
    one, whole = now()
    equal((whole["runs"], one["last_call"]["good"]), (False, True), "when it has ended")
    check("nobody serves this spool" in odmrd(daemon, "status")[1], "nobody says that it does not run")
    equal(odmrd(daemon, "status", "--metrics")[1].count("\nodmrd_held_messages{"), 1, "samples")


def ask(port, path, method="GET", host=None):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    line.request(method, path, headers={"Host": host} if host else {})
    reply = line.getresponse()
    body = reply.read().decode()
    line.close()
    return reply, body


def with_status(daemon, address="127.0.0.1:0"):
    with open(daemon.configuration, "a", encoding="utf-8") as file:
        file.write(f'[status]\naddress = "{address}"\n')
    daemon.start()
    return int(wait.until(lambda: re.search(r"(?:listening on \S*:\d+\n)+listening on \S*:(\d+)\n", daemon.child.output()), 10,
                          "the page's port").group(1))


def page(bench):
    daemon = bench.daemon()
    port = with_status(daemon)
    reply, body = ask(port, "/")
    equal((reply.status, reply.getheader("Content-Type")), (200, "text/html; charset=utf-8"), "/")
    check("<title>provider.example: odmrd</title>" in body, body[:500])
    check(reply.getheader("Content-Security-Policy").startswith("default-src 'none'"), "policy")
    reply, body = ask(port, "/metrics")
    equal(reply.status, 200, "/metrics")
    check('odmrd_held_messages{customer="one"} 0\n' in body, body)
    promtool = shutil.which("promtool")
    if promtool:
        done = subprocess.run([promtool, "check", "metrics"], input=body.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        equal((done.returncode, done.stdout), (0, b""), "promtool")
    equal(ask(port, "/", "HEAD")[1], "", "a body for HEAD")
    for wish, expected in ((("/x",), 404), (("/", "POST"), 405), (("/", "GET", "evil.example"), 421),
                           (("/" + "x" * 9000,), 414)):
        equal(ask(port, *wish)[0].status, expected, str(wish)[:40])
    # Who holds the page up holds up nobody else.
    for _ in range(20):
        bench.stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
    sink, letter = bench.sink(), bench.maker.make()
    equal(daemon.enqueue(letter), 0, "exit status of odmrd enqueue")
    equal(bench.customer(sink, daemon).run().status, 0, "exit status of odmr")


def passing(daemon, sockets):
    """odmrd with these, by name, as systemd starts it."""
    places = [str(one.fileno()) for one in sockets.values()]
    command = "; ".join(f"exec {3 + i}<&{place}" for i, place in enumerate(places))
    script = f'{command}; export LISTEN_PID=$$; exec "$@"'
    log = os.path.join(daemon.folder, "odmrd.log")
    with open(log, "ab") as output:
        child = subprocess.Popen(["bash", "-c", script, "bash", binary("odmrd"), "serve", "-c", daemon.configuration],
                                 stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 pass_fds=[one.fileno() for one in sockets.values()],
                                 env={"PATH": "/usr/bin:/bin", "LISTEN_FDS": str(len(sockets)),
                                      "LISTEN_FDNAMES": ":".join(sockets)})
    return child, log


def listening():
    """Out of the way of descriptors 3, 4 …, which they become."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return socket.socket(fileno=fcntl.fcntl(one, fcntl.F_DUPFD, 60))


def passed_on(bench):
    """The customer calls at the passed socket; the page is there; the address in the configuration is not opened."""
    daemon = bench.daemon()
    with open(daemon.configuration, "a", encoding="utf-8") as file:
        file.write('[status]\naddress = "127.0.0.1:1"\n')
    sockets = {"status": listening(), "listen.odmr": listening()}
    ports = {name: one.getsockname()[1] for name, one in sockets.items()}
    child, log = passing(daemon, sockets)
    try:
        for one in sockets.values():
            one.close()
        daemon.port = ports["listen.odmr"]
        letter, sink = bench.maker.make(), bench.sink()
        equal(daemon.enqueue(letter), 0, "exit status of odmrd enqueue")
        equal(bench.customer(sink, daemon).run().status, 0, "exit status of odmr")
        none(Ledger([letter]).problems(sink.deliveries(1)))
        equal(ask(ports["status"], "/metrics")[0].status, 200, "/metrics")
        with open(log, encoding="utf-8") as file:
            equal(sorted(re.findall(r"listening on 127.0.0.1:(\d+)", file.read())),
                  sorted(str(port) for port in ports.values()), "ports")
    finally:
        child.terminate()
        child.wait(20)


def of_no_table(bench):
    """A socket that nothing would be done with is a mistake that is told."""
    daemon, one = bench.daemon(), listening()
    child, log = passing(daemon, {"listen.other": one})
    one.close()
    equal(child.wait(20), 78, "exit status")
    with open(log, encoding="utf-8") as file:
        check("that was passed on is no table's" in file.read(), "the log does not say why")
