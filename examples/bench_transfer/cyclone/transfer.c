// One process of a transfer over Cyclone DDS: the blob is one reliable sample, and everything else is left to it.
//
// Arguments, orders and answers are those of `part.rs`.

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "blob.h"
#include "dds/dds.h"

enum { GREET_MS = 50, LINE_MAX_BYTES = 4096, SENDERS_MAX = 64 };

struct part {
    bool sends;
    uint32_t index, senders;
    size_t bytes;
};

static void fail(const char *what) {
    printf("failed %s\n", what);
    fflush(stdout);
    exit(1);
}

static void must(dds_return_t result, const char *what) {
    if (result < 0) {
        printf("failed %s: %s\n", what, dds_strretcode(-result));
        fflush(stdout);
        exit(1);
    }
}

static void say(const char *answer) {
    puts(answer);
    fflush(stdout);
}

static long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void say_done(long long start, long long end) {
    printf("done %lld %lld\n", start, end);
    fflush(stdout);
}

// The next order; NULL when none came in time. Ends the process with stdin.
static const char *hear(int timeout_ms) {
    static char line[LINE_MAX_BYTES];
    size_t length = 0;
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&in, 1, timeout_ms) == 0) {
        return NULL;
    }
    // Orders are short and rare: a byte at a time leaves nothing unread in a buffer.
    while (length + 1 < sizeof line) {
        if (read(STDIN_FILENO, &line[length], 1) != 1) {
            exit(0);
        }
        if (line[length] == '\n') {
            break;
        }
        length++;
    }
    line[length] = '\0';
    return line;
}

static bool begins(const char *line, const char *word) {
    return strncmp(line, word, strlen(word)) == 0;
}

static uint32_t number_of(const char *line) {
    return (uint32_t)strtoul(line + strlen("prepare"), NULL, 10);
}

// What the blob has at a place.
static uint8_t at(uint32_t number, uint32_t sender, size_t place) {
    return (uint8_t)(number * 7 + sender * 13 + place * 31 + (place >> 8));
}

static dds_entity_t make_topic(dds_entity_t domain) {
    dds_entity_t topic = dds_create_topic(domain, &bench_Blob_desc, "blob", NULL, NULL);
    must(topic, "topic");
    return topic;
}

static dds_qos_t *make_qos(int depth) {
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(60));
    dds_qset_durability(qos, DDS_DURABILITY_VOLATILE);
    dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, depth);
    return qos;
}

static void send_blobs(const struct part *part, dds_entity_t domain) {
    dds_qos_t *qos = make_qos(1);
    dds_entity_t writer = dds_create_writer(domain, make_topic(domain), qos, NULL);
    must(writer, "writer");
    bench_Blob blob = {.sender = part->index};
    blob.body._buffer = malloc(part->bytes);
    if (blob.body._buffer == NULL) {
        fail("no memory");
    }
    bool greets = false;
    say("here -");
    for (;;) {
        const char *order = hear(GREET_MS);
        if (order == NULL) {
            if (greets) {
                blob.number = 0;
                blob.body._length = 0;
                must(dds_write(writer, &blob), "greet");
            }
        } else if (begins(order, "meet")) {
            greets = true;
            say("ready");
        } else if (begins(order, "prepare")) {
            greets = false;
            blob.number = number_of(order);
            blob.body._maximum = blob.body._length = (uint32_t)part->bytes;
            for (size_t place = 0; place < part->bytes; place++) {
                blob.body._buffer[place] = at(blob.number, part->index, place);
            }
            say("ready");
        } else if (begins(order, "go")) {
            long long start = now_us();
            must(dds_write(writer, &blob), "write");
            say_done(start, now_us());
        } else {
            say("ok");
        }
    }
}

// Waits until the blob of each sender is here; a greeting is a blob of number 0.
static void take_all(dds_entity_t reader, dds_entity_t waitset, const struct part *part, uint32_t number,
                     void *arrived[SENDERS_MAX]) {
    uint32_t count = 0;
    while (count < part->senders) {
        void *samples[1] = {NULL};
        dds_sample_info_t info;
        dds_return_t taken = dds_take(reader, samples, &info, 1, 1);
        must(taken, "take");
        if (taken == 0) {
            must(dds_waitset_wait(waitset, NULL, 0, DDS_INFINITY), "wait");
            continue;
        }
        bench_Blob *blob = samples[0];
        bool wanted = info.valid_data && blob->number == number && blob->sender < part->senders;
        if (wanted && arrived[blob->sender] == NULL) {
            arrived[blob->sender] = blob;
            count++;
        } else {
            must(dds_return_loan(reader, samples, 1), "return");
        }
    }
}

static void check(const struct part *part, uint32_t number, void *arrived[SENDERS_MAX]) {
    for (uint32_t sender = 0; sender < part->senders; sender++) {
        const bench_Blob *blob = arrived[sender];
        if (blob == NULL || blob->body._length != part->bytes) {
            fail("a blob is too short");
        }
        for (size_t place = 0; place < part->bytes; place++) {
            if (blob->body._buffer[place] != at(number, sender, place)) {
                fail("another blob arrived");
            }
        }
    }
}

static void forget(dds_entity_t reader, uint32_t senders, void *arrived[SENDERS_MAX]) {
    for (uint32_t sender = 0; sender < senders; sender++) {
        if (arrived[sender] != NULL) {
            must(dds_return_loan(reader, &arrived[sender], 1), "return");
        }
        arrived[sender] = NULL;
    }
}

static void receive_blobs(const struct part *part, dds_entity_t domain) {
    // A reader keeps the last sample of each sender: without a key they share one history.
    dds_qos_t *qos = make_qos((int)part->senders);
    dds_entity_t reader = dds_create_reader(domain, make_topic(domain), qos, NULL);
    must(reader, "reader");
    dds_entity_t waitset = dds_create_waitset(domain);
    must(waitset, "waitset");
    dds_entity_t condition = dds_create_readcondition(reader, DDS_ANY_STATE);
    must(condition, "condition");
    must(dds_waitset_attach(waitset, condition, 0), "attach");
    void *arrived[SENDERS_MAX] = {NULL};
    uint32_t number = 0;
    say("here -");
    for (;;) {
        const char *order = hear(-1);
        if (begins(order, "meet")) {
            take_all(reader, waitset, part, 0, arrived);
            forget(reader, part->senders, arrived);
            say("ready");
        } else if (begins(order, "prepare")) {
            number = number_of(order);
            say("ready");
        } else if (begins(order, "go")) {
            take_all(reader, waitset, part, number, arrived);
            long long end = now_us();
            say_done(end, end);
        } else {
            check(part, number, arrived);
            forget(reader, part->senders, arrived);
            say("ok");
        }
    }
}

int main(int count, char **args) {
    if (count != 8) {
        fail("a part has 7 arguments");
    }
    struct part part = {
        .sends = strcmp(args[1], "send") == 0,
        .index = (uint32_t)strtoul(args[2], NULL, 10),
        .senders = (uint32_t)strtoul(args[3], NULL, 10),
        .bytes = strtoull(args[5], NULL, 10),
    };
    if (part.senders > SENDERS_MAX) {
        fail("too many senders");
    }
    dds_entity_t domain = dds_create_participant((dds_domainid_t)strtoul(args[7], NULL, 10), NULL, NULL);
    must(domain, "participant");
    if (part.sends) {
        send_blobs(&part, domain);
    } else {
        receive_blobs(&part, domain);
    }
}
