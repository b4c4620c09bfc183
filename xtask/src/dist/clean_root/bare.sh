# A root in which there is nothing but the static program: a message and a file go from one command to another. Run by sh -eu
# with the root as its argument, where only loopback is.

root=$1
fail() { echo "$*"; exit 1; }
deaddrop() { env -i PATH="$PATH" DEADDROP_ROOM='copper lantern harbour ninety' chroot "$root" /deaddrop "$@"; }

test "$(ls -A "$root")" = deaddrop
echo "== the first line of the program"
deaddrop --version | grep -q '^deaddrop [0-9]'
echo "== a message"
deaddrop send-msg 'without any library' &
test "$(deaddrop fetch --wait 30s --quiet)" = 'without any library'
wait $!
echo "== a file"
head -c 3000000 /dev/urandom > "$root/sent.bin"
deaddrop send-file /sent.bin &
deaddrop fetch --wait 30s --out /received.bin
wait $!
cmp "$root/sent.bin" "$root/received.bin"
echo "== done"
