#!/bin/bash
# qemu.sh: makes sure that qemu-system-x86_64 is here; where it cannot be installed, says so and fails.

source "$(dirname "$0")/../bed/lib.sh"
source "$(dirname "$0")/apt.sh"

need_root
[[ $(uname -m) == x86_64 ]] || die "the virtual machines are x86_64, emulated quickly enough only on x86_64; this is $(uname -m)"
command -v qemu-system-x86_64 >/dev/null && exit
(host_packages qemu-system-x86_64=qemu-system-x86) && exit

# A part of qemu that came from backports keeps the rest of the release's own qemu out.
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)-backports
log "trying $release"
lock host-packages
suite_apt "${release%-backports}" "$release"
DEBIAN_FRONTEND=noninteractive apt-get "${APT[@]}" -y --no-install-recommends -t "$release" install qemu-system-x86 \
    </dev/null >/dev/null || die "qemu-system-x86 cannot be installed here: the virtual machines cannot be tested"
command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86 has no qemu-system-x86_64"
