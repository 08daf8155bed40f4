"""Arrows point one way, and the engines and codecs touch nothing outside: the house rules as a test."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "unwired"
MAY_IMPORT = {
    "wire": {"wire"},
    "core": {"wire", "core"},
    "dataplane": {"wire", "core", "dataplane"},
    "plane": {"wire", "core", "plane"},
    "store": {"wire", "core", "store"},
    "sim": {"wire", "core", "dataplane", "plane", "store", "sim"},
    "host": {"wire", "core", "dataplane", "plane", "store", "host"},
    "doctor": {"wire", "core", "dataplane", "plane", "store", "host", "doctor"},
}
PURE = {"wire", "core"}
FORBIDDEN_WHEN_PURE = {
    "asyncio", "datetime", "io", "logging", "os", "pathlib", "random", "secrets", "select", "socket", "subprocess",
    "threading", "time", "uuid",
}  # fmt: skip
MODULES = sorted(SOURCE.rglob("*.py"))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_imports_only_what_it_may(path: Path) -> None:
    package = path.relative_to(SOURCE).parts[0]
    for name in _imported(path):
        parts = name.split(".")
        if package in MAY_IMPORT and parts[0] == "unwired" and len(parts) > 1 and (SOURCE / parts[1]).is_dir():
            assert parts[1] in MAY_IMPORT[package], f"{package} must not import {name}"
        if package in PURE:
            assert parts[0] not in FORBIDDEN_WHEN_PURE, f"{package} is pure and must not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_has_a_docstring_and_a_readable_size(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{path} says nothing about itself"
    assert text.count("\n") <= 700, f"{path} is too long: is there a seam to cut at?"


def test_rules_see_violations() -> None:
    """The checks above can fail: an import of asyncio is seen as one."""
    assert list(_imported(SOURCE / "core" / "door.py"))
    assert any("core" in path.parts for path in MODULES)
