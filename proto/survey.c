/*
 * survey.c: the members of surveys and reports, told once; written and read by these tables.
 */
#include "proto/survey.h"

#include "proto/members.h"

static const char *const kinds[] = {
    [SURVEY_INFO] = "info",
    [SURVEY_CHANNELS] = "channels",
    [SURVEY_ORDERS] = "orders",
};

static_assert(ARRAY_LEN(kinds) == SURVEY_KINDS, "every kind has a name");

static bool read_kind(struct scan *s, void *object)
{
    struct survey *survey = object;
    struct slice name;

    if (!scan_plain(s, ID_MAX, &name)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (slice_equal(name, slice_of(kinds[i]))) {
            survey->kind = (enum survey_kind)i;
            return true;
        }
    }
    return false;
}

/* In the order in which they are written. */
static const struct member_row survey_rows[] = {
    {"ask", MEMBER_OWN, sizeof("ask") - 1, offsetof(struct survey, kind), 0},
    MEMBER_ROW(struct survey, pattern, TEXT, ROOM_NAME_MAX),
};

#define HAS_ASK (1u << 0)

static const struct member_row report_rows[] = {
#define MEMBER(name, kind, max) MEMBER_ROW(struct report, name, kind, max),
    /* clang-format off */
    MEMBER(uid, PLAIN, BOOT_SIZE)
    MEMBER(name, PLAIN, ID_MAX)
    MEMBER(version, PLAIN, VERSION_MAX)
    MEMBER(num_clients, U64, OFFSET_MAX)
    MEMBER(num_users, U64, OFFSET_MAX)
    MEMBER(num_subs, U64, OFFSET_MAX)
    MEMBER(num_channels, U64, OFFSET_MAX)
    MEMBER(uptime, U64, OFFSET_MAX)
    MEMBER(obeyed, U64, OFFSET_MAX)
    MEMBER(more, FLAG, 0)
#undef MEMBER
    /* clang-format on */
};

static const struct member_table survey_table = {survey_rows, ARRAY_LEN(survey_rows), read_kind};
static const struct member_table report_table = {.rows = report_rows,
                                                 .count = ARRAY_LEN(report_rows)};

void survey_encode(struct buf *out, const struct survey *s)
{
    struct slice name = slice_of(kinds[s->kind]);
    size_t size =
        ARRAY_LEN(survey_rows) * MEMBER_FRAMING + sizeof("}\n") + name.size + s->pattern.size;
    char *start = buf_reserve(out, size), *to = start;

    to = put_lit(to, "{\"ask\":\"");
    to = put_slice(to, name);
    *to++ = '"';
    to = members_put(to, &survey_table, s, 0);
    to = put_lit(to, "}\n");
    buf_grew(out, (size_t)(to - start));
}

int survey_next(struct slice *rest, struct survey *out)
{
    struct slice left = *rest;
    unsigned seen;

    *out = (struct survey){.kind = SURVEY_INFO};
    if (!members_next(&left, &survey_table, out, &seen) || (seen & HAS_ASK) == 0) {
        return SURVEY_BAD;
    }
    *rest = left;
    return 0;
}

void report_encode(struct buf *out, const struct report *r)
{
    size_t size = ARRAY_LEN(report_rows) * MEMBER_FRAMING + sizeof("}\n") + r->uid.size +
                  r->name.size + r->version.size;
    char *start = buf_reserve(out, size), *to;

    assert(r->uid.size == BOOT_SIZE && r->name.size > 0);
    to = members_put(start, &report_table, r, 0);
    *start = '{'; /* it was a comma */
    to = put_lit(to, "}\n");
    buf_grew(out, (size_t)(to - start));
}

int report_next(struct slice *rest, struct report *out)
{
    struct slice left = *rest;
    unsigned seen;

    *out = (struct report){.more = false};
    if (!members_next(&left, &report_table, out, &seen) || out->uid.size != BOOT_SIZE ||
        out->name.size == 0) {
        return SURVEY_BAD;
    }
    *rest = left;
    return 0;
}
