/* partition_kit.c: the log, the input and the owners. */
#include "tests/unit/partition_kit.h"

#include "tests/unit/random.h"

uint64_t kit_random(struct kit *k, uint64_t below)
{
    return random_next(&k->random) % below;
}

void kit_fault(struct kit *k, const char *format, ...)
{
    va_list args;

    if (k->fault[0] == '\0') {
        va_start(args, format);
        (void)vsnprintf(k->fault, sizeof(k->fault), format, args);
        va_end(args);
    }
}

void kit_init(struct kit *k, uint64_t seed)
{
    *k = (struct kit){
        .random = seed * 2654435761u + 1,
        .now_ms = 1790000000000,
        .gap_percent = 5,
        .conf = {.number = KIT_PARTITION,
                 .owner = "b1",
                 .history_size = 100,
                 .history_ttl_ms = 3600000,
                 .presence_max = 1000,
                 .moves_max = 100,
                 .memory_max = 1 << 20,
                 .lease_ms = 15000,
                 .checkpoint_bytes = 1 << 20},
    };
}

struct letter *letter_new(struct kit *k, const struct message *m, struct slice body)
{
    struct letter *l = mem_new(struct letter);
    struct slice *texts[] = {&l->m.gateway, &l->m.boot, &l->m.owner, &l->m.lanes, &l->m.body};

    l->m = *m;
    l->m.body = body;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        buf_add_slice(&l->texts, *texts[i]);
    }
    const char *at = l->texts.at;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        texts[i]->at = at;
        at += texts[i]->size;
    }
    l->log_size = k->log.count;
    l->next_made = k->made;
    k->made = l;
    return l;
}

void letters_add(struct letters *l, struct letter *one)
{
    if (l->count == l->capacity) {
        l->capacity = MAX((size_t)16, l->capacity * 2);
        l->at = mem_realloc(l->at, l->capacity * sizeof(l->at[0]));
    }
    l->at[l->count++] = one;
}

struct mq_event kit_event(const struct letter *l, struct mq_props *props, char scratch[ID_MAX * 2])
{
    message_to_props(&l->m, SLICE_LIT("warren-test/t1"), scratch, props);
    return (struct mq_event){
        .kind = MQ_DELIVERY, .props = *props, .body = l->m.body, .stream_offset = -1};
}

void kit_land_letter(struct kit *k, struct letter *l)
{
    while (kit_random(k, 100) < k->gap_percent) {
        letters_add(&k->log, NULL);
    }
    letters_add(&k->log, l);
}

void kit_enqueue(struct kit *k, const struct message *m, struct slice body)
{
    if (k->input_count == k->input_capacity) {
        k->input_capacity = MAX((size_t)64, k->input_capacity * 2);
        k->input = mem_realloc(k->input, k->input_capacity * sizeof(k->input[0]));
    }
    k->input[k->input_count++] = (struct input){.letter = letter_new(k, m, body)};
}

/* Owners. */

static void owner_free(struct kit *k, struct kit_owner *o)
{
    struct kit_owner **link = &k->owners;

    while (*link != o) {
        link = &(*link)->next;
    }
    *link = o->next;
    partition_free(o->machine);
    mem_free(o->tags);
    mem_free(o->mail.at);
    mem_free(o);
}

void kit_deinit(struct kit *k)
{
    while (k->owners != NULL) {
        owner_free(k, k->owners);
    }
    buf_deinit(&k->told);
    if (stat_get(&k->stats.history_memory) != 0) {
        kit_fault(k, "history memory does not add up");
    }
    while (k->made != NULL) {
        struct letter *l = k->made;
        k->made = l->next_made;
        buf_deinit(&l->texts);
        mem_free(l);
    }
    for (size_t i = 0; i < KIT_GATEWAYS; i++) {
        mem_free(k->gateways[i].inbox.at);
        mem_free(k->gateways[i].seen);
    }
    mem_free(k->log.at);
    mem_free(k->pipe.at);
    mem_free(k->input);
}

/* True if an append names the lane with this batch or a later one. */
static bool shows(const struct letter *l, const char *boot, uint64_t batch)
{
    char lanes[8192];
    const char *at = lanes;

    (void)snprintf(lanes, sizeof(lanes), "%.*s", SLICE_ARG(l->m.lanes));
    while ((at = strstr(at, boot)) != NULL) {
        at += strlen(boot);
        if (strtoull(at, NULL, 10) >= batch) {
            return true;
        }
    }
    return false;
}

