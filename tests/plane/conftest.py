"""A set's authority and certificates, made once for the run, and loopback addresses that nobody else uses."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from unwired.core.settings import Member
from unwired.plane.certificates import Credentials, create_authority, create_member
from unwired.wire.address import parse_address

_sets = itertools.count()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return create_authority(tmp_path_factory.mktemp("authority"), "set-ca")


@pytest.fixture
def members() -> Callable[[int], tuple[Member, ...]]:
    """That many members with locators in 127/8 that no other test of this run or of another one has."""
    process, number = os.getpid(), next(_sets)

    def make(count: int) -> tuple[Member, ...]:
        base = f"127.{16 + process % 200}.{(process // 200 * 16 + number) % 250}."
        return tuple(
            Member(f"m{place}", parse_address(f"2001:db8::{place}"), parse_address(f"{base}{place}"))
            for place in range(1, count + 1)
        )

    return make


@pytest.fixture
def credentials(tmp_path: Path, authority: tuple[Path, Path]) -> Callable[[Member], Credentials]:
    def make(member: Member) -> Credentials:
        if not (tmp_path / f"{member.name}.crt").exists():
            create_member(tmp_path, *authority, member.name, member.locator)
        return Credentials(tmp_path / f"{member.name}.crt", tmp_path / f"{member.name}.key", authority[0])

    return make
