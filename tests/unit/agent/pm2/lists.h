/* Lists of apps made from JSON, for the tests of this folder. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/pm2/state.h"

static inline json_t *json_of(const char *text)
{
        json_t *value = NULL;

        assert_int_equal(pm2_json_parse(&value, text, strlen(text), NULL), 0);
        return value;
}

static inline struct pm2_list list_of(const char *text)
{
        json_t *data = json_of(text);
        struct pm2_list list = {0};
        struct error error = {0};
        int r = pm2_list_decode(&list, data, &error);

        json_decref(data);
        if (r < 0)
                fail_msg("%s", error_text(&error, r));
        return list;
}

/* An app of getMonitorData; more is what follows in its pm2_env. */
#define APP(id, name, status, more)                                                                          \
        "{\"pid\":0,\"pm2_env\":{\"pm_id\":" #id ",\"name\":\"" name "\",\"status\":\"" status               \
        "\",\"pm_exec_path\":\"/srv/app.js\",\"pm_cwd\":\"/srv\",\"env\":{\"A\":\"1\"}" more "}}"
