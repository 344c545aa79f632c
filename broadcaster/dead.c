/* dead.c: dead letters: copies of messages that nobody can use. */
#include "broadcaster/dead.h"

#include "common/mem.h"

struct dead_letter {
    struct dead_letter *next;
    uint32_t partition;
    uint64_t tag;
    uint64_t confirm; /* number of its publish; 0: not published */
    bool is_copied;
    struct mq_props props; /* slices into `bytes`, but for the names and values that we add */
    struct slice body;
    size_t size;
    char bytes[];
};

void dead_init(struct dead *d, struct metrics *metrics)
{
    *d = (struct dead){.metrics = metrics, .pause_ms = DEAD_PAUSE_MS};
    d->last = &d->first;
}

/* Takes out the letter that `at` points to. */
static void drop(struct dead *d, struct dead_letter **at)
{
    struct dead_letter *l = *at;

    *at = l->next;
    if (*at == NULL) {
        d->last = at;
    }
    d->bytes -= l->size;
    stat_sub(&d->metrics->dead_waiting, 1);
    mem_free(l);
}

void dead_clear(struct dead *d)
{
    while (d->first != NULL) {
        drop(d, &d->first);
    }
    dead_init(d, d->metrics);
}

void dead_forget(struct dead *d, uint32_t partition)
{
    struct dead_letter **at = &d->first;

    while (*at != NULL) {
        if ((*at)->partition == partition) {
            drop(d, at);
        } else {
            at = &(*at)->next;
        }
    }
}

static size_t size_of(const struct mq_event *e)
{
    const struct mq_props *p = &e->props;
    size_t size = p->content_type.size + p->type.size + p->app_id.size + p->message_id.size +
                  p->correlation_id.size + e->key.size + e->body.size;

    for (size_t i = 0; i < p->header_count; i++) {
        size += p->headers[i].name.size + p->headers[i].text.size;
    }
    return size;
}

/* Copies the bytes of `s` to `*at`, which moves on. */
static struct slice copy(char **at, struct slice s)
{
    struct slice copied = {*at, s.size};

    if (s.size > 0) {
        memcpy(*at, s.at, s.size);
        *at += s.size;
    }
    return copied;
}

static void copy_props(struct mq_props *to, char **at, const struct mq_event *e, const char *reason)
{
    const struct mq_props *from = &e->props;

    to->content_type = copy(at, from->content_type);
    to->type = copy(at, from->type);
    to->app_id = copy(at, from->app_id);
    to->message_id = copy(at, from->message_id);
    to->correlation_id = copy(at, from->correlation_id);
    to->timestamp_s = from->timestamp_s;
    to->persistent = true;
    mq_props_text(to, "reason", slice_of(reason));
    mq_props_text(to, "key", copy(at, e->key));
    for (size_t i = 0; i < from->header_count && to->header_count < MQ_HEADERS_MAX; i++) {
        const struct mq_header *h = &from->headers[i];
        if (slice_equal(h->name, SLICE_LIT("reason")) || slice_equal(h->name, SLICE_LIT("key"))) {
            continue;
        }
        struct mq_header *kept = &to->headers[to->header_count++];
        *kept = *h;
        kept->name = copy(at, h->name);
        kept->text = copy(at, h->text);
    }
}

bool dead_add(struct dead *d, uint32_t partition, const struct mq_event *e, const char *reason)
{
    size_t size = sizeof(struct dead_letter) + size_of(e);

    metrics_dead(d->metrics, reason);
    if (e->too_large) {
        return false;
    }
    if (d->bytes + size > DEAD_BYTES_MAX) {
        owner_limit_met(&d->metrics->partition.limits, OWNER_LIMIT_DEAD_BYTES);
        return false;
    }
    struct dead_letter *l = mem_zalloc(1, size);
    char *at = l->bytes;
    l->partition = partition;
    l->tag = e->tag;
    l->size = size;
    copy_props(&l->props, &at, e, reason);
    l->body = copy(&at, e->body);
    *d->last = l;
    d->last = &l->next;
    d->bytes += size;
    stat_add(&d->metrics->dead_waiting, 1);
    return true;
}

int dead_publish(struct dead *d, struct mq *m, uint16_t channel, const struct topology *t,
                 int64_t now_ms)
{
    char name[TOPOLOGY_NAME_SIZE];

    for (struct dead_letter *l = d->first; l != NULL && now_ms >= d->retry_ms; l = l->next) {
        if (l->confirm != 0 || l->is_copied) {
            continue;
        }
        int rc =
            mq_publish(m, channel, topology_name(name, t, "dead"), "", false, &l->props, l->body);
        if (rc == MQ_REFUSED) {
            /* Its headers are larger than a frame together with ours: the reason must do. */
            l->props.header_count = 2;
            rc = mq_publish(m, channel, name, "", false, &l->props, l->body);
        }
        if (rc == MQ_LOST) {
            return MQ_LOST;
        }
        l->confirm = ++d->published;
    }
    return MQ_OK;
}

/* What comes together is one refusal. */
static void refused(struct dead *d, int64_t now_ms)
{
    if (now_ms >= d->retry_ms) {
        d->retry_ms = now_ms + d->pause_ms;
        d->pause_ms = MIN(2 * d->pause_ms, DEAD_PAUSE_MAX_MS);
        d->refusals++;
    }
}

void dead_on_event(struct dead *d, const struct mq_event *e, int64_t now_ms)
{
    for (struct dead_letter *l = d->first; l != NULL; l = l->next) {
        bool is_meant = e->kind == MQ_CHANNEL_CLOSED || l->confirm == e->tag ||
                        (e->multiple && l->confirm < e->tag);
        if (l->confirm != 0 && is_meant) {
            l->is_copied = e->kind == MQ_ACK;
            l->confirm = 0;
        }
    }
    if (e->kind == MQ_CHANNEL_CLOSED) {
        d->published = 0;
        d->refusals = 0;
    } else if (e->kind == MQ_NACK) {
        refused(d, now_ms);
    } else {
        d->refusals = 0;
        d->pause_ms = DEAD_PAUSE_MS;
    }
}

bool dead_wants_channel(const struct dead *d)
{
    return d->refusals >= DEAD_REFUSALS_MAX;
}

bool dead_next_copied(struct dead *d, uint32_t *partition, uint64_t *tag)
{
    for (struct dead_letter **at = &d->first; *at != NULL; at = &(*at)->next) {
        if ((*at)->is_copied) {
            *partition = (*at)->partition;
            *tag = (*at)->tag;
            drop(d, at);
            return true;
        }
    }
    return false;
}
