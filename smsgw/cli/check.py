"""`smsgw check FILE`: says whether a configuration is right, and starts nothing."""

from __future__ import annotations

import os

import click

from smsgw.channel_settings import queue_of
from smsgw.cli.common import configured


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
def check(file: str) -> None:
    """Check the configuration in FILE: one line for each thing that is wrong."""
    configuration = configured(file, os.environ)
    for name, channel in configuration.channels.items():
        click.echo(f"channel {name}: fed from queue {queue_of(name, channel)}, width {channel.width}")
    click.echo(f"{file}: correct")
