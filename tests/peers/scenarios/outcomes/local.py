"""Faults at home and on the way: unavailable, locked, config, state, and mistakes on the command line."""

import os
import re

from harness import wire
from harness.process import run
from harness.provider import PASSWORD
from harness.runner import check, equal
from harness.target import write

from .expect import IMPATIENT, bench_config, counts, expect, held_run, scripted


def register(suite):
    suite.case("unavailable/nothing-listens")(nothing_listens)
    suite.case("unavailable/unknown-host")(unknown_host)
    for step in ("greeting", "ehlo", "auth", "auth-final", "atrn", "await-greeting"):
        suite.case(f"unavailable/silent-at-{step}", step)(silent)
    for step in ("body", "dot"):
        suite.case(f"unavailable/silent-at-{step}", step)(silent)
    suite.case("fetched/silent-between-transactions")(silent_between)
    suite.case("locked/two-runs")(two_runs)
    suite.case("locked/free-after-kill")(free_after_kill)
    suite.case("config/password-inside-a-file-open-to-all")(open_configuration)
    suite.case("config/group-may-read-the-secret")(group_readable)
    for name, change in FAULTS.items():
        suite.case(f"config/{name}", change)(faulty)
    suite.case("config/no-file")(no_file)
    suite.case("config/check-names-every-fault")(every_fault)
    suite.case("config/check-of-a-good-file")(good_file)
    for name, arguments in MISTAKES.items():
        suite.case(f"command-line/{name}", arguments)(mistake)
    suite.case("command-line/help-and-version")(help_and_version)
    suite.case("state/is-a-file")(state_is_a_file)
    suite.case("state/read-only")(state_read_only)
    suite.case("state/full-before")(state_full)
    suite.case("state/no-inodes")(state_no_inodes)


def nothing_listens(bench):
    isp, _, customer = scripted(bench, {})
    isp.stop()
    expect(customer.run(), "unavailable", tls=None, auth=None, reply=None)


def unknown_host(bench):
    _, _, customer = scripted(bench, {})
    customer.isp["host"] = "no-such-host.invalid"
    expect(customer.run(), "unavailable", tls=None, auth=None, reply=None)


def silent(bench, step):
    """It falls silent at one step, and our patience is short."""
    isp, sink, customer = scripted(bench, {step: wire.silence()})
    customer.timeouts.update(IMPATIENT)
    result = customer.run(seconds=30)
    expect(result, "unavailable")
    equal(len(isp.pending()), 1, "left at the provider")
    equal(sink.accepted(), [], "delivered")


def silent_between(bench):
    """Between transactions closing does no harm: what came has come."""
    letters = [bench.maker.make(), bench.maker.make()]
    isp, sink, customer = scripted(bench, {"mail": [None, wire.silence()]}, letters)
    customer.timeouts["idle"] = "1s"
    expect(customer.run(seconds=30), "fetched", received=counts(letters))


def two_runs(bench):
    gate, isp, _, customer, running = held_run(bench)
    expect(customer.run(), "locked", tls=None, auth=None, reply=None, connections=0)
    equal(len(isp.sessions), 1, "connections to the provider")
    gate.set()
    equal(running.finish().status, 0, "exit status of the first run")


def free_after_kill(bench):
    gate, isp, _, customer, running = held_run(bench)
    running.kill()
    gate.set()
    isp.wait_idle()
    equal(customer.run().status, 0, "exit status")


def _set(table, key, value):
    return lambda customer: getattr(customer, table).update({key: value})


FAULTS = {
    "unknown-key": _set("isp", "colour", "red"),
    "unknown-top-level-key": _set("top", "colour", "red"),
    "unknown-table": _set("tables", "colours", {"red": 1}),
    "wrong-type": _set("isp", "port", "three"),
    "port-out-of-range": _set("isp", "port", 70000),
    "no-host": _set("isp", "host", None),
    "no-user": _set("isp", "user", None),
    "no-target": _set("deliver", "to", None),
    "unknown-target-scheme": _set("deliver", "to", "gopher://127.0.0.1"),
    "unknown-tls-word": _set("isp", "tls", "maybe"),
    "unknown-mechanism": _set("isp", "auth", ["ROT13"]),
    "bad-duration": _set("timeouts", "command", "soon"),
    "bad-pin": _set("isp", "pin", ["sha256:abc"]),
    "no-ca-file": lambda customer: customer.isp.update({"tls": "starttls", "ca_file": "/no/such/file.pem"}),
    "command-in-a-domain": _set("isp", "domains", ["customer.example\r\nMAIL FROM:<>"]),
    "domain-of-one-label": _set("isp", "domains", ["example"]),
    "no-domains": _set("isp", "domains", None),
    "two-passwords": _set("isp", "password", "x"),
    "secret-file-missing": _set("isp", "password_file", "/no/such/file"),
    "secret-file-readable-by-all": lambda customer: os.chmod(customer.secret, 0o644),
    "secret-file-writable-by-group": lambda customer: os.chmod(customer.secret, 0o660),
    "secret-file-of-somebody-else": lambda customer: os.chown(customer.secret, 65534, 65534),
    "empty-secret-file": lambda customer: write(customer.secret, "", 0o600),
    "syntax-error": lambda customer: setattr(customer, "raw", "[deliver\nto = \n"),
}


