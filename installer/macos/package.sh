#!/bin/sh
# Makes dist/imagemill-VERSION.dmg from dist/imagemill.app, which pyinstaller.spec leaves on macOS. Only macOS has these tools.
# Signed for this machine only (ad hoc) unless SIGN_AS names an identity of the keychain; without one, others open it by
# right click, Open.
set -eu
cd "$(dirname "$0")/../.."

[ "$(uname -s)" = Darwin ] || { echo "package: codesign and hdiutil are macOS's own" >&2; exit 1; }
[ -d dist/imagemill.app ] || { echo "package: first run: make binary" >&2; exit 1; }

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/imagemill/__init__.py)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -R dist/imagemill.app "$work"
codesign --force --deep --options runtime --entitlements installer/macos/entitlements.plist --sign "${SIGN_AS:--}" "$work/imagemill.app"
codesign --verify --deep --strict "$work/imagemill.app"
"$work/imagemill.app/Contents/MacOS/imagemill" --version
# Dragged there, it is installed.
ln -s /Applications "$work/Applications"
hdiutil create -quiet -ov -format UDZO -volname imagemill -srcfolder "$work" "dist/imagemill-$version-$(uname -m).dmg"
echo "dist/imagemill-$version-$(uname -m).dmg"
