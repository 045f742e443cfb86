/* SPDX-License-Identifier: MIT */
/*
 * relay.c - the way of a guest to the broker: `squall lab-relay PORT`.
 *
 * QEMU starts it for each connection that a guest makes to LAB_BUS_URL. Its standard input is that connection, a socket; the broker listens on a port of this
 * host's loopback. It understands nothing of what it passes on, and ends with either of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "lab.h"

#define CHUNK 65536

/* What was read and is not written yet. */
struct way {
	int from, to;
	size_t begin, end;
	char bytes[CHUNK];
};

static bool is_for_later(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/*
 * QEMU's end of the guest's socket holds back a small write until the one before it is acknowledged, which the kernel puts off by 40 ms unless it is told
 * not to, each time anew.
 * @return false when one of the two has ended
 */
static bool carry(struct way *w)
{
	int on = 1;
	ssize_t n;

	if (w->begin == w->end) {
		n = recv(w->from, w->bytes, sizeof w->bytes, MSG_DONTWAIT);
		if (n <= 0)
			return is_for_later(n);
		(void)setsockopt(w->from, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
		w->begin = 0;
		w->end = (size_t)n;
	}
	n = send(w->to, w->bytes + w->begin, w->end - w->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return is_for_later(n);
	w->begin += (size_t)n;
	return true;
}

static void relay(int guest, int broker)
{
	static struct way way[2];
	struct pollfd fds[2] = { { .fd = guest }, { .fd = broker } };

	way[0] = (struct way){ .from = guest, .to = broker };
	way[1] = (struct way){ .from = broker, .to = guest };
	do {
		fds[0].events = fds[1].events = 0;
		for (int i = 0; i < 2; i++) {
			bool is_empty = way[i].begin == way[i].end;

			fds[is_empty ? i : 1 - i].events |= is_empty ? POLLIN : POLLOUT;
		}
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
	} while (!((fds[0].revents | fds[1].revents) & (POLLERR | POLLHUP)) && carry(&way[0]) && carry(&way[1]));
}

int lab_relay_main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int broker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	at.sin_port = htons((uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 0));
	if (broker < 0 || connect(broker, (struct sockaddr *)&at, sizeof at) < 0)
		return EXIT_BROKEN;
	(void)setsockopt(STDIN_FILENO, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(broker, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	relay(STDIN_FILENO, broker);
	return EXIT_AS_EXPECTED;
}
