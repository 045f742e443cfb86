# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# common.sh - what every test in the lab begins with. To be sourced at the top of the repository, with $squall set to the program: a folder $work for its
# files, $started for the pid of a run in the background, and an end that leaves neither, nor a lab.
# shellcheck disable=SC2034,SC2154
set -u
work=$(mktemp -d) started='' failed=0
unset XDG_RUNTIME_DIR
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
	"$squall" lab exec --timeout 30m "$node" -- "$@"
}
on_store() { on store-a "$@"; }
until_true() { # SECONDS COMMAND...: whether it is true within them
	local tries=$(($1 * 2))
	shift
	for _ in $(seq "$tries"); do
		"$@" && return 0
		read -rt 0.5 <> <(:)
	done
	return 1
}
peers_at_rest() { on_store grep -q 'cs:Connected .*ds:UpToDate/UpToDate' /proc/drbd; }
is_empty() { # NODE: no holder and nothing in the journal
	[ "$(on "$1" squall chaos status --json 2>/dev/null | jq -c '[.holders, .journal]')" = '[[],[]]' ]
}
