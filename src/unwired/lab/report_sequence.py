"""A sequence diagram: a lane for each node, a slanted arrow for each message, time running down.

Time is stretched where much happens at once and shortened where nothing does, so that every label can be read; the
times themselves stand at the left, in milliseconds from the new link being usable.
"""

from unwired.lab.report_svg import Drawing, milliseconds
from unwired.lab.sequence import Exchange

_WIDTH, _LEFT, _RIGHT = 520, 106, 56
_TOP, _BOTTOM = 46, 16
_START_GAP, _END_GAP, _LONGEST_GAP = 27.0, 7.0, 44.0
_PIXELS_PER_S = 900.0


def draw(exchange: Exchange, usable_at: float) -> str:
    heights = _heights(exchange)
    height = max(heights.values()) + _BOTTOM + 6
    drawing = Drawing(_WIDTH, height, "Signalling as a sequence diagram")
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(exchange.lanes) - 1)
    lanes = {name: _LEFT + number * step for number, name in enumerate(exchange.lanes)}
    for index, (name, x) in enumerate(lanes.items()):
        drawing.line(x, _TOP - 14, x, height - 6, "lane-line")
        width = min(len(name) * 7.3 + 16, step - 4 if len(lanes) > 1 else 200)
        drawing.rect(x - width / 2, 6, width, 24, "lane-box", 6)
        drawing.text(x, 22, name, "lane-name" if index else "lane-name own", "middle")
    for message in exchange.steps:
        x1, x2 = lanes[message.source], lanes[message.destination]
        y1, y2 = heights[message.sent_at], heights[message.received_at]
        way = 1 if x2 > x1 else -1
        kind = "data" if message.is_data else "control"
        took = milliseconds((message.received_at - message.sent_at) * 1e3)
        title = f"{message.label}, {took} on the way: {message.detail}"
        drawing.add("path", title=title, d=f"M{x1:.1f},{y1:.1f}L{x2 - way * 5:.1f},{y2:.1f}", class_=f"arrow {kind}")
        head = f"M{x2:.1f},{y2:.1f}l{-way * 8},-4v8z"
        drawing.path(head, f"arrow-head {kind}")
        share = 0.15 if message.is_data else 0.5
        drawing.text(x1 + (x2 - x1) * share, y1 + (y2 - y1) * share - 6, message.label, f"message {kind}", "middle")
        drawing.text(_LEFT - 48, y1 + 4, milliseconds((message.sent_at - usable_at) * 1e3), "tick", "end")
        drawing.line(_LEFT - 44, y1, min(x1, x2) if x1 < x2 else x1, y1, "leader")
    return drawing.render()


def _heights(exchange: Exchange) -> dict[float, float]:
    """Where each time of a step is drawn."""
    starts = {step.sent_at for step in exchange.steps}
    times = sorted(starts | {step.received_at for step in exchange.steps})
    heights: dict[float, float] = {}
    last_start = float(_TOP - 14)
    y = float(_TOP)
    previous = times[0]
    for at in times:
        y += min(max((at - previous) * _PIXELS_PER_S, _END_GAP if at > previous else 0.0), _LONGEST_GAP)
        if at in starts:
            y = max(y, last_start + _START_GAP)
            last_start = y
        heights[at] = y
        previous = at
    return heights
