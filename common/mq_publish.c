/* mq_publish.c: what is written to the broker without waiting for an answer. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/mq_internal.h"

#define FRAME_OVERHEAD 8      /* bytes of a frame around its payload */
#define PROPERTIES_SPARE 2048 /* bytes kept free for properties beside the headers */
#define HEADER_OVERHEAD 16    /* bytes of a header beside its name and text */

/* A publish of the library, after two heartbeats without a byte from the broker, waits without end
 * for the next one (rabbitmq-c #780). So we look first, when the broker has not been heard for one:
 * a dead one is found out here. */
static int hear_broker(struct mq *m)
{
    while (m->heartbeat_ms > 0 && clock_mono_ms() - m->heard_ms > m->heartbeat_ms) {
        amqp_frame_t frame;
        int status = mq_wait_frame(m, &frame, 0);
        if (status == AMQP_STATUS_TIMEOUT) {
            return MQ_OK;
        }
        if (status != AMQP_STATUS_OK) {
            return mq_lose_status(m, status);
        }
        if (mq_take_frame(m, &frame) == MQ_LOST) {
            return MQ_LOST;
        }
    }
    return MQ_OK;
}

/* The library finds out only when half of the message is written. */
static bool fits_frame(const struct mq *m, const struct mq_props *p)
{
    size_t size = PROPERTIES_SPARE;

    for (size_t i = 0; i < p->header_count; i++) {
        size += p->headers[i].name.size + p->headers[i].text.size + HEADER_OVERHEAD;
    }
    return size <= (size_t)amqp_get_frame_max(m->amqp);
}

/* One UTF-8 sequence at `at`, which ends with a NUL: its size, or 0 when it is malformed. */
static size_t utf8_size(const unsigned char *at)
{
    if (at[0] < 0x80) {
        return 1;
    }
    size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code = at[0] & (0xffu >> (size + 1));

    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (at[i] & 0x3f);
    }
    bool is_valid = at[0] >= 0xc2 && at[0] < 0xf5 && code >= least[size] && code <= 0x10ffff &&
                    (code < 0xd800 || code > 0xdfff);
    return is_valid ? size : 0;
}

/* Keys may come from other services, and the broker ends the whole connection over one that is not
 * UTF-8. */
static bool is_key(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t size = 1;

    while (*at != '\0' && size > 0) {
        size = utf8_size(at);
        at += size;
    }
    return size > 0 && strlen(text) <= MQ_SHORT_MAX;
}

/* The library leaves MSG_MORE on when a body fills its last frame: setting TCP_NODELAY again sends
 * what waits. */
static void push_last_frame(struct mq *m, size_t body_size)
{
    size_t room = (size_t)amqp_get_frame_max(m->amqp) - FRAME_OVERHEAD;
    int on = 1;

    if (body_size > 0 && body_size % room == 0) {
        (void)setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
}

int mq_publish(struct mq *m, uint16_t channel, const char *exchange, const char *key,
               bool mandatory, const struct mq_props *props, struct slice body)
{
    amqp_basic_properties_t properties;
    amqp_table_entry_t entries[MQ_HEADERS_MAX];

    if (!mq_enter(m)) {
        return MQ_LOST;
    }
    const struct mq_channel *c = mq_channel_find(m, channel);
    assert(c != NULL && c->is_open);
    if (!mq_props_write(props, &properties, entries) || !fits_frame(m, props) || !is_key(key) ||
        !is_key(exchange)) {
        mq_set_error(m, 0, SLICE_LIT("a property or key is not as AMQP wants it"));
        return MQ_REFUSED;
    }
    int rc = hear_broker(m);
    if (rc != MQ_OK || c->is_closing) {
        return rc;
    }
    int status = amqp_basic_publish(m->amqp, channel, mq_bytes_of(exchange), mq_bytes_of(key),
                                    mandatory, 0, &properties, mq_bytes(body));
    if (status != AMQP_STATUS_OK) {
        return mq_lose_status(m, status);
    }
    push_last_frame(m, body.size);
    return MQ_OK;
}

/* MQ_OK after a call that returned a status; tags of a life that is over are the broker's to
 * ignore. */
static int written(struct mq *m, int status)
{
    return status == AMQP_STATUS_OK ? MQ_OK : mq_lose_status(m, status);
}

int mq_ack(struct mq *m, uint16_t channel, uint64_t tag, bool multiple)
{
    if (!mq_enter(m)) {
        return MQ_LOST;
    }
    return written(m, amqp_basic_ack(m->amqp, channel, tag, multiple));
}

int mq_reject(struct mq *m, uint16_t channel, uint64_t tag)
{
    if (!mq_enter(m)) {
        return MQ_LOST;
    }
    return written(m, amqp_basic_reject(m->amqp, channel, tag, 0));
}
