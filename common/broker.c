/* SPDX-License-Identifier: MIT */
/*
 * broker.c - mosquitto 2.0 or later, as an unprivileged child.
 *
 * Settings that look arbitrary, and why:
 *   use_username_as_clientid	else a valid certificate takes the session of another by its client id (eclipse/mosquitto#3553)
 *   set_tcp_nodelay		without it a TLS connection takes 60 ms longer
 *   retain_available false	else who may publish may leave a message for whoever comes next year
 *   max_packet_size		the default is 256 MB a message
 *   max_queued_*		of a coordinator that is stopped, or flooded by one agent: what the others send waits behind it, and what is beyond is lost and sent again
 *   pattern			topic lines before any user line apply to anonymous clients alone
 */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus.h"
#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"

#define USER "mosquitto"	/* of Debian's package */
#define STOP_NS (3 * NS_PER_S)
#define RELOAD_NS (5 * NS_PER_S)
#define RELOAD_TURN_NS (300 * NS_PER_MS)	/* it looks for signals every 100 ms */
#define DESCRIPTORS 16384	/* one a connection */
#define LOG_BYTES_MAX (16u << 20)
#define CRL_BYTES_MAX (1u << 20)

static const char acl[] =
	"user " BUS_COORDINATOR "\n"
	"topic read squall/up/+\n"
	"topic write squall/down/+\n"
	"topic write squall/all\n"
	"\n"
	"pattern write squall/up/%u\n"
	"pattern read squall/down/%u\n"
	"pattern read squall/all\n";

static int write_file(const char *folder, const char *name, const char *text, struct err *err)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	return file_write(path, text, strlen(text), 0644, err);		/* none is a secret, and the folder is closed */
}

int broker_configure(const char *folder, const char *address, uint16_t port, struct err *err)
{
	char text[2048];
	int rc;

	(void)snprintf(text, sizeof text,
		       "# Written by squall, and written anew by squall fleet init. To be started in its folder.\n"
		       "listener %u %s\n"
		       "tls_version tlsv1.3\n"
		       "cafile ca.pem\ncertfile cert.pem\nkeyfile key.pem\ncrlfile crl.pem\n"
		       "require_certificate true\nuse_identity_as_username true\nuse_username_as_clientid true\nallow_anonymous false\n"
		       "acl_file acl\n"
		       "persistence false\nretain_available false\npersistent_client_expiration 1h\n"
		       "set_tcp_nodelay true\nmax_keepalive 30\nmax_connections 4096\n"
		       "max_packet_size %u\nmax_queued_messages 8192\nmax_queued_bytes 67108864\n"
		       "log_dest file log\nlog_type error\nlog_type warning\nlog_type notice\nlog_timestamp_format %%Y-%%m-%%dT%%H:%%M:%%S\n",
		       port, address, BUS_MESSAGE_BYTES_MAX + 4096);
	rc = write_file(folder, "mosquitto.conf", text, err);
	return rc < 0 ? rc : write_file(folder, "acl", acl, err);
}

int broker_revoked(const char *folder, const char *authority, struct err *err)
{
	char path[512], *text = NULL;
	int rc;

	(void)snprintf(path, sizeof path, "%s/crl.pem", authority);
	rc = file_read(path, CRL_BYTES_MAX, &text, NULL, err);
	if (rc == 0)
		rc = write_file(folder, "crl.pem", text, err);
	free(text);
	return rc;
}

/* A pid may be another's by now: whose it is is asked after the descriptor holds it fast. */
static bool is_broker(pid_t pid, const char *folder)
{
	char path[64], cwd[PATH_MAX], want[PATH_MAX];
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
	n = readlink(path, cwd, sizeof cwd - 1);
	cwd[n > 0 ? n : 0] = '\0';
	return realpath(folder, want) && strcmp(cwd, want) == 0;
}

/*
 * SIGHUP until a reading has begun that is later than the first one. mosquitto forgets a signal that comes while it reads, and by what it has read until
 * then a certificate withdrawn a moment later is still fine. A reading begins with its configuration. @return 1 or -errno
 */
