#!/bin/bash
# boot.sh KERNEL CGROUP PLAN BINARY OUT SECONDS: plays a plan in a machine with that suite's kernel and that set-up of
# cgroups (guest/stage2.sh). OUT is made anew: console.log, and results/ as the machine gave them back. Fails where the
# machine did not end within its time. Two or more may run at once.

source "$(dirname "$0")/../bed/lib.sh"

kernel=$BED/vm/kernels/$1 cgroup=$2 plan=$3 binary=$4 out=$5 limit=$6
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$out"
mkdir -p "$out/initial/vm" "$out/results"
trap 'rm -rf "$out/initial" "$out/initrd" "$out/results.tar"' EXIT

cp -r "$here"/guest/. "$out/initial/vm/"
install -m 755 "$here/guest/stage1.sh" "$out/initial/init"
chmod 755 "$out/initial/vm/stage2.sh"
install -m 755 "$binary" "$out/initial/vm/dindcheck"
cp "$plan" "$out/initial/vm/plan"
# A second archive behind the kernel's own.
{
    cat "$kernel/modules.cpio"
    (cd "$out/initial" && find . | cpio -o -H newc --quiet)
} >"$out/initrd"
truncate -s 64M "$out/results.tar"

arguments="console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off nokaslr apparmor=0 random.trust_cpu=on tsc=reliable"
arguments+=" vm.cgroup=$cgroup"
[[ $cgroup != *-nomem ]] || arguments+=" cgroup_disable=memory"
code=0
# Emulated, whatever /dev/kvm promises: there are machines where it opens and runs no Debian kernel. No word of the disk
# is kept: it is one for all.
timeout --foreground -k 5 "$limit" qemu-system-x86_64 -machine q35 -accel tcg,thread=single -cpu max,-cx16,-la57,-erms,-fsrm -icount shift=2 -rtc clock=vm -smp 1 -m 2048 -nodefaults \
    -no-user-config -display none -no-reboot -monitor none -serial "file:$out/console.log" \
    -kernel "$kernel/vmlinuz" -initrd "$out/initrd" -append "$arguments" \
    -drive "file=$BED/vm/disk.img,if=none,id=disk,format=raw,snapshot=on,cache=unsafe" -device virtio-blk-pci,drive=disk \
    -drive "file=$out/results.tar,if=none,id=results,format=raw,cache=unsafe" -device virtio-blk-pci,drive=results \
    </dev/null >"$out/qemu.log" 2>&1 || code=$?
tar -C "$out/results" -xf "$out/results.tar" 2>/dev/null || true
((code == 0)) || { tail -n 3 "$out/qemu.log" >&2; die "the machine ($1, $cgroup) ended with $code; see $out/console.log"; }
grep -q '@@ .* plan done' "$out/console.log" || die "the machine ($1, $cgroup) did not get to its plan's end; see $out/console.log"
