/* mq_props.c: properties and headers of messages, to and from the library's form. */
#include "common/mq_internal.h"

static struct mq_header *add(struct mq_props *p, const char *name)
{
    assert(p->header_count < MQ_HEADERS_MAX);
    struct mq_header *h = &p->headers[p->header_count++];
    *h = (struct mq_header){.name = slice_of(name)};
    return h;
}

void mq_props_number(struct mq_props *p, const char *name, int64_t value)
{
    struct mq_header *h = add(p, name);

    h->is_number = true;
    h->number = value;
}

void mq_props_text(struct mq_props *p, const char *name, struct slice value)
{
    add(p, name)->text = value;
}

static const struct mq_header *find(const struct mq_props *p, const char *name)
{
    struct slice wanted = slice_of(name);

    for (size_t i = 0; i < p->header_count; i++) {
        if (slice_equal(p->headers[i].name, wanted)) {
            return &p->headers[i];
        }
    }
    return NULL;
}

bool mq_props_get_number(const struct mq_props *p, const char *name, int64_t *value)
{
    const struct mq_header *h = find(p, name);

    if (h == NULL || !h->is_number) {
        return false;
    }
    *value = h->number;
    return true;
}

bool mq_props_get_text(const struct mq_props *p, const char *name, struct slice *value)
{
    const struct mq_header *h = find(p, name);

    if (h == NULL || h->is_number) {
        return false;
    }
    *value = h->text;
    return true;
}

/* Clients of other kinds send the same number in any width. False: not a number that fits. */
static bool read_number(const amqp_field_value_t *v, int64_t *number)
{
    switch (v->kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
        *number = v->value.boolean != 0;
        return true;
    case AMQP_FIELD_KIND_I8:
        *number = v->value.i8;
        return true;
    case AMQP_FIELD_KIND_U8:
        *number = v->value.u8;
        return true;
    case AMQP_FIELD_KIND_I16:
        *number = v->value.i16;
        return true;
    case AMQP_FIELD_KIND_U16:
        *number = v->value.u16;
        return true;
    case AMQP_FIELD_KIND_I32:
        *number = v->value.i32;
        return true;
    case AMQP_FIELD_KIND_U32:
        *number = v->value.u32;
        return true;
    case AMQP_FIELD_KIND_I64:
        *number = v->value.i64;
        return true;
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        *number = (int64_t)v->value.u64;
        return v->value.u64 <= INT64_MAX;
    default:
        return false;
    }
}

/* False: of a kind that we do not read. */
static bool read_header(const amqp_table_entry_t *e, struct mq_header *h)
{
    *h = (struct mq_header){.name = mq_slice(e->key)};
    if (e->value.kind == AMQP_FIELD_KIND_UTF8 || e->value.kind == AMQP_FIELD_KIND_BYTES) {
        h->text = mq_slice(e->value.value.bytes);
        return true;
    }
    h->is_number = read_number(&e->value, &h->number);
    return h->is_number;
}

void mq_props_read(struct mq_props *p, const amqp_basic_properties_t *from, int64_t *stream_offset)
{
    const struct {
        amqp_flags_t flag;
        const amqp_bytes_t *from;
        struct slice *to;
    } texts[] = {
        {AMQP_BASIC_CONTENT_TYPE_FLAG, &from->content_type, &p->content_type},
        {AMQP_BASIC_TYPE_FLAG, &from->type, &p->type},
        {AMQP_BASIC_APP_ID_FLAG, &from->app_id, &p->app_id},
        {AMQP_BASIC_MESSAGE_ID_FLAG, &from->message_id, &p->message_id},
        {AMQP_BASIC_CORRELATION_ID_FLAG, &from->correlation_id, &p->correlation_id},
        {AMQP_BASIC_USER_ID_FLAG, &from->user_id, &p->user_id},
    };

    *stream_offset = -1;
    p->header_count = 0;
    p->has_more = false;
    p->timestamp_s = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        bool has = (from->_flags & texts[i].flag) != 0;
        *texts[i].to = has ? mq_slice(*texts[i].from) : SLICE_NONE;
    }
    if ((from->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0 && from->timestamp <= INT64_MAX) {
        p->timestamp_s = (int64_t)from->timestamp;
    }
    p->persistent = (from->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0 &&
                    from->delivery_mode == AMQP_DELIVERY_PERSISTENT;
    int count = (from->_flags & AMQP_BASIC_HEADERS_FLAG) != 0 ? from->headers.num_entries : 0;
    for (int i = 0; i < count; i++) {
        struct mq_header h;
        if (!read_header(&from->headers.entries[i], &h)) {
            continue;
        }
        if (h.is_number && slice_equal(h.name, SLICE_LIT("x-stream-offset"))) {
            *stream_offset = h.number;
        } else if (p->header_count < MQ_HEADERS_MAX) {
            p->headers[p->header_count++] = h;
        } else {
            p->has_more = true;
        }
    }
}

static bool set_text(amqp_basic_properties_t *to, amqp_flags_t flag, amqp_bytes_t *field,
                     struct slice text)
{
    if (text.size > 0) {
        to->_flags |= flag;
        *field = mq_bytes(text);
    }
    return text.size <= MQ_SHORT_MAX;
}

bool mq_props_write(const struct mq_props *p, amqp_basic_properties_t *to,
                    amqp_table_entry_t *entries)
{
    *to = (amqp_basic_properties_t){0};
    bool fits =
        set_text(to, AMQP_BASIC_CONTENT_TYPE_FLAG, &to->content_type, p->content_type) &&
        set_text(to, AMQP_BASIC_TYPE_FLAG, &to->type, p->type) &&
        set_text(to, AMQP_BASIC_APP_ID_FLAG, &to->app_id, p->app_id) &&
        set_text(to, AMQP_BASIC_MESSAGE_ID_FLAG, &to->message_id, p->message_id) &&
        set_text(to, AMQP_BASIC_CORRELATION_ID_FLAG, &to->correlation_id, p->correlation_id);

    to->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
    to->delivery_mode = p->persistent ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT;
    if (p->timestamp_s > 0) {
        to->_flags |= AMQP_BASIC_TIMESTAMP_FLAG;
        to->timestamp = (uint64_t)p->timestamp_s;
    }
    for (size_t i = 0; i < p->header_count; i++) {
        const struct mq_header *h = &p->headers[i];
        entries[i] = (amqp_table_entry_t){.key = mq_bytes(h->name)};
        entries[i].value.kind = h->is_number ? AMQP_FIELD_KIND_I64 : AMQP_FIELD_KIND_UTF8;
        if (h->is_number) {
            entries[i].value.value.i64 = h->number;
        } else {
            entries[i].value.value.bytes = mq_bytes(h->text);
        }
        fits = fits && h->name.size <= MQ_SHORT_MAX;
    }
    if (p->header_count > 0) {
        to->_flags |= AMQP_BASIC_HEADERS_FLAG;
        to->headers = (amqp_table_t){(int)p->header_count, entries};
    }
    return fits;
}
