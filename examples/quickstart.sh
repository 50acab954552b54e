#!/bin/sh
# From a fresh checkout to a decoded brain: builds the library, simulates a person (or takes your data), trains NICE on human-aligned and on other image embeddings, and compares them.
set -eu

usage()
{
    cat <<END
Usage: examples/quickstart.sh [OPTION...]

Installs what is missing (Debian, Ubuntu), builds into build/, then simulates a
data set, trains on the embeddings of two image models, and compares them on the
test images. Takes a few minutes on two cores.

  --data DIR           real data laid out as THINGS-EEG2 instead of a simulation
  --subject N          which person of it (default 1)
  --embeddings A,B     which image embeddings of it: files <image>_A.npy, <image>_B.npy
  --work DIR           where results go (default build/quickstart)
  --quick              a tiny world and few epochs, to see that everything runs
  --help               this text
END
}

fail()
{
    echo "quickstart: $*" >&2
    exit 1
}

data='' subject=1 embeddings=aligned,unaligned work='' quick=''
while [ $# -gt 0 ]; do
    case $1 in
        --data | --subject | --embeddings | --work) [ $# -gt 1 ] || { echo "quickstart: $1 needs a value" >&2; exit 2; } ;;
    esac
    case $1 in
        --data) data=$2; shift 2 ;;
        --subject) subject=$2; shift 2 ;;
        --embeddings) embeddings=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        --quick) quick=yes; shift ;;
        --help | -h) usage; exit 0 ;;
        *) echo "quickstart: '$1' is not an option; see --help" >&2; exit 2 ;;
    esac
done
if [ -n "$data" ] && [ ! -d "$data" ]; then fail "$data: no such folder"; fi

# --- what is needed ---------------------------------------------------------------------------------------------------------------

packages='meson ninja-build gcc pkg-config libblis-dev zlib1g-dev libjansson-dev libutf8proc-dev libhdf5-dev'
have_header() { echo "#include <$1>" | ${CC:-cc} -E -x c - >/dev/null 2>&1; }
have_everything()
{
    for tool in meson ninja "${CC:-cc}" pkg-config; do command -v "$tool" >/dev/null 2>&1 || return 1; done
    for library in zlib jansson libutf8proc; do pkg-config --exists "$library" || return 1; done
    have_header blis.h || have_header blis/blis.h || pkg-config --exists blis
}

if ! have_everything; then
    command -v apt-get >/dev/null 2>&1 || fail "please install: a C compiler, meson, ninja, pkg-config, and the development files of BLIS, zlib, jansson and utf8proc"
    as_root=''
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "please run as root: apt-get install $packages"
        as_root=sudo
    fi
    echo "Installing: $packages"
    # shellcheck disable=SC2086
    { $as_root apt-get update -q && $as_root apt-get install -q -y --no-install-recommends $packages libc6-dev; } || fail "the packages could not be installed: $packages"
fi

# --- build ------------------------------------------------------------------------------------------------------------------------

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build
[ -f "$build/build.ninja" ] || meson setup "$build" "$root" --buildtype=release >"$root/build-setup.log" 2>&1 || { cat "$root/build-setup.log" >&2; fail "meson setup failed"; }
rm -f "$root/build-setup.log"
echo "Building into $build"
log=$(mktemp)
ninja -C "$build" examples/neurodecode >"$log" 2>&1 || { tail -n 40 "$log" >&2; rm -f "$log"; fail "the build failed"; }
rm -f "$log"
neurodecode=$build/examples/neurodecode
"$neurodecode" --version

# --- data -------------------------------------------------------------------------------------------------------------------------

work=${work:-$build/quickstart}
mkdir -p "$work"
training='--epochs 20'
if [ -n "$data" ]; then training='--epochs 50'; fi
if [ -n "$quick" ]; then training='--epochs 10 --batch 32'; fi
if [ -z "$data" ] && [ -n "$quick" ]; then
    data=$work/tiny-world
    "$neurodecode" simulate "$data" --concepts 40 --images-per-concept 5 --test 20 --train-repetitions 2 --test-repetitions 10 --dim 64 --snr 0.2
elif [ -z "$data" ]; then
    data=$work/world
    "$neurodecode" simulate "$data"
fi

# --- train and evaluate -----------------------------------------------------------------------------------------------------------

first=${embeddings%%,*}
second=${embeddings#*,}
for model in "$first" "$second"; do
    echo
    echo "Training on $model"
    # shellcheck disable=SC2086
    "$neurodecode" train "$data" --subject "$subject" --embeddings "$model" $training --store "$work" --output "$work/$model.safetensors"
    [ "$first" != "$second" ] || break
done
echo
if [ "$first" = "$second" ]; then
    "$neurodecode" evaluate "$data" --subject "$subject" --store "$work" --model "$work/$first.safetensors"
else
    "$neurodecode" evaluate "$data" --subject "$subject" --store "$work" --model "$work/$first.safetensors" --model "$work/$second.safetensors"
fi
echo
echo "The trained encoders are in $work"
