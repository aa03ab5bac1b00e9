/* The fleet file: YAML into a resolved struct fleet, or one line FILE:LINE: what is wrong; what to do.
 *
 *   fleet: staging
 *   hosts:
 *     db1:  {groups: [data]}
 *     app1: {groups: [apps]}
 *   services:
 *     bds:    {kind: redis, host: db1, unit: redis-stack-server@bds00, port: 6379, role: master}
 *     copy:   {kind: redis, host: db1, unit: redis-stack-server@bds01, port: 6381, role: replica, of: bds}
 *     geo:    {kind: tile38, host: db1, unit: tile38@beamdevlive, port: 9851}
 *     router: {kind: unit, host: app1, unit: redis-router, needs: [bds],
 *              probe: {redis: {port: 6400, same_as: bds}}}
 *     apps:   {kind: pm2, host: app1, user: beamdevlive, home: /var/www/beamdevlive/.pm2,
 *              needs: [router, geo], at_least: 95%}
 *
 * Keys of a service: all kinds take kind and host (required), needs, hold (2s), start_limit (120s) and
 * on_failure (pause, continue, abort); unit: unit (required), probe; redis: unit, port or socket (one
 * required), address (127.0.0.1), role (any, master, replica), of, max_lag (64MB, with of), reload_limit
 * (10min); tile38: unit, port
 * (required), address, reload_limit; pm2: user and home (required), at_least (100%). A unit without a suffix
 * gets ".service".
 *
 * How plans go over the hosts, all optional (fleet_policy.c):
 *
 *   reboot:  {batch: 25%, canary: db2}     batch: a number of hosts, a share of them, or all (the default)
 *   restart: {batch: all, canary: 1}       canary: a host, or how many, before all others; none by default
 *            {error_budget: 5%}              steps that may fail and be passed over; none: as many as do
 *
 *   policies: {redis.rewrite: {retries: 2, backoff: 10s, deadline: 2h, on_failure: continue}}
 *
 * by kind of step, of all services or, inside a service, of that one. What is nearer goes before: a service's
 * policies, its on_failure and start_limit, the file's policies.
 *
 * Refused besides wrong forms: a name used twice, also by a host and a service; a unit, a port of an address,
 * a socket or a PM2 home that two services of one host claim; needs that go in a circle, where `of` and
 * `same_as` count as needs. */
#pragma once

#include "common/base/error.h"
#include "common/model/fleet.h"

/* The caller ends *ret with fleet_free(). -EINVAL with a text for whatever the file has wrong; errors of
 * reading; -ENOMEM. */
int fleet_file_read(struct fleet **ret, const char *path, struct error *error);
/* The same from memory; name is what errors call it. */
int fleet_file_parse(struct fleet **ret, const char *text, size_t size, const char *name,
                     struct error *error);
