/*
 * test_partition_limits.c: limits of a partition: each is met by exactly what is too much, which is
 * answered and counted under the limit's name. Others are met where their subject is tested.
 */
#include "broadcaster/dead.h"
#include "broadcaster/followers.h"
#include "broadcaster/intake.h"
#include "broadcaster/lookback.h"
#include "broadcaster/mail.h"
#include "broadcaster/waiting.h"
#include "tests/unit/partition_kit.h"

#define RECORD "{\"room\":\"r0\",\"time\":1}\n{}\n"
#define BIG 900000 /* bytes of a payload */

static uint64_t met(const struct kit *k, enum owner_limit limit)
{
    return stat_get(&k->stats.limits.met[limit]);
}

static char *filled(size_t size)
{
    char *text = mem_zalloc(size + 1, 1);

    memset(text, 'x', size);
    return text;
}

/* Why the batch was buried; "": it was not. */
static const char *judged(struct kit *k, struct kit_owner *o, uint64_t batch, struct slice body)
{
    o->dead_reason = "";
    kit_enqueue(k,
                &(struct message){.type = MESSAGE_PUBLISH,
                                  .partition = KIT_PARTITION,
                                  .batch = batch,
                                  .gateway = SLICE_LIT("g"),
                                  .boot = SLICE_LIT(KIT_LANE)},
                body);
    assert_true(kit_take(k, o));
    return o->dead_reason;
}

static void a_batch_has_so_many_bytes_and_records(void **state)
{
    struct kit_world *w = *state;
    struct kit *k = &w->kit;
    char *text = filled(INTAKE_BATCH_BYTES_MAX + 1);
    struct buf records = BUF_EMPTY;

    assert_string_equal(judged(k, w->o, 1, (struct slice){text, INTAKE_BATCH_BYTES_MAX}),
                        "bad record");
    assert_int_equal(met(k, OWNER_LIMIT_BATCH_BYTES), 0);
    assert_string_equal(judged(k, w->o, 1, (struct slice){text, INTAKE_BATCH_BYTES_MAX + 1}),
                        "too large");
    assert_int_equal(met(k, OWNER_LIMIT_BATCH_BYTES), 1);
    mem_free(text);

    for (int i = 0; i < BATCH_RECORDS_MAX; i++) {
        buf_add_lit(&records, RECORD);
    }
    assert_string_equal(judged(k, w->o, 1, buf_slice(&records)), "");
    assert_int_equal(met(k, OWNER_LIMIT_BATCH_RECORDS), 0);
    buf_add_lit(&records, RECORD);
    assert_string_equal(judged(k, w->o, 2, buf_slice(&records)), "too many records");
    assert_int_equal(met(k, OWNER_LIMIT_BATCH_RECORDS), 1);
    buf_deinit(&records);
    kit_run(k, w->o);
}

/* Lets room 0 say something of so many bytes, `count` times in one batch. */
static void say_big(struct kit_world *w, const char *room, unsigned count)
{
    char *text = filled(BIG);
    struct record r[4];

    assert_true(count <= ARRAY_LEN(r));
    text[0] = text[BIG - 1] = '"';
    for (unsigned i = 0; i < count; i++) {
        r[i] = (struct record){.room = slice_of(room), .time = 1, .payload = {text, BIG}};
    }
    struct letter *l = kit_batch_of(&w->kit, KIT_LANE, ++w->batch, r, count);
    kit_enqueue(&w->kit, &l->m, l->m.body);
    mem_free(text);
    kit_run(&w->kit, w->o);
}

static void write_question(struct kit_world *w, struct kit_gateway *g, struct slice body)
{
    kit_write(&w->kit,
              &(struct message){.type = MESSAGE_HISTORY,
                                .partition = KIT_PARTITION,
                                .gateway = slice_of(g->id),
                                .boot = slice_of(g->boot),
                                .request = KIT_REQUEST},
              body);
}

