"""The command line: `rasa-compressed-bert`, or `python -m rasa_compressed_bert`."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Optional, Sequence

from rasa_compressed_bert import __version__
from rasa_compressed_bert.commands import augment, benchmark, export, inspect, package_spacy, search, sensitivity
from rasa_compressed_bert.commands.quiet import silence_libraries
from rasa_compressed_bert.errors import CompressedBertError

_COMMANDS = (inspect, benchmark, sensitivity, augment, export, package_spacy, search)
_FAILED = 2
_INTERRUPTED = 130  # as shells have it


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs a sub-command; returns the exit status: 2 for what this package refuses, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s")
    silence_libraries()
    try:
        arguments.run(arguments)
    except CompressedBertError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"\n{' '.join(('Stopped.', *stop.args))}\n")
        return _INTERRUPTED
    except BrokenPipeError:  # `... | head`
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rasa-compressed-bert", description="Look into and compare trained models.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--verbose", action="store_true", help="say more on standard error")
    commands = parser.add_subparsers(title="sub-commands", dest="command", metavar="COMMAND")
    commands.required = True
    for command in _COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
