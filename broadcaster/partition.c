/* partition.c: states, actions and entry points of a partition's machine. */
#include "broadcaster/partition.h"

#include <stdio.h>

#include "broadcaster/intake.h"
#include "broadcaster/mail.h"
#include "broadcaster/moves.h"
#include "broadcaster/partition_internal.h"
#include "common/mem.h"

#define IDLE_LOOKS_MAX 512 /* rooms looked at in vain, in one tick */

/* splitmix64 */
static uint64_t next_random(struct partition *p)
{
    uint64_t z = (p->random += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void partition_random_text(struct partition *p, char *text, size_t size)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t random = next_random(p);

    for (size_t i = 0; i < size; i++) {
        text[i] = digits[random % (sizeof(digits) - 1)];
        random /= sizeof(digits) - 1;
    }
    text[size] = '\0';
}

struct partition_action *partition_action_new(enum partition_action_kind kind)
{
    struct partition_action *a = mem_new(struct partition_action);

    a->kind = kind;
    return a;
}

void partition_act_put(struct partition *p, struct partition_action *a)
{
    a->next = NULL;
    *p->actions_last = a;
    p->actions_last = &a->next;
}

struct partition_action *partition_act(struct partition *p, enum partition_action_kind kind)
{
    struct partition_action *a = partition_action_new(kind);

    partition_act_put(p, a);
    return a;
}

void partition_action_fill(struct partition_action *a, const struct message *m)
{
    struct slice *texts[] = {&a->message.gateway, &a->message.boot, &a->message.owner,
                             &a->message.lanes};
    size_t size = 0;

    a->message = *m;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size += texts[i]->size;
    }
    buf_reserve(&a->texts, size); /* once: the slices stay where they are */
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *at = a->texts.at + a->texts.size;

        buf_add_slice(&a->texts, *texts[i]);
        texts[i]->at = at;
    }
    a->message.body = buf_slice(&a->body);
}

struct partition_action *partition_next_action(struct partition *p)
{
    struct partition_action *a = p->actions;

    if (a != NULL) {
        p->actions = a->next;
        if (p->actions == NULL) {
            p->actions_last = &p->actions;
        }
        a->next = NULL;
    }
    return a;
}

void partition_action_done(struct partition_action *a)
{
    buf_deinit(&a->texts);
    buf_deinit(&a->body);
    mem_free(a);
}

void partition_forget_log(struct partition *p)
{
    assert(p->followers.by_gateway == NULL);
    while (p->roster.idlest != NULL) {
        struct place *place = p->roster.idlest;
        shelf_clear(&p->shelf, place);
        roster_remove(&p->roster, place);
    }
    lane_marks_clear(&p->lanes);
    keys_clear(&p->keys);
    events_forget_read(p);
    p->era = (struct era){.has_idle = false};
}

struct partition *partition_new(const struct partition_conf *conf, struct partition_stats *stats,
                                int64_t now_ms)
{
    struct partition *p = mem_new(struct partition);

    assert(strlen(conf->owner) <= ID_MAX);
    p->conf = *conf;
    p->stats = stats;
    p->random = conf->seed;
    p->actions_last = &p->actions;
    p->plain_rules.defaults = (struct rule){.history_size = conf->history_size,
                                            .history_ttl_ms = conf->history_ttl_ms,
                                            .presence_max = conf->presence_max,
                                            .moves_max = conf->moves_max};
    roster_init(&p->roster, conf->rules != NULL ? conf->rules : &p->plain_rules, conf->rooms_max);
    p->shelf = (struct shelf){
        .bytes_max = conf->memory_max,
        .gauge = &stats->history_memory,
        .full = &stats->limits.met[OWNER_LIMIT_MEMORY],
    };
    p->keys = (struct keys){
        .max = conf->keys_max > 0 ? conf->keys_max : KEYS_MAX,
        .window_ms = conf->key_window_ms,
        .evicted = &stats->limits.met[OWNER_LIMIT_KEYS],
    };
    appends_init(&p->appends);
    waiting_init(&p->waiting);
    events_init(&p->events);
    (void)snprintf(p->nonce, sizeof(p->nonce), "%016llx", (unsigned long long)next_random(p));
    takeover_begin(p, now_ms);
    return p;
}

