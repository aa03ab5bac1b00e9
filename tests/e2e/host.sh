# shellcheck shell=bash disable=SC2154
# For a test with one host, h1: what is done on it, and the files and units that it is given, by way of $work.

on() { # COMMAND...
        "$testbed" run h1 "$@"
}

push() { # PATH LINE...
        printf '%s\n' "${@:2}" >"$work/file"
        "$testbed" push h1 "$work/file" "$1"
}

unit() { # NAME LINE...
        push "/usr/local/lib/systemd/system/$1" "${@:2}"
}
