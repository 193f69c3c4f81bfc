"""A power cut right after the acknowledgement, message by message."""

from . import stored


def cut_after_each(scene, disk, kinds, count, **env):
    """Submits `count` messages to a Submission, each followed by a cut, the kinds in turn; then everything goes out.
    Gives what went wrong."""
    scene.size = 20_000  # many of them are read again and again
    scene.reset()
    problems = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        scene.new_letter()
        status = scene.hand_in(**env)
        disk.cut(kind)
        scene.stop()
        disk.power_on()
        if status != 0:
            problems.append(f"{kind}: message {number + 1} was not taken: {status}")
            continue
        scene.acknowledged.add(scene.letter.id)
        problems += [f"{kind}: {problem}" for problem in scene.illegal(at_rest=False)]
        if not any(message and message.letter == scene.letter.id
                   for store, _ in scene.stores() for message in stored.held(store).values()):
            problems.append(f"{kind}: message {number + 1} was acknowledged and is gone")
    print(f"cuts after an acknowledgement: {count}", flush=True)
    return problems + scene.restart() + scene.at_rest() + scene.compare()
