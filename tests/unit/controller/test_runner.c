/* The runner with a real store and a real loop. Agents are a stand-in: it takes what the runner sends, looks
 * into the store whether it was announced, and answers as the test wants, also in ways in which no real agent
 * can be made to answer at will. */
#include <systemd/sd-event.h>
#include <unistd.h>

#include "controller/runner.h"
#include "tests/unit/controller/core/fleet.h"

#define SENT_MAX 256

struct sent {
        char host[NAME_SIZE];
        struct operation_request request;
        struct agents_operate callbacks;
        bool ended;
};

struct asked {
        char host[NAME_SIZE];
        char ids[16][ID_SIZE];
        size_t count;
        void (*on_end)(enum rpc_status code, const struct operation_report *reports, size_t count,
                       void *userdata);
        void *userdata;
};

struct agents {
        struct incident *in;
        bool connected[HOSTS], spoils;
        struct agents_listener listener;
        struct sent sent[SENT_MAX];
        size_t sent_count;
        struct asked asked[SENT_MAX];
        size_t asked_count;
};

struct bench {
        struct incident in;
        agents agents;
        sd_event *event;
        store *store;
        runner *runner;
        char folder[64], path[96], run[NAME_SIZE];
        struct error error;
        size_t news, finished;
        char last_text[TEXT_SIZE * 2];
        uint64_t watch;
};

static struct bench *bench; /* for the stand-in to look into the store */

/* --- the stand-in for agents.c ----------------------------------------------------------------------------
 */

int agents_listen(agents *agents, const struct agents_listener *listener)
{
        agents->listener = *listener;
        return 0;
}

size_t agents_count(const agents *agents)
{
        return HOSTS;
}

void agents_view(const agents *agents, size_t index, struct agent_view *ret)
{
        /* Another's event where the run's first would be: nothing can be written down any more. */
        if (agents->spoils)
                (void)store_journal_append(bench->store, bench->run, 1, 1, "{}");
        *ret = (struct agent_view){
                .name = agents->in->hosts[index].name,
                .connected = agents->connected[index],
                .state = &agents->in->states[index],
        };
}

struct search {
        const char *id;
        bool found;
};

static int find_intent(uint64_t event, uint64_t time_us, const char *json, void *userdata)
{
        struct search *search = userdata;

        search->found |= strstr(json, "\"intent\"") && strstr(json, search->id);
        return 0;
}

int agents_operate_start(agents *agents, const char *host, const struct operation_request *request,
                         const struct agents_operate *callbacks)
{
        int index = fleet_host_find(&agents->in->fleet, host);
        struct search search = {request->id, false};
        char run[NAME_SIZE];
        struct sent *sent;

        assert_true(index >= 0);
        assert_int_equal(operation_request_check(request, NULL), 0);
        assert_int_equal(store_lock_holder(bench->store, host, run), 0);
        assert_int_equal(store_journal_read(bench->store, run, 1, find_intent, &search), 0);
        assert_true(search.found); /* the same commit takes it to the disk before this leaves */
        if (!agents->connected[index])
                return -ENOTCONN;
        assert_true(agents->sent_count < SENT_MAX);
        sent = &agents->sent[agents->sent_count++];
        *sent = (struct sent){.request = *request, .callbacks = *callbacks};
        TEXT_COPY(sent->host, host);
        return 0;
}

int agents_ledger(agents *agents, const char *host, const char (*ids)[ID_SIZE], size_t count,
                  void (*on_end)(enum rpc_status code, const struct operation_report *reports,
                                 size_t report_count, void *userdata),
                  void *userdata)
{
        struct asked *asked = &agents->asked[agents->asked_count];

        if (!agents->connected[fleet_host_find(&agents->in->fleet, host)])
                return -ENOTCONN;
        assert_true(agents->asked_count < SENT_MAX && count <= 16);
        *asked = (struct asked){.count = count, .on_end = on_end, .userdata = userdata};
        TEXT_COPY(asked->host, host);
        memcpy(asked->ids, ids, count * sizeof(asked->ids[0]));
        agents->asked_count++;
        return 0;
}

static void tell(size_t host, void (*told)(const struct agent_view *agent, void *userdata))
{
        struct agent_view view;

        agents_view(&bench->agents, host, &view);
        told(&view, bench->agents.listener.userdata);
}

