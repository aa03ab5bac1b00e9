/* A scope: the hosts and services of a fleet that a command is about. Pure.
 *
 * SCOPE is a list of terms, separated by commas or spaces:
 *   db1            a host or a service (fleets do not let them share names)
 *   @data          a group: its hosts
 *   app[1-3]       names by number, app1 app2 app3; app[01-12] keeps the zeros; app[1,3] and app[1-3,7]
 *                  work; a range may be in any term that names something, groups too
 *   %redis         all services of a kind: unit, redis, tile38, pm2
 *   %redis:master  all services of kind redis whose role the fleet file declares: master, replica
 *   !TERM          takes away what the term names, wherever it stands; only such terms: all but these
 * An empty SCOPE is everything.
 *
 * A host in scope brings its services. A service in scope marks its host too, but only as the place where
 * it is, for status and checks of the host: it brings none of the host's other services, and it does not
 * ask for the host's reboot. Which hosts were meant themselves is in hosts_named. */
#pragma once

#include "common/base/error.h"
#include "common/model/fleet.h"

#define SCOPE_TEXT_MAX 4096 /* bytes of a SCOPE */

/* Arrays as long as the fleet's (bool per index). */
struct scope {
        bool *hosts;       /* owned: hosts in scope, and hosts of services in scope */
        bool *services;    /* owned: services in scope */
        bool *hosts_named; /* owned: only hosts in scope themselves; NULL counts as a copy of hosts */
};

/* Reads text (NULL counts as empty) against the fleet. -EINVAL with a text for an unknown name (and the
 * nearest known one) or bad form; a scope that comes out empty is an error too. ret must be zeroed; on
 * success the caller ends it with scope_clear(). */
int scope_parse(struct scope *ret, const struct fleet *fleet, const char *text, struct error *error);

/* Whether the scope is of whole hosts, as a reboot has to be: nothing else would stop a host's other services
 * in order, or wait for them. 0, or -EINVAL with a text: a service is in scope whose host is not meant
 * itself, or a host is meant without one of its services. */
int scope_check_whole_hosts(const struct scope *scope, const struct fleet *fleet, struct error *error);

/* Frees what the scope owns and zeroes it. */
void scope_clear(struct scope *scope);

#define cleanup_scope __attribute__((cleanup(scope_clear)))
