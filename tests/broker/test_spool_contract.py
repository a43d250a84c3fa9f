"""The spool, against what every broker must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from broker.contract import BrokerContract, MakeBroker

from smsgw.broker.spool import Spool


class TestSpool(BrokerContract):
    @pytest.fixture
    def make_broker(self, tmp_path: Path, reactor_thread: Any) -> MakeBroker:
        return lambda topology: Spool(tmp_path / "spool.db", topology, reactor_thread)
