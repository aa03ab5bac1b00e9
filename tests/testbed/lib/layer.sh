# shellcheck shell=bash
# A host's disk: an overlay whose lower layer is this machine's / and whose upper layer is the host's own.
# Of the machine below only programs and /etc show through: its data, homes, keys and enabled units do not.

# Folders of / that the hosts share; all others are empty in them.
LAYER_SHARED=" bin sbin lib lib32 lib64 libx32 usr etc opt "
# Of /etc, what is this machine's own business: what it starts, what it knows, what it hides.
LAYER_HIDDEN=(etc/systemd/system etc/systemd/network etc/init.d etc/cron.d etc/ssh etc/ssl/private
        etc/shadow- etc/gshadow- etc/passwd- etc/group- etc/muster etc/haproxy etc/redis etc/postgresql
        etc/mysql etc/sudoers.d etc/letsencrypt etc/fstab etc/resolv.conf)

# A character device 0/0 in the upper layer is how overlayfs says "not here".
layer_whiteout() { # UPPER PATH
        [[ -e /$2 || -L /$2 ]] || return 0
        mkdir -p "$1/$(dirname "$2")"
        rm -rf "${1:?}/$2"
        mknod "$1/$2" c 0 0
}

layer_hide() { # UPPER
        local path
        for path in /* /.[!.]*; do
                path=${path#/}
                [[ $LAYER_SHARED == *" $path "* ]] || layer_whiteout "$1" "$path"
        done
        for path in "${LAYER_HIDDEN[@]}"; do layer_whiteout "$1" "$path"; done
        for path in /etc/rc[0-9S].d; do layer_whiteout "$1" "${path#/}"; done
}

layer_prepare() { # HOST
        local dir upper
        dir=$(host_dir "$1")
        mkdir -p "$dir"
        if [[ $TESTBED_UPPER == tmpfs || $(stat -f -c %T "$dir") == overlayfs ]]; then
                mountpoint -q "$dir" || mount -t tmpfs -o mode=755,size=75% testbed "$dir"
        fi
        mkdir -p "$dir/upper" "$dir/work" "$dir/root"
        upper=$dir/upper
        chmod 755 "$upper"
        layer_hide "$upper"
        layer_with "$1" layer_fill "$1"
}

# layer_mount HOST: in a private mount namespace only, so that it goes with the process that needs it.
layer_mount() {
        local dir
        dir=$(host_dir "$1")
        mount -t overlay testbed -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
}

# layer_with HOST COMMAND...: runs it, a function of these files too, with the host's disk mounted at $LAYER_ROOT.
layer_with() {
        unshare --mount --propagation slave "$TESTBED_HOME/testbed" in-layer "$@"
}

layer_inside() { # HOST COMMAND...
        LAYER_ROOT=$(host_dir "$1")/root
        layer_mount "$1"
        shift
        "$@"
}

# The first content of a host: a Debian that knows its name, its address and its neighbours.
layer_fill() { # HOST
        local root=$LAYER_ROOT folder
        for folder in root home tmp var run proc sys dev mnt media srv boot var/lib var/cache var/log/journal \
                var/spool var/tmp etc/systemd/system etc/systemd/network etc/systemd/journald.conf.d etc/ssl/private; do
                mkdir -p "$root/$folder"
        done
        chmod 700 "$root/root" "$root/etc/ssl/private"
        chmod 1777 "$root/tmp" "$root/var/tmp"
        ln -sfn /run "$root/var/run"
        ln -sfn /run/lock "$root/var/lock"
        echo "$1" >"$root/etc/hostname"
        tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
        : >"$root/etc/fstab"
        : >"$root/etc/resolv.conf"
        sed 's/:.*/:*:19000:0:99999:7:::/' /etc/passwd >"$root/etc/shadow"
        sed 's/:.*/:*::/' /etc/group >"$root/etc/gshadow"
        chmod 640 "$root/etc/shadow" "$root/etc/gshadow"
        printf '[Match]\nName=host0\n[Network]\nAddress=%s/24\nDHCP=no\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
                "$(host_address "$1")" >"$root/etc/systemd/network/10-host0.network"
        printf '[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nSyncIntervalSec=1s\n' \
                >"$root/etc/systemd/journald.conf.d/testbed.conf"
        layer_units
}

# Who else is there may change from one boot to the next.
layer_name_hosts() { # ROOT
        local other
        {
                echo "127.0.0.1 localhost"
                for other in bastion $(host_names); do echo "$(host_address "$other") $other"; done
        } >"$1/etc/hosts"
}

# What a host starts: its network, and a note of every boot, as evidence that nothing else writes.
layer_units() {
        local units=$LAYER_ROOT/etc/systemd/system unit
        mkdir -p "$units/multi-user.target.wants" "$units/network-online.target.wants" "$units/basic.target.wants"
        ln -sfn /lib/systemd/system/multi-user.target "$units/default.target"
        ln -sfn /lib/systemd/system/systemd-networkd.service "$units/multi-user.target.wants/"
        ln -sfn /lib/systemd/system/systemd-networkd-wait-online.service "$units/network-online.target.wants/"
        for unit in console-getty.service getty-static.service systemd-timesyncd.service systemd-resolved.service \
                systemd-firstboot.service systemd-udevd.service ldconfig.service systemd-hwdb-update.service \
                systemd-update-done.service; do
                ln -sfn /dev/null "$units/$unit"
        done
        cat >"$units/testbed-boot.service" <<'UNIT'
[Unit]
Description=Note this boot

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "$$(date +%%s%%3N) $$(cat /proc/sys/kernel/random/boot_id)" >>/var/log/boots'
UNIT
        ln -sfn ../testbed-boot.service "$units/basic.target.wants/"
}

layer_remove() { # HOST
        local dir
        dir=$(host_dir "$1")
        if mountpoint -q "$dir"; then umount "$dir" || umount --lazy "$dir"; fi
        rm -rf "$dir"
}

layer_remove_all() {
        local host
        for host in $(host_names); do layer_remove "$host"; done
        rm -rf "$TESTBED_DIR/hosts" "$TESTBED_DIR/numbers" "$TESTBED_DIR/fleet" "$TESTBED_DIR/lock"
        rmdir "$TESTBED_DIR" 2>/dev/null || true
}
