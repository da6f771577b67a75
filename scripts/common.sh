# shellcheck shell=bash
# Sourced by the scripts beside it: strict mode, the repository as working directory, a few words.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The compiler cache knows a source again in another clone of the repository.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

say() { printf '\n== %s\n' "$*"; }

# die WHAT_FAILED WHAT_TO_DO
die() {
  printf '\n%s: %s\n  What to do: %s\n' "${0##*/}" "$1" "$2" >&2
  exit 1
}

jobs_count() { nproc 2>/dev/null || echo 2; }

# usage_from_header: prints the comment that a script begins with.
usage_from_header() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; }
