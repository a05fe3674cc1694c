#!/bin/bash
# rootless.sh: gathers the programs by which a user starts a daemon without root, with the libraries that the trees lack;
# prints where. They are this machine's own, so a tree must not be older than it.

source "$(dirname "$0")/lib.sh"

dir=$BED/rootless

main() {
    need_root
    [[ -e $dir/bin/rootlesskit-docker-proxy ]] || gather
    echo "$dir"
}

gather() {
    lock rootless
    host_packages rootlesskit=rootlesskit slirp4netns=slirp4netns newuidmap=uidmap
    local new=$BED/.rootless.new name
    rm -rf "$new"
    mkdir -p "$new/bin" "$new/lib"
    for name in rootlesskit rootlesskit-docker-proxy slirp4netns newuidmap newgidmap; do
        cp "$(command -v "$name")" "$new/bin/"
        # The C library is each tree's own; a static program has none.
        { ldd "$new/bin/$name" 2>/dev/null || true; } |
            awk '$2 == "=>" && $3 ~ /^\// && $3 !~ /\/(libc|libm|libpthread|libdl|librt)\.so/ { print $3 }' |
            xargs -r -I{} cp -L {} "$new/lib/"
    done
    chmod u+s "$new"/bin/new?idmap
    rm -rf "$dir"
    mv "$new" "$dir"
}

main "$@"
