/* SPDX-License-Identifier: MIT */
/*
 * courier.c - the agent's end of the socket pair: starts the courier, and believes it nothing but what a frame can say.
 *
 * The rule that holds it together: no call waits, but for the beginning and the goodbye.
 */
#include "courier.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

#define BEGIN_NS (10 * NS_PER_S)
#define GOODBYE_NS (500 * NS_PER_MS)	/* it waits for the broker for 200 ms */
#define AGAIN_NS (1 * NS_PER_S)		/* from the end of one to the next */
#define READS_MAX 256			/* in one turn */
#define WAITING_BYTES_MAX (1u << 20)	/* with more than this to be written, what has no tag is forgotten */
#define TOPICS_MAX 8

struct order {
	struct order *after;
	size_t bytes, done;
	char text[];			/* a frame, and what belongs to it */
};

struct courier {
	struct client client;
	char *url, *identity;		/* for the next one */
	pid_t pid;
	int fd;				/* -1: there is none */
	uint64_t again_ns;		/* when the next may be started */
	uint64_t down_ns;		/* since when there is no connection; 0 = there is one */
	bool told;			/* a state */
	struct courier_state state;
	struct order *first, *last;
	size_t waiting_bytes;
	struct frame frame;		/* that comes in, and how much of it and its text is there */
	char *text;
	size_t got;
};

static void become_courier(const struct courier *k, int fd, pid_t agent)
{
	char parent[16];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), high = fcntl(fd, F_DUPFD_CLOEXEC, COURIER_FD + 1);
	sigset_t none;

	(void)snprintf(parent, sizeof parent, "%d", (int)agent);
	if (null < 0 || high < 0 || dup2(high, COURIER_FD) < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(127);
	(void)syscall(SYS_close_range, COURIER_FD + 1u, ~0u, 0u);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	execve("/proc/self/exe", (char *const[]){ (char *)(uintptr_t) "squall", (char *)(uintptr_t) "courier", k->url, k->identity, parent, NULL }, (char *const[]){ NULL });
	_exit(127);
}

static int start(struct courier *k, struct err *err)
{
	pid_t agent = getpid();
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return err_set(err, -errno, "bus: a socket pair: %s", strerror(errno));
	k->pid = fork();
	if (k->pid == 0)
		become_courier(k, fd[1], agent);
	close(fd[1]);
	if (k->pid < 0 || fcntl(fd[0], F_SETFL, O_NONBLOCK) < 0) {
		close(fd[0]);
		return err_set(err, -EAGAIN, "bus: cannot start the process that connects to the broker: %s", strerror(errno));
	}
	k->fd = fd[0];
	k->told = false;
	k->down_ns = clock_mono_ns();
	return 0;
}

/* All that was under way is lost with it; whose it is learns it as the end of the session. */
static void end(struct courier *k)
{
	struct order *order;

	if (k->fd < 0)
		return;
	close(k->fd);
	k->fd = -1;
	if (k->pid > 0) {
		(void)kill(k->pid, SIGKILL);
		(void)waitpid(k->pid, NULL, 0);
	}
	while ((order = k->first)) {
		k->first = order->after;
		free(order);
	}
	k->last = NULL;
	k->waiting_bytes = 0;
	free(k->text);
	k->text = NULL;
	k->got = 0;
	memset(k->client.flight, 0, sizeof k->client.flight);
	k->again_ns = clock_mono_ns() + AGAIN_NS;
	if (!k->state.ends) {
		k->state = (struct courier_state){ .rc = -ECONNRESET };
		(void)snprintf(k->state.text, sizeof k->state.text, "bus: the process that connects to the broker has died, or said what is none of its words");
	}
	k->state.ready = k->state.connected = k->state.ends = 0;
}

static void write_out(struct courier *k)
{
	while (k->fd >= 0 && k->first) {
		struct order *order = k->first;
		ssize_t n = send(k->fd, order->text + order->done, order->bytes - order->done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			end(k);
			return;
		}
		order->done += (size_t)n;
		k->waiting_bytes -= (size_t)n;
		if (order->done < order->bytes)
			return;
		k->first = order->after;
		if (!k->first)
			k->last = NULL;
		free(order);
	}
}

