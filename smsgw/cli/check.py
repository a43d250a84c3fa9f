"""`smsgw check FILE`: says whether a configuration is right, and starts nothing.

It makes of the file what the daemon makes of it, and then starts none of it.
"""

from __future__ import annotations

import click

from smsgw.channel_settings import queue_of
from smsgw.cli.common import Failed
from smsgw.errors import ConfigError
from smsgw.loading import remarks


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
def check(file: str) -> None:
    """Check the configuration in FILE: one line for each thing that is wrong.

    Secrets, certificates and keys are read, so run it as the gateway's user. Nothing is connected to.
    """
    from twisted.internet import reactor  # noqa: PLC0415  importing it installs one

    from smsgw.tap import assembled  # noqa: PLC0415  imports all of the gateway

    try:
        configuration, _ = assembled(file, reactor)
    except ConfigError as error:
        raise Failed(str(error)) from None
    for name, channel in configuration.channels.items():
        click.echo(f"channel {name}: fed from queue {queue_of(name, channel)}, width {channel.width}")
    for remark in remarks(configuration):
        click.echo(f"{file}: {remark.path}: {remark.text}")
    click.echo(f"{file}: correct")
