#!/usr/bin/env bash
# A real file system that fills up, is emptied, is read-only and writable again, under a daemon
# that plays a busy shop; a broker and the reference backend listen.
#
#   tests/trials/disk.sh BASKETD
#
# Needs root (a tmpfs in a mount namespace of its own), mosquitto, curl, sqlite3. Takes about half a minute.
set -euo pipefail

say() { printf '%s\n' "$*"; }
[ $# = 1 ] || { say "usage: $0 BASKETD" >&2; exit 2; }
if [ -z "${INSIDE:-}" ]; then
  INSIDE=1 exec unshare --mount --propagation private "$0" "$(realpath "$1")"
fi
binary=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d /tmp/basketd-disk.XXXXXX)
PATH=$PATH:/usr/sbin
pids=()
clean() {
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  umount -l "$work/state" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap clean EXIT
failed=0
check() { if "${@:2}"; then say "PASS  $1"; else say "FAIL  $1"; failed=1; fi; }
port=$((20000 + RANDOM % 20000)); console=$((port + 1))
within() { # seconds, then a condition
  local tries=$(($1 * 10)); shift
  while [ $tries -gt 0 ]; do if "$@"; then return 0; fi; sleep 0.1; tries=$((tries - 1)); done
  return 1
}
page() { curl -s -m 2 "http://127.0.0.1:$console/$1" || true; }
metric() { page metrics | sed -n "s/^$1 //p"; }
ready() { [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$console/readyz")" = "$1" ]; }
grows() { local now; now=$(metric basketd_outbox_committed); [ "${now:-0}" -gt "$1" ]; }

mkdir "$work/state"
mount -t tmpfs -o size=24m tmpfs "$work/state"
cp "$root"/config/kiosk/*.csv "$work"
sed -e "s#^dir = \"state\".*#dir = \"$work/state\"#" -e "s#127.0.0.1:8090#127.0.0.1:$console#" "$root/config/kiosk/store.toml" > "$work/store.toml"
printf '\n[mqtt]\nurl = "mqtt://127.0.0.1:%s"\n' "$port" >> "$work/store.toml"
printf 'listener %s 127.0.0.1\nallow_anonymous true\npersistence false\n' "$port" > "$work/broker.conf"
mosquitto -c "$work/broker.conf" 2> "$work/broker.log" & pids+=($!)
"$binary" checkout --quiet --url "mqtt://127.0.0.1:$port" --db "$work/receipts.db" 2> "$work/backend.log" & pids+=($!)
"$binary" run --store "$work/store.toml" --speed 100 --repeat 1000000 \
  --play "$root/tests/recordings/kiosk-one-shopper/recording.mcap" 2> "$work/daemon.log" & daemon=$!; pids+=($daemon)
check "starts" within 10 ready 200
check "makes events" within 10 grows 20

dd if=/dev/zero of="$work/state/ballast" bs=64k 2>/dev/null || true
check "full: says that it is not ready" within 20 ready 503
check "full: and why" grep -q " full\|No space" <(page readyz)
check "full: is alive" grep -q ok <(page healthz)
before=$(metric basketd_outbox_committed)
rm "$work/state/ballast"
check "space again: ready by itself" within 20 ready 200
check "space again: makes events" within 20 grows $((before + 20))

kill -TERM $daemon
check "ends cleanly" wait $daemon
last=$(sqlite3 "$work/state/outbox.db" 'select max(n) from event')
has_all() { [ "$(sqlite3 "$work/receipts.db" 'select max(through) from watermark')" = "$last" ]; }
"$binary" run --store "$work/store.toml" 2>> "$work/daemon.log" & daemon=$!; pids+=($daemon)
check "the backend has all $last events" within 20 has_all
check "and no id with two bodies" test "$(sqlite3 "$work/receipts.db" 'select count(*) from conflict')" = 0
kill -TERM $daemon; wait $daemon || true

# A file system with open files cannot be made read-only; without them it can.
mount -o remount,ro "$work/state"
code=0; "$binary" run --store "$work/store.toml" 2> "$work/readonly.log" || code=$?
check "read-only: does not start, and may be tried again (exit code 70)" test $code = 70
check "read-only: says why" grep -q "Read-only file system" "$work/readonly.log"
mount -o remount,rw "$work/state"
"$binary" run --store "$work/store.toml" 2>> "$work/daemon.log" & daemon=$!; pids+=($daemon)
check "writable again: starts" within 20 ready 200
kill -TERM $daemon; wait $daemon || true
if [ $failed = 1 ]; then tail -30 "$work/daemon.log"; fi
exit $failed
