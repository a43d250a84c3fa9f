/* An AMQP 0-9-1 broker that stores nothing and costs next to nothing, for measuring what a gateway itself costs.
 *
 *     source PORT [-r] [-x] [-t TICK_MS]
 *
 * One thread, poll(2), 127.0.0.1 only. Everything that is declared exists. Whoever consumes from a queue whose name
 * holds ".submit." gets generated messages without end, as many unsettled as its prefetch allows; other queues are
 * empty. Every publish is confirmed, those of one read together, and forgotten. With -r the messages ask for a final
 * receipt. Their ids count up, with -x they look as if drawn at random. Each tick it prints
 *     NOW_US DELIVERED NOW_US SETTLED 0 0
 * which are the columns of sink.c.
 * It trusts its client: this is no broker to test against. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "scatter.h"

enum { CLIENTS = 16, CHANNELS = 64, READ = 1 << 18, FRAME_MAX = 131072, RING = 1 << 16, TURN = 1 << 23 };
enum { METHOD = 1, HEADER = 2, BODY = 3, FRAME_END = 0xce };

struct octets {
    uint8_t *at;
    size_t length, size;
};
struct channel {
    int consumes, confirms;
    uint32_t prefetch, unsettled;
    uint64_t tag, oldest, published, confirmed, body_left;
    uint8_t settled[RING];                     /* by delivery tag, from `oldest` on */
    struct octets message;                     /* a delivery's three frames, and where they differ: */
    size_t tag_at, id_at, to_at;
};
struct client {
    int fd, greeted;
    size_t in_length;
    uint8_t in[READ + FRAME_MAX];
    struct octets out;
    struct channel *channels[CHANNELS];
};

static struct client *clients[CLIENTS];
static int count, receipts, scattered;
static uint64_t delivered, settled;
static volatile sig_atomic_t ended;

/* -- writing ------------------------------------------------------------------------------------------------- */

static void add(struct octets *to, const void *what, size_t length) {
    if (to->length + length > to->size) {
        to->size = (to->length + length) * 2;
        to->at = realloc(to->at, to->size);
    }
    memcpy(to->at + to->length, what, length);
    to->length += length;
}

static void write_number(uint8_t *at, uint64_t value, int size) {
    for (int i = size - 1; i >= 0; i--, value >>= 8) at[i] = (uint8_t)value;
}

static void number(struct octets *to, uint64_t value, int size) {
    uint8_t octets[8];
    write_number(octets, value, size);
    add(to, octets, (size_t)size);
}

static void short_string(struct octets *to, const char *text) {
    number(to, strlen(text), 1);
    add(to, text, strlen(text));
}

static size_t begin(struct octets *to, int type, int channel) {
    number(to, (uint64_t)type, 1);
    number(to, (uint64_t)channel, 2);
    number(to, 0, 4);
    return to->length;
}

static void finish(struct octets *to, size_t begun) {
    write_number(to->at + begun - 4, to->length - begun, 4);
    number(to, FRAME_END, 1);
}

/* A method whose arguments are octets already. */
static void method(struct octets *to, int channel, int class_id, int id, const void *arguments, size_t length) {
    size_t begun = begin(to, METHOD, channel);
    number(to, (uint64_t)class_id, 2);
    number(to, (uint64_t)id, 2);
    add(to, arguments, length);
    finish(to, begun);
}

/* -- reading ------------------------------------------------------------------------------------------------- */

static uint64_t read_number(const uint8_t *at, int size) {
    uint64_t value = 0;
    while (size--) value = value << 8 | *at++;
    return value;
}

static const uint8_t *read_short_string(const uint8_t *at, char *text) {
    memcpy(text, at + 1, *at);
    text[*at] = 0;
    return at + 1 + *at;
}

/* -- what is handed out -------------------------------------------------------------------------------------- */

static void prepare(struct channel *channel, int number_of_channel, const char *tag) {
    static const char text[] = "A message of ordinary length, as shops send them to say that a parcel has come.";
    char body[400];
    int length = snprintf(body, sizeof body, "{\"to\":\"+46700000000\",\"from\":\"ACME\",\"text\":\"%s\",\"receipt\":\"%s\"}",
                          text, receipts ? "final" : "none");
    struct octets *to = &channel->message;
    to->length = 0;
    size_t begun = begin(to, METHOD, number_of_channel);
    number(to, 60, 2);
    number(to, 60, 2);                         /* basic.deliver */
    short_string(to, tag);
    channel->tag_at = to->length;
    number(to, 0, 8);
    number(to, 0, 1);
    short_string(to, "smsgw.submit");
    short_string(to, "acme");
    finish(to, begun);
    begun = begin(to, HEADER, number_of_channel);
    number(to, 60, 2);
    number(to, 0, 2);
    number(to, (uint64_t)length, 8);
    number(to, 0x9880, 2);                     /* content_type, delivery_mode, priority, message_id */
    short_string(to, "application/json");
    number(to, 2, 1);
    number(to, 1, 1);
    number(to, 14, 1);
    add(to, "m-", 2);
    channel->id_at = to->length;
    add(to, "000000000000", 12);
    finish(to, begun);
    begun = begin(to, BODY, number_of_channel);
    channel->to_at = to->length + strlen("{\"to\":\"+4670");
    add(to, body, (size_t)length);
    finish(to, begun);
}

