#!/bin/sh
# Compiles the installer for Windows from a frozen folder: package.sh [FROZEN] (default dist/imagemill). Runs wherever makensis does,
# Git's bash on Windows included; the folder must come from Windows to be of use there.
set -eu
cd "$(dirname "$0")/../.."

FROZEN=${1:-dist/imagemill}
OUT=${OUT:-dist}
PYTHON=${PYTHON:-.venv/bin/python}
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/imagemill/__init__.py)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

absolute() { (cd "$1" && if pwd -W >/dev/null 2>&1; then pwd -W; else pwd; fi); }

"$PYTHON" installer/icons/draw.py "$work"
mkdir -p "$OUT"
made=$(absolute "$OUT")/imagemill-$version-setup.exe
makensis -V2 -WX "-DVERSION=$version" "-DFROZEN=$(absolute "$FROZEN")" "-DICON=$(absolute "$work")/imagemill.ico" "-DOUT=$made" \
    -INPUTCHARSET UTF8 installer/windows/imagemill.nsi
echo "$made"
