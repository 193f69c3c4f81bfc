"""The tables."""


def significant(value, scale=1):
    """Three digits that count."""
    if value is None:
        return "-"
    value *= scale
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def whole(value):
    return "-" if value is None else f"{value:.0f}"


def per_message(value, measured, scale=1):
    return significant(value and value / measured.messages, scale)


def against(other):
    """How many times as fast as that customer of the same scene."""
    def ratio(measured, found):
        is_there = other in found and found[other] is not measured
        return significant(measured.rate / found[other].rate) if is_there else "-"
    return ratio


# Each heading with what stands below it, of a Measured and of all that its scene has found.
COLUMNS = {
    "msgs": lambda measured, _: whole(measured.messages),
    "msg/s": lambda measured, _: significant(measured.rate),
    "MiB/s": lambda measured, _: significant(measured.throughput),
    "CPU ms/msg": lambda measured, _: per_message(measured.cpu, measured, 1000),
    "MiB resident": lambda measured, _: significant(measured.resident_kib, 1 / 1024),
    "calls/msg": lambda measured, _: significant(measured.calls),
    "syncs/msg": lambda measured, _: significant(measured.syncs),
    "trips/msg": lambda measured, _: per_message(measured.waits, measured),
    "to ATRN": lambda measured, _: whole(measured.trips_to_atrn),
    ": fetchmail": against("fetchmail"),
    ": relay": against("relay"),
    ": direct": against("direct"),
}


def spread(rates, measured):
    return f"{(max(rates) - min(rates)) / measured.rate * 100:.0f} %"


def table(title, found, runs):
    """`found` are the medians by customer, `runs` what they are of."""
    rows = [(title, *COLUMNS, "spread")]
    for name, measured in found.items():
        rows.append((name, *(below(measured, found) for below in COLUMNS.values()),
                     spread([run.rate for run in runs[name]], measured)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(
        cell.rjust(width) if number else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(cells, widths))) for cells in rows)
