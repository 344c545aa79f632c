/* mq_channel.c: requests to the broker that wait for its answer. */
#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/mq_internal.h"

#define ARGS_MAX 12

struct mq_channel *mq_channel_find(const struct mq *m, uint16_t number)
{
    return number < m->channel_count ? m->channels[number] : NULL;
}

static struct mq_channel *make_channel(struct mq *m, uint16_t number)
{
    if (number >= m->channel_count) {
        size_t count = MAX((size_t)number + 1, m->channel_count * 2);
        m->channels = mem_realloc(m->channels, count * sizeof(struct mq_channel *));
        for (size_t i = m->channel_count; i < count; i++) {
            m->channels[i] = NULL;
        }
        m->channel_count = count;
    }
    if (m->channels[number] == NULL) {
        m->channels[number] = mem_new(struct mq_channel);
    }
    return m->channels[number];
}

static int send_close_ok(struct mq *m, uint16_t number)
{
    amqp_channel_close_ok_t ok = {0};
    int status = amqp_send_method(m->amqp, number, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);

    return status == AMQP_STATUS_OK ? MQ_OK : mq_lose_status(m, status);
}

/* Before a request: the library would wait without end for a socket that takes nothing. Frames that
 * it queued are taken in, for one of them may be the close of the very channel, on which the broker
 * answers no more. */
static int prepare(struct mq *m)
{
    if (!mq_enter(m)) {
        return MQ_LOST;
    }
    struct pollfd writable = {.fd = m->fd, .events = POLLOUT};
    if (poll(&writable, 1, MQ_RPC_MS) == 0) {
        return mq_lose(m, 0, "the broker takes no request for %d ms", MQ_RPC_MS);
    }
    return mq_save_queued(m);
}

/* A refusal closes the channel: answers that, opens it again, keeps the reason. */
static int refuse(struct mq *m, uint16_t number, int code, struct slice text)
{
    mq_set_error(m, code, text);
    /* Frames of the old life still in the library's queue must not be taken for the new one's. */
    if (mq_save_queued(m) != MQ_OK) {
        return MQ_LOST;
    }
    return mq_channel_reopen(m, number) == MQ_OK ? MQ_REFUSED : MQ_LOST;
}

static int judge(struct mq *m, uint16_t number, amqp_rpc_reply_t reply)
{
    m->is_drained = false;
    atomic_store(&m->progress_ms, clock_mono_ms());
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        mq_release(m, number);
        return MQ_OK;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            const amqp_channel_close_t *close = reply.reply.decoded;
            return refuse(m, number, close->reply_code, mq_slice(close->reply_text));
        }
        if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
            return mq_lose_closed(m, reply.reply.decoded);
        }
        return mq_lose(m, 0, "unexpected answer");
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        return mq_lose_status(m, reply.library_error);
    case AMQP_RESPONSE_NONE:
        break;
    }
    return mq_lose(m, 0, "no answer");
}

/* Starts a request on an open channel. MQ_REFUSED: the broker had closed it by itself. */
static int begin(struct mq *m, uint16_t number)
{
    int rc = prepare(m);

    if (rc != MQ_OK) {
        return rc;
    }
    const struct mq_channel *c = mq_channel_find(m, number);
    assert(c != NULL && c->is_open);
    if (c->is_closing) {
        return refuse(m, number, c->close_code, slice_of(c->close_text));
    }
    return MQ_OK;
}

static int finish(struct mq *m, uint16_t number)
{
    return judge(m, number, amqp_get_rpc_reply(m->amqp));
}

static int open_on_wire(struct mq *m, uint16_t number, bool has_confirms)
{
    (void)amqp_channel_open(m->amqp, number);
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(m->amqp);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL && has_confirms) {
        (void)amqp_confirm_select(m->amqp, number);
        reply = amqp_get_rpc_reply(m->amqp);
    }
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        return mq_lose(m, 0, "the broker refuses to open a channel");
    }
    return judge(m, number, reply);
}

int mq_channel_reopen(struct mq *m, uint16_t number)
{
    struct mq_channel *c = mq_channel_find(m, number);

    if (send_close_ok(m, number) != MQ_OK) {
        return MQ_LOST;
    }
    mq_drop_events(m, number);
    c->is_closing = false;
    return open_on_wire(m, number, c->has_confirms);
}

int mq_channel_open(struct mq *m, uint16_t channel, bool confirms)
{
    assert(channel > 0 && channel <= MQ_CHANNEL_MAX);
    int rc = prepare(m);
    if (rc != MQ_OK) {
        return rc;
    }
    if (channel > amqp_get_channel_max(m->amqp)) {
        return mq_lose(m, 0, "the broker allows %d channels", amqp_get_channel_max(m->amqp));
    }
    struct mq_channel *c = make_channel(m, channel);
    assert(!c->is_open);
    c->has_confirms = confirms;
    rc = open_on_wire(m, channel, confirms);
    c->is_open = rc == MQ_OK;
    return rc;
}

int mq_channel_close(struct mq *m, uint16_t channel)
{
    int rc = prepare(m);

    if (rc != MQ_OK) {
        return rc;
    }
    struct mq_channel *c = mq_channel_find(m, channel);
    assert(c != NULL && c->is_open);
    if (c->is_closing) {
        rc = send_close_ok(m, channel);
    } else {
        amqp_rpc_reply_t reply = amqp_channel_close(m->amqp, channel, AMQP_REPLY_SUCCESS);
        bool has_crossed = reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
                           reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD;
        rc = has_crossed ? send_close_ok(m, channel) : judge(m, channel, reply);
    }
    if (rc != MQ_OK || mq_save_queued(m) != MQ_OK) {
        return MQ_LOST;
    }
    mq_drop_events(m, channel);
    c->is_closing = false;
    c->is_open = false;
    return MQ_OK;
}

