/*
 * identity.c: see identity.h.
 */
#include "gateway/identity.h"

#include "common/mem.h"
#include "proto/json.h"

/* A copy of the text as the inside of a JSON string. */
static char *escaped(const char *text)
{
    struct buf b = BUF_EMPTY;

    json_escape(&b, slice_of(text));
    char *copy = mem_copy_text(b.at, b.size);
    buf_deinit(&b);
    return copy;
}

static char *object_of(struct slice info)
{
    struct buf b = BUF_EMPTY;

    claim_add_raw(&b, info, true);
    char *copy = mem_copy_text(b.size > 0 ? b.at : "", b.size);
    buf_deinit(&b);
    return copy;
}

/* All who are nobody share one: most idle sessions of an open service are such. */
static char nothing[] = "";
static struct identity anonymous = {
    .is_known = false, .user = nothing, .name = nothing, .info = nothing};

struct identity *identity_new(const struct jwt_claims *claims)
{
    if (claims == NULL) {
        return &anonymous;
    }
    struct identity *i = mem_new(struct identity);

    i->is_known = true;
    i->user = escaped(claims->user);
    i->name = escaped(claims->name);
    i->issued_s = claims->issued_s;
    i->expires_s = claims->expires_s;
    i->info = object_of(jwt_text(claims, claims->info));
    i->granted = granted_new(claims);
    if (claims->id.size > 0) {
        struct slice id = jwt_text(claims, claims->id);
        i->token_id = mem_copy_text(id.at, id.size);
    }
    if (claims->role_count > 0) {
        i->roles = mem_zalloc(claims->role_count + 1, sizeof(*i->roles));
        for (size_t k = 0; k < claims->role_count; k++) {
            i->roles[k] = mem_copy_text(claims->roles[k], strlen(claims->roles[k]));
        }
    }
    return i;
}

struct identity *identity_free(struct identity *i)
{
    if (i != NULL && i->is_known) {
        for (char **role = i->roles; role != NULL && *role != NULL; role++) {
            mem_free(*role);
        }
        mem_free(i->roles);
        mem_free(i->token_id);
        mem_free(i->user);
        mem_free(i->name);
        mem_free(i->info);
        granted_free(i->granted);
        mem_free(i);
    }
    return NULL;
}

bool identity_is_user(const struct identity *i, const char *user)
{
    char *same = escaped(user);
    bool is_same = strcmp(i->user, same) == 0;

    mem_free(same);
    return is_same;
}

static bool has_role(const struct identity *i, struct slice name)
{
    for (char **role = i->roles; role != NULL && *role != NULL; role++) {
        if (slice_equal(slice_of(*role), name)) {
            return true;
        }
    }
    return false;
}

bool identity_may(const struct identity *i, const char *rule)
{
    static const char separators[] = " ,\t";

    if (strcmp(rule, "*") == 0) {
        return true; /* an anonymous one exists only where such may come in */
    }
    if (!i->is_known || strcmp(rule, "none") == 0) {
        return false;
    }
    while (*rule != '\0') {
        size_t size = strcspn(rule, separators);
        if (size > 0 && has_role(i, (struct slice){rule, size})) {
            return true;
        }
        rule += size;
        rule += strspn(rule, separators);
    }
    return false;
}