static void end(struct sent *sent, enum rpc_status code)
{
        assert_false(sent->ended);
        sent->ended = true;
        sent->callbacks.on_end(code, "end", sent->callbacks.userdata);
}

static void answer(struct sent *sent, enum operation_state state)
{
        struct operation_report report = {.kind = sent->request.kind, .state = state, .text = "done"};

        TEXT_COPY(report.id, sent->request.id);
        sent->callbacks.on_update(1, 2, "half way", NULL, sent->callbacks.userdata);
        sent->callbacks.on_update(0, 0, "", &report, sent->callbacks.userdata);
        end(sent, RPC_OK);
}

static void link_down(size_t host)
{
        bench->agents.connected[host] = false;
        for (size_t i = 0; i < bench->agents.sent_count; i++)
                if (!bench->agents.sent[i].ended &&
                    text_equal(bench->agents.sent[i].host, bench->in.hosts[host].name))
                        end(&bench->agents.sent[i], RPC_UNAVAILABLE);
        tell(host, bench->agents.listener.down);
}

static void link_up(size_t host)
{
        bench->agents.connected[host] = true;
        tell(host, bench->agents.listener.up);
}

/* --- the bench --------------------------------------------------------------------------------------------
 */

static void open_all(void)
{
        assert_int_equal(store_open(&bench->store, bench->path, &bench->error), 0);
        if (runner_new(&bench->runner, bench->event, bench->store, &bench->agents, &bench->error) < 0)
                fail_msg("%s", bench->error.text);
}

/* As if the process had ended: what the turn had not committed is gone, nobody answers any more. */
static void crash(bool commit)
{
        if (commit)
                assert_int_equal(store_commit(bench->store, &bench->error), 0);
        bench->runner = runner_free(bench->runner);
        bench->store = store_close(bench->store);
        for (size_t i = 0; i < bench->agents.sent_count; i++)
                if (!bench->agents.sent[i].ended)
                        end(&bench->agents.sent[i],
                            RPC_UNAVAILABLE); /* the runner is gone; its calls still end */
        bench->agents.sent_count = bench->agents.asked_count = 0;
}

static int set_up(void **state)
{
        bench = calloc(1, sizeof(*bench));
        assert_non_null(bench);
        incident_init(&bench->in);
        bench->agents.in = &bench->in;
        for (size_t h = 0; h < HOSTS; h++)
                bench->agents.connected[h] = true;
        assert_int_equal(sd_event_new(&bench->event), 0);
        TEXT_COPY(bench->folder, "/tmp/muster-runner-XXXXXX");
        assert_non_null(mkdtemp(bench->folder));
        snprintf(bench->path, sizeof(bench->path), "%s/store", bench->folder);
        open_all();
        return 0;
}

static int tear_down(void **state)
{
        char path[128];

        if (bench->runner)
                crash(false);
        sd_event_unref(bench->event);
        for (const char *const *suffix = (const char *const[]){"", "-wal", "-shm", "-journal", ".lock", NULL};
             *suffix; suffix++) {
                snprintf(path, sizeof(path), "%s%s", bench->path, *suffix);
                unlink(path);
        }
        rmdir(bench->folder);
        free(bench);
        return 0;
}

static void start(enum plan_kind kind)
{
        struct plan *plan;

        assert_int_equal(incident_plan(&bench->in, kind, &plan, &bench->error), 0);
        if (runner_start(bench->runner, &plan, "viktor", bench->run, &bench->error) < 0)
                fail_msg("%s", bench->error.text);
}

static struct sent *sent_to(const char *service, enum operation_kind kind)
{
        for (size_t i = bench->agents.sent_count; i-- > 0;)
                if (bench->agents.sent[i].request.kind == kind &&
                    text_equal(bench->agents.sent[i].request.service.name, service))
                        return &bench->agents.sent[i];
        return NULL;
}

