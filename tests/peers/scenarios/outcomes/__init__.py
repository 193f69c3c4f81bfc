"""Every row of the contract's outcome table and every cause named in it: exit status and JSON object."""

from . import flush, good, kept, limits, local, login, output, queue, secure, sending_words, signals, steps, target, words


def register(suite):
    for part in (good, steps, secure, login, target, kept, limits, local, signals, output, flush, queue, words,
                 sending_words):
        part.register(suite)
