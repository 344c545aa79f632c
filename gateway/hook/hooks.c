/*
 * hooks.c: see hooks.h.
 */
#include "gateway/hook/hooks.h"

#include <stdio.h>
#include <strings.h>

#include "common/blob.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/http.h"
#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/hook/ask.h"
#include "gateway/hook/breaker.h"

#define SECRET_HEADER "X-Warren-Secret"
#define SECRET_MIN 16
#define SECRET_MAX 256
#define NAMES_MAX 16        /* headers that are passed on */
#define LINES_MAX 64        /* lines of them in one question */
#define CA_FILE_MAX 4194304 /* bytes */

struct hooks {
    struct gateway *gateway; /* borrowed */
    struct asker *asker;     /* owns */
    struct breaker breakers[HOOK_COUNT];
    size_t open; /* questions */
    struct log_limit complaints;
};

struct hook_call {
    struct hooks *hooks; /* borrowed */
    enum hook which;
    bool is_probe;
    int64_t asked_us;
    struct ask *ask; /* owns; NULL while it is being answered */
    hook_done *done;
    void *user;
};

static const struct hooks_conf *conf_of(const struct hooks *h)
{
    return &h->gateway->conf->hooks;
}

static const char *url_of(const struct hooks_conf *c, enum hook which)
{
    switch (which) {
    case HOOK_CONNECT:
        return c->connect_url;
    case HOOK_SUBSCRIBE:
        return c->subscribe_url;
    case HOOK_PUBLISH:
        return c->publish_url;
    case HOOK_COUNT:
        break;
    }
    assert(false);
    return "";
}

bool hooks_has(const struct gateway_conf *conf, enum hook which)
{
    return url_of(&conf->hooks, which)[0] != '\0';
}

/* Takes the next name off a list that commas and spaces separate; empty: the end. */
static struct slice next_name(const char **rest)
{
    *rest += strspn(*rest, ", \t");
    struct slice name = {*rest, strcspn(*rest, ", \t")};

    *rest += name.size;
    return name;
}

static bool is_name(struct slice name, const char *text)
{
    return name.size == strlen(text) && strncasecmp(name.at, text, name.size) == 0;
}

/* What belongs to the connection or is said by us. */
static bool may_be_passed(struct slice name)
{
    static const char *const ours[] = {
        "Host",
        "Connection",
        "Upgrade",
        "Content-Length",
        "Content-Type",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Expect",
        "Accept-Encoding",
        SECRET_HEADER,
    };

    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        if (is_name(name, ours[i])) {
            return false;
        }
    }
    return name.size < 14 || strncasecmp(name.at, "Sec-WebSocket-", 14) != 0;
}

