#!/bin/bash
# timeout: 420
# timeout-all: 14400
# Operations whose fate the controller cannot know: for each kind, at each of its four moments (before it is accepted,
# when it is and has not begun, when it has ended and is not yet written down, when it is and has not been told), its
# agent is killed, its host loses power, or the network is cut while the answer is on its way. What writes down what it
# saw before its work has a fifth: that is written and the work has not begun; and agents are killed while the work
# goes on without them. The run ends well, by looking; everything was done once, by the hosts' own notes, but for what a
# power cut undid.
# A cut lasts until the controller calls the host down; under --all a minute.
# shellcheck disable=SC2154,SC2034 # the parts set them
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=light.sh
. "$(dirname "$0")/light.sh"
quick=(cache geo web front)
all=(cache geo web front one two)

host_of() { # KIND
        case $1 in
        redis.* | unit.*) echo db1 ;;
        tile38.*) echo db2 ;;
        *) echo app1 ;;
        esac
}

cases() { # FAULT
        local kind moment
        for kind in redis.rewrite tile38.shrink unit.stop unit.start pm2.save pm2.stop pm2.restore pm2.verify; do
                for moment in before-accept accepted ended told; do echo "$1 $kind $moment"; done
        done
        echo "$1 redis.rewrite noted"
        echo "$1 tile38.shrink noted"
        # A reboot has no end that its agent sees.
        for moment in before-accept accepted; do echo "$1 host.reboot $moment"; done
}

noted_first() { # KIND: a word that only its note has
        [[ $1 == redis.* ]] && echo '"run-id"' || echo '"pid"'
}

order_of() { # KIND MOMENT WHAT
        case $2 in
        before-accept) echo "/ledger ~$1 before $3" ;;
        accepted) echo "/ledger ~$1 after $3" ;;
        noted) echo "/ledger ~$1,$(noted_first "$1") after $3" ;;
        ended) echo "/ledger ~$1,\"done\" before $3" ;;
        told) echo "/ledger ~$1,\"done\" after $3" ;;
        esac
}

host_is_down() { # HOST
        muster host ls --json | jq -e ".hosts[] | select(.name == \"$1\") | .connected | not"
}

is_unheard() { # HOST SECONDS: by the controller
        muster status --json | jq -e ".clock_us as \$now | .hosts[] | select(.name == \"$1\")
                | (\$now | tonumber) - (.last_seen_us | tonumber) >= $2 * 1000000"
}

strike() { # FAULT HOST
        case $1 in
        power)
                "$testbed" crash "$2"
                "$testbed" start "$2"
                ;;
        cut)
                "$testbed" cut "$2"
                "$testbed" run "$2" systemctl kill --kill-whom=main --signal=CONT muster-agent
                until_true 60 host_is_down "$2"
                [[ $MUSTER_TEST_ALL -eq 0 ]] || until_true 90 is_unheard "$2" 60
                "$testbed" heal "$2"
                ;;
        esac
}

# A power cut starts and stops its host's services its own way.
assert_once() { # FAULT KIND SERVICE...
        local verb=restart expected got
        [[ $2 != host.reboot ]] || verb=reboot
        expected=$(deeds_of "$verb" "${@:3}" | sort)
        got=$(deeds_since)
        if [[ $1 == power ]]; then
                expected=$(grep -v "^$(host_of "$2") " <<<"$expected" || true)
                got=$(grep -v "^$(host_of "$2") " <<<"$got" || true)
        fi
        [[ $got == "$expected" ]] || fail "what the hosts noted (>) is not what one run does (<):
$(diff <(echo "$expected") <(echo "$got") | grep '^[<>]')"
}

# Two things are a person's: to decide on a reboot that was accepted and never seen to begin, and to start what a power
# cut has taken from PM2 before it was saved.
decided() { # FAULT KIND MOMENT
        case $* in
        *' host.reboot '*) moved "$*" ;;
        'power pm2.save before-accept' | 'power pm2.save accepted') moved "$*" "$light" apps ;;
        *) equal "$*: exit" 0 "$(cat "$work/exit")" ;;
        esac
}

ready() {
        muster status --json | jq -e '([.hosts[].connected] | all) and ([.hosts[].services[].phase] | all(. == "ready"))'
}

case_of() { # FAULT KIND MOMENT
        local host scope=('!apps') what=stop services=("${quick[@]}") started=$SECONDS
        host=$(host_of "$2")
        [[ $1 != kill ]] || what='kill'
        if [[ $2 == pm2.* || $2 == host.* ]]; then scope=() services=("${all[@]}"); fi
        agents_anew
        deeds_remember
        # shellcheck disable=SC2046 # words
        agent_fault "$host" $(order_of "$2" "$3" "$what")
        verb=restart
        [[ $2 != host.reboot ]] || verb=reboot
        begin "${scope[@]}"
        until_true 90 agent_hit "$host"
        strike "$1" "$host"
        ended 240
        decided "$@"
        assert_ledgers
        assert_once "$1" "$2" "${services[@]}"
        until_true 60 ready
        echo "$*: fine after $((SECONDS - started)) s"
}

