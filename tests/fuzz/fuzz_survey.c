/*
 * fuzz_survey.c: what gateways ask each other, and what they report: what is read can be written
 * and read again, and what stands behind it changes nothing.
 */
#include "proto/line.h"
#include "proto/survey.h"
#include "tests/fuzz/fuzz.h"

static void check_survey(struct slice body)
{
    static struct buf text, once_more;
    struct slice rest = body;
    struct survey s, again;
    int answer = survey_next(&rest, &s);

    FUZZ_CHECK(answer == 0 || (answer == SURVEY_BAD && slice_equal(rest, body)));
    if (answer != 0) {
        return;
    }
    FUZZ_CHECK(s.kind < SURVEY_KINDS && fuzz_within(s.pattern, body));
    buf_clear(&text);
    buf_clear(&once_more);
    survey_encode(&text, &s);
    struct slice written = buf_slice(&text);
    FUZZ_CHECK(survey_next(&written, &again) == 0 && written.size == 0);
    FUZZ_CHECK(s.kind == again.kind && slice_equal(s.pattern, again.pattern));
    survey_encode(&once_more, &again);
    FUZZ_CHECK(slice_equal(buf_slice(&text), buf_slice(&once_more)));

    const char *alone = fuzz_copy(body.at, body.size - rest.size);
    struct slice line = {alone, body.size - rest.size};
    FUZZ_CHECK(survey_next(&line, &again) == 0 && line.size == 0);
    FUZZ_CHECK(s.kind == again.kind && slice_equal(s.pattern, again.pattern));
    fuzz_free(alone);
}

static void check_same(const struct report *a, const struct report *b)
{
    FUZZ_CHECK(slice_equal(a->uid, b->uid) && slice_equal(a->name, b->name));
    FUZZ_CHECK(slice_equal(a->version, b->version) && a->more == b->more);
    FUZZ_CHECK(a->num_clients == b->num_clients && a->num_users == b->num_users);
    FUZZ_CHECK(a->num_subs == b->num_subs && a->num_channels == b->num_channels);
    FUZZ_CHECK(a->uptime == b->uptime && a->obeyed == b->obeyed);
}

static void check_report(struct slice body)
{
    static struct buf text, once_more;
    struct slice rest = body;
    struct report r, again;
    struct line room;
    int answer = report_next(&rest, &r);

    FUZZ_CHECK(answer == 0 || (answer == SURVEY_BAD && slice_equal(rest, body)));
    if (answer != 0) {
        return;
    }
    FUZZ_CHECK(r.uid.size == BOOT_SIZE && r.name.size > 0 && r.name.size <= ID_MAX);
    FUZZ_CHECK(fuzz_within(r.uid, body) && fuzz_within(r.version, body));
    buf_clear(&text);
    buf_clear(&once_more);
    report_encode(&text, &r);
    struct slice written = buf_slice(&text);
    FUZZ_CHECK(report_next(&written, &again) == 0 && written.size == 0);
    check_same(&r, &again);
    report_encode(&once_more, &again);
    FUZZ_CHECK(slice_equal(buf_slice(&text), buf_slice(&once_more)));

    const char *alone = fuzz_copy(body.at, body.size - rest.size);
    struct slice line = {alone, body.size - rest.size};
    FUZZ_CHECK(report_next(&line, &again) == 0 && line.size == 0);
    check_same(&r, &again);
    fuzz_free(alone);
    while ((answer = line_next(&rest, &room)) == 0) {
        FUZZ_CHECK(fuzz_within(room.room, body));
    }
    FUZZ_CHECK((answer == LINE_END) == (rest.size == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = {(const char *)data, size};

    check_survey(body);
    check_report(body);
    return 0;
}
