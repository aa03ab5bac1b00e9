/* nng's REQ/REP with an echo of 64 bytes, plain or over nng's TLS.
 *
 *     peer_nng serve PORT plain|FOLDER
 *     peer_nng call PORT plain|FOLDER IN-FLIGHT SECONDS
 *
 * FOLDER holds cert.pem and both.pem (certificate and key). Both sides use contexts and callbacks, nng's way
 * to have many requests under way; one in flight is one context used blocking, which is the faster way then.
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"

#define FLIGHT_MAX     256u
#define SERVE_CONTEXTS 64u

static void need(int code, const char *what)
{
        if (code != 0) {
                fprintf(stderr, "peer_nng: %s: %s\n", what, nng_strerror(code));
                exit(1);
        }
}

struct flight {
        nng_ctx context;
        nng_aio *aio;
        bool sending;
        uint64_t began;
};

static struct measure measure;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t over = PTHREAD_COND_INITIALIZER;
static bool done;

static void address_text(char out[64], const char *port, bool tls)
{
        snprintf(out, 64, "%s://127.0.0.1:%s", tls ? "tls+tcp" : "tcp", port);
}

static nng_tls_config *tls_config(const char *folder, bool server)
{
        nng_tls_config *config;
        char path[512];

        need(nng_tls_config_alloc(&config, server ? NNG_TLS_MODE_SERVER : NNG_TLS_MODE_CLIENT), "TLS");
        snprintf(path, sizeof path, "%s/%s", folder, server ? "both.pem" : "cert.pem");
        if (server) {
                need(nng_tls_config_cert_key_file(config, path, NULL), path);
        } else {
                need(nng_tls_config_ca_file(config, path), path);
                need(nng_tls_config_server_name(config, "localhost"), "server name");
                need(nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED), "auth mode");
        }
        return config;
}

static void served(void *argument)
{
        struct flight *flight = argument;
        int r = nng_aio_result(flight->aio);

        if (r == NNG_ECLOSED)
                return;
        if (r == 0 && !flight->sending) {
                flight->sending = true; /* the message that came is the answer */
                nng_ctx_send(flight->context, flight->aio);
                return;
        }
        if (r != 0 && flight->sending)
                nng_msg_free(nng_aio_get_msg(flight->aio));
        flight->sending = false;
        nng_ctx_recv(flight->context, flight->aio);
}

static void serve(const char *port, const char *folder)
{
        static struct flight flights[SERVE_CONTEXTS];
        nng_socket socket;
        nng_listener listener;
        char address[64];

        address_text(address, port, folder != NULL);
        need(nng_rep0_open(&socket), "rep");
        need(nng_listener_create(&listener, socket, address), address);
        if (folder)
                need(nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, tls_config(folder, true)), "TLS");
        for (unsigned i = 0; i < SERVE_CONTEXTS; i++) {
                need(nng_ctx_open(&flights[i].context, socket), "context");
                need(nng_aio_alloc(&flights[i].aio, served, &flights[i]), "aio");
                nng_ctx_recv(flights[i].context, flights[i].aio);
        }
        need(nng_listener_start(listener, 0), address);
        printf("ready\n");
        fflush(stdout);
        for (;;)
                pause();
}

static void request(struct flight *flight, nng_msg *message)
{
        flight->began = measure_now();
        flight->sending = true;
        nng_aio_set_msg(flight->aio, message);
        nng_ctx_send(flight->context, flight->aio);
}

static void called(void *argument)
{
        struct flight *flight = argument;
        nng_msg *message;
        bool more;

        if (nng_aio_result(flight->aio) == NNG_ECLOSED)
                return;
        need(nng_aio_result(flight->aio), "call");
        if (flight->sending) {
                flight->sending = false;
                nng_ctx_recv(flight->context, flight->aio);
                return;
        }
        message = nng_aio_get_msg(flight->aio);
        if (nng_msg_len(message) != MEASURE_PAYLOAD)
                need(NNG_EPROTO, "answer");
        pthread_mutex_lock(&lock);
        more = !done && measure_call(&measure, flight->began);
        if (!more && !done) {
                done = true;
                pthread_cond_signal(&over);
        }
        pthread_mutex_unlock(&lock);
        if (more)
                request(flight, message);
        else
                nng_msg_free(message);
}

static nng_msg *message_new(void)
{
        nng_msg *message;

        need(nng_msg_alloc(&message, MEASURE_PAYLOAD), "message");
        memset(nng_msg_body(message), 'x', MEASURE_PAYLOAD);
        return message;
}

static void call_one(nng_socket socket)
{
        nng_msg *message = message_new();
        uint64_t began;

        do {
                began = measure_now();
                need(nng_sendmsg(socket, message, 0), "send");
                need(nng_recvmsg(socket, &message, 0), "recv");
        } while (measure_call(&measure, began));
        nng_msg_free(message);
}

static void call_many(nng_socket socket, unsigned count)
{
        static struct flight flights[FLIGHT_MAX];

        for (unsigned i = 0; i < count; i++) {
                need(nng_ctx_open(&flights[i].context, socket), "context");
                need(nng_aio_alloc(&flights[i].aio, called, &flights[i]), "aio");
        }
        for (unsigned i = 0; i < count; i++)
                request(&flights[i], message_new());
        pthread_mutex_lock(&lock);
        while (!done)
                pthread_cond_wait(&over, &lock);
        pthread_mutex_unlock(&lock);
}

static int call(const char *port, const char *folder, unsigned flight, double seconds)
{
        nng_socket socket;
        nng_dialer dialer;
        char address[64];

        address_text(address, port, folder != NULL);
        need(nng_req0_open(&socket), "req");
        need(nng_dialer_create(&dialer, socket, address), address);
        if (folder)
                need(nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls_config(folder, false)), "TLS");
        need(nng_dialer_start(dialer, 0), address);
        measure_start(&measure, seconds);
        if (flight == 1)
                call_one(socket);
        else
                call_many(socket, flight);
        fflush(stdout);
        pthread_mutex_lock(&lock);
        return measure_print(&measure);
}

int main(int argc, char **argv)
{
        const char *folder;
        int status;

        if (argc < 4) {
                fprintf(stderr, "usage: peer_nng serve PORT plain|FOLDER | call PORT plain|FOLDER IN-FLIGHT "
                                "SECONDS\n");
                return 2;
        }
        folder = strcmp(argv[3], "plain") == 0 ? NULL : argv[3];
        if (argc != 6 || strcmp(argv[1], "call") != 0)
                serve(argv[2], folder);
        if (atoi(argv[4]) < 1 || atoi(argv[4]) > (int)FLIGHT_MAX)
                return 2;
        status = call(argv[2], folder, (unsigned)atoi(argv[4]), atof(argv[5]));
        fflush(stdout);
        _exit(status); /* requests may be under way; nng's teardown is not what is measured */
}
