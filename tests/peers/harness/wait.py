"""Waiting for a condition, always with a deadline. Nothing in the bench sleeps and hopes."""

import time


class Overdue(AssertionError):
    """What was waited for did not come about in time."""


def until(condition, seconds, what):
    """Asks `condition` until it answers something true, and returns that."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Overdue(f"not within {seconds} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
