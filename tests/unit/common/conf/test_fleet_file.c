/* The fleet file: what a sound one becomes, and the one line that each kind of mistake gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/fleet_file.h"
#include "common/conf/tree.h"

static const char sound[] =
        "fleet: staging\n"
        "hosts:\n"
        "  db1:  {groups: [data, \"old\"]}\n"
        "  app1: {groups: [apps]}\n"
        "  bare:\n"
        "reboot: {batch: 25%, canary: app1}\n"
        "services:\n"
        "  apps:     {kind: pm2, host: app1, user: beamdevlive, home: /var/www/beamdevlive/.pm2,\n"
        "             needs: [router, geo], at_least: 95%, on_failure: continue, hold: 12s}\n"
        "  bds:      {kind: redis, host: db1, unit: redis-stack-server@bds00, port: 6379, role: master,\n"
        "             reload_limit: 1h, start_limit: 500ms}\n"
        "  bds-copy: {kind: redis, host: db1, unit: redis-stack-server@bds01.service, port: 6381,\n"
        "             role: replica, of: bds, max_lag: 1.5MB, address: 10.0.0.7}\n"
        "  geo:      {kind: tile38, host: db1, unit: tile38@beamdevlive, port: 9851}\n"
        "  router:   {kind: unit, host: app1, unit: redis-router, needs: [bds],\n"
        "             probe: {redis: {port: 6400, same_as: bds, address: \"::1\"}}}\n"
        "  quiet:    {kind: redis, host: db1, socket: /run/redis/quiet.sock}\n";

static struct fleet *parse(const char *text, struct error *error)
{
        struct fleet *fleet = NULL;
        int r;

        error->text[0] = '\0';
        r = fleet_file_parse(&fleet, text, strlen(text), "fleet.yaml", error);
        assert_true((r == 0) == (fleet != NULL));
        return fleet;
}

/* Each kind has its own. */
static void test_hold_unless_given(void **state)
{
        struct error error;
        struct fleet *fleet = parse("fleet: f\n"
                                    "hosts: {app1: }\n"
                                    "services:\n"
                                    "  apps: {kind: pm2, host: app1, user: u, home: /home/u/.pm2}\n"
                                    "  web:  {kind: unit, host: app1, unit: web}\n",
                                    &error);

        assert_string_equal(error.text, "");
        assert_int_equal(fleet->services[fleet_service_find(fleet, "apps")].hold_us, 10 * USEC_PER_SEC);
        assert_int_equal(fleet->services[fleet_service_find(fleet, "web")].hold_us, 2 * USEC_PER_SEC);
        fleet_free(fleet);
}

static void test_sound(void **state)
{
        struct error error;
        struct fleet *fleet = parse(sound, &error);
        const struct fleet_service *apps, *bds, *copy, *router, *quiet;

        assert_string_equal(error.text, "");
        assert_non_null(fleet);
        assert_string_equal(fleet->name, "staging");
        assert_int_equal(fleet->host_count, 3);
        assert_int_equal(fleet->service_count, 6);
        assert_true(fleet->reboot.share > 0.249 && fleet->reboot.share < 0.251);
        assert_string_equal(fleet->reboot.canary_host, "app1");
        assert_int_equal(rollout_batch_size(&fleet->restart, 7), 7);
        assert_string_equal(fleet->hosts[0].name, "db1");
        assert_int_equal(fleet->hosts[0].group_count, 2);
        assert_string_equal(fleet->hosts[0].groups[1], "old");
        assert_int_equal(fleet->hosts[2].group_count, 0);
        assert_int_equal(fleet->hosts[1].line, 4);
        apps = &fleet->services[fleet_service_find(fleet, "apps")];
        bds = &fleet->services[fleet_service_find(fleet, "bds")];
        copy = &fleet->services[fleet_service_find(fleet, "bds-copy")];
        router = &fleet->services[fleet_service_find(fleet, "router")];
        quiet = &fleet->services[fleet_service_find(fleet, "quiet")];
        assert_int_equal(apps->spec.kind, SERVICE_PM2);
        assert_string_equal(apps->spec.home, "/var/www/beamdevlive/.pm2");
        assert_string_equal(apps->spec.unit, "");
        assert_true(apps->at_least > 0.9499 && apps->at_least < 0.9501);
        assert_int_equal(apps->on_failure, ON_FAILURE_CONTINUE);
        assert_int_equal(apps->hold_us, 12 * USEC_PER_SEC);
        assert_int_equal(apps->need_count, 2);
        assert_ptr_equal(&fleet->services[apps->needs[0]], router);
        assert_int_equal(apps->line, 8);
        assert_int_equal(apps->host, 1);
        assert_string_equal(bds->spec.unit, "redis-stack-server@bds00.service");
        assert_string_equal(bds->spec.address, "127.0.0.1");
        assert_int_equal(bds->spec.role, REDIS_MASTER);
        assert_int_equal(bds->reload_limit_us, 3600 * USEC_PER_SEC);
        assert_int_equal(bds->start_limit_us, 500 * USEC_PER_MSEC);
        assert_int_equal(bds->hold_us, 2 * USEC_PER_SEC);
        assert_int_equal(bds->of, -1);
        assert_int_equal(bds->same_as, -1);
        assert_true(bds->at_least == 1.0);
        assert_string_equal(copy->spec.unit, "redis-stack-server@bds01.service");
        assert_string_equal(copy->spec.address, "10.0.0.7");
        assert_ptr_equal(&fleet->services[copy->of], bds);
        assert_int_equal(copy->max_lag, 1500000);
        assert_int_equal(bds->max_lag, 64000000);
        assert_int_equal(router->spec.probe_port, 6400);
        assert_string_equal(router->spec.probe_address, "::1");
        assert_ptr_equal(&fleet->services[router->same_as], bds);
        assert_string_equal(quiet->spec.socket, "/run/redis/quiet.sock");
        assert_int_equal(quiet->spec.port, 0);
        fleet_free(fleet);
}

