/* SPDX-License-Identifier: MIT */
/*
 * bus_window.h - messages once and in order over a broker that may lose, repeat and reorder them: private to common/.
 *
 * A broker's acknowledgement says that the broker had the message; it may forget it the next moment. So the receiver acknowledges, when the
 * message has been taken out of its queue, and the sender keeps what is not acknowledged:
 *
 *	sender     | acknowledged | sent             | waiting          |
 *	                           first              next               end
 *	receiver   | taken        | here             | expected
 *	                           taken              end
 *
 * At most WINDOW_NR messages are under way, so a receiver that takes nothing has no more than that to keep, and neither has the broker.
 *
 * A parcel is "SESSION SEQ ACK BODY", the first three as 16 hexadecimal digits. BODY is a message; nothing: only ACK counts; or the word gone:
 * who sent it has left the session. SEQ counts the messages of one direction from 0, ACK is the SEQ that is expected next from the other. The words
 * open and take begin a session; see bus_mqtt.c.
 */
#ifndef SQUALL_BUS_WINDOW_H
#define SQUALL_BUS_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_NR 64u
#define WINDOW_HEADER_BYTES 51u
#define WINDOW_RESEND_NS (1 * 1000000000ULL)	/* the first time; doubled each time */
#define WINDOW_RESEND_MAX_NS (4 * 1000000000ULL)
#define WINDOW_PATIENCE_NS (10 * 1000000000ULL)	/* as long as the lease of an agent */

struct parcel {
	struct parcel *after;
	size_t bytes;			/* with the header, without the NUL */
	uint64_t at_ns;			/* when it came */
	char text[];
};

struct parcels {
	struct parcel *first, *last;
	size_t bytes;
};

struct window {
	uint64_t session;
	struct parcels out, in;
	struct parcel *out_next;	/* of out, the first that is not sent */
	uint64_t out_first, out_next_seq, out_end;
	uint64_t in_taken, in_end, in_acked;	/* acked: what the sender was told last */
	bool owes_ack;			/* the sender did not know what it sent again */
	uint64_t sent_ns, resend_ns;	/* since when the oldest has been under way, and how long it may until all is sent again */
	uint64_t silent_ns;		/* since when something waits for the peer without a sign of it; 0 = nothing does */
};

/** What a parcel says of itself. */
struct parcel_head {
	uint64_t session, seq, ack;
	const char *body;
	size_t body_bytes;
};

/** Errors: -EBADMSG it is none. */
int parcel_parse(const char *text, size_t bytes, struct parcel_head *ret);
/** Whether its body is a word of four letters, which no message is. */
bool parcel_is(const struct parcel_head *head, const char *word);
/** Write a parcel without a message. @param body "" or a word of four letters. @param ret at least WINDOW_HEADER_BYTES + 5. @return its bytes */
size_t parcel_print(uint64_t session, uint64_t seq, uint64_t ack, const char *body, char *ret);

void window_init(struct window *w, uint64_t session);
void window_release(struct window *w);

/** Queue a message. Errors: -ENOBUFS, -ENOMEM */
int window_put(struct window *w, const char *text, size_t bytes, uint64_t now);
/** The next parcel to send, which stays the window's; it counts as sent. @return NULL: nothing waits, or WINDOW_NR are under way */
const struct parcel *window_send(struct window *w, uint64_t now);
/** Send again what is under way, when it has been so for too long. */
void window_look(struct window *w, uint64_t now);
/** Whether the peer has given no sign for WINDOW_PATIENCE_NS, and something waits for it. */
bool window_is_silent(const struct window *w, uint64_t now);
bool window_is_empty(const struct window *w);

/** Take in a parcel of this session. What cannot be kept now is dropped, and will be sent again. Errors: -ENOMEM, -EBADMSG it acknowledges more than there is */
int window_receive(struct window *w, const struct parcel_head *head, uint64_t now);
/** The oldest message that is here, to be freed by the caller; its text is behind WINDOW_HEADER_BYTES. @return NULL: none is */
struct parcel *window_take(struct window *w);
bool window_owes_ack(const struct window *w);
/** A parcel that only acknowledges. @param ret at least WINDOW_HEADER_BYTES + 5. @return its bytes */
size_t window_ack(struct window *w, const char *body, char *ret);

#endif
