"""The tables of a report, as HTML."""

from collections.abc import Sequence
from html import escape

from unwired.lab.report_svg import milliseconds, number
from unwired.lab.result import Expectation, Result


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric_from: int,
    sums: Sequence[Sequence[str]] = (),
    class_: str = "",
) -> str:
    """Cells are HTML; columns from ``numeric_from`` are figures; ``sums`` stand below the rest."""
    if not rows:
        return "<p>None.</p>"

    def cells(name: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{name}{' class=number' if index >= numeric_from else ''}>{value}</{name}>"
            for index, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    foot = "".join(f"<tr>{cells('td', row)}</tr>" for row in sums)
    foot = f"<tfoot>{foot}</tfoot>" if foot else ""
    head = f"<thead><tr>{cells('th', heads)}</tr></thead>"
    return f'<div class="scroll {class_}"><table>{head}<tbody>{body}</tbody>{foot}</table></div>'


def figure(value: float, unit: str) -> str:
    """A ratio, which has no unit, to the hundredth."""
    return f"{value:.2f}" if not unit and value != int(value) else number(round(value, 1))


def measured(expectation: Expectation) -> str:
    if expectation.measured is None:
        return "nothing measured"
    return f"{figure(expectation.measured, expectation.unit)} {expectation.unit}".strip()


def limit(expectation: Expectation) -> str:
    return f"{expectation.comparison} {figure(expectation.limit, expectation.unit)} {expectation.unit}".strip()


def expectations(result: Result) -> str:
    rows = [
        [
            '<span class="pass">✓ holds</span>' if item.passed else '<span class="fail">✗ fails</span>',
            escape(item.name),
            escape(measured(item)),
            escape(limit(item)),
        ]
        for item in result.expectations
    ]
    return table(["", "Expectation", "Measured", "Limit"], rows, 2)


def handovers(result: Result) -> str:
    rows = []
    for index, item in enumerate(result.handovers, start=1):
        kind = item.kind + (", both links up" if item.make_before_break else "")
        rows.append(
            [
                str(index),
                escape(f"{item.source or '–'} → {item.destination or '–'}"),
                escape(kind),
                f"{item.at_s:.2f} s",
                milliseconds(item.interruption_ms),
                milliseconds(item.configuration_ms),
                milliseconds(item.registered_ms),
                milliseconds(item.signalling_ms),
                str(item.packets_lost),
                str(item.packets_late),
            ]
        )
    heads = ["", "Move", "Kind", "At", "Interruption", "Of it DHCP or CLAT", "Link to registered"]
    heads += ["Signalling", "Lost", "Late"]
    return table(heads, rows, 3)


def streams(result: Result) -> str:
    rows = [
        [
            escape(f"{item.source} → {item.destination}, {item.family}"),
            number(item.bytes),
            number(item.bytes_lost),
            number(item.bytes_duplicated),
            number(item.bytes_corrupted),
            str(item.resets),
            milliseconds(item.longest_stall_ms),
        ]
        for item in result.streams
    ]
    heads = ["Stream", "Bytes intact", "Lost", "Duplicated", "Corrupted", "Resets", "Longest stall"]
    return table(heads, rows, 1)


def probes(result: Result) -> str:
    rows = [
        [
            escape(f"{item.source} → {item.destination}, {item.family}"),
            f"every {number(item.interval_ms)} ms",
            number(item.sent),
            number(item.received),
            number(item.lost),
            number(item.duplicated),
            number(item.send_errors),
            milliseconds(item.delay_median_ms),
            milliseconds(item.delay_p99_ms),
        ]
        for item in result.probes
    ]
    heads = [
        "Probe",
        "Pace",
        "Sent",
        "Received",
        "Lost",
        "Duplicated",
        "Refused by host",
        "Delay, median",
        "Delay, p99",
    ]
    return table(heads, rows, 1)
