/*
 * pb.c: see pb.h.
 */
#include "proto/pb.h"

#define TYPE_BITS 3
#define MORE 0x80 /* of a varint's byte: another one follows */

/* Takes a number off; false: cut off, or more than 64 bits. Forms that are longer than needed are
 * legal. */
static bool take_varint(struct slice *rest, uint64_t *value)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < rest->size && i < PB_VARINT_MAX; i++) {
        uint8_t byte = (uint8_t)rest->at[i];

        if (i == PB_VARINT_MAX - 1 && byte > 1) {
            return false;
        }
        sum |= (uint64_t)(byte & (MORE - 1)) << 7 * i;
        if ((byte & MORE) == 0) {
            *value = sum;
            rest->at += i + 1;
            rest->size -= i + 1;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct slice *rest, uint64_t size, struct slice *out)
{
    if (size > rest->size) {
        return false;
    }
    *out = (struct slice){rest->at, (size_t)size};
    rest->at += size;
    rest->size -= (size_t)size;
    return true;
}

int pb_next(struct slice *rest, struct pb_field *out)
{
    uint64_t key, size;
    struct slice passed;
    bool is_good = false;

    if (rest->size == 0) {
        return PB_END;
    }
    if (!take_varint(rest, &key) || key > UINT32_MAX || key >> TYPE_BITS == 0) {
        return PB_BROKEN;
    }
    *out = (struct pb_field){
        .number = (uint32_t)(key >> TYPE_BITS),
        .type = (enum pb_type)(key & ((1u << TYPE_BITS) - 1)),
    };
    switch ((unsigned)out->type) {
    case PB_VARINT:
        is_good = take_varint(rest, &out->value);
        break;
    case PB_FIXED64:
        is_good = take_bytes(rest, sizeof(uint64_t), &passed);
        break;
    case PB_BYTES:
        is_good = take_varint(rest, &size) && take_bytes(rest, size, &out->bytes);
        break;
    case PB_FIXED32:
        is_good = take_bytes(rest, sizeof(uint32_t), &passed);
        break;
    }
    return is_good ? 0 : PB_BROKEN; /* 3 and 4 are groups, 6 and 7 are nothing */
}

int pb_next_message(struct slice *rest, struct slice *out)
{
    uint64_t size;

    if (rest->size == 0) {
        return PB_END;
    }
    return take_varint(rest, &size) && take_bytes(rest, size, out) ? 0 : PB_BROKEN;
}

static size_t put_varint(char to[PB_VARINT_MAX], uint64_t value)
{
    size_t size = 0;

    while (value >= MORE) {
        to[size++] = (char)(value | MORE);
        value >>= 7;
    }
    to[size++] = (char)value;
    return size;
}

void pb_add_varint(struct buf *out, uint64_t value)
{
    buf_grew(out, put_varint(buf_reserve(out, PB_VARINT_MAX), value));
}

static void add_key(struct buf *out, uint32_t number, enum pb_type type)
{
    assert(number >= 1 && number <= PB_NUMBER_MAX);
    pb_add_varint(out, (uint64_t)number << TYPE_BITS | type);
}

void pb_add_u64(struct buf *out, uint32_t number, uint64_t value)
{
    if (value != 0) {
        add_key(out, number, PB_VARINT);
        pb_add_varint(out, value);
    }
}

void pb_add_flag(struct buf *out, uint32_t number, bool is_set)
{
    pb_add_u64(out, number, is_set);
}

void pb_add_bytes(struct buf *out, uint32_t number, struct slice bytes)
{
    if (bytes.size > 0) {
        add_key(out, number, PB_BYTES);
        pb_add_varint(out, bytes.size);
        buf_add_slice(out, bytes);
    }
}

size_t pb_open_message(struct buf *out)
{
    buf_add_char(out, '\0'); /* room for a length of one byte: most are */
    return out->size;
}

size_t pb_open(struct buf *out, uint32_t number)
{
    add_key(out, number, PB_BYTES);
    return pb_open_message(out);
}

void pb_close(struct buf *out, size_t opened)
{
    char length[PB_VARINT_MAX];
    size_t size = out->size - opened, length_size = put_varint(length, size);

    assert(opened >= 1 && opened <= out->size);
    if (length_size > 1) {
        (void)buf_reserve(out, length_size - 1);
        memmove(out->at + opened + length_size - 1, out->at + opened, size);
        buf_grew(out, length_size - 1);
    }
    memcpy(out->at + opened - 1, length, length_size);
}
