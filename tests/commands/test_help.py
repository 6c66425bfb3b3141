"""The help and the shell completion of every sub-command."""

import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from rasa_compressed_bert.__main__ import _COMMANDS, _parser, main

ROOT = Path(__file__).parents[2]
NAMES = [command.__name__.rpartition(".")[2].replace("_", "-") for command in _COMMANDS]
WORDS = (*([name] for name in NAMES), [])


def help_of(words, monkeypatch, capsys, *, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("words", WORDS, ids=lambda words: " ".join(words) or "no sub-command")
def test_help_fits_the_terminal_and_its_examples_can_be_parsed(words, monkeypatch, capsys, columns):
    text = help_of(words, monkeypatch, capsys, columns=columns)
    assert max(map(len, text.splitlines())) <= columns and "\x1b" not in text
    examples = text.partition("Examples:\n")[2].replace("\\\n", " ").splitlines()
    assert examples
    for example in examples:
        program, *arguments = shlex.split(example.partition(" > ")[0])
        assert program == "rasa-compressed-bert"
        if "--help" not in arguments:
            assert _parser().parse_args(arguments).command in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_help_says_defaults(name, monkeypatch, capsys):
    text = " ".join(help_of([name], monkeypatch, capsys, columns=400).split())
    (commands,) = (action for action in _parser()._actions if action.dest == "command")
    for action in commands.choices[name]._actions:
        if action.option_strings and action.default and action.default != "==SUPPRESS==":
            assert f"(default: {action.default})" in text
    assert "None" not in text and "False" not in text


def test_help_needs_neither_numpy_nor_tensorflow():
    code = "import sys; from rasa_compressed_bert.__main__ import _parser; _parser().format_help(); "
    code += "print(*{'numpy', 'tensorflow', 'rasa', 'matplotlib', 'tqdm', 'shtab'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=str(ROOT), capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_sub_commands_and_options(shell, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--print-completion", shell])
    script = capsys.readouterr().out
    assert stopped.value.code == 0 and all(name in script for name in NAMES) and "max-messages" in script


def test_bash_completes(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    (tmp_path / "completion").write_text(capsys.readouterr().out, encoding="utf-8")
    (tmp_path / "model.tar.gz").write_text("")
    command = """source completion; complete=$(complete -p rasa-compressed-bert); [[ $complete =~ -F\\ ([^ ]+) ]]
    function=${BASH_REMATCH[1]}
    for words in "ins" "inspect --la" "inspect mod"; do
        COMP_WORDS=(rasa-compressed-bert $words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
        $function; echo "${COMPREPLY[@]}"
    done"""
    done = subprocess.run(["bash", "-c", command], cwd=str(tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["inspect", "--latency", "model.tar.gz"]


def on_a_terminal(arguments, *, columns, **environment):
    """The output of a sub-command on a terminal of a given width."""
    terminal, end = pty.openpty()
    ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environ = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    environ.update(TERM="xterm-256color", PYTHONPATH=str(ROOT), **environment)
    command = [sys.executable, "-m", "rasa_compressed_bert", *arguments]
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environ, close_fds=True) as process:
        os.close(end)
        written = b""
        while select.select([terminal], [], [], 60)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # Linux raises it at the end of the output
                break
            if not part:
                break
            written += part
    os.close(terminal)
    return process.returncode, written.decode("utf-8")


def test_a_terminal_has_colours_unless_they_are_refused():
    status, text = on_a_terminal(["inspect", "--help"], columns=40)
    assert status == 0 and "\x1b[3" in text
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= 40
    _, text = on_a_terminal(["inspect", "--help"], columns=40, NO_COLOR="1")
    assert not re.search(r"\x1b\[(\d+;)*(3|9|4)\d", text)
