#!/bin/bash
# tree.sh SUITE: makes sure that there is a Debian userland of SUITE with that suite's Docker engine; prints its path.
#
# Built in a directory of its own and renamed into place, so a tree that exists is whole. A tree is never written to
# afterwards: engine.sh takes its root from it, image.sh makes an image of it.

source "$(dirname "$0")/lib.sh"

suite=${1:-}
base=iptables,nftables,iproute2,procps,kmod,e2fsprogs,busybox-static
case $suite in
    bookworm) packages=docker.io,$base ;; # its docker.io brings the command line along
    trixie | forky) packages=docker.io,docker-cli,$base ;;
    *) die "usage: tree.sh bookworm|trixie|forky" ;;
esac
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
tree=$BED/trees/$suite
recipe="recipe 1 $packages" # count up when the steps below change

main() {
    need_root
    is_current || build
    echo "$tree"
}

is_current() {
    local line=
    [[ -d $tree && -r $tree.stamp ]] && read -r line <"$tree.stamp"
    [[ $line == "$recipe" ]]
}

build() {
    lock "tree-$suite"
    is_current && return
    host_packages debootstrap=debootstrap wget=wget gpgv=gpgv unshare=util-linux $keyring=debian-archive-keyring

    local new=$BED/trees/.$suite.new mirror
    rm -rf "$new"
    mkdir -p "$new/etc/dpkg/dpkg.cfg.d"
    trap 'rm -rf "$BED/trees/.$suite.new"' EXIT
    mirror=$(find_mirror "$suite")
    log "building the $suite tree (about a minute)"

    # What nobody reads in a test is not unpacked, and no package is synced to disk.
    printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' \
        'path-exclude=/usr/share/locale/*' >"$new/etc/dpkg/dpkg.cfg.d/bed"
    bootstrap "$new" "$mirror" || {
        tail -n 20 "$new/debootstrap/debootstrap.log" >&2 || true
        die "debootstrap of $suite failed (its last lines are above)"
    }
    strip "$new"

    rm -rf "$tree.stamp" "$tree"
    mv "$new" "$tree"
    # The second line tells two builds of one recipe apart.
    printf '%s\n%s %s\n' "$recipe" "$(engine_version)" "$(date +%s)" >"$tree.stamp"
    log "$suite tree: engine $(engine_version), $(du -sm "$tree" | cut -f1) MB"
}

# In namespaces of its own, so that neither a mount nor a process is left behind, however it ends.
bootstrap() {
    local script=$suite
    # An older debootstrap does not know a newer suite; the script of sid serves them all.
    [[ -e /usr/share/debootstrap/scripts/$suite ]] || script=sid
    # Its wget does not read the proxy from the configuration of apt.
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    export http_proxy https_proxy
    unshare --mount --pid --fork --kill-child --mount-proc \
        debootstrap --variant=minbase --keyring="$keyring" --include="$packages" \
        "$suite" "$1" "$2" "/usr/share/debootstrap/scripts/$script" </dev/null 2>&1 |
        grep --line-buffered -vE '^I: (Retrieving|Validating|Extracting|Configuring|Unpacking|Found|Checking|Using) ' >&2
}

strip() {
    rm -rf "$1"/usr/share/{doc,man,locale,info,lintian,zoneinfo,bash-completion,i18n} "$1"/var/cache/apt/* \
        "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/var/lib/docker "$1/etc/dpkg/dpkg.cfg.d/bed"
    # These say where the tree was built; a container gets its own.
    rm -f "$1"/etc/{resolv.conf,hostname,machine-id} "$1/etc/apt/sources.list"
    mkdir -p "$1"/usr/lib/modules "$1"/var/lib/docker
}

engine_version() { dpkg-query --admindir="$tree/var/lib/dpkg" -f '${Version}' -W docker.io; }

main
