#!/bin/bash
# cmake --install puts everything where Debian looks for it, systemd accepts the units, and the uninstall target
# leaves nothing. Into a folder of its own (DESTDIR): nothing on this machine changes. MUSTER_BUILD says where the
# programs were built.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
build=$(readlink -f "${MUSTER_BUILD:-build/asan}")
work=$(mktemp -d)
trap 'exit 130' INT TERM HUP
tree=$work/tree

fail() {
        echo "FAIL: $*" >&2
        exit 1
}

expected=(
        /usr/bin/muster
        /usr/lib/systemd/system/muster-agent.service
        /usr/lib/systemd/system/muster-controller.service
        /usr/lib/sysusers.d/muster.conf
        /usr/lib/tmpfiles.d/muster.conf
        /usr/sbin/muster-agent
        /usr/sbin/muster-controller
        /usr/share/doc/muster/README.md
        /usr/share/doc/muster/architecture.md
        /usr/share/doc/muster/checks.md
        /usr/share/doc/muster/commands.md
        /usr/share/doc/muster/examples/fleet.yaml
        /usr/share/doc/muster/examples/muster-controller.default
)

listed() {
        (cd "$tree" && find . -type f -o -type l) | sed 's/^\.//' | sort
}

# The build folder's own list of installed files, should there be one, is put back.
[[ ! -e $build/install_manifest.txt ]] || cp "$build/install_manifest.txt" "$work/manifest"
finish() {
        trap - EXIT
        [[ ! -e $work/manifest ]] || cp "$work/manifest" "$build/install_manifest.txt"
        rm -rf "$work"
}
trap finish EXIT

DESTDIR=$tree cmake --install "$build" --prefix /usr >"$work/log" 2>&1 || fail "cmake --install: $(tail -n 5 "$work/log")"
diff <(printf '%s\n' "${expected[@]}" | sort) <(listed) || fail "the installed files are not the expected ones (above)"
for program in usr/bin/muster usr/sbin/muster-agent usr/sbin/muster-controller; do
        [[ $("$tree/$program" --version) == "${program##*/} "[0-9]* ]] || fail "$program does not say its version"
done

# The sample is a sound fleet, and what the controller makes of it is what it says.
"$tree/usr/sbin/muster-controller" --check-config --fleet "$tree/usr/share/doc/muster/examples/fleet.yaml" |
        grep -q 'fleet staging: 3 hosts, 8 services' || fail "the sample fleet is not sound"

# systemd's own judgement of the units, with the programs where the units say.
if command -v systemd-analyze >/dev/null; then
        for unit in muster-agent muster-controller; do
                # Other units of this machine are not our concern; unknown keys and missing programs of ours are.
                systemd-analyze verify --man=no --generators=no --root="$tree" "$unit.service" >"$work/log" 2>&1 || true
                if grep "$unit\.service" "$work/log" | grep -vE 'not found|Failed to (create|load|add)'; then
                        fail "systemd-analyze verify has something to say about $unit.service"
                fi
        done
        exposure=$(systemd-analyze security --offline=yes --root="$tree" muster-controller.service 2>/dev/null |
                sed -n 's/.*Overall exposure level.*: \([0-9]*\)\..*/\1/p')
        [[ -z $exposure || $exposure -lt 2 ]] || fail "the controller's unit is exposed at level $exposure"
        [[ -n $exposure ]] || echo "systemd-analyze says nothing of the exposure here"
fi
for unit in muster-agent muster-controller; do
        grep -q "^ExecStart=/usr/sbin/$unit" "$tree/usr/lib/systemd/system/$unit.service" ||
                fail "$unit.service does not start /usr/sbin/$unit"
done

DESTDIR=$tree cmake -P "$build/deploy/uninstall.cmake" >"$work/log" 2>&1 || fail "uninstall: $(cat "$work/log")"
[[ -z $(listed) ]] || fail "uninstall leaves files: $(listed)"
[[ -z $(find "$tree" -name '*muster*') ]] || fail "uninstall leaves folders: $(find "$tree" -name '*muster*')"
if DESTDIR=$tree cmake -P "$build/deploy/uninstall.cmake" >"$work/log" 2>&1; then
        fail "a second uninstall finds something"
fi
echo "${#expected[@]} files installed and removed"
