#!/bin/bash
# demo.sh BINARY: shows what dindcheck reports of a healthy outer container, of a broken one, and of one it may repair.
#
# Nothing here is mocked: a real outer engine, real privileged containers, a real inner dockerd in each.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1
suite=${DINDCHECK_DEMO_SUITE:-trixie}

source scripts/engine.sh

image=$(tests/bed/outer.sh "$binary" "$suite")
color=$([[ -t 1 && -z ${NO_COLOR:-} ]] && echo CLICOLOR_FORCE=1 || echo NO_COLOR=1)
play() { "$engine" docker run --rm --privileged -e "$color" --entrypoint sh "$image" -c "$1"; }
act() { printf '\n=== %s\n    %s\n\n' "$1" "$2"; }
must() { [[ $1 == "$2" ]] || { echo "demo: exit code $1 where $2 was expected" >&2; exit 1; }; }

act "Act 1: a healthy outer container" "dindcheck verify"
code=0; play 'dindcheck verify' || code=$?
must "$code" 0

# Docker 1.7 and earlier mounted no cgroups into containers.
act "Act 2: the same with /sys/fs/cgroup emptied, and nothing may be repaired" "dindcheck verify --repair none"
code=0; play 'umount -R /sys/fs/cgroup; dindcheck verify --repair none' || code=$?
must "$code" 1

act "Act 3: the same again, with the default repair" "dindcheck verify"
code=0; play 'umount -R /sys/fs/cgroup; dindcheck verify' || code=$?
must "$code" 0

printf '\nAll three acts went as they should.\n'
