"""Plots as SVG whose octets change only with the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "smsgw", "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3})

from matplotlib import pyplot as plt  # noqa: E402  the backend has to be chosen first

Points = Sequence[tuple[float, float]]


class Panel(NamedTuple):
    """`lines` are measured, `ideals` are dashed."""

    x: str
    y: str
    lines: Mapping[str, Points]
    ideals: Mapping[str, Points] = {}
    log: bool = False


def plot(path: Path, panels: Sequence[Panel]) -> None:
    """The panels beside each other."""
    figure, axes = plt.subplots(1, len(panels), figsize=(6 * len(panels), 4.5), squeeze=False)
    for panel, ax in zip(panels, axes[0], strict=True):
        for name, points in panel.lines.items():
            ax.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name)
        for name, points in panel.ideals.items():
            ax.plot(*zip(*points, strict=True), linestyle="--", color="grey", linewidth=1, label=name)
        if panel.log:
            ax.set_xscale("log")
            ax.set_yscale("log")
        else:
            ax.set_ylim(bottom=0)
        ax.set_xlabel(panel.x)
        ax.set_ylabel(panel.y)
        ax.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def bars(path: Path, unit: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """One bar for each row, made of its shares."""
    figure, ax = plt.subplots(figsize=(9, 0.5 * len(rows) + 1))
    names = list(rows)[::-1]
    left = [0.0] * len(names)
    for share in next(iter(rows.values())):
        widths = [rows[name][share] for name in names]
        ax.barh(names, widths, left=left, label=share)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    ax.set_xlabel(unit)
    ax.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
