# In a clean Debian 12, as root, without a network beyond loopback: installs the package in /release, uses it as a new user
# would, upgrades it, and removes it. Run by sh -eu; the last line with "==" says what it was at.

step() { echo "== $*"; }
fail() { echo "$*"; exit 1; }
as_ann() { runuser -l ann -c "$1"; }

# Every file with its mode and its content, but what belongs to others than the package: logs, the databases of dpkg, apt and
# man, users, and ann's own files.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /release -o -path /home/ann \
        -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /run \) -prune \
        -o -printf '%M %p %l\n' > /tmp/all
    find / -xdev -type f -not -path '/proc/*' -not -path '/tmp/*' -not -path '/release/*' -not -path '/home/ann/*' \
        -not -path '/var/*' -exec md5sum {} + > /tmp/contents
    sort /tmp/all /tmp/contents
}

# A message from one command to another, both of ann.
hand_over_a_message() {
    said=$(as_ann 'deaddrop send-msg "the first message" & deaddrop fetch --wait 30s && wait $!')
    test "$said" = 'the first message'
}

step "a user"
useradd --create-home --shell /bin/bash ann
files > /tmp/before

step "apt install"
apt-get install --yes --quiet=2 /release/old.deb
test "$(dpkg-query --show --showformat '${Status}' deaddrop)" = 'install ok installed'
as_ann 'deaddrop --version' | grep -q '^deaddrop [0-9]'

step "a room"
as_ann 'deaddrop room new --name default'
as_ann 'test "$(stat --format %a .config/deaddrop/rooms/default)" = 600'
room=$(md5sum /home/ann/.config/deaddrop/rooms/default)

step "the first message"
hand_over_a_message

step "the first file"
as_ann 'head --bytes 3000000 /dev/urandom > report.pdf && mkdir inbox && cd inbox &&
    { deaddrop send-file ../report.pdf & deaddrop fetch --wait 30s && wait $! && cmp ../report.pdf report.pdf; }'

step "man pages"
for page in deaddrop deaddrop-run deaddrop-send-msg deaddrop-send-file deaddrop-fetch deaddrop-room-new; do
    as_ann "man $page" | grep -q "^NAME" || fail "no man page $page"
done
man --where deaddrop

step "completion"
# As bash-completion does it: the file is found by the name of the command.
bash -c 'source /usr/share/bash-completion/completions/deaddrop
    COMP_WORDS=(deaddrop send-); COMP_CWORD=1; _deaddrop; echo "${COMPREPLY[@]}"' | grep -q 'send-msg.*send-file\|send-file.*send-msg'
test -s /usr/share/zsh/vendor-completions/_deaddrop
test -s /usr/share/fish/vendor_completions.d/deaddrop.fish

step "the service: there, and not enabled"
unit=/usr/lib/systemd/user/deaddrop.service
program=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$unit")
test -x "$program"
test -z "$(find /etc/systemd /home/ann/.config -name deaddrop.service)"

step "an upgrade keeps the room"
version=$(dpkg-query --show --showformat '${Version}' deaddrop)
apt-get install --yes --quiet=2 /release/new.deb
dpkg --compare-versions "$(dpkg-query --show --showformat '${Version}' deaddrop)" gt "$version"
test "$(md5sum /home/ann/.config/deaddrop/rooms/default)" = "$room"
hand_over_a_message

step "removal leaves nothing but the user's own files"
apt-get purge --yes --quiet=2 deaddrop
files > /tmp/after
diff /tmp/before /tmp/after
test "$(md5sum /home/ann/.config/deaddrop/rooms/default)" = "$room"
test -z "$(find / -xdev -name '*deaddrop*' -not -path '/home/ann/*' -not -path '/release/*' -not -path '/proc/*')"
step "done"
