"""``unwired decode``: the mobility packets of a capture, a line each, or a tree, or a JSON object.

A mobility packet has a mobility header or is one of the ICMPv6 messages of RFC 6275 sections 6.5 to 6.8 and of RFC 5568
section 6.1. With ``--json`` each is one object:

======================  ===============================================================================================
schema                  ``unwired.decode/2``
frame                   its number in the capture, from 1
time_s                  when it was captured, in seconds since 1970; 0 where the capture does not say
src, dst                the addresses of the packet, inside of any tunnel
home_address            the Home Address destination option's, or null
routing_header_address  the type 2 routing header's, or null
type                    the RFC's name ("Binding Update"), "Unknown (99)", or null when the packet ends before it
reference               the section of the RFC that has the type, or null
fields                  the message's own fields by name: numbers, booleans, addresses and printable UTF-8 as text,
                        other bytes in hexadecimal; empty when it is malformed
options                 list of {type, name, and the option's fields}, padding left out; empty when it is malformed
checksum_ok             boolean, or null when the checksum cannot be verified because bytes are missing, or where the
                        one of UDP counts instead
encapsulation           the headers around it, outermost first: {type: "IPv6" or "IPv4", src, dst},
                        {type: "UDP", src_port, dst_port}, {type: "GRE", key (or null)}
error                   null, or {reason, offset, field, reference}: why it is malformed; offset counts from the first
                        byte of the frame, field is the header field, message, (sub-)option there, reference the section
                        that says how it must be
======================  ===============================================================================================

The exit code is 0, or 2 when the file cannot be read or is damaged; what comes before the damage is printed.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from unwired.cli.decode_text import text_line, tree_lines
from unwired.wire.address import format_address
from unwired.wire.pcap import KNOWN_LINK_TYPES, CaptureError, Frame, read_frames
from unwired.wire.present import field_values, option_values
from unwired.wire.trace import Layer, LayerKind, Sighting, mobility_packets

SCHEMA = "unwired.decode/2"
EXIT_BAD_FILE = 2


def register(app: typer.Typer) -> None:
    app.command("decode")(decode)


def decode(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A pcap or pcapng capture; - for standard input.", show_default=False)
    ],
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every field, with the RFC's sections, as a tree.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print the mobility packets of a capture, also those inside tunnels: IPv6, IPv4, UDP, GRE."""
    is_terminal = sys.stdout.isatty()

    def in_words(sighting: Sighting) -> str:
        shown = as_object(sighting)
        return "\n".join(tree_lines(shown, is_terminal)) if verbose else text_line(shown, is_terminal)

    line: Callable[[Sighting], str] = json_line if as_json else in_words
    try:
        with _opened(file) as capture:
            for sighting in mobility_packets(_understood(read_frames(capture))):
                print(line(sighting), flush=is_terminal or file == _STANDARD_INPUT)
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except BrokenPipeError:
        # The reader has had enough (``unwired decode ... | head``); what Python flushes at exit must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(f"cannot read {file}: {error.strerror}")
    except CaptureError as error:
        _fail(f"{file}: {error}")


_STANDARD_INPUT = Path("-")


def _opened(file: Path) -> BinaryIO:
    return sys.stdin.buffer if file == _STANDARD_INPUT else file.open("rb")


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
    """The JSON object of a mobility packet."""
    message, error, part = sighting.message, sighting.error, sighting.part
    return {
        "schema": SCHEMA,
        "frame": sighting.frame,
        "time_s": sighting.timestamp_ns / 1e9,
        "src": format_address(sighting.source),
        "dst": format_address(sighting.destination),
        "home_address": format_address(sighting.home_address) if sighting.home_address else None,
        "routing_header_address": format_address(sighting.routing_home_address)
        if sighting.routing_home_address
        else None,
        "type": sighting.name,
        "reference": sighting.reference,
        "fields": field_values(message) if message else {},
        "options": option_values(message) if message else [],
        "checksum_ok": sighting.checksum_ok,
        "encapsulation": [_layer(layer) for layer in sighting.encapsulation],
        "error": {"reason": error.reason, "offset": error.offset, "field": part.name, "reference": part.reference}
        if error and part
        else None,
    }


def _layer(layer: Layer) -> dict[str, Any]:
    if layer.kind is LayerKind.UDP:
        return {"type": layer.kind.value, "src_port": layer.source_port, "dst_port": layer.destination_port}
    if layer.source is None or layer.destination is None:
        return {"type": layer.kind.value, "key": layer.key}
    return {"type": layer.kind.value, "src": format_address(layer.source), "dst": format_address(layer.destination)}


def json_line(sighting: Sighting) -> str:
    return json.dumps(as_object(sighting))