static void decimal(uint8_t *at, uint64_t value, int digits) {
    while (digits--) {
        at[digits] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
}

/* Hands out as much as the prefetch and one turn's writing allow. */
static void feed(struct client *client, struct channel *channel) {
    while (channel->consumes && channel->unsettled < channel->prefetch && client->out.length < TURN) {
        struct octets *message = &channel->message;
        write_number(message->at + channel->tag_at, ++channel->tag, 8);
        ++delivered;
        decimal(message->at + channel->id_at, scattered ? scatter(delivered) : delivered, 12);
        decimal(message->at + channel->to_at, delivered, 7);
        channel->settled[channel->tag % RING] = 0;
        channel->unsettled++;
        add(&client->out, message->at, message->length);
    }
}

static void settle(struct channel *channel, uint64_t tag, int multiple) {
    for (uint64_t each = multiple ? channel->oldest : tag; each <= tag; each++) {
        uint8_t *mark = &channel->settled[each % RING];
        if (!*mark) { *mark = 1; channel->unsettled--; settled++; }
    }
    while (channel->oldest <= channel->tag && channel->settled[channel->oldest % RING]) channel->oldest++;
}

/* -- what the client says ------------------------------------------------------------------------------------ */

static void start(struct octets *to) {
    static const char *capabilities[] = {"publisher_confirms", "basic.nack", "consumer_cancel_notify",
                                         "connection.blocked", "authentication_failure_close"};
    struct octets table = {0}, all = {0};
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++) {
        short_string(&table, capabilities[i]);
        add(&table, "t\1", 2);
    }
    short_string(&all, "capabilities");
    add(&all, "F", 1);
    number(&all, table.length, 4);
    add(&all, table.at, table.length);
    struct octets arguments = {0};
    add(&arguments, "\0\x09", 2);
    number(&arguments, all.length, 4);
    add(&arguments, all.at, all.length);
    number(&arguments, 5, 4);
    add(&arguments, "PLAIN", 5);
    number(&arguments, 5, 4);
    add(&arguments, "en_US", 5);
    method(to, 0, 10, 10, arguments.at, arguments.length);
    free(table.at);
    free(all.at);
    free(arguments.at);
}

static void consume(struct octets *out, struct channel *channel, int number_of_channel, const uint8_t *at) {
    static int made;
    char queue[256], tag[256];
    read_short_string(read_short_string(at + 2, queue), tag);
    if (!*tag) snprintf(tag, sizeof tag, "ctag-%d", ++made);
    struct octets arguments = {0};
    short_string(&arguments, tag);
    method(out, number_of_channel, 60, 21, arguments.at, arguments.length);
    free(arguments.at);
    if (!strstr(queue, ".submit.")) return;
    prepare(channel, number_of_channel, tag);
    channel->consumes = 1;
}

static void declared(struct octets *out, int number_of_channel, const uint8_t *at) {
    static int made;
    char queue[256];
    read_short_string(at + 2, queue);
    if (!*queue) snprintf(queue, sizeof queue, "made-%d", ++made);
    struct octets arguments = {0};
    short_string(&arguments, queue);
    number(&arguments, 0, 8);
    method(out, number_of_channel, 50, 11, arguments.at, arguments.length);
    free(arguments.at);
}

static void called(struct client *client, int n, const uint8_t *at) {
    struct octets *out = &client->out;
    struct channel *channel = client->channels[n];
    int id = (int)(read_number(at, 2) * 1000 + read_number(at + 2, 2));
    const uint8_t *arguments = at + 4;
    switch (id) {
    case 10011: method(out, 0, 10, 30, "\0\x3f\0\2\0\0\0\0", 8); break;     /* start-ok: tune 63 channels, 128 KiB */
    case 10040: method(out, 0, 10, 41, "\0", 1); break;                     /* open */
    case 10050: method(out, 0, 10, 51, "", 0); break;                       /* close */
    case 20010: method(out, n, 20, 11, "\0\0\0\0", 4); break;               /* channel.open */
    case 20040:                                                             /* channel.close */
        method(out, n, 20, 41, "", 0);
        memset(channel, 0, sizeof *channel);
        channel->oldest = 1;
        break;
    case 40010: method(out, n, 40, 11, "", 0); break;                       /* exchange.declare */
    case 40030: method(out, n, 40, 31, "", 0); break;
    case 50010: declared(out, n, arguments); break;                         /* queue.declare */
    case 50020: method(out, n, 50, 21, "", 0); break;
    case 60010:                                                             /* basic.qos */
        channel->prefetch = (uint32_t)read_number(arguments + 4, 2);
        method(out, n, 60, 11, "", 0);
        break;
    case 60020: consume(out, channel, n, arguments); break;
    case 60030:                                                             /* basic.cancel: its tag comes back */
        channel->consumes = 0;
        method(out, n, 60, 31, arguments, (size_t)*arguments + 1);
        break;
    case 60080: settle(channel, read_number(arguments, 8), arguments[8] & 1); break;
    case 60090: settle(channel, read_number(arguments, 8), 0); break;       /* reject, and nack: both are ends here */
    case 60120: settle(channel, read_number(arguments, 8), arguments[8] & 1); break;
    case 85010: channel->confirms = 1; method(out, n, 85, 11, "", 0); break;
    }
}

