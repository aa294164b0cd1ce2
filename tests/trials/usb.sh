#!/usr/bin/env bash
# Readers and scales on USB: the code that opens them, in a virtual machine whose kernel has USB.
#
#   tests/trials/usb.sh PROGRAM
#
# PROGRAM is the test program of tests/usb_vm.rs, which plays three parts by the variable USB_TRIAL:
# a reader on this machine behind the guest's FTDI adapter (`reader`); everything in the guest
# (`machine`): it makes a CDC-ACM reader and a HID scale with the kernel's gadget drivers, and runs
# the edges on all three; and the same without permissions (`nobody`). What it wants done to the
# guest's plugs it says on the guest's console, and is done here.
#
# Needs qemu-system-x86, linux-image-amd64 (the cloud kernel has no USB), busybox-static, cpio, kmod;
# no root. Settings:
#
#   KERNEL_DIR=/  where boot/ and lib/modules/ of that kernel lie: an unpacked package will do
#   OUT=DIR       where the guest's output goes; default: a new folder under /tmp
#   LIMIT=240     seconds until the guest must be done
#   ACCEL=tcg     emulation; kvm where there is one
#   CAMERA=…      what the guest runs besides, once its camera (vivid) is there
set -euo pipefail

say() { printf '%s\n' "$*"; }
die() { say "$*" >&2; exit 2; }

[ $# = 1 ] || die "usage: $0 PROGRAM"
program=$(realpath "$1")
: "${KERNEL_DIR:=/}" "${LIMIT:=240}" "${ACCEL:=tcg}" "${CAMERA:=}"
PATH=$PATH:/usr/sbin:/sbin
for needed in qemu-system-x86_64 busybox cpio depmod modprobe; do
  command -v $needed > /dev/null || die "needs $needed"
done
kernel=$(find "$KERNEL_DIR/boot" -name 'vmlinuz-*-amd64' ! -name '*cloud*' ! -name '*rt*' | sort -V | tail -1)
[ -n "$kernel" ] || die "needs linux-image-amd64 in $KERNEL_DIR"
version=${kernel##*/vmlinuz-}
out=${OUT:-$(mktemp -d /tmp/basketd-usb.XXXXXX)}
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
qemu=; reader=
trap '[ -z "$qemu" ] || kill -9 "$qemu" 2> /dev/null || true
      [ -z "$reader" ] || kill "$reader" 2> /dev/null || true
      rm -rf "$work"' EXIT

# ---- the guest's initial file system: busybox, drivers, the program with its libraries ------------

guest=$work/guest
mkdir -p "$guest"/{bin,dev,proc,sys,tmp,modules,etc}
cp "$(command -v busybox)" "$guest/bin/busybox"
cp "$program" "$guest/bin/trial"
strip "$guest/bin/trial" 2> /dev/null || true
{ ldd "$program" 2> /dev/null || true; } | grep -o '/[^ )]*' | while read -r library; do
  mkdir -p "$guest$(dirname "$library")"
  cp -L "$library" "$guest$library"
done
# An unpacked package has no list of what depends on what: a folder of our own gets one.
modules=$(realpath "$KERNEL_DIR/lib/modules/$version")
root=$KERNEL_DIR
if [ ! -e "$modules/modules.dep" ]; then
  root=$work/root
  mkdir -p "$root/lib/modules/$version"
  ln -s "$modules/kernel" "$root/lib/modules/$version/kernel"
  cp "$modules"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$version/"
  depmod -b "$root" "$version"
fi
number=100
for module in virtio_pci virtio_rng xhci_pci ftdi_sio cdc_acm usbhid hid_generic \
  usb_f_acm usb_f_hid dummy_hcd vivid; do
  modprobe -d "$root" --show-depends --set-version "$version" $module 2> /dev/null || say "no driver $module" >&2
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$guest/modules/$number-$(basename "$file")"
  number=$((number + 1))
done
[ -n "$(ls "$guest/modules")" ] || die "no drivers of $version"
printf '%s' "$CAMERA" > "$guest/camera"
cat > "$guest/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ RUST_BACKTRACE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in /modules/*; do
  case $module in
    *dummy_hcd*) insmod $module num=2 ;;
    *) insmod $module ;;
  esac || echo "vm: $module does not load"
