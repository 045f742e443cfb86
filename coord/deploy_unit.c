/* SPDX-License-Identifier: MIT */
/*
 * deploy_unit.c - the systemd unit of an agent.
 *
 * Source: systemd.service(5), systemd.exec(5) of version 247, the oldest that has LoadCredential=.
 */
#include "deploy.h"

#include <stdio.h>
#include <stdlib.h>

#include "fleet_file.h"

static const char head[] =
	"# Written by squall fleet deploy, and written anew by it.\n"
	"[Unit]\n"
	"Description=squall agent %s\n"
	"Documentation=man:squall-fleet(7)\n"
	"Wants=network-online.target\n"
	"After=network-online.target remote-fs.target\n"
	"\n"
	"[Service]\n"
	"Type=exec\n"
	"ExecStart=" DEPLOY_ROOT "/%s/squall agent --bus %s --identity %s --role %s%s%s\n";

/* The spool is in a folder of its own: the credentials are read-only, and a deployment replaces the program's folder whole. */
static const char both[] =
	"StateDirectory=squall-%s\n"
	"StateDirectoryMode=0700\n"
	"Restart=always\n"
	"RestartSec=5\n"
	"KillMode=mixed\n"
	"NoNewPrivileges=yes\n"
	"LockPersonality=yes\n"
	"MemoryDenyWriteExecute=yes\n"
	"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n"
	"RestrictNamespaces=yes\n"
	"RestrictRealtime=yes\n"
	"RestrictSUIDSGID=yes\n"
	"SystemCallArchitectures=native\n"
	"SystemCallErrorNumber=EPERM\n";

/* The key stays root's: systemd gives the agent a copy that only it can read. Homes are no secret to it, for they may be what is under test. */
static const char ordinary[] =
	"User=%s\n"
	"LoadCredential=key.pem:" DEPLOY_ROOT "/%s/key.pem\n"
	"LoadCredential=cert.pem:" DEPLOY_ROOT "/%s/cert.pem\n"
	"LoadCredential=ca.pem:" DEPLOY_ROOT "/%s/ca.pem\n"
	"LoadCredential=coordinator.pem:" DEPLOY_ROOT "/%s/coordinator.pem\n"
	"LimitNOFILE=1048576\n"
	"CapabilityBoundingSet=\n"
	"AmbientCapabilities=\n"
	"PrivateDevices=yes\n"
	"PrivateTmp=yes\n"
	"ProtectClock=yes\n"
	"ProtectControlGroups=yes\n"
	"ProtectHostname=yes\n"
	"ProtectKernelLogs=yes\n"
	"ProtectKernelModules=yes\n"
	"ProtectKernelTunables=yes\n"
	"ProtectSystem=full\n"
	"RemoveIPC=yes\n"
	"SystemCallFilter=@system-service\n";

/*
 * No option here gives it mounts of its own: fanotify marks and freezes what nfsd sees. A fault's holder, which drops more than this, heals when the
 * agent goes; what it leaves is healed before the unit counts as stopped. With the last three capabilities a holder drops the others, and the courier
 * becomes nobody.
 */
static const char faults[] =
	"ExecStopPost=" DEPLOY_ROOT "/%s/squall chaos heal\n"
	"TimeoutStopSec=120\n"
	"CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_TIME CAP_SYS_PTRACE CAP_SYS_RESOURCE CAP_IPC_LOCK CAP_KILL CAP_DAC_READ_SEARCH CAP_SYSLOG CAP_MKNOD CAP_SETPCAP CAP_SETUID CAP_SETGID\n"
	"SystemCallFilter=~@cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap\n";

static const char tail[] =
	"\n"
	"[Install]\n"
	"WantedBy=multi-user.target\n";

char *deploy_unit(const struct fleet_host *h, const char *url)
{
	char identity[sizeof DEPLOY_ROOT + CERTIFICATE_NAME_BYTES], *text = NULL;
	bool is_root = h->user[0] == '\0';
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	(void)snprintf(identity, sizeof identity, DEPLOY_ROOT "/%s", h->name);
	fprintf(f, head, h->name, h->name, url, is_root ? identity : "${CREDENTIALS_DIRECTORY}", h->roles, h->mount[0] ? " --dir " : "", h->mount);
	fprintf(f, both, h->name);
	if (is_root)
		fprintf(f, faults, h->name);
	else
		fprintf(f, ordinary, h->user, h->name, h->name, h->name, h->name);
	fputs(tail, f);
	if (fclose(f) != 0) {
		free(text);
		text = NULL;
	}
	return text;
}
