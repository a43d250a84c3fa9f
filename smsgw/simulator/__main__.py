"""`python -m smsgw.simulator`: the same as `smsgw simulate smsc`."""

from smsgw.simulator.command import smsc

smsc()