done
mount -t configfs none /sys/kernel/config
echo "vm: up"
USB_TRIAL=machine trial --exact in_the_machine --nocapture
echo "vm: ended with $?"
if [ -e /dev/video0 ]; then echo "vm: camera $(cat /sys/class/video4linux/video0/name)"; fi
if [ -s /camera ]; then sh /camera; echo "vm: camera ended with $?"; fi
poweroff -f
INIT
chmod +x "$guest/init"
(cd "$guest" && find . | cpio --quiet -o -H newc) > "$work/initrd"

# ---- the reader behind the adapter, the guest, and what is done to its plugs ----------------------

log=$out/guest.log
# Starts all; the guest's monitor listens to file descriptor 3.
start() {
  : > "$log"
  rm -f "$work/port" "$work/monitor"
  USB_TRIAL=reader USB_TRIAL_PORT=$work/port "$program" --exact a_reader_on_a_socket > "$out/reader.log" 2>&1 &
  reader=$!
  for _ in $(seq 100); do [ ! -s "$work/port" ] || break; sleep 0.1; done
  [ -s "$work/port" ] || die "the reader does not start: $out/reader.log"
  mkfifo "$work/monitor"
  qemu-system-x86_64 -accel "$ACCEL" -cpu max -smp 2 -m 1024 -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$kernel" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1 mitigations=off" \
    -device qemu-xhci,id=xhci -device virtio-rng-pci \
    -chardev "socket,id=line,host=127.0.0.1,port=$(cat "$work/port")" -device usb-serial,chardev=line,id=reader,bus=xhci.0 \
    -chardev null,id=nothing \
    -serial "file:$log" -qmp stdio < "$work/monitor" > "$out/qmp.log" 2> "$out/qemu.log" &
  qemu=$!
  exec 3> "$work/monitor"
  say '{"execute": "qmp_capabilities"}' >&3
}

end() {
  exec 3>&-
  kill -9 "$qemu" 2> /dev/null || true
  wait "$qemu" 2> /dev/null || true
  kill "$reader" 2> /dev/null || true
  wait "$reader" 2> /dev/null || true
  qemu=; reader=
}

# Emulated processors sometimes hang while they boot, before any of ours runs.
for attempt in 1 2 3; do
  start
  for _ in $(seq 900); do
    ! grep -q '^vm: up' "$log" || break 2
    kill -0 "$qemu" 2> /dev/null || { tail -20 "$log" "$out/qemu.log" >&2; die "the guest does not boot"; }
    sleep 0.1
  done
  say "not up after 90 s, begun again ($attempt)"
  end
done
grep -q '^vm: up' "$log" || die "the guest does not come up: $log"
say "linux $version, $ACCEL, $(du -h "$work/initrd" | cut -f1) initial file system; results in $out"

# Does once what the guest asks for.
plug() {
  grep -q "^trial: $1" "$log" && [ ! -e "$work/done-$2" ] || return 0
  touch "$work/done-$2"
  say "$3" >&3
}
for _ in $(seq $((LIMIT * 10))); do
  plug "pull the adapter" pull '{"execute": "device_del", "arguments": {"id": "reader"}}'
  plug "plug the adapter" plug \
    '{"execute": "device_add", "arguments": {"driver": "usb-serial", "chardev": "line", "id": "again", "bus": "xhci.0"}}'
  plug "plug a second adapter" second \
    '{"execute": "device_add", "arguments": {"driver": "usb-serial", "chardev": "nothing", "id": "second", "bus": "xhci.0", "always-plugged": true}}'
  kill -0 "$qemu" 2> /dev/null || break
  sleep 0.1
done
hung=0; kill -0 "$qemu" 2> /dev/null && hung=1
end
tr -d '\r' < "$log" | sed -n 's/^trial: \(PASS\|FAIL\|told\)/\1/p; s/^vm: \(camera.*\)/told \1/p'
[ $hung = 0 ] || { tail -30 "$log" >&2; say "FAIL  the guest was not done after $LIMIT s: $log"; exit 1; }
grep -q '^vm: ended with 0' "$log" || { tail -40 "$log" >&2; say "FAIL  $log"; exit 1; }
