"""What all tests share: fixtures come from the plugins beside this file."""

import sys
from pathlib import Path

import pytest

# At the end, so that nothing here can hide a module that is installed.
sys.path.append(str(Path(__file__).parent))

pytest_plugins = ["plugins_processes", "plugins_rabbitmq", "plugins_reactor"]

pytest.register_assert_rewrite("broker.contract")