static int check_headers(const char *rest, char *error, size_t size)
{
    struct slice name;
    size_t count = 0;

    while ((name = next_name(&rest)).size > 0) {
        static const char token[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "!#$%&'*+-.^_`|~";
        if (strspn(name.at, token) < name.size || !may_be_passed(name)) {
            (void)snprintf(error, size, "[hooks] headers: cannot be passed on: %s",
                           log_quote(name.at, name.size));
            return -1;
        }
        if (++count > NAMES_MAX) {
            (void)snprintf(error, size, "[hooks] headers: at most %d", NAMES_MAX);
            return -1;
        }
    }
    return 0;
}

/* Its text, which has a certificate in it. */
static int read_ca_file(const char *path, struct buf *text, const char **why)
{
    int r = file_read(path, CA_FILE_MAX, text, why);

    if (r == 0 && (text->size == 0 ||
                   memmem(text->at, text->size, "-----BEGIN CERTIFICATE-----", 27) == NULL)) {
        *why = "no certificate in it";
        r = -1;
    }
    return r;
}

static int check_ca_file(const char *path, char *error, size_t size)
{
    struct buf text = BUF_EMPTY;
    const char *why = "";
    int r = read_ca_file(path, &text, &why);

    buf_deinit(&text);
    if (r != 0) {
        (void)snprintf(error, size, "[hooks] ca_file: %s", why);
    }
    return r;
}

static int check_secret(const char *secret, char *error, size_t size)
{
    size_t length = strlen(secret), good = 0;

    while (secret[good] > ' ' && secret[good] <= '~') {
        good++;
    }
    if (length == 0 || (good == length && length >= SECRET_MIN && length <= SECRET_MAX)) {
        return 0;
    }
    (void)snprintf(error, size, "[hooks] secret: must be %d to %d printable ASCII characters",
                   SECRET_MIN, SECRET_MAX);
    return -1;
}

int hooks_check(const struct hooks_conf *c, char *error, size_t size)
{
    for (int which = 0; which < HOOK_COUNT; which++) {
        const char *url = url_of(c, (enum hook)which);

        if (url[0] != '\0' && !ask_url_is_good(url)) {
            (void)snprintf(error, size,
                           "[hooks] %s_url: must be an http or https URL without a user",
                           hook_label((enum hook)which));
            return -1;
        }
    }
    if (check_headers(c->headers, error, size) != 0 || check_secret(c->secret, error, size) != 0) {
        return -1;
    }
    return c->ca_file[0] == '\0' ? 0 : check_ca_file(c->ca_file, error, size);
}

/* What the asker goes by; `ca` has the certificates. A file that was good when the settings were
 * checked and cannot be read now leaves nobody to be believed. */
static struct asker_terms terms_of(const struct hooks_conf *c, struct buf *ca)
{
    const char *why = "";

    if (c->ca_file[0] != '\0' && read_ca_file(c->ca_file, ca, &why) != 0) {
        log_error("hooks believe no https ca_file=%s reason=%s",
                  log_quote(c->ca_file, strlen(c->ca_file)), why);
        buf_clear(ca);
        buf_add_lit(ca, "none");
    }
    return (struct asker_terms){
        .ca = buf_slice(ca),
        .connections = c->connections,
        .timeout_ms = c->timeout_ms,
        .answer_max = (size_t)c->answer_max,
    };
}

struct hooks *hooks_new(struct gateway *g)
{
    struct buf ca = BUF_EMPTY;
    const struct asker_terms terms = terms_of(&g->conf->hooks, &ca);
    struct asker *asker = asker_new(g->loop, &terms);

    buf_deinit(&ca);
    if (asker == NULL) {
        return NULL;
    }
    struct hooks *h = mem_new(struct hooks);

    h->gateway = g;
    h->asker = asker;
    return h;
}

struct hooks *hooks_free(struct hooks *h)
{
    if (h != NULL) {
        assert(h->open == 0);
        asker_free(h->asker);
        mem_free(h);
    }
    return NULL;
}

void hooks_reloaded(struct hooks *h)
{
    struct buf ca = BUF_EMPTY;
    const struct asker_terms terms = terms_of(conf_of(h), &ca);

    asker_change(h->asker, &terms);
    buf_deinit(&ca);
    for (int which = 0; which < HOOK_COUNT; which++) {
        h->breakers[which] = (struct breaker){0};
        stat_set(&h->gateway->metrics.hook_open[which], 0);
    }
}

static bool is_listed(const char *rest, struct slice name)
{
    struct slice one;

    while ((one = next_name(&rest)).size > 0) {
        if (one.size == name.size && strncasecmp(one.at, name.at, one.size) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether cookies of that request are to be believed. */
static bool has_honest_cookies(const struct gateway *g, const struct http_head *head)
{
    const struct slice *origin = http_find(head, "Origin", NULL);
    const struct slice *host = http_find(head, "Host", NULL);

    return origin == NULL || origin_is_named(g->origins, *origin, *host, true);
}

struct blob *hooks_headers(const struct gateway *g, const struct http_head *head)
{
    const struct hooks_conf *c = &g->conf->hooks;
    struct buf lines = BUF_EMPTY;
    struct blob *kept = NULL;

    if (c->connect_url[0] == '\0' && c->subscribe_url[0] == '\0' && c->publish_url[0] == '\0') {
        return NULL;
    }
    bool takes_cookies = has_honest_cookies(g, head);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];

        if (f->value.size > 0 && is_listed(c->headers, f->name) &&
            (takes_cookies || !is_name(f->name, "Cookie"))) {
            buf_addf(&lines, "%.*s: %.*s", SLICE_ARG(f->name), SLICE_ARG(f->value));
            buf_add_char(&lines, '\0');
        }
    }
    if (lines.size > 0) {
        kept = blob_copy(lines.at, lines.size);
    }
    buf_deinit(&lines);
    return kept;
}

static void count_open(struct hooks *h, size_t open)
{
    h->open = open;
    stat_set(&h->gateway->metrics.hooks_open, open);
}

static void count_end(struct hooks *h, enum hook which, enum hook_end end)
{
    static const struct {
        enum hook_end end;
        enum limit limit;
    } limits[] = {
        {HOOK_END_LATE, LIMIT_HOOKS_TIMEOUT},
        {HOOK_END_FULL, LIMIT_HOOKS_IN_FLIGHT},
        {HOOK_END_TOO_BIG, LIMIT_HOOKS_ANSWER},
        {HOOK_END_OPEN, LIMIT_HOOKS_FAILURES},
    };

    stat_add(&h->gateway->metrics.hook_ends[which][end], 1);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        if (limits[i].end == end) {
            limit_met(&h->gateway->metrics.limits, limits[i].limit);
        }
    }
}

/* Tells the breaker and the log how a question ended. */
static void judge(struct hook_call *call, enum hook_end end, const char *why)
{
    struct hooks *h = call->hooks;
    const struct hooks_conf *c = conf_of(h);
    const struct breaker_terms terms = {c->breaker_failures, c->breaker_wait_ms};
    struct breaker *b = &h->breakers[call->which];
    const char *label = hook_label(call->which);

    if (!hook_end_is_failure(end)) {
        if (breaker_succeeded(b, call->is_probe)) {
            log_info("hook answers again hook=%s", label);
        }
    } else {
        if (log_allowed(&h->complaints)) {
            log_warn("hook failed hook=%s reason=%s error=%s", label, hook_end_label(end),
                     log_quote(why, strlen(why)));
        }
        if (breaker_failed(b, &terms, call->is_probe, clock_mono_ms())) {
            log_warn("hook is left alone hook=%s failures=%lld wait_ms=%lld", label,
                     (long long)b->failures, (long long)terms.wait_ms);
        }
    }
    stat_set(&h->gateway->metrics.hook_open[call->which], b->is_open);
}

static enum hook_end end_of(const struct ask_answer *a)
{
    switch (a->outcome) {
    case ASK_LATE:
        return HOOK_END_LATE;
    case ASK_UNREACHED:
        return HOOK_END_UNREACHED;
    case ASK_TOO_BIG:
        return HOOK_END_TOO_BIG;
    case ASK_ANSWERED:
        break;
    }
    return a->status == 200 ? HOOK_END_RESULT : HOOK_END_STATUS;
}

static void on_answer(void *user, const struct ask_answer *got)
{
    struct hook_call *call = user;
    struct hooks *h = call->hooks;
    struct hook_answer a = {.end = end_of(got)};
    const char *why = got->why;
    char status[32];

    if (a.end == HOOK_END_RESULT) {
        hook_answer_read(&a, got->body, &why);
    } else if (a.end == HOOK_END_STATUS) {
        (void)snprintf(status, sizeof(status), "status %d", got->status);
        why = status;
    }
    count_open(h, h->open - 1);
    count_end(h, call->which, a.end);
    histogram_add(&h->gateway->metrics.hook_us, clock_mono_us() - call->asked_us);
    judge(call, a.end, why);
    call->ask = NULL;
    call->done(call->user, &a);
    mem_free(call);
}

/* The lines for one question: the secret, and what is passed on. */
static void list_headers(const char **lines, const struct blob *headers, const char *secret)
{
    size_t count = 0, at = 0;

    if (secret[0] != '\0') {
        lines[count++] = secret;
    }
    while (headers != NULL && at < headers->size && count < LINES_MAX) {
        lines[count++] = headers->bytes + at;
        at += strlen(headers->bytes + at) + 1;
    }
    lines[count] = NULL;
}

static struct ask *post(struct hook_call *call, const struct blob *headers, struct slice body)
{
    const struct hooks_conf *c = conf_of(call->hooks);
    const char *lines[LINES_MAX + 1];
    char secret[sizeof(SECRET_HEADER) + 2 + SECRET_MAX] = "";

    if (c->secret[0] != '\0') {
        (void)snprintf(secret, sizeof(secret), SECRET_HEADER ": %s", c->secret);
    }
    list_headers(lines, headers, secret);
    return ask_post(call->hooks->asker, &(struct ask_question){url_of(c, call->which), lines, body},
                    on_answer, call);
}

struct hook_call *hooks_ask(struct hooks *h, enum hook which, const struct blob *headers,
                            struct slice question, hook_done *done, void *user)
{
    bool is_full = h->open >= (size_t)conf_of(h)->in_flight;
    enum breaker_leave leave =
        is_full ? BREAKER_NO : breaker_ask(&h->breakers[which], clock_mono_ms());

    if (leave == BREAKER_NO) {
        count_end(h, which, is_full ? HOOK_END_FULL : HOOK_END_OPEN);
        return NULL;
    }
    struct hook_call *call = mem_new(struct hook_call);

    *call = (struct hook_call){.hooks = h,
                               .which = which,
                               .is_probe = leave == BREAKER_PROBE,
                               .asked_us = clock_mono_us(),
                               .done = done,
                               .user = user};
    stat_add(&h->gateway->metrics.hooks_asked[which], 1);
    call->ask = post(call, headers, question);
    if (call->ask == NULL) {
        count_end(h, which, HOOK_END_UNREACHED);
        judge(call, HOOK_END_UNREACHED, "libcurl refuses it");
        mem_free(call);
        return NULL;
    }
    count_open(h, h->open + 1);
    return call;
}

void hooks_cancel(struct hook_call *call)
{
    struct hooks *h = call->hooks;

    assert(call->ask != NULL);
    ask_cancel(call->ask);
    breaker_dropped(&h->breakers[call->which], call->is_probe);
    count_end(h, call->which, HOOK_END_CANCELLED);
    count_open(h, h->open - 1);
    mem_free(call);
}
