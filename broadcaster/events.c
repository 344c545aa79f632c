/* events.c: see events.h. */
#include "broadcaster/events.h"

#include <inttypes.h>

#include "broadcaster/partition_internal.h"
#include "broadcaster/presence.h"

static struct partition_action *tell(struct partition *p, const char *event,
                                     const struct place *place)
{
    struct partition_action *a = partition_act(p, PARTITION_EVENT);

    a->event = event;
    buf_addf(&a->texts, "%s.%.*s", event, SLICE_ARG(place_name(place)));
    buf_add_char(&a->texts, '\0');
    stat_add(&p->stats->events, 1);
    return a;
}

/* The two lines of a record as one object: {what warren says,"data":what the user said}. */
static void add_record(struct buf *out, struct slice lines)
{
    const char *end = memchr(lines.at, '\n', lines.size);

    assert(end != NULL && end > lines.at && end[-1] == '}');
    buf_add(out, lines.at, (size_t)(end - 1 - lines.at));
    buf_add_lit(out, ",\"data\":");
    buf_add(out, end + 1, (size_t)(lines.at + lines.size - 1 - (end + 1)));
    buf_add_char(out, '}');
}

void events_records(struct partition *p, const struct append *a)
{
    for (size_t i = 0; i < a->record_count; i++) {
        const struct append_record *r = &a->records[i];

        if ((r->place->rule->tells & RULE_TELLS_RECORD) != 0) {
            struct partition_action *event = tell(p, "record", r->place);

            add_record(&event->body, (struct slice){a->body.at + r->at, r->end - r->at});
        }
    }
}

void events_move(struct partition *p, const struct member *m, bool left, int64_t now_ms)
{
    struct line line = {.has_offset = false};

    if ((m->place->rule->tells & (left ? RULE_TELLS_LEAVE : RULE_TELLS_JOIN)) == 0) {
        return;
    }
    struct partition_action *event = tell(p, left ? "leave" : "join", m->place);
    member_line(m, &line);
    line.time = now_ms;
    line_encode(&event->body, &line);
    event->body.size--; /* its LF */
}
