/* partition_kit_steps.c: what several tests of the machine do, step by step. */
#include "tests/unit/partition_kit.h"

int kit_test_start(void **state)
{
    struct kit *k = mem_new(struct kit);

    kit_init(k, 1);
    *state = k;
    return 0;
}

int kit_test_stop(void **state)
{
    struct kit *k = *state;

    kit_deinit(k);
    assert_string_equal(k->fault, "");
    mem_free(k);
    return 0;
}

void kit_publish_many(struct kit *k, struct kit_owner *o, uint64_t first, uint64_t last)
{
    for (uint64_t batch = first; batch <= last; batch++) {
        kit_publish(k, KIT_LANE, batch, "r0", 1);
        kit_run(k, o);
    }
}

uint64_t kit_last_offset(const struct kit *k, char epoch[EPOCH_MAX + 1])
{
    uint64_t offset = 0;

    for (size_t i = k->log.count; i-- > 0 && offset == 0;) {
        struct slice rest = k->log.at[i] != NULL ? k->log.at[i]->m.body : SLICE_NONE;
        struct record r;

        while (k->log.at[i] != NULL && k->log.at[i]->m.type == MESSAGE_APPEND &&
               record_next(&rest, true, &r) == 0) {
            offset = r.offset;
            (void)snprintf(epoch, EPOCH_MAX + 1, "%.*s", SLICE_ARG(r.epoch));
        }
    }
    return offset;
}

void kit_land_message(struct kit *k, const struct message *m, const char *body)
{
    struct message copy = *m;

    copy.partition = KIT_PARTITION;
    copy.owner = SLICE_LIT("b9");
    copy.time_ms = k->now_ms;
    kit_land_letter(k, letter_new(k, &copy, slice_of(body)));
}
