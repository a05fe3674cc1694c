#!/bin/bash
# outer.sh BINARY [SUITE]: makes sure that the outer engine has dindcheck-outer:SUITE, made of the project's Dockerfile.outer
# with this static BINARY and the profiles of this checkout. Builds it if any of that changed. Prints the image's name.

source "$(dirname "$0")/lib.sh"

[[ $# -ge 1 && -f $1 ]] || die "usage: outer.sh BINARY [bookworm|trixie|forky]"
binary=$1
suite=${2:-trixie}
image=dindcheck-outer:$suite
project=$HERE/../..
engine=$HERE/engine.sh
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
need_root

cp "$project/Dockerfile.outer" "$context/Dockerfile"
cp -r "$project/profiles" "$context/profiles"
install -m 755 "$binary" "$context/dindcheck"
# Without names and times of this checkout, so that equal content gives an equal digest.
pack() { tar -C "$context" --sort=name --mtime=@0 --owner=0 --group=0 --mode=go-w -c .; }

base=$("$HERE/image.sh" "$suite")
lock "image-${DINDCHECK_ENGINE:-main}"
digest=$(pack | cat - <("$engine" docker image inspect -f '{{.Id}}' "$base") | sha256sum | cut -d' ' -f1)
if [[ $("$engine" docker image inspect -f '{{index .Config.Labels "bed.context"}}' "$image" 2>/dev/null) != "$digest" ]]; then
    log "building $image"
    # The classic builder: Debian has no buildx to give to the new one.
    said=$(pack | "$engine" docker build --force-rm --build-arg "BASE=$base" --label "bed.context=$digest" -t "$image" - 2>&1) || {
        echo "$said" >&2
        die "$image could not be built"
    }
    "$engine" docker image prune -f --filter label=bed.context >/dev/null
fi
echo "$image"
