#!/bin/bash
# timeout: 420
# timeout-all: 14400
# A reboot of three hosts is struck in each of its phases: on each host that has a step of the phase, its network is
# cut, or its power, while that step is under way. The phases and hosts are those of the plan, not chosen; that the step
# was under way at the strike is read in the run's journal. The run ends well, or pauses with the command that moves it;
# then all is ready, and no host has done anything twice, by the hosts' own notes, but for the one that lost its power.
# Steps that would be over too soon are held up by what can hold up any host: a unit that is slow to start, to stop or
# to let the host go down, a data set that is slow to load or to rewrite, a server that stands still (SIGSTOP).
# A cut lasts until the controller calls the host down; under --all a minute.
# shellcheck disable=SC2154,SC2034 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=light.sh
. "$(dirname "$0")/light.sh"
all=(cache geo web front door one two)
export LIGHT_ROUTER=1

on() { # HOST COMMAND...
        "$testbed" run "$@"
}

cache() { # COMMAND...: to the Redis on db1
        redis-cli -h "$("$testbed" address db1)" "$@" | tr -d '\r'
}

# --- slow hosts ---

drop_in() { # HOST UNIT LINE...
        printf '%s\n' '[Service]' "${@:3}" >"$work/drop-in"
        "$testbed" push "$1" "$work/drop-in" "/etc/systemd/system/$2.service.d/slow.conf"
}

# What is held waits for as long as /var/hold.NAME is there and /var/hold.end is not. A unit's NAME is UNIT.start or
# UNIT.stop.
hosts_slow() {
        local host unit
        cat >"$work/hold" <<'HOLD'
#!/bin/sh
# hold NAME: two minutes at most
tries=1200
while [ -e "/var/hold.$1" ] && [ ! -e /var/hold.end ] && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
HOLD
        : >"$work/end"
        chmod 755 "$work/hold"
        printf '%s\n' '[Unit]' 'Description=Slow to go down' '[Service]' 'ExecStart=/bin/sleep infinity' \
                'ExecStop=/usr/local/bin/hold down' >"$work/slow.service"
        for host in db1 db2 app1; do
                "$testbed" push "$host" "$work/hold" /usr/local/bin/hold
                "$testbed" push "$host" "$work/slow.service" /etc/systemd/system/slow.service
                on "$host" mkdir -p /etc/systemd/system/multi-user.target.wants
                on "$host" ln -sf ../slow.service /etc/systemd/system/multi-user.target.wants/slow.service
        done
        while read -r host unit; do
                drop_in "$host" "$unit" "ExecStartPre=+/usr/local/bin/hold $unit.start" "ExecStop=+/usr/local/bin/hold $unit.stop"
        done <<<$'db1 cache\ndb2 geo\ndb2 web\napp1 front\napp1 door'
        # shellcheck disable=SC2016 # systemd's
        # It is active before it has loaded, and takes its time for each key when it is told to.
        printf '%s\n' Type=simple Environment=KEY_DELAY=0 EnvironmentFile=-/var/hold.cache.load ExecStart= \
                "$(sed -n 's/^ExecStart=.*/& --key-load-delay $KEY_DELAY --loading-process-events-interval-bytes 1024/p' \
                        "$("$testbed" layer db1)/etc/systemd/system/cache.service")" >"$work/lines"
        on db1 sh -c 'cat >>/etc/systemd/system/cache.service.d/slow.conf' <"$work/lines"
        for unit in geo door; do
                host=db2
                [[ $unit == geo ]] || host=app1
                # shellcheck disable=SC2016 # systemd's
                echo 'ExecStartPost=+/bin/sh -c "test ! -e /var/hold.'"$unit"'.load || kill -STOP $MAINPID"' |
                        on "$host" sh -c "cat >>/etc/systemd/system/$unit.service.d/slow.conf"
        done
        for host in db1 db2 app1; do
                on "$host" systemctl daemon-reload
                on "$host" systemctl start slow
        done
        on db1 systemctl restart cache
        cache_answers() { [[ $(cache ping) == PONG ]]; }
        until_true 20 cache_answers
        cache eval "for i = 1, 100 do redis.call('SET', i, i) end" 0 >/dev/null
        until_true 60 ready
}

