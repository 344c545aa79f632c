/* era.c: see era.h: names of lives, and when they may be used again: never. */
#include "broadcaster/era.h"

#include "broadcaster/partition_internal.h"
#include "proto/line.h"

#define OWN_SIZE 6 /* characters more of an epoch that is made for one room */

/* Rooms wait one time longer to be forgotten for so many bytes of checkpoint: however many rooms
 * come and go, the log is not full of what is forgotten. */
#define TOLD_BYTES (128 << 10)

static_assert(ERA_SIZE + OWN_SIZE <= EPOCH_MAX, "an epoch that is made for one room fits");

void era_place(struct partition *p, struct place *place)
{
    assert(p->era.epoch[0] != '\0');
    if (place->numbered.epoch[0] == '\0') {
        position_set(&place->numbered, era_epoch(p), 0);
    }
    if (place->confirmed.epoch[0] == '\0') {
        position_set(&place->confirmed, slice_of(place->numbered.epoch), 0);
    }
}

void era_renew(struct partition *p, struct place *place)
{
    char epoch[EPOCH_MAX + 1];

    memcpy(epoch, p->era.epoch, ERA_SIZE);
    partition_random_text(p, epoch + ERA_SIZE, OWN_SIZE);
    position_set(&place->numbered, slice_of(epoch), 0);
    place->renews = false;
}

struct slice era_epoch(const struct partition *p)
{
    return slice_of(p->era.epoch);
}

bool era_holds(const struct partition *p, const struct place *place)
{
    return (place->confirmed.offset > 0 || place->renews) &&
           strncmp(place->confirmed.epoch, p->era.epoch, ERA_SIZE) == 0;
}

bool era_is_due(const struct partition *p, int64_t now_ms)
{
    int64_t times = 1 + (int64_t)(p->checkpoint.last_bytes / TOLD_BYTES);

    return p->era.has_idle && now_ms - p->era.told_ms >= times * p->conf.era_ms;
}

void era_mark(struct partition *p, struct buf *body)
{
    if (p->era.epoch[0] == '\0') {
        partition_random_text(p, p->era.epoch, ERA_SIZE);
    }
    line_encode(body, &(struct line){.epoch = era_epoch(p)});
}

void era_read_mark(struct partition *p, const struct message *m, bool is_whole)
{
    struct slice rest = m->body;
    struct line line;

    if (is_whole && p->era.epoch[0] == '\0' && line_next(&rest, &line) == 0 &&
        line.epoch.size == ERA_SIZE) {
        memcpy(p->era.epoch, line.epoch.at, ERA_SIZE);
    }
}

struct slice era_checkpoint(struct partition *p, bool is_next, int64_t now_ms)
{
    if (is_next) {
        partition_random_text(p, p->era.next, ERA_SIZE);
    } else {
        memcpy(p->era.next, p->era.epoch, sizeof(p->era.next));
    }
    p->era.has_idle = false;
    p->era.told_ms = now_ms;
    return slice_of(p->era.next);
}

bool era_read_checkpoint(struct partition *p, struct slice epoch)
{
    if (epoch.size != ERA_SIZE) {
        return false;
    }
    memcpy(p->era.next, epoch.at, ERA_SIZE);
    return true;
}

void era_on_checkpoint(struct partition *p)
{
    if (p->era.next[0] != '\0') {
        memcpy(p->era.epoch, p->era.next, sizeof(p->era.epoch));
    }
}
