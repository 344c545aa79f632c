/*
 * room.c: see room.h.
 */
#include "proto/room.h"

#include "common/hash.h"

bool room_is_valid(struct slice name)
{
    char before = '\0';

    if (name.size == 0 || name.size > ROOM_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        char c = name.at[i];

        if (c < 0x21 || c > 0x7e || c == '"' || c == '\\' || c == '*' ||
            (c == '.' && before == '.')) {
            return false;
        }
        before = c;
    }
    return true;
}

uint32_t room_partition(struct slice name, uint32_t partitions)
{
    assert(partitions > 0);
    return (uint32_t)(hash_frozen(name.at, name.size) % partitions);
}
