/* A message centre that costs next to nothing: it takes every submit_sm, answers after a delay, and sends receipts.
 *
 *     sink PORT [-d RESPONSE_US] [-r] [-x] [-t TICK_MS] [-l LOG]
 *
 * One thread, poll(2), 127.0.0.1 only. Each tick it prints
 *     NOW_US SUBMITS LAST_SUBMIT_US RECEIPTS_ANSWERED RESPONSES WAITED_US
 * by CLOCK_MONOTONIC, so that a rate is a count between two submits and not between two ticks. The last is how
 * long all submits together waited for their responses: no timer is exact, and 20 ms become 20.2. With -r a receipt
 * follows each response that was asked for one: at most UNANSWERED of a link are on their way, and while they are no
 * response leaves; one that is refused is sent again. Ids count up, with -x they look as if drawn at random. With -l
 * each submit is written to LOG: when it came, in ns, and the last seven digits of its destination, both as 64 bits.
 * Responses leave in order, since all wait equally long. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "scatter.h"

enum { LINKS = 128, READ = 1 << 17, BACKLOG = 1 << 16, MAX_PDU = 1 << 16, UNANSWERED = 500 };
enum { BIND_RX = 1, BIND_TX = 2, SUBMIT = 4, DELIVER = 5, UNBIND = 6, BIND_TRX = 9, ENQUIRE = 0x15 };
#define RESPONSE 0x80000000u

struct due {                                   /* a submit that is not answered yet */
    int64_t at;
    uint64_t id;
    uint32_t sequence;
    int receipt;
    char from[24], to[24];
};
struct link {
    int fd;
    size_t in_length, out_length, out_size;
    uint8_t in[READ + MAX_PDU], *out;
    struct due *due;                           /* a ring: `first` waits longest */
    struct due *receipts;                      /* by sequence number, those that are on their way */
    uint32_t first, waiting, sequence, unanswered;
};

static struct link *links[LINKS];
static int count, receipts, scattered;
static int64_t delay;
static uint64_t submits, answered, responses;
static int64_t last_submit, waited;
static FILE *journal;
static volatile sig_atomic_t ended;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint32_t get32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static void put32(uint8_t *at, uint32_t value) {
    value = htonl(value);
    memcpy(at, &value, 4);
}

static void send_pdu(struct link *link, uint32_t command, uint32_t sequence, const void *body, size_t length) {
    if (link->out_length + length + 16 > link->out_size) {
        link->out_size = (link->out_length + length + 16) * 2;
        link->out = realloc(link->out, link->out_size);
    }
    uint8_t *at = link->out + link->out_length;
    put32(at, (uint32_t)length + 16);
    put32(at + 4, command);
    put32(at + 8, 0);
    put32(at + 12, sequence);
    if (length) memcpy(at + 16, body, length);
    link->out_length += length + 16;
}

/* The octets behind a C-octet string, which is copied where there is room for it. */
static const uint8_t *text(const uint8_t *at, const uint8_t *end, char *copy, size_t size) {
    if (at >= end) return end;
    size_t length = strnlen((const char *)at, (size_t)(end - at));
    if (copy) snprintf(copy, size, "%.*s", (int)length, (const char *)at);
    return at + length < end ? at + length + 1 : end;
}

static void submitted(struct link *link, const uint8_t *pdu, const uint8_t *end) {
    if (link->waiting == BACKLOG) return;      /* wider than any channel may be: never */
    struct due *due = &link->due[(link->first + link->waiting++) % BACKLOG];
    due->at = (last_submit = now()) + delay;
    ++submits;
    due->id = scattered ? scatter(submits) : submits;
    due->sequence = get32(pdu + 12);
    const uint8_t *at = text(pdu + 16, end, NULL, 0);            /* service_type */
    at = text(at + 2, end, due->from, sizeof due->from);
    at = text(at + 2, end, due->to, sizeof due->to);
    at = text(at + 3, end, NULL, 0);                             /* schedule_delivery_time */
    at = text(at, end, NULL, 0);                                 /* validity_period */
    due->receipt = receipts && at < end && (*at & 3) == 1;       /* registered_delivery */
    if (journal) {
        size_t digits = strlen(due->to);
        int64_t row[2] = {last_submit, atoll(due->to + (digits > 7 ? digits - 7 : 0))};
        fwrite(row, sizeof row, 1, journal);
    }
}

static void send_receipt(struct link *link, const struct due *due) {
    uint8_t body[400], *at = body;
    char words[200], date[16];
    time_t seconds = time(NULL);
    strftime(date, sizeof date, "%y%m%d%H%M", gmtime(&seconds));
    int length = snprintf(words, sizeof words,
                          "id:%llu sub:001 dlvrd:001 submit date:%s done date:%s stat:DELIVRD err:000 text:",
                          (unsigned long long)due->id, date, date);
    *at++ = 0;                                                   /* service_type */
    *at++ = 1; *at++ = 1;
    at = (uint8_t *)stpcpy((char *)at, due->to) + 1;
    *at++ = 0; *at++ = 1;
    at = (uint8_t *)stpcpy((char *)at, due->from) + 1;
    *at++ = 4;                                                   /* esm_class: a receipt */
    memset(at, 0, 8);                                            /* protocol_id ... sm_default_msg_id */
    at += 8;
    *at++ = (uint8_t)length;
    memcpy(at, words, (size_t)length);
    link->receipts[++link->sequence % BACKLOG] = *due;
    send_pdu(link, DELIVER, link->sequence, body, (size_t)(at - body) + (size_t)length);
}