/* How many records the answer has; `*top` is its first line. */
static size_t ask(struct kit_world *w, int64_t limit, struct line *top)
{
    struct buf body = BUF_EMPTY;
    struct record r;
    size_t count = 0;

    line_encode(&body, &(struct line){.room = SLICE_LIT("r0"), .limit = limit});
    write_question(w, w->g, buf_slice(&body));
    buf_deinit(&body);
    kit_run(&w->kit, w->o);
    struct slice rest = kit_last(w->g, MESSAGE_PAST)->m.body;
    assert_int_equal(line_next(&rest, top), 0);
    while (record_next(&rest, true, &r) == 0) {
        count++;
    }
    return count;
}

static void an_answer_to_history_has_so_many_records(void **state)
{
    struct kit_world *w = *state;
    struct line top;

    kit_publish(&w->kit, KIT_LANE, ++w->batch, "r0", ANSWER_RECORDS_MAX);
    kit_run(&w->kit, w->o);
    assert_int_equal(ask(w, -1, &top), ANSWER_RECORDS_MAX);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ANSWER_RECORDS), 0);
    kit_publish(&w->kit, KIT_LANE, ++w->batch, "r0", 1);
    kit_run(&w->kit, w->o);
    assert_int_equal(ask(w, ANSWER_RECORDS_MAX, &top), ANSWER_RECORDS_MAX);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ANSWER_RECORDS), 0);
    assert_int_equal(ask(w, ANSWER_RECORDS_MAX + 1, &top), ANSWER_RECORDS_MAX);
    assert_int_equal(ask(w, -1, &top), ANSWER_RECORDS_MAX);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ANSWER_RECORDS), 2);
}

static void an_answer_to_history_has_so_many_bytes(void **state)
{
    struct kit_world *w = *state;
    const unsigned fit = ANSWER_BYTES_MAX / BIG;
    struct line top;

    for (unsigned i = 0; i < fit; i++) {
        say_big(w, "r0", 1);
    }
    assert_int_equal(ask(w, -1, &top), fit);
    assert_true(top.complete);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ANSWER_BYTES), 0);
    say_big(w, "r0", 1);
    assert_int_equal(ask(w, -1, &top), fit);
    assert_false(top.complete);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ANSWER_BYTES), 1);
}

/* So many more members, each with as much about him as there can be. */
static void add_members(struct kit_world *w, unsigned first, unsigned count)
{
    struct buf body = BUF_EMPTY;

    for (unsigned i = first; i < first + count; i++) {
        buf_addf(&body,
                 "{\"room\":\"r0\",\"client\":\"c%u\",\"user\":\"u\",\"info\":{\"a\":\"%04080d\"},"
                 "\"chan_info\":{\"a\":\"%04080d\"}}\n",
                 i, 0, 0);
    }
    buf_add_char(&body, '\0');
    kit_world_tell(w, w->g, MESSAGE_JOIN, body.at);
    buf_deinit(&body);
}

static size_t listed(struct kit_world *w, struct line *numbers)
{
    struct line line;
    size_t count = 0;

    kit_world_tell(w, w->g, MESSAGE_PRESENCE, "{\"room\":\"r0\"}\n");
    struct slice rest = kit_last(w->g, MESSAGE_PRESENT)->m.body;
    assert_int_equal(line_next(&rest, numbers), 0);
    while (line_next(&rest, &line) == 0) {
        count++;
    }
    return count;
}

static void a_part_of_the_members_is_not_told_as_all_of_them(void **state)
{
    const unsigned fit = ANSWER_BYTES_MAX / 8250;
    struct kit_world *w = *state;
    struct line numbers;

    kit_world_attach(w, w->g);
    add_members(w, 0, fit);
    assert_int_equal(listed(w, &numbers), fit);
    assert_true(numbers.complete && numbers.clients == fit);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ANSWER_BYTES), 0);
    add_members(w, fit, 50);
    assert_int_equal(listed(w, &numbers), 0);
    assert_true(!numbers.complete && numbers.clients == fit + 50);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ANSWER_BYTES), 1);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_PRESENCE_MAX), 0);
}