/* The nearer goes before: the service's policies, its on_failure and start_limit, those of the file. */
static void test_policies(void **state)
{
        static const char text[] =
                "fleet: f\nhosts: {h: {}, i: {loads_per_disk: all}, j: {loads_per_disk: 1, groups: [data]}}\n"
                "reboot: {error_budget: 5%, loads_per_disk: 2}\n"
                "services:\n"
                "  plain: {kind: redis, host: h, port: 1}\n"
                "  own:   {kind: redis, host: h, port: 2, start_limit: 5s, on_failure: abort,\n"
                "          policies: {redis.rewrite: {retries: 0}, unit.stop: {on_failure: pause}}}\n"
                "policies:\n"
                "  redis.rewrite: {retries: 3, backoff: 10s, on_failure: continue}\n"
                "  redis.load:    {deadline: 20min}\n"
                "  host.reboot:   {deadline: 30min}\n";
        struct error error;
        struct fleet *fleet = parse(text, &error);
        const struct step_policy *plain, *own;

        assert_string_equal(error.text, "");
        plain = fleet->services[0].policies;
        own = fleet->services[1].policies;
        assert_int_equal(plain[OPERATION_REDIS_REWRITE].set,
                         POLICY_RETRIES | POLICY_BACKOFF | POLICY_ON_FAILURE);
        assert_int_equal(plain[OPERATION_REDIS_REWRITE].retries, 3);
        assert_int_equal(plain[OPERATION_REDIS_REWRITE].on_failure, ON_FAILURE_CONTINUE);
        assert_int_equal(plain[POLICY_REDIS_LOAD].deadline_us, 1200 * USEC_PER_SEC);
        assert_int_equal(own[OPERATION_REDIS_REWRITE].set, POLICY_RETRIES | POLICY_BACKOFF);
        assert_int_equal(own[OPERATION_REDIS_REWRITE].retries, 0);
        assert_int_equal(own[OPERATION_REDIS_REWRITE].backoff_us, 10 * USEC_PER_SEC);
        assert_int_equal(own[OPERATION_UNIT_STOP].set, POLICY_ON_FAILURE);
        assert_int_equal(own[OPERATION_UNIT_STOP].on_failure, ON_FAILURE_PAUSE);
        assert_int_equal(own[POLICY_REDIS_LOAD].set, 0);
        assert_int_equal(fleet->policies[OPERATION_HOST_REBOOT].deadline_us, 1800 * USEC_PER_SEC);
        assert_int_equal(rollout_budget_size(&fleet->reboot, 100), 5);
        assert_int_equal(rollout_budget_size(&fleet->restart, 100), UINT32_MAX);
        assert_int_equal(fleet->reboot.loads_per_disk, 2);
        assert_int_equal(fleet->restart.loads_per_disk, 0);
        assert_false(fleet->hosts[0].loads_said);
        assert_true(fleet->hosts[1].loads_said && fleet->hosts[1].loads_per_disk == 0);
        assert_true(fleet->hosts[2].loads_said && fleet->hosts[2].loads_per_disk == 1);
        assert_string_equal(fleet->hosts[2].groups[0], "data");
        fleet_free(fleet);
}

