#!/bin/sh
# Print the path of a Python 3.10 that can make virtual environments, or say how to get one and fail.
# A candidate counts only if it runs: pyenv's `python3.10` exists but fails unless that version is selected.

probe='import os, sys
if sys.version_info[:2] != (3, 10):
    sys.exit(1)
import ensurepip, ssl, venv
in_venv = sys.prefix != sys.base_prefix
print(os.path.join(sys.base_prefix, "bin", "python3.10") if in_venv else sys.executable)'

try() {
    [ -n "$1" ] || return 0
    found=$("$1" -c "$probe" 2>/dev/null) || return 0
    printf '%s\n' "$found"
    exit 0
}

try "${PYTHON:-}"
try python3.10
try python3
for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python "$HOME"/.pyenv/versions/3.10.*/bin/python; do
    try "$candidate"
done
try "$(uv python find --system 3.10 2>/dev/null)"

echo 'Python 3.10 with its venv module is needed and was not found: install it (`uv python install 3.10`,' \
    '`pyenv install 3.10` or your system'"'"'s python3.10 and python3.10-venv packages)' \
    'or name one with `make PYTHON=path/to/python3.10`.' >&2
exit 1
