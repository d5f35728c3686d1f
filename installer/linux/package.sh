#!/bin/sh
# Makes what people install from the frozen folder dist/imagemill: package.sh deb | tarball
#
# dpkg-deb and no further tool: it is on every Debian, and one package for one machine is a tree and a page of text.
#
#   VERSION=1.2.3       another version than the program's own
#   OUT=folder          where it is put (default dist)
#   COMPRESSION=gzip    quicker and larger than xz
set -eu
cd "$(dirname "$0")/../.."

PYTHON=.venv/bin/python
FROZEN=dist/imagemill
OUT=${OUT:-dist}
MAIL=imagemill@localhost.localdomain # there is none; who packages it puts his own
version=${VERSION:-$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/imagemill/__init__.py)}
# The same input gives the same bytes: everything is dated by the commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

[ -x $FROZEN/imagemill ] || { echo "package: first run: make binary" >&2; exit 1; }
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What lies in share/ of a prefix, be it /usr or somebody's ~/.local.
lay_out_share() {
    made=$work/manual
    $PYTHON installer/manual.py "$made"
    install -d "$1/man/man1" "$1/bash-completion/completions" "$1/zsh/$2" "$1/fish/vendor_completions.d" "$1/applications"
    gzip -9n <"$made/imagemill.1" >"$1/man/man1/imagemill.1.gz"
    install -m 0644 "$made/imagemill.bash" "$1/bash-completion/completions/imagemill"
    install -m 0644 "$made/_imagemill" "$1/zsh/$2/_imagemill"
    install -m 0644 "$made/imagemill.fish" "$1/fish/vendor_completions.d/imagemill.fish"
    install -m 0644 installer/linux/imagemill.desktop "$1/applications/imagemill.desktop"
    for size in 16 24 32 48 64 128 256; do
        install -D -m 0644 installer/icons/imagemill-$size.png "$1/icons/hicolor/${size}x$size/apps/imagemill.png"
    done
    install -D -m 0644 installer/icons/imagemill.svg "$1/icons/hicolor/scalable/apps/imagemill.svg"
}

date_all() { find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +; }

deb() {
    root=$work/deb
    install -d "$root/DEBIAN" "$root/usr/bin" "$root/usr/lib" "$root/usr/share/doc/imagemill" "$root/lib/systemd/system"
    cp -R $FROZEN "$root/usr/lib/imagemill"
    # Libraries are not programs; PyInstaller leaves them executable.
    find "$root/usr/lib/imagemill" -type f ! -path "$root/usr/lib/imagemill/imagemill" -exec chmod 0644 {} +
    ln -s ../lib/imagemill/imagemill "$root/usr/bin/imagemill"
    install -m 0644 systemd/imagemill.service systemd/imagemill@.service "$root/lib/systemd/system"
    install -D -m 0644 -t "$root/usr/share/doc/imagemill/examples" systemd/worker.conf systemd/worker.env
    install -D -m 0640 installer/linux/imagemill.toml "$root/etc/imagemill/imagemill.toml"
    install -d -m 0700 "$root/etc/imagemill/imagemill.credentials"
    lay_out_share "$root/usr/share" vendor-completions
    copyright >"$root/usr/share/doc/imagemill/copyright"
    gzip -9n <CHANGELOG.md >"$root/usr/share/doc/imagemill/NEWS.gz"
    changelog | gzip -9n >"$root/usr/share/doc/imagemill/changelog.gz"
    $PYTHON installer/licences.py $FROZEN "$work/licences.txt"
    gzip -9n <"$work/licences.txt" >"$root/usr/share/doc/imagemill/licences.gz"
    install -D -m 0644 installer/linux/debian/lintian-overrides "$root/usr/share/lintian/overrides/imagemill"
    install -m 0755 installer/linux/debian/postinst installer/linux/debian/prerm installer/linux/debian/postrm "$root/DEBIAN"
    echo /etc/imagemill/imagemill.toml >"$root/DEBIAN/conffiles"
    (cd "$root" && find etc lib usr -type f -exec md5sum {} + | LC_ALL=C sort -k 2) >"$root/DEBIAN/md5sums"
    control >"$root/DEBIAN/control"
    date_all "$root"
    dpkg-deb --root-owner-group "-Z${COMPRESSION:-xz}" --build "$root" "$OUT/imagemill_${version}_amd64.deb" >/dev/null
    echo "$OUT/imagemill_${version}_amd64.deb"
}

# The libraries are in the package; the C library is not. Its version is that of the machine which built the folder.
control() {
    cat <<END
Package: imagemill
Version: $version
Architecture: amd64
Maintainer: imagemill contributors <$MAIL>
Installed-Size: $(du -k -s --apparent-size "$root" | cut -f 1)
Depends: libc6 (>= $(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)), adduser
Section: graphics
Priority: optional
Description: compresses the pictures of product sheets
 A sheet of products with links to their pictures in, the same sheet with one
 column more out: links to the same pictures, compressed. A program for the
 desk, and a service with a page, an API and a queue of its own; there is
 nothing else to install.
END
}

# Debian's tools ask for the version here; what is new stands in NEWS.
changelog() {
    printf 'imagemill (%s) stable; urgency=medium\n\n  * NEWS.gz, in this folder, says what is new.\n\n' "$version"
    printf ' -- imagemill contributors <%s>  %s\n' "$MAIL" "$(date --utc --rfc-email --date "@$SOURCE_DATE_EPOCH")"
}

copyright() {
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: imagemill\n\n'
    printf 'Files: *\nCopyright: %s\nLicense: Expat\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
    sed '1,/^Copyright/d; s/^$/./; s/^/ /' LICENSE | sed '1{/^ \.$/d}'
    printf '\nComment: What it carries of others, and under which licences: licences.gz, in this folder.\n'
}

tarball() {
    name=imagemill-$version-linux-amd64
    root=$work/$name
    install -d "$root/systemd"
    cp -R $FROZEN "$root/program"
    lay_out_share "$root/share" site-functions
    $PYTHON installer/licences.py $FROZEN "$root/LICENCES.txt"
    install -m 0644 LICENSE CHANGELOG.md installer/linux/README.txt installer/linux/imagemill.toml "$root"
    install -m 0644 systemd/imagemill.service systemd/imagemill@.service "$root/systemd"
    install -m 0755 installer/linux/install.sh "$root"
    tar --create --gzip --file "$OUT/$name.tar.gz" --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner \
        --mtime "@$SOURCE_DATE_EPOCH" "$name"
    echo "$OUT/$name.tar.gz"
}

case ${1:-} in
    deb) deb ;;
    tarball) tarball ;;
    *) echo "usage: package.sh deb | tarball" >&2; exit 2 ;;
esac
