/*
 * fuzz_message.c: an AMQP message by its properties: what is understood can be sent again and is
 * understood alike.
 *
 * The input is lines: the type, then headers "name=value" (a number or a text), an empty line, the
 * body.
 */
#include <errno.h>

#include "proto/message.h"
#include "tests/fuzz/fuzz.h"

static void add_header(struct mq_props *p, struct slice line)
{
    struct mq_header *h = &p->headers[p->header_count];
    const char *equals = memchr(line.at, '=', line.size);
    char digits[32] = "", *end;

    if (equals == NULL || p->header_count == MQ_HEADERS_MAX) {
        return;
    }
    *h = (struct mq_header){.name = {line.at, (size_t)(equals - line.at)}};
    h->text = (struct slice){equals + 1, line.size - h->name.size - 1};
    if (h->text.size > 0 && h->text.size < sizeof(digits)) {
        memcpy(digits, h->text.at, h->text.size);
        errno = 0;
        h->number = strtoll(digits, &end, 10);
        h->is_number = errno == 0 && end == digits + h->text.size;
    }
    p->header_count++;
}

static void check_again(const struct message *m)
{
    char scratch[ID_MAX * 2];
    struct mq_event event = {.kind = MQ_DELIVERY, .body = m->body};
    struct message again;

    message_to_props(m, SLICE_LIT("warren-gateway/g1"), scratch, &event.props);
    FUZZ_CHECK(message_from_event(&event, &again) == NULL);
    FUZZ_CHECK(m->type == again.type && m->has == again.has && m->partition == again.partition);
    FUZZ_CHECK(m->term == again.term && m->link == again.link && m->number == again.number);
    FUZZ_CHECK(m->batch == again.batch && m->request == again.request);
    FUZZ_CHECK(m->checkpoint == again.checkpoint && m->records == again.records);
    FUZZ_CHECK(slice_equal(m->gateway, again.gateway) && slice_equal(m->boot, again.boot));
    FUZZ_CHECK(slice_equal(m->owner, again.owner) && slice_equal(m->lanes, again.lanes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {(const char *)data, size}, line;
    struct mq_event event = {.kind = MQ_DELIVERY};
    struct message m;

    if (size == 0) {
        return 0;
    }
    event.props.type = fuzz_take_line(&rest);
    while (rest.size > 0 && (line = fuzz_take_line(&rest)).size > 0) {
        add_header(&event.props, line);
    }
    event.body = rest;
    const char *wrong = message_from_event(&event, &m);
    if (wrong == NULL) {
        FUZZ_CHECK(m.type < MESSAGE_TYPE_COUNT && m.time_ms >= 0);
        check_again(&m);
    } else {
        FUZZ_CHECK(wrong[0] != '\0');
    }
    return 0;
}