cache() { # COMMAND...: to the Redis on db1
        redis-cli -h "$("$testbed" address db1)" "$@" | tr -d '\r'
}

rewriting() {
        cache info persistence | grep -qx aof_rewrite_in_progress:1
}

apps_started() {
        [[ $(deeds_since | grep -cE '^app1 (one|two) start$') -eq 2 ]]
}

# The agent is killed while the work goes on without it: a rewrite whose every key takes a tenth of a second, apps that
# run and are being watched until they have settled.
working_case() { # KIND
        local host scope=() services=("${all[@]}") started=$SECONDS
        host=$(host_of "$1")
        agents_anew
        if [[ $1 == redis.rewrite ]]; then
                scope=('!apps') services=("${quick[@]}")
                cache eval "for i = 1, 50 do redis.call('SET', i, i) end" 0 >/dev/null
                cache config set rdb-key-save-delay 100000 >/dev/null
        fi
        deeds_remember
        verb=restart
        begin "${scope[@]}"
        if [[ $1 == redis.rewrite ]]; then until_true 60 rewriting; else until_true 90 apps_started; fi
        "$testbed" run "$host" systemctl kill --kill-whom=main --signal=KILL muster-agent
        if [[ $1 == redis.rewrite ]]; then rewriting || fail "the rewrite had ended before its agent was killed"; fi
        ended 240
        equal "exit" 0 "$(cat "$work/exit")"
        assert_ledgers
        assert_once kill "$1" "${services[@]}"
        until_true 60 ready
        echo "kill $1 at work: fine after $((SECONDS - started)) s"
}

# The agent has accepted a reboot and dies, and the line of its ledger that says so is spoilt: it is not sent again as if
# it had never been accepted.
damaged_case() {
        local started=$SECONDS
        agents_anew
        deeds_remember
        # shellcheck disable=SC2046 # words
        agent_fault db1 $(order_of host.reboot accepted stop)
        verb=reboot
        begin
        until_true 90 agent_hit db1
        "$testbed" run db1 sed -i '/"host\.reboot"/s/"accepted"/"accepzed"/' /var/lib/muster-agent/ledger
        "$testbed" run db1 systemctl kill --kill-whom=main --signal=KILL muster-agent
        until_true 240 test -e "$work/exit"
        wait "$begun"
        equal "exit of a run that meets a damaged ledger" 4 "$(cat "$work/exit")"
        moved "damaged host.reboot"
        assert_ledgers
        assert_once damaged host.reboot "${all[@]}"
        until_true 60 ready
        echo "damaged host.reboot: fine after $((SECONDS - started)) s"
}

# Outside of runs: a repair whose answer never comes says that it is not known to be done, and is done when asked again.
enable_case() { # FAULT MOMENT
        local what=stop fixing
        [[ $1 != kill ]] || what='kill'
        agents_anew
        "$testbed" run db1 systemctl disable --quiet cache
        # shellcheck disable=SC2046 # words
        agent_fault db1 $(order_of unit.enable "$2" "$what")
        muster check --fix cache >"$work/run" 2>&1 &
        fixing=$!
        until_true 60 agent_hit db1
        strike "$1" db1
        wait "$fixing" || true
        grep -q 'whether it was done is not known' "$work/run" || fail "$1 unit.enable $2: what is not known is not said: $(cat "$work/run")"
        until_true 60 connected
        [[ $1 != power ]] || "$testbed" run db1 systemctl start cache # which nothing does at boot, perhaps
        until_true 60 ready
        muster check --fix cache >>"$work/run" 2>&1 || fail "check --fix does not end well the second time"
        equal "cache at boot" enabled "$("$testbed" run db1 systemctl is-enabled cache)"
        echo "$1 unit.enable $2: fine"
}

fleet_light id- 10.91.63
agents_faulty
while read -r fault moment; do enable_case "$fault" "$moment" </dev/null; done < <(
        printf '%s\n' kill\ {before-accept,accepted,ended,told} | sample 1
        printf '%s\n' {power,cut}\ {before-accept,accepted,ended,told} | sample 1
)
damaged_case </dev/null
while read -r kind; do working_case "$kind" </dev/null; done < <(printf '%s\n' redis.rewrite pm2.restore | sample 1)
while read -r case; do
        # shellcheck disable=SC2086 # words
        case_of $case </dev/null
done < <(
        cases kill | sample 4
        cases power | sample 1
        cases cut | sample 1
)
