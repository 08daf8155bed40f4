"""A network namespace and a table whose rows are those of a home agent and a mobile node at once."""

import itertools
import os
from collections.abc import Iterator

import pytest
from dual_stack_nodes import filled as filled

from unwired.bench.namespaces import Namespace
from unwired.dataplane import object_path
from unwired.dataplane.bpf_table import BpfTable

_numbers = itertools.count()


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.close()


@pytest.fixture
def table_name() -> str:
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def table(namespace: Namespace, table_name: str) -> Iterator[BpfTable]:
    with namespace:
        made = BpfTable(table_name, object_path(), capacity=1024)
    yield made
    made.remove()
