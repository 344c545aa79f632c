/*
 * identity.c: see identity.h.
 */
#include "gateway/token/identity.h"

#include "common/hash.h"
#include "common/mem.h"
#include "proto/json.h"
#include "proto/limits.h"
#include "proto/who.h"

static_assert(JWT_ROLES_MAX <= AUDIENCE_NAMES_MAX && JWT_ROLE_SIZE <= ROLE_MAX &&
                  JWT_ROLES_MAX * (6 * JWT_ROLE_SIZE + 3) + 2 <= AUDIENCE_MAX,
              "the roles of a token fit a record");

/* A copy of the text as the inside of a JSON string. */
static char *escaped(const char *text)
{
    struct buf b = BUF_EMPTY;

    json_escape(&b, slice_of(text));
    char *copy = mem_copy_text(b.at, b.size);
    buf_deinit(&b);
    return copy;
}

static char *info_of(struct slice info)
{
    struct buf b = BUF_EMPTY;

    claim_add_info(&b, info);
    char *copy = mem_copy_text(b.size > 0 ? b.at : "", b.size);
    buf_deinit(&b);
    return copy;
}

/* All who are nobody share one: most idle sessions of an open service are such. */
static char nothing[] = "";
static struct identity anonymous = {
    .is_known = false, .user = nothing, .name = nothing, .roles_list = nothing, .info = nothing};

uint64_t identity_mark(struct slice name)
{
    return UINT64_C(1) << (hash_seeded(name.at, name.size) & 63);
}

/* What is said of the roles to owners. */
static char *roles_list_of(char **roles)
{
    struct buf list = BUF_EMPTY;

    if (roles == NULL) {
        return nothing;
    }
    for (char **role = roles; *role != NULL; role++) {
        buf_addf(&list, "%s\"%s\"", role == roles ? "[" : ",", *role);
    }
    buf_add_char(&list, ']');
    char *copy = mem_copy_text(list.at, list.size);
    buf_deinit(&list);
    return copy;
}

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
    i->mark = identity_mark(slice_of(i->user));
    i->expires_s = claims->expires_s;
    i->info = info_of(jwt_text(claims, claims->info));
    i->granted = granted_new(claims);
    if (claims->id.size > 0) {
        struct slice id = jwt_text(claims, claims->id);
        i->token_id = mem_copy_text(id.at, id.size);
    }
    if (claims->role_count > 0) {
        i->roles = mem_zalloc(claims->role_count + 1, sizeof(*i->roles));
        for (size_t k = 0; k < claims->role_count; k++) {
            i->roles[k] = escaped(claims->roles[k]);
            i->mark |= identity_mark(slice_of(i->roles[k]));
        }
    }
    i->roles_list = roles_list_of(i->roles);
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
        if (i->roles_list != nothing) {
            mem_free(i->roles_list);
        }
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

static bool has_role(const void *person, struct slice name)
{
    const struct identity *i = person;

    for (char **role = i->roles; role != NULL && *role != NULL; role++) {
        if (slice_equal(slice_of(*role), name)) {
            return true;
        }
    }
    return false;
}

bool identity_may(const struct identity *i, const char *rule)
{
    return who_admits(rule, i->is_known, has_role, i);
}
