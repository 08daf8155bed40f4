"""docs/conformance.md, made from the declarations, from what the engines import and from what the oracles compare.

``python tests/wire/conformance.py`` writes it; ``test_conformance.py`` fails where it is stale.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import tshark

import unwired.core
from unwired.wire.dhcpv6_options import DHCPV6_OPTIONS
from unwired.wire.families import FAMILIES, Member
from unwired.wire.icmpv6 import ICMP_MESSAGES, IcmpMessage
from unwired.wire.mobility import MESSAGES, OPTIONS, MobilityMessage, MobilityOption
from unwired.wire.nd_options import ND_OPTIONS, NdOption
from unwired.wire.pcap import read_frames
from unwired.wire.radius_attributes import RADIUS_ATTRIBUTES
from unwired.wire.trace import mobility_packets

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
CAPTURES = Path(__file__).parent / "captures"
_DECLARED = (MobilityMessage, MobilityOption, IcmpMessage, NdOption, Member)
_HEAD = """\
# Conformance

What of the mobility RFCs is on the wire, which engine uses it, and what it has been held against. Made from the code by
`.venv/bin/python tests/wire/conformance.py`: do not edit.

* **engine**: the modules of `src/unwired/core/` that use it; an option without any is skipped by the engines, and shown
  by `unwired decode`
* **oracle**: *round trip*: generated values, alone and among other options, are decoded to themselves; *bytes*: it is
  compared with bytes that were written down by hand from the RFC's drawing; *tshark*: generated packets with it are
  dissected by tshark, field by field; *captures*: it is in exchanges of a classic peer, where we agree with tshark

What the members of a home agent set send each other is in [ha-ha.md](ha-ha.md).
"""


_CHOICES = (
    (
        "RFC 5648, 4.2: the overwrite flag (O) of binding updates",
        "IANA gave its bit to RFC 6602's bulk binding update flag (B): one field, `bulk_binding_update`, which means O "
        "beside Binding Identifier options",
    ),
    (
        "RFC 5568, 6.4.5: the length of Binding Authorization Data for FMIPv6 is the authenticator's",
        "it counts the SPI too, as every option's length must for a receiver to find the next one",
    ),
    (
        "RFC 5648, 4.3: the alignment of a Binding Identifier depends on what is in it",
        "8n+2, which both cases allow",
    ),
    (
        "RFC 6089, 4.2.1: sub-options are aligned from the start of the header",
        "a Flow Identification is sent at 8n, where 2n is asked for: so they are",
    ),
    (
        "RFC 6089, 4.2.1.2: the length of PadN is N, with N-2 bytes behind it",
        "the length counts the bytes behind it, as that of RFC 6275's PadN",
    ),
    ("RFC 6909, 3.1: text and drawing place the option differently", "4n, as the text says"),
    ("RFC 7411, 5.3, 5.4: the length counts units of four bytes", "so sent and read; other options count bytes"),
    (
        "RFC 7411, 5.4: nothing says whether the records are of MLD or IGMP",
        "of the kind that fills the option exactly, MLD first",
    ),
    ("RFC 7563, 3.2: the group identifier has three octets in the text, two in length and drawing", "two"),
    ("no alignment requirement in the RFC", "the natural boundaries of the fields (RFC 6275, 6.2.1)"),
    (
        "a Header Len rounded down (OpenAirInterface's gateway)",
        "fewer than 8 bytes behind the mobility header belong to it; never sent",
    ),
    ("RFC 3810, 5.2.10: auxiliary data of multicast records", "skipped; never sent"),
)


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{info.name}")


def _engines() -> dict[type, list[str]]:
    """The engines' modules that have a class among their names."""
    found: dict[type, list[str]] = {}
    for module in _modules(unwired.core):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, _DECLARED):
                found.setdefault(value, []).append(module.__name__.rpartition(".")[2])
    return found


