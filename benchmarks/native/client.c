/* The least that a client of RabbitMQ can do with a message: take it, publish one event for it, acknowledge it.
 *
 *     client [-t TICK_MS] [-w PREFETCH] QUEUE EXCHANGE PORT
 *
 * With librabbitmq, over one channel: each message is acknowledged when the publish for it is confirmed, and each
 * by itself. It decodes nothing, sends nothing on and remembers nothing, so that what it reaches is what RabbitMQ
 * gives a program that asks for these operations. It runs until it is ended, as guest at 127.0.0.1. Each tick it prints
 *     NOW_US TAKEN LAST_TAKEN_US ACKNOWLEDGED 0 0
 * which are the columns of sink.c. */
#define _GNU_SOURCE
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { CHANNEL = 1, RING = 1 << 16 };

static uint64_t tags[RING];                    /* of deliveries, by the numbers of their publishes; 0: acknowledged */
static uint64_t taken, acknowledged, oldest = 1;
static int64_t last;
static volatile sig_atomic_t ended;

static void end(int signal_number) { (void)signal_number; ended = 1; }

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void must(int good, const char *what) {
    if (!good) { fprintf(stderr, "client: %s\n", what); exit(1); }
}

static void take(amqp_connection_state_t connection, uint64_t tag, const char *exchange) {
    static const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
    amqp_message_t message;
    must(amqp_read_message(connection, CHANNEL, &message, 0).reply_type == AMQP_RESPONSE_NORMAL, "half a message");
    last = now();
    tags[++taken % RING] = tag;
    must(amqp_basic_publish(connection, CHANNEL, amqp_cstring_bytes(exchange), amqp_cstring_bytes("accepted.acme"),
                            0, 0, &properties, message.body) == AMQP_STATUS_OK, "a publish failed");
    amqp_destroy_message(&message);
}

static void confirmed(amqp_connection_state_t connection, const amqp_basic_ack_t *confirm) {
    for (uint64_t each = confirm->multiple ? oldest : confirm->delivery_tag; each <= confirm->delivery_tag; each++) {
        if (!tags[each % RING]) continue;
        must(!amqp_basic_ack(connection, CHANNEL, tags[each % RING], 0), "an acknowledgement failed");
        tags[each % RING] = 0;
        acknowledged++;
    }
    while (oldest <= taken && !tags[oldest % RING]) oldest++;
}

int main(int argc, char **argv) {
    int option, prefetch = 500;
    int64_t tick = 1000;
    while ((option = getopt(argc, argv, "t:w:")) != -1) {
        if (option == 't') tick = atoll(optarg);
        else if (option == 'w') prefetch = atoi(optarg);
        else return 2;
    }
    if (optind != argc - 3) return 2;
    signal(SIGTERM, end);
    signal(SIGINT, end);
    const char *queue = argv[optind], *exchange = argv[optind + 1];
    amqp_connection_state_t connection = amqp_new_connection();
    must(!amqp_socket_open(amqp_tcp_socket_new(connection), "127.0.0.1", atoi(argv[optind + 2])), "no RabbitMQ there");
    must(amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type
         == AMQP_RESPONSE_NORMAL, "the login failed");
    must(amqp_channel_open(connection, CHANNEL) && amqp_confirm_select(connection, CHANNEL)
         && amqp_basic_qos(connection, CHANNEL, 0, (uint16_t)prefetch, 0)
         && amqp_basic_consume(connection, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                               amqp_empty_table), "the queue can't be consumed");
    int64_t next_tick = now();
    while (!ended) {
        struct timeval patience = {0, 5000};
        amqp_frame_t frame;
        amqp_maybe_release_buffers(connection);
        int status = amqp_simple_wait_frame_noblock(connection, &frame, &patience);
        if (status == AMQP_STATUS_OK && frame.frame_type == AMQP_FRAME_METHOD) {
            amqp_method_t method = frame.payload.method;
            if (method.id == AMQP_BASIC_DELIVER_METHOD)
                take(connection, ((amqp_basic_deliver_t *)method.decoded)->delivery_tag, exchange);
            else if (method.id == AMQP_BASIC_ACK_METHOD)
                confirmed(connection, method.decoded);
            else
                must(0, "RabbitMQ says something else");
        } else {
            must(status == AMQP_STATUS_OK || status == AMQP_STATUS_TIMEOUT, "the connection is lost");
        }
        if (now() < next_tick) continue;
        printf("%lld %llu %lld %llu 0 0\n", (long long)now(), (unsigned long long)taken, (long long)last,
               (unsigned long long)acknowledged);
        fflush(stdout);
        next_tick = now() + tick * 1000;
    }
    return 0;
}
