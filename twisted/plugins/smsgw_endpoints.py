"""Makes `serial:` endpoint strings exist for every Twisted program on this machine."""

from smsgw.gsm.serial import SerialParser

serial = SerialParser()
