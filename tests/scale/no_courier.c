/* SPDX-License-Identifier: MIT */
/*
 * no_courier.c - in the place of common/courier.c: a host has one agent and one courier, but this one has a thousand agents, and is about the coordinator.
 */
#include "../../common/courier.h"

int courier_new(const struct client_options *options, struct client **ret, struct err *err)
{
	return client_new(options, ret, err);
}
