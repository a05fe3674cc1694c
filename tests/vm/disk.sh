#!/bin/bash
# disk.sh: makes sure that the disk of the virtual machines is here. Its root is a Debian tree; /trees has each suite's, and /data/SUITE is
# the data root of that suite's engine with an image of every tree in it. Builds it if a tree is newer. Prints its path.
#
# Each engine fills its own data root here, natively: inside a machine without KVM one import takes two minutes.

source "$(dirname "$0")/../bed/lib.sh"

suites=(bookworm trixie forky)
disk=$BED/vm/disk.img
need_root

for suite in "${suites[@]}"; do "$HERE/tree.sh" "$suite" >/dev/null; done
stamps() { echo "recipe 2"; for suite in "${suites[@]}"; do cat "$BED/trees/$suite.stamp"; done; }
is_current() { [[ -e $disk && -e $disk.stamp && $(<"$disk.stamp") == "$(stamps)" ]]; }

build() {
    lock vm-disk
    ! is_current || return 0
    host_packages mkfs.ext4=e2fsprogs hardlink=util-linux
    local stage=$BED/vm/.stage suite began=$SECONDS
    rm -rf "$stage" "$disk.new"
    mkdir -p "$stage"/{data,trees}
    trap 'rm -rf "$BED/vm/.stage" "$BED/vm/disk.img.new"' EXIT
    log "building the disk of the virtual machines"
    cp -al "$BED/trees/trixie/." "$stage"
    for suite in "${suites[@]}"; do
        fill "$suite" "$stage/data/$suite"
        cp -al "$BED/trees/$suite" "$stage/trees/$suite"
    done
    # The same files many times over: as one they are read from the disk once. The engines' own files stay their own:
    # databases of two engines that begin alike are locked as one.
    hardlink -q -s 4096 "$stage"/{usr,trees} "$stage"/data/*/overlay2
    mkdir -p "$stage"/{proc,sys,dev,run,tmp,vm,share,old}
    truncate -s 8G "$disk.new"
    mkfs.ext4 -q -F -m 0 -O '^has_journal,^metadata_csum' -E lazy_itable_init=1,root_owner=0:0 -d "$stage" "$disk.new"
    mv "$disk.new" "$disk"
    stamps >"$disk.stamp"
    log "disk of the virtual machines: $(du -m "$disk" | cut -f1) MB, $((SECONDS - began)) s"
}

# fill SUITE DIR: the data root of that suite's engine, with an image of every tree. The engine is ended even on failure.
fill() {
    local engine=vm-$1 image
    export DINDCHECK_ENGINE=$engine DINDCHECK_ENGINE_SUITE=$1
    for image in "${suites[@]}"; do
        "$HERE/image.sh" "$image" >/dev/null || { "$HERE/engine.sh" stop; die "no image of $image in an engine of $1"; }
    done
    "$HERE/engine.sh" stop
    mv "$BED/engine-$engine/data-$1" "$2"
    rm -rf "${BED:?}/engine-$engine"
}

is_current || build
echo "$disk"
