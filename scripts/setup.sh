# Sourced by the other scripts: what a fresh Debian or Ubuntu machine lacks, and the virtual environment.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$here/.venv"

say() { printf 'boxfs: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
        die "this needs root to run: $* (install sudo, or run it yourself)"
    fi
}

# need_debian PACKAGE...: installs those that are missing.
need_debian() {
    local missing=() p
    for p in "$@"; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} = 0 ] && return 0
    command -v apt-get >/dev/null || die "please install: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root apt-get update -q >/dev/null || die "apt-get update failed"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" \
        >/dev/null || die "could not install ${missing[*]}"
}

# The oldest Python that serves, unless BOXFS_PYTHON names one.
find_python() {
    local p
    for p in ${BOXFS_PYTHON:-} python3 python3.13 python3.12 python3.11; do
        command -v "$p" >/dev/null || continue
        "$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$p"; return; }
    done
    die "Python 3.11 or later is needed"
}

# need_venv EXTRA: a virtual environment with boxfs and that extra, renewed when pyproject.toml changes.
need_venv() {
    local extra=$1 python stamp
    stamp="$venv/.boxfs-$extra-$(cksum <"$here/pyproject.toml" | cut -d' ' -f1)"
    [ -e "$stamp" ] && return 0
    python=$(find_python) || exit 1
    if [ ! -x "$venv/bin/python" ]; then
        "$python" -c 'import ensurepip' 2>/dev/null || need_debian python3-venv
        say "making the virtual environment $venv"
        "$python" -m venv "$venv" || die "could not make $venv"
    fi
    say "installing boxfs[$extra]"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -e "$here[$extra]" || die "pip failed"
    touch "$stamp"
}
