/*
 * who.c: see who.h.
 */
#include "proto/who.h"

#include "common/mem.h"
#include "proto/audience.h"
#include "proto/json.h"

static bool is_separator(char c)
{
    return c == ' ' || c == ',' || c == '\t';
}

bool who_next(const char **rest, struct slice *word)
{
    const char *at = *rest;

    while (is_separator(*at)) {
        at++;
    }
    word->at = at;
    while (*at != '\0' && !is_separator(*at)) {
        at++;
    }
    word->size = (size_t)(at - word->at);
    *rest = at;
    return word->size > 0;
}

/* How many words there are. `is_alone`: one of them has to stand alone. */
static size_t count(const char *text, bool *is_alone)
{
    struct slice word;
    size_t words = 0;

    *is_alone = false;
    while (who_next(&text, &word)) {
        words++;
        *is_alone |= slice_equal(word, SLICE_LIT("*")) || slice_equal(word, SLICE_LIT("none"));
    }
    return words;
}

bool who_is_valid(const char *text)
{
    bool is_alone;
    size_t words = count(text, &is_alone);

    return words == 1 || (words > 1 && !is_alone);
}

bool who_is_roles(const char *text)
{
    static const char *const taken[] = {"*", "none", "known", "anonymous", "everyone", "payload"};
    size_t words = 0, bytes = 0;
    struct slice word;

    if (strcmp(text, "none") == 0) {
        return true;
    }
    while (who_next(&text, &word)) {
        words++;
        bytes += 2 * word.size + 3; /* as much as escapes can make of it */
        for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
            if (slice_equal(word, slice_of(taken[i]))) {
                return false;
            }
        }
        if (word.size > ROLE_MAX || !text_is_clean(word)) {
            return false;
        }
    }
    return words > 0 && words <= AUDIENCE_NAMES_MAX && bytes <= AUDIENCE_WISH_MAX;
}

bool who_admits(const char *text, bool is_known,
                bool (*has_role)(const void *person, struct slice role), const void *person)
{
    struct slice word;

    if (text == NULL || strcmp(text, "none") == 0) {
        return false;
    }
    if (strcmp(text, "*") == 0) {
        return true; /* an anonymous one exists only where such may come in */
    }
    while (who_next(&text, &word)) {
        if (slice_equal(word, SLICE_LIT("anonymous")) ? !is_known
            : slice_equal(word, SLICE_LIT("known"))   ? is_known
                                                      : is_known && has_role(person, word)) {
            return true;
        }
    }
    return false;
}

char *who_rewrite(const char *text)
{
    struct buf out = BUF_EMPTY;
    char *copy = NULL;
    struct slice word;

    if (strpbrk(text, "\"\\") == NULL) {
        return NULL;
    }
    while (who_next(&text, &word)) {
        if (out.size > 0) {
            buf_add_char(&out, ' ');
        }
        json_escape(&out, word);
    }
    copy = mem_copy_text(out.at, out.size);
    buf_deinit(&out);
    return copy;
}
