#!/bin/bash
# readme.sh BINARY: writes README's tables and transcripts anew, from real runs.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1
engine=tests/bed/engine.sh
image=$(tests/bed/outer.sh "$binary" trixie)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# play SCRIPT: what comes of it in the outer container. Counts of steps are left out: each new step would change them.
play() {
    { "$engine" docker run --rm --privileged --entrypoint sh "$image" -c "$1" 2>/dev/null || true; } |
        sed -E 's/ \([0-9]+ steps\)//; s/[0-9]+ later steps/the later steps/'
}
# put NAME FILE: the block between the markers of NAME becomes FILE.
put() {
    awk -v name="$1" -v file="$2" '
        $0 == "<!-- " name " -->" { print; while ((getline line < file) > 0) print line; skip = 1; next }
        $0 == "<!-- /" end(name) " -->" { skip = 0 }
        !skip
        function end(n) { return index(n, ":") ? substr(n, 1, index(n, ":") - 1) : n }' README.md >"$work/README.md"
    cp "$work/README.md" README.md
}
# transcript NAME COMMAND SCRIPT: what was typed, and what came.
transcript() {
    { printf '    $ %s\n' "$2"; play "$3" | sed 's/^/    /; s/ *$//'; } >"$work/$1"
    put "transcript: $1" "$work/$1"
}

# screen NAME COMMAND WORDS: what a terminal of 80 columns shows of a command as soon as it shows these words.
screen() {
    local socket=readme-$$
    tmux -L "$socket" new-session -d -x 80 -y 24 "$PWD/$engine docker run -it --rm --privileged --entrypoint dindcheck $image ${2#dindcheck }"
    timeout 30 bash -c "until tmux -L $socket capture-pane -p | grep -q '$3'; do sleep 0.02; done"
    { printf '    $ %s\n' "$2"; tmux -L "$socket" capture-pane -p | grep . | sed 's/^/    /; s/ *$//'; } >"$work/$1"
    timeout 30 bash -c "while tmux -L $socket list-sessions; do sleep 0.1; done" >/dev/null 2>&1 || true
    put "transcript: $1" "$work/$1"
}

empty='umount -R /sys/fs/cgroup;'
screen terminal 'dindcheck verify' ' container-run '
transcript act2 'dindcheck verify --repair none' "$empty dindcheck verify --repair none"
transcript act3 'dindcheck verify' "$empty dindcheck verify"
"$engine" docker run --rm --privileged --entrypoint sh "$image" -c "$empty dindcheck verify --profile ci --repair none 2>/dev/null" >"$work/report.json" || true
{
    echo '    $ jq .first_failure report.json'
    python3 -c 'import json,sys; print(json.dumps(json.load(open(sys.argv[1]))["first_failure"], indent=2))' "$work/report.json" | sed 's/^/    /'
} >"$work/first"
put 'transcript: first_failure' "$work/first"
transcript entrypoint 'docker run --rm --privileged outer sh -c "docker version -f {{.Server.Version}}; exit 3"; echo "code $?"' \
    'dindcheck entrypoint -- sh -c "docker version -f {{.Server.Version}}; exit 3" 2>&1; echo "code $?"'
transcript wait 'dindcheck wait' "$empty dockerd >docker.log 2>&1 & dindcheck wait 2>&1"
socket=$("$engine" status | sed -n 's/^socket //p')
{
    echo '    $ dindcheck image --replace-entrypoint --parallel 2 outer:bookworm outer:forky'
    for suite in bookworm forky; do "$engine" docker tag "$(tests/bed/image.sh "$suite")" "outer:$suite"; done
    "$binary" image --host "unix://$socket" --replace-entrypoint --parallel 2 -v /var/lib/docker outer:bookworm outer:forky |
        awk 'BEGIN { RS = "" } { last = $0 } END { print "...\n\n" last }' | sed 's/^/    /; s/ *$//'
    "$engine" docker rmi outer:bookworm outer:forky >/dev/null
} >"$work/image"
put 'transcript: image' "$work/image"
transcript diagnose 'dindcheck diagnose docker.log' "$empty dockerd >docker.log 2>&1; dindcheck diagnose docker.log"

make snapshots # the tables of steps and formats, and the profiles
scripts/bench-wait.sh "$binary" >"$work/wait"
put 'bench: wait' "$work/wait"
{
    echo 'Measured by `make bench` on two processors, each in turn on the same data root; medians. The floor is the least that proves'
    echo 'what `--until container-run` does: dockerd started, one ping, an image loaded, a container run, dockerd stopped, by raw API.'
    echo
    scripts/bench.sh "$binary" | sed -n 's/^/    /; /==\|floor\|verify\|script\|death\|phase\|RSS/p'
} >"$work/bench"
put bench "$work/bench"