def faulty(bench, change):
    """Exit 78, one object with provider null, and nobody is spoken to."""
    isp, _, customer = scripted(bench, {})
    change(customer)
    result = customer.run()
    expect(result, "config", provider=None, tls=None, auth=None, reply=None, connections=0)
    check("odmr.toml" in result.stderr or ".secret" in result.stderr or "/no/such" in result.stderr,
          f"the fault's place is not named: {result.stderr!r}")
    equal(isp.sessions, [], "connections")


def open_configuration(bench):
    _, _, customer = scripted(bench, {})
    customer.isp.update({"password_file": None, "password": PASSWORD})
    os.chmod(customer.configuration(), 0o644)
    result = customer.plain("run", "--json", "--config", bench_config(customer))
    expect(result, "config", provider=None, connections=0)
    check(PASSWORD not in result.stdout + result.stderr, "the password is in the output")


def group_readable(bench):
    _, _, customer = scripted(bench, {}, [])
    os.chmod(customer.secret, 0o640)
    expect(customer.run(), "no-mail")


def no_file(bench):
    _, _, customer = scripted(bench, {})
    result = customer.plain("run", "--json", "--config", bench.path("no-such-file.toml"))
    expect(result, "config", provider=None, connections=0)


def every_fault(bench):
    """`odmr check`: all faults at once, each with file, line and key."""
    _, _, customer = scripted(bench, {})
    customer.isp.update({"colour": "red", "port": 70000, "tls": "maybe"})
    result = customer.run("check")
    equal(result.status, 78, "exit status")
    text = result.stdout + result.stderr
    for key in ("colour", "port", "tls"):
        line = next(number for number, line in enumerate(open(bench_config(customer), encoding="utf-8"), 1)
                    if line.startswith(key + " ") and number > 4)
        check(any("odmr.toml" in told and re.search(rf"\b{line}\b", told) and key in told
                  for told in text.splitlines()), f"no fault for {key} with line {line} in:\n{text}")


def good_file(bench):
    isp, _, customer = scripted(bench, {})
    equal(customer.run("check").status, 0, "exit status")
    equal(isp.sessions, [], "connections")


MISTAKES = {
    "no-command": [],
    "unknown-command": ["fetch"],
    "unknown-option": ["run", "--bogus"],
    "unknown-provider": ["run", "nobody"],
    "option-without-value": ["run", "--config"],
    "no-option-takes-a-secret": ["run", "--password", "x"],
}


def mistake(bench, arguments):
    isp, _, customer = scripted(bench, {})
    customer.configuration()
    given = ["--config", bench_config(customer)] if "nobody" in arguments else []
    result = customer.plain(*arguments, *given)
    equal(result.status, 64, "exit status")
    check(result.stderr.strip(), "nothing said")
    equal(isp.sessions, [], "connections")


def help_and_version(bench):
    _, _, customer = scripted(bench, {})
    for arguments in (["--help"], ["--version"], ["run", "--help"]):
        result = customer.plain(*arguments)
        equal((result.status, result.stderr), (0, ""), f"{arguments}: exit status and stderr")
        check(result.stdout.strip(), f"{arguments}: nothing said")


def state_is_a_file(bench):
    isp, _, customer = scripted(bench, {})
    write(customer.top["state_dir"], "")
    expect(customer.run(), "state", reply=None)
    equal(isp.atrn_count(), 0, "ATRN commands")


def mounted(bench, customer, options):
    """A file system of its own for the state directory."""
    folder = customer.top["state_dir"]
    os.makedirs(folder)
    return mounted_on(bench, folder, options)


def mounted_on(bench, folder, options):
    run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder])
    bench.stack.callback(run, ["umount", "-l", folder])
    return folder


def state_read_only(bench):
    isp, _, customer = scripted(bench, {})
    mounted(bench, customer, "ro")
    expect(customer.run(), "state", reply=None)
    equal(isp.atrn_count(), 0, "ATRN commands")


def nothing_lost(isp, sink, letters):
    """Each message is still at the provider or was delivered; none is in both or neither place."""
    isp.wait_idle()
    delivered = {letter.id for letter in letters for copy in sink.deliveries() if copy.data.endswith(letter.data)}
    equal(sorted(delivered ^ set(isp.pending())), sorted(letter.id for letter in letters), "delivered or kept")


def state_full(bench):
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, {}, letters)
    folder = mounted(bench, customer, "size=1m")
    fill(folder)
    expect(customer.run(), "state")
    nothing_lost(isp, sink, letters)


def fill(folder):
    """Takes every byte that is left."""
    try:
        with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        pass


def state_no_inodes(bench):
    letters = [bench.maker.make()]
    isp, sink, customer = scripted(bench, {}, letters)
    mounted(bench, customer, "nr_inodes=1")
    expect(customer.run(), "state")
    nothing_lost(isp, sink, letters)
