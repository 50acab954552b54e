#!/bin/sh
# Installs what is missing (Debian, Ubuntu), builds into build/tests, runs every test. The last line reads "N passed, N failed, N skipped".
# Arguments go to meson setup: tests/run.sh -Db_sanitize=address,undefined
set -eu
cd "$(dirname "$0")/.."

need=
want() { dpkg -s "$1" >/dev/null 2>&1 || need="$need $1"; }
if command -v apt-get >/dev/null; then
    for package in gcc g++ meson ninja-build pkg-config libblis-dev zlib1g-dev libjansson-dev libutf8proc-dev libcmocka-dev libhdf5-dev python3 python3-numpy python3-scipy python3-h5py; do
        want "$package"
    done
fi
if [ -n "$need" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $need; } </dev/null ||
        echo "tests/run.sh: could not install$need; going on without" >&2
fi

build=${ND_BUILD:-build/tests}
[ -f "$build/build.ninja" ] || meson setup "$build" -Dtests=enabled
[ $# = 0 ] || meson configure "$build" "$@"
ninja -C "$build"
meson test -C "$build" --no-rebuild --print-errorlogs || true
exec python3 tests/tally.py "$build/meson-logs/testlog.json"
