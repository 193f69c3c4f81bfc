"""Providers that send by themselves once they are asked: by ETRN, and by a text to some port."""

import socket
import threading

from harness import wait
from harness.feeders import HoldingPostfix
from harness.messages import Ledger
from harness.ports import free_port
from harness.runner import check, equal, none


def register(suite):
    suite.case("asking/postfix-by-etrn")(postfix)
    suite.case("asking/postfix-knows-no-such-domain")(not_for_us)
    suite.case("asking/odmrd-by-etrn")(odmrd)
    suite.case("asking/odmrd-without-a-login")(odmrd_refuses)
    suite.case("asking/no-etrn-there")(not_offered)
    suite.case("asking/while-the-target-is-down")(target_down)
    suite.case("asking/by-a-text")(by_text)
    suite.case("asking/by-a-text-before-etrn")(by_text_and_etrn)


def holding_postfix(bench, target):
    made = HoldingPostfix(bench.path("holding"), bench.shared.programs, "smtp", target.port)
    return bench.keep("holding postfix", made).start()


def customer_of(bench, target, port, **keys):
    customer = bench.customer(target)
    customer.isp.update({"protocol": "etrn", "port": port, "user": None, "password_file": None,
                         "domains": ["customer.example"]})
    customer.isp.update(keys)
    return customer


def held(bench, provider, count=3):
    letters = [bench.maker.make(recipients=["anna@customer.example"]) for _ in range(count)]
    provider.feed(letters)
    wait.until(lambda: provider.deferred() == count, 30, "Postfix holds the mail")
    return letters


def postfix(bench):
    """The server begins to send, and it comes by its own connection; the session says so and counts nothing."""
    target = bench.target("postfix")
    provider = holding_postfix(bench, target)
    letters = held(bench, provider)
    equal(target.deliveries(0), [], "delivered before anybody has asked")
    customer = customer_of(bench, target, provider.port)
    result = customer.run()
    session = result.session()
    equal((result.status, session["outcome"]), (0, "no-mail"), "exit status and outcome")
    check(session["reply"].startswith("250 "), f"reply {session['reply']}")
    check("ETRN customer.example: the server begins to send" in session["text"], session["text"])
    equal(session["received"]["messages"], 0, "messages of the session")
    none(Ledger(letters).problems(target.deliveries(len(letters))))
    equal(customer.run("probe").status, 0, "probe")
    status = customer.run("status")
    equal(status.status, 0, f"status\n{status.stdout}")


def not_for_us(bench):
    target = bench.target("postfix")
    provider = holding_postfix(bench, target)
    result = customer_of(bench, target, provider.port, domains=["elsewhere.example"]).run()
    equal((result.status, result.session()["outcome"]), (77, "refused"), "exit status and outcome")
    check(result.session()["reply"].startswith("459 "), result.session()["reply"])


def holding_odmrd(bench, target, **options):
    daemon = bench.daemon(tables={"customer.one.etrn": {"tls": "none", "to": "127.0.0.1", "port": target.port,
                                                        **options}}).start()
    letters = [bench.maker.make(recipients=["anna@customer.example"]) for _ in range(3)]
    for letter in letters:
        equal(daemon.enqueue(letter), 0, "enqueue")
    return daemon, letters


def odmrd(bench):
    """After a login; with all domains below one, too."""
    target = bench.target("postfix")
    daemon, letters = holding_odmrd(bench, target)
    customer = bench.customer(target, daemon)
    customer.isp.update({"protocol": "etrn", "domains": ["@customer.example"]})
    result = customer.run()
    session = result.session()
    equal((result.status, session["outcome"]), (0, "no-mail"), "exit status and outcome")
    check(session["auth"] is not None, "no login")
    check(session["reply"].startswith("25"), session["reply"])
    none(Ledger(letters).problems(target.deliveries(len(letters))))
    wait.until(lambda: daemon.spool().count("@") == 0, 20, "the spool is empty")
    again = customer.run()
    equal((again.status, again.session()["reply"][:3]), (0, "251"), "nothing waits then")


def odmrd_refuses(bench):
    target = bench.target("postfix")
    daemon, _ = holding_odmrd(bench, target)
    customer = customer_of(bench, target, daemon.port)
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (77, "refused"), "exit status and outcome")
    equal(result.session()["reply"][:3], "459", "reply")
    again = customer.run()
    check("not tried" in again.session()["text"], f"asked again at once: {again.session()['text']}")


def not_offered(bench):
    target, sink = bench.target("postfix"), bench.sink()
    result = customer_of(bench, target, sink.port).run()
    equal((result.status, result.session()["outcome"]), (76, "protocol"), "exit status and outcome")
    check("does not offer ETRN" in result.session()["text"], result.session()["text"])


def target_down(bench):
    """The provider would find nobody, and wait longer the next time."""
    gone = bench.sink()
    provider = holding_postfix(bench, gone)
    gone.stop()
    result = customer_of(bench, gone, provider.port).run()
    equal((result.status, result.session()["outcome"]), (69, "local-down"), "exit status and outcome")
    equal(result.session()["connections"], 0, "connections")


class Listener:
    """Takes a line on each connection, and answers."""

    def __init__(self, answer):
        self.answer, self.heard = answer, []
        self.port = free_port("127.0.0.1")
        self.socket = socket.create_server(("127.0.0.1", self.port))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                line, _ = self.socket.accept()
            except OSError:
                return
            with line:
                self.heard.append(line.makefile("rb").readline())
                line.sendall(self.answer)

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def by_text(bench):
    listener = bench.keep("listener", Listener(b"Site: customer.example\r\nyour queue is started\r\n"))
    customer = bench.customer(bench.sink())
    customer.isp = {"protocol": "signal"}
    customer.tables["provider.isp.signal"] = {"host": "127.0.0.1", "port": listener.port,
                                              "send": "customer.example\r\n", "expect": "queue is started"}
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (0, "no-mail"), f"exit status and outcome\n{result.stderr}")
    equal(listener.heard, [b"customer.example\r\n"], "heard")
    check("the signal was taken" in result.session()["text"], result.session()["text"])
    customer.tables["provider.isp.signal"]["expect"] = "something else"
    result = customer.run()
    equal((result.status, result.session()["outcome"]), (75, "unavailable"), "exit status and outcome")
    check("your queue is started" in result.session()["text"], "what was heard is not told")
    equal(customer.run("probe").status, 0, "probe")


def by_text_and_etrn(bench):
    """Not taken: nothing else is said. Taken: ETRN is."""
    listener = bench.keep("listener", Listener(b"no\r\n"))
    target = bench.target("postfix")
    provider = holding_postfix(bench, target)
    letters = held(bench, provider, 1)
    customer = customer_of(bench, target, provider.port)
    customer.tables["provider.isp.signal"] = {"port": listener.port, "send": "wake up\r\n", "expect": "yes"}
    result = customer.run()
    equal((result.status, result.session()["connections"]), (75, 1), "exit status and connections")
    listener.answer = b"yes\r\n"
    result = customer.run()
    equal((result.status, result.session()["connections"]), (0, 2), "exit status and connections")
    none(Ledger(letters).problems(target.deliveries(1)))
