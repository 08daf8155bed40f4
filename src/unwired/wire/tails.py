"""Values to bytes and back: what the generated functions (``generate.py``) call, and the tails of layouts."""

import struct

from unwired.wire.address import V4_MAPPED, is_ipv4
from unwired.wire.errors import DecodeError
from unwired.wire.layout import ADDRESS_SIZE, IPV4_SIZE, Tail

# --- values to bytes: ValueError for what does not fit ----------------------------------------------------------------


def fit(value: int, bits: int, name: str) -> int:
    if value >> bits:
        raise ValueError(f"{name} does not fit in {bits} bits: {value}")
    return value


def integer(value: int, size: int, name: str) -> bytes:
    return fit(value, size * 8, name).to_bytes(size)


def words(size: int) -> int:
    """In units of four bytes."""
    if size % 4:
        raise ValueError(f"{size} bytes where a multiple of 4 must be")
    return size // 4


def signed(value: int, size: int, name: str) -> bytes:
    try:
        return value.to_bytes(size, signed=True)
    except OverflowError:
        raise ValueError(f"{name} does not fit in {size} bytes: {value}") from None


def sized(value: bytes, size: int, name: str) -> bytes:
    if len(value) != size:
        raise ValueError(f"{name} must be {size} bytes, not {len(value)}")
    return value


def ipv4(value: bytes, name: str) -> bytes:
    if len(value) != ADDRESS_SIZE or not is_ipv4(value):
        raise ValueError(f"{name} must be an IPv4 address in its v4-mapped form")
    return value[-IPV4_SIZE:]


def short_text(value: bytes, name: str) -> bytes:
    return integer(len(value), 1, f"the length of {name}") + value


# --- tails -----------------------------------------------------------------------------------------------------------


def _unpack_rest(data: bytes, start: int, end: int) -> bytes:
    return data[start:end]


def unpack_addresses(data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    if (end - start) % ADDRESS_SIZE:
        raise DecodeError("address list that is no multiple of 16 bytes", end - (end - start) % ADDRESS_SIZE)
    return tuple(data[at : at + ADDRESS_SIZE] for at in range(start, end, ADDRESS_SIZE))


def pack_addresses(addresses: tuple[bytes, ...]) -> bytes:
    return b"".join(sized(address, ADDRESS_SIZE, "address") for address in addresses)


def unpack_ipv4_addresses(data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    return tuple(V4_MAPPED + data[at : at + IPV4_SIZE] for at in range(start, end, IPV4_SIZE))


def pack_ipv4_addresses(addresses: tuple[bytes, ...]) -> bytes:
    return b"".join(ipv4(address, "address") for address in addresses)


def _unpack_numbers(data: bytes, start: int, end: int) -> tuple[int, ...]:
    if (end - start) % 2:
        raise DecodeError("list of 16-bit numbers with an odd number of bytes", end - 1)
    return struct.unpack(f"!{(end - start) // 2}H", data[start:end])


def _pack_numbers(numbers: tuple[int, ...]) -> bytes:
    return b"".join(integer(number, 2, "number") for number in numbers)


def _unpack_integer(data: bytes, start: int, end: int) -> int:
    return int.from_bytes(data[start:end])


def _pack_integer(value: int) -> bytes:
    return integer(value, max(1, (value.bit_length() + 7) // 8), "number")


def _unpack_optional_number(data: bytes, start: int, end: int) -> int | None:
    if end - start not in (0, 4):
        raise DecodeError(f"number of {end - start} bytes where 4 or none must be", start)
    return int.from_bytes(data[start:end]) if end > start else None


def _pack_optional_number(number: int | None) -> bytes:
    return b"" if number is None else integer(number, 4, "number")


def _unpack_any_address(data: bytes, start: int, end: int, number: int = 0) -> bytes:
    size = end - start
    if size not in (IPV4_SIZE, ADDRESS_SIZE):
        raise DecodeError(f"address of {size} bytes where 4 or 16 must be", start - 1)
    return data[start:end] if size == ADDRESS_SIZE else V4_MAPPED + data[start:end]


def _pack_any_address(address: bytes) -> bytes:
    sized(address, ADDRESS_SIZE, "address")
    return address[-IPV4_SIZE:] if is_ipv4(address) else address


def _unpack_optional_address(data: bytes, start: int, end: int) -> bytes | None:
    return _unpack_any_address(data, start, end) if end > start else None


def _pack_optional_address(address: bytes | None) -> bytes:
    return b"" if address is None else _pack_any_address(address)


def _unpack_optional_ipv6(data: bytes, start: int, end: int) -> bytes | None:
    if end - start not in (0, ADDRESS_SIZE):
        raise DecodeError(f"address of {end - start} bytes where 16 or none must be", start)
    return data[start:end] or None


def _pack_optional_ipv6(address: bytes | None) -> bytes:
    return b"" if address is None else sized(address, ADDRESS_SIZE, "address")


def numbered_address(ipv6: int, ipv4: int) -> Tail:
    """A tail that is an address of either family, which a number before it tells. The length tells it too, and is
    what a decoder goes by. Its name is to end in ``address``: so it is shown as one (``present.py``)."""
    return Tail(_unpack_any_address, _pack_any_address, lambda address: ipv4 if is_ipv4(address) else ipv6)


TAILS: dict[str, Tail] = {
    "rest": Tail(_unpack_rest, bytes),
    "text": Tail(_unpack_rest, bytes),
    "addresses": Tail(unpack_addresses, pack_addresses),
    "numbers": Tail(_unpack_numbers, _pack_numbers),
    "integer": Tail(_unpack_integer, _pack_integer),
    "optional_number": Tail(_unpack_optional_number, _pack_optional_number),
    "any_address": Tail(_unpack_any_address, _pack_any_address),
    "optional_address": Tail(_unpack_optional_address, _pack_optional_address),
    "optional_ipv6": Tail(_unpack_optional_ipv6, _pack_optional_ipv6),
}
"""The tails a message or option may have: all remaining bytes (``text``: shown to people as UTF-8), a list of addresses
or of 16-bit numbers, a number of as many bytes as it takes, a 32-bit number or nothing (None), an address of either
family by its length (or nothing), an IPv6 address or nothing. The modules that declare more of them (lists of options,
of sub-options) add them."""
