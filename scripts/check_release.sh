#!/usr/bin/env bash
# Build the sdist and the wheel from the last commit, check their metadata, and test the wheel in an empty environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${1:?usage: check_release.sh PYTHON, with the extra release installed}"

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
git archive HEAD | tar -x -C "$scratch"
"$python" -m build --no-isolation --outdir "$scratch/dist" "$scratch" >"$scratch/build.log"
"$python" -m twine check --strict "$scratch"/dist/*

"$python" -m venv "$scratch/empty"
empty="$scratch/empty/bin/python"
"$python" -m uv pip install --quiet --python "$empty" --constraints constraints.txt \
    --build-constraints constraints.txt "$scratch"/dist/*.whl
cd "$scratch/empty"  # in the checkout, its package would be imported instead
version="$("$empty" -m rasa_compressed_bert --version)"
"$empty" -c "from rasa_compressed_bert import PrunedBertIntentClassifier" 2>"$scratch/import.log" ||
    { cat "$scratch/import.log" >&2; exit 1; }
for command in init inspect report benchmark sensitivity augment export package-spacy search; do
    "$empty" -m rasa_compressed_bert "$command" --help >"$scratch/help.log"
done
echo "== $version: sdist and wheel are valid, and the wheel works in an empty environment"
du -sh "$scratch/empty" | sed "s|$scratch|.|"
