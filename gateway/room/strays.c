/*
 * strays.c: see strays.h.
 */
#include "gateway/room/strays.h"

#include "common/hash.h"
#include "common/mem.h"
#include "proto/limits.h"

struct stray {
    UT_hash_handle hh;
    uint32_t count;
    size_t room_size;
    char room[ROOM_NAME_MAX];
};

void strays_clear(struct strays *s)
{
    struct stray *stray, *next;

    HASH_ITER (hh, s->by_room, stray, next) {
        HASH_DELETE(hh, s->by_room, stray);
        mem_free(stray);
    }
}

void strays_add(struct strays *s, struct slice room)
{
    struct stray *stray;

    HASH_FIND(hh, s->by_room, room.at, room.size, stray);
    if (stray == NULL) {
        assert(room.size <= sizeof(stray->room));
        stray = mem_new(struct stray);
        stray->room_size = room.size;
        memcpy(stray->room, room.at, room.size);
        HASH_ADD_KEYPTR(hh, s->by_room, stray->room, stray->room_size, stray);
    }
    stray->count++;
}

bool strays_take(struct strays *s, struct slice room)
{
    struct stray *stray;

    HASH_FIND(hh, s->by_room, room.at, room.size, stray);
    if (stray == NULL) {
        return false;
    }
    if (--stray->count == 0) {
        HASH_DELETE(hh, s->by_room, stray);
        mem_free(stray);
    }
    return true;
}
