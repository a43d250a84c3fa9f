"""`smsgw parts TEXT`: what becomes of a text on the air, before it costs anything."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, get_args

import click
import msgspec
from click.core import ParameterSource

from smsgw.channel_settings import ChannelSettings, NullSettings, SmppSettings
from smsgw.cli.common import Failed, TextCommand, configured
from smsgw.smpp.dialect import Dialect
from smsgw.sms.coding import MAX_PARTS, DefaultAlphabet, Form
from smsgw.sms.explain import Explanation, Outsider, PartShape, Saving, explain, savings
from smsgw.sms.shift_tables import LANGUAGES, LanguageName
from smsgw.sms.transliterate import Scope
from smsgw.sms.udh import MAX_OCTETS

SHOWN = 12
"""Characters listed one by one; a text in another script has hundreds."""

NAMES = {"gsm7": "GSM 7-bit", "ucs2": "UCS-2", "latin1": "Latin-1"}
JOINERS = "\u200c\u200d\ufe0e\ufe0f"
"""Invisible, and what makes one sign of several: a terminal must see them."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel allows."""

    languages: tuple[int, ...]
    form: Form
    default_alphabet: DefaultAlphabet
    max_parts: int
    scope: Scope


@click.command(cls=TextCommand)
@click.option(
    "--config",
    "-c",
    "file",
    type=click.Path(dir_okay=False),
    envvar="SMSGW_CONFIG",
    help="The gateway's configuration file, for --channel; also from SMSGW_CONFIG.",
)
@click.option("--channel", help="Take what is not given here from this channel.")
@click.option(
    "--encoding", type=click.Choice(["auto", "gsm7", "ucs2", "latin1"]), default="auto", show_default=True
)
@click.option(
    "--language",
    "languages",
    type=click.Choice(list(LANGUAGES)),
    multiple=True,
    help="A language whose shift tables may be used, instead of the channel's; may be given several times.",
)
@click.option(
    "--long-messages", "form", type=click.Choice(get_args(Form)), help="Default: the channel's, else udh."
)
@click.option("--max-parts", type=click.IntRange(1, MAX_PARTS), help="Default: the channel's, else 10.")
@click.option(
    "--transliterate",
    "scope",
    type=click.Choice(get_args(Scope)),
    help="What may be replaced so that the text fits GSM 7-bit. Default: the channel's, else off.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output; positions count from 0.")
@click.argument("text")
def parts(
    text: str, file: str | None, channel: str | None, encoding: Any, as_json: bool, **given: Any
) -> None:
    """Show how TEXT would be coded and cut, and why. TEXT `-` reads it from the standard input.

    Ends with status 1 where the text can't be sent like that.
    """
    source = click.get_current_context().get_parameter_source("file")
    if channel is None and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("--config goes with --channel")
    rules = _rules(rules_of(NullSettings() if channel is None else _channel(file, channel)), **given)
    text = _standard_input() if text == "-" else text
    found = explain(text, encoding, **msgspec.structs.asdict(rules))
    cheaper = savings(text, rules.form) if _could_be_cheaper(found, encoding) else ()
    click.echo(_json(found, cheaper) if as_json else "\n".join(lines(found, cheaper)))
    if found.problem is not None:
        raise Failed(found.problem)


def _rules(rules: Rules, languages: tuple[LanguageName, ...], **given: Any) -> Rules:
    """The rules with what the options say in their stead."""
    changes = {name: value for name, value in given.items() if value is not None}
    if languages:
        changes["languages"] = tuple(LANGUAGES[name] for name in languages)
    return msgspec.structs.replace(rules, **changes)


def _channel(file: str | None, name: str) -> ChannelSettings:
    if file is None:
        raise click.UsageError("--channel goes with --config")
    channels = configured(file, os.environ, secrets=()).channels
    if name not in channels:
        raise click.UsageError(f'--channel: there is no channel "{name}"; known: {", ".join(channels)}')
    return channels[name]


def rules_of(channel: ChannelSettings) -> Rules:
    """What a channel's settings allow."""
    dialect = channel.dialect if isinstance(channel, SmppSettings) else Dialect()
    return Rules(
        languages=tuple(LANGUAGES[language] for language in channel.languages),
        form=dialect.long_messages,
        default_alphabet=dialect.default_alphabet,
        max_parts=channel.max_parts,
        scope=channel.transliterate,
    )


def _standard_input() -> str:
    """Without the line end that `echo` and editors put last."""
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Failed(f"the standard input is not UTF-8 at octet {error.start}") from None


def _could_be_cheaper(found: Explanation, encoding: str) -> bool:
    """Also where it can't be sent because it takes too many parts."""
    return encoding == "auto" and found.encoding != "gsm7" and len(found.parts) != 1


def _json(found: Explanation, cheaper: tuple[Saving, ...]) -> str:
    told: dict[str, Any] = msgspec.to_builtins(found, builtin_types=(bytes,))
    for part in told["parts"]:
        part["payload"] = part["payload"].hex()
    return json.dumps({**told, "octets": found.octets, "cheaper": msgspec.to_builtins(cheaper)})


def lines(found: Explanation, cheaper: tuple[Saving, ...] = ()) -> Iterator[str]:
    """An explanation for people. Positions count from 1 here, as they do in the reasons."""
    if found.encoding is not None:
        yield f"encoding  {NAMES[found.encoding]}: {found.why}"
        yield f"length    {_length(found)}"
        yield f"on air    {_on_air(found)}"
    if found.replaced:
        yield f"replaced  {_count(found.replaced, 'character')}"
    for saving in cheaper:
        yield f"cheaper   {_count(saving.parts, 'part')} with {saving.setting}"
    if found.outsiders:
        yield from ("",) if found.encoding is not None or cheaper else ()
        yield "not in GSM 7-bit"
        yield from map(_outsider, found.outsiders[:SHOWN])
        if len(found.outsiders) > SHOWN:
            yield f"  and {len(found.outsiders) - SHOWN} more"
    for part in found.parts:
        yield ""
        yield _part(part, found)
        yield f'  "{_visible(part.text)}"'


def _length(found: Explanation) -> str:
    if len(found.parts) == 1:
        return f"{found.units} of {found.parts[0].room} {found.unit}: 1 part"
    return f"{found.units} {found.unit}: {len(found.parts)} parts of at most {found.parts[0].room}"


def _on_air(found: Explanation) -> str:
    if len(found.parts) == 1:
        return f"{found.octets} of {MAX_OCTETS} octets"
    return f"{found.octets} octets, headers included"


def _outsider(outsider: Outsider) -> str:
    often = f", {outsider.count} times" if outsider.count > 1 else ""
    code = f"U+{ord(outsider.character):04X}"
    name = "without a name" if outsider.name == code else outsider.name
    sign = _sign(outsider.character)
    return f"  {sign}  {code:<7}  {name}: character {outsider.position + 1}{often}"


def _sign(character: str) -> str:
    """Two columns wide."""
    if unicodedata.combining(character):
        return f"\u25cc{character} "
    if not character.isprintable():
        return "  "
    return character if unicodedata.east_asian_width(character) in "WF" else f"{character} "


def _part(part: PartShape, found: Explanation) -> str:
    return (
        f"part {part.number} of {len(found.parts)}: {part.units} of {part.room} {found.unit},"
        f" {_count(part.octets, 'octet')}"
    )


def _visible(text: str) -> str:
    """As it is, but for what would move the cursor, turn the writing round, or not be seen at all."""
    return "".join(
        character
        if character.isprintable() or character in JOINERS
        else character.encode("unicode_escape").decode()
        for character in text
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
