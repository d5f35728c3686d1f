#!/bin/sh
# Makes a checkout ready to run: system packages, .venv from requirements.lock, Swagger UI's files, imagemill itself.
# Every download but Debian's own is checked against a hash kept in this repository. Run again, it does only what is missing.
#
#   PYTHON=python3.12   the interpreter to use (default python3; 3.11 or newer)
#   ENGINE=pillow       plain Pillow instead of pillow-simd (the default on x86-64; elsewhere there is only Pillow)
#
# With the word `tests` it installs instead what only the tests need: real servers of S3 and PostgreSQL, a browser, axe-core;
# with the word `installers` what `make deb-test` needs.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
case $(uname -m) in
    x86_64 | amd64) ENGINE=${ENGINE:-simd} ;;
    *) ENGINE=pillow ;;
esac
VENV=.venv
AXE=$VENV/axe.min.js
SWAGGER=src/imagemill/api/static/swagger
VENDOR=src/imagemill/web/static/vendor

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# Two `make` at once must not build two environments in one folder.
wait_for_the_other_setup() {
    command -v flock >/dev/null || return 0
    exec 9<installer/setup.sh
    flock 9
}

# What the environment is made of; it is written into the environment when it is complete, so it goes when .venv goes.
fingerprint() {
    echo "$ENGINE $(version_of "$PYTHON")"
    cat requirements.lock pyproject.toml installer/setup.sh installer/uv.txt installer/swagger.txt installer/htmx.txt installer/pillow.txt
    for native in src/imagemill/imaging/*.[ch]; do
        if [ -f "$native" ]; then cat "$native"; fi
    done
}
stamp() { fingerprint | sha256sum | cut -d ' ' -f 1; }

is_complete() {
    [ -x "$VENV/bin/imagemill" ] && [ -f "$SWAGGER/swagger-ui-bundle.js" ] && [ -f "$VENDOR/htmx.min.js" ] &&
        [ "$(cat "$VENV/setup-stamp" 2>/dev/null)" = "$(stamp)" ]
}

python_is_usable() { "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python_is_debians() { "$PYTHON" -c 'import sys; sys.exit(sys.base_prefix != "/usr")' 2>/dev/null; }

# pillow-simd is built from source and drops a codec when its header is missing; nginx is the tests' origin server.
system_packages() {
    echo build-essential pkg-config libjpeg62-turbo-dev zlib1g-dev libwebp-dev liblcms2-dev libtiff-dev libopenjp2-7-dev curl nginx-light
    if ! command -v "$PYTHON" >/dev/null || python_is_debians; then echo python3 python3-dev python3-venv; fi
}

# Ceph is the S3 server that the tests store in, Chromium looks at the page; PostgreSQL and Redis are what several
# machines share; systemd judges its unit; the desk needs a desktop: a screen, a bus, panels of both kinds,
# notifications, a mouse, a camera. Where one is missing they say that they skip.
test_packages() {
    echo ceph-mon ceph-osd radosgw ceph-common chromium systemd postgresql redis-server
    echo xvfb dbus-daemon xfce4-panel trayer dunst xdotool imagemagick
    echo nsis
}

# A Debian to boot for `make deb-test`, who reads the package over, and what compiles for Windows.
installer_packages() { echo mmdebstrap systemd-container lintian shellcheck nsis; }

missing_packages() {
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
    done
}

install_packages() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "not a Debian system: please see to it that these, or their like, are installed:" "$@"
        return 0
    fi
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    say "installing system packages: $missing"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "neither root nor sudo; please install: $missing"
        as_root=sudo
    fi
    # Runlevel 1: the packages' own services (nginx, Ceph) are not started; the tests start theirs.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq --no-install-recommends $missing >/dev/null
}

make_environment() {
    python_is_usable || die "$PYTHON is older than 3.11 or missing; choose another with PYTHON=/path/to/python3"
    rm -f "$VENV/setup-stamp"
    if [ "$(version_of "$VENV/bin/python")" != "$(version_of "$PYTHON")" ]; then
        say "creating $VENV"
        rm -rf "$VENV"
        "$PYTHON" -m venv "$VENV"
    fi
    if "$VENV/bin/uv" --version 2>/dev/null | grep -q "^$(sed -n 's/^uv==\([0-9.]*\).*/uv \1/p' installer/uv.txt) "; then return 0; fi
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r installer/uv.txt
}

# The lock is complete, so nothing is resolved here.
uv_install() {
    "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --no-deps "$@"
}

# Both engines are the same folder `PIL`, and the one that is removed takes the other's files along: out first, then in.
remove_the_other_engine() {
    case $ENGINE in
        simd) other=pillow ;;
        pillow) other=pillow-simd ;;
        *) die "ENGINE is simd or pillow, not '$ENGINE'" ;;
    esac
    if "$VENV/bin/uv" pip show --quiet --python "$VENV/bin/python" "$other" 2>/dev/null; then
        "$VENV/bin/uv" pip uninstall --quiet --python "$VENV/bin/python" pillow pillow-simd
    fi
}

requirements() { awk -v engine="$1" '/^[^ ]/ { is_simd = /^pillow-simd==/ } is_simd == (engine == "simd")' requirements.lock; }

