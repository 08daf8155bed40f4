"""One BPF map of rows: written row by row without allocating, read in bulk, and adopted from an earlier process."""

import ctypes
import os
import struct
from collections.abc import Iterator
from errno import E2BIG
from typing import Any

from unwired.dataplane.layout import Layout
from unwired.dataplane.libbpf import BPF_ANY, Libbpf
from unwired.dataplane.table import DataplaneError


class BpfMap:
    """Keys and rows are the fields of their layouts, in order. Raises DataplaneError for what the kernel refuses.

    During adoption a row that is there already costs no system call: ``begin_adoption`` reads the map once, ``write``
    claims rows, ``unclaimed`` ends it with the keys of those that nobody wrote.
    """

    def __init__(self, library: Libbpf, name: str, descriptor: int, key: Layout, value: Layout) -> None:
        self._library = library
        self._update = library.c.bpf_map_update_elem
        self._delete = library.c.bpf_map_delete_elem
        self._name = name
        self._number = descriptor
        self._key, self._value = key.packer, value.packer
        self._descriptor = ctypes.c_int(descriptor)
        self._key_buffer = ctypes.create_string_buffer(key.size)
        self._value_buffer = ctypes.create_string_buffer(value.size)
        self._key_pointer = ctypes.c_void_p(ctypes.addressof(self._key_buffer))
        self._value_pointer = ctypes.c_void_p(ctypes.addressof(self._value_buffer))
        self._any = ctypes.c_uint64(BPF_ANY)
        self._pack_key = key.packer.pack_into
        self._pack_value = value.packer.pack_into
        self._there: dict[bytes, bytes] | None = None

    def write(self, key: tuple[object, ...], value: tuple[object, ...]) -> None:
        there = self._there
        if there is not None and there.pop(self._key.pack(*key), None) == self._value.pack(*value):
            return
        self._pack_key(self._key_buffer, 0, *key)
        self._pack_value(self._value_buffer, 0, *value)
        result = self._update(self._descriptor, self._key_pointer, self._value_pointer, self._any)
        if result:
            reason = "it is full" if -result == E2BIG else os.strerror(-result)
            raise DataplaneError(f"the kernel refuses a row of {self._name}: {reason}")

    def remove(self, *key: object) -> None:
        self._pack_key(self._key_buffer, 0, *key)
        if self._there is not None:
            self._there.pop(self._key.pack(*key), None)
        self._delete(self._descriptor, self._key_pointer)  # only ENOENT is possible

    def find(self, *key: object) -> tuple[Any, ...] | None:
        value = self._library.lookup(self._number, self._key.pack(*key), self._value.size)
        return self._value.unpack(value) if value else None

    def rows(self) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Every key with its row, as they are now."""
        keys, values = self._library.read_all(self._number, self._key.size, self._value.size)
        return zip(self._key.iter_unpack(keys), self._value.iter_unpack(values), strict=True)

    def begin_adoption(self) -> None:
        keys, values = self._library.read_all(self._number, self._key.size, self._value.size)
        self._there = dict(zip(_pieces(keys, self._key), _pieces(values, self._value), strict=True))

    def unclaimed(self) -> list[tuple[Any, ...]]:
        """The keys of the rows that were there at ``begin_adoption`` and have not been written or removed since."""
        left, self._there = self._there or {}, None
        return [self._key.unpack(key) for key in left]


def _pieces(data: bytes, packer: struct.Struct) -> Iterator[bytes]:
    size = packer.size
    return (data[at : at + size] for at in range(0, len(data), size))
