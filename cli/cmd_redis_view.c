/* See cmd_redis.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cli/cmd_redis.h"
#include "cli/cmd_status_view.h"
#include "common/base/text.h"
#include "common/base/time.h"

static const Muster__V1__LoadForecast *forecast_of(const Muster__V1__HostStatus *host, const char *service)
{
        for (size_t i = 0; i < host->n_loads; i++)
                if (text_equal(host->loads[i]->service, service))
                        return host->loads[i];
        return NULL;
}

void redis_lines(const Muster__V1__StatusReply *status,
                 void (*each)(const struct redis_line *line, void *userdata), void *userdata)
{
        for (size_t h = 0; h < status->n_hosts; h++) {
                const Muster__V1__HostStatus *host = status->hosts[h];

                for (size_t s = 0; s < host->n_services; s++) {
                        struct redis_line line = {host, host->services[s], NULL};

                        if (line.service->kind != MUSTER__V1__SERVICE_KIND__SERVICE_KIND_REDIS)
                                continue;
                        line.forecast = forecast_of(host, line.service->name);
                        each(&line, userdata);
                }
        }
}

bool redis_line_is_ready(const struct redis_line *line)
{
        return line->host->connected &&
               line->service->phase == MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_READY;
}

static void add(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(char *out, size_t size, const char *format, ...)
{
        size_t used = strnlen(out, size);
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(out + used, size - used, format, arguments);
        va_end(arguments);
}

static void loading_text(const struct redis_line *line, char *out, size_t size)
{
        const Muster__V1__LoadForecast *forecast = line->forecast;
        uint64_t done = line->service->progress_done, total = line->service->progress_total;
        char loaded[32], whole[32], rate[32], low[32], high[32];

        text_bytes(loaded, sizeof(loaded), done);
        text_bytes(whole, sizeof(whole), total);
        out[0] = '\0';
        add(out, size, "%s %.0f%%, %s of %s", forecast ? forecast->file : "loading",
            100.0 * (double)done / (double)total, loaded, whole);
        if (!forecast)
                return;
        if (forecast->bytes_per_s) {
                text_bytes(rate, sizeof(rate), forecast->bytes_per_s);
                add(out, size, ", %s/s", rate);
        }
        if (!forecast->estimated)
                return;
        time_duration_text(low, sizeof(low), forecast->left_low_ms * USEC_PER_MSEC);
        time_duration_text(high, sizeof(high), forecast->left_high_ms * USEC_PER_MSEC);
        add(out, size, ", %s to %s left%s", low, high,
            forecast->learned_loads ? "" : " (no load of it watched before)");
}

void redis_line_text(const struct redis_line *line, char *out, size_t size)
{
        bool loading = line->service->phase == MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_LOADING;
        const Muster__V1__RedisState *redis = line->service->redis;
        bool is_received = redis && redis->sync_in_progress && !redis->loading;

        if (!line->host->connected)
                snprintf(out, size, "its host is not connected");
        else if (loading && line->service->progress_total && !is_received)
                loading_text(line, out, size);
        else if (line->service->phase == MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_READY)
                service_detail(line->service, out, size);
        else
                text_copy_cut(out, size, line->service->detail);
        clean_text(out);
}