#define HEAD "fleet: f\nhosts: {h: {}, db1: {groups: [data]}}\nservices:\n"

/* The file, and what its error is to hold; most have the service on line 4. */
static const char *const mistakes[][2] = {
        {"", "f.yaml:1: the file is empty"},
        {"# nothing\n", "f.yaml:1: the file is empty"},
        {"~", "f.yaml:1: the file is empty"},
        {"- a\n", "f.yaml:1: no keys in it"},
        {"hosts: {a: {}}\n", "f.yaml:1: the fleet has no name; add fleet: NAME"},
        {"fleet: f\n", "f.yaml:1: no hosts"},
        {"fleet: f\nhosts: {}\n", "f.yaml:2: no hosts"},
        {"fleet: f\nhosts: [a]\n", "f.yaml:2: hosts has to be a map"},
        {"fleet: [f]\nhosts: {a: {}}\n", "f.yaml:1: fleet has to be one value, not a list"},
        {"fleet:\nhosts: {a: {}}\n", "f.yaml:1: fleet has no value"},
        {"fleet: f f\nhosts: {a: {}}\n", "f.yaml:1: fleet: 'f f' is not a name"},
        {"fleet: f\nhost: {a: {}}\n", "f.yaml:2: unknown key 'host' in a fleet file; did you mean 'hosts'?"},
        {"fleet: f\nzebra: 1\n",
         "f.yaml:2: unknown key 'zebra' in a fleet file; known are fleet, hosts, services, "
         "reboot, restart, policies"},
        {"fleet: f\nhosts: {a: {}}\nreboot: {error_budget: x}\n",
         "f.yaml:3: error_budget: 'x' is not a number of steps, a share like 5%, or none"},
        {"fleet: f\nhosts: {a: {}}\nreboot: {loads_per_disk: 0}\n",
         "f.yaml:3: loads_per_disk: '0' is not a number of loads from 1 on, or all"},
        {"fleet: f\nhosts:\n  a: {loads_per_disk: 25%}\n", "f.yaml:3: loads_per_disk: '25%' is not a number"},
        {"fleet: f\nhosts:\n  a: {loads_per_disc: 1}\n",
         "f.yaml:3: unknown key 'loads_per_disc' in a host; did you mean 'loads_per_disk'?"},
        {"fleet: f\nhosts: {a: {}}\npolicies: {redis.rewrit: {}}\n",
         "f.yaml:3: unknown key 'redis.rewrit' in policies; did you mean 'redis.rewrite'?"},
        {"fleet: f\nhosts: {a: {}}\npolicies: {unit.enable: {}}\n", "unknown key 'unit.enable' in policies"},
        {"fleet: f\nhosts: {a: {}}\npolicies: {host.reboot: {retries: 1}}\n",
         "f.yaml:3: unknown key 'retries' in host.reboot; known are deadline, on_failure"},
        {"fleet: f\nhosts: {a: {}}\npolicies:\n  redis.load: {backoff: 1s}\n",
         "f.yaml:4: unknown key 'backoff' in redis.load"},
        {"fleet: f\nhosts: {a: {}}\npolicies: {pm2.save: {retries: 101}}\n",
         "f.yaml:3: retries: '101' is not a number from 0 to 100"},
        {"fleet: f\nhosts: {a: {}}\npolicies: {pm2.save: {deadline: 10ms}}\n",
         "deadline: '10ms' is too short"},
        {"fleet: f\nhosts: {a: {}}\npolicies: {pm2.save: {on_failure: stop}}\n",
         "on_failure: 'stop' is not one of pause, continue, abort"},
        {"fleet: f\nhosts: {a: {}}\npolicies:\n  pm2.save: {retries: 2,\n             on_failure: "
         "continue}\n",
         "f.yaml:5: pm2.save: on_failure cannot be 'continue', for what runs would be lost; 'pause' or "
         "'abort'"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h,\n"
              "      policies: {pm2.save: {on_failure: continue}}}\n",
         "f.yaml:5: pm2.save: on_failure cannot be 'continue'"},
        {HEAD "  s: {kind: redis, host: h, port: 1, policies: {pm2.save: {}}}\n",
         "f.yaml:4: unknown key 'pm2.save' in policies of kind redis"},
        {"fleet: f\nhosts: {a: {}}\nreboot: 2\n",
         "f.yaml:3: reboot has to be a map; write reboot: {batch: 2"},
        {"fleet: f\nhosts: {a: {}}\nreboot: {bach: 2}\n",
         "f.yaml:3: unknown key 'bach' in reboot; did you mean 'batch'?"},
        {"fleet: f\nhosts: {a: {}}\nrestart:\n  batch: 0\n",
         "f.yaml:4: batch: '0' is not a number of hosts, a share like 25%, or all"},
        {"fleet: f\nhosts: {db1: {}}\nreboot:\n  canary: db2\n",
         "f.yaml:4: canary: there is no host 'db2'; did you mean 'db1'?"},
        {"fleet: f\nhosts: {db1: {}}\nreboot: {canary: a b}\n",
         "f.yaml:3: canary: 'a b' is not the name of a host, a number of hosts, or none"},
        {"fleet: f\nfleet: g\n", "f.yaml:2: 'fleet' is here twice, first in line 1"},
        {"fleet: f\nhosts: {a: {}, b: {},\n  a: {}}\n", "f.yaml:3: 'a' is here twice, first in line 2"},
        {"fleet: f\nhosts: {-a: {}}\n", "f.yaml:2: '-a' is no name for a host"},
        {"fleet: f\nhosts: {a: x}\n", "f.yaml:2: a has to be a map"},
        {"fleet: f\nhosts: {a: {group: [x]}}\n", "unknown key 'group' in a host; did you mean 'groups'?"},
        {"fleet: f\nhosts: {a: {groups: x}}\n", "groups has to be a list; write groups: [data]"},
        {"fleet: f\nhosts: {a: {groups: [x y]}}\n", "an entry: 'x y' is not a name"},
        {"fleet: f\nhosts: {a: {groups: [x, x]}}\n", "host a has group 'x' twice"},
        {"fleet: f\nhosts: {a: {groups: [a,b,c,d,e,f,g,h,i]}}\n", "more than 8 groups"},
        {"fleet: f\nhosts: {a: &x {}, b: *x}\n", "f.yaml:2: &x is an anchor"},
        {"fleet: f\nhosts: {b: *x}\n", "f.yaml:2: *x is an alias"},
        {"fleet: !!str f\nhosts: {b: {}}\n", "is a tag, which is not allowed"},
        {"fleet: f\nhosts: {a: {}}\n---\nfleet: g\n", "f.yaml:3: a second document"},
        {"fleet: f\nhosts: {a: {}\n", "f.yaml:3: not valid YAML: did not find expected ',' or '}'"},
        {"fleet: f\n\thosts: 1\n", "f.yaml:2: not valid YAML"},
        {"fleet: f\n\nhosts: \x07\n", "f.yaml:3: not valid YAML"},
        {"fleet: f\nhosts: {a\xff: {}}\n", "f.yaml:2: not UTF-8 text"},
        {"fleet: \"f\\0g\"\nhosts: {a: {}}\n", "f.yaml:1: a NUL byte"},
        {"fleet: f\n? [a, b]\n: c\n", "f.yaml:2: a key has to be a word"},
        {"{{{{{{{{{{{{", "a key has to be a word"},
        {"a: [[[[[[[[[[[[[]]]]]]]]]]]]]", "nested deeper than 8"},
        {HEAD "  s: [x]\n", "f.yaml:4: s has to be a map"},
        {HEAD "  db1: {kind: redis}\n", "f.yaml:4: service 'db1' has the name of a host (line 2)"},
        {HEAD "  s: {host: h}\n", "f.yaml:4: service s has no kind; add kind:"},
        {HEAD "  s: {kind: reddis, host: h}\n",
         "kind: 'reddis' is not one of unit, redis, tile38, pm2; did you "
         "mean 'redis'?"},
        {HEAD "  s: {kind: redis, port: 1}\n", "service s of kind redis has no host; add host: db1"},
        {HEAD "  s: {kind: redis, host: db2, port: 1}\n", "there is no host 'db2'; did you mean 'db1'?"},
        {HEAD "  s: {kind: redis, host: mainframe, port: 1}\n", "no host 'mainframe'; add it under hosts:"},
        {HEAD "  s: {kind: redis, host: h}\n", "f.yaml:4: service s of kind redis has no port"},
        {HEAD "  s: {kind: redis, host: h, port: 1, socket: /s}\n", "has a port and a socket"},
        {HEAD "  s: {kind: redis, host: h, address: 10.0.0.1, socket: /s}\n", "an address and a socket"},
        {HEAD "  s: {kind: tile38, host: h}\n", "service s of kind tile38 has no port; add port: 9851"},
        {HEAD "  s: {kind: unit, host: h}\n", "service s of kind unit has no unit"},
        {HEAD "  s: {kind: pm2, host: h, user: u}\n", "service s of kind pm2 has no home"},
        {HEAD "  s: {kind: pm2, host: h, home: /h}\n", "service s of kind pm2 has no user"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: h/.pm2}\n", "home: 'h/.pm2' is not an absolute path"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /a/../b}\n", "is not an absolute path without '..'"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h,\n      role: master}\n",
         "f.yaml:5: service s is of kind pm2, which takes no 'role'"},
        {HEAD "  s: {kind: redis, host: h, port: 1, prot: 2}\n",
         "unknown key 'prot' in a service of kind redis; did you mean 'port'?"},
        {HEAD "  s: {kind: redis, host: h, port: 0}\n", "port: '0' is not a port"},
        {HEAD "  s: {kind: redis, host: h, port: 65536}\n", "port: '65536' is not a port"},
        {HEAD "  s: {kind: redis, host: h, port: six}\n", "port: 'six' is not a port"},
        {HEAD "  s: {kind: redis, host: h, port: {}}\n", "port has to be one value, not a map"},
        {HEAD "  s: {kind: redis, host: h, port: 1, address: localhost}\n", "'localhost' is not a numeric"},
        {HEAD "  s: {kind: redis, host: h, port: 1, role: slave}\n",
         "role: 'slave' is not one of any, master"},
        {HEAD "  s: {kind: redis, host: h, port: 1, of: t}\n  t: {kind: redis, host: h, port: 2}\n",
         "has an 'of' but is no replica; add role: replica"},
        {HEAD "  s: {kind: redis, host: h, port: 1, max_lag: 5MB}\n", "has a 'max_lag' but no 'of'"},
        {HEAD "  s: {kind: redis, host: h, port: 1, max_lag: 5MiB}\n",
         "max_lag: '5MiB' is not a number of bytes like"},
        {HEAD "  s: {kind: redis, host: h, port: 1, max_lag: 999999999TB}\n",
         "max_lag: '999999999TB' is not a number of bytes like"},
        {HEAD "  s: {kind: redis, host: h, port: 1, max_lag: -5}\n",
         "max_lag: '-5' is not a number of bytes like"},
        {HEAD "  s: {kind: redis, host: h, port: 1, role: replica, of: t}\n", "there is no service 't'"},
        {HEAD "  s: {kind: redis, host: h, port: 1, role: replica, of: t}\n  t: {kind: tile38, host: h, "
              "port: 2}\n",
         "'t' is not of kind redis"},
        {HEAD "  s: {kind: redis, host: h, port: 1, role: replica, of: s}\n", "service s refers to itself"},
        {HEAD
         "  bull1: {kind: redis, host: h, port: 1}\n  a: {kind: redis, host: h, port: 2, needs: [bul1]}\n",
         "f.yaml:5: service a: there is no service 'bul1'; did you mean 'bull1'?"},
        {HEAD "  s: {kind: redis, host: h, port: 1, needs: t}\n", "needs has to be a list"},
        {HEAD "  s: {kind: redis, host: h, port: 1, needs: [t, t]}\n  t: {kind: redis, host: h, port: 2}\n",
         "service s needs 't' twice"},
        {HEAD "  s: {kind: redis, host: h, port: 1, needs: [s]}\n", "service s refers to itself"},
        {HEAD "  s: {kind: unit, host: h, unit: \"a b\"}\n", "unit: 'a b' is no name of a systemd unit"},
        {HEAD "  s: {kind: unit, host: h, unit: redis@}\n", "unit: 'redis@' is a template"},
        {HEAD "  s: {kind: unit, host: h, unit: u, probe: {}}\n", "probe is empty"},
        {HEAD "  s: {kind: unit, host: h, unit: u, probe: {tcp: {}}}\n", "unknown key 'tcp' in probe"},
        {HEAD "  s: {kind: unit, host: h, unit: u, probe: {redis: {}}}\n", "the redis probe has no port"},
        {HEAD "  s: {kind: unit, host: h, unit: u, probe: {redis: {port: x}}}\n", "port: 'x' is not a port"},
        {HEAD "  s: {kind: unit, host: h, unit: u, probe: {redis: {port: 1, same: t}}}\n",
         "unknown key 'same' in a redis probe"},
        {HEAD "  s: {kind: unit, host: h, unit: u, hold: fast}\n", "hold: 'fast' is not a length of time"},
        {HEAD "  s: {kind: unit, host: h, unit: u, hold: 2h}\n", "hold: '2h' is too long"},
        {HEAD "  s: {kind: unit, host: h, unit: u, hold: 99999999999999999999h}\n", "is too long"},
        {HEAD "  s: {kind: unit, host: h, unit: u, on_failure: stop}\n",
         "on_failure: 'stop' is not one of pause"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h, at_least: 95}\n", "did you mean '95%'?"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h, at_least: 101%}\n", "'101%' is not a share"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h,\n      at_least: 0%}\n",
         "f.yaml:5: at_least: '0%' asks for nothing"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h, at_least: -1}\n", "'-1' is not a share"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h, at_least: nan}\n", "'nan' is not a share"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h, at_least: .5}\n", "'.5' is not a share"},
        {HEAD "  s: {kind: unit, host: h, unit: a}\n  t: {kind: unit, host: h, unit: a.service}\n",
         "f.yaml:5: services s (line 4) and t both claim unit a.service on host h"},
        {HEAD "  s: {kind: redis, host: h, port: 1}\n  t: {kind: tile38, host: h, port: 1}\n",
         "both claim port 1 of 127.0.0.1 on host h"},
        {HEAD "  s: {kind: pm2, host: h, user: u, home: /h}\n  t: {kind: pm2, host: h, user: v, home: /h}\n",
         "both claim PM2 home /h on host h"},
        {HEAD
         "  a: {kind: unit, host: h, unit: a, needs: [b]}\n  b: {kind: unit, host: h, unit: b, needs: [c]}\n"
         "  c: {kind: unit, host: h, unit: c, needs: [b]}\n",
         "f.yaml:5: services need one another in a circle: b -> c -> b; remove one"},
        {HEAD "  r: {kind: unit, host: h, unit: r, probe: {redis: {port: 1, same_as: m}}}\n"
              "  m: {kind: redis, host: h, port: 2, needs: [r]}\n",
         "f.yaml:4: services need one another in a circle: r -> m -> r"},
        {HEAD "  c: {kind: redis, host: h, port: 1, role: replica, of: m}\n"
              "  m: {kind: redis, host: h, port: 2, needs: [c]}\n",
         "in a circle: c -> m -> c"},
};

