
# Runs a systemd in "$root", of which "$2" has the script and the unit that runs it, and ends with the exit code of that.
groups=$2/run/groups
mkdir "$groups" && mount -t cgroup2 cgroup2 "$groups"
group=$(mktemp -d "$groups/deaddrop.XXXXXX")
# Users have groups below it.
chmod 755 "$group"
mkdir "$root/release" && cp "$2"/*.deb "$2/service.sh" "$root/release"
cp "$2/trial.service" "$root/etc/systemd/system"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../trial.service "$root/etc/systemd/system/multi-user.target.wants"
: > "$root/release/printed" && mount --bind "$2/printed" "$root/release/printed"

# Not by chroot: in one of those nobody can have a user namespace, and the service wants one.
inside='
    root=$1
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mkdir "$root/dev/pts" "$root/dev/shm" "$root/old"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    cd "$root" && pivot_root . old && umount --lazy old && rmdir old
    exec env -i container=deaddrop LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --log-target=null --show-status=no'
code=0
(
    echo 0 > "$group/cgroup.procs"
    exec timeout --signal=KILL 180 unshare --mount --pid --cgroup --fork --kill-child sh -euc "$inside" sh "$root"
) || code=$?
cat "$2/printed"
find "$group" -depth -type d -exec rmdir {} +
exit "$code"