static void check_ack(struct kit *k, const struct input *in)
{
    char boot[BOOT_SIZE + 2];

    (void)snprintf(boot, sizeof(boot), "%.*s:", SLICE_ARG(in->letter->m.boot));
    for (size_t i = k->log_first; i < k->log.count; i++) {
        const struct letter *l = k->log.at[i];

        if (l != NULL && l->m.type == MESSAGE_APPEND && shows(l, boot, in->letter->m.batch)) {
            return;
        }
    }
    if (k->log_first == 0) {
        kit_fault(k, "batch %s%" PRIu64 " is acked and not in the log", boot, in->letter->m.batch);
    }
}

static void act_ack(struct kit *k, struct kit_owner *o, uint64_t tag)
{
    if (tag == 0 || tag > o->tag_count) {
        kit_fault(k, "ack of tag %" PRIu64 ", which was never given", tag);
        return;
    }
    for (size_t i = 0; i < tag; i++) {
        struct input *in = &k->input[o->tags[i]];

        if (in->state == INPUT_HELD) {
            check_ack(k, in);
            in->state = INPUT_ACKED;
            in->acked_at = k->log.count;
        }
    }
}

static void act_append(struct kit *k, struct kit_owner *o, struct partition_action *a)
{
    struct letter *l = letter_new(k, &a->message, buf_slice(&a->body));

    if (o->flying != NULL) {
        kit_fault(k, "two appends in flight");
    }
    if (!slice_equal(a->message.body, buf_slice(&a->body))) {
        kit_fault(k, "a message that does not know its body");
    }
    kit_spoil_append(k, l);
    o->flying = l;
    o->has_landed = false;
}

static void act_send(struct kit *k, struct partition_action *a, bool to_all)
{
    struct letter *l = letter_new(k, &a->message, buf_slice(&a->body));

    memcpy(l->gateway, a->gateway, sizeof(l->gateway));
    kit_spoil_send(k, l);
    kit_gateways_get(k, l, to_all);
}

static void act_dead(struct kit *k, struct kit_owner *o, const struct partition_action *a)
{
    struct input *in = &k->input[o->tags[a->tag - 1]];

    if (in->state != INPUT_HELD) {
        kit_fault(k, "tag %" PRIu64 " is settled twice", a->tag);
    }
    in->state = INPUT_DEAD;
    o->dead_reason = a->reason;
}

static void act(struct kit *k, struct kit_owner *o, struct partition_action *a)
{
    switch (a->kind) {
    case PARTITION_READ_LAST: {
        size_t chunk = 1 + kit_random(k, 4);
        o->is_reading = true;
        o->read_at = k->log.count - MIN(chunk, k->log.count);
        while (o->read_at > 0 && k->log.at[o->read_at] == NULL) {
            o->read_at--;
        }
        break;
    }
    case PARTITION_READ_FROM:
        o->is_reading = true;
        o->read_at = a->offset;
        break;
    case PARTITION_STOP_READING:
        o->is_reading = false;
        break;
    case PARTITION_APPEND:
        act_append(k, o, a);
        break;
    case PARTITION_CONSUME:
        o->is_consuming = true;
        break;
    case PARTITION_ACK:
        act_ack(k, o, a->tag);
        break;
    case PARTITION_DEAD:
        act_dead(k, o, a);
        break;
    case PARTITION_SEND:
        act_send(k, a, false);
        break;
    case PARTITION_ANNOUNCE:
        o->was_announced = true;
        act_send(k, a, true);
        break;
    case PARTITION_EVENT:
        buf_addf(&k->told, "%s %.*s\n", a->texts.at, SLICE_ARG(buf_slice(&a->body)));
        o->told++;
        if (!k->owes_told) {
            partition_on_event_confirm(o->machine, o->told, false, true);
        }
        break;
    case PARTITION_STOP_INPUT:
        o->is_consuming = false;
        break;
    case PARTITION_RELEASE:
        o->is_released = true;
        if (o->flying != NULL && o->flying->m.type != MESSAGE_CLAIM &&
            o->flying->m.type != MESSAGE_TERM) {
            kit_fault(k, "released with an append in flight");
        }
        break;
    case PARTITION_SUPERSEDED:
        o->is_superseded = true;
        break;
    }
}

static void run_actions(struct kit *k, struct kit_owner *o)
{
    struct partition_action *a;

    while ((a = partition_next_action(o->machine)) != NULL) {
        /* Who is cut off can still write into its socket for a while. */
        if (o->has_lock || a->kind == PARTITION_APPEND) {
            act(k, o, a);
        }
        partition_action_done(a);
    }
    if (o->has_lock && (o->is_released || o->is_superseded)) {
        kit_cut(k, o);
    }
}

struct kit_owner *kit_owner_new(struct kit *k)
{
    struct kit_owner *o = mem_new(struct kit_owner);
    struct partition_conf conf = k->conf;

    conf.seed = ++k->lives * 7919 + k->random;
    o->has_lock = true;
    o->next = k->owners;
    k->owners = o;
    o->machine = partition_new(&conf, &k->stats, k->now_ms);
    run_actions(k, o);
    return o;
}

