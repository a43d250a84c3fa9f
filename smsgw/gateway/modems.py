"""What operators ask of a modem: by the control socket, the command line or the Manhole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from smsgw.channel.gsm import GsmChannel, NotReady
from smsgw.errors import Misuse, SmsgwError

Asked: TypeAlias = Literal["info", "probe", "ussd"]


class NotAnswered(SmsgwError):
    """There is no answer, for the reason given."""


async def ask(
    channels: Mapping[str, object], name: str, what: Asked, code: str | None = None
) -> dict[str, object]:
    """`info`: what is known. `probe`: the modem is asked now. `ussd`: the network's answer to `code`.

    Raises:
        NotAnswered: no such modem, it is not ready, or the code can't be sent.
    """
    channel = channels.get(name)
    if not isinstance(channel, GsmChannel):
        modems = [each for each, found in channels.items() if isinstance(found, GsmChannel)]
        raise NotAnswered(f"no modem is called {name}; there are: {', '.join(modems) or 'none'}")
    if what == "info":
        return channel.session.info()
    try:
        if what == "probe":
            return await channel.session.probe()
        if not code:
            raise NotAnswered("ussd: a code is needed, such as *100#")
        return await channel.session.ussd(code)
    except (NotReady, Misuse) as error:
        raise NotAnswered(str(error)) from None
