# What the scripts share: where the project is, which Python, which system packages. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for the scripts that source this
venv="$root/.venv"
cd "$root"
# Tests and benchmarks import onnxruntime by themselves: it is to tell nobody.
export ORT_DISABLE_TELEMETRY=1

say() { printf '== %s\n' "$*" >&2; }
die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# The newest of the Pythons that edgeward is tested with and that are installed here.
find_python() {
  local name
  for name in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
    [ -n "$name" ] || continue
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  die "edgeward needs Python 3.11, 3.12 or 3.13, and none was found; on Debian: apt-get install python3"
}

# need_packages PACKAGE...: install what is missing where we may, otherwise say what to type.
need_packages() {
  command -v dpkg-query >/dev/null || {
    say "not Debian or Ubuntu: make sure that you have the like of: $*"
    return
  }
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local -a as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      die "please install these packages first: sudo apt-get install ${missing[*]}"
    fi
    as_root=(sudo)
  fi
  say "installing system packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    die "the packages could not be installed: ${missing[*]}"
  fi
  rm -f "$log"
}
