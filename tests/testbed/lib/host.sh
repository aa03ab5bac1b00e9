# shellcheck shell=bash
# A host's life. A supervisor process a host mounts its disk in a private namespace, runs systemd-nspawn on it,
# and runs it again when it ends with 133, which is how nspawn says that the host asked for a reboot.
# Killing the supervisor kills nspawn (parent-death signal), which kills the host; the mounts go with them.

host_dir() {
        echo "$TESTBED_DIR/hosts/$1"
}

host_unit() {
        echo "muster-testbed-$TESTBED_PREFIX.$1.service"
}

host_names() {
        local dir
        for dir in "$TESTBED_DIR"/hosts/*/; do
                [[ -d $dir ]] && basename "$dir"
        done
        return 0
}

host_must_exist() {
        [[ -d $(host_dir "$1") ]] || die "no host $1 here; testbed list shows them, testbed up $1 makes it"
}

# The last number of the address: from the table, or handed out once and remembered.
host_number() {
        local number
        number=$(sed -n "s/^$1[[:space:]]\+//p" "$TESTBED_HOME/hosts" "$TESTBED_DIR/numbers" 2>/dev/null | head -n 1)
        if [[ -z $number ]]; then
                number=$((101 + $(cat "$TESTBED_DIR/numbers" 2>/dev/null | wc -l)))
                echo "$1 $number" >>"$TESTBED_DIR/numbers"
        fi
        echo "$number"
}

host_address() {
        if [[ $1 == bastion ]]; then echo "$TESTBED_NET.1"; else echo "$TESTBED_NET.$(host_number "$1")"; fi
}

host_create() {
        [[ $1 =~ ^[a-z][a-z0-9-]*$ && ${#TESTBED_PREFIX}+${#1} -le 12 ]] || die "host name '$1': small letters, 12 at most"
        [[ ! -e $(host_dir "$1")/made ]] || return 0
        layer_prepare "$1"
        touch "$(host_dir "$1")/made"
}

host_alive() {
        process_recall "$(host_dir "$1")/supervisor" >/dev/null
}

# PID 1 of the host, as this machine numbers it: the child of nspawn that is 1 in its own namespace.
host_leader() {
        local nspawn child
        nspawn=$(process_recall "$(host_dir "$1")/nspawn") || return 1
        for child in $(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null); do
                [[ $(sed -n 's/^NSpid:.*[[:space:]]//p' "/proc/$child/status" 2>/dev/null) == 1 ]] || continue
                echo "$child"
                return 0
        done
        return 1
}

host_boot_id() {
        local leader
        leader=$(host_leader "$1") || return 1
        cat "/proc/$leader/root/proc/sys/kernel/random/boot_id" 2>/dev/null
}

host_state() {
        if ! host_alive "$1"; then
                echo off
        elif [[ -e $(host_dir "$1")/cut ]]; then
                echo cut
        else
                echo up
        fi
}

host_start() {
        local dir
        host_must_exist "$1"
        dir=$(host_dir "$1")
        ! host_alive "$1" || return 0
        net_up
        cgroup_end "$1"
        rm -f "$dir/supervisor" "$dir/nspawn"
        if outer_has_systemd; then
                systemd-run --quiet --collect --unit="$(host_unit "$1")" --property=Delegate=yes \
                        --property=TasksMax=infinity --property=KillMode=mixed \
                        --setenv=TESTBED_DIR="$TESTBED_DIR" --setenv=TESTBED_PREFIX="$TESTBED_PREFIX" \
                        --setenv=TESTBED_NET="$TESTBED_NET" --setenv=TESTBED_NSPAWN="${TESTBED_NSPAWN:-}" \
                        unshare --mount --propagation slave "$TESTBED_HOME/testbed" supervise "$1"
        else
                setsid unshare --mount --propagation slave "$TESTBED_HOME/testbed" supervise "$1" \
                        </dev/null >>"$dir/console.log" 2>&1 9>&- &
                disown
        fi
        wait_until 20 host_alive "$1" || die "host $1 did not start; see $dir/console.log"
}

host_supervise() {
        local host=$1 dir status=133 nspawn=
        dir=$(host_dir "$host")
        exec </dev/null >>"$dir/console.log" 2>&1
        cd /
        cgroup_enter "$host"
        layer_mount "$host"
        layer_name_hosts "$dir/root"
        # shellcheck disable=SC2064
        trap 'kill -TERM "$nspawn" 2>/dev/null || true' TERM INT
        process_remember "$dir/supervisor" $$
        while [[ $status -eq 133 ]]; do
                setpriv --pdeathsig KILL systemd-nspawn --quiet --register=no --keep-unit --boot \
                        --machine="$TESTBED_PREFIX$host" --directory="$dir/root" --hostname="$host" \
                        --network-bridge="$(net_bridge)" --resolv-conf=off --timezone=off --link-journal=no \
                        --console=pipe --notify-ready=no "${NSPAWN_MORE[@]}" </dev/null &
                nspawn=$!
                process_remember "$dir/nspawn" "$nspawn" || true
                net_after_boot "$host"
                status=0
                while process_started "$nspawn" >/dev/null; do
                        status=0
                        wait "$nspawn" || status=$?
                done
        done
        echo "testbed: host $host ended with $status"
}

# Programs that the machine keeps on file systems of their own are not in the overlay.
read -ra NSPAWN_MORE <<<"${TESTBED_NSPAWN:-}"
for folder in /usr /opt; do
        mountpoint -q "$folder" && NSPAWN_MORE+=("--bind-ro=$folder")
done

host_off() {
        ! host_alive "$1"
}

host_stop() {
        host_must_exist "$1"
        process_end "$(host_dir "$1")/supervisor" TERM
        wait_until 120 host_off "$1" || die "host $1 did not power off; testbed crash $1 would cut its power"
        cgroup_end "$1"
}

host_crash() {
        local leader
        host_must_exist "$1"
        leader=$(host_leader "$1") || die "host $1 is not running"
        kill -KILL "$leader"
        wait_until 20 host_off "$1" || die "host $1 outlived SIGKILL to its PID 1 ($leader)"
        cgroup_end "$1"
}

# Ends a host by every handle there is; each may be missing.
host_end() {
        local dir leader
        dir=$(host_dir "$1")
        leader=$(host_leader "$1") && kill -KILL "$leader" 2>/dev/null
        process_end "$dir/supervisor" KILL
        process_end "$dir/nspawn" KILL
        cgroup_end "$1"
        wait_until 20 process_gone "$dir/nspawn" || die "systemd-nspawn of $1 does not die"
}

host_enter() { # HOST COMMAND...
        local leader
        leader=$(host_leader "$1") || return 125
        shift
        nsenter --target "$leader" --mount --uts --ipc --net --pid -- \
                env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
                TERM="${TERM:-dumb}" "$@"
}

host_run() {
        host_must_exist "${1:?which host}"
        [[ $# -gt 1 ]] || die "which command? testbed run $1 COMMAND..."
        host_leader "$1" >/dev/null || die "host $1 is not running"
        host_enter "$@"
}

host_is_started() {
        local state
        state=$(host_enter "$1" timeout "$TESTBED_WAIT" systemctl is-system-running --wait 2>/dev/null) || true
        [[ $state == running || $state == degraded ]]
}

host_wait() {
        host_must_exist "$1"
        wait_until "$TESTBED_WAIT" host_is_started_or_off "$1" ||
                die "host $1 has not started within $TESTBED_WAIT s; see $(host_dir "$1")/console.log"
        host_alive "$1" || die "host $1 is off; see $(host_dir "$1")/console.log"
}

host_is_started_or_off() {
        host_off "$1" || host_is_started "$1"
}

host_has_new_boot() { # HOST OLD
        local id
        id=$(host_boot_id "$1") && [[ -n $id && $id != "$2" ]]
}

host_reboot() {
        local before
        host_must_exist "$1"
        before=$(host_boot_id "$1") || die "host $1 is not running"
        host_enter "$1" systemctl reboot || true
        wait_until "$TESTBED_WAIT" host_has_new_boot "$1" "$before" || die "host $1 has no new boot id"
        host_wait "$1"
}

host_copy() { # FROM TO: owners become root's, folders are merged
        mkdir -p "$(dirname "$2")"
        cp -a --no-preserve=ownership -T "$1" "$2"
}

# A running host is reached through its PID 1, one that is off through its disk.
host_push() { # HOST FROM TO
        local leader
        [[ $# -eq 3 && $3 == /* ]] || die "usage: testbed push HOST FROM /TO"
        host_must_exist "$1"
        if leader=$(host_leader "$1"); then
                host_copy "$2" "/proc/$leader/root$3"
        else
                layer_with "$1" host_copy "$(realpath "$2")" "$(host_dir "$1")/root$3"
        fi
}

host_pull() { # HOST FROM TO
        local leader
        [[ $# -eq 3 && $2 == /* ]] || die "usage: testbed pull HOST /FROM TO"
        host_must_exist "$1"
        if leader=$(host_leader "$1"); then
                host_copy "/proc/$leader/root$2" "$3"
        else
                layer_with "$1" host_copy "$(host_dir "$1")/root$2" "$(realpath -m "$3")"
        fi
}
