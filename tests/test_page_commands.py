"""The commands that pages show: their options exist, in our command line or in Rasa's."""

import re
import shlex
from pathlib import Path

import pytest
from rasa.__main__ import create_argument_parser

from rasa_compressed_bert.__main__ import _parser

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("example_bot*/README.md")]
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*((?:rasa|rasa-compressed-bert) .+)")
BLOCK, INLINE = re.compile(r"```.*?```", flags=re.DOTALL), re.compile(r"`([^`]+)`")
PARSERS = {"rasa": create_argument_parser(), "rasa-compressed-bert": _parser()}


def commands():
    lines = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        lines += [line for block in BLOCK.findall(text) for line in block.splitlines()]
        lines += [" ".join(code.split()) for code in INLINE.findall(BLOCK.sub("", text))]
    found = {match[1].strip() for match in map(COMMAND.fullmatch, lines) if match}
    alone = re.compile(r"rasa-compressed-bert [a-z-]+")  # the name of a sub-command in a sentence
    return sorted(command for command in found if not alone.fullmatch(command))


def test_there_are_commands():
    found = commands()
    assert len(found) > 30 and "rasa run --enable-api" in found
    assert any(command.startswith("rasa-compressed-bert search --questions") for command in found)


@pytest.mark.parametrize("command", commands())
def test_a_command_has_only_options_that_exist(command, capsys):
    program, *arguments = shlex.split(command)
    try:
        _, unknown = PARSERS[program].parse_known_args(arguments)
    except SystemExit:
        pytest.fail(capsys.readouterr().err)
    assert not unknown
