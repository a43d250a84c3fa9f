"""The fixture `rabbitmq`: one RabbitMQ node for the whole session, our own, on loopback."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _node_module() -> ModuleType:
    """tests/broker/rabbitmq.py; the tests' folders are no packages."""
    name = "smsgw_tests_rabbitmq"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "broker" / "rabbitmq.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A running `RabbitNode`; skipped where RabbitMQ is not installed."""
    node_module = _node_module()
    if node_module.sbin() is None:
        pytest.skip("RabbitMQ is not installed: apt-get install rabbitmq-server")
    node = node_module.RabbitNode(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        yield node
    finally:
        node.close()