static int hang_up(int pidfd, const char *folder, struct err *err)
{
	struct pollfd read = { .fd = inotify_init1(IN_CLOEXEC), .events = POLLIN };
	uint64_t deadline = clock_mono_ns() + RELOAD_NS;
	char path[512];
	int rc = 0;

	(void)snprintf(path, sizeof path, "%s/mosquitto.conf", folder);
	if (read.fd < 0 || inotify_add_watch(read.fd, path, IN_OPEN) < 0)
		rc = -errno;
	while (rc == 0 && clock_mono_ns() < deadline) {
		if (syscall(SYS_pidfd_send_signal, pidfd, SIGHUP, NULL, 0) < 0)
			rc = -errno;
		else
			rc = poll(&read, 1, (int)(RELOAD_TURN_NS / NS_PER_MS));
		if (rc == -1 && errno == EINTR)
			rc = 0;
	}
	if (read.fd >= 0)
		close(read.fd);
	if (rc == 0)
		return err_set(err, -ETIMEDOUT, "the broker of %s does not read its lists again, %.0f s after it was told to", folder, RELOAD_NS / 1e9);
	return rc < 0 ? err_set(err, rc, "the broker of %s: %s", folder, strerror(-rc)) : 1;
}

int broker_reload(const char *folder, struct err *err)
{
	char path[512], *text = NULL;
	int pid = 0, pidfd, rc = 0;

	(void)snprintf(path, sizeof path, "%s/pid", folder);
	if (file_read(path, 64, &text, NULL, NULL) == 0)
		pid = (int)strtol(text, NULL, 10);
	free(text);
	pidfd = pid > 0 ? exec_pidfd(pid) : -ESRCH;
	if (pidfd < 0)
		return 0;
	if (is_broker(pid, folder))
		rc = hang_up(pidfd, folder, err);
	close(pidfd);
	return rc;
}

/* Root hands the folder to the broker's user, file by file. */
static int hand_over(const char *folder, const struct passwd *to, struct err *err)
{
	static const char *const names[] = { "", "ca.pem", "cert.pem", "key.pem", "crl.pem", "mosquitto.conf", "acl", "log" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[512];

		(void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		if (lchown(path, to->pw_uid, to->pw_gid) < 0 && errno != ENOENT)
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

/*
 * In the child. It goes to its folder while it still can: its user need not get through those above. Changing the user clears the signal of the parent's
 * death, so that comes after it.
 */
static void become_broker(const char *program, const char *folder, const char *notify, const struct passwd *user, pid_t parent)
{
	struct rlimit files = { .rlim_cur = DESCRIPTORS, .rlim_max = DESCRIPTORS }, now;
	char environment[160];
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < DESCRIPTORS) {
		if (files.rlim_max < now.rlim_max || geteuid() != 0)
			files.rlim_max = now.rlim_max;
		if (files.rlim_cur > files.rlim_max)
			files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)setpgid(0, 0);
	if (chdir(folder) < 0 || null < 0)
		_exit(127);
	if (user && (setgroups(0, NULL) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0))
		_exit(127);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(127);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
	(void)snprintf(environment, sizeof environment, "NOTIFY_SOCKET=%s", notify);
	execve(program, (char *const[]){ (char *)(uintptr_t)program, (char *)(uintptr_t) "-c", (char *)(uintptr_t) "mosquitto.conf", NULL },
	       (char *const[]){ environment, NULL });
	_exit(127);
}

/* The socket to which it says READY=1; a name without a file. @return descriptor or -errno */
static int notify_socket(char *ret_name, size_t bytes)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t at_bytes = sizeof(sa_family_t);	/* the kernel chooses a free name */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, at_bytes) < 0)
		goto failed;
	at_bytes = sizeof at;
	if (getsockname(fd, (struct sockaddr *)&at, &at_bytes) < 0)
		goto failed;
	(void)snprintf(ret_name, bytes, "@%.*s", (int)(at_bytes - offsetof(struct sockaddr_un, sun_path) - 1), at.sun_path + 1);
	return fd;
failed:
	close(fd);
	return -EIO;
}