static int put(struct courier *k, const struct frame *frame, const char *text)
{
	struct order *order = malloc(sizeof *order + sizeof *frame + frame->bytes);

	if (!order)
		return -ENOMEM;
	*order = (struct order){ .bytes = sizeof *frame + frame->bytes };
	memcpy(order->text, frame, sizeof *frame);
	if (frame->bytes > 0)
		memcpy(order->text + sizeof *frame, text, frame->bytes);
	if (k->last)
		k->last->after = order;
	else
		k->first = order;
	k->last = order;
	k->waiting_bytes += order->bytes;
	write_out(k);
	return 0;
}

static int courier_publish(struct client *client, const char *topic, const char *text, size_t bytes, struct flight *flight)
{
	struct courier *k = (struct courier *)client;
	struct frame frame = { .kind = FRAME_PUBLISH, .bytes = (uint32_t)bytes };
	int rc;

	assert(strcmp(topic, client->options.will_topic) == 0);
	if (bytes > CLIENT_TEXT_BYTES_MAX)
		return -EMSGSIZE;
	if (k->fd < 0 || (!flight && (!k->state.connected || k->waiting_bytes > WAITING_BYTES_MAX)))
		return 0;	/* with no courier there is no session either, to which a tag could matter */
	if (!flight)
		return put(k, &frame, text);
	flight->id = (int)(flight - client->flight) + 1;
	frame.id = (uint32_t)flight->id;
	rc = put(k, &frame, text);
	if (rc < 0)
		flight->id = 0;
	return rc;
}

/* @return false: it is none */
static bool frame_is_fine(const struct courier *k)
{
	const struct client *c = &k->client;
	const struct frame *f = &k->frame;

	switch ((enum frame_kind)f->kind) {
	case FRAME_MESSAGE:
		return f->bytes <= CLIENT_TEXT_BYTES_MAX && f->id < TOPICS_MAX && c->options.subscribed(c->options.arg, (int)f->id);
	case FRAME_ANSWER:
		return f->bytes == 0 && f->reason <= UINT8_MAX && f->id > 0 && f->id <= CLIENT_FLIGHT_NR && c->flight[f->id - 1].id == (int)f->id;
	case FRAME_STATE:
		return f->bytes == sizeof k->state;
	case FRAME_PUBLISH:
	case FRAME_BYE:
		break;
	}
	return false;
}

/* What it says ends up before the eyes of the operator: one line of ASCII. */
static void take_state(struct courier *k, const char *text)
{
	struct courier_state *s = &k->state;

	memcpy(s, text, sizeof *s);
	s->text[sizeof s->text - 1] = '\0';
	for (char *c = s->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (s->rc >= 0 || s->rc < -4095)
		s->rc = -EIO;
	k->told = true;
	if (s->connected)
		k->down_ns = 0;
	else if (k->down_ns == 0)
		k->down_ns = clock_mono_ns();
}

/* The courier may end while it is done: the frame is not in it any more. */
static void take_frame(struct courier *k)
{
	const struct client_options *o = &k->client.options;
	const struct frame frame = k->frame;
	char *text = k->text;

	k->text = NULL;
	k->got = 0;
	if (frame.kind == FRAME_STATE)
		take_state(k, text);
	else if (frame.kind == FRAME_ANSWER)
		client_answered(&k->client, (int)frame.id, (int)frame.reason);
	else if (o->on_message)
		o->on_message(o->arg, o->subscribed(o->arg, (int)frame.id), text, frame.bytes);
	free(text);
}

/* @return false: there is nothing more to read now */
static bool read_some(struct courier *k)
{
	bool in_head = k->got < sizeof k->frame;
	size_t whole = sizeof k->frame + (in_head ? 0 : k->frame.bytes);
	char *to = in_head ? (char *)&k->frame + k->got : k->text + (k->got - sizeof k->frame);
	ssize_t n = k->got < whole ? read(k->fd, to, whole - k->got) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		end(k);
		return false;
	}
	k->got += (size_t)n;
	if (in_head && k->got == sizeof k->frame) {
		k->text = frame_is_fine(k) ? malloc(k->frame.bytes + 1) : NULL;
		if (!k->text) {
			end(k);
			return false;
		}
	}
	if (k->text && k->got == sizeof k->frame + k->frame.bytes)
		take_frame(k);
	return true;
}

