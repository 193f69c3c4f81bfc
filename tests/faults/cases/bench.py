"""The bench itself: does it strike where it says, and does it see what is wrong?"""

import errno
import os
import subprocess

from faultbench import stored
from faultbench.acknowledged import cut_after_each
from faultbench.answered import cut_at_each_answer, forget_at_each_answer
from faultbench.disk import KINDS, Disk
from faultbench.fetch import Fetch, FetchMaildir
from faultbench.provider import Expired, Index, Push, Refused, Relay, Upload
from faultbench.scenes import Enqueue, Flush, Sendmail
from faultbench.tracer import Call, Fail, Kill, Point, Run, Tracer
from faultbench.window import FetchWindows, RelayWindows, Windows
from harness.programs import binary
from harness.runner import check, equal

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def register(suite):
    suite.case("bench/strace-agrees")(strace_agrees)
    suite.case("bench/strikes-before-the-call")(strikes_before)
    suite.case("bench/reaches-every-thread")(reaches_threads)
    for harm in HARM:
        suite.case(f"bench/notices-{harm}", harm)(notices)
    for name in HARM_BESIDE:
        suite.case(f"bench/notices-{name}", name)(notices_beside)
    suite.case("bench/window")(window)
    suite.case("bench/window-of-a-relay")(relay_window)
    for kind in ("files", "directories", "both"):
        suite.case(f"bench/missing-fsync/enqueue/{kind}", Enqueue, kind)(missing_fsync)
        suite.case(f"bench/missing-fsync/sendmail/{kind}", Sendmail, kind)(missing_fsync)
    suite.case("bench/missing-fsync/flush", Flush)(unsettled)
    suite.case("bench/missing-fsync/fetch", Fetch)(unsettled)
    suite.case("bench/missing-fsync/journal", Fetch, "files", "came 2 times")(missing_at_answer)
    suite.case("bench/missing-fsync/maildir", FetchMaildir, "files", "lost: ")(missing_at_answer)
    suite.case("bench/forgotten-journal")(forgotten)
    suite.case("bench/window-of-a-fetch")(fetch_window)


def strace_agrees(bench):
    """The same calls, in the same order, as somebody else's tracer sees them."""
    command = [binary("odmrd"), "--help"]
    ours = [call.name for call in Tracer().run(command, bench.path("run"), ENV).calls]
    log = bench.path("strace")
    with open(bench.path("output"), "wb") as output:
        subprocess.run(["strace", "-o", log, *command], env=ENV, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                       check=True)
    with open(log, encoding="utf-8", errors="replace") as file:
        theirs = [line.split("(")[0] for line in file if not line.startswith("+++")]
    # Ours begins behind execve. How memory is asked for depends on where the kernel put things.
    equal(*([name for name in names if name not in ("execve", "brk", "mmap", "munmap")] for names in (ours, theirs)),
          "calls in their order")


def strikes_before(bench):
    """A call that was killed, or let fail, was not made; the next one was."""
    command = ["/bin/mkdir", bench.path("one"), bench.path("two")]
    second = Point(0, "mkdir", 2)
    run = Tracer(Kill(lambda call: call.point == second)).run(command, bench.path("run"), ENV)
    equal((run.result.status, run.struck.paths), (-9, (bench.path("two"),)), "how it was killed")
    equal([os.path.exists(path) for path in command[1:]], [True, False], "what it had made")
    os.rmdir(bench.path("one"))
    first = Point(0, "mkdir", 1)
    run = Tracer(Fail(lambda call: call.point == first, 28)).run(command, bench.path("run"), ENV)
    equal([os.path.exists(path) for path in command[1:]], [False, True], "what was made in spite of the error")
    check("No space left on device" in run.result.stderr, f"the program did not hear of it: {run.result.stderr}")


THREADS = """
#include <pthread.h>
#include <unistd.h>
static void* second(void* unused) {
  for (int i = 0; i < 3; ++i) write(1, "2", 1);
  return unused;
}
int main(void) {
  pthread_t thread;
  for (int i = 0; i < 5; ++i) write(1, "1", 1);
  pthread_create(&thread, 0, second, 0);
  pthread_join(thread, 0);
  return 0;
}
"""


def reaches_threads(bench):
    """The second thread's second write, although the first has long made more of them."""
    program = bench.path("threads")
    subprocess.run(["gcc", "-x", "c", "-pthread", "-o", program, "-"], input=THREADS.encode(), check=True)
    run = Tracer(Kill(lambda call: call.point == Point(1, "write", 2))).run([program], bench.path("run"), ENV)
    equal((run.result.status, run.result.stdout), (-9, "111112"), "how it ended")


