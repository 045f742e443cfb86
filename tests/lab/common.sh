# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# common.sh - what every test in the lab begins with. To be sourced at the top of the repository, with $squall set to the program: a folder $work for its
# files, $started for the pid of a run in the background, $patience for how long a command in a guest may take, and an end that leaves none of it, nor a lab.
# shellcheck disable=SC2034,SC2154
set -u
work=$(mktemp -d) started='' failed=0 patience=1m
export XDG_RUNTIME_DIR=$work # a lab of its own, beside whatever other one is up
clean_up() {
	[ -z "$started" ] || kill -KILL "$started" 2>/dev/null
	"$squall" lab down
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
problem() { # SENTENCE
	printf 'tests/lab/%s: %s\n' "${0##*/}" "$*"
	failed=1
}
on() { # NODE COMMAND...
	local node=$1
	shift
	"$squall" lab exec --timeout $patience "$node" -- "$@"
}
on_store() { on store-a "$@"; }
is() { # VERDICT JQ-EXPRESSION that must be true of it
	[ "$(jq "$2" "$1" 2>&1)" = true ] || problem "$1: not true: $2; it says $(jq -c \
		'[.verdict, .void_reasons, .damage, .layers, .wire, .faults, .signature, (.jobs | map_values([.engines, .due, .ok, .errors, .unknown]))]' "$1" 2>&1 | cut -c1-3000)"
}
until_judged() { # VERDICT COMMAND...: which makes a run, and makes it again, five times at most, while it is void for nothing but a load host that was late
	local verdict=$1 status
	shift
	for _ in 1 2 3 4 5 6; do
		"$@"
		status=$?
		jq -e '.void_reasons | length > 0 and all(.[]; test("could not keep the schedule"))' "$verdict" >/dev/null 2>&1 || break
		printf 'tests/lab/%s: void, for this machine was busy: %s\n' "${0##*/}" "$(jq -r '.void_reasons | join("; ")' "$verdict")"
	done
	return $status
}
until_said() { # PATTERN FILE PID: whether FILE has it, now or before the process has ended
	until grep -qs "$1" "$2"; do
		kill -0 "$3" 2>/dev/null || { grep -qs "$1" "$2"; return; }
		read -rt 0.1 <> <(:)
	done
	true # what the loop has returned is that of its last wait
}
until_true() { # SECONDS COMMAND...: whether it is true within them
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		read -rt 0.5 <> <(:)
	done
	true # as above
}
peers_at_rest() { on_store grep -q 'cs:Connected .*ds:UpToDate/UpToDate' /proc/drbd; }
is_empty() { # NODE: no holder and nothing in the journal
	[ "$(on "$1" squall chaos status --json 2>/dev/null | jq -c '[.holders, .journal]')" = '[[],[]]' ]
}