void partition_rules_changed(struct partition *p, int64_t key_window_ms)
{
    struct place *place, *next;

    p->conf.key_window_ms = key_window_ms;
    p->keys.window_ms = key_window_ms;
    roster_rules_changed(&p->roster);
    HASH_ITER (hh, p->roster.by_name, place, next) {
        shelf_settle(&p->shelf, place);
    }
}

struct partition *partition_free(struct partition *p)
{
    struct partition_action *a;

    if (p == NULL) {
        return NULL;
    }
    followers_clear(p);
    moves_past_deinit(&p->moves_past);
    partition_forget_log(p);
    waiting_deinit(&p->waiting);
    events_deinit(p);
    appends_deinit(&p->appends);
    buf_deinit(&p->audience);
    while ((a = partition_next_action(p)) != NULL) {
        partition_action_done(a);
    }
    mem_free(p);
    return NULL;
}

static bool is_serving(const struct partition *p)
{
    return p->state == PARTITION_OWNED || p->state == PARTITION_LEAVING;
}

void partition_end(struct partition *p, enum partition_action_kind last)
{
    partition_act(p, last);
    p->state = PARTITION_GONE;
}

void partition_taken_over(struct partition *p, int64_t now_ms)
{
    struct checkpoint *c = &p->checkpoint;

    p->state = PARTITION_OWNED;
    p->era.told_ms = now_ms;
    c->owned_ms = now_ms;
    stat_add(&p->stats->takeovers, 1);
    shelf_tick(&p->shelf, now_ms);
    keys_settle(&p->keys, now_ms);
    lane_marks_settle(&p->lanes, now_ms); /* nobody was here to take what may still wait */
    if (c->bytes > p->conf.checkpoint_bytes / 2 || c->messages > CHECKPOINT_MESSAGES / 2) {
        c->due_ms = now_ms + CHECKPOINT_SETTLE_MS;
    }
    partition_act(p, PARTITION_STOP_READING);
    partition_act(p, PARTITION_CONSUME);
    partition_action_fill(partition_act(p, PARTITION_ANNOUNCE),
                          &(struct message){.type = MESSAGE_OWNER,
                                            .partition = p->conf.number,
                                            .term = p->term,
                                            .owner = slice_of(p->conf.owner),
                                            .time_ms = now_ms});
    events_taken_over(p);
    lookback_fill(p, p->takeover.begun_at);
}

/* Nothing is on its way any more: one last checkpoint, then the end. Whatever the broker had
 * delivered when the input was stopped has come before the checkpoint's confirm, and was served. */
static void leave_further(struct partition *p, int64_t now_ms)
{
    bool knows_something = p->roster.by_name != NULL || p->lanes.by_boot != NULL;
    bool is_first = !p->has_taken_leave;

    p->has_taken_leave = true;
    if (knows_something && (is_first || p->checkpoint.messages > 0)) {
        checkpoint_write(p, now_ms);
        appends_pump(p, now_ms);
    } else {
        partition_end(p, PARTITION_RELEASE);
    }
}

/* What can be done next on the way to the log. */
static void go_on(struct partition *p, int64_t now_ms)
{
    if (!is_serving(p)) {
        return;
    }
    bool is_free = !p->appends.in_flight && p->appends.retry_ms == 0;
    if (is_free && checkpoint_is_due(p, now_ms)) {
        checkpoint_write(p, now_ms);
    }
    appends_pump(p, now_ms);
    if (p->state == PARTITION_LEAVING && p->appends.first == NULL) {
        leave_further(p, now_ms);
    }
}

void partition_on_log(struct partition *p, const struct mq_event *e, int64_t now_ms)
{
    if (p->state == PARTITION_OWNED) {
        lookback_on_log(p, e, now_ms);
    } else {
        takeover_on_log(p, e, now_ms);
    }
    go_on(p, now_ms);
}