/* A fleet that does all it is told: answers what was sent until nothing more is. */
static void obey(void)
{
        for (size_t i = 0; i < bench->agents.sent_count; i++) {
                struct sent *sent = &bench->agents.sent[i];
                int service = fleet_service_find(&bench->in.fleet, sent->request.service.name);
                struct service_state *said = service >= 0 ? incident_said(&bench->in, (size_t)service) : NULL;
                size_t host = (size_t)fleet_host_find(&bench->in.fleet, sent->host);

                if (sent->ended)
                        continue;
                if (sent->request.kind == OPERATION_UNIT_START) {
                        said->unit.main_pid++;
                        if (said->kind == SERVICE_REDIS)
                                snprintf(said->redis.run_id, sizeof(said->redis.run_id), "again-%d", service);
                        TEXT_COPY(incident_said(&bench->in, ROUTER)->redis.run_id,
                                  incident_said(&bench->in, BDS)->redis.run_id);
                }
                answer(sent, OPERATION_DONE);
                if (bench->runner)
                        tell(host, bench->agents.listener.changed);
        }
}

static void on_news(const struct run_news *news, void *userdata)
{
        assert_string_equal(news->run, bench->run);
        bench->news += news->event > 0;
        if (news->event && news->summary && strcmp(news->summary->state, "running") != 0)
                bench->finished++;
        text_copy_cut(bench->last_text, sizeof(bench->last_text), news->text);
}

/* --- tests ------------------------------------------------------------------------------------------------
 */

static void test_start_locks_and_sends(void **state)
{
        struct run_summary summary;
        char other[NAME_SIZE];
        struct plan *plan;

        start(PLAN_REBOOT);
        assert_int_equal(bench->agents.sent_count, 3);
        assert_int_equal(strncmp(bench->run, "r20", 3), 0);
        assert_int_equal(runner_summary(bench->runner, "", &summary), 0);
        assert_string_equal(summary.run, bench->run);
        assert_string_equal(summary.state, "running");
        assert_string_equal(summary.user, "viktor");
        assert_int_equal(summary.steps_total, 33);
        assert_non_null(strstr(summary.waiting_for, "redis.rewrite"));

        assert_int_equal(incident_plan(&bench->in, PLAN_RESTART, &plan, NULL), 0);
        assert_int_equal(runner_start(bench->runner, &plan, "other", other, &bench->error), -EBUSY);
        assert_non_null(strstr(bench->error.text, " (a reboot, started by viktor); muster run watch "));
        assert_non_null(strstr(bench->error.text, bench->run));
        assert_non_null(plan);
        plan_free(plan); /* still ours */
}

/* What fails once the run is made: the plan is the run's, and the program ends. */
static void test_start_fails_late(void **state)
{
        struct plan *plan;
        int code;

        assert_int_equal(incident_plan(&bench->in, PLAN_RESTART, &plan, &bench->error), 0);
        bench->agents.spoils = true;
        assert_int_equal(runner_start(bench->runner, &plan, "viktor", bench->run, &bench->error), -EINVAL);
        assert_null(plan);
        assert_int_equal(sd_event_get_exit_code(bench->event, &code), 0);
        assert_int_equal(code, -EINVAL);
}

static void test_to_the_end(void **state)
{
        struct store_run stored;
        struct run_summary summary;
        char holder[NAME_SIZE];

        start(PLAN_RESTART);
        assert_int_equal(runner_watch(bench->runner, bench->run, 1, on_news, NULL, &bench->watch), 0);
        assert_int_not_equal(bench->watch, 0);
        obey();
        assert_int_equal(store_run_get(bench->store, bench->run, &stored, NULL), 0);
        assert_string_equal(stored.state, "done");
        assert_int_equal(store_lock_holder(bench->store, "db1", holder), -ENOENT);
        assert_int_equal(bench->finished, 1);
        assert_int_equal(runner_summary(bench->runner, bench->run, &summary), 0);
        assert_string_equal(summary.state, "done");
        assert_int_equal(summary.steps_done, summary.steps_total);

        /* Watching what has ended: the same events once more, and the end of it. */
        {
                size_t live = bench->news;

                bench->news = bench->finished = 0;
                assert_int_equal(runner_watch(bench->runner, "", 1, on_news, NULL, &bench->watch), 0);
                assert_int_equal(bench->watch, 0);
                assert_int_equal(bench->news, live);
                assert_int_equal(bench->finished, 1);
        }
        assert_int_equal(
                runner_steer(bench->runner, bench->run, STEER_PAUSE, -1, "viktor", "", &bench->error),
                -EINVAL);
        assert_non_null(strstr(bench->error.text, "has ended (done)"));
}

static void test_crash_before_the_commit(void **state)
{
        struct run_summary summary;

        start(PLAN_RESTART);
        crash(false);
        open_all();
        assert_int_equal(runner_summary(bench->runner, "", &summary), -ENOENT); /* and nothing had left */
}

