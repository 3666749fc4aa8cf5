# Sourced by the other scripts: what a fresh Debian or Ubuntu machine lacks, and the virtual environment.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$here/.venv"

say() { printf 'boxfs: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# The network of a build machine fails now and then: three attempts, each a little later.
patiently() {
    local attempt
    for attempt in 1 2 3; do
        "$@" && return 0
        [ "$attempt" = 3 ] || { say "failed: $1 (attempt $attempt of 3)"; sleep $((attempt * 5)); }
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "this needs root: $* (install sudo, or run it yourself)"
    fi
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need_debian PACKAGE...: installs those that are missing.
need_debian() {
    local missing=() p
    command -v dpkg-query >/dev/null || { say "no Debian: please see to $* yourself"; return 0; }
    for p in "$@"; do installed "$p" || missing+=("$p"); done
    [ ${#missing[@]} = 0 ] && return 0
    say "installing ${missing[*]}"
    # One broken source among many is no reason to stop: what counts is whether the packages can be installed.
    patiently as_root apt-get -q update >/dev/null || say "apt-get update failed; going on with what is known"
    patiently as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null ||
        die "could not install ${missing[*]}"
}

# The first Python that serves; BOXFS_PYTHON names another.
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
    [ -e "$stamp" ] && "$venv/bin/python" -c '' 2>/dev/null && return 0
    python=$(find_python) || exit 1
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null || need_debian python3-venv
        say "making the virtual environment $venv"
        "$python" -m venv --clear "$venv" || die "could not make $venv"
    fi
    say "installing boxfs[$extra] into $venv"
    patiently "$venv/bin/python" -m pip install -q --disable-pip-version-check --retries 5 --timeout 60 \
        -e "$here[$extra]" || die "pip failed"
    touch "$stamp"
}