void partition_on_confirm(struct partition *p, bool ok, int64_t now_ms)
{
    if (p->state == PARTITION_GONE) {
        return;
    }
    appends_on_confirm(p, ok, now_ms);
    go_on(p, now_ms);
}

void partition_on_event_confirm(struct partition *p, uint64_t number, bool multiple, bool ok)
{
    events_on_confirm(p, number, multiple, ok);
}

void partition_on_input(struct partition *p, const struct mq_event *e, int64_t now_ms)
{
    if (!is_serving(p)) {
        return; /* it goes back to the queue, unacked, for the next owner */
    }
    intake_take(p, e, now_ms);
    go_on(p, now_ms);
}

void partition_on_mail(struct partition *p, const struct mq_event *e, int64_t now_ms)
{
    if (is_serving(p)) {
        mail_take(p, e, now_ms);
    }
}

void partition_on_gateway_gone(struct partition *p, struct slice gateway)
{
    struct follower *f = followers_find(&p->followers, gateway);

    if (f != NULL && is_serving(p)) {
        int64_t heard_ms = f->heard_ms;
        followers_drop(p, f, heard_ms);
        /* If it is back already, it will hear this; else this comes back and meets nobody. */
        followers_call(p, gateway, heard_ms);
    }
}

/* Looks for rooms that were idle for too long, the idlest first: a checkpoint forgets them. */
static void find_idle_rooms(struct partition *p, int64_t now_ms)
{
    struct place *place;
    unsigned kept = 0;

    while (!p->era.has_idle && kept < IDLE_LOOKS_MAX &&
           (place = roster_sweep(&p->roster, now_ms)) != NULL) {
        if (now_ms - place->active_ms <= place->rule->history_ttl_ms) {
            kept++;
            continue;
        }
        if (place_is_wanted(place) || place->pending > 0) {
            roster_touch(&p->roster, place, now_ms);
            continue;
        }
        p->era.has_idle = true;
    }
}

void partition_on_tick(struct partition *p, int64_t now_ms)
{
    if (p->state == PARTITION_GONE) {
        return;
    }
    shelf_tick(&p->shelf, now_ms);
    if (!is_serving(p)) {
        takeover_tick(p, now_ms);
    } else {
        followers_tick(p, now_ms);
        moves_tick(p, now_ms);
        find_idle_rooms(p, now_ms);
        stat_add(&p->stats->limits.met[OWNER_LIMIT_LANES], lane_marks_tick(&p->lanes, now_ms));
        keys_trim(&p->keys, now_ms);
        lookback_tick(p, now_ms);
        mail_tick(p, now_ms);
    }
    appends_tick(p, now_ms);
    go_on(p, now_ms);
}

void partition_leave(struct partition *p, int64_t now_ms)
{
    switch (p->state) {
    case PARTITION_CLAIMING:
    case PARTITION_REPLAYING:
        partition_act(p, PARTITION_STOP_READING);
        partition_end(p, PARTITION_RELEASE);
        break;
    case PARTITION_OWNED:
        p->state = PARTITION_LEAVING;
        lookback_end(p);
        mail_retake(p, now_ms);
        partition_act(p, PARTITION_STOP_INPUT);
        go_on(p, now_ms);
        break;
    case PARTITION_LEAVING:
    case PARTITION_GONE:
        break;
    }
}

enum partition_state partition_state(const struct partition *p)
{
    return p->state;
}

uint64_t partition_term(const struct partition *p)
{
    return p->term;
}

size_t partition_rooms(const struct partition *p)
{
    return roster_count(&p->roster);
}

size_t partition_gateways(const struct partition *p)
{
    return HASH_COUNT(p->followers.by_gateway);
}

size_t partition_members(const struct partition *p)
{
    return p->followers.members;
}

bool partition_is_filled(const struct partition *p)
{
    return p->lookback.is_filled;
}

size_t partition_backlog(const struct partition *p)
{
    return p->backlog;
}
