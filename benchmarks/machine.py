"""On what was measured: every page says so, since a figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from rabbitmq import sbin
from test_cost import spent, yardstick

ROOT = Path(__file__).parents[1]


def facts() -> list[str]:
    """Lines for a page."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return [
        f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, smsgw {commit()}",
        f"{model()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; "
        f"load before: {load:.1f}; the yardstick of tests/test_cost.py takes {speed():.2f} ms",
        f"{platform.python_implementation()} {platform.python_version()}, Twisted {version('twisted')}, "
        f"SQLite {sqlite3.sqlite_version}, {rabbitmq()}",
    ]


def speed() -> float:
    """Milliseconds of a fixed loop: what shares a machine makes it faster at one time than at another."""
    return min(spent(yardstick) for _ in range(50)) / 1e6


def model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def rabbitmq() -> str:
    place = sbin()
    return f"RabbitMQ {place.parent.name.partition('-')[2]}" if place else "no RabbitMQ"


def commit() -> str:
    """The version that was measured; `+` where it was changed since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "smsgw", "benchmarks")
    return (git("rev-parse", "--short", "HEAD") or version("smsgw")) + ("+" if changed else "")
