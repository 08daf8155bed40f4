"""Drawings as SVG text: shapes with classes (the style sheet has the colours), scales and ticks."""

import math
from collections.abc import Iterable, Sequence
from html import escape


class Drawing:
    """Collects shapes; ``render`` gives the element. Coordinates are the view box's; numbers are cut to 0.1."""

    def __init__(self, width: float, height: float, label: str) -> None:
        self.width, self.height = width, height
        self._label = label
        self._parts: list[str] = []

    def add(self, name: str, content: str | None = None, title: str | None = None, **attributes: object) -> None:
        """One element. Attribute names are written with - for _; ``class_`` is the class; ``content`` is SVG text."""
        inside = (f"<title>{escape(title)}</title>" if title else "") + (content or "")
        head = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items() if value is not None)}"
        self._parts.append(f"{head}>{inside}</{name}>" if inside else f"{head}/>")

    def line(self, x1: float, y1: float, x2: float, y2: float, class_: str) -> None:
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)

    def rect(
        self, x: float, y: float, width: float, height: float, class_: str, radius: float = 0, title: str | None = None
    ) -> None:
        corner = radius or None
        self.add("rect", title=title, x=x, y=y, width=max(0.0, width), height=height, rx=corner, class_=class_)

    def text(self, x: float, y: float, text: str, class_: str = "", anchor: str | None = None) -> None:
        self.add("text", escape(text), x=x, y=y, class_=class_ or None, text_anchor=anchor)

    def path(self, steps: str, class_: str, title: str | None = None) -> None:
        if steps:
            self.add("path", title=title, d=steps, class_=class_)

    def dots(self, points: Iterable[tuple[float, float]], class_: str) -> None:
        """Many round dots as one path: the style gives width and round ends."""
        self.path("".join(f"M{_cut(x)},{_cut(y)}h0" for x, y in points), class_)

    def segments(self, lines: Iterable[tuple[float, float, float, float]], class_: str) -> None:
        self.path("".join(f"M{_cut(a)},{_cut(b)}L{_cut(c)},{_cut(d)}" for a, b, c, d in lines), class_)

    def render(self) -> str:
        size = f"{_cut(self.width)} {_cut(self.height)}"
        return (
            f'<svg viewBox="0 0 {size}" role="img" aria-label="{escape(self._label)}" '
            f'style="max-width:{_cut(self.width)}px">{"".join(self._parts)}</svg>'
        )


def _attribute(key: str, value: object) -> str:
    text = _cut(value) if isinstance(value, float) else escape(str(value))
    return f' {key.rstrip("_").replace("_", "-")}="{text}"'


def _cut(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


class Scale:
    """Maps ``low``..``high`` to ``start``..``end`` linearly; calling clips to the ends."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, max(high, low + 1e-9), start, end

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int) -> Sequence[float]:
        """Round values inside, ``about`` so many."""
        rough = (self.high - self.low) / max(1, about)
        power = 10 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def number(value: float) -> str:
    """A figure for people: three digits where it is small, thousands apart where it is large."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    if value == int(value):
        return str(int(value))
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1e3:.2f} s" if abs(value) >= 1000 else f"{number(round(value, 1))} ms"
