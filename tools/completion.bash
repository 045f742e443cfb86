# SPDX-License-Identifier: MIT
# completion.bash - bash completion of squall: commands, verbs, options and faults as the program itself names them.

_squall() {
	local now=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=
	if [ "$COMP_CWORD" = 1 ]; then
		words="--help --version $(squall --help 2>/dev/null | awk '/^  [a-z]/ { print $1 }')"
	elif [[ $now = -* ]]; then
		words=$(squall "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)
	elif [ "$COMP_CWORD" = 2 ]; then
		words=$(squall "$command" --help 2>/dev/null | grep -oE "squall $command [a-z][a-z|-]*( |$)" | awk '{ gsub(/\|/, " ", $3); print $3 }')
	elif [ "$COMP_CWORD" = 3 ] && [[ "$command ${COMP_WORDS[2]}" =~ ^chaos\ (check|inject)$ ]]; then
		words=$(squall chaos list 2>/dev/null | awk '/^[a-z]/ { print $1 }')
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$now")
	[ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$now")
}
complete -o filenames -F _squall squall