/* Arguments in the library's form; `entries` has room for ARGS_MAX and must live as long as the
 * result. */
static amqp_table_t make_table(const struct mq_arg *args, amqp_table_entry_t *entries)
{
    int count = 0;

    for (const struct mq_arg *a = args; a != NULL && a->name != NULL; a++) {
        assert(count < ARGS_MAX);
        amqp_table_entry_t *e = &entries[count++];
        e->key = mq_bytes_of(a->name);
        if (a->text != NULL) {
            e->value.kind = AMQP_FIELD_KIND_UTF8;
            e->value.value.bytes = mq_bytes_of(a->text);
        } else if (a->is_flag) {
            e->value.kind = AMQP_FIELD_KIND_BOOLEAN;
            e->value.value.boolean = a->number != 0;
        } else {
            e->value.kind = AMQP_FIELD_KIND_I64;
            e->value.value.i64 = a->number;
        }
    }
    return (amqp_table_t){count, entries};
}

int mq_queue_declare(struct mq *m, uint16_t channel, const struct mq_queue *q, uint32_t *messages,
                     uint32_t *consumers)
{
    amqp_table_entry_t entries[ARGS_MAX];
    int rc = begin(m, channel);

    if (rc != MQ_OK) {
        return rc;
    }
    const amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(m->amqp, channel, mq_bytes_of(q->name), q->passive, q->durable,
                           q->exclusive, q->auto_delete, make_table(q->args, entries));
    if (ok != NULL && messages != NULL) {
        *messages = ok->message_count;
    }
    if (ok != NULL && consumers != NULL) {
        *consumers = ok->consumer_count;
    }
    return finish(m, channel);
}

int mq_queue_delete(struct mq *m, uint16_t channel, const char *name)
{
    int rc = begin(m, channel);

    if (rc != MQ_OK) {
        return rc;
    }
    (void)amqp_queue_delete(m->amqp, channel, mq_bytes_of(name), 0, 0);
    return finish(m, channel);
}

int mq_exchange_declare(struct mq *m, uint16_t channel, const char *name, const char *type,
                        bool durable, bool auto_delete, const struct mq_arg *args)
{
    amqp_table_entry_t entries[ARGS_MAX];
    int rc = begin(m, channel);

    if (rc != MQ_OK) {
        return rc;
    }
    (void)amqp_exchange_declare(m->amqp, channel, mq_bytes_of(name), mq_bytes_of(type), 0, durable,
                                auto_delete, 0, make_table(args, entries));
    return finish(m, channel);
}

int mq_exchange_find(struct mq *m, uint16_t channel, const char *name)
{
    int rc = begin(m, channel);

    if (rc != MQ_OK) {
        return rc;
    }
    (void)amqp_exchange_declare(m->amqp, channel, mq_bytes_of(name), amqp_empty_bytes, 1, 0, 0, 0,
                                amqp_empty_table);
    return finish(m, channel);
}

int mq_queue_bind(struct mq *m, uint16_t channel, const char *queue, const char *exchange,
                  const char *key)
{
    int rc = begin(m, channel);

    if (rc != MQ_OK) {
        return rc;
    }
    (void)amqp_queue_bind(m->amqp, channel, mq_bytes_of(queue), mq_bytes_of(exchange),
                          mq_bytes_of(key), amqp_empty_table);
    return finish(m, channel);
}

int mq_exchange_bind(struct mq *m, uint16_t channel, const char *destination, const char *source,
                     const char *key)
{
    int rc = begin(m, channel);

    if (rc != MQ_OK) {
        return rc;
    }
    (void)amqp_exchange_bind(m->amqp, channel, mq_bytes_of(destination), mq_bytes_of(source),
                             mq_bytes_of(key), amqp_empty_table);
    return finish(m, channel);
}

int mq_consume(struct mq *m, uint16_t channel, const struct mq_consume *c)
{
    struct mq_arg args[] = {
        {.name = "x-stream-offset", .text = c->stream_from, .number = c->stream_offset},
        {.name = NULL},
    };
    bool is_stream = c->stream_from != NULL || c->stream_offset >= 0;
    amqp_table_entry_t entries[ARGS_MAX];
    int rc = begin(m, channel);

    if (rc != MQ_OK) {
        return rc;
    }
    (void)amqp_basic_qos(m->amqp, channel, 0, c->prefetch, 0);
    rc = finish(m, channel);
    if (rc != MQ_OK) {
        return rc;
    }
    (void)amqp_basic_consume(m->amqp, channel, mq_bytes_of(c->queue), mq_bytes_of(c->tag), 0,
                             c->no_ack, c->exclusive, make_table(is_stream ? args : NULL, entries));
    return finish(m, channel);
}

int mq_cancel(struct mq *m, uint16_t channel, const char *tag)
{
    int rc = begin(m, channel);

    if (rc != MQ_OK) {
        return rc;
    }
    (void)amqp_basic_cancel(m->amqp, channel, mq_bytes_of(tag));
    return finish(m, channel);
}