# Wheels first: setuptools is among them, and builds what follows without fetching anything unhashed.
install_requirements() {
    say "installing requirements.lock, engine: $ENGINE"
    requirements none >"$VENV/wheels.txt"
    uv_install --require-hashes --only-binary :all: -r "$VENV/wheels.txt"
    case $ENGINE in
        simd) build_pillow_simd ;;
        pillow) install_pillow ;;
    esac
}

# Outside the project, whose configuration keeps every Pillow out.
install_pillow() {
    root=$PWD
    (cd / && VENV=$root/$VENV && uv_install --require-hashes --only-binary :all: -r "$root/installer/pillow.txt")
}

# Every codec is forced on, so that a missing header is an error and not a silent loss.
# xcb is off: the frozen program must start on a server without libxcb.
build_pillow_simd() {
    requirements simd >"$VENV/engine.txt"
    uv_install --require-hashes --no-build-isolation -r "$VENV/engine.txt" \
        --config-settings-package pillow-simd:jpeg=enable \
        --config-settings-package pillow-simd:zlib=enable \
        --config-settings-package pillow-simd:webp=enable \
        --config-settings-package pillow-simd:lcms=enable \
        --config-settings-package pillow-simd:tiff=enable \
        --config-settings-package pillow-simd:jpeg2000=enable \
        --config-settings-package pillow-simd:xcb=disable
}

check_engine() {
    "$VENV/bin/python" - "$ENGINE" <<'END' || die "the engine is not what was asked for; remove $VENV and try again"
import re, sys
import PIL
from importlib.metadata import distributions
from PIL import features

engines = {d.name.lower() for d in distributions()} & {"pillow", "pillow-simd"}
assert engines == {"pillow-simd" if sys.argv[1] == "simd" else "pillow"}, f"installed: {engines}"
assert bool(re.search(r"\.post\d+$", PIL.__version__)) == (sys.argv[1] == "simd"), f"PIL is {PIL.__version__}"
missing = [codec for codec in ("jpg", "zlib", "webp", "littlecms2", "libtiff", "jpg_2000") if not features.check(codec)]
assert not missing, f"codecs missing: {missing}"
END
}

# The API page shows Swagger UI from our own server. A PyPI package carries npm's swagger-ui-dist unchanged, so npm is not needed.
vendor_swagger() {
    unpacked=$VENV/swagger-unpacked
    rm -rf "$unpacked"
    uv_install --require-hashes --target "$unpacked" -r installer/swagger.txt
    mkdir -p "$SWAGGER"
    for file in swagger-ui-bundle.js swagger-ui-standalone-preset.js swagger-ui.css favicon-32x32.png LICENSE; do
        cp "$unpacked/drf_spectacular_sidecar/static/drf_spectacular_sidecar/swagger-ui-dist/$file" "$SWAGGER/$file"
    done
    rm -rf "$unpacked"
}

# So does htmx, which the page is driven by: a package for Django carries npm's file.
vendor_htmx() {
    unpacked=$VENV/htmx-unpacked
    rm -rf "$unpacked"
    uv_install --require-hashes --target "$unpacked" -r installer/htmx.txt
    mkdir -p "$VENDOR"
    cp "$unpacked/django_htmx/static/django_htmx/htmx-2.min.js" "$VENDOR/htmx.min.js"
    rm -rf "$unpacked"
}

# Only the tests of the page ask axe-core whether everybody can use it.
vendor_axe() {
    unpacked=$VENV/axe-unpacked
    rm -rf "$unpacked"
    uv_install --require-hashes --target "$unpacked" -r installer/axe.txt
    cp "$unpacked/axe_playwright_python/axe.min.js" "$AXE"
    rm -rf "$unpacked"
}

is_built() { "$VENV/bin/python" -c "import imagemill.imaging.$1" 2>/dev/null; }

# Before the first start, not during it: compiling what the appliance imports takes longer than all the rest of its start.
compile_bytecode() {
    "$VENV/bin/python" -m compileall -q -j 0 "$@" >/dev/null
}

wait_for_the_other_setup
if [ "${1:-}" = tests ]; then
    install_packages $(test_packages)
    [ "$AXE" -nt installer/axe.txt ] || vendor_axe
    exit 0
fi
if [ "${1:-}" = installers ]; then
    install_packages $(installer_packages)
    exit 0
fi
if is_complete; then
    compile_bytecode src
    exit 0
fi
install_packages $(system_packages)
make_environment
remove_the_other_engine
install_requirements
check_engine
vendor_swagger
vendor_htmx
uv_install --no-build-isolation --reinstall-package imagemill --editable .
is_built _requant || say "the native codec was not built; JPEGs take the slower way through pixels"
is_built _palette || say "the native palette was not built; a PNG gets a palette only where that loses nothing"
rm -rf src/imagemill.egg-info # made on the way; beside the installed metadata it would be a second imagemill
compile_bytecode src "$VENV/lib" || say "some libraries could not be compiled ahead; they are at their first import"
stamp >"$VENV/setup-stamp"
say "done: $VENV/bin/imagemill"