static void so_much_of_the_log_is_read_back_for_one_who_asks(void **state)
{
    struct kit_world *w = *state;
    struct line top;

    kit_world_say(w, 0, 1);
    kit_world_say(w, 1, 2 * LOOKBACK_WIDTH); /* more than one look goes back */
    for (unsigned bytes = 0; bytes < LOOKBACK_FETCH_BYTES; bytes += 4 * BIG) {
        say_big(w, "r2", 4); /* more than memory holds */
    }
    assert_true(met(&w->kit, OWNER_LIMIT_MEMORY) > 0);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_LOG_READ), 0);
    assert_int_equal(ask(w, -1, &top), 0);
    assert_int_equal(top.offset, 1);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_LOG_READ), 1);
}

/* Records of room 0 are in the log, far back, and not in memory; the log is silent. */
static void lose_memory(struct kit_world *w)
{
    w->kit.gap_percent = 0;
    w->kit.conf.checkpoint_bytes = 2000;
    kit_kill(&w->kit, w->o);
    w->o = kit_owner_settled(&w->kit);
    kit_world_say(w, 0, 4);
    kit_world_say(w, 1, 1500);
    kit_kill(&w->kit, w->o);
    w->o = kit_owner_settled(&w->kit);
}

static void take_mail(struct kit_world *w)
{
    while (kit_mail(&w->kit, w->o)) {
    }
}

static void so_much_waits_for_the_log(void **state)
{
    static const struct {
        size_t size; /* of a message */
        unsigned fit;
        enum owner_limit limit;
    } cases[] = {
        {64, WAITING_MAX, OWNER_LIMIT_WAITING},
        {1 << 20, WAITING_BYTES_MAX >> 20, OWNER_LIMIT_WAITING_BYTES},
    };
    struct kit_world *w = *state;
    struct buf body = BUF_EMPTY;

    lose_memory(w);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *more = filled(cases[i].size);

        buf_clear(&body);
        line_encode(&body, &(struct line){.room = SLICE_LIT("r0"), .limit = -1});
        buf_add(&body, more, cases[i].size - body.size); /* nobody reads on */
        mem_free(more);
        for (unsigned n = 0; n < cases[i].fit; n++) {
            write_question(w, w->g, buf_slice(&body));
        }
        const struct letter *before = kit_last(w->g, MESSAGE_PAST);
        take_mail(w);
        assert_ptr_equal(kit_last(w->g, MESSAGE_PAST), before);
        assert_int_equal(met(&w->kit, cases[i].limit), 0);
        write_question(w, w->g, buf_slice(&body));
        take_mail(w);
        assert_ptr_not_equal(kit_last(w->g, MESSAGE_PAST), before); /* it is answered at once */
        assert_int_equal(met(&w->kit, cases[i].limit), 1);
        kit_tick(&w->kit, w->o, WAITING_QUESTION_MS);
        assert_int_equal(met(&w->kit, OWNER_LIMIT_QUESTION_WAIT),
                         i == 0 ? WAITING_MAX : WAITING_MAX + (WAITING_BYTES_MAX >> 20));
    }
    buf_deinit(&body);
}

static void a_gateway_waits_so_long_for_the_log(void **state)
{
    struct kit_world *w = *state;
    char epoch[EPOCH_MAX + 1];
    struct buf body = BUF_EMPTY;

    kit_world_say(w, 0, 1);
    assert_int_equal(kit_last_offset(&w->kit, epoch), 1);
    lose_memory(w);
    line_encode(&body, &(struct line){.room = SLICE_LIT("r0"),
                                      .epoch = slice_of(epoch),
                                      .has_offset = true,
                                      .offset = 1,
                                      .from = 1});
    kit_write(&w->kit,
              &(struct message){.type = MESSAGE_ATTACH,
                                .partition = KIT_PARTITION,
                                .gateway = slice_of(w->g->id),
                                .boot = slice_of(w->g->boot),
                                .link = 1000,
                                .number = 1},
              buf_slice(&body));
    buf_deinit(&body);
    take_mail(w);
    kit_tick(&w->kit, w->o, WAITING_ATTACH_MS - 1);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ATTACH_WAIT), 0);
    assert_int_equal(partition_gateways(w->o->machine), 0);
    kit_tick(&w->kit, w->o, 1);
    assert_int_equal(met(&w->kit, OWNER_LIMIT_ATTACH_WAIT), 1);
    assert_int_equal(partition_gateways(w->o->machine), 1);
}

