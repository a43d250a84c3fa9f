"""The tables `[channels.NAME]`, one struct for each type of channel: pure.

`smsgw.config` reads them; `impossible` says what is fine one by one and can't work together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

import msgspec

from smsgw.broker.topology import RETRY_STEPS
from smsgw.gsm.port import PREFIX, port_of
from smsgw.gsm.settings import Settings as ModemSettings
from smsgw.smpp.connection import Timers
from smsgw.smpp.dialect import ALPHANUMERIC_LENGTH, AddressRule, Dialect, address
from smsgw.smpp.fields import EncodeError
from smsgw.sms.coding import MAX_PARTS
from smsgw.sms.shift_tables import LanguageName
from smsgw.sms.transliterate import Scope
from smsgw.strict import Duration, Problem, Secret, shown

Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Width: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Rate: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
SOCKETS = ("tcp", "tls", "ssl")
MAX_PORT = 65_535
QUIET = r"(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d"


class Common(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What every channel has. `rate` is in parts per second for the whole channel; 0 is no limit.

    `languages` are those whose shift tables may be used where that takes fewer parts than UCS-2;
    `transliterate` is what may be replaced so that a text fits GSM 7-bit.
    """

    queue: Name | None = None
    width: Width = 10
    rate: Rate = 0.0
    from_: str | None = None
    max_parts: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)] = 10
    languages: tuple[LanguageName, ...] = ()
    transliterate: Scope = "off"
    retry: tuple[Duration, ...] = tuple(Duration(step) for step in RETRY_STEPS)


class SmppTimers(msgspec.Struct, frozen=True, kw_only=True):
    """`[channels.NAME.timers]`, the SMPP timers of clause 7.2; 0 switches one off."""

    session_init: Duration = Duration(10)
    enquire_link: Duration = Duration(30)
    inactivity: Duration = Duration(0)
    response: Duration = Duration(60)
    unbind: Duration = Duration(5)

    @property
    def seconds(self) -> Timers:
        return Timers(**msgspec.structs.asdict(self))


class SmppSettings(Common, frozen=True, kw_only=True):
    """`[channels.NAME]` with `type = "smpp"`."""

    endpoint: str
    system_id: Annotated[str, msgspec.Meta(max_length=15)]
    password: Secret = Secret("")
    system_type: Annotated[str, msgspec.Meta(max_length=12)] = ""
    address_range: Annotated[str, msgspec.Meta(max_length=40)] = ""
    bind: Literal["transceiver", "transmitter", "receiver", "pair"] = "transceiver"
    interface_version: Literal["3.3", "3.4", "5.0"] = "3.4"
    sessions: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    account: Name | None = None
    reconnect: Duration = Duration(5)
    rebind: Duration = Duration(60)
    dialect: Dialect = Dialect()
    timers: SmppTimers = SmppTimers()


class NullSettings(Common, frozen=True, kw_only=True):
    """`[channels.NAME]` with `type = "null"`: takes everything, at once or after `delay`."""

    delay: Duration = Duration(0)


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`budget` of a modem: parts in each minute, hour, day and month of the calendar, in local time."""

    minute: Positive | None = None
    hour: Positive | None = None
    day: Positive | None = None
    month: Positive | None = None


class GsmTimers(msgspec.Struct, frozen=True, kw_only=True):
    """`[channels.NAME.timers]` of a modem, as in `smsgw.gsm.settings`."""

    submit: Duration = Duration(60)
    registration: Duration = Duration(180)
    sim: Duration = Duration(60)
    idle: Duration = Duration(60)
    boot: Duration = Duration(3)
    restart: Duration = Duration(30)
    ussd: Duration = Duration(60)


class GsmSettings(Common, frozen=True, kw_only=True):
    """`[channels.NAME]` with `type = "gsm"`: one modem, which sends one message at a time.

    `from` is the number of its SIM: messages from phones are to it, and no message can be from another.
    `reconnect` is the longest pause before the port is opened again, `recover` the longest after a modem
    that could not be made ready. `reset_command` is run, without a shell, when nothing else has helped.
    """

    endpoint: str
    width: Literal[1] = 1
    pin: Secret | None = None
    imei: str | None = None
    imsi: str | None = None
    smsc: str | None = None
    receive: Literal["auto", "direct", "stored"] = "auto"
    budget: Budget = Budget()
    quiet: str | None = None
    loop: Annotated[int, msgspec.Meta(ge=0)] = 20
    poll: Duration = Duration(60)
    reset_command: tuple[str, ...] = ()
    reconnect: Duration = Duration(5)
    recover: Duration = Duration(600)
    timers: GsmTimers = GsmTimers()

    @property
    def modem(self) -> ModemSettings:
        """What the modem's connection needs to know."""
        return ModemSettings(
            pin=self.pin.reveal() if self.pin else None,
            imei=self.imei,
            imsi=self.imsi,
            smsc=self.smsc,
            receive=self.receive,
            poll=self.poll,
            **msgspec.structs.asdict(self.timers),
        )


ChannelSettings: TypeAlias = SmppSettings | NullSettings | GsmSettings

CHANNEL_TYPES: dict[str, type[ChannelSettings]] = {
    "smpp": SmppSettings,
    "gsm": GsmSettings,
    "null": NullSettings,
}


