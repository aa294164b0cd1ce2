#!/usr/bin/env bash
# The shipped unit under a real systemd, without touching this machine's own.
#
#   tests/trials/systemd.sh BASKETD [--play RECORDING]
#
# Boots systemd in namespaces of its own, on an overlay of this machine's root that is thrown away,
# and runs the program there as /usr/bin/basketd with systemd/basketd.service as it is, but for a
# drop-in that shortens WatchdogSec= and RestartSec= and preloads shim.c. Prints a line a check and
# exits 1 if one failed. Needs root, systemd 252 or later, cc; takes about 40 s.
#
# `--play` gives the daemon a recording to play, so that there is something to write down.
# KEEP=1 prints the whole journal at the end.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

say() { printf '%s\n' "$*"; }
die() { say "$*" >&2; exit 2; }

[ $# -ge 1 ] || die "usage: $0 BASKETD [--play RECORDING]"
binary=$(realpath "$1"); shift
recording=
if [ "${1:-}" = --play ]; then recording=$(realpath "${2:?a recording}"); fi
[ -x "$binary" ] || die "$binary is no program"
[ "$(id -u)" = 0 ] || die "needs root"
[ -x /lib/systemd/systemd ] || die "needs systemd"

work=$(mktemp -d /tmp/basketd-systemd.XXXXXX)
chmod 0755 "$work"
# The unified hierarchy, wherever this machine keeps it.
cgroups=/sys/fs/cgroup
[ -e $cgroups/cgroup.procs ] || cgroups=/sys/fs/cgroup/unified
[ -e $cgroups/cgroup.procs ] || die "needs cgroup v2"
cgroup=$cgroups/$(basename "$work")
outer=

clean() {
  if [ -n "$outer" ]; then
    kill -9 "$outer" 2>/dev/null || true # takes its namespace's init along: --kill-child
    wait "$outer" 2>/dev/null || true
  fi
  # Groups go when their last process has gone.
  local tries=0
  while [ -d "$cgroup" ] && [ $tries -lt 50 ]; do
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
    tries=$((tries + 1)); sleep 0.1
  done
  # Everything was mounted in a namespace that has gone; --one-file-system in case it has not.
  rm -rf --one-file-system "$work"
}
trap clean EXIT

# ---- the root of the trial: this machine's, with the package's files on top -----------------------

top=$work/upper
mkdir -p "$work"/{lower,upper,over,root} "$top"/{etc/basketd,etc/credstore,etc/systemd/system,usr/bin,usr/lib}
cc -shared -fPIC -O2 -o "$top/usr/lib/basketd-shim.so" "$here/shim.c"
install -m 0755 "$binary" "$top/usr/bin/basketd"
install -m 0644 "$root/systemd/basketd.service" "$top/etc/systemd/system/"
install -m 0644 "$root"/config/kiosk/*.csv "$top/etc/basketd/"
# The example kiosk with a broker that nobody runs and a password that is a credential.
sed '/^dir = "state"/d' "$root/config/kiosk/store.toml" > "$top/etc/basketd/store.toml"
cat >> "$top/etc/basketd/store.toml" <<'TOML'

[mqtt]
url = "mqtt://127.0.0.1:1"
username = "kiosk-1"
password_file = "mqtt.password"
TOML
printf 'nonsense = 1\n' | cat - "$top/etc/basketd/store.toml" > "$top/etc/basketd/bad.toml"
cp "$top/etc/basketd/store.toml" "$top/etc/basketd/good.toml"
chmod 0700 "$top/etc/credstore"
(umask 077; printf 'not-a-secret' > "$top/etc/credstore/mqtt.password")
play=
if [ -n "$recording" ]; then
  install -D -m 0644 "$recording" "$top/usr/share/basketd-trial/play.mcap"
  play="ExecStart=
ExecStart=/usr/bin/basketd run --store /etc/basketd/store.toml --play /usr/share/basketd-trial/play.mcap --speed 1"
fi
mkdir -p "$top/etc/systemd/system/basketd.service.d"
cat > "$top/etc/systemd/system/basketd.service.d/trial.conf" <<CONF
[Service]
WatchdogSec=4s
RestartSec=1s
Environment=LD_PRELOAD=/usr/lib/basketd-shim.so BASKETD_SHIM_STALL=/run/basketd-trial/stall
$play
CONF
cat > "$top/etc/systemd/system/trial.target" <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service
UNIT
: > "$top/etc/fstab"

# ---- boot -----------------------------------------------------------------------------------------

mkdir "$cgroup"
cat > "$work/boot" <<'BOOT'
set -euo pipefail
work=$1
mount --make-rprivate /
mount --bind / "$work/lower"
# The upper layer must be on a file system of its own kind: tmpfs takes whatever it is given.
mount -t tmpfs -o mode=755 tmpfs "$work/over"
mkdir "$work/over"/{upper,work}
cp -a "$work/upper/." "$work/over/upper/"
mount -t overlay -o "lowerdir=$work/lower,upperdir=$work/over/upper,workdir=$work/over/work" overlay "$work/root"
cd "$work/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# State of this machine is not the trial's.
mount -t tmpfs -o mode=755 tmpfs var/lib
mount -t tmpfs -o mode=755 tmpfs var/log
mount -t tmpfs -o mode=755 tmpfs dev
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 0666 "dev/${node%:*}" c 1 "${node#*:}"; done
mknod -m 0666 dev/tty c 5 0
# One node of a kind that the unit does not allow, open to all.
mknod -m 0666 dev/forbidden c 4 64
mkdir dev/shm dev/pts run/basketd-trial
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up
mkdir run/old
pivot_root . run/old
umount -l /run/old
rmdir /run/old
# As on a booted machine; credentials are mounted by a process beside and must arrive here.
mount --make-rshared /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lxc \
  /lib/systemd/systemd --system --unit=trial.target --log-target=journal --show-status=no </dev/null >/dev/null 2>&1
BOOT

( echo $BASHPID > "$cgroup/cgroup.procs"
  exec unshare --mount --uts --ipc --net --cgroup --pid --fork --kill-child \
    bash "$work/boot" "$work" > "$work/boot.log" 2>&1 ) &
outer=$!

# The namespace's first process, by its number here.
init=
for _ in $(seq 100); do
  init=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null | tr -d ' ') || true
  [ -n "$init" ] && [ "$(cat "/proc/$init/comm" 2>/dev/null)" = systemd ] && break
  kill -0 "$outer" 2>/dev/null || { cat "$work/boot.log" >&2; die "systemd did not boot"; }
  sleep 0.1
done

inside() { nsenter --target "$init" --mount --uts --ipc --net --cgroup --pid -- "$@"; }
show() { inside systemctl show basketd --value --property "$1"; }
journal() { inside journalctl --unit basketd --output cat --no-pager "$@"; }

# Waits until a command succeeds, so many seconds at most.
within() {
  local end=$((SECONDS + $1)); shift
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

failed=0
check() {
  local what=$1; shift
  if "$@" > "$work/check.log" 2>&1; then say "PASS  $what"
  else say "FAIL  $what"; sed 's/^/      /' "$work/check.log"; failed=$((failed + 1)); fi
}
is() { local found; found=$(show "$1"); [ "$found" = "$2" ] || { say "$1 is $found"; return 1; }; }
now_at_least() { [ "$(show "$1")" -ge "$2" ]; }

within 20 inside systemctl is-active --quiet systemd-journald || { cat "$work/boot.log" >&2; die "no systemd after 20 s"; }
say "systemd $(inside systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'), $(basename "$binary"), watchdog 4 s instead of 30 s"

# ---- start ----------------------------------------------------------------------------------------

begin=$(date +%s%N)
check "started, and READY came" inside systemctl start basketd
say "      after $((($(date +%s%N) - begin) / 1000000)) ms"
check "is active" is ActiveState active
check "tells its STATUS: $(show StatusText)" test -n "$(show StatusText)"
pid=$(show MainPID)
uid=$(inside stat -c %u "/proc/$pid" || echo 0)
dynamic() { [ "$uid" -ge 61184 ] && [ "$uid" -le 65519 ]; }
check "runs as a dynamic user: $uid" dynamic
# In the service's own mounts, as the service's user and as somebody else.
service() { inside nsenter --target "$pid" --mount -- "$@"; }
as_user() { service setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
secret=/run/credentials/basketd.service/mqtt.password
holds_secret() { [ "$(as_user "$uid" cat $secret)" = not-a-secret ]; }
check "the credential is readable to it" holds_secret
denied() { ! "$@"; }
check "and to nobody else" denied as_user 65534 cat $secret
check "its source is not" denied as_user "$uid" cat /etc/credstore/mqtt.password
check "the state directory is writable" as_user "$uid" touch /var/lib/basketd/trial
wrote() { [ -n "$(inside find /var/lib/private/basketd -type f -size +0 -uid "$uid" ! -name trial -print -quit)" ]; }
check "and written to" within 10 wrote
check "/etc is read-only" denied service touch /etc/trial
check "its own configuration is not its to write" denied as_user "$uid" touch /etc/basketd/store.toml
check "/usr is read-only" denied service touch /usr/trial
groups_of() {
  local found name; found=" $(inside sed -n 's/^Groups:[[:space:]]*//p' "/proc/$pid/status") "
  for name in video dialout plugdev; do
    [[ $found == *" $(inside getent group $name | cut -d: -f3) "* ]] || { say "not in $name: $found"; return 1; }
  done
}
check "is in the groups of cameras, serial adapters and USB devices" groups_of
# A process that joins the service's control group has its device rules.
opens() {
  inside bash -c "echo \$\$ > /sys/fs/cgroup/system.slice/basketd.service/cgroup.procs
    exec nsenter --target $pid --mount -- bash -c ': <> $1'"
}
forbidden() { opens /dev/null && ! opens /dev/forbidden 2> "$work/opens.log" && grep -q "not permitted" "$work/opens.log"; }
check "may not open a device that the unit does not name" forbidden
caps() { [ "$(inside sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$pid/status")" = 0000000000000000 ]; }
check "has no capabilities" caps
check "was not restarted" is NRestarts 0

# ---- reload ---------------------------------------------------------------------------------------

lines() { journal | wc -l; }
reloaded() { # a reload that the daemon answers with a line of its own, as the same process
  local before; before=$(lines)
  inside systemctl reload basketd
  within 10 is ActiveState active && within 10 more_lines "$((before + 1))" && is MainPID "$pid"
}
more_lines() { [ "$(lines)" -gt "$1" ]; }
check "SIGHUP reloads, in the same process" reloaded
inside cp /etc/basketd/bad.toml /etc/basketd/store.toml
check "SIGHUP with a bad store file: goes on with the old one" reloaded
inside cp /etc/basketd/good.toml /etc/basketd/store.toml

# ---- faults ---------------------------------------------------------------------------------------

inside touch /run/basketd-trial/stall
begin=$SECONDS
tells() { journal | grep -qi "$1"; }
check "a stuck engine is found by the watchdog" within 30 tells "watchdog timeout"
say "      after $((SECONDS - begin)) s"
inside rm /run/basketd-trial/stall
restarted() { now_at_least NRestarts "$1" && is ActiveState active; }
check "and started anew" within 30 restarted 1
inside systemctl kill --kill-whom=main --signal KILL basketd
check "a killed one is started anew" within 30 restarted 2

# ---- stop -----------------------------------------------------------------------------------------

begin=$(date +%s%N)
inside systemctl stop basketd || true
took=$((($(date +%s%N) - begin) / 1000000))
check "stops within 5 s: $took ms" test $took -lt 5000
check "cleanly" is Result success
check "with exit code 0" is ExecMainStatus 0

# ---- a bad store file -----------------------------------------------------------------------------

inside cp /etc/basketd/bad.toml /etc/basketd/store.toml
check "a bad store file fails the start" denied inside systemctl start basketd
check "with exit code 1" is ExecMainStatus 1
check "the journal says why" tells nonsense
sleep 3 # longer than RestartSec=
check "and it is not tried again" is ActiveState failed

[ -z "${KEEP:-}" ] || journal
[ $failed = 0 ] || { say "the journal's end:"; journal -n 40 | sed 's/^/      /'; say "$failed failed"; exit 1; }
say "all passed in $SECONDS s"
