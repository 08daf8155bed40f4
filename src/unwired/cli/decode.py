"""``unwired decode``: the mobility packets of a capture, a line each.

A mobility packet has a mobility header or is one of the four ICMPv6 messages of RFC 6275 sections 6.5 to 6.8. With
``--json`` each is one object:

======================  ===============================================================================================
schema                  ``unwired.decode/1``
frame                   its number in the capture, from 1
src, dst                the IPv6 header's addresses, inside of any tunnel
home_address            the Home Address destination option's, or null
routing_header_address  the type 2 routing header's, or null
type                    the RFC's name ("Binding Update"), "Unknown (99)", or null when the packet ends before it
fields                  the message's own fields by name: numbers, booleans, addresses as text, other bytes in
                        hexadecimal; empty when it is malformed
options                 list of {type, name, and the option's fields}, padding left out; empty when it is malformed
checksum_ok             boolean, or null when the checksum cannot be verified because bytes are missing
encapsulation           list of {type: "IPv6", src, dst}: the tunnels' headers, outermost first
error                   null, or {reason, offset}: why it is malformed; offset counts from the first byte of the frame
======================  ===============================================================================================

The exit code is 0, or 2 when the file cannot be read or is damaged; what comes before the damage is printed.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from unwired.wire.address import format_address
from unwired.wire.pcap import KNOWN_LINK_TYPES, CaptureError, Frame, read_frames
from unwired.wire.present import field_values, option_values
from unwired.wire.trace import Sighting, mobility_packets

SCHEMA = "unwired.decode/1"
EXIT_BAD_FILE = 2


def register(app: typer.Typer) -> None:
    app.command("decode")(decode)


def decode(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pcap or pcapng capture.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print the mobility packets of a capture, also those inside IPv6-in-IPv6 tunnels."""
    line = json_line if as_json else text_line
    try:
        with file.open("rb") as capture:
            for sighting in mobility_packets(_understood(read_frames(capture))):
                print(line(sighting))
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has had enough (``unwired decode ... | head``); what Python flushes at exit must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(f"cannot read {file}: {error.strerror}")
    except CaptureError as error:
        _fail(f"{file}: {error}")


def _understood(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The frames whose link type is known; a capture that has no other is an error, not an empty answer."""
    unknown: set[int] = set()
    some = False
    for frame in frames:
        if frame.link_type in KNOWN_LINK_TYPES:
            some = True
            yield frame
        elif frame.link_type not in unknown:
            unknown.add(frame.link_type)
            print(f"unwired decode: frames of link type {frame.link_type} are skipped", file=sys.stderr)
    if unknown and not some:
        raise CaptureError("no frame has a link type that unwired knows (Ethernet, raw IP, Linux cooked, loopback)")


def _fail(message: str) -> None:
    sys.stdout.flush()
    print(f"unwired decode: {message}", file=sys.stderr)
    raise typer.Exit(EXIT_BAD_FILE)


def as_object(sighting: Sighting) -> dict[str, Any]:
    """The JSON object of a mobility packet. ``offset`` of an error counts from the first byte of the frame."""
    message, error = sighting.message, sighting.error
    return {
        "schema": SCHEMA,
        "frame": sighting.frame,
        "src": format_address(sighting.source),
        "dst": format_address(sighting.destination),
        "home_address": format_address(sighting.home_address) if sighting.home_address else None,
        "routing_header_address": format_address(sighting.routing_home_address)
        if sighting.routing_home_address
        else None,
        "type": sighting.name,
        "fields": field_values(message) if message else {},
        "options": option_values(message) if message else [],
        "checksum_ok": sighting.checksum_ok,
        "encapsulation": [
            {"type": "IPv6", "src": format_address(outer.source), "dst": format_address(outer.destination)}
            for outer in sighting.encapsulation
        ],
        "error": {"reason": error.reason, "offset": error.offset} if error else None,
    }


def json_line(sighting: Sighting) -> str:
    return json.dumps(as_object(sighting))


def text_line(sighting: Sighting) -> str:
    """Frame, addresses, message, its fields and options, then what is peculiar: tunnels, a wrong checksum, an error."""
    parts = [f"{sighting.frame:>6}  {format_address(sighting.source)} > {format_address(sighting.destination)}"]
    parts.append(sighting.name or "(unknown)")
    if sighting.home_address:
        parts.append(f"home address {format_address(sighting.home_address)}")
    if sighting.routing_home_address:
        parts.append(f"to home address {format_address(sighting.routing_home_address)}")
    if sighting.message:
        parts.append(_fields_text(field_values(sighting.message)))
        parts += [
            f"[{option['name']}{_unnamed(option)}: {_fields_text(_without_head(option))}]"
            for option in option_values(sighting.message)
        ]
    parts += [
        f"(in {format_address(outer.source)} > {format_address(outer.destination)})" for outer in sighting.encapsulation
    ]
    if sighting.checksum_ok is False:
        parts.append("WRONG CHECKSUM")
    if sighting.error:
        parts.append(f"MALFORMED: {sighting.error.reason}, at byte {sighting.error.offset} of the frame")
    return "  ".join(part for part in parts if part)


def _unnamed(option: dict[str, Any]) -> str:
    return f" {option['type']}" if option["name"] == "Unknown" else ""


def _item_text(item: Any) -> str:
    """An item of a list, or a sub-option: its name and fields."""
    if isinstance(item, dict):
        return f"[{item['name']}{_unnamed(item)}: {_fields_text(_without_head(item))}]"
    return str(item)


def _without_head(option: dict[str, Any]) -> dict[str, Any]:
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
