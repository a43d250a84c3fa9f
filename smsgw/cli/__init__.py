"""The command `smsgw`: one module for each subcommand.

All read the same configuration file as the daemon. Exit status: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import click

from smsgw import __version__
from smsgw.cli.bench import bench
from smsgw.cli.check import check
from smsgw.cli.demo import demo
from smsgw.cli.events import events
from smsgw.cli.modem import modem as ask_modem
from smsgw.cli.parts import parts
from smsgw.cli.send import send
from smsgw.simulator.command import smsc
from smsgw.simulator.modem.command import modem


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="smsgw")
def main() -> None:
    """An SMS gateway: queues on one side, message centres on the other."""


@main.group()
def simulate() -> None:
    """Stand-ins for what smsgw talks to, to test against."""


simulate.add_command(smsc)
simulate.add_command(modem)
for command in (ask_modem, bench, check, demo, events, parts, send):
    main.add_command(command)
