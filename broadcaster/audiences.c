/* audiences.c: see audiences.h. */
#include "broadcaster/audiences.h"

#include "proto/who.h"

static bool has_role(const void *person, struct slice role)
{
    return audience_has(person, role);
}

/* The roles that a setting names, or none. */
static void add_roles(struct audience *a, const char *setting)
{
    struct slice word;

    if (setting == NULL || strcmp(setting, "none") == 0) {
        return;
    }
    while (a->roles.count < AUDIENCE_NAMES_MAX && who_next(&setting, &word)) {
        a->roles.at[a->roles.count++] = word;
    }
}

static void add_sender(struct audience *a, const struct record *r)
{
    if (r->user.size == 0) {
        a->client = r->client;
    } else if (!audience_has(&a->users, r->user)) {
        assert(a->users.count < AUDIENCE_NAMES_MAX);
        a->users.at[a->users.count++] = r->user;
    }
}

static bool is_hidden(const struct rule *rule, const struct record *r)
{
    struct audience_names roles = {.count = 0};

    if (r->roles.size > 0 && !audience_read_names(r->roles, ROLE_MAX, &roles)) {
        return true; /* cannot be: record.c has looked at them */
    }
    return who_admits(rule->hidden, r->user.size > 0, has_role, &roles);
}

/* Fills the audience; AUDIENCE_RULES when everybody may see the record. `texts` holds names. */
static enum audience_rule choose(const struct rule *rule, const struct record *r, struct buf *texts,
                                 struct audience *a)
{
    if (r->is_muted || is_hidden(rule, r)) {
        add_roles(a, rule->moderators);
        return r->is_muted ? AUDIENCE_BY_MUTED : AUDIENCE_BY_HIDDEN;
    }
    switch (rule->audience_kind) {
    case RULE_EVERYONE:
        return AUDIENCE_RULES;
    case RULE_ROLES:
        add_roles(a, rule->audience);
        return AUDIENCE_BY_ROLES;
    case RULE_PAYLOAD:
        switch (audience_of_payload(r->payload, texts, &a->users, &a->roles)) {
        case AUDIENCE_NO_WISH:
            return AUDIENCE_RULES;
        case AUDIENCE_BAD_WISH: /* it was meant for some: better too few than too many */
            a->users.count = a->roles.count = 0;
            break;
        }
        return AUDIENCE_BY_PAYLOAD;
    }
    assert(false);
    return AUDIENCE_RULES;
}

/* Nobody could be named who may see it: then it is one who does not exist. */
static void close_audience(struct audience *a)
{
    if (audience_is_open(a)) {
        a->client = SLICE_LIT("-");
    }
}

enum audience_rule audiences_decide(const struct rule *rule, struct record *r, struct buf *text)
{
    struct audience a = {.is_opaque = false};

    r->audience = SLICE_NONE;
    if (!rule->narrows && !r->is_muted) {
        r->roles = SLICE_NONE;
        return AUDIENCE_RULES;
    }
    struct buf texts = BUF_EMPTY;
    a.rule = choose(rule, r, &texts, &a);
    if (a.rule != AUDIENCE_RULES) {
        add_sender(&a, r);
        close_audience(&a);
    }
    if (rule->narrows && !rule->echo && r->client.size > 0) {
        a.except = r->client;
        a.rule = a.rule == AUDIENCE_RULES ? AUDIENCE_BY_ECHO : a.rule;
    }
    r->roles = SLICE_NONE;
    r->is_muted = false;
    if (a.rule != AUDIENCE_RULES) {
        buf_clear(text);
        audience_write(text, &a);
        r->audience = buf_slice(text);
        assert(r->audience.size <= AUDIENCE_MAX);
    }
    buf_deinit(&texts);
    return a.rule;
}
