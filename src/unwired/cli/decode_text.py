"""A decoded mobility packet for people: a line, or a tree with every field; from the object that is printed as JSON."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from unwired.wire.icmpv6 import ICMP_MESSAGES
from unwired.wire.mobility import OPTIONS
from unwired.wire.nd_options import ND_OPTIONS


class Style(StrEnum):
    """ANSI escape sequences."""

    NAME = "\x1b[1m"
    QUIET = "\x1b[2m"
    ADDRESS = "\x1b[36m"
    WRONG = "\x1b[1;31m"


def _painted(text: str, style: Style, colour: bool) -> str:
    return f"{style.value}{text}\x1b[0m" if colour and text else text


def text_line(shown: dict[str, Any], colour: bool) -> str:
    """Frame, addresses, message, its fields and options, then what is peculiar: tunnels, a wrong checksum, an error."""
    addresses = _painted(f"{shown['src']} > {shown['dst']}", Style.ADDRESS, colour)
    parts = [f"{shown['frame']:>6}  {addresses}", _painted(shown["type"] or "(unknown)", Style.NAME, colour)]
    if shown["home_address"]:
        parts.append(f"home address {shown['home_address']}")
    if shown["routing_header_address"]:
        parts.append(f"to home address {shown['routing_header_address']}")
    parts.append(_fields_text(shown["fields"]))
    parts += [f"[{option['name']}{_unnamed(option)}: {_fields_text(_inside(option))}]" for option in shown["options"]]
    if shown["encapsulation"]:
        parts.append(_painted(f"(in {', '.join(map(layer_text, shown['encapsulation']))})", Style.QUIET, colour))
    parts += [_painted(wrong, Style.WRONG, colour) for wrong in _wrongs(shown)]
    return "  ".join(part for part in parts if part)


def tree_lines(shown: dict[str, Any], colour: bool) -> Iterator[str]:
    """Two spaces further in for everything that is inside of what stands above."""
    when = datetime.fromtimestamp(shown["time_s"], UTC).isoformat(sep=" ", timespec="microseconds")
    yield _painted(f"frame {shown['frame']}", Style.NAME, colour) + (f"  {when}" if shown["time_s"] else "")
    for layer in shown["encapsulation"]:
        yield f"  {_painted(layer_text(layer), Style.QUIET, colour)}"
    yield "  " + _painted(f"{shown['src']} > {shown['dst']}", Style.ADDRESS, colour)
    if shown["routing_header_address"]:
        yield f"    type 2 routing header: home address {shown['routing_header_address']}  (RFC 6275, 6.4)"
    if shown["home_address"]:
        yield f"    home address option: {shown['home_address']}  (RFC 6275, 6.3)"
    yield "  " + _headline(shown["type"] or "(unknown)", shown["reference"], colour)
    yield from _branches(shown["fields"], "    ", colour)
    for option in shown["options"]:
        yield "    " + _headline(f"{option['name']}, option {option['type']}", _reference(shown, option), colour)
        yield from _branches(_inside(option), "      ", colour)
    if shown["checksum_ok"]:
        yield "    checksum: right"
    yield from (f"    {_painted(wrong, Style.WRONG, colour)}" for wrong in _wrongs(shown))


def layer_text(layer: dict[str, Any]) -> str:
    match layer["type"]:
        case "UDP":
            return f"UDP {layer['src_port']} > {layer['dst_port']}"
        case "GRE":
            return "GRE" if layer["key"] is None else f"GRE key {layer['key']}"
        case _:
            return f"{layer['type']} {layer['src']} > {layer['dst']}"


def _headline(name: str, reference: str | None, colour: bool) -> str:
    return _painted(name, Style.NAME, colour) + (_painted(f"  ({reference})", Style.QUIET, colour) if reference else "")


def _reference(shown: dict[str, Any], option: dict[str, Any]) -> str | None:
    """The section of an option: mobility messages and neighbour discovery number theirs apart."""
    is_icmp = any(shown["type"] == message.NAME for message in ICMP_MESSAGES.values())
    cls: Any = (ND_OPTIONS if is_icmp else OPTIONS).get(option["type"])
    return None if cls is None else cls.REFERENCE


def _branches(values: dict[str, Any], indent: str, colour: bool) -> Iterator[str]:
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, dict) for item in items):
            for item in items:
                yield indent + _headline(f"{item['name']}, {item['type']}", None, colour)
                yield from _branches(_inside(item), indent + "  ", colour)
        elif value not in ("", None):
            shown = ("yes" if value else "no") if isinstance(value, bool) else ", ".join(map(str, items))
            yield f"{indent}{name.replace('_', ' ')}: {shown}"


def _wrongs(shown: dict[str, Any]) -> Iterator[str]:
    if shown["checksum_ok"] is False:
        yield "WRONG CHECKSUM"
    error = shown["error"]
    if error:
        where = f"at byte {error['offset']} of the frame, {error['field']} ({error['reference']})"
        yield f"MALFORMED: {error['reason']}, {where}"


def _unnamed(option: dict[str, Any]) -> str:
    return f" {option['type']}" if option["name"] == "Unknown" else ""


def _item_text(item: Any) -> str:
    """An item of a list, or a sub-option: its name and fields."""
    if isinstance(item, dict):
        return f"[{item['name']}{_unnamed(item)}: {_fields_text(_inside(item))}]"
    return str(item)


def _inside(option: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in option.items() if name not in ("type", "name")}


def _fields_text(values: dict[str, Any]) -> str:
    """Flags that are set by their names, the rest as name=value."""
    shown: list[str] = []
    for name, value in values.items():
        if isinstance(value, bool):
            if value:
                shown.append(name)
        elif isinstance(value, list):
            shown.append(f"{name}={','.join(map(_item_text, value))}")
        elif isinstance(value, dict):
            shown.append(f"{name}={_item_text(value)}")
        elif value not in ("", None):
            shown.append(f"{name}={value}")
    return " ".join(shown)
