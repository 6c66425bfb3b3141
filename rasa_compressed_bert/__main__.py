"""The command line: `rasa-compressed-bert`, or `python -m rasa_compressed_bert`."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Any, Optional, Sequence

from rasa_compressed_bert import __version__
from rasa_compressed_bert.commands import (
    augment,
    benchmark,
    export,
    init,
    inspect,
    package_spacy,
    report,
    search,
    sensitivity,
)
from rasa_compressed_bert.commands.help import PROGRAM, Help, PrintCompletion, add_verbosity
from rasa_compressed_bert.commands.quiet import silence_libraries
from rasa_compressed_bert.errors import CompressedBertError
from rasa_compressed_bert.reporting.printable import as_printable

_COMMANDS = (init, inspect, report, benchmark, sensitivity, augment, export, package_spacy, search)
_FAILED = 2
_INTERRUPTED = 130  # 128 + SIGINT, as in shells
_EXAMPLES = f"""Examples:
{PROGRAM} init
{PROGRAM} inspect models
{PROGRAM} benchmark models/a.tar.gz models/b.tar.gz --nlu test.yml
{PROGRAM} search --help"""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs a sub-command and returns the exit status: 0, 2 after an error, or 130 after Ctrl-C."""
    _write_what_can_be_encoded()
    arguments = _parser().parse_args(argv)
    level = logging.ERROR if arguments.quiet else logging.INFO if arguments.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", handlers=[_StandardError()])
    silence_libraries()
    try:
        arguments.run(arguments)
    except CompressedBertError as error:
        sys.stderr.write(f"{as_printable(str(error))}\n")
        return _FAILED
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"\n{' '.join(('Stopped.', *stop.args))}\n")
        return _INTERRUPTED
    except BrokenPipeError:  # `... | head`
        sys.stderr.close()
    except OSError as error:  # such as a full disk, or a file without read permission
        sys.stderr.write(f"{error}\n")
        return _FAILED
    return 0


class _StandardError(logging.StreamHandler):
    """Writes to the current `sys.stderr`, which a progress bar replaces so that it stays below the messages."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record, with control characters escaped."""
        return as_printable(super().format(record))


def _write_what_can_be_encoded() -> None:
    """Replaces characters that the encoding of a terminal or pipe lacks, as on Windows, by question marks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)  # missing on a replaced stream
        if reconfigure:
            reconfigure(errors="replace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Inspects trained models, compares them, searches for better options, and packages them.",
        epilog=_EXAMPLES,
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=("bash", "zsh", "tcsh"),
        metavar="SHELL",
        help='write the completion script for bash, zsh or tcsh: eval "$(%(prog)s --print-completion bash)"',
    )
    add_verbosity(parser)
    commands = parser.add_subparsers(title="sub-commands", dest="command", metavar="COMMAND")
    commands.required = True
    for command in _COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