# Makes the first steps of the phase on the host last, until hold_end.
hold() { # PHASE HOST
        case $1-$2 in
        compact-db1) cache config set rdb-key-save-delay 100000 >/dev/null ;;
        compact-db2) agent_fault db2 /ledger '~tile38.shrink' after stop ;;
        save-app1) agent_fault app1 /ledger '~pm2.save' after stop ;;
        stop-app1) app_signal STOP ;;
        stop-db1) on db1 touch /var/hold.cache.stop ;;
        stop-db2) on db2 touch /var/hold.web.stop ;;
        reboot-*) on "$2" touch /var/hold.down ;;
        platform-db1) on db1 touch /var/hold.cache.start ;;
        platform-db2) on db2 touch /var/hold.geo.start ;;
        platform-app1) on app1 touch /var/hold.front.start ;;
        load-db1) on db1 sh -c 'echo KEY_DELAY=100000 >/var/hold.cache.load' ;;
        load-db2) on db2 touch /var/hold.geo.load ;;
        depend-app1) on app1 touch /var/hold.door.load ;;
        restore-app1) ;; # apps that run are watched for a while before that counts
        verify-app1) ;; # hold_verify, for an order to the agent does not outlive a boot
        *) fail "nothing holds up the phase $1 on $2: say here what could" ;;
        esac
}

hold_verify() {
        until_true 180 under_way restore app1
        agent_fault app1 /ledger '~pm2.verify' after stop
}

app_signal() { # SIGNAL: to an app of PM2's, if it runs
        # shellcheck disable=SC2016 # the host's shell
        on app1 sh -c 'cat /var/lib/light/.pm2/pids/one-*.pid 2>/dev/null | xargs -r kill -"$1" || true' sh "$1"
}

an_app_started() {
        on app1 grep -qE "^(one|two) start $(on app1 cat /proc/sys/kernel/random/boot_id)" /var/log/acts
}

# On a host that is up (cut off or not): what was held goes on. Nothing of ours enters a host that goes down: it would be
# stopped with all the others, and the host would wait for its end.
hold_end() { # HOST PHASE
        local unit
        "$testbed" push "$1" "$work/end" /var/hold.end
        [[ $2 != reboot ]] || return 0
        [[ $1 != app1 ]] || app_signal CONT
        on "$1" systemctl kill --kill-whom=main --signal=CONT muster-agent 2>/dev/null || true
        for unit in geo door; do on "$1" systemctl kill --kill-whom=main --signal=CONT "$unit" 2>/dev/null || true; done
}

# --- the strike ---

# Step and state of every step that the journal speaks of.
steps_now() {
        muster run show --json | jq -rs '[.[] | select(.event > 0 and .step >= 0 and .step_state != "")]
                | group_by(.step)[] | last | "\(.step) \(.step_state)"'
}

# Whether a step of the phase on the host is under way.
under_way() { # PHASE HOST
        local steps
        steps=$(awk -v phase="$1" -v host="$2" '$2 == phase && $3 == host { print $1 " running" }' "$work/steps")
        grep -qxF "$steps" <<<"$(steps_now)"
}

going_down() { # HOST
        [[ $(on "$1" systemctl is-system-running) == stopping ]]
}

is_newer() {
        [[ $(muster run ls --limit 1 --json | jq -r '.runs[0].run // "none"') != "$1" ]]
}

host_is_down() { # HOST
        muster host ls --json | jq -e ".hosts[] | select(.name == \"$1\") | .connected | not"
}

is_unheard() { # HOST SECONDS: by the controller
        muster status --json | jq -e ".clock_us as \$now | .hosts[] | select(.name == \"$1\")
                | (\$now | tonumber) - (.last_seen_us | tonumber) >= $2 * 1000000"
}

strike() { # FAULT HOST PHASE
        case $1 in
        power)
                "$testbed" crash "$2"
                rm -f "$("$testbed" layer "$2")"/var/hold.*
                "$testbed" start "$2"
                ;;
        cut)
                "$testbed" cut "$2"
                hold_end "$2" "$3"
                until_true 60 host_is_down "$2"
                [[ $MUSTER_TEST_ALL -eq 0 ]] || until_true 90 is_unheard "$2" 60
                "$testbed" heal "$2"
                ;;
        esac
}

# --- what must hold ---

ready() {
        muster status --json | jq -e '([.hosts[].connected] | all) and ([.hosts[].services[].phase] | all(. == "ready"))'
}

