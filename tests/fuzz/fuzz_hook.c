/*
 * fuzz_hook.c: answers of a backend: each is of exactly one kind and within its bounds, whatever
 * came; and who is known by it has a user.
 */
#include "gateway/hook/hook.h"
#include "proto/json.h"
#include "proto/reply.h"
#include "tests/fuzz/fuzz.h"

static void check_result(struct slice result)
{
    struct jwt_claims claims;
    struct hook_subscribe sub;
    const char *why = "";
    bool is_known = false;

    FUZZ_CHECK(json_is_object(result));
    int r = hook_result_claims(result, 1790000000, &claims, &is_known, &why);
    FUZZ_CHECK(r == 0 || why[0] != '\0');
    FUZZ_CHECK(r != 0 || claims.user[0] != '\0');
    FUZZ_CHECK(r != 0 || is_known || claims.channel_count + claims.role_count == 0);
    if (hook_result_subscribe(result, &sub) == 0) {
        FUZZ_CHECK(sub.expires_s >= 0 && (sub.info.size == 0 || json_is_object(sub.info)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *copy = fuzz_copy(data, size);
    struct hook_answer a;
    const char *why = NULL;

    hook_answer_read(&a, (struct slice){copy, size}, &why);
    FUZZ_CHECK((why != NULL) == (a.end == HOOK_END_BAD));
    if (a.end == HOOK_END_RESULT) {
        check_result(a.result);
    } else if (a.end == HOOK_END_ERROR) {
        FUZZ_CHECK(reply_error_is_known(a.code) || (a.code >= 400 && a.code <= 1999));
        FUZZ_CHECK(a.text[0] != '\0' && text_is_clean(slice_of(a.text)));
    } else if (a.end == HOOK_END_DISCONNECT) {
        FUZZ_CHECK(a.code >= 3000 && a.code <= 4999 && a.text[0] != '\0');
    } else {
        FUZZ_CHECK(a.end == HOOK_END_BAD);
    }
    fuzz_free(copy);
    return 0;
}
