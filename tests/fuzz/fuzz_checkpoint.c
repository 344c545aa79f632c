/*
 * fuzz_checkpoint.c: checkpoints: what a new owner knows by one it writes down so that the next one
 * knows the same, and one that comes in parts says what it says in one; parts of which one cannot
 * be understood are no checkpoint.
 *
 * The input is the body.
 */
#include "broadcaster/partition_internal.h"
#include "tests/fuzz/fuzz.h"

#define NOW_MS 1790000000000
#define HOUR_MS 3600000

static struct partition *make(void)
{
    static struct partition_stats stats;
    const struct partition_conf conf = {.owner = "b1",
                                        .seed = 1,
                                        .history_size = 100,
                                        .history_ttl_ms = HOUR_MS,
                                        .key_window_ms = HOUR_MS,
                                        .memory_max = 1 << 20,
                                        .checkpoint_bytes = 1 << 20};

    return partition_new(&conf, &stats, NOW_MS);
}

/* Begins to read a log, as a new owner does. */
static void begin(struct partition *p)
{
    partition_forget_log(p);
    appends_deinit(&p->appends);
    appends_init(&p->appends);
    p->checkpoint = (struct checkpoint){.hint = 0};
    p->takeover.is_whole = false;
    p->random = 1;
}

static void read_part(struct partition *p, struct slice body, uint64_t offset, uint64_t left)
{
    const char *copy = fuzz_copy(body.at, body.size);

    checkpoint_read(p,
                    &(struct message){.type = MESSAGE_CHECKPOINT,
                                      .term = 1,
                                      .has = left > 0 ? HAS_BATCH : 0,
                                      .batch = left,
                                      .body = {copy, body.size}},
                    offset, NOW_MS);
    fuzz_free(copy);
}

/* Writes a checkpoint, as an owner does, who has an era. */
static void write_down(struct partition *p, struct buf *out)
{
    struct buf mark = BUF_EMPTY;

    era_mark(p, &mark);
    buf_deinit(&mark);
    buf_clear(out);
    checkpoint_write(p, NOW_MS);
    FUZZ_CHECK(p->appends.first->parts_left == 0); /* inputs are small */
    buf_add_slice(out, buf_slice(&p->appends.first->body));
}

/* In two parts, the first of which ends with one of the first lines. */
static void check_parts(struct partition *p, struct slice body, uint64_t seed, bool is_whole,
                        struct slice want)
{
    static struct buf written;
    struct slice rest = body;

    for (uint64_t lines = random_next(&seed) % 8; lines > 0 && rest.size > 0; lines--) {
        (void)fuzz_take_line(&rest);
    }
    begin(p);
    read_part(p, (struct slice){body.at, body.size - rest.size}, 5, 1);
    FUZZ_CHECK(!p->takeover.is_whole);
    read_part(p, rest, 6, 0);
    FUZZ_CHECK(p->takeover.is_whole == is_whole);
    if (is_whole) {
        FUZZ_CHECK(p->checkpoint.mark_count == 1 && p->checkpoint.marks[0].offset == 5);
        write_down(p, &written);
        FUZZ_CHECK(slice_equal(buf_slice(&written), want));
    }
}

/* By the next owner, and so on. */
static void check_again(struct partition *p, struct slice body)
{
    static struct buf written;

    begin(p);
    read_part(p, body, 5, 0);
    FUZZ_CHECK(p->takeover.is_whole);
    write_down(p, &written);
    FUZZ_CHECK(slice_equal(buf_slice(&written), body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct partition *p;
    static struct buf written;
    struct slice body = {(const char *)data, size};
    uint64_t seed = fuzz_seed(data, size);

    p = p != NULL ? p : make();
    begin(p);
    read_part(p, body, 5, 0);
    bool is_whole = p->takeover.is_whole;
    FUZZ_CHECK(p->checkpoint.mark_count == (is_whole ? 1 : 0));
    write_down(p, &written);
    for (struct fuzz_ways way = fuzz_ways(&seed, 2); way.is < way.end; way.is++) {
        if (way.is == 0) {
            check_parts(p, body, seed, is_whole, buf_slice(&written));
        } else {
            check_again(p, buf_slice(&written));
        }
    }
    return 0;
}
