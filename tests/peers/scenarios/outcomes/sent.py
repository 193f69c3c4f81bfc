"""What the flush cases share: messages on their way out, and the check of the flush's JSON object."""

import email
import email.policy
import re

from harness.runner import check, equal

from .expect import EXIT

FLUSH_EXIT = {**EXIT, "sent": 0}
SENT_KEYS = {"session", "provider", "outcome", "exit", "started", "seconds", "sent"}
MORE_KEYS = {"text", "cause", "remedy", "tls", "auth", "reply", "connections"}  # what a session's object has too
SENT_COUNTS = ("messages", "recipients", "bytes", "deferred", "bounced")
FRIEND = "friend@elsewhere.example"
AUTHOR = "anna@customer.example"


def letter_out(bench, recipients=(FRIEND,), **options):
    """A message from one of ours to somebody far away."""
    options.setdefault("reverse_path", AUTHOR)
    return bench.maker.make(recipients=list(recipients), **options)


def mailbag(bench):
    """One of each kind, from ours to somebody far away."""
    letters = bench.maker.mixture()
    for letter in letters:
        letter.recipients[:] = [FRIEND]
    return letters


def waiting(bench, script=None, count=1, host=None, **table):
    """odmr with messages in its outbound queue and a scripted smart host: (letters, host, customer). The local target
    is `customer.local`."""
    host = host or bench.host(script=script)
    local = bench.sink()
    customer = bench.customer(local, bench.provider()).send_through(host, host.tls, **table)
    customer.local = local
    letters = [letter_out(bench) for _ in range(count)]
    customer.submit(*letters)
    return letters, host, customer


def expect_flush(result, outcome, *, status=None, tally=None, exact=False, **counted):
    """The exit status, and the object with "provider":null to the letter; the counts of `sent` are 0 but for
    `counted`, or all those of `tally`. None for a count: whatever it says (whether a message that was never tried
    counts as put off is not laid down). Unless `exact`, bytes may be more by what odmr put above each message."""
    equal(result.status, FLUSH_EXIT[outcome] if status is None else status, "exit status")
    flush = result.session(None)
    equal(SENT_KEYS - set(flush), set(), "keys missing in the JSON object")
    equal(set(flush) - SENT_KEYS - MORE_KEYS, set(), "strange keys in the JSON object")
    equal((flush["outcome"], flush["exit"]), (outcome, FLUSH_EXIT[outcome]), "outcome and exit in JSON")
    check(isinstance(flush["session"], str) and flush["session"], f"session {flush['session']!r}")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", flush["started"]), f"started {flush['started']!r}")
    check(isinstance(flush["seconds"], (int, float)) and 0 <= flush["seconds"] <= result.seconds + 1,
          f"seconds {flush['seconds']!r}")
    wanted = tally or {**dict.fromkeys(SENT_COUNTS, 0), **counted}
    equal(set(flush["sent"]), set(SENT_COUNTS), "keys of sent")
    if wanted["bytes"] and not exact:
        more = flush["sent"]["bytes"] - wanted["bytes"]
        check(0 <= more <= 400 * wanted["messages"], f"{more} bytes more than handed in")
        wanted = {**wanted, "bytes": None}
    equal({name: flush["sent"][name] for name in SENT_COUNTS if wanted[name] is not None},
          {name: count for name, count in wanted.items() if count is not None}, "sent")
    return flush


def all_sent(letters, **more):
    """The numbers of messages that were all sent."""
    return {**dict.fromkeys(SENT_COUNTS, 0), "messages": len(letters),
            "recipients": sum(len(letter.recipients) for letter in letters),
            "bytes": sum(len(letter.data) for letter in letters), **more}


def nothing_to_send(result):
    """No object for a flush, and no complaint."""
    equal((result.status, [one for one in result.objects if one["provider"] is None]), (0, []), "status and objects")


def still_queued(customer, letters):
    """Each message is in the queue, waiting, and for all of its recipients."""
    entries = customer.queue()
    equal(sorted(r["address"] for entry in entries for r in entry["recipients"]),
          sorted(r for letter in letters for r in letter.recipients), "recipients in the queue")
    equal({r["standing"] for entry in entries for r in entry["recipients"]} or {"waiting"}, {"waiting"}, "standing")
    return entries


# RFC 3464, and RFC 6533 where the addresses are not ASCII.
NOTICE_PARTS = {
    "message/delivery-status": ("text/rfc822-headers", "message/rfc822"),
    "message/global-delivery-status": ("message/global-headers", "message/global"),
}


def per_recipient(status):
    """The groups of fields of a delivery status; Python knows RFC 3464's alone."""
    if status.get_content_type() == "message/delivery-status":
        return status.get_payload()
    text = status.as_bytes().decode("utf-8").replace("\r\n", "\n").partition("\n\n")[2]
    groups = text.strip().split("\n\n")
    return [email.message_from_string(group + "\n", policy=email.policy.default) for group in groups]


def bounce(copy, about=None, recipients=(), action="failed", status="5"):
    """Takes a notice apart as Python's email package does, and checks it against RFC 3464 and 3834. `status` is how
    each recipient's status code begins."""
    equal(copy.reverse_path, "", "reverse-path of the notice")
    notice = email.message_from_bytes(copy.data, policy=email.policy.default)
    equal([part.defects for part in notice.walk() if part.defects], [], "defects")
    equal(notice["Auto-Submitted"], "auto-replied", "Auto-Submitted")
    for name in ("From", "To", "Date", "Message-ID", "Subject"):
        equal(len(notice.get_all(name, [])), 1, f"fields {name}")
    equal((notice.get_content_type(), notice.get_param("report-type")), ("multipart/report", "delivery-status"), "type")
    parts = list(notice.iter_parts())
    types = [part.get_content_type() for part in parts]
    check(types in [["text/plain", status, original] for status, originals in NOTICE_PARTS.items()
                    for original in originals], f"parts {types}")
    _, *groups = per_recipient(parts[1])
    equal([group["Action"] for group in groups], [action] * len(groups), "Action")
    check(all(re.fullmatch(r"[45]\.\d+\.\d+", group["Status"]) and group["Status"].startswith(status)
              for group in groups), f"Status {[group['Status'] for group in groups]}")
    if recipients:
        equal(sorted(group["Final-Recipient"].replace(" ", "") for group in groups),
              sorted(f"rfc822;{recipient}" for recipient in recipients), "Final-Recipient")
    if about:
        check(about.id.encode() in copy.data, "the message's own Message-ID is not in the notice")
    return notice, groups