/* The last line of its log, without the time. */
static int log_says(const char *folder, struct err *err)
{
	char path[512], *text = NULL, *line, *colon;
	int rc;

	(void)snprintf(path, sizeof path, "%s/log", folder);
	if (file_read(path, LOG_BYTES_MAX, &text, NULL, NULL) < 0 || *text == '\0') {
		free(text);
		return err_set(err, -EIO, "mosquitto ended at once: no log in %s", folder);
	}
	line = text + strlen(text) - 1;
	*line = '\0';
	line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
	colon = strstr(line, ": ");
	rc = strstr(text, "Address already in use") ? -EADDRINUSE : strstr(text, "Cannot assign requested address") ? -EADDRNOTAVAIL : -EIO;
	(void)err_set(err, rc, "mosquitto ended: %s%s; see %s", colon ? colon + 2 : line, rc == -EADDRINUSE ? " (another broker may have the port)" : "", path);
	free(text);
	return rc;
}

/* @return 1 READY=1 came, 0 it has ended, -ETIMEDOUT */
static int wait_until_ready(int notify, int pidfd, uint64_t deadline)
{
	for (;;) {
		struct pollfd fds[2] = { { .fd = notify, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
		uint64_t now = clock_mono_ns();
		char said[128];

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(fds, 2, (int)((deadline - now) / NS_PER_MS) + 1) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents) {
			ssize_t n = recv(notify, said, sizeof said - 1, MSG_DONTWAIT);

			said[n > 0 ? n : 0] = '\0';
			if (strstr(said, "READY=1"))
				return 1;
		} else if (fds[1].revents) {
			return 0;
		}
	}
}

static int find_program(char *ret, size_t bytes, struct err *err)
{
	return exec_find("mosquitto", ret, bytes) < 0 ? err_set(err, -ENOPKG, "mosquitto is not installed: apt-get install mosquitto") : 0;
}

int broker_possible(struct err *err)
{
	char ignored[64];

	return find_program(ignored, sizeof ignored, err);
}

int broker_start(const char *folder, uint64_t timeout_ns, struct broker *ret, struct err *err)
{
	char program[64], log[512], name[128];
	const struct passwd *user = NULL;
	struct broker b = BROKER_INIT;
	pid_t parent = getpid();
	int notify, rc = find_program(program, sizeof program, err);

	if (rc < 0)
		return rc;
	(void)snprintf(log, sizeof log, "%s/log", folder);
	if (geteuid() == 0) {
		user = getpwnam(USER);
		if (!user)
			return err_set(err, -ENOPKG, "there is no user " USER ", as which the broker would run");
		rc = hand_over(folder, user, err);
		if (rc < 0)
			return rc;
	}
	(void)unlink(log);		/* what it says is of this time */
	notify = notify_socket(name, sizeof name);
	if (notify < 0)
		return err_set(err, notify, "broker: a socket for its readiness: %s", strerror(-notify));
	b.pid = fork();
	if (b.pid == 0)
		become_broker(program, folder, name, user, parent);
	b.pidfd = b.pid < 0 ? -errno : exec_pidfd(b.pid);
	rc = b.pidfd < 0 ? err_set(err, b.pidfd, "broker: fork: %s", strerror(-b.pidfd)) : wait_until_ready(notify, b.pidfd, clock_mono_ns() + timeout_ns);
	close(notify);
	if (rc == 1) {
		(void)snprintf(name, sizeof name, "%d\n", (int)b.pid);
		rc = write_file(folder, "pid", name, err);
		if (rc == 0)
			*ret = b;
		else
			broker_stop(&b);
		return rc;
	}
	broker_stop(&b);
	if (rc == 0)
		return log_says(folder, err);
	return err_set(err, rc, "mosquitto did not come up within %.0f s; see %s", (double)timeout_ns / 1e9, log);
}

bool broker_has_ended(const struct broker *broker)
{
	struct pollfd ended = { .fd = broker->pidfd, .events = POLLIN };

	return broker->pid > 0 && poll(&ended, 1, 0) == 1;
}

void broker_stop(struct broker *broker)
{
	struct pollfd wait = { .fd = broker->pidfd, .events = POLLIN };

	if (broker->pid > 0) {
		(void)kill(broker->pid, broker->pidfd >= 0 ? SIGTERM : SIGKILL);
		if (broker->pidfd >= 0 && poll(&wait, 1, (int)(STOP_NS / NS_PER_MS)) == 0)
			(void)kill(broker->pid, SIGKILL);
		(void)waitpid(broker->pid, NULL, 0);
	}
	if (broker->pidfd >= 0)
		close(broker->pidfd);
	*broker = (struct broker)BROKER_INIT;
}
