/*
 * outq.c: a ring of blobs and the writes that empty it.
 *
 * The ring starts with OUTQ_CAPACITY_MIN slots, doubles when it is full, and is
 * given back when the last blob has left.
 */
#include "common/outq.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/mem.h"

#define OUTQ_CAPACITY_MIN 4

static struct blob **slot(const struct outq *q, uint32_t index)
{
    return &q->slots[(q->head + index) & (q->capacity - 1)];
}

static void grow(struct outq *q)
{
    uint32_t capacity = MAX(q->capacity * 2, OUTQ_CAPACITY_MIN);
    struct blob **slots = mem_alloc(capacity * sizeof(struct blob *));

    for (uint32_t i = 0; i < q->count; i++) {
        slots[i] = *slot(q, i);
    }
    mem_free(q->slots);
    q->slots = slots;
    q->capacity = capacity;
    q->head = 0;
}

void outq_deinit(struct outq *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        blob_unref(*slot(q, i));
    }
    mem_free(q->slots);
    *q = OUTQ_EMPTY;
}

void outq_add(struct outq *q, struct blob *b)
{
    outq_take(q, blob_ref(b));
}

void outq_take(struct outq *q, struct blob *b)
{
    if (b->size == 0) {
        blob_unref(b); /* nothing to write: it would stay in the ring for ever */
        return;
    }
    if (q->count == q->capacity) {
        grow(q);
    }
    *slot(q, q->count) = b;
    q->count++;
    q->bytes += b->size;
}

void outq_mark(struct outq *q)
{
    q->passing = q->count;
}

bool outq_replace(struct outq *q, struct blob *b)
{
    assert(b->size > 0);
    if (q->passing == 0 || (q->passing == 1 && q->head_sent > 0)) {
        return false;
    }
    struct blob **place = slot(q, q->passing - 1);

    q->bytes += b->size;
    q->bytes -= (*place)->size;
    blob_unref(*place);
    *place = blob_ref(b);
    return true;
}

/* Fills `iov` with what has not left yet, up to `limit` bytes. Returns how many are in use. */
static size_t gather(const struct outq *q, struct iovec iov[OUTQ_IOV_MAX], size_t limit)
{
    size_t used = 0, skip = q->head_sent;

    while (used < OUTQ_IOV_MAX && used < q->count && limit > 0) {
        struct blob *b = *slot(q, (uint32_t)used);
        size_t size = MIN(b->size - skip, limit);
        iov[used++] = (struct iovec){b->bytes + skip, size};
        limit -= size;
        skip = 0;
    }
    return used;
}

/* Forgets `sent` bytes from the front and drops every blob that they complete. */
static void forget(struct outq *q, size_t sent)
{
    assert(sent <= q->bytes);

    q->bytes -= sent;
    while (sent > 0) {
        struct blob *b = *slot(q, 0);
        size_t left = b->size - q->head_sent;

        if (sent < left) {
            q->head_sent += (uint32_t)sent;
            return;
        }
        sent -= left;
        blob_unref(b);
        q->head = (q->head + 1) & (q->capacity - 1);
        q->count--;
        q->passing -= q->passing > 0;
        q->head_sent = 0;
    }
}

size_t outq_move(struct outq *q, char *at, size_t size)
{
    size_t moved = 0;

    while (moved < size && q->count > 0) {
        struct blob *b = *slot(q, 0);
        size_t part = MIN(b->size - q->head_sent, size - moved);

        memcpy(at + moved, b->bytes + q->head_sent, part);
        moved += part;
        forget(q, part);
    }
    if (q->count == 0) {
        outq_deinit(q);
    }
    return moved;
}

int outq_flush(struct outq *q, int fd)
{
    size_t share = OUTQ_TURN_BYTES;

    while (q->count > 0 && share > 0) {
        struct iovec iov[OUTQ_IOV_MAX];
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = gather(q, iov, share)};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? OUTQ_BLOCKED : -errno;
        }
        forget(q, (size_t)sent);
        share -= (size_t)sent;
    }
    if (q->count > 0) {
        return OUTQ_BLOCKED;
    }
    assert(q->bytes == 0);
    outq_deinit(q);
    return OUTQ_DRAINED;
}