static void test_mistakes(void **state)
{
        for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
                struct fleet *fleet = NULL;
                struct error error = {""};
                int r = fleet_file_parse(&fleet, mistakes[i][0], strlen(mistakes[i][0]), "f.yaml", &error);

                if (r != -EINVAL || fleet || !strstr(error.text, mistakes[i][1]) ||
                    strchr(error.text, '\n') || !text_starts(error.text, "f.yaml:"))
                        fail_msg("%s\ngave %d: %s\nnot: %s", mistakes[i][0], r, error.text, mistakes[i][1]);
                assert_int_equal(
                        fleet_file_parse(&fleet, mistakes[i][0], strlen(mistakes[i][0]), "f.yaml", NULL),
                        -EINVAL);
        }
}

/* A text of count repetitions of a printf form of one number, between head and tail. */
static char *repeat(const char *head, const char *form, size_t count, const char *tail)
{
        size_t room = strlen(head) + count * (strlen(form) + 12) + strlen(tail) + 1, n;
        char *text = malloc(room);

        assert_non_null(text);
        n = (size_t)sprintf(text, "%s", head);
        for (size_t i = 0; i < count; i++) {
                const char *c = form;

                for (; *c; c++)
                        if (*c == '#')
                                n += (size_t)sprintf(text + n, "%zu", i);
                        else
                                text[n++] = *c;
        }
        strcpy(text + n, tail);
        return text;
}

