"""Coverage-guided fuzzing of everything that reads bytes from the network (``make fuzz``): python tests/fuzz/decode.py
CORPUS [libFuzzer's options].

The first byte of an input chooses the decoder, the rest is what it reads. Bytes end in a message or in DecodeError;
what was decoded is encoded to bytes that decode to the same. An input that does something else is written beside the
corpus, and named with the exception.
"""

import io
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["unwired.wire"]):
    from unwired.wire import home_agent_hello, state_synchronization
    from unwired.wire.datagram import decode_datagram, encode_datagram
    from unwired.wire.errors import DecodeError
    from unwired.wire.icmpv6 import IcmpMessage
    from unwired.wire.mobility import MobilityMessage, decode_mobility, encode_mobility
    from unwired.wire.nat_probe import decode_nat_probe
    from unwired.wire.pcap import LINK_RAW, CaptureError, Frame, read_frames
    from unwired.wire.present import field_values, option_values
    from unwired.wire.trace import find

CAPTURES = Path(__file__).parents[1] / "wire" / "captures"


def mobility_header(data: bytes) -> None:
    message = decode_mobility(data)
    again = decode_mobility(encode_mobility(message))
    if again != message:
        raise AssertionError(f"{message} became {again}")
    field_values(message)
    option_values(message)


def packet(data: bytes) -> None:
    decoded = decode_datagram(data)
    if decoded.problem is not None or not isinstance(decoded.payload, MobilityMessage | IcmpMessage):
        return
    # Without the bytes as received, which would be sent as they are.
    again = decode_datagram(encode_datagram(replace(decoded, data=b"")))
    if again.payload != decoded.payload or not again.checksum_ok:
        raise AssertionError(f"{decoded.payload} became {again.payload}")


def frame(data: bytes) -> None:
    find(Frame(1, 0, LINK_RAW, data))


def capture(data: bytes) -> None:
    with suppress(CaptureError):
        for one in read_frames(io.BytesIO(data)):
            find(one)


def nat_probe(data: bytes) -> None:
    if decode_nat_probe(data).encode() != data:
        raise AssertionError("a NAT probe is encoded to other bytes")


DECODERS: tuple[Callable[[bytes], object], ...] = (
    mobility_header,
    packet,
    frame,
    capture,
    nat_probe,
    home_agent_hello.decode_envelope,
    home_agent_hello.decode_hello,
    state_synchronization.decode_frame,
)


def one_input(data: bytes) -> None:
    if data:
        with suppress(DecodeError):
            DECODERS[data[0] % len(DECODERS)](data[1:])


def seed(corpus: Path) -> None:
    """Real packets to begin with."""
    corpus.mkdir(parents=True, exist_ok=True)
    for path in CAPTURES.glob("*.pcap"):
        content = path.read_bytes()
        (corpus / path.stem).write_bytes(bytes((DECODERS.index(capture),)) + content)
        for one in read_frames(io.BytesIO(content)):
            ipv6 = one.data[14:]
            for decoder in (packet, frame):
                name = f"{path.stem}-{one.number}-{decoder.__name__}"
                (corpus / name).write_bytes(bytes((DECODERS.index(decoder),)) + ipv6)
            if ipv6[6] == 60 and len(ipv6) > 64:  # behind the Home Address option
                inside = struct.pack("B", DECODERS.index(mobility_header)) + ipv6[64:]
                (corpus / f"{path.stem}-{one.number}-mobility").write_bytes(inside)


def main() -> None:
    seed(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