static void content_ended(struct channel *channel) {
    if (channel->confirms) channel->published++;
}

static void frame(struct client *client, int type, int n, const uint8_t *at, size_t length) {
    if (n >= CHANNELS) return;
    struct channel *channel = client->channels[n];
    if (!channel) { channel = client->channels[n] = calloc(1, sizeof *channel); channel->oldest = 1; }
    if (type == METHOD) called(client, n, at);
    else if (type == HEADER && !(channel->body_left = read_number(at + 4, 8))) content_ended(channel);
    else if (type == BODY && !(channel->body_left -= length)) content_ended(channel);
}

/* 0 where the client is gone. */
static int readable(struct client *client) {
    ssize_t got = read(client->fd, client->in + client->in_length, READ);
    if (got <= 0) return 0;
    client->in_length += (size_t)got;
    size_t at = 0;
    if (!client->greeted && client->in_length >= 8) {
        client->greeted = 1;
        at = 8;
        start(&client->out);
    }
    while (client->greeted && client->in_length - at >= 8) {
        const uint8_t *head = client->in + at;
        size_t length = read_number(head + 3, 4);
        if (length > FRAME_MAX) return 0;
        if (client->in_length - at < length + 8) break;
        frame(client, head[0], (int)read_number(head + 1, 2), head + 7, length);
        at += length + 8;
    }
    memmove(client->in, client->in + at, client->in_length -= at);
    return 1;
}

/* Confirms and new deliveries, then as much as the socket takes; 0 where the client is gone. */
static int speak(struct client *client) {
    for (int n = 1; n < CHANNELS; n++) {
        struct channel *channel = client->channels[n];
        if (!channel) continue;
        if (channel->published > channel->confirmed) {
            uint8_t arguments[9];
            write_number(arguments, channel->published, 8);
            arguments[8] = channel->published - channel->confirmed > 1;
            method(&client->out, n, 60, 80, arguments, 9);
            channel->confirmed = channel->published;
        }
        feed(client, channel);
    }
    size_t at = 0;
    while (at < client->out.length) {
        ssize_t gone = send(client->fd, client->out.at + at, client->out.length - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (gone <= 0) break;
        at += (size_t)gone;
    }
    if (at) memmove(client->out.at, client->out.at + at, client->out.length -= at);
    return client->out.length < (64 << 20);
}

static void welcome(int listener) {
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0 || count == CLIENTS) { close(fd); return; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    clients[count] = calloc(1, sizeof **clients);
    clients[count++]->fd = fd;
}

static void part(int which) {
    struct client *client = clients[which];
    close(client->fd);
    for (int n = 0; n < CHANNELS; n++) {
        if (client->channels[n]) free(client->channels[n]->message.at);
        free(client->channels[n]);
    }
    free(client->out.at);
    free(client);
    clients[which] = clients[--count];
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void end(int signal_number) { (void)signal_number; ended = 1; }

int main(int argc, char **argv) {
    int option, one = 1;
    int64_t tick = 1000;
    while ((option = getopt(argc, argv, "rxt:")) != -1) {
        if (option == 'r') receipts = 1;
        else if (option == 'x') scattered = 1;
        else if (option == 't') tick = atoll(optarg);
        else return 2;
    }
    if (optind != argc - 1) return 2;
    signal(SIGTERM, end);
    signal(SIGINT, end);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[optind]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 16)) { perror("source"); return 1; }
    int64_t next_tick = now_ms() + tick;
    while (!ended) {
        struct pollfd polled[CLIENTS + 1] = {{.fd = listener, .events = POLLIN}};
        for (int i = 0; i < count; i++) {
            if (!speak(clients[i])) { part(i--); continue; }
            polled[i + 1] = (struct pollfd){
                .fd = clients[i]->fd, .events = POLLIN | (clients[i]->out.length ? POLLOUT : 0)};
        }
        int polled_clients = count;
        int64_t wait = next_tick - now_ms();
        if (poll(polled, (nfds_t)polled_clients + 1, wait > 0 ? (int)wait : 0) > 0) {
            for (int i = polled_clients - 1; i >= 0; i--)
                if (polled[i + 1].revents & ~POLLOUT && !readable(clients[i])) part(i);
            if (polled[0].revents) welcome(listener);
        }
        if (now_ms() < next_tick) continue;
        printf("%lld %llu %lld %llu 0 0\n", (long long)now_ms() * 1000, (unsigned long long)delivered,
               (long long)now_ms() * 1000, (unsigned long long)settled);
        fflush(stdout);
        next_tick = now_ms() + tick;
    }
    return 0;
}
