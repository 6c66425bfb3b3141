"""Declaration of sub-commands: help with defaults and examples, and completion for shells."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from rich_argparse import RichHelpFormatter

PROGRAM = "rasa-compressed-bert"
_EXAMPLES = "Examples:\n"
_NARROW = 60  # columns; on narrower terminals the help of an option is below its name
_PARTS = re.compile(r"--\S+(?: (?!--)(?:'[^']*'|[^\s>]+))?|> \S+|\S+")
_UNSAID = (None, False, argparse.SUPPRESS)


class Help(RichHelpFormatter):
    """Help that fits the terminal and shows defaults; texts are not read as markup."""

    group_name_formatter = str
    help_markup = False
    text_markup = False

    def __init__(self, prog: str, **options: Any) -> None:
        columns = shutil.get_terminal_size().columns
        super().__init__(prog, max_help_position=24 if columns >= _NARROW else 6, width=max(columns - 2, 20), **options)

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: Optional[str] = None) -> None:
        """On a narrow terminal, options are not listed in the usage of the program."""
        if self._width < _NARROW and usage is None and prefix is None:  # not for the prog of sub-commands
            needed = [str(action.metavar or action.dest) for action in actions if not action.option_strings]
            usage = " ".join(["\n  %(prog)s\n ", "[options]", *needed])
        super().add_usage(usage, actions, groups, prefix)

    def _get_help_string(self, action: argparse.Action) -> Optional[str]:
        text = action.help
        if not text or not action.option_strings or "(default" in text or action.default in _UNSAID:
            return text
        return f"{text} (default: %(default)s)"

    def _rich_fill_text(self, text: Any, width: int, indent: Any) -> Any:
        if not text.plain.startswith(_EXAMPLES):
            return super()._rich_fill_text(text, width, indent)
        filled = text.copy()
        filled.plain = "\n".join([_EXAMPLES.strip(), *_commands_within(text.plain.splitlines()[1:], width)]) + "\n\n"
        return filled


def _commands_within(commands: Sequence[str], width: int) -> Sequence[str]:
    """Commands that can be copied: long ones continue on the next line, and options stay together with their values."""
    lines = []
    for command in commands:
        start, line = "  ", ""
        for part in _PARTS.findall(command):
            if line and len(f"{start}{line} {part} \\") > width:
                lines.append(f"{start}{line} \\")
                start, line = "    ", ""
            line = f"{line} {part}".strip()
        lines.append(start + line)
    return lines


def add_command(
    commands: argparse._SubParsersAction,
    name: str,
    *,
    run: Callable[[argparse.Namespace], None],
    help: str,
    examples: Sequence[str],
    description: str = "",
) -> argparse.ArgumentParser:
    """Declares a sub-command.

    Args:
        commands: the sub-commands of the command line.
        name: name of the sub-command.
        run: function that executes it.
        help: one-line description.
        examples: commands without the name of the program.
        description: longer description; by default the one-line description.
    """
    lines = [f"{PROGRAM} {example}" for example in examples]
    parser = commands.add_parser(
        name,
        help=help,
        description=description or f"{help[0].upper()}{help[1:]}.",
        epilog="\n".join([_EXAMPLES.strip(), *lines]),
        formatter_class=Help,
    )
    parser.set_defaults(run=run)
    add_verbosity(parser, default=argparse.SUPPRESS)
    return parser


def add_verbosity(parser: argparse.ArgumentParser, *, default: Any = False) -> None:
    """Declares `--quiet` and `--verbose`, which may come before or after the name of a sub-command."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--quiet", action="store_true", default=default, help="write only results and errors")
    group.add_argument("--verbose", action="store_true", default=default, help="write more messages to standard error")


class PrintCompletion(argparse.Action):
    """Writes a script for a shell to complete sub-commands, options and files."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        """Writes the script for the given shell, and exits."""
        import shtab  # takes as long to import as the rest of `--help`

        for one in [parser, *_parsers_below(parser)]:
            for action in one._actions:
                if action.type is Path:
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
        sys.stdout.write(shtab.complete(parser, values))
        parser.exit()


def _parsers_below(parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [command for action in below for command in action.choices.values()]