def queue_of(name: str, channel: ChannelSettings) -> str:
    """The queue that feeds a channel: its own name, unless it says otherwise."""
    return channel.queue or name


def account_of(name: str, channel: ChannelSettings) -> str:
    """The scope of SMSC message ids: the channel's own name, unless it says otherwise."""
    return (channel.account if isinstance(channel, SmppSettings) else None) or name


def impossible(path: str, channel: ChannelSettings) -> Iterator[Problem]:
    """Settings of one channel that can't work, or not together."""
    if isinstance(channel, GsmSettings):
        yield from _impossible_gsm(path, channel)
        return
    yield from _impossible_sender(path, channel)
    if isinstance(channel, SmppSettings):
        yield from _impossible_smpp(path, channel)


def _impossible_sender(path: str, channel: ChannelSettings) -> Iterator[Problem]:
    """By the rules of the channel's own addresses; something without letters is meant as a number."""
    if channel.from_ is None:
        return
    rule = channel.dialect.source if isinstance(channel, SmppSettings) else AddressRule()
    expected = f"expected digits, + and digits, or a name of 1 to {ALPHANUMERIC_LENGTH} characters"
    number = re.fullmatch(r"\+?[0-9]+", channel.from_)
    try:
        address(channel.from_, rule, "from")
    except EncodeError as error:
        yield Problem(f"{path}.from", f"{error.problem}; {expected}, found {shown(channel.from_)}")
    else:
        if not number and not any(character.isalpha() for character in channel.from_):
            yield Problem(f"{path}.from", f"{expected}, found {shown(channel.from_)}")


def _impossible_smpp(path: str, channel: SmppSettings) -> Iterator[Problem]:
    if not _is_address(channel.endpoint):
        yield Problem(
            f"{path}.endpoint",
            f"expected tcp:HOST:PORT, tls:HOST:PORT or unix:PATH, found {shown(channel.endpoint)}",
        )
    if len(channel.password.reveal()) > 8:
        yield Problem(f"{path}.password", "SMPP has room for 8 characters; this one is longer")
    if channel.interface_version == "3.3" and channel.bind == "transceiver":
        yield Problem(
            f"{path}.bind", 'SMPP 3.3 has no transceiver; expected "transmitter", "receiver" or "pair"'
        )
    total, timeout = channel.width * channel.sessions, channel.timers.response
    if channel.rate and timeout and total / channel.rate > timeout / 2:
        yield Problem(
            f"{path}.width",
            f"{total} in flight at {channel.rate:g} parts per second take {total / channel.rate:g} s, "
            f"more than half of the response timeout ({timeout:g} s): responses would come too late",
        )


def _is_address(endpoint: str) -> bool:
    """A host and a port, or a path. What else an endpoint says, and in which words, Twisted knows."""
    kind, *arguments = re.split(r"(?<!\\):", endpoint)
    named = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    places = [argument for argument in arguments if "=" not in argument]
    if kind == "unix":
        return bool(named.get("path") or "".join(places[:1]))
    host = named.get("host") or "".join(places[:1])
    port = named.get("port") or "".join(places[-1:] if "host" in named else places[1:2])
    return kind in SOCKETS and bool(host) and port.isdecimal() and 1 <= int(port[:6]) <= MAX_PORT


_FORMS = {
    "imei": (r"[0-9]{15}", "15 digits"),
    "imsi": (r"[0-9]{14,15}", "14 or 15 digits"),
    "smsc": (r"\+?[0-9]{3,20}", "digits, with a + where the number is international"),
    "quiet": (QUIET, 'hours of local time such as "22:00-07:00"'),
    "from_": (r"\+?[0-9]{3,20}", "the number of the SIM: a modem can't send from another"),
}


def _impossible_gsm(path: str, channel: GsmSettings) -> Iterator[Problem]:
    for name, (form, expected) in _FORMS.items():
        found = getattr(channel, name)
        if found is not None and not re.fullmatch(form, found):
            yield Problem(f"{path}.{name.rstrip('_')}", f"expected {expected}, found {shown(found)}")
    if channel.quiet is not None and len(set(channel.quiet.split("-"))) == 1:
        yield Problem(f"{path}.quiet", f"no hour is left to send in; found {shown(channel.quiet)}")
    for name in channel.timers.__struct_fields__:
        if not getattr(channel.timers, name):
            yield Problem(f"{path}.timers.{name}", "a modem needs time: expected more than 0")
    if not channel.poll:
        yield Problem(f"{path}.poll", "expected more than 0")
    if channel.pin is not None and not re.fullmatch(r"[0-9]{4,8}", channel.pin.reveal()):
        yield Problem(f"{path}.pin", "a PIN has 4 to 8 digits; this one has not")
    if channel.endpoint.startswith(f"{PREFIX}:"):
        try:
            port_of(channel.endpoint)
        except ValueError as error:
            yield Problem(f"{path}.endpoint", str(error))
    elif not _is_address(channel.endpoint):
        expected = f"serial:DEVICE or tcp:HOST:PORT, found {shown(channel.endpoint)}"
        yield Problem(f"{path}.endpoint", f"expected {expected}")