static void expect(char *text, const char *wanted)
{
        struct error error;
        struct fleet *fleet = parse(text, &error);

        free(text);
        if (!strstr(error.text, wanted) || (!wanted[0] && error.text[0]))
                fail_msg("'%s', not '%s'", error.text, wanted);
        fleet_free(fleet);
}

static void test_limits(void **state)
{
        char *services;

        expect(repeat("fleet: f\nhosts:\n", " h#: {}\n", FLEET_HOSTS_MAX, ""), "");
        expect(repeat("fleet: f\nhosts:\n", " h#: {}\n", FLEET_HOSTS_MAX + 1, ""),
               "a fleet has at most 1024");
        expect(repeat("fleet: f\nhosts: {h: {}}\nservices:\n", " s#: {kind: unit, host: h, unit: u#}\n",
                      FLEET_SERVICES_MAX, ""),
               "");
        expect(repeat("fleet: f\nhosts: {h: {}}\nservices:\n", " s#: {kind: unit, host: h, unit: u#}\n",
                      FLEET_SERVICES_MAX + 1, ""),
               "a fleet has at most 8192");
        services = repeat(HEAD, " s#: {kind: unit, host: h, unit: u#}\n", NEEDS_MAX + 1,
                          " t: {kind: unit, host: h, unit: u, needs: [");
        expect(repeat(services, "s#, ", NEEDS_MAX, "]}\n"), "");
        expect(repeat(services, "s#, ", NEEDS_MAX + 1, "]}\n"), "service t needs more than 32 others");
        free(services);
        expect(repeat("a: [", "b, ", CONF_NODES_MAX, "]"), "more than 200000 values");
        expect(repeat("fleet: ", "x", 64, "\nhosts: {h: {}}\n"), "is not a name");
        expect(repeat(HEAD " s: {kind: pm2, host: h, user: u, home: /", "x", PATH_SIZE, "}\n"),
               "home: longer than 511 bytes");
        expect(repeat(HEAD " s: {kind: unit, host: h, unit: ", "x", UNIT_SIZE, "}\n"), "unit: longer than");
        expect(repeat("", " ", CONF_FILE_MAX + 1, ""), "larger than 4194304 bytes");
}

