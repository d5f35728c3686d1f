#!/bin/sh
# Puts this folder where it can stay, for one user or, as root, for all: ./install.sh [--uninstall]
# Nothing is downloaded, nothing is started, no data is touched.
set -eu
cd "$(dirname "$0")"

if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=$HOME/.local; fi
lib=$prefix/lib/imagemill
icons=$prefix/share/icons/hicolor

uninstall() {
    rm -rf "$lib"
    rm -f "$prefix/bin/imagemill" "$prefix/share/man/man1/imagemill.1.gz" "$prefix/share/applications/imagemill.desktop"
    rm -f "$prefix/share/bash-completion/completions/imagemill" "$prefix/share/zsh/site-functions/_imagemill"
    rm -f "$prefix/share/fish/vendor_completions.d/imagemill.fish" "$icons"/*/apps/imagemill.*
}

uninstall
if [ "${1:-}" = --uninstall ]; then
    echo "imagemill is removed from $prefix; data and settings stay"
    exit 0
fi
mkdir -p "$lib" "$prefix/bin" "$prefix/share"
cp -R program/. "$lib"
cp -R share/. "$prefix/share"
ln -s ../lib/imagemill/imagemill "$prefix/bin/imagemill"
echo "installed: $prefix/bin/imagemill"
case :$PATH: in *:"$prefix/bin":*) ;; *) echo "$prefix/bin is not in your PATH" ;; esac
