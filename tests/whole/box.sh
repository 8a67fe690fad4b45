#!/bin/sh
# The first process of a box: makes a file system of its own over the machine's, then becomes systemd.
# Called by tests/whole/box.py as `unshare ... box.sh FOLDER [PATH...]`: an empty folder to build in, and what of the
# machine may lie on other mounts and must be seen at its own place, read-only.
set -eu
folder=$1
shift

# What is written goes to memory; the machine's own files stay as they are.
mount -t tmpfs -o mode=755 box "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" box "$folder/root"
root=$folder/root
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for place in run tmp dev; do
    mount -t tmpfs -o mode=755 "$place" "$root/$place"
done
chmod 1777 "$root/tmp"
for path in "$@"; do
    mkdir -p "$root$path" # a checkout may lie in what is empty by now
    mount --bind "$path" "$root$path"
    mount -o remount,ro,bind "$root$path"
done
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/old"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

# No unit of the machine but the journal's, and the targets that they, ours and systemd itself name.
rm -rf "$root/etc/systemd/system" "$root/etc/systemd/user" "$root/etc/init.d" "$root/usr/lib/systemd/system-generators"
mkdir -p "$root/etc/systemd/system" "$root/etc/systemd/user"
mount -t tmpfs -o mode=755 units "$root/usr/lib/systemd/system"
for unit in systemd-journald.service systemd-journald.socket; do
    cp "/usr/lib/systemd/system/$unit" "$root/usr/lib/systemd/system/$unit"
done
mkdir "$root/usr/lib/systemd/system/sysinit.target.wants"
ln -s ../systemd-journald.service "$root/usr/lib/systemd/system/sysinit.target.wants/"
for target in sysinit basic multi-user shutdown umount local-fs network time-sync; do
    printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$target" >"$root/usr/lib/systemd/system/$target.target"
done
echo box >"$root/etc/hostname"
ip link set lo up 2>/dev/null || true

# Not chroot: with it PrivateUsers= is refused, and /proc/PID/root leads out of the box.
cd "$root"
pivot_root . run/old
umount -l /run/old
rmdir /run/old
# As systemd does on a machine and leaves to others in a container: credentials arrive as a mount.
mount --make-rshared /
rm -rf /var/log/journal # nothing of the machine's, and the box's own in memory
exec env -i container=box PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /usr/lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --log-level=info --show-status=no