def _held_file(scene):
    store = scene.stores()[0][0]
    return os.path.join(store, "held", next(iter(stored.held(store))))


def _lose(path):
    os.unlink(path)


def _double(path):
    with open(path, "rb") as source, open(path[:-1] + ("0" if path[-1] != "0" else "1"), "wb") as copy:
        copy.write(source.read())


def _cut_short(path):
    os.truncate(path, os.path.getsize(path) - 1)


def _change(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(b"?")


def _leave_behind(path):
    with open(os.path.join(os.path.dirname(path), "draft"), "wb"):
        pass


HARM = {"a-lost-message": (_lose, "lost: "), "a-doubled-message": (_double, "came 2 times"),
        "a-cut-message": (_cut_short, "is no whole message"), "a-changed-byte": (_change, "is no whole message"),
        "a-stray-file": (_leave_behind, "draft in held/")}


def notices(bench, harm):
    """What is done to the spool behind the program's back is found, each by the words that are meant for it."""
    do, words = HARM[harm]
    scene = Enqueue(bench, bench.path("root"))
    scene.reset()
    run = Tracer().run(*scene.command())
    do(_held_file(scene))
    problems = scene.judge(run)
    check(any(words in problem for problem in problems), f"not found: {words!r} in {problems}")


def _lose_last(sink):
    sink.transactions.remove([one for one in sink.transactions if one.data][-1])


def _double_first(sink):
    sink.transactions.append(next(one for one in sink.transactions if one.data))


def _halve_list(scene):
    folder = os.path.join(scene.spool, "recipients")
    path = os.path.join(folder, os.listdir(folder)[0])
    os.truncate(path, os.path.getsize(path) // 2)


HARM_BESIDE = {
    "a-lost-relay": (Relay, lambda scene: _lose_last(scene.host), "lost: "),
    "a-doubled-relay": (Relay, lambda scene: _double_first(scene.host), "came 2 times"),
    "a-relay-that-is-stored": (Relay, lambda scene: _leave_behind(os.path.join(scene.spool, "tmp", "x")), "is stored"),
    "a-lost-push": (Push, lambda scene: _lose_last(scene.sink), "lost: "),
    "an-author-not-told-of-a-refusal": (Refused, lambda scene: _lose_last(scene.host), "nobody was told"),
    "an-author-told-twice-of-mail-too-old": (Expired, lambda scene: _double_first(scene.host), "came 2 times"),
    "half-a-list": (Upload, _halve_list, "the list is that of"),
    "the-list-of-before": (Upload, lambda scene: scene.bring_back(), "the list is that of before after the reply 250"),
    "a-message-lost-beside-an-index": (Index, lambda scene: _lose(_held_file(scene)), "lost: "),
}


def notices_beside(bench, harm):
    """The same of what odmrd does beside: in its spool, or in what others have of it."""
    kind, do, words = HARM_BESIDE[harm]
    scene = kind(bench, bench.path("root"))
    scene.reset()
    tracer = Tracer()
    with scene.meanwhile(tracer):
        run = tracer.run(*scene.command())
    do(scene)
    problems = scene.judge(run)
    check(any(words in problem for problem in problems), f"not found: {words!r} in {problems}")


def window(bench):
    """A message is settled when its removal has been synced, not before, and not by an fsync of something else."""
    id_, letter = "0" * 17, "0001-0123456789abcdef"
    held = "/spool/held"
    text = f"Message-ID: <{letter}@ledger.example>\r\n\r\n.\r\n".encode()
    script = [("sendto", ("socket:[1]",), text), ("fsync", (held,), b""), ("unlinkat", (f"{held}/{id_}",), b""),
              ("fsync", ("/spool/tmp",), b""), ("fsync", (held,), b"")]
    calls = [Call(0, name, 1, (0, 0, 0, 0), 2 * number + 1, paths, False, data, 2 * number + 2, len(data))
             for number, (name, paths, data) in enumerate(script)]
    for count in range(len(calls) + 1):
        seen = Windows(Run(None, calls[:count]), "/spool", {id_: letter})
        equal(seen.letters_open(), {letter} if 0 < count < len(calls) else set(), f"open after {count} calls")
    made = Call(0, "openat", 1, (0, 0, 0o101), 3, (f"{held}/{id_}.done",), False, b"", 4, 3)
    seen = Windows(Run(None, [calls[0], made, calls[4]]), "/spool", {id_: letter})
    equal(seen.letters_open(), {letter}, "open while the note is an empty file")
    again = Call(0, "sendto", 2, (0, 0, 0, 0), 5, ("socket:[1]",), False, text, 6, len(text))
    equal(len(Windows(Run(None, [calls[0], again]), "/spool", {id_: letter}).problems()), 1, "two dots without a note")


def without_fsync(bench, kind):
    """What the environment needs for it."""
    library = bench.path("without_fsync.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, "without_fsync.c")], check=True)
    return {"LD_PRELOAD": library, "WITHOUT_FSYNC": kind}


def missing_fsync(bench, scene, kind):
    """A program that leaves out fsync loses acknowledged mail, and it is seen."""
    env = without_fsync(bench, kind)
    with Disk(bench.folder) as disk:
        problems = cut_after_each(scene(bench, disk.root), disk, list(KINDS), 2 * len(KINDS), **env)
    check(any(problem.startswith("lost: ") for problem in problems), f"no loss was found: {problems}")


def missing_at_answer(bench, scene, kind, words):
    """A fetch that leaves it out has nothing on disk when it answers: mail is lost, or comes twice."""
    with Disk(bench.folder) as disk:
        problems = cut_at_each_answer(scene(bench, disk.root), disk, list(KINDS), 2 * len(KINDS),
                                      is_read=scene is FetchMaildir, **without_fsync(bench, kind))
    check(any(words in problem for problem in problems), f"not found: {words!r} in {problems}")


def forgotten(bench):
    """A program that has no journal delivers twice what the provider had not read the answer for."""
    problems = forget_at_each_answer(Fetch(bench, bench.path("root")), 2)
    equal(sum("came 2 times" in problem for problem in problems), 2, f"doubles found in {problems}")


def relay_window(bench):
    """It is open from the dot to the smart host until a 250 has gone to somebody else."""
    letter = "0001-0123456789abcdef"
    text = f"Message-ID: <{letter}@ledger.example>\r\n\r\n.\r\n".encode()
    script = [("socket:[2]", b"354 go ahead\r\n", 14), ("socket:[1]", text, len(text)),
              ("socket:[2]", b"250 2.0.0 passed on\r\n", -errno.EAGAIN),
              ("socket:[2]", b"250 2.0.0 passed on\r\n", 21)]
    calls = [Call(0, "sendto", number + 1, (0, 0, 0, 0), 2 * number + 1, (line,), False, data, 2 * number + 2, done)
             for number, (line, data, done) in enumerate(script)]
    for count in range(len(calls) + 1):
        equal(RelayWindows(Run(None, calls[:count]), "/spool", {}).letters_open(),
              {letter} if 1 < count < len(calls) else set(), f"open after {count} calls")
    calls[3].data = b"451 4.4.0 no answer\r\n"
    equal(RelayWindows(Run(None, calls), "/spool", {}).letters_open(), {letter}, "open after a 451")


def fetch_window(bench):
    """It is open from the dot to the sync of the journal's log that began behind the note."""
    letter, log = "0001-0123456789abcdef", "/state/journal.db-wal"
    text = f"Message-ID: <{letter}@ledger.example>\r\n\r\n.\r\n".encode()
    script = [("pwrite64", (log,), b""), ("sendmsg", ("socket:[1]",), text), ("fdatasync", (log,), b""),
              ("pwrite64", (log,), b""), ("fdatasync", ("/state/journal.db",), b""), ("fdatasync", (log,), b"")]
    calls = [Call(0, name, 1, (0, 0, 0, 0), 2 * number + 1, paths, False, data, 2 * number + 2, len(data))
             for number, (name, paths, data) in enumerate(script)]
    for count in range(len(calls) + 1):
        seen = FetchWindows(Run(None, calls[:count]), "/state", log)
        equal(seen.letters_open(), {letter} if 1 < count < len(calls) else set(), f"open after {count} calls")
    for connection, error, is_open in (("socket:[1]", -errno.EIO, True), ("socket:[1]", -errno.EAGAIN, False),
                                       ("socket:[1]", 5, False), ("socket:[2]", -errno.EIO, False)):
        answer = Call(0, "recvfrom", 2, (0, 0, 0, 0), 4, (connection,), False, b"", 4, error)
        seen = FetchWindows(Run(None, calls[:2] + [answer] + calls[2:]), "/state", log)
        equal(seen.letters_open(), {letter} if is_open else set(), f"open where {connection} gave {error}")


def unsettled(bench, scene):
    """A run that leaves out fsync would be forgiven every double; so that without a fault does not pass."""
    scene = scene(bench, bench.path("root"))
    scene.reset()
    problems = scene.judge(Tracer().run(*scene.command(**without_fsync(bench, "both"))), complete=True)
    check(any("not one that was settled" in problem for problem in problems), f"not found: {problems}")
    check(any("before the answer to" in problem for problem in problems), f"order of dots not found: {problems}")