void kit_cut(struct kit *k, struct kit_owner *o)
{
    o->has_lock = false;
    o->is_consuming = o->is_reading = false;
    for (size_t i = 0; i < o->tag_count; i++) {
        struct input *in = &k->input[o->tags[i]];

        if (in->state == INPUT_HELD) {
            in->state = INPUT_READY;
            in->redelivered = true;
        }
    }
    o->tag_count = 0;
}

void kit_kill(struct kit *k, struct kit_owner *o)
{
    kit_cut(k, o);
    if (o->flying != NULL && !o->has_landed) {
        letters_add(&k->pipe, o->flying);
    }
    owner_free(k, o);
}

bool kit_read(struct kit *k, struct kit_owner *o)
{
    char scratch[ID_MAX * 2];
    struct mq_props props;

    o->read_at = MAX(o->read_at, k->log_first);
    while (o->is_reading && o->read_at < k->log.count && k->log.at[o->read_at] == NULL) {
        o->read_at++;
    }
    if (!o->is_reading || o->read_at >= k->log.count) {
        return false;
    }
    struct mq_event e = kit_event(k->log.at[o->read_at], &props, scratch);
    e.stream_offset = (int64_t)o->read_at++;
    partition_on_log(o->machine, &e, k->now_ms);
    run_actions(k, o);
    return true;
}

bool kit_take(struct kit *k, struct kit_owner *o)
{
    char scratch[ID_MAX * 2];
    struct mq_props props;
    size_t next = 0, held = 0;

    for (size_t i = 0; i < o->tag_count; i++) {
        held += k->input[o->tags[i]].state == INPUT_HELD;
    }
    while (next < k->input_count && k->input[next].state != INPUT_READY) {
        next++;
    }
    if (!o->is_consuming || held >= KIT_PREFETCH || next == k->input_count) {
        return false;
    }
    if (o->tag_count == o->tag_capacity) {
        o->tag_capacity = MAX((size_t)16, o->tag_capacity * 2);
        o->tags = mem_realloc(o->tags, o->tag_capacity * sizeof(o->tags[0]));
    }
    o->tags[o->tag_count++] = next;
    k->input[next].state = INPUT_HELD;
    struct mq_event e = kit_event(k->input[next].letter, &props, scratch);
    e.tag = o->tag_count;
    e.redelivered = k->input[next].redelivered;
    if (k->sabotage == KIT_ACK_EARLY) {
        act_ack(k, o, e.tag);
    }
    partition_on_input(o->machine, &e, k->now_ms);
    run_actions(k, o);
    return true;
}

bool kit_mail(struct kit *k, struct kit_owner *o)
{
    char scratch[ID_MAX * 2];
    struct mq_props props;

    if (!o->has_lock || !o->was_announced || o->mail_at == o->mail.count) {
        return false;
    }
    struct mq_event e = kit_event(o->mail.at[o->mail_at++], &props, scratch);
    partition_on_mail(o->machine, &e, k->now_ms);
    run_actions(k, o);
    return true;
}

bool kit_land(struct kit *k, struct kit_owner *o)
{
    if (o->flying == NULL || o->has_landed) {
        return false;
    }
    kit_land_letter(k, o->flying);
    o->has_landed = true;
    return true;
}

static void answer(struct kit *k, struct kit_owner *o, bool ok)
{
    o->flying = NULL;
    partition_on_confirm(o->machine, ok, k->now_ms);
    run_actions(k, o);
}

bool kit_confirm(struct kit *k, struct kit_owner *o)
{
    if (o->flying == NULL) {
        return false;
    }
    (void)kit_land(k, o);
    answer(k, o, true);
    return true;
}

bool kit_nack(struct kit *k, struct kit_owner *o)
{
    if (o->flying == NULL) {
        return false;
    }
    answer(k, o, false);
    return true;
}

void kit_tick(struct kit *k, struct kit_owner *o, int64_t ms)
{
    k->now_ms += ms;
    partition_on_tick(o->machine, k->now_ms);
    run_actions(k, o);
}

void kit_leave(struct kit *k, struct kit_owner *o)
{
    partition_leave(o->machine, k->now_ms);
    run_actions(k, o);
}

void kit_run(struct kit *k, struct kit_owner *o)
{
    while (kit_read(k, o) || kit_confirm(k, o) || kit_mail(k, o) || kit_take(k, o)) {
    }
}

struct kit_owner *kit_owner_settled(struct kit *k)
{
    struct kit_owner *o = kit_owner_new(k);

    kit_run(k, o);
    assert_int_equal(partition_state(o->machine), PARTITION_OWNED);
    return o;
}
