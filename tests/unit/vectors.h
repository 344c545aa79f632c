/*
 * vectors.h: walks the golden vectors of tests/wire/vectors.
 *
 * A file is a JSON array with one object a line. They are read with the scanner
 * that they test; the live tests read the same files with another one.
 */
#ifndef WARREN_TESTS_UNIT_VECTORS_H
#define WARREN_TESTS_UNIT_VECTORS_H

#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "proto/json.h"
#include "proto/limits.h"

struct vectors {
    struct buf file, scratch;
    struct slice rest; /* of the file */
    struct slice now;  /* the object */
};

/* Opens "<name>.json" in the folder that the environment names. */
static inline struct vectors vectors_open(const char *name)
{
    struct vectors v = {.file = BUF_EMPTY, .scratch = BUF_EMPTY};
    const char *folder = getenv("WARREN_VECTORS");
    char path[4096];
    size_t size;

    snprintf(path, sizeof(path), "%s/%s.json", folder != NULL ? folder : "tests/wire/vectors",
             name);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fail_msg("%s: set WARREN_VECTORS to the folder of the vectors", path);
    }
    while ((size = fread(buf_reserve(&v.file, 4096), 1, 4096, f)) > 0) {
        buf_grew(&v.file, size);
    }
    fclose(f);
    v.rest = buf_slice(&v.file);
    return v;
}

/* The next vector, or false and everything is freed. */
static inline bool vectors_next(struct vectors *v)
{
    while (v->rest.size > 0) {
        const char *end = memchr(v->rest.at, '\n', v->rest.size);
        assert_non_null(end);
        v->now = (struct slice){v->rest.at, (size_t)(end - v->rest.at)};
        v->rest.at = end + 1;
        v->rest.size -= v->now.size + 1;
        if (v->now.size > 0 && v->now.at[v->now.size - 1] == ',') {
            v->now.size--;
        }
        if (json_is_object(v->now)) {
            assert_true(json_is_valid(v->now, PAYLOAD_DEPTH_MAX));
            buf_clear(&v->scratch);
            return true;
        }
    }
    buf_deinit(&v->file);
    buf_deinit(&v->scratch);
    return false;
}

/* A text of any object, decoded and appended to `out`; false if it is absent or null. */
static inline bool vector_add_text(struct slice object, const char *key, struct buf *out)
{
    struct slice value = json_get(object, key);

    if (!json_is_string(value)) {
        return false;
    }
    json_unescape(out, json_inside(value));
    return true;
}

/* The bytes that a member tells in hexadecimal digits, appended to `out`. */
static inline void vector_add_hex(struct slice object, const char *key, struct buf *out)
{
    struct slice hex = json_inside(json_get(object, key));

    for (size_t i = 0; i + 1 < hex.size; i += 2) {
        char digits[3] = {hex.at[i], hex.at[i + 1], '\0'};

        buf_add_char(out, (char)strtoul(digits, NULL, 16));
    }
}

/* True if the member is written like `text`: "true", "17", "\"ok\"". */
static inline bool vector_is(struct slice object, const char *key, const char *text)
{
    return slice_equal(json_get(object, key), slice_of(text));
}

/* For messages: the name of the vector. */
#define VECTOR_NAME(v) SLICE_ARG(json_get((v)->now, "name"))

/* Reads one document off `rest`; if it is good (0), appends it to `again` as it is written. */
typedef int vectors_reader(struct slice *rest, struct buf *again);

/* Asserts that each vector's `text` is read (or answered with `bad`, nothing taken), that `end` is
 * answered behind it, and that it is written as its `again` says, or else as it was. */
static inline void assert_vectors_there_and_back(const char *name, vectors_reader *read, int bad,
                                                 int end)
{
    struct vectors v = vectors_open(name);
    struct buf text = BUF_EMPTY, want = BUF_EMPTY, again = BUF_EMPTY;

    while (vectors_next(&v)) {
        bool is_valid = vector_is(v.now, "valid", "true");

        buf_clear(&text);
        buf_clear(&want);
        buf_clear(&again);
        assert_true(vector_add_text(v.now, "text", &text));
        struct slice rest = buf_slice(&text);
        int answer = read(&rest, &again);
        if (answer != (is_valid ? 0 : bad)) {
            fail_msg("%.*s: answer %d", VECTOR_NAME(&v), answer);
        }
        if (!is_valid) {
            assert_ptr_equal(rest.at, text.at);
            assert_int_equal(rest.size, text.size);
            continue;
        }
        assert_int_equal(read(&rest, &want), end);
        if (!vector_add_text(v.now, "again", &want)) {
            buf_add_slice(&want, buf_slice(&text));
        }
        if (!slice_equal(buf_slice(&again), buf_slice(&want))) {
            fail_msg("%.*s: written as %.*s", VECTOR_NAME(&v), SLICE_ARG(buf_slice(&again)));
        }
    }
    buf_deinit(&text);
    buf_deinit(&want);
    buf_deinit(&again);
}

#endif
