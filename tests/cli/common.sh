# SPDX-License-Identifier: MIT
# common.sh - for the tests of fleets: the claims that a test makes, and what it looks at. To be sourced.
#
# With $CLAIMS, a file, each claim is said on stdout when it is over, and is a line there: {"case", "ok", "seconds"}; tools/check-fleet makes a table of them.
failed=0
claimed=
claim() { # SENTENCE: what comes next is a test of it, up to the next one
	settle
	claimed=$1 claimed_at=${EPOCHREALTIME/./} holds=true
}
settle() { # the last claim of a test is settled by its end
	local tenths
	[ -n "$claimed" ] && [ -n "${CLAIMS:-}" ] || return 0
	tenths=$(((${EPOCHREALTIME/./} - claimed_at) / 100000))
	jq -cn --arg claim "$claimed" --argjson ok $holds --argjson tenths $tenths '{case: $claim, ok: $ok, seconds: ($tenths / 10)}' >>"$CLAIMS"
	printf '%-6s %3d.%d s  %s\n' "$($holds && echo ok || echo FAILED)" $((tenths / 10)) $((tenths % 10)) "$claimed"
	claimed=
}
problem() {
	printf '%s: %s%s\n' "$0" "${claimed:+$claimed: }" "$*"
	failed=1 holds=false
}
is() { # FILE JQ-EXPRESSION that must be true [OPTION of jq...]
	[ "$(jq "${@:3}" "$2" "$1" 2>&1)" = true ] || problem "$1: not true: $2; it says $(jq -c '[.verdict, .void_reasons, .jobs, .hosts]' "$1" 2>&1 | cut -c1-900)"
}
pause() { read -rt "$1" <> <(:); }
until_said() { # SECONDS PATTERN FILE
	for _ in $(seq $(($1 * 10))); do
		grep -qE "$2" "$3" 2>/dev/null && return 0
		pause 0.1
	done
	problem "not within $1 s: \"$2\" in $3: $(cat "$3" 2>&1)"
	return 1
}
keeps_nothing() { # SPOOL...: an agent removes its files when it has heard that all is in the record
	for _ in $(seq 30); do
		[ -n "$(find "$@" -type f)" ] || return 0
		pause 0.1
	done
	problem "what is in the record is still kept: $(ls "$@")"
}
free_port() { # this test's own, from the range that the kernel gives to nobody
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 10000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
	done
}