assert_once() { # FAULT HOST
        local expected got
        expected=$(deeds_of reboot "${all[@]}" | sort)
        got=$(deeds_since)
        if [[ $1 == power ]]; then
                expected=$(grep -v "^$2 " <<<"$expected" || true)
                got=$(grep -v "^$2 " <<<"$got" || true)
        fi
        [[ $got == "$expected" ]] || fail "what the hosts noted (>) is not what one run does (<):
$(diff <(echo "$expected") <(echo "$got") | grep '^[<>]')"
}

finish() { # FAULT PHASE HOST STARTED
        local first=()
        until_true 300 test -e "$work/exit"
        wait "$begun"
        # What a power cut has taken from PM2 before it was saved, only its owner can start again.
        [[ $1-$2 != power-save && $1-$2 != power-check ]] || first=("$light" apps)
        moved "$1 $2 $3" "${first[@]}"
        assert_ledgers
        assert_once "$1" "$3"
        until_true 60 ready
        echo "$1 $2 $3: fine after $((SECONDS - $4)) s"
}

case_of() { # FAULT PHASE HOST
        local started=$SECONDS before host
        agents_anew
        for host in db1 db2 app1; do on "$host" sh -c 'rm -f /var/hold.*'; done
        until_true 60 ready
        before=$(muster run ls --limit 1 --json | jq -r '.runs[0].run // "none"')
        deeds_remember
        hold "$2" "$3"
        verb=reboot begin
        until_true 20 is_newer "$before"
        [[ $2 != verify ]] || hold_verify
        until_true 180 under_way "$2" "$3"
        [[ $2 != reboot ]] || until_true 30 going_down "$3"
        [[ $2 != restore ]] || until_true 60 an_app_started
        [[ $(on "$3" test -e /run/fault 2>/dev/null && echo yes) != yes ]] || until_true 60 agent_hit "$3"
        under_way "$2" "$3" || fail "$*: it was over before the strike"
        strike "$1" "$3" "$2"
        finish "$1" "$2" "$3" "$started"
}

# Before it has begun: it is refused and nothing is done, or it ends as any other.
check_case() { # FAULT HOST
        local started=$SECONDS
        agents_anew
        until_true 60 ready
        deeds_remember
        if [[ $1 == power ]]; then
                "$testbed" crash "$2"
                verb=reboot begin
                "$testbed" start "$2"
        else
                "$testbed" cut "$2"
                verb=reboot begin
                strike cut "$2" check
        fi
        until_true 300 test -e "$work/exit"
        if [[ $(cat "$work/exit") -ne 0 && $(cat "$work/exit") -ne 4 ]]; then
                ! deeds_since | grep -qv "^$2 " || fail "$1 check $2: refused, and done: $(deeds_since)"
                wait "$begun"
                [[ $1-$2 != power-app1 ]] || "$light" apps
                until_true 60 ready
                deeds_remember
                verb=reboot begin
        fi
        finish "$1" check "$2" "$started"
}

# When all is over: what there is to tell does not need the host.
report_case() { # FAULT HOST
        local started=$SECONDS host
        agents_anew
        until_true 60 ready
        deeds_remember
        verb=reboot begin
        until_true 120 test -e "$work/exit"
        if [[ $1 == power ]]; then "$testbed" crash "$2"; else "$testbed" cut "$2"; fi
        muster report >"$work/report" || fail "$1 report $2: no report"
        for host in db1 db2 app1; do grep -q "$host" "$work/report" || fail "$1 report $2: it does not speak of $host"; done
        if [[ $1 == power ]]; then "$testbed" start "$2"; else strike cut "$2" report; fi
        [[ $1-$2 != power-app1 ]] || "$light" apps
        finish "$1" report "$2" "$started"
}

cases() {
        local fault phase host
        for fault in cut power; do
                for host in db1 db2 app1; do echo "$fault check $host"; done
                while read -r phase host; do echo "$fault $phase $host"; done < <(awk '{ print $2, $3 }' "$work/steps" | uniq | sort -u)
                for host in db1 db2 app1; do echo "$fault report $host"; done
        done
}

fleet_light ph- 10.91.69
agents_faulty
hosts_slow
muster plan reboot --json | jq -r '.steps[] | "\(.index) \(.phase) \(.host)"' >"$work/steps"
while read -r fault phase host; do
        case $phase in
        check) check_case "$fault" "$host" </dev/null ;;
        report) report_case "$fault" "$host" </dev/null ;;
        *) case_of "$fault" "$phase" "$host" </dev/null ;;
        esac
done < <(cases | sample 3)
