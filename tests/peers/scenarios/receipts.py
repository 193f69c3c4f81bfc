"""What a run leaves in the journal, and the commands that show it: odmr status, odmr journal."""

import contextlib
import os
import signal
import sqlite3
import threading

from harness import wait, wire
from harness.runner import check, equal
from harness.target import write


def register(suite):
    suite.case("receipts/of-a-session")(of_a_session)
    suite.case("receipts/while-a-run-works")(while_a_run_works)
    suite.case("receipts/of-a-run-that-was-killed")(killed)
    suite.case("receipts/no-journal-yet")(no_journal)
    suite.case("receipts/damaged")(damaged)
    suite.case("receipts/no-file")(no_file)
    suite.case("receipts/of-a-newer-version")(of_a_newer_version)
    suite.case("receipts/max-age")(max_age)
    suite.case("receipts/metrics")(metrics)
    suite.case("journal/clean-quit-leaves-nothing")(clean_quit)
    suite.case("journal/line-cut-after-the-dot")(line_cut)


def status(customer, *arguments):
    return customer.run("status", *arguments)


def entries(customer):
    listed = customer.run("journal", "list", "--json")
    equal(listed.status, 0, "exit status of journal list")
    return listed.objects


def cut_once_answered(sink):
    """The provider hears the answer, and is gone before it can act on it: to us that is a line cut in between."""
    def action(conversation, _normal):
        sink.deliveries(1)
        check(conversation.line.read_line().startswith(b"250"), "the message was not taken")
        raise wire.Cut("cut by the script")
    return action


def of_a_session(bench):
    sink = bench.sink()
    good = bench.maker.make(recipients=["anna@customer.example", "bert@second.example"])
    foreign = bench.maker.make(recipients=["eve@elsewhere.example"])
    isp = bench.provider([good, foreign])
    customer = bench.customer(sink, isp)
    session = customer.run().session()["session"]
    shown = status(customer, "--json", "--session", session[:6])
    equal(shown.status, 0, "exit status")
    equal(len(shown.objects), 1, "objects")
    receipt = shown.objects[0]
    for key, value in {"session": session, "provider": "isp", "outcome": "fetched", "exit": 0, "text": None}.items():
        equal(receipt[key], value, key)
    equal(receipt["received"]["messages"], 1, "messages")
    equal(receipt["received"]["rejected"], 1, "rejected")
    first, follow_up = receipt["connections"]
    equal(first["address"], f"127.0.0.1:{isp.port}", "address")
    equal((first["auth"], first["tls"], first["verified"]), ("CRAM-MD5", None, None), "channel")
    check(first["greeting"].startswith("220"), f"greeting {first['greeting']}")
    check(first["reply"].startswith("250"), f"reply to ATRN {first['reply']}")
    equal(first["how"], "QUIT", "end of the connection")
    check(follow_up["reply"].startswith("453"), f"reply to the second ATRN {follow_up['reply']}")
    taken, refused = first["messages"]
    equal((taken["fate"], taken["from"], taken["id"]), ("received", good.reverse_path, session + "-1.1"), "message")
    equal(taken["bytes"], len(good.data), "size")
    equal([(one["address"], one["by"], one["reply"][:3]) for one in taken["recipients"]],
          [("anna@customer.example", "target", "250"), ("bert@second.example", "target", "250")], "recipients")
    equal((refused["fate"], refused["recipients"][0]["by"]), ("refused", "odmr"), "what we refused")
    words = status(customer, "--session", taken["id"]).stdout
    for part in (session, "QUIT", taken["digest"], "anna@customer.example: 250", "refused by us: 550 5.7.1"):
        check(part in words, f"{part!r} is not in\n{words}")
    equal(status(customer, "--session", "nothing").status, 66, "exit status for an unknown session")


def while_a_run_works(bench):
    """Both commands read; only forget has to wait for the run."""
    sink = bench.sink()
    reached, gate = threading.Event(), threading.Event()

    def hold(conversation, normal):
        reached.set()
        return wire.gate(gate)(conversation, normal)
    isp = bench.provider([bench.maker.make()], script={"mail": [hold]})
    customer = bench.customer(sink, isp)
    running = customer.start()
    bench.stack.callback(running.kill)
    check(reached.wait(30), f"no message:\n{running.output(1)}")
    shown = status(customer, "--json").objects[0]
    equal((shown["provider"], shown["outcome"], shown["ended"]), ("isp", None, None), "session under way")
    check("not ended" in status(customer).stdout, "the words do not say that it has not ended")
    equal(customer.run("journal").status, 0, "exit status of journal")
    refused = customer.run("journal", "forget", "--all")
    equal(refused.status, 75, "exit status of forget")
    check("another run" in refused.stderr, f"stderr {refused.stderr!r}")
    gate.set()
    equal(running.finish().status, 0, "exit status of the run")


