/*
 * members.c: see members.h. Lines are on the path of every message: one pass, no memory.
 */
#include "proto/members.h"

#include "proto/json.h"
#include "proto/record.h"
#include "proto/room.h"

/* Comparisons instead of a switch: this is asked of every row for every line. */
static inline bool is_set(const struct member_row *m, const void *field, bool is_told)
{
    if (m->kind <= MEMBER_OBJECT) {
        return ((const struct slice *)field)->size > 0;
    }
    if (m->kind == MEMBER_FLAG) {
        return *(const bool *)field;
    }
    if (m->kind == MEMBER_U64) {
        return *(const uint64_t *)field > 0;
    }
    if (m->kind == MEMBER_I64) {
        return *(const int64_t *)field != 0;
    }
    return m->kind == MEMBER_TOLD && is_told;
}

static inline char *put_value(char *to, const struct member_row *m, const void *field)
{
    switch (m->kind) {
    case MEMBER_ROOM:
    case MEMBER_KEY:
    case MEMBER_PLAIN:
    case MEMBER_TEXT:
        *to++ = '"';
        to = put_slice(to, *(const struct slice *)field);
        *to++ = '"';
        return to;
    case MEMBER_VALUE:
    case MEMBER_OBJECT:
        return put_slice(to, *(const struct slice *)field);
    case MEMBER_U64:
    case MEMBER_TOLD:
        return put_u64(to, *(const uint64_t *)field);
    case MEMBER_I64:
        return put_i64(to, *(const int64_t *)field);
    case MEMBER_FLAG:
        return put_lit(to, "true");
    case MEMBER_OWN:
        break;
    }
    return to;
}

char *members_put(char *to, const struct member_table *table, const void *object, unsigned told)
{
    const struct member_row *rows = table->rows;

    for (size_t i = 0, count = table->count; i < count; i++) {
        const struct member_row *m = &rows[i];
        const void *field = (const char *)object + m->at;

        if (is_set(m, field, (told >> i & 1) != 0)) {
            to = put_lit(to, ",\"");
            to = put_slice(to, (struct slice){m->name, m->name_size});
            to = put_lit(to, "\":");
            to = put_value(to, m, field);
        }
    }
    return to;
}

/* The place of a name, `count` if it is unknown. */
static inline size_t find(const struct member_table *table, struct slice name)
{
    const struct member_row *rows = table->rows;
    size_t i = 0, count = table->count;

    while (i < count &&
           !(rows[i].name_size == name.size && memcmp(rows[i].name, name.at, name.size) == 0)) {
        i++;
    }
    return i;
}

static bool read_member(struct scan *s, const struct member_table *table,
                        const struct member_row *m, void *object)
{
    void *field = (char *)object + m->at;
    struct slice *slice = field, raw;

    switch (m->kind) {
    case MEMBER_ROOM:
        return scan_plain(s, m->max, slice) && room_is_valid(*slice);
    case MEMBER_KEY:
        return scan_plain(s, m->max, slice) && record_key_is_valid(*slice);
    case MEMBER_PLAIN:
        return scan_plain(s, m->max, slice);
    case MEMBER_TEXT:
        return scan_text(s, m->max, slice);
    case MEMBER_VALUE:
        return scan_value(s, PAYLOAD_DEPTH_MAX - 1, slice) && slice->size <= m->max;
    case MEMBER_OBJECT:
        return scan_value(s, INFO_DEPTH_MAX, slice) && json_is_object(*slice) &&
               slice->size <= m->max;
    case MEMBER_U64:
    case MEMBER_TOLD:
        return scan_u64(s, field) && *(uint64_t *)field <= m->max;
    case MEMBER_I64:
        return scan_i64(s, field);
    case MEMBER_FLAG:
        return scan_value(s, 0, &raw) && json_bool(raw, field);
    case MEMBER_OWN:
        return table->read_own(s, object);
    }
    return false;
}

bool members_read(struct slice text, const struct member_table *table, void *object, unsigned *seen)
{
    struct scan s = scan_of(text);
    struct slice key, ignored;
    bool is_first = true;
    int answer;

    *seen = 0;
    if (!scan_enter(&s)) {
        return false;
    }
    while ((answer = scan_key(&s, &is_first, &key)) == SCAN_MEMBER) {
        size_t i = find(table, key);

        if (i == table->count) {
            if (!scan_value(&s, JSON_DEPTH_MAX - 1, &ignored)) {
                return false;
            }
            continue;
        }
        if ((*seen & 1u << i) != 0) {
            return false; /* twice */
        }
        *seen |= 1u << i;
        if (!read_member(&s, table, &table->rows[i], object)) {
            return false;
        }
    }
    return answer == SCAN_CLOSED && scan_is_done(&s) && (s.faults & SCAN_REFUSED) == 0;
}

bool members_next(struct slice *rest, const struct member_table *table, void *object,
                  unsigned *seen)
{
    struct slice line;

    return scan_line(rest, &line) && members_read(line, table, object, seen);
}
