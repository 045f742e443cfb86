/* SPDX-License-Identifier: MIT */
/*
 * switch.c - a learning Ethernet switch between the guests' datagram sockets: `squall lab-switch DIR NODE...`, the storage network.
 *
 * For each NODE the switch has DIR/san.NODE.sw and the guest's QEMU DIR/san.NODE.vm. Ends when DIR is gone.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "err.h"
#include "lab.h"

#define FRAME_BYTES 70000
#define BURST 64
#define ADDRESSES 64

struct port {
	int fd;
	struct sockaddr_un vm;
};

struct lan {
	struct port port[LAB_NODES_MAX];
	struct {
		uint8_t mac[6];
		int port;
	} learned[ADDRESSES];
	int ports_nr, learned_nr;
};

static int open_port(struct port *p, const char *dir, const char *node)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };
	int bytes = 8 << 20;

	p->vm.sun_family = AF_UNIX;
	(void)snprintf(p->vm.sun_path, sizeof p->vm.sun_path, "%s/san.%s.vm", dir, node);
	(void)snprintf(own.sun_path, sizeof own.sun_path, "%s/san.%s.sw", dir, node);
	(void)unlink(own.sun_path);
	p->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return -errno;
	(void)setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	return bind(p->fd, (struct sockaddr *)&own, sizeof own) < 0 ? -errno : 0;
}

static int lookup(const struct lan *lan, const uint8_t *mac)
{
	for (int i = 0; i < lan->learned_nr; i++)
		if (memcmp(lan->learned[i].mac, mac, 6) == 0)
			return i;
	return -1;
}

static void learn(struct lan *lan, const uint8_t *mac, int port)
{
	int i = lookup(lan, mac);

	if (i < 0 && lan->learned_nr < ADDRESSES) {
		i = lan->learned_nr++;
		memcpy(lan->learned[i].mac, mac, 6);
	}
	if (i >= 0)
		lan->learned[i].port = port;
}

/* A frame that a full receiver does not take is lost, as on a wire. */
static void forward(struct lan *lan, int from, const uint8_t *frame, size_t bytes)
{
	int known = frame[0] & 1 ? -1 : lookup(lan, frame), to = known < 0 ? -1 : lan->learned[known].port;

	learn(lan, frame + 6, from);
	for (int i = 0; i < lan->ports_nr; i++)
		if (i != from && (to < 0 || to == i))
			(void)sendto(lan->port[i].fd, frame, bytes, 0, (const struct sockaddr *)&lan->port[i].vm, sizeof lan->port[i].vm);
}

int lab_switch_main(int argc, char **argv)
{
	static struct lan lan;
	static uint8_t frame[FRAME_BYTES];
	struct pollfd fds[LAB_NODES_MAX];

	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 2; i < argc && lan.ports_nr < LAB_NODES_MAX; i++) {
		if (open_port(&lan.port[lan.ports_nr], argv[1], argv[i]) < 0)
			return EXIT_BROKEN;
		fds[lan.ports_nr] = (struct pollfd){ .fd = lan.port[lan.ports_nr].fd, .events = POLLIN };
		lan.ports_nr++;
	}
	while (lan.ports_nr > 0 && access(argv[1], F_OK) == 0) {
		if (poll(fds, (nfds_t)lan.ports_nr, 5000) < 0 && errno != EINTR)
			return EXIT_BROKEN;
		for (int i = 0; i < lan.ports_nr; i++)
			for (int k = 0; fds[i].revents && k < BURST; k++) {
				ssize_t n = recv(lan.port[i].fd, frame, sizeof frame, 0);

				if (n < 14)
					break;
				forward(&lan, i, frame, (size_t)n);
			}
	}
	return lan.ports_nr > 0 ? EXIT_AS_EXPECTED : EXIT_USAGE;
}