static void test_crash_after_the_commit(void **state)
{
        struct sent save;
        size_t count;

        start(PLAN_RESTART);
        save = *sent_to("apps", OPERATION_PM2_SAVE);
        for (size_t h = 0; h < HOSTS; h++)
                bench->agents.connected[h] = false;
        crash(true);
        open_all();
        link_up(APP1);
        assert_int_equal(bench->agents.sent_count, 0); /* it asks first */
        assert_int_equal(bench->agents.asked_count, 1);
        assert_string_equal(bench->agents.asked[0].ids[0], save.request.id);
        count = bench->agents.asked[0].count;
        assert_int_equal(count, 1);
        bench->agents.asked[0].on_end(RPC_OK, NULL, 0, bench->agents.asked[0].userdata);
        assert_int_equal(bench->agents.sent_count, 1); /* never accepted: the same once more */
        assert_string_equal(bench->agents.sent[0].request.id, save.request.id);
        assert_memory_equal(&bench->agents.sent[0].request, &save.request, sizeof(save.request));
        answer(&bench->agents.sent[0], OPERATION_DONE);
        for (size_t h = 0; h < APP1; h++) {
                link_up(h);
                bench->agents.asked[bench->agents.asked_count - 1].on_end(
                        RPC_OK, NULL, 0, bench->agents.asked[bench->agents.asked_count - 1].userdata);
        }
        obey();
        {
                struct run_summary summary;

                assert_int_equal(runner_summary(bench->runner, bench->run, &summary), 0);
                assert_string_equal(summary.state, "done");
        }
}

static void test_link_cut_and_ledger(void **state)
{
        struct operation_report report = {.kind = OPERATION_PM2_SAVE, .state = OPERATION_DONE};
        struct sent *save;

        start(PLAN_RESTART);
        save = sent_to("apps", OPERATION_PM2_SAVE);
        TEXT_COPY(report.id, save->request.id);
        link_down(APP1);
        link_up(APP1);
        assert_int_equal(bench->agents.asked_count, 1);
        bench->agents.asked[0].on_end(RPC_OK, &report, 1, bench->agents.asked[0].userdata);
        obey();
        assert_non_null(sent_to("apps", OPERATION_PM2_RESTORE));
        assert_ptr_equal(save, sent_to("apps", OPERATION_PM2_SAVE)); /* sent once */
}

/* A second failure of the loop's own timer: attempts follow by themselves. */
static void test_timer(void **state)
{
        struct sent *save;

        start(PLAN_RESTART);
        save = sent_to("apps", OPERATION_PM2_SAVE);
        answer(save, OPERATION_INTERRUPTED);
        for (int i = 0; i < 100 && sent_to("apps", OPERATION_PM2_SAVE) == save; i++)
                assert_true(sd_event_run(bench->event, USEC_PER_SEC) >= 0);
        assert_ptr_not_equal(sent_to("apps", OPERATION_PM2_SAVE), save);
        assert_string_not_equal(sent_to("apps", OPERATION_PM2_SAVE)->request.id, save->request.id);
}

static void test_paused_and_steered(void **state)
{
        struct run_summary summary;
        int step;

        start(PLAN_RESTART);
        assert_int_equal(runner_watch(bench->runner, bench->run, 1, on_news, NULL, &bench->watch), 0);
        end(sent_to("apps", OPERATION_PM2_SAVE), RPC_FAILED_PRECONDITION);
        bench->agents.asked[0].on_end(RPC_OK, NULL, 0, bench->agents.asked[0].userdata);
        for (int i = 0; i < 100 && bench->agents.asked_count < 2; i++) {
                struct sent *again = sent_to("apps", OPERATION_PM2_SAVE);

                if (!again->ended)
                        end(again, RPC_FAILED_PRECONDITION);
                else
                        assert_true(sd_event_run(bench->event, USEC_PER_SEC) >= 0);
        }
        bench->agents.asked[1].on_end(RPC_OK, NULL, 0, bench->agents.asked[1].userdata);
        assert_int_equal(runner_summary(bench->runner, bench->run, &summary), 0);
        assert_string_equal(summary.state, "paused");
        assert_int_equal(bench->finished, 1); /* watchers were told of the pause */
        assert_int_equal(sscanf(summary.waiting_for, "step %d", &step), 1);
        assert_int_equal(runner_steer(bench->runner, "r0", STEER_RETRY, step, "v", "", &bench->error),
                         -ENOENT);
        assert_int_equal(runner_steer(bench->runner, bench->run, STEER_SKIP, step, "v", "", &bench->error),
                         -EINVAL);
        assert_int_equal(runner_steer(bench->runner, bench->run, STEER_RETRY, step, "v", "", &bench->error),
                         0);
        runner_unwatch(bench->runner, bench->watch);
        bench->news = 0;
        obey();
        assert_int_equal(bench->news, 0);
        assert_int_equal(runner_summary(bench->runner, bench->run, &summary), 0);
        assert_string_equal(summary.state, "done");
}

