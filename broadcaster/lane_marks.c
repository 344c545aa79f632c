/* lane_marks.c: how far each lane has come in one partition. */
#include "broadcaster/lane_marks.h"

#include <utlist.h>

#include "common/mem.h"

struct lane_mark *lane_marks_find(const struct lane_marks *l, struct slice boot)
{
    struct lane_mark *mark;

    assert(boot.size == BOOT_SIZE);
    HASH_FIND(hh, l->by_boot, boot.at, BOOT_SIZE, mark);
    return mark;
}

struct lane_mark *lane_marks_get(struct lane_marks *l, struct slice boot, int64_t now_ms)
{
    struct lane_mark *mark = lane_marks_find(l, boot);

    if (mark == NULL) {
        mark = mem_new(struct lane_mark);
        memcpy(mark->boot, boot.at, BOOT_SIZE);
        HASH_ADD(hh, l->by_boot, boot, BOOT_SIZE, mark);
        DL_APPEND(l->idlest, mark);
    } else if (mark->next != NULL) {
        DL_DELETE(l->idlest, mark);
        DL_APPEND(l->idlest, mark);
    }
    mark->active_ms = now_ms;
    return mark;
}

static void lane_mark_free(struct lane_marks *l, struct lane_mark *mark)
{
    HASH_DELETE(hh, l->by_boot, mark);
    DL_DELETE(l->idlest, mark);
    mem_free(mark);
}

void lane_marks_settle(struct lane_marks *l, int64_t now_ms)
{
    struct lane_mark *mark;

    DL_FOREACH (l->idlest, mark) {
        mark->active_ms = now_ms;
    }
    l->looked_ms = now_ms;
}

size_t lane_marks_tick(struct lane_marks *l, int64_t now_ms)
{
    struct lane_mark *mark;
    size_t evicted = 0;

    if (now_ms < l->looked_ms || now_ms - l->looked_ms > LANE_MARKS_LEAP_MS) {
        lane_marks_settle(l, now_ms);
    }
    l->looked_ms = now_ms;
    while ((mark = l->idlest) != NULL && mark->numbered == mark->confirmed) {
        bool is_old = now_ms - mark->active_ms > LANE_LIFE_MS;

        if (!is_old && HASH_COUNT(l->by_boot) <= LANE_MARKS_MAX) {
            break;
        }
        lane_mark_free(l, mark);
        evicted += !is_old;
    }
    return evicted;
}

void lane_marks_clear(struct lane_marks *l)
{
    while (l->idlest != NULL) {
        lane_mark_free(l, l->idlest);
    }
}

static bool take_number(struct slice *rest, uint64_t *out)
{
    const char *start = rest->at;

    *out = 0;
    while (rest->size > 0 && *rest->at >= '0' && *rest->at <= '9') {
        unsigned digit = (unsigned)(*rest->at - '0');
        if (*out > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *out = *out * 10 + digit;
        rest->at++;
        rest->size--;
    }
    return rest->at > start;
}

bool lane_marks_next(struct slice *rest, struct slice *boot, uint64_t *batch)
{
    while (rest->size > 0 && *rest->at == ' ') {
        rest->at++;
        rest->size--;
    }
    if (rest->size <= BOOT_SIZE || rest->at[BOOT_SIZE] != ':') {
        return false;
    }
    *boot = (struct slice){rest->at, BOOT_SIZE};
    rest->at += BOOT_SIZE + 1;
    rest->size -= BOOT_SIZE + 1;
    return take_number(rest, batch);
}