static void receipt_answered(struct link *link, uint32_t sequence, uint32_t status) {
    if (status) {
        struct due again = link->receipts[sequence % BACKLOG];
        send_receipt(link, &again);
    } else {
        answered++;
        link->unanswered--;
    }
}

/* Answers what is due; nanoseconds until the next is, or -1. */
static int64_t answer(struct link *link, int64_t at) {
    while (link->waiting) {
        struct due *due = &link->due[link->first];
        if (due->at > at) return due->at - at;
        if (due->receipt && link->unanswered == UNANSWERED) return -1;
        char id[24];
        int length = snprintf(id, sizeof id, "%llu", (unsigned long long)due->id);
        send_pdu(link, SUBMIT | RESPONSE, due->sequence, id, (size_t)length + 1);
        responses++;
        waited += at - due->at + delay;
        if (due->receipt) {
            link->unanswered++;
            send_receipt(link, due);
        }
        link->first = (link->first + 1) % BACKLOG;
        link->waiting--;
    }
    return -1;
}

static void received(struct link *link, const uint8_t *pdu, uint32_t length) {
    uint32_t command = get32(pdu + 4), sequence = get32(pdu + 12);
    if (command == SUBMIT) submitted(link, pdu, pdu + length);
    else if (command == (DELIVER | RESPONSE)) receipt_answered(link, sequence, get32(pdu + 8));
    else if (command == BIND_RX || command == BIND_TX || command == BIND_TRX)
        send_pdu(link, command | RESPONSE, sequence, "sink", 5);
    else if (command == UNBIND || command == ENQUIRE) send_pdu(link, command | RESPONSE, sequence, NULL, 0);
}

/* 0 where the link is over. */
static int readable(struct link *link) {
    ssize_t got = read(link->fd, link->in + link->in_length, READ);
    if (got <= 0) return 0;
    link->in_length += (size_t)got;
    size_t at = 0;
    while (link->in_length - at >= 16) {
        uint32_t length = get32(link->in + at);
        if (length < 16 || length > MAX_PDU) return 0;
        if (link->in_length - at < length) break;
        received(link, link->in + at, length);
        at += length;
    }
    memmove(link->in, link->in + at, link->in_length -= at);
    return 1;
}

/* 0 where the link is over. */
static int flush(struct link *link) {
    size_t at = 0;
    while (at < link->out_length) {
        ssize_t gone = send(link->fd, link->out + at, link->out_length - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (gone <= 0) break;
        at += (size_t)gone;
    }
    memmove(link->out, link->out + at, link->out_length -= at);
    return link->out_length < (64 << 20);
}

static void welcome(int listener) {
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0 || count == LINKS) { close(fd); return; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct link *link = links[count++] = calloc(1, sizeof *link);
    link->fd = fd;
    link->due = calloc(BACKLOG, sizeof *link->due);
    link->receipts = calloc(BACKLOG, sizeof *link->receipts);
}

static void part(int which) {
    struct link *link = links[which];
    close(link->fd);
    free(link->out);
    free(link->due);
    free(link->receipts);
    free(link);
    links[which] = links[--count];
}

static void end(int signal_number) { (void)signal_number; ended = 1; }

int main(int argc, char **argv) {
    int option, one = 1;
    int64_t tick = 1000000000LL;
    while ((option = getopt(argc, argv, "d:rxt:l:")) != -1) {
        if (option == 'd') delay = atoll(optarg) * 1000;
        else if (option == 'r') receipts = 1;
        else if (option == 'x') scattered = 1;
        else if (option == 't') tick = atoll(optarg) * 1000000;
        else if (option == 'l') journal = fopen(optarg, "wb");
        else return 2;
    }
    if (optind != argc - 1) return 2;
    prctl(PR_SET_TIMERSLACK, 1);               /* a delay of 20 ms is not to be one of 20.05 */
    signal(SIGTERM, end);
    signal(SIGINT, end);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[optind]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 16)) { perror("sink"); return 1; }
    int64_t next_tick = now() + tick;
    while (!ended) {
        int64_t at = now(), wait = next_tick - at;
        struct pollfd polled[LINKS + 1] = {{.fd = listener, .events = POLLIN}};
        for (int i = 0; i < count; i++) {
            int64_t due = answer(links[i], at);
            if (due >= 0 && due < wait) wait = due;
            if (links[i]->out_length && !flush(links[i])) { part(i--); continue; }
            polled[i + 1] = (struct pollfd){
                .fd = links[i]->fd, .events = POLLIN | (links[i]->out_length ? POLLOUT : 0)};
        }
        int polled_links = count;
        struct timespec patience = {wait > 0 ? wait / 1000000000 : 0, wait > 0 ? wait % 1000000000 : 0};
        if (ppoll(polled, (nfds_t)polled_links + 1, &patience, NULL) > 0) {
            for (int i = polled_links - 1; i >= 0; i--)
                if (polled[i + 1].revents & ~POLLOUT && !readable(links[i])) part(i);
            if (polled[0].revents) welcome(listener);
        }
        if ((at = now()) < next_tick) continue;
        printf("%lld %llu %lld %llu %llu %lld\n", (long long)(at / 1000), (unsigned long long)submits,
               (long long)(last_submit / 1000), (unsigned long long)answered, (unsigned long long)responses,
               (long long)(waited / 1000));
        fflush(stdout);
        if (journal) fflush(journal);
        next_tick = at + tick;
    }
    if (journal) fclose(journal);
    return 0;
}
