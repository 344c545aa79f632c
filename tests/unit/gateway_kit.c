/*
 * gateway_kit.c: the gateway under test, the bus that is none, and what owners say.
 */
#include "tests/unit/gateway_kit.h"
#include "tests/unit/tokens.h"

#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "gateway/bus/lanes.h"
#include "proto/record.h"
#include "proto/room.h"

#define SETTLE_TURNS 6
#define NAP_MS 1 /* between two turns while something is waited for */

/* The bus, as bus.h has it. */

struct bus *bus_new(struct gateway *g)
{
    return &container_of(g, struct kit, gateway)->bus;
}

struct bus *bus_free(struct bus *b)
{
    for (size_t i = 0; b != NULL && i < b->count; i++) {
        bus_out_free(b->sent[i]);
    }
    if (b != NULL) {
        b->count = 0;
    }
    return NULL;
}

void bus_raw_done(struct bus *b, struct raw *raw)
{
    assert_true(b->raw_count < KIT_RAWS_MAX);
    b->raw_tags[b->raw_count++] = raw->tag;
    mem_free(raw);
}

void bus_raw_end(struct bus *b)
{
    b->raw_has_ended = true;
}

bool bus_send(struct bus *b, struct bus_out *out)
{
    if (b->is_full) {
        return false;
    }
    assert_true(b->count < KIT_SENT_MAX);
    b->sent[b->count++] = out;
    return true;
}

void bus_out_free(struct bus_out *out)
{
    blob_unref(out->body);
    mem_free(out);
}

uint64_t bus_count(struct bus *b)
{
    return ++b->counts;
}

void bus_tick(struct bus *b)
{
    (void)b;
}

const char *bus_not_ready(const struct bus *b)
{
    return b->is_up ? NULL : "down";
}

/* The clocks, as clock.h has them. */

static int64_t skipped_ms;
static bool is_still;
static struct timespec still[CLOCK_MONOTONIC + 1]; /* what the clocks show then */

static_assert(CLOCK_REALTIME < ARRAY_LEN(still), "a place for each clock");

static int64_t read_us(clockid_t id)
{
    struct timespec now = still[id];

    if (!is_still) {
        clock_gettime(id, &now);
    }
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + skipped_ms * 1000;
}

int64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

void kit_skip(int64_t ms)
{
    skipped_ms += ms;
}

void kit_stop_clocks(void)
{
    clock_gettime(CLOCK_MONOTONIC, &still[CLOCK_MONOTONIC]);
    clock_gettime(CLOCK_REALTIME, &still[CLOCK_REALTIME]);
    is_still = true;
}

void kit_start_clocks(void)
{
    is_still = false;
}

/* The gateway. */

void kit_init(struct kit *k)
{
    *k = (struct kit){.conf = kit_conf()};
    for (size_t i = 0; i < KIT_PARTITIONS; i++) {
        k->owners[i].term = KIT_TERM;
    }
    log_set_level(LOG_ERROR);
}

void kit_start(struct kit *k)
{
    if (k->conf.keys == NULL) {
        k->conf.keys = tokens_keys(k->conf.hmac_key);
    }
    k->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(k->loop);
    assert_int_equal(gateway_start(&k->gateway, &k->conf, k->loop), 0);
    kit_bus_up(k);
}

void kit_begin(struct kit *k)
{
    kit_init(k);
    kit_start(k);
}

void kit_begin_without_presence(struct kit *k)
{
    kit_init(k);
    k->conf.rules.defaults.presence = false;
    kit_start(k);
}

void kit_end(struct kit *k)
{
    gateway_stop(&k->gateway);
    ev_loop_destroy(k->loop);
    k->conf.keys = keys_free(k->conf.keys);
}

void kit_turn(struct kit *k)
{
    ev_run(k->loop, EVRUN_NOWAIT);
}

void kit_settle(struct kit *k)
{
    for (int i = 0; i < SETTLE_TURNS; i++) {
        kit_turn(k);
    }
}

void kit_turn_slowly(struct kit *k)
{
    kit_turn(k);
    ev_sleep(NAP_MS / 1e3);
}

void kit_tick(struct kit *k)
{
    int64_t before = k->gateway.turned_ms;

    KIT_UNTIL(k, k->gateway.turned_ms != before);
    kit_settle(k);
}

void kit_bus_up(struct kit *k)
{
    k->bus.is_up = true;
    lanes_up(k->gateway.lanes);
    links_up(k->gateway.links);
}

void kit_bus_down(struct kit *k)
{
    k->bus.is_up = false;
    lanes_down(k->gateway.lanes);
    links_down(k->gateway.links);
}

/* What was handed over. */

#define ANY_PARTITION UINT32_MAX

static struct bus_out *take_now(struct kit *k, enum message_type type, uint32_t partition)
{
    struct bus *b = &k->bus;

    for (size_t i = 0; i < b->count; i++) {
        struct bus_out *out = b->sent[i];

        if (out->message.type == type &&
            (partition == ANY_PARTITION || out->message.partition == partition)) {
            memmove(&b->sent[i], &b->sent[i + 1], (--b->count - i) * sizeof(b->sent[0]));
            return out;
        }
    }
    return NULL;
}

