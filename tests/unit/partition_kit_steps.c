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

int kit_world_start(void **state)
{
    struct kit_world *w = mem_new(struct kit_world);

    kit_init(&w->kit, 1);
    kit_world_settle(w);
    *state = w;
    return 0;
}

void kit_world_settle(struct kit_world *w)
{
    w->o = kit_owner_settled(&w->kit);
    w->g = kit_gateway_start(&w->kit, 0);
    w->h = kit_gateway_start(&w->kit, 1);
}

void kit_world_run(struct kit_world *w)
{
    bool is_busy = true;

    while (is_busy) {
        kit_run(&w->kit, w->o);
        is_busy = false;
        for (size_t i = 0; i < KIT_GATEWAYS; i++) {
            while (kit_gateway_take(&w->kit, &w->kit.gateways[i])) {
                is_busy = true;
            }
        }
    }
}

void kit_world_change_owner(struct kit_world *w)
{
    kit_kill(&w->kit, w->o);
    w->o = kit_owner_settled(&w->kit);
    kit_world_run(w);
}

void kit_world_say(struct kit_world *w, uint32_t room, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        kit_publish(&w->kit, KIT_LANE, ++w->batch, kit_room(room), 1);
    }
    kit_world_run(w);
}

void kit_world_attach(struct kit_world *w, struct kit_gateway *g)
{
    kit_gateway_attach(&w->kit, g);
    kit_world_run(w);
}

void kit_world_tell(struct kit_world *w, struct kit_gateway *g, enum message_type type,
                    const char *body)
{
    bool is_question = type == MESSAGE_PRESENCE;

    kit_write(&w->kit,
              &(struct message){.type = type,
                                .partition = KIT_PARTITION,
                                .gateway = slice_of(g->id),
                                .boot = slice_of(g->boot),
                                .link = g->link,
                                .number = is_question ? 0 : ++g->number_out,
                                .request = is_question ? KIT_REQUEST : 0},
              slice_of(body));
    kit_world_run(w);
}
