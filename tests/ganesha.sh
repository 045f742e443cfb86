# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# ganesha.sh - an NFS server that is not ours, for tests/cli/nfs3 and tests/bench/nfs3: nfs-ganesha in namespaces of the caller, with rpcbind, without
# which its NFSv3 does not start. To be sourced.
#
#	ganesha_start FOLDER      serves FOLDER/data to anybody by NFSv3: ports 12049 (NFS), 12048 (MOUNT) and 12050 (NLM); adds to started[] what is to be ended

ganesha_is_there() {
	[ "$(id -u)" = 0 ] && command -v ganesha.nfsd >/dev/null && command -v rpcbind >/dev/null && unshare -n -m true 2>/dev/null
}

listens() { # PORT: waits for it, 10 s at most
	for ((i = 0; i < 200; i++)); do
		(: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		sleep 0.05
	done
	return 1
}

ganesha_start() {
	ip link set lo up && mount -t tmpfs tmpfs /run && mkdir "$1/data" "$1/state" || return
	ulimit -n "$(ulimit -Hn)"
	cat >"$1/ganesha.conf" <<-END
		NFS_CORE_PARAM { NFS_Port = 12049; MNT_Port = 12048; NLM_Port = 12050; Enable_RQUOTA = false; Protocols = 3; RPC_Max_Connections = 10000;
		  Plugins_Dir = $(dirname "$(find /usr/lib -name libfsalvfs.so -print -quit)"); }
		NFSV4 { Graceless = true; RecoveryRoot = $1/state; }
		EXPORT { Export_Id = 1; Path = $1/data; Pseudo = /data; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 3; FSAL { Name = VFS; } }
	END
	rpcbind -f &
	started+=($!)
	listens 111 || return
	ganesha.nfsd -f "$1/ganesha.conf" -L "$1/log" -p "$1/pid" -F &
	started+=($!)
	if ! listens 12049 || ! listens 12048; then
		cat "$1/log"
		return 1
	fi
}