def killed(bench):
    sink = bench.sink()
    reached, gate = threading.Event(), threading.Event()

    def hold(conversation, normal):
        reached.set()
        return wire.gate(gate)(conversation, normal)
    isp = bench.provider([bench.maker.make(), bench.maker.make()], script={"mail": [None, hold]})
    customer = bench.customer(sink, isp)
    running = customer.start()
    bench.stack.callback(running.kill)
    check(reached.wait(30), f"no second message:\n{running.output(1)}")
    running.signal(signal.SIGKILL)
    running.finish()
    gate.set()
    isp.wait_idle()
    cut_off = status(customer, "--json").objects[0]
    equal((cut_off["outcome"], cut_off["ended"]), (None, None), "session that was killed")
    equal(customer.run().status, 0, "exit status of the next run")
    shown = status(customer, "--json", "--session", cut_off["session"]).objects[0]
    equal(shown["connections"][0]["ended"], None, "end of its connection")
    equal(status(customer, "--json").objects[0]["outcome"], "fetched", "last session")


def no_journal(bench):
    customer = bench.customer(bench.sink(), bench.provider())
    equal(status(customer).status, 0, "exit status of status")
    check("isp: no session yet" in status(customer).stdout, "status does not say it")
    equal(status(customer, "--session", "12").status, 66, "exit status for a session")
    equal(status(customer, "-q", "--max-age", "2h").status, 75, "exit status with --max-age")
    equal(customer.run("journal").status, 0, "exit status of journal")
    equal(customer.run("journal", "forget", "--all").status, 66, "exit status of forget")
    equal(os.path.exists(customer.top["state_dir"]), False, "a state directory was made")


def damaged(bench):
    sink = bench.sink()
    isp = bench.provider([bench.maker.make()])
    customer = bench.customer(sink, isp)
    customer.run()
    path = os.path.join(customer.top["state_dir"], "journal.db")
    for name in (path, path + "-wal", path + "-shm"):
        if os.path.exists(name):
            os.unlink(name)
    with open(path, "wb") as file:
        file.write(b"damage" * 2000)
    for command in (("status",), ("journal",), ("journal", "forget", "--all")):
        result = customer.run(*command)
        equal(result.status, 73, f"exit status of {command}")
        check("damaged" in result.stderr and "next run" in result.stderr, f"stderr {result.stderr!r}")
    report = write(bench.path("odmr.prom"), "of better days\n")
    equal(status(customer, "-q", "--metrics", report).status, 73, "exit status with metrics")
    with open(report, encoding="utf-8") as file:
        text = file.read()
    for line in ('odmr_last_good_session_timestamp_seconds{provider="isp"} 0', "odmr_troubles 1"):
        check(line in text.splitlines(), f"{line!r} is not in\n{text}")


def no_file(bench):
    """A FIFO, a folder or a link in the journal's place: each command says so, at once, and leaves it there."""
    customer = bench.customer(bench.sink(), bench.provider())
    customer.run()
    path = os.path.join(customer.top["state_dir"], "journal.db")
    for name in (path, path + "-wal", path + "-shm"):
        if os.path.exists(name):
            os.rename(name, name + ".old")
    for make, words in ((os.mkfifo, "no regular file"), (os.mkdir, "no regular file"),
                        (lambda name: os.symlink("/nonexistent/journal.db", name), "a symbolic link"),
                        (lambda name: os.symlink(path + ".old", name), "a symbolic link")):
        make(path)
        kind = os.lstat(path).st_mode
        for command in ("status", "journal", "run", "probe"):
            result = customer.run(command)
            equal(result.status, 73, f"exit status of {command}")
            check(f"{path}: it is {words}" in result.stdout + result.stderr, f"{command}: {result.stdout}{result.stderr}")
        equal(os.lstat(path).st_mode, kind, "what is there")
        (os.rmdir if os.path.isdir(path) else os.unlink)(path)