def _classes(value: Any) -> Iterator[type]:
    """The declared classes of a value and of everything in it."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from _classes(item)
    elif isinstance(value, _DECLARED):
        yield type(value)
        for field in fields(value):
            yield from _classes(getattr(value, field.name))


def _with_bytes() -> set[type]:
    """Classes whose objects are parameters of a test beside a text of hexadecimal digits."""
    found: set[type] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for test in vars(importlib.import_module(path.stem)).values():
            for mark in getattr(test, "pytestmark", ()):
                for case in mark.args[1] if mark.name == "parametrize" and len(mark.args) > 1 else ():
                    if isinstance(case, tuple) and any(isinstance(part, str) and _is_hex(part) for part in case):
                        found.update(_classes(case))
    return found


def _is_hex(text: str) -> bool:
    return len(text) >= 4 and not text.replace(" ", "").strip("0123456789abcdef")


def _in_captures() -> dict[type, list[str]]:
    found: dict[type, list[str]] = {}
    for capture in sorted(CAPTURES.glob("*.pcap")):
        with capture.open("rb") as file:
            seen = {cls for sighting in mobility_packets(read_frames(file)) for cls in _classes(sighting.message)}
        for cls in seen:
            found.setdefault(cls, []).append(capture.stem.split("-")[0])
    return {cls: sorted(set(names)) for cls, names in found.items()}


class _Page:
    def __init__(self) -> None:
        self._engines = _engines()
        self._with_bytes = _with_bytes()
        self._captures = _in_captures()
        self.lines = [_HEAD]

    def section(self, title: str, classes: Iterable[Any]) -> None:
        self.lines += [
            f"## {title}",
            "| number | name | RFC, section | encode | decode | engine | oracle |",
            "|---|---|---|---|---|---|---|",
        ]
        for cls in sorted(classes, key=_number):
            engines = ", ".join(f"`{name}`" for name in sorted(self._engines.get(cls, ())))
            self.lines.append(
                f"| {', '.join(map(str, _number(cls)))} | {cls.NAME} | {cls.REFERENCE} | yes | yes | {engines}"
                f" | {', '.join(self._oracles(cls))} |"
            )
        self.lines.append("")

    def _oracles(self, cls: type) -> Iterator[str]:
        yield "round trip"
        if cls in self._with_bytes:
            yield "bytes"
        if cls in tshark.FIELDS:
            yield "tshark"
        if cls in self._captures:
            yield f"captures ({', '.join(self._captures[cls])})"

    def table(self, title: str, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
        self.lines += [f"## {title}", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        self.lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
        self.lines.append("")


def _number(cls: Any) -> tuple[int, ...]:
    constant = cls.LAYOUT.constant
    return (cls.TYPE, constant.value) if constant else (cls.TYPE,)


def page() -> str:
    """The text of the page."""
    made = _Page()
    made.section("Mobility messages", MESSAGES.values())
    made.section("Mobility options", OPTIONS.values())
    for family in FAMILIES.values():
        if family.members:
            made.section(f"In mobility options: {family.name}", family.members.values())
    made.section("ICMPv6 messages", ICMP_MESSAGES.values())
    made.section("Neighbour discovery options", ND_OPTIONS.values())
    made.table(
        "RADIUS attributes (a table only)",
        ("number", "name", "type", "RFC, section"),
        ((row.number, row.name, row.data_type.value, row.reference) for row in RADIUS_ATTRIBUTES.values()),
    )
    made.table(
        "DHCPv6 options (a table only)",
        ("code", "name", "content", "RFC, section"),
        ((row.code, row.name, row.content, row.reference) for row in DHCPV6_OPTIONS.values()),
    )
    made.table(
        "Where tshark differs",
        ("message or option", "what tshark 4.0 does, and what is done about it"),
        sorted((cls.NAME, text) for cls, text in _differences()),  # type: ignore[attr-defined]
    )
    made.table("Where the RFCs leave a choice, or peers differ", ("where", "what is done"), _CHOICES)
    return "\n".join(made.lines)


def _differences() -> Iterator[tuple[type, str]]:
    """The listed exceptions of ``tshark.py``, in words."""
    for cls, names in tshark.NOT_SHOWN.items():
        yield cls, f"does not show {', '.join(f'`{name}`' for name in names)}: not compared"
    for cls, (name, _) in tshark.CUT_SHORT.items():
        yield cls, f"shows `{name}` without its last two bytes: read from the option's bytes"
    for cls, reason in tshark.MISREAD.items():
        yield cls, f"{reason}: not compared"


if __name__ == "__main__":
    PAGE.write_text(page())