static void append(const char *json)
{
        for (uint64_t event = 2; store_journal_append(bench->store, bench->run, event, 1, json) < 0; event++)
                assert_true(event < 100);
}

static void append_event(struct run_event event)
{
        char *json;

        assert_int_equal(run_event_to_json(&event, &json), 0);
        append(json);
        free(json);
}

/* Neither of which a controller writes down. */
static void append_nothing(void)
{
        append("{}");
}
static void append_unsound(void)
{
        struct run_summary summary;
        int never_begun;

        assert_int_equal(runner_summary(bench->runner, bench->run, &summary), 0);
        never_begun = (int)summary.steps_total - 1; /* what is verified at the end */
        append_event((struct run_event){.kind = EVENT_FAILED, .step = never_begun, .unknown = true});
        append_event((struct run_event){.kind = EVENT_RETRIED, .step = never_begun, .user = "v"});
}

/* A run whose journal makes no sense: the controller comes up all the same, shows it and lets go of it. */
static void is_unreadable(void (*spoil)(void), const char *why)
{
        struct run_summary summary;
        struct store_run stored;
        char holder[NAME_SIZE];

        start(PLAN_RESTART);
        assert_int_equal(runner_summary(bench->runner, bench->run, &summary), 0);
        spoil();
        crash(true);
        open_all();
        assert_int_equal(runner_summary(bench->runner, bench->run, &summary), 0);
        assert_string_equal(summary.state, "unreadable");
        assert_non_null(strstr(summary.waiting_for, "run abort"));
        assert_non_null(strstr(summary.waiting_for, why));
        assert_int_equal(store_lock_holder(bench->store, "db1", holder), 0);
        assert_int_equal(runner_steer(bench->runner, bench->run, STEER_PAUSE, -1, "v", "", &bench->error),
                         -EINVAL);
        assert_non_null(strstr(bench->error.text, "run abort"));
        assert_int_equal(runner_steer(bench->runner, bench->run, STEER_ABORT, -1, "v", "", &bench->error), 0);
        assert_int_equal(store_lock_holder(bench->store, "db1", holder), -ENOENT);
        assert_int_equal(store_run_get(bench->store, bench->run, &stored, NULL), 0);
        assert_string_equal(stored.state, "aborted");
        assert_int_equal(runner_summary(bench->runner, bench->run, &summary), 0);
        assert_string_equal(summary.state, "aborted");
}

static void test_unreadable_run(void **state)
{
        is_unreadable(append_nothing, "kind");
        is_unreadable(append_unsound, "was begun without an intent");
        start(PLAN_RESTART);
}

static void unwatch_at_once(const struct run_news *news, void *userdata)
{
        bench->news++;
        runner_unwatch(bench->runner, bench->watch);
}

static void test_unwatch_from_within(void **state)
{
        uint64_t other;

        start(PLAN_RESTART);
        assert_int_equal(runner_watch(bench->runner, bench->run, 1000, unwatch_at_once, NULL, &bench->watch),
                         0);
        assert_int_equal(runner_watch(bench->runner, bench->run, 1000, on_news, NULL, &other), 0);
        bench->news = 0;
        answer(sent_to("apps", OPERATION_PM2_SAVE), OPERATION_DONE);
        assert_int_equal(bench->news, 2); /* progress to the first, the event to the second */
        assert_int_equal(runner_watch(bench->runner, "r0", 1, on_news, NULL, &other), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_start_locks_and_sends, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_start_fails_late, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_to_the_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_crash_before_the_commit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_crash_after_the_commit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_link_cut_and_ledger, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_timer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_paused_and_steered, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unreadable_run, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unwatch_from_within, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
