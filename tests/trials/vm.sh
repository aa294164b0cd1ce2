#!/usr/bin/env bash
# Power cuts: the program in a virtual machine whose power is cut at random moments, again and again
# with the same disk.
#
#   tests/trials/vm.sh BASKETD FOLDER CUTS PORT
#
# BASKETD is the program; it and its libraries go into the guest's initial file system. FOLDER holds
# store.toml and rec.mcap and becomes the guest's /data, on a disk of its own. The guest reaches a
# broker on this machine's 127.0.0.1:PORT as 10.0.2.2:PORT, so FOLDER/store.toml names that. CUTS
# times the guest boots, runs the program, and is killed; then it boots once more and may finish.
# What it left under /data/state is copied to OUT, with the output of each boot.
#
# A cut loses what the guest's kernel has not written to its disk. It does not lose what the disk
# took and would still have held in a volatile cache of its own: a killed emulator has none.
#
# Needs qemu-system-x86, linux-image-cloud-amd64, busybox-static, cpio, e2fsprogs; no root. Settings:
#
#   OUT=DIR       where the results go; default: a new folder under /tmp
#   SPEED=1       times real time
#   AFTER=1-15    a cut comes so many seconds after the program has started
#   FINISH=60     seconds until the last run is asked to stop (SIGTERM)
#   SEED=1        of the moments
#   ACCEL=tcg     emulation; kvm where there is one
#   COMMAND=…     what the guest runs instead, with `basketd` on its path
set -euo pipefail

say() { printf '%s\n' "$*"; }
die() { say "$*" >&2; exit 2; }

