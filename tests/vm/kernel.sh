#!/bin/bash
# kernel.sh SUITE: makes sure that that suite's cloud kernel is here, ready to boot. Prints its directory: `vmlinuz`,
# `version`, and `modules.cpio`, an initial file system with busybox and every module that an engine needs, in load order.

source "$(dirname "$0")/../bed/lib.sh"
source "$(dirname "$0")/apt.sh"

suite=${1:-}
case $suite in bullseye | bookworm | trixie | forky) ;; *) die "usage: kernel.sh bullseye|bookworm|trixie|forky" ;; esac
kernel=$BED/vm/kernels/$suite
recipe="recipe 1" # count up when the steps below change

# The disk; then what dockerd, its bridge, and either back end of iptables ask for.
needed="virtio_pci virtio_blk overlay bridge br_netfilter veth nf_tables nft_compat nft_chain_nat nf_nat nf_conntrack
    xt_conntrack xt_addrtype xt_MASQUERADE"
# Built in, renamed or dropped in one kernel or the other.
welcome="nft_ct nft_fib_inet nft_reject_inet nft_masq nf_conntrack_netlink xt_nat xt_tcpudp xt_mark xt_comment xt_multiport xt_CHECKSUM
    ip_tables iptable_nat iptable_filter iptable_mangle iptable_raw ip6_tables ip6table_nat ip6table_filter dummy"

main() {
    need_root
    is_current || build
    echo "$kernel"
}

is_current() { [[ -e $kernel/recipe && $(<"$kernel/recipe") == "$recipe" ]]; }

build() {
    lock "kernel-$suite"
    ! is_current || return 0
    host_packages modprobe=kmod cpio=cpio dpkg-deb=dpkg xz=xz-utils
    local new=$BED/vm/kernels/.$suite.new version began=$SECONDS
    rm -rf "$new"
    mkdir -p "$new/out"
    trap 'rm -rf "$BED/vm/kernels/.$suite.new"' EXIT

    unpack "$new"
    version=$(basename "$new"/root/usr/lib/modules/*)
    depmod -b "$new/root" "$version"
    busybox "$new/initial"
    modules "$new" "$version"
    (cd "$new/initial" && find . | cpio -o -H newc --quiet) >"$new/out/modules.cpio"
    cp "$new/root/boot/vmlinuz-$version" "$new/out/vmlinuz" 2>/dev/null ||
        cp "$new/root/usr/lib/modules/$version/vmlinuz" "$new/out/vmlinuz"
    echo "$version" >"$new/out/version"
    echo "$recipe" >"$new/out/recipe"
    rm -rf "$kernel"
    mv "$new/out" "$kernel"
    log "kernel $version ($suite), $(wc -l <"$new/initial/modules.list") modules, $((SECONDS - began)) s"
}

# unpack DIR: the package's files below DIR/root, with lib being usr/lib whatever the suite.
unpack() {
    local image packages package
    suite_apt "$suite"
    APT+=(-o Dir::State::status=/dev/null)
    image=$(depends linux-image-cloud-amd64 'linux-image-[0-9]')
    [[ -n $image ]] || die "$suite has no linux-image-cloud-amd64"
    # From 7 on these are packages of their own.
    packages=$(depends "$image" 'linux-(base|binary|modules)-[0-9]')
    log "fetching $image"
    mkdir "$1/debs" "$1/root"
    # shellcheck disable=SC2086  # a list of names
    (cd "$1/debs" && apt-get "${APT[@]}" download "$image" $packages >&2)
    for package in "$1"/debs/*.deb; do dpkg-deb -x "$package" "$1/root"; done
    if [[ -d $1/root/lib && ! -L $1/root/lib ]]; then
        mkdir -p "$1/root/usr"
        mv "$1/root/lib" "$1/root/usr/lib"
    fi
    ln -sfn usr/lib "$1/root/lib"
}

# depends PACKAGE PATTERN: its dependencies whose names begin so.
depends() { apt-cache "${APT[@]}" depends "$1" | sed -nE "s/^ *(Pre)?Depends: ($2.*)/\2/p" | sort -u; }

busybox() {
    local tree
    tree=$("$HERE/tree.sh" trixie)
    mkdir -p "$1"/{bin,modules,proc,sys,dev,disk}
    cp "$tree/usr/bin/busybox" "$1/bin/busybox"
    ln -s busybox "$1/bin/sh"
}

# modules DIR VERSION: every module with what it rests on before it, decompressed, since insmod of busybox wants it plain.
modules() {
    local name kind file rest plain
    local -A seen=()
    for name in $needed $welcome; do
        modprobe -d "$1/root" -S "$2" --show-depends "$name" 2>/dev/null || {
            [[ " ${needed//$'\n'/ } " != *" $name "* ]] || die "kernel $2 has no $name"
        }
    done >"$1/depends"
    while read -r kind file rest; do
        plain=$(basename "${file%.[xz]*}")
        plain=${plain%.ko}.ko
        [[ $kind == insmod && -z ${seen[$plain]:-} ]] || continue
        seen[$plain]=1
        case $file in
            *.xz) xz -dc "$file" >"$1/initial/modules/$plain" ;;
            *.zst) host_packages zstd=zstd && zstd -qdc "$file" >"$1/initial/modules/$plain" ;;
            *) cp "$file" "$1/initial/modules/$plain" ;;
        esac
        echo "$plain"
    done <"$1/depends" >"$1/initial/modules.list"
}

main
