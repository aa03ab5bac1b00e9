# shellcheck shell=bash
# Each host lives in a cgroup of its own, so that all of it can be found and ended even when nothing else is
# known about it. Where systemd is PID 1 it owns the tree: there a host is a transient unit with Delegate=.

outer_has_systemd() {
        [[ -d /run/systemd/system && $(cat /proc/1/comm) == systemd ]]
}

# The hierarchies that systemd-nspawn uses: the unified one, and systemd's own where cgroup v1 is mounted.
cgroup_roots() {
        local root
        for root in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
                [[ -w $root/cgroup.procs ]] && echo "$root"
        done
        return 0
}

# One folder a testbed: what one of them ends is never another's.
cgroup_name() { # [HOST]
        echo "muster-testbed/of-$TESTBED_PREFIX${1:+/$1}"
}

# Moves the calling shell into the host's cgroup.
cgroup_enter() { # HOST
        local root
        outer_has_systemd && return 0
        for root in $(cgroup_roots); do
                mkdir -p "$root/$(cgroup_name "$1")"
                echo $$ >"$root/$(cgroup_name "$1")/cgroup.procs" || say "cannot enter $root/$(cgroup_name "$1")"
        done
}

cgroup_pids() { # FOLDER
        find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

cgroup_empty() { # FOLDER
        [[ -z $(cgroup_pids "$1") ]]
}

cgroup_kill() { # FOLDER
        local pid
        [[ -d $1 ]] || return 0
        for pid in $(cgroup_pids "$1"); do
                [[ $pid -eq $$ ]] || kill -KILL "$pid" 2>/dev/null || true
        done
        wait_until 10 cgroup_empty "$1" || say "processes stay in $1: $(cgroup_pids "$1" | tr '\n' ' ')"
        find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

cgroup_end() { # HOST
        local root
        if outer_has_systemd; then
                systemctl kill --signal=KILL "$(host_unit "$1")" 2>/dev/null || true
                systemctl stop "$(host_unit "$1")" 2>/dev/null || true
                systemctl reset-failed "$(host_unit "$1")" 2>/dev/null || true
                return 0
        fi
        for root in $(cgroup_roots); do cgroup_kill "$root/$(cgroup_name "$1")"; done
}

# What is left of hosts whose state folder was lost: everything that carries this testbed's prefix.
cgroup_remove_all() {
        local root unit folder
        if outer_has_systemd; then
                systemctl list-units --all --plain --no-legend "muster-testbed-$TESTBED_PREFIX.*.service" |
                        while read -r unit _; do
                                systemctl kill --signal=KILL "$unit" 2>/dev/null || true
                                systemctl stop "$unit" 2>/dev/null || true
                        done
                return 0
        fi
        for root in $(cgroup_roots); do
                for folder in "$root/$(cgroup_name)"/*/; do
                        [[ -d $folder ]] && cgroup_kill "${folder%/}"
                done
                rmdir "$root/$(cgroup_name)" "$root/muster-testbed" 2>/dev/null || true
        done
}