size_t kit_count(const struct kit *k, enum message_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < k->bus.count; i++) {
        count += k->bus.sent[i]->message.type == type;
    }
    return count;
}

struct bus_out *kit_take_of(struct kit *k, enum message_type type, uint32_t partition)
{
    int64_t until = clock_mono_ms() + KIT_WAIT_MS;
    struct bus_out *out;

    while ((out = take_now(k, type, partition)) == NULL) {
        if (clock_mono_ms() > until) {
            fail_msg("no %s was sent", message_type_name(type));
        }
        kit_turn_slowly(k);
    }
    return out;
}

struct bus_out *kit_take(struct kit *k, enum message_type type)
{
    return kit_take_of(k, type, ANY_PARTITION);
}

void kit_expect_body(struct kit *k, enum message_type type, const char *body)
{
    struct bus_out *out = kit_take(k, type);

    if (!slice_equal(blob_slice(out->body), slice_of(body))) {
        fail_msg("%s holds\n%.*sinstead of\n%s", message_type_name(type),
                 SLICE_ARG(blob_slice(out->body)), body);
    }
    bus_out_free(out);
}

void kit_expect_none(struct kit *k, enum message_type type)
{
    kit_settle(k);
    assert_int_equal(kit_count(k, type), 0);
}

void kit_drop(struct kit *k, enum message_type type)
{
    struct bus_out *out;

    kit_settle(k);
    while ((out = take_now(k, type, ANY_PARTITION)) != NULL) {
        bus_out_free(out);
    }
}

void kit_result(struct kit *k, struct bus_out *batch, enum bus_result result)
{
    lanes_on_result(k->gateway.lanes, batch, result);
}

/* What owners say. */

void kit_room(char room[KIT_ROOM_SIZE], uint32_t partition, unsigned n)
{
    unsigned found = 0;

    for (unsigned i = 0; found <= n; i++) {
        snprintf(room, KIT_ROOM_SIZE, "room%u", i);
        found += kit_partition(room) == partition;
    }
}

uint32_t kit_partition(const char *room)
{
    return room_partition(slice_of(room), KIT_PARTITIONS);
}

void kit_attach(struct kit *k, uint32_t partition)
{
    struct bus_out *out = kit_take_of(k, MESSAGE_ATTACH, partition);
    struct kit_owner *owner = &k->owners[partition];

    assert_int_equal(out->message.number, 1);
    assert_true(out->message.link > owner->link);
    owner->link = out->message.link;
    owner->number = 0;
    memcpy(owner->boot, out->message.boot.at, BOOT_SIZE);
    bus_out_free(out);
}

void kit_say_raw(struct kit *k, const struct message *m)
{
    links_on_message(k->gateway.links, m);
}

void kit_say(struct kit *k, uint32_t partition, enum message_type type, const char *body)
{
    struct kit_owner *owner = &k->owners[partition];

    kit_say_raw(k, &(struct message){
                       .type = type,
                       .partition = partition,
                       .term = owner->term,
                       .boot = slice_of(owner->boot),
                       .link = owner->link,
                       .number = ++owner->number,
                       .body = slice_of(body),
                   });
}

void kit_announce(struct kit *k, uint32_t partition, uint64_t term)
{
    kit_say_raw(k, &(struct message){
                       .type = MESSAGE_OWNER,
                       .partition = partition,
                       .term = term,
                       .owner = SLICE_LIT("b1"),
                   });
}

void kit_answer(struct kit *k, enum message_type question, enum message_type answer,
                const char *body)
{
    struct bus_out *out = kit_take(k, question);

    kit_say_raw(k, &(struct message){
                       .type = answer,
                       .partition = out->message.partition,
                       .boot = out->message.boot,
                       .request = out->message.request,
                       .body = slice_of(body),
                   });
    bus_out_free(out);
}

void kit_position(struct kit *k, const char *room, const char *epoch, uint64_t offset)
{
    char body[256];

    kit_attach(k, kit_partition(room));
    if (epoch[0] == '\0') {
        snprintf(body, sizeof(body), "{\"room\":\"%s\",\"offset\":0}\n", room);
    } else {
        snprintf(body, sizeof(body), "{\"room\":\"%s\",\"epoch\":\"%s\",\"offset\":%" PRIu64 "}\n",
                 room, epoch, offset);
    }
    kit_say(k, kit_partition(room), MESSAGE_POSITIONS, body);
}

void kit_add_record(struct buf *out, const char *room, const char *epoch, uint64_t offset,
                    const char *payload)
{
    record_encode(out, &(struct record){
                           .room = slice_of(room),
                           .offset = offset,
                           .epoch = slice_of(epoch),
                           .payload = slice_of(payload),
                       });
}

void kit_deliver(struct kit *k, const char *room, const char *epoch, uint64_t first, uint64_t last)
{
    struct buf body = BUF_EMPTY;
    char payload[64];

    for (uint64_t offset = first; offset <= last; offset++) {
        snprintf(payload, sizeof(payload), "{\"n\":%" PRIu64 "}", offset);
        kit_add_record(&body, room, epoch, offset, payload);
    }
    buf_add_char(&body, '\0');
    kit_say(k, kit_partition(room), MESSAGE_DELIVER, body.at);
    buf_deinit(&body);
}
