#!/bin/bash
# dist.sh BINARY DIR: puts what is shipped into DIR: the binary, its checksum, man pages and completions.
set -euo pipefail
binary=$1 dir=$2
rm -rf "$dir"
mkdir -p "$dir/completions"
install -m 755 "$binary" "$dir/dindcheck"
"$dir/dindcheck" man "$dir/man"
"$dir/dindcheck" completions bash >"$dir/completions/dindcheck.bash"
"$dir/dindcheck" completions zsh >"$dir/completions/_dindcheck"
"$dir/dindcheck" completions fish >"$dir/completions/dindcheck.fish"
"$dir/dindcheck" schema >"$dir/report-v1.json"
(cd "$dir" && sha256sum dindcheck >dindcheck.sha256 && sha256sum --check --quiet dindcheck.sha256)
printf '%s\n' "$dir: dindcheck $("$dir/dindcheck" --version | cut -d' ' -f2), $(stat -c %s "$dir/dindcheck") bytes"
