"""Every structure and number that Python shares with the programs is what the object's debug information says."""

import json
import subprocess
from typing import Any

import pytest

from unwired.dataplane import object_path
from unwired.dataplane.layout import (
    LAYOUTS,
    LISTEN_TO_MEMBERS,
    MARK_FROM_MEMBER,
    ROWS_LAYOUT,
    SETTING_MEMBERS,
    Counter,
    Layout,
    MemberAddressKind,
)
from unwired.dataplane.libbpf import BpfObject, Libbpf


@pytest.fixture(scope="module")
def types() -> dict[int, dict[str, Any]]:
    dump = subprocess.run(
        ["bpftool", "btf", "dump", "file", str(object_path()), "--json"], capture_output=True, check=True
    )
    return {item["id"]: item for item in json.loads(dump.stdout)["types"]}


def _find(types: dict[int, dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = (item for item in types.values() if item["kind"] == kind and item["name"] == name)
    return found


def _size(types: dict[int, dict[str, Any]], number: int) -> int:
    item = types[number]
    if item["kind"] == "ARRAY":
        return int(item["nr_elems"]) * _size(types, item["type_id"])
    return int(item["size"]) if "size" in item else _size(types, item["type_id"])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_structure(layout: Layout, types: dict[int, dict[str, Any]]) -> None:
    structure = _find(types, "STRUCT", layout.name)
    offset = 0
    expected = []
    for name, code in layout.fields:
        size = Layout("", ((name, code),)).size
        expected.append((name, offset, size))
        offset += size
    found = [
        (member["name"], member["bits_offset"] // 8, _size(types, member["type_id"])) for member in structure["members"]
    ]
    assert found == expected
    assert structure["size"] == layout.size


def test_counters(types: dict[int, dict[str, Any]]) -> None:
    values = {value["name"]: value["val"] for value in _find(types, "ENUM", "counter")["values"]}
    assert values.pop("COUNTER_COUNT") == len(Counter)
    assert values == {f"COUNTER_{counter.name}": counter.value for counter in Counter}


def test_kinds_of_member_addresses(types: dict[int, dict[str, Any]]) -> None:
    values = {value["name"]: value["val"] for value in _find(types, "ENUM", "member_address_kind")["values"]}
    assert values == {f"MEMBER_{kind.name}": kind.value for kind in MemberAddressKind}


def test_maps_hold_the_structures() -> None:
    library = Libbpf()
    opened = BpfObject(library, object_path())
    try:
        sizes = {layout.name: layout.size for layout in LAYOUTS}
        shapes = {name: opened.map_shape(name) for name in opened.map_names()}
        assert (shapes["forwards"].key_size, shapes["forwards"].value_size) == (
            sizes["forward_key"],
            sizes["forward_row"],
        )
        assert (shapes["accepts"].key_size, shapes["accepts"].value_size) == (sizes["accept_key"], sizes["accept_row"])
        assert (shapes["listens"].key_size, shapes["listens"].value_size) == (sizes["listen_key"], sizes["listen_row"])
        assert (shapes["tunnels"].key_size, shapes["tunnels"].value_size) == (4, sizes["tunnel_row"])
        assert (shapes["members"].key_size, shapes["members"].value_size) == (sizes["member_key"], sizes["member_row"])
        assert (shapes["member_addresses"].key_size, shapes["member_addresses"].value_size) == (
            sizes["member_address_key"],
            sizes["member_address_row"],
        )
        assert shapes["tunnel_counters"].value_size == sizes["tunnel_counters"]
        assert shapes["settings"].value_size == sizes["settings"]
        assert shapes["counters"].capacity >= len(Counter)
    finally:
        opened.close()


def test_numbers_that_debug_information_does_not_have() -> None:
    directory = object_path().parents[1] / "bpf"
    rows, members = ((directory / name).read_text() for name in ("rows.h", "members.h"))
    assert f"#define ROWS_LAYOUT {ROWS_LAYOUT}\n" in rows
    assert LISTEN_TO_MEMBERS == 1 << 0 and "#define LISTEN_TO_MEMBERS (1 << 0)" in rows
    assert SETTING_MEMBERS == 1 << 5 and "#define SETTING_MEMBERS (1 << 5)\n" in rows
    assert MARK_FROM_MEMBER == 1 << 29 and "#define MARK_FROM_MEMBER (1U << 29)\n" in members