static void so_many_gateways_are_remembered_that_are_gone(void **state)
{
    struct kit_world *w = *state;

    for (unsigned i = 0; i <= LAPSED_MAX; i++) {
        char id[8];

        assert_int_equal(met(&w->kit, OWNER_LIMIT_LAPSED), 0);
        (void)snprintf(id, sizeof(id), "gone%u", i); /* what it is sent comes back */
        kit_write(&w->kit,
                  &(struct message){.type = MESSAGE_ATTACH,
                                    .partition = KIT_PARTITION,
                                    .gateway = slice_of(id),
                                    .boot = SLICE_LIT(KIT_LANE),
                                    .link = 1,
                                    .number = 1},
                  SLICE_LIT("{\"room\":\"r0\",\"client\":\"c\",\"user\":\"u\"}\n"));
        kit_run(&w->kit, w->o);
        assert_int_equal(partition_gateways(w->o->machine), 0);
    }
    assert_int_equal(met(&w->kit, OWNER_LIMIT_LAPSED), 1);
}

static void dead_letters_that_wait_have_so_many_bytes(void **state)
{
    static struct metrics metrics;
    const stat_value *count = &metrics.partition.limits.met[OWNER_LIMIT_DEAD_BYTES];
    struct dead d;
    char *body = filled(DEAD_BYTES_MAX / 4);
    (void)state;

    dead_init(&d, &metrics);
    for (uint64_t tag = 1; tag <= 4; tag++) {
        const struct mq_event e = {
            .kind = MQ_DELIVERY, .tag = tag, .body = {body, DEAD_BYTES_MAX / 4}};

        assert_int_equal(stat_get(count), 0);
        assert_int_equal(dead_add(&d, 1, &e, "bad record"), tag < 4);
    }
    assert_int_equal(stat_get(count), 1);
    assert_false(dead_add(&d, 1, &(struct mq_event){.too_large = true}, "too large"));
    assert_int_equal(stat_get(count), 1);
    dead_clear(&d);
    mem_free(body);
}

static void each_limit_has_a_name_of_its_own(void **state)
{
    (void)state;

    for (size_t i = 0; i < OWNER_LIMITS; i++) {
        const char *label = broadcaster_limits.rows[i].label;

        assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz_."), strlen(label));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(label, broadcaster_limits.rows[j].label);
        }
    }
}

/* History of rooms is large here. */
static int start(void **state)
{
    struct kit_world *w = mem_new(struct kit_world);

    kit_init(&w->kit, 1);
    w->kit.conf.history_size = 2 * ANSWER_RECORDS_MAX;
    w->kit.conf.memory_max = 3 * ANSWER_BYTES_MAX;
    w->kit.conf.presence_max = 100000;
    kit_world_settle(w);
    *state = w;
    return 0;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, kit_test_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_batch_has_so_many_bytes_and_records),
        TEST(an_answer_to_history_has_so_many_records),
        TEST(an_answer_to_history_has_so_many_bytes),
        TEST(a_part_of_the_members_is_not_told_as_all_of_them),
        TEST(so_much_of_the_log_is_read_back_for_one_who_asks),
        TEST(so_much_waits_for_the_log),
        TEST(a_gateway_waits_so_long_for_the_log),
        TEST(so_many_gateways_are_remembered_that_are_gone),
        cmocka_unit_test(dead_letters_that_wait_have_so_many_bytes),
        cmocka_unit_test(each_limit_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