static void courier_turn(struct client *client, short revents)
{
	struct courier *k = (struct courier *)client;

	(void)revents;
	if (k->fd < 0 && clock_mono_ns() >= k->again_ns && start(k, NULL) < 0)
		k->again_ns = clock_mono_ns() + AGAIN_NS;
	write_out(k);
	for (int i = 0; i < READS_MAX && k->fd >= 0 && read_some(k); i++)
		;
}

static bool courier_pollfd(const struct client *client, struct pollfd *ret)
{
	const struct courier *k = (const struct courier *)client;

	*ret = (struct pollfd){ .fd = k->fd, .events = (short)(POLLIN | (k->first ? POLLOUT : 0)) };
	return k->fd >= 0;
}

static bool courier_is_ready(const struct client *client)
{
	return ((const struct courier *)client)->state.ready;
}

/* Without a courier it is for ever: a session does not outlive it. */
static uint64_t courier_away_ns(const struct client *client, uint64_t now)
{
	const struct courier *k = (const struct courier *)client;

	if (k->fd < 0)
		return UINT64_MAX;
	return k->down_ns != 0 ? now - k->down_ns : 0;
}

static int courier_problem(const struct client *client, struct err *err)
{
	const struct courier *k = (const struct courier *)client;

	return k->state.ready ? 0 : err_set(err, k->state.rc, "%s", k->state.text);
}

static void courier_free(struct client *client)
{
	struct courier *k = (struct courier *)client;
	uint64_t now = clock_mono_ns(), deadline = now + GOODBYE_NS;

	client->options.on_message = NULL;
	if (k->fd >= 0 && put(k, &(struct frame){ .kind = FRAME_BYE }, NULL) == 0)
		for (; k->fd >= 0 && now < deadline; now = clock_mono_ns()) {
			struct pollfd wait;

			(void)courier_pollfd(client, &wait);
			(void)poll(&wait, 1, (int)((deadline - now) / NS_PER_MS) + 1);
			courier_turn(client, wait.revents);
		}
	end(k);
	free(k->url);
	free(k->identity);
	free(k);
}

static const struct client_ops courier_ops = { .pollfd = courier_pollfd, .turn = courier_turn, .is_ready = courier_is_ready, .away_ns = courier_away_ns,
					       .problem = courier_problem, .publish = courier_publish, .free = courier_free };

static struct courier *courier_make(const struct client_options *options, struct err *err)
{
	struct courier *k = calloc(1, sizeof *k);
	char *url = strdup(options->url), *identity = strdup(options->identity);

	if (!k || !url || !identity) {
		(void)err_set(err, -ENOMEM, "bus: no memory");
		free(url);
		free(identity);
		free(k);
		return NULL;
	}
	*k = (struct courier){ .client = { .ops = &courier_ops, .options = *options }, .url = url, .identity = identity, .fd = -1 };
	return k;
}

int courier_attach(const struct client_options *options, int fd, pid_t pid, struct client **ret, struct err *err)
{
	struct courier *k = courier_make(options, err);

	if (!k) {
		close(fd);
		return -ENOMEM;
	}
	k->pid = pid;
	k->fd = fd;
	k->down_ns = clock_mono_ns();
	*ret = &k->client;
	return 0;
}

int courier_new(const struct client_options *options, struct client **ret, struct err *err)
{
	struct courier *k = courier_make(options, err);
	uint64_t now = clock_mono_ns(), deadline = now + BEGIN_NS;
	int rc = k ? start(k, err) : -ENOMEM;

	for (; rc == 0 && k->fd >= 0 && !k->told && now < deadline; now = clock_mono_ns()) {
		struct pollfd wait;

		(void)courier_pollfd(&k->client, &wait);
		(void)poll(&wait, 1, (int)((deadline - now) / NS_PER_MS) + 1);
		courier_turn(&k->client, wait.revents);
	}
	if (rc == 0 && (k->fd < 0 || !k->told || k->state.ends))
		rc = k->told || k->fd < 0 ? err_set(err, k->state.rc, "%s", k->state.text) :
					    err_set(err, -ETIMEDOUT, "bus: the process that connects to the broker does not begin");
	if (rc == 0)
		*ret = &k->client;
	else if (k)
		courier_free(&k->client);
	return rc;
}