def of_a_newer_version(bench):
    """The remedy is that version, and nothing about the directory."""
    customer = bench.customer(bench.sink(), bench.provider())
    customer.run()
    with contextlib.closing(sqlite3.connect(os.path.join(customer.top["state_dir"], "journal.db"))) as journal:
        journal.execute("PRAGMA user_version = 99")
    for command in ("status", "run", "probe"):
        result = customer.run(command)
        equal(result.status, 73, f"exit status of {command}")
        check("a newer version of this program has made it" in result.stdout + result.stderr and
              "install the version of odmr that was here last" in result.stdout + result.stderr,
              f"{command}: {result.stdout}{result.stderr}")


def max_age(bench):
    sink = bench.sink()
    isp = bench.provider()
    customer = bench.customer(sink, isp)
    customer.run()
    result = status(customer, "-q", "--max-age", "2h")
    equal((result.status, result.stdout, result.stderr), (0, "", ""), "after a good session")
    wait.until(lambda: status(customer, "-q", "--max-age", "500ms").status == 75, 20, "the session grows old")
    equal(status(customer, "--max-age", "soon").status, 64, "exit status for no duration")


def metrics(bench):
    """A report takes the place of a report, and of nothing else that stands there."""
    customer = bench.customer(bench.sink(), bench.provider())
    customer.run()
    path = bench.path("odmr.prom")
    equal(status(customer, "-q", "--metrics", path).status, 0, "exit status")
    with open(path, encoding="utf-8") as file:
        check("odmr_build_info" in file.read(), "no metrics")
    for name in ("fifo", "link"):
        other = bench.path(name)
        (os.mkfifo(other) if name == "fifo" else os.symlink(path, other))
        kind = os.lstat(other).st_mode
        refused = status(customer, "-q", "--metrics", other)
        equal(refused.status, 73, f"exit status for a {name}")
        check(f"--metrics: {other} is " in refused.stderr, f"stderr {refused.stderr!r}")
        equal(os.lstat(other).st_mode, kind, f"what was a {name}")
    for option in ("--metrics", "--max-age", "--session"):
        equal(status(customer, option, "").status, 64, f"exit status for {option} with nothing")
    check("odmr_build_info" in status(customer, "--metrics", "-").stdout, "not on standard output")


def clean_quit(bench):
    sink = bench.sink()
    isp = bench.provider([bench.maker.make(), bench.maker.make()])
    customer = bench.customer(sink, isp)
    equal(customer.run().status, 0, "exit status")
    equal(entries(customer), [], "entries")
    check("no message is in doubt" in customer.run("journal").stdout, "the words")


def line_cut(bench):
    sink = bench.sink()
    letter = bench.maker.make(recipients=["anna@customer.example", "bert@second.example"])
    isp = bench.provider([letter], script={"dot-reply": [cut_once_answered(sink)]})
    customer = bench.customer(sink, isp)
    customer.isp["max_sessions"] = 1  # asking again would settle it
    session = customer.run().session()["session"]
    isp.wait_idle()
    found = entries(customer)
    keys = ("provider", "from", "recipient", "bytes", "answer", "fate")
    equal([tuple(one[key] for key in keys) for one in found],
          [("isp", letter.reverse_path, who, len(letter.data), "250", "delivered") for who in letter.recipients],
          "entries")
    line = status(customer, "--json", "--session", session).objects[0]["connections"][0]
    equal(line["messages"][0]["digest"], found[0]["digest"], "digest")
    check(line["how"] != "QUIT", f"the connection ended by {line['how']}")
    shown = customer.run("journal", "show", str(found[0]["id"]), "999")
    equal(shown.status, 66, "exit status of show")
    check(letter.recipients[0] in shown.stdout, f"stdout {shown.stdout!r}")
    equal(customer.run("journal", "forget").status, 64, "exit status of forget alone")
    equal(customer.run("journal", "forget", "--json", str(found[0]["id"])).objects,
          [{"done": "forgotten", "entries": 1}], "forget")
    equal([one["id"] for one in entries(customer)], [found[1]["id"]], "left")
    check("forgot 1 entry" in customer.run("journal", "forget", "--provider", "isp").stdout, "forget a provider")
    equal(entries(customer), [], "left")
