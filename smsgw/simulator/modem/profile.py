"""What a modem was told and forgets with every restart, ATZ and AT&F."""

from __future__ import annotations

from smsgw.simulator.modem.shared import Shared


class Profile:
    """Named as the commands are. `cnmi` is mode, mt, bm, ds, bfr."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.default()

    def default(self) -> None:
        behaviour, family = self._shared.behaviour, self._shared.family
        self.echo = family.echo if behaviour.echo is None else behaviour.echo
        self.verbose = True
        self.quiet = False
        self.cmee = 0
        self.cmgf = 0
        self.csms = 0
        self.cmms = 0
        self.cscs = "IRA" if "IRA" in family.charsets else "GSM"
        self.cnmi = [int(each) for each in family.indication.split(",")]
        self.registrations = {"+CREG": 0, "+CGREG": 0, "+CEREG": 0}
        self.cusd = 0
        self.registers: dict[str, str] = {}

    def spelt(self, text: str) -> str:
        """A text within quotes, in the character set of AT+CSCS."""
        if self.cscs == "UCS2":
            return text.encode("utf-16-be").hex().upper()
        return text.encode("ascii", "replace").hex().upper() if self.cscs == "HEX" else text

    def read(self, text: str) -> str | None:
        """The reverse; None for what is not in that set."""
        try:
            if self.cscs == "UCS2":
                return bytes.fromhex(text).decode("utf-16-be")
            return bytes.fromhex(text).decode("ascii") if self.cscs == "HEX" else text
        except (ValueError, UnicodeDecodeError):
            return None
