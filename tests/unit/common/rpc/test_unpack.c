/* Messages off the wire: checked, and within a budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/rpc/unpack.h"
#include "proto/agent.pb-c.h"
#include "proto/fleet.pb-c.h"

static int setup(void **state)
{
        *state = calloc(1, sizeof(struct unpack_space));
        return *state ? 0 : -1;
}

static int teardown(void **state)
{
        unpack_space_clear(*state);
        free(*state);
        return 0;
}

#define CHECK(descriptor, bytes, error)                                                                      \
        unpack_check(descriptor, (const uint8_t *)(bytes), sizeof(bytes) - 1, error)

static void test_good(void **state)
{
        struct unpack_space *space = *state;
        Muster__V1__AgentState sent = MUSTER__V1__AGENT_STATE__INIT;
        Muster__V1__HostState host = MUSTER__V1__HOST_STATE__INIT;
        Muster__V1__ServiceState services[3], *pointers[3];
        char *units[] = {(char *)"a.service", (char *)"größe.service"};
        const ProtobufCMessage *message;
        const Muster__V1__AgentState *got;
        struct error error = {0};
        uint8_t bytes[1000];
        size_t size;

        host.boot_id = (char *)"0123";
        host.load1 = 1.5;
        host.n_failed_units = 2;
        host.failed_units = units;
        for (unsigned i = 0; i < 3; i++) {
                services[i] = (Muster__V1__ServiceState)MUSTER__V1__SERVICE_STATE__INIT;
                services[i].kind = MUSTER__V1__SERVICE_KIND__SERVICE_KIND_PM2;
                pointers[i] = &services[i];
        }
        sent.host = &host;
        sent.n_services = 3;
        sent.services = pointers;
        size = muster__v1__agent_state__pack(&sent, bytes);
        for (unsigned round = 0; round < 3; round++) {
                assert_int_equal(unpack_message(space, sent.base.descriptor, bytes, size, &message, &error),
                                 0);
                got = (const Muster__V1__AgentState *)message;
                assert_string_equal(got->host->failed_units[1], "größe.service");
                assert_int_equal(got->n_services, 3);
                assert_int_equal(got->services[2]->kind, MUSTER__V1__SERVICE_KIND__SERVICE_KIND_PM2);
                assert_true(got->host->load1 == 1.5);
        }
        for (size_t cut = 1; cut < size; cut++) {
                uint8_t *part = malloc(cut); /* of that size, so that a byte too far is seen */

                assert_non_null(part);
                memcpy(part, bytes, cut);
                unpack_message(space, sent.base.descriptor, part, cut, &message, &error);
                free(part);
        }
}

static void test_bad(void **state)
{
        static const struct {
                const char *bytes;
                size_t size;
                const char *says;
        } cases[] = {
#define CASE(bytes, says) {bytes, sizeof(bytes) - 1, says}
                CASE("\x12\x03"
                     "a\0b",
                     "PlanRequest.scope: is not UTF-8 text or holds a NUL byte"),
                CASE("\x12\x01\xff", "PlanRequest.scope: is not UTF-8 text"),
                CASE("\x12\x02\xc0\x80", "PlanRequest.scope: is not UTF-8 text"),
                CASE("\x08\x03", "PlanRequest.kind: holds a value that this version does not know"),
                CASE("\x08\x80\x80\x80\x80\x10", "PlanRequest.kind: holds a value"), /* 2^32: 0 when cut */
                CASE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "PlanRequest.kind: holds a value"),
                CASE("\x12\x05hell", "PlanRequest.scope: is cut off"),
                CASE("\x12\xff\xff\xff\xff\x0fx", "PlanRequest.scope: is cut off"),
                CASE("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", "cut off or malformed"),
                CASE("\x10\x01", "PlanRequest.scope: has another type"),
                CASE("\x0a\x01\x01", "PlanRequest.kind: has another type"),
                CASE("\x02\x01", "impossible number"),
                CASE("\x13", "has another type"),
                CASE("\x7b", "is cut off or malformed"), /* a group of an unknown number */
                CASE("\x80\x80\x80\x80\x80\x01\x01", "cut off or malformed"),
                CASE("\x08", "cut off"),
                CASE("\xff", "cut off"),
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                struct error error = {0};

                assert_int_equal(unpack_check(&muster__v1__plan_request__descriptor,
                                              (const uint8_t *)cases[i].bytes, cases[i].size, &error),
                                 -EBADMSG);
                if (!strstr(error.text, cases[i].says))
                        fail_msg("case %u: %s", i, error.text);
        }
}

static void test_unknown_fields(void **state)
{
        struct unpack_space *space = *state;
        const ProtobufCMessage *message;
        struct error error = {0};
        uint8_t bytes[2 * 65];

        assert_int_equal(
                CHECK(&muster__v1__plan_request__descriptor, "\x12\x01x\x7a\x02\xff\xff\x78\x05", &error), 0);
        for (unsigned i = 0; i < 65; i++)
                memcpy(bytes + 2 * i, "\x78\x05", 2);
        assert_int_equal(
                unpack_message(space, &muster__v1__plan_request__descriptor, bytes, 2 * 64, &message, &error),
                0);
        assert_int_equal(
                unpack_message(space, &muster__v1__plan_request__descriptor, bytes, 2 * 65, &message, &error),
                -EBADMSG);
        assert_non_null(strstr(error.text, "too many unknown fields"));
}

static void test_packed(void **state)
{
        struct error error = {0};

        /* PlanStep.after: packed, unpacked, cut off */
        assert_int_equal(CHECK(&muster__v1__plan_step__descriptor, "\x32\x03\x01\x80\x01\x30\x05", &error),
                         0);
        assert_int_equal(CHECK(&muster__v1__plan_step__descriptor, "\x32\x02\x01\x80", &error), -EBADMSG);
        assert_non_null(strstr(error.text, "PlanStep.after: is packed badly"));
}

/* A few bytes a message on the wire, many in memory. */
static void test_budget(void **state)
{
        struct unpack_space *space = *state;
        const ProtobufCMessage *message;
        struct error error = {0};
        const size_t size = 400000;
        uint8_t *bytes = malloc(size);
        int r;

        assert_non_null(bytes);
        for (size_t i = 0; i < size; i += 2)
                memcpy(bytes + i, "\x12\x00", 2); /* AgentState.services: an empty one */
        r = unpack_message(space, &muster__v1__agent_state__descriptor, bytes, size, &message, &error);
        assert_int_equal(r, -ENOMEM);
        assert_string_equal(error.text, "muster.v1.AgentState: takes more memory than a message may");

        /* and the space is as good as new */
        assert_int_equal(
                unpack_message(space, &muster__v1__agent_state__descriptor, bytes, 2000, &message, &error),
                0);
        assert_int_equal(((const Muster__V1__AgentState *)message)->n_services, 1000);
        free(bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_good, setup, teardown),
                cmocka_unit_test(test_bad),
                cmocka_unit_test_setup_teardown(test_unknown_fields, setup, teardown),
                cmocka_unit_test(test_packed),
                cmocka_unit_test_setup_teardown(test_budget, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
