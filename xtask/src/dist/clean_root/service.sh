# In a Debian 12 with systemd as process 1, as root, without a network beyond loopback: enables the user service of the
# package in /release as its documentation says, and has it fetch. Run by sh -eu; the last line with "==" says what it was at.

step() { echo "== $*"; }
fail() { echo "$*"; journal; exit 1; }
# As ann, in the environment of a login.
as_ann() { runuser -u ann -- env HOME=/home/ann XDG_RUNTIME_DIR="/run/user/$id" "$@"; }
service() { as_ann systemctl --user "$@"; }
shows() { service show --property "$1" --value deaddrop; }
journal() { journalctl --sync; journalctl --no-pager --output cat _UID="$id"; }
# Waits until a command succeeds.
until_true() {
    for _ in $(seq 200); do
        if "$@"; then return; fi
        sleep 0.1
    done
    fail "never: $*"
}
is() { test "$(shows "$1")" = "$2"; }
logged() { test "$(journal | grep --count --fixed-strings -- "$1")" -ge "$2"; }

step "a user, whose services run from boot on"
useradd --create-home --shell /bin/bash ann
id=$(id -u ann)
cd /home/ann
until_true systemctl is-active --quiet dbus.socket
until_true systemctl is-active --quiet systemd-logind
loginctl enable-linger ann
until_true systemctl is-active --quiet "user@$id"

step "the unit of the package is accepted"
apt-get install --yes --quiet=2 /release/new.deb
unit=/usr/lib/systemd/user/deaddrop.service
said=$(as_ann systemd-analyze --user verify "$unit" 2>&1)
test -z "$said" || fail "$said"

step "it starts, and says that it is ready"
as_ann deaddrop room new --name default
service enable --now deaddrop
is ActiveState active
until_true is StatusText '0 offered'
as_ann systemd-analyze --user security --no-pager --threshold=20 deaddrop > /tmp/exposure || fail "$(cat /tmp/exposure)"

step "it can write nowhere"
pid=$(shows MainPID)
# On a line each: the shell goes on after a failure on the left of `&&`.
grep -q 'NoNewPrivs:.*1' "/proc/$pid/status"
grep -q 'Seccomp:.*2' "/proc/$pid/status"
for folder in usr etc home/ann home/ann/.config/deaddrop; do
    if touch "/proc/$pid/root/$folder/written" 2> /dev/null; then fail "it can write into $folder"; fi
done

step "an offer is in the journal, and what it says is not"
as_ann deaddrop send-msg 'not for the journal' &
until_true logged 'message, 19 bytes' 1
test "$(as_ann deaddrop fetch --wait 30s --quiet)" = 'not for the journal'
wait $!
until_true logged 'Gone (fetched)' 1
if logged 'not for the journal' 1; then fail 'the journal has the message'; fi

step "it reads its room again"
as_ann deaddrop room new --out other.room
cp other.room .config/deaddrop/rooms/default
service reload deaddrop
until_true logged 'Listening on' 2
is MainPID "$pid"
as_ann deaddrop send-msg --room-file other.room 'in the other room' &
until_true logged 'message, 17 bytes' 1
test "$(as_ann deaddrop fetch --wait 30s --quiet)" = 'in the other room'
wait $!

step "it fetches, with the lines that stand at the top of the unit"
mkdir -p .config/systemd/user/deaddrop.service.d
{
    sed -n '/^#   \[Service\]$/,/^#$/s/^#   //p' "$unit"
    printf '%s\n' WatchdogSec=2 RestartSec=0
} > .config/systemd/user/deaddrop.service.d/override.conf
chown -R ann: .config/systemd
service daemon-reload
service restart deaddrop
pid=$(shows MainPID)
inbox=.config/deaddrop/inbox
as_ann deaddrop send-msg 'unattended'
head --bytes 3000000 /dev/urandom > report.pdf
as_ann deaddrop send-file report.pdf
as_ann mkdir -p photos/june
echo picture | as_ann tee photos/june/a.jpg
as_ann deaddrop send-file photos
test "$(cat "$inbox"/message-*.txt)" = 'unattended'
cmp report.pdf "$inbox/report.pdf"
diff -r photos "$inbox/photos"
test "$(stat --format '%U %a' "$inbox" "$inbox/report.pdf" | tr '\n' ' ')" = 'ann 700 ann 600 '
until_true is StatusText '0 offered, 3 fetched'

step "one that hangs is started again"
kill -STOP "$pid"
until_true is NRestarts 1
until_true is ActiveState active
as_ann deaddrop send-msg 'after the restart'
grep --quiet 'after the restart' "$inbox"/message-*.txt

step "it stops"
service stop deaddrop
is ActiveState inactive
is Result success
logged 'deaddrop: terminated' 1
test -z "$(find "$inbox" -name '.*deaddrop*')"
step "done"
