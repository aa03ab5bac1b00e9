# shellcheck shell=bash disable=SC2154,SC2034
# What the hosts themselves have written down about a restart: their notes of boots, their journals, and the line
# that every service writes when it starts. Nothing here asks muster. Times are milliseconds since the epoch; the
# hosts share one clock, being on one machine.

home=/var/www/beamdevlive

on() { # HOST COMMAND...
        "$testbed" run "$@"
}

# Boots since the host was made, and the newest boot's id.
boots_noted() {
        on "$1" sh -c 'wc -l </var/log/boots'
}

boot_noted() {
        on "$1" sh -c 'tail -n 1 /var/log/boots' | cut -d' ' -f2
}

# last_word HOST UNIT PATTERN: when the unit last logged such a line since the newest boot.
last_word() {
        local line
        line=$(on "$1" journalctl --boot --no-pager --quiet --output=short-unix --unit="$2" | grep -E "$3" | tail -n 1)
        [[ $line =~ ^([0-9]+)\.([0-9]{3}) ]] || fail "$2 on $1 never said '$3' since its boot"
        echo "${BASH_REMATCH[1]}${BASH_REMATCH[2]}"
}

# host, unit and the time of everything that the applications need.
ready_times() {
        local instance
        echo "db1 bds00 $(last_word db1 redis-stack-server@bds00 'Ready to accept connections')"
        for instance in bull00 bull01 bull02; do
                echo "db2 $instance $(last_word db2 "redis-stack-server@$instance" 'Ready to accept connections')"
        done
        if command -v tile38-server >/dev/null; then
                echo "db1 tile38 $(last_word db1 tile38@beamdevlive 'Ready to accept connections|AOF loaded')"
        fi
        echo "app1 router $(last_word app1 redis-router 'Started redis-router|is UP')"
}

# service_lines WORD: time and name of every such line (start, ready, failed) of app1's newest boot.
service_lines() {
        on app1 awk -v boot="$(boot_noted app1)" -v word="$1" '$2 == boot && $4 == word { print $1, $3 }' \
                /var/log/beamdevlive/starts.log
}

# No application started before all that it needs was ready.
assert_order() {
        local first name what needed=0 host unit time
        read -r first name < <(service_lines start | sort -n) || fail "no application has started"
        while read -r host unit time; do
                if ((time > needed)); then needed=$time what="$unit on $host"; fi
                ((time <= first)) ||
                        fail "$name started $((time - first)) ms before $unit on $host was ready"
        done < <(ready_times)
        [[ $needed -gt 0 ]] || fail "no ready times"
        echo "order: $what was the last to be ready, $name the first to start, $((first - needed)) ms later"
}

# assert_boots HOST BOOTS-BEFORE ID-BEFORE: exactly one boot more, by the host's note and by its journal.
assert_boots() {
        equal "boots that $1 noted" "$(($2 + 1))" "$(boots_noted "$1")"
        equal "boots in $1's journal" "$(($2 + 1))" "$(on "$1" journalctl --list-boots --no-pager --quiet | grep -c .)"
        [[ $(boot_noted "$1") != "$3" ]] || fail "$1 has its old boot id"
        equal "$1's boot id" "$(boot_noted "$1")" "$(on "$1" cat /proc/sys/kernel/random/boot_id)"
}

# assert_services BEFORE: PM2 holds what the file says, each process that should run has started once, none failed.
assert_services() {
        local after=$1.after
        "$fleet" pm2 >"$after" || fail "PM2's state cannot be read"
        "$(dirname "$fleet")/pm2-state" "$1" "$after" || fail "PM2 holds something else than before"
        equal "services that failed to start" "" "$(service_lines failed)"
        equal "services by their starts" "$(sed -n 's/^{"name":"\([^"]*\)".*"status":"online".*/\1/p' "$1" | sort)" \
                "$(service_lines start | cut -d' ' -f2 | sort)"
}