/* A chain as long as a fleet may be, then closed to a circle: found, named in short, without recursion. */
static void test_long_chain(void **state)
{
        static const char form[] = " s%zu: {kind: unit, host: h, unit: u%zu, needs: [s%zu]}\n";
        size_t room = FLEET_SERVICES_MAX * (sizeof(form) + 30), n;
        char *text = malloc(room);

        assert_non_null(text);
        for (int closed = 0; closed < 2; closed++) {
                n = (size_t)snprintf(text, room, "%s", HEAD);
                for (size_t i = 0; i + 1 < FLEET_SERVICES_MAX; i++)
                        n += (size_t)snprintf(text + n, room - n, form, i, i, i + 1);
                snprintf(text + n, room - n, " s8191: {kind: unit, host: h, unit: u, needs: [%s]}\n",
                         closed ? "s0" : "");
                expect(strdup(text), closed ? "s0 -> s1 -> s2 -> s3 -> s4 -> ... -> s0;" : "");
        }
        free(text);
}

static void test_file(void **state)
{
        char path[] = "/tmp/muster-test-fleet-XXXXXX", wanted[64];
        int fd = mkstemp(path);
        struct fleet *fleet = NULL;
        struct error error = {""};

        assert_true(fd >= 0);
        assert_int_equal(write(fd, sound, strlen(sound)), (ssize_t)strlen(sound));
        assert_int_equal(fleet_file_read(&fleet, path, &error), 0);
        assert_int_equal(fleet->service_count, 6);
        fleet_free(fleet);
        assert_int_equal(write(fd, "x: 1\n", 5), 5);
        assert_int_equal(fleet_file_read(&fleet, path, &error), -EINVAL);
        snprintf(wanted, sizeof(wanted), "%s:18: unknown key 'x'", path);
        assert_non_null(strstr(error.text, wanted));
        close(fd);
        unlink(path);
        assert_int_equal(fleet_file_read(&fleet, path, &error), -ENOENT);
        assert_non_null(strstr(error.text, path));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sound),    cmocka_unit_test(test_hold_unless_given),
                cmocka_unit_test(test_policies), cmocka_unit_test(test_mistakes),
                cmocka_unit_test(test_limits),   cmocka_unit_test(test_long_chain),
                cmocka_unit_test(test_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
