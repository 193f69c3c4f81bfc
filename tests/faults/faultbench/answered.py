"""The power cut, or the journal lost, right at an answer to the provider: what must be on disk then."""

import os
import select
import threading

from harness import wire



class Answered:
    """Messages one by one to a Fetch; each time something happens when the 250 to it has come, before the provider has
    read it or behind."""

    def __init__(self, scene, is_read):
        self.scene = scene
        self.is_read = is_read
        self.happened = threading.Event()
        self.problems = []

    def run(self, happen, recover, count, **env):
        """`happen(number)` at the answer; `recover(number)` when the run is over. Gives what went wrong."""
        scene = self.scene
        letters = [scene.bench.maker.make(recipients=["anna@customer.example"]) for _ in range(count)]
        scene.letters = {letter.id: letter for letter in letters}
        scene.acknowledged = set(scene.letters)
        scene.reset()
        scene.provider.queue.clear()
        for number, letter in enumerate(letters):
            scene.provider.put(letter)
            self.happened.clear()
            strike = wire.call(lambda conversation, normal, n=number: self._strike(conversation, normal, happen, n))
            # Behind the strike it takes no call in the same run: that would still know what it had.
            scene.provider.script.steps = ({"quit": [strike]} if self.is_read
                                           else {"dot-reply": [strike], "greeting": [None, wire.cut()]})
            result = scene.customer.run(env=env)
            scene.provider.wait_idle()
            recover(number)
            if not self.happened.is_set():
                self.problems.append(f"message {number + 1} was not answered: exit {result.status} "
                                     f"{result.stderr[-300:]}")
            scene.provider.script.steps = {}
            self.problems += scene.restart()
        print(f"answers struck: {count}", flush=True)
        return self.problems + scene.at_rest() + scene.compare()

    def _strike(self, conversation, normal, happen, number):
        line = conversation.line
        if not self.is_read:
            select.select([line.sock], [], [], 20)  # the 250 is there, and nobody reads it
        happen(number)
        self.happened.set()
        if not self.is_read:
            line.reset()
            raise wire.Cut("lost with the answer")
        line.write(normal)
        return normal


def cut_at_each_answer(scene, disk, kinds, count, is_read, **env):
    """The disk stops at the answer."""
    def happen(number):
        disk.cut(kinds[number % len(kinds)])

    return Answered(scene, is_read).run(happen, lambda _number: disk.power_on(), count, **env)


def forget_at_each_answer(scene, count):
    """What a program without a journal would do: it is not there in the next run."""
    def recover(_number):
        for name in os.listdir(scene.state):
            if name.startswith("journal.db"):
                os.unlink(os.path.join(scene.state, name))

    return Answered(scene, is_read=False).run(lambda _number: None, recover, count)
