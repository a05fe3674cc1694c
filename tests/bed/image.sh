#!/bin/bash
# image.sh SUITE: makes sure that the outer engine has dindcheck-base:SUITE, a Debian userland with that suite's Docker engine.
# Imports the tree if not, or if the tree was built anew since. Prints the image's name.

source "$(dirname "$0")/lib.sh"

suite=${1:-}
[[ -n $suite ]] || die "usage: image.sh bookworm|trixie|forky"
image=dindcheck-base:$suite
engine=$HERE/engine.sh
need_root
# The tree first: if it is built anew, an engine that lives in the old one has to start again.
tree=$("$HERE/tree.sh" "$suite")
"$engine" start
stamp=$(cksum <"$tree.stamp")

imported() {
    local label
    label=$("$engine" docker image inspect -f '{{index .Config.Labels "bed.tree"}}' "$image" 2>/dev/null) || return 1
    [[ $label == "$stamp" ]]
}

if ! imported; then
    lock "image-${DINDCHECK_ENGINE:-main}"
    if ! imported; then
        log "importing $image"
        # Named only once it is whole.
        id=$(tar -C "$tree" -c . | "$engine" docker import -c "LABEL bed.tree=\"$stamp\"" -c 'CMD ["/bin/bash"]' -)
        "$engine" docker tag "$id" "$image"
        "$engine" docker image prune -f --filter label=bed.tree >/dev/null
    fi
fi
echo "$image"
