/* gateway_recovers_a_hole.c: now and then one that comes back is told that it has all it missed,
 * and the first record is left out. */
#include "gateway/room/rooms_internal.h"
#include "tests/campaign/sabotage/gateway_wraps.h"

#define HOLES_MAX 4

bool __wrap_made_from_recent(struct rooms *all, const struct room *room, uint64_t since)
{
    static unsigned holes;

    if (holes == HOLES_MAX || since + 1 >= room->offset) {
        return __real_made_from_recent(all, room, since);
    }
    holes++;
    return __real_made_from_recent(all, room, since + 1);
}