[ $# = 4 ] || die "usage: $0 BASKETD FOLDER CUTS PORT"
binary=$(realpath "$1"); folder=$(realpath "$2"); cuts=$3; port=$4
: "${SPEED:=1}" "${AFTER:=1-15}" "${FINISH:=60}" "${SEED:=1}" "${ACCEL:=tcg}"
: "${COMMAND:=basketd run --store /data/store.toml --play /data/rec.mcap --speed $SPEED}"
PATH=$PATH:/usr/sbin:/sbin
kernel=$(find /boot -name 'vmlinuz-*cloud-amd64' | sort -V | tail -1)
[ -n "$kernel" ] || die "needs linux-image-cloud-amd64"
version=${kernel#/boot/vmlinuz-}
for program in qemu-system-x86_64 busybox cpio mke2fs debugfs e2fsck modprobe; do
  command -v $program > /dev/null || die "needs $program"
done
out=${OUT:-$(mktemp -d /tmp/basketd-vm.XXXXXX)}
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
qemu=
trap '[ -z "$qemu" ] || kill -9 "$qemu" 2> /dev/null || true; rm -rf "$work"' EXIT

# ---- the guest's initial file system: busybox, drivers, the program with its libraries ------------

guest=$work/guest
mkdir -p "$guest"/{bin,dev,proc,sys,tmp,data,modules,etc}
cp "$(command -v busybox)" "$guest/bin/busybox"
cp "$binary" "$guest/bin/basketd"
# The loader and the libraries, where the program looks for them; a static one has none.
{ ldd "$binary" 2> /dev/null || true; } | grep -o '/[^ )]*' | while read -r library; do
  mkdir -p "$guest$(dirname "$library")"
  cp -L "$library" "$guest$library"
done
# Drivers in the order in which they depend on each other; those compiled in are not listed.
number=100
for module in virtio_pci virtio_blk virtio_net virtio_rng ext4; do
  modprobe --show-depends --set-version "$version" $module 2> /dev/null
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$guest/modules/$number-$(basename "$file")"
  number=$((number + 1))
done
[ -n "$(ls "$guest/modules")" ] || die "no drivers of $version"
printf '%s\n' "$COMMAND" > "$guest/command"
cat > "$guest/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ STATE_DIRECTORY=/data/state RUST_BACKTRACE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in /modules/*; do
  insmod $module || echo "vm: $module does not load"
done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up && ip route add default via 10.0.2.2 || echo "vm: no network"
mount -t ext4 /dev/vda /data || { echo "vm: no disk"; poweroff -f; }
mkdir -p $STATE_DIRECTORY
finish=$(sed -n 's/.*trial.finish=\([0-9]*\).*/\1/p' /proc/cmdline)
echo "vm: up"
timeout -s TERM ${finish:-1000000} sh -c "exec $(cat /command)"
echo "vm: ended with $?"
umount /data
echo "vm: off"
poweroff -f
INIT
chmod +x "$guest/init"
# Uncompressed: an emulated processor unpacks slowly.
(cd "$guest" && find . | cpio --quiet -o -H newc) > "$work/initrd"

# ---- its disk -------------------------------------------------------------------------------------

disk=$work/disk
truncate -s "${DISK:-2G}" "$disk"
mke2fs -q -t ext4 -E root_owner=0:0 -d "$folder" "$disk"

# ---- boots ----------------------------------------------------------------------------------------

# Starts the guest; its output goes to boot-N.log.
start() {
  : > "$log"
  # Each write reaches this machine's disk before the guest hears of it.
  qemu-system-x86_64 -accel "$ACCEL" -cpu max -smp 2 -m 1024 -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$kernel" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1 mitigations=off ${1:-}" \
    -drive "if=none,id=disk,file=$disk,format=raw,cache=writethrough" -device virtio-blk-pci,drive=disk \
    -netdev user,id=net -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci \
    -serial "file:$log" 2> "$out/qemu.log" &
  qemu=$!
}

# Starts it and waits until it is up. Emulated processors sometimes hang while they boot, before any
# of ours runs: such a boot is begun again.
boot() {
  log=$out/boot-$1.log
  for attempt in 1 2 3 4; do
    begin=$(date +%s%N)
    start "${2:-}"
    # Under emulation a boot takes some seconds, on a busy machine many.
    for _ in $(seq 600); do
      grep -q '^vm: up' "$log" && { up=$((($(date +%s%N) - begin) / 1000000)); return; }
      kill -0 $qemu 2> /dev/null || { tail -20 "$log" "$out/qemu.log" >&2; die "the guest does not boot"; }
      sleep 0.1
    done
    say "boot $1: not up after 60 s, begun again ($attempt)"
    kill -9 $qemu 2> /dev/null || true
    wait $qemu 2> /dev/null || true
    qemu=
  done
  tail -20 "$log" >&2
  die "the guest does not come up"
}

RANDOM=$SEED
low=${AFTER%-*}; high=${AFTER#*-}
say "linux $version, $ACCEL, $(du -h "$work/initrd" | cut -f1) initial file system; results in $out"
for cut in $(seq "$cuts"); do
  boot "$cut"
  after=$((low * 1000 + RANDOM % ((high - low) * 1000 + 1)))
  sleep "$((after / 1000)).$(printf %03d $((after % 1000)))"
  if kill -9 $qemu 2> /dev/null; then what="power cut"; else what="had ended before"; fi
  wait $qemu 2> /dev/null || true
  qemu=
  say "boot $cut: up after $up ms, $what $after ms later$(sed -n 's/^vm: ended/, program ended/p' "$log" | tr -d '\r')"
done

boot last "trial.finish=$FINISH"
say "last boot: up after $up ms"
# The program may need its time to stop; a guest that hangs is a failure.
for _ in $(seq $(((FINISH + 120) * 10))); do kill -0 $qemu 2> /dev/null || break; sleep 0.1; done
if kill -9 $qemu 2> /dev/null; then qemu=; say "FAIL  the last run does not stop"; exit 1; fi
wait $qemu 2> /dev/null || true
qemu=
ended=$(sed -n 's/^vm: ended with \([0-9]*\).*/\1/p' "$log")
failed=0
# 143 is what `timeout` says of a program that SIGTERM ended; one that stops of itself says 0.
if [ "$ended" = 0 ]; then say "PASS  the last run ended with 0"
else say "FAIL  the last run ended with ${ended:-nothing}"; failed=1; fi
if e2fsck -fn "$disk" > "$out/e2fsck.log" 2>&1; then say "PASS  the file system is sound"
else say "FAIL  the file system is not sound: $out/e2fsck.log"; failed=1; fi
rm -rf "$out/state"
debugfs -R "rdump /state $out" "$disk" 2> "$out/debugfs.log"
[ -d "$out/state" ] || { say "FAIL  no state on the disk: $out/debugfs.log"; exit 1; }
say "state: $(find "$out/state" -type f | wc -l) files, $(du -sh "$out/state" | cut -f1)"
exit $failed
