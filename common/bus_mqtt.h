/* SPDX-License-Identifier: MIT */
/*
 * bus_mqtt.h - the connection of this process to a broker, over which its links go: private to common/.
 */
#ifndef SQUALL_BUS_MQTT_H
#define SQUALL_BUS_MQTT_H

#include <stdbool.h>

#include "bus.h"

struct err;
struct evp_pkey_st;
struct mqtt;
struct pollfd;

/** Begin to connect; mqtt_turn() goes on with it. Links that come in are added to the bus. Errors: -EINVAL the address; the identity's */
int mqtt_new(struct bus *bus, const char *url, const char *identity, struct mqtt **ret, struct err *err);
/** The same as an agent, with a courier that is there already. @param key  of the coordinator. @param fd  the agent's end; both become its own, also when this fails */
int mqtt_attach(struct bus *bus, const char *name, struct evp_pkey_st *key, int fd, struct mqtt **ret, struct err *err);
/** Says goodbye, within 200 ms. The links are freed before. */
void mqtt_free(struct mqtt *mqtt);

/** Begin a session with an agent. Errors: -EINVAL the name; those of bus_add() */
int mqtt_join(struct mqtt *mqtt, const char *peer, struct err *err);

/** @return false: there is no descriptor now */
bool mqtt_pollfd(const struct mqtt *mqtt, struct pollfd *ret);
/** Everything that is to be done now: read, write, connect again, send again, acknowledge. Call it at least every mqtt_turn_ms(). */
void mqtt_turn(struct mqtt *mqtt, short revents);
/** How long nothing is to be done, unless something comes [ms]. */
int mqtt_turn_ms(const struct mqtt *mqtt);

struct bus_refused mqtt_refused(const struct mqtt *mqtt);
/** Whether the broker has taken us in. @return 0 it has, else as of client_problem(), with the reason */
int mqtt_problem(const struct mqtt *mqtt, struct err *err);

#endif
