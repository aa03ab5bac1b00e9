# shellcheck shell=bash
# The hosts' network: one bridge, its own address for this machine (the bastion), no way out.
# Left to itself a bridge takes the least hardware address of its ports. Of that host a cut would be half a cut: its
# frames are then for this machine by their address, which takes them from a port that is on no bridge, too.

net_bridge() {
        echo "mtb0${TESTBED_PREFIX:+-${TESTBED_PREFIX%-}}"
}

net_up() {
        local bridge
        bridge=$(net_bridge)
        [[ -d /sys/class/net/$bridge ]] ||
                ip link add "$bridge" address 02:00:00:00:00:01 type bridge stp_state 0 forward_delay 0
        ip address replace "$TESTBED_NET.1/24" dev "$bridge"
        ip link set "$bridge" up
        net_allow -C 2>/dev/null || net_allow -I 2>/dev/null || true
}

net_down() {
        local bridge
        bridge=$(net_bridge)
        while net_allow -D 2>/dev/null; do :; done
        [[ ! -d /sys/class/net/$bridge ]] || ip link delete "$bridge"
}

# Where bridged frames pass through iptables, a policy of DROP (as Docker sets it) would part the hosts.
net_allow() { # -I|-C|-D
        [[ $(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null) == 1 ]] || return 1
        iptables -w "$1" FORWARD -i "$(net_bridge)" -o "$(net_bridge)" -j ACCEPT
}

net_port() { # HOST
        echo "vb-$TESTBED_PREFIX$1"
}

net_port_present() { # HOST
        [[ -d /sys/class/net/$(net_port "$1") ]]
}

# The cable stays in, the frames go nowhere: nothing in the host sees a link go down. A reboot does not heal it.
net_cut() { # HOST
        host_must_exist "$1"
        touch "$(host_dir "$1")/cut"
        ! net_port_present "$1" || ip link set "$(net_port "$1")" nomaster
}

net_heal() { # HOST
        host_must_exist "$1"
        rm -f "$(host_dir "$1")/cut"
        ! net_port_present "$1" || ip link set "$(net_port "$1")" master "$(net_bridge)"
}

# A new boot makes a new port, joined to the bridge: a host that was cut is cut again.
net_after_boot() { # HOST
        [[ -e $(host_dir "$1")/cut ]] || return 0
        wait_until 10 net_port_present "$1" || return 0
        ip link set "$(net_port "$1")" nomaster
}
