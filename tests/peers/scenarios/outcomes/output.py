"""What is printed, and what never is."""

import os
import re
import subprocess

from harness import sasl, wire
from harness.programs import binary
from harness.provider import PASSWORD, USER
from harness.runner import check, equal

from .expect import held_run, scripted


def register(suite):
    suite.case("output/quiet-when-all-is-well")(quiet)
    suite.case("output/quiet-when-there-is-no-mail")(quiet_no_mail)
    suite.case("output/one-line-of-json-only")(json_only)
    for mechanism in ("CRAM-MD5", "PLAIN", "LOGIN", "SCRAM-SHA-256"):
        suite.case(f"output/no-secret-with-vvv/{mechanism}", mechanism)(no_secret)
    suite.case("output/no-secret-in-proc")(no_secret_in_proc)
    suite.case("output/no-message-text-with-vvv")(no_message_text)
    suite.case("output/control-characters-of-the-provider")(control_characters)
    for command in ("status", "journal", "probe", "check", "run"):
        suite.case(f"output/nowhere-to-write/{command}", command)(nowhere_to_write)
    suite.case("output/reader-who-left")(reader_who_left)


def quiet(bench):
    _, _, customer = scripted(bench, {}, tls="starttls", certificate=bench.authority.good())
    result = customer.verify_with(bench.authority).run("run", "-q")
    equal((result.status, result.stdout, result.stderr), (0, "", ""), "status, stdout, stderr")


def quiet_no_mail(bench):
    _, _, customer = scripted(bench, {}, [], tls="starttls", certificate=bench.authority.good())
    result = customer.verify_with(bench.authority).run("run", "-q")
    equal((result.status, result.stdout, result.stderr), (0, "", ""), "status, stdout, stderr")


def json_only(bench):
    _, _, customer = scripted(bench, {})
    result = customer.run()
    equal(result.stdout.count("\n"), 1, "lines on stdout")
    check(result.stdout.startswith("{") and result.stdout.endswith("}\n"), f"stdout {result.stdout!r}")


def traces_of_the_secret():
    """The password itself and the forms in which mechanisms send it."""
    secret, user = PASSWORD.encode(), USER.encode()
    return [secret, sasl.b64(secret), sasl.b64(b"\0" + user + b"\0" + secret), secret.hex().encode()]


def no_secret(bench, mechanism):
    """Nor what CRAM-MD5 sent: its digest is as good as a password to whoever guesses offline."""
    isp, _, customer = scripted(bench, {}, tls="starttls", certificate=bench.authority.good(), mechanisms=(mechanism,))
    result = customer.verify_with(bench.authority).run("run", "-vvv")
    equal(result.status, 0, "exit status")
    isp.wait_idle()
    answers = [data for session in isp.sessions for data in after_334(session.line.transcript)]
    check(result.stderr.strip(), "-vvv says nothing")
    for trace in traces_of_the_secret() + [answer for answer in answers if len(answer) > 8]:
        check(trace.decode() not in result.stdout + result.stderr, f"{trace!r} is in the output")


def after_334(transcript):
    """The customer's answers to challenges, and initial responses."""
    found = []
    for (way, data), (next_way, answer) in zip(transcript, transcript[1:]):
        if way == ">" and data.startswith(b"334") and next_way == "<":
            found.append(answer)
    return found + [data.split()[2] for way, data in transcript
                    if way == "<" and data.startswith(b"AUTH ") and len(data.split()) > 2]


COMMANDS = {"status": ["status", "--json"], "run": ["run", "--json"]}


def into(customer, command, stdout):
    return subprocess.run([binary("odmr"), *COMMANDS.get(command, [command]), "--config", customer.configuration()],
                          env=customer.environment(), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                          text=True, timeout=60, check=False)


def nowhere_to_write(bench, command):
    """A run's exit status tells of mail; what else has only its output to give has failed."""
    _, _, customer = scripted(bench, {})
    with open("/dev/full", "wb", buffering=0) as full:
        result = into(customer, command, full)
    equal(result.returncode, 0 if command == "run" else 74, "exit status")
    check(command == "run" or "standard output cannot be written" in result.stderr, f"stderr {result.stderr!r}")


def reader_who_left(bench):
    _, _, customer = scripted(bench, {})
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = into(customer, "status", writing)
    finally:
        os.close(writing)
    equal((result.returncode, result.stderr), (0, ""), "exit status, stderr")


def no_secret_in_proc(bench):
    gate, _, _, _, running = held_run(bench, "atrn")
    for process in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{process}/{name}", "rb") as file:
                    text = file.read()
            except OSError:
                continue
            check(not any(trace in text for trace in traces_of_the_secret()), f"secret in /proc/{process}/{name}")
    gate.set()
    equal(running.finish().status, 0, "exit status")


def no_message_text(bench):
    letter = bench.maker.make(b"the quick brown fox of this very test\r\n")
    _, _, customer = scripted(bench, {}, [letter])
    result = customer.run("run", "-vvv")
    equal(result.status, 0, "exit status")
    check("quick brown fox" not in result.stdout + result.stderr, "the message's text is in the log")


def control_characters(bench):
    """What a provider says cannot forge log lines or steer a terminal."""
    reply = b"550 5.7.1 no \x1b[2J\x07\rerror: forged \xff"
    _, _, customer = scripted(bench, {"atrn": wire.say(reply)})
    result = customer.run("run", "--json", "-v")
    equal((result.status, result.session()["outcome"]), (77, "refused"), "exit status and outcome")
    check(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", result.stdout + result.stderr), "control characters in the output")
    check(not any(line.startswith("error: forged") for line in result.stderr.splitlines()), "a forged log line")
