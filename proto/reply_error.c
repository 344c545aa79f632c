/*
 * reply_error.c: the errors that clients are told, by their codes.
 */
#include "proto/reply.h"

#define RETRY_AFTER_S 1 /* rates are counted in seconds: then there is room for one more */

static const struct {
    enum reply_error code;
    bool is_temporary;
    const char *text;
} errors[] = {
#define ERROR(name, code, temporary, text) {REPLY_##name, temporary, text},
#include "proto/error.def"
};

struct reply_error_text reply_error_text(enum reply_error code)
{
    size_t i = 0;

    while (errors[i].code != code) {
        i++;
        assert(i < ARRAY_LEN(errors));
    }
    return (struct reply_error_text){
        .text = errors[i].text,
        .is_temporary = errors[i].is_temporary,
        .retry_after_s = code == REPLY_TOO_MANY_REQUESTS ? RETRY_AFTER_S : 0,
    };
}

bool reply_error_is_known(uint32_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if ((uint32_t)errors[i].code == code) {
            return true;
        }
    }
    return false;
}
