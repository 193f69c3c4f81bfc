"""The tables."""

HEADINGS = ("", "msgs", "msg/s", "MiB/s", "CPU ms/msg", "MiB resident", "calls/msg", "syncs/msg", "trips/msg", "to ATRN",
            ": fetchmail", ": relay", ": direct", "spread")


def significant(value):
    """Three digits that count."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def row(name, measured, rates, others):
    """`rates` of its runs, `others` by name."""
    def against(other):
        return significant(measured.rate / others[other].rate) if other in others and other != name else "-"
    cpu = None if measured.cpu is None else measured.cpu * 1000 / measured.messages
    resident = None if measured.resident_kib is None else measured.resident_kib / 1024
    spread = (max(rates) - min(rates)) / measured.rate * 100
    return (name, f"{measured.messages:.0f}", significant(measured.rate), significant(measured.throughput), significant(cpu), significant(resident),
            significant(measured.calls), significant(measured.syncs), significant(measured.waits and measured.waits / measured.messages),
            "-" if measured.trips_to_atrn is None else f"{measured.trips_to_atrn:.0f}", against("fetchmail"), against("relay"), against("direct"), f"{spread:.0f} %")


def table(title, rows):
    rows = [(title, *HEADINGS[1:]), *rows]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths))) for cells in rows)
