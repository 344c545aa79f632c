/*
 * revoked.c: see revoked.h.
 *
 * Users are kept as sessions have them: as the inside of a JSON string.
 */
#include "gateway/token/revoked.h"

#include "common/buf.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/json.h"
#include "proto/limits.h"

#define SWEEP_STEP 256 /* entries looked at in a tick, of each kind */

struct entry {
    UT_hash_handle hh;
    int64_t before_s;  /* users: of `iat` */
    int64_t expires_s; /* 0: never */
    size_t size;
    char text[];
};

/* Entries of one kind. */
struct entries {
    struct entry *by_text; /* owns: uthash */
    struct entry *cursor;  /* where the sweep goes on; NULL: at the start */
    size_t max;
};

struct revoked {
    struct metrics *metrics; /* borrowed */
    struct entries tokens, users;
    int64_t all_before_s;
    bool has_news; /* sessions have not been looked at since the last entry */
    int64_t looked_ms;
    struct buf scratch;
    struct log_limit full_lines;
};

struct revoked *revoked_new(struct metrics *m)
{
    struct revoked *r = mem_new(struct revoked);

    r->metrics = m;
    r->tokens.max = REVOKED_TOKENS_MAX;
    r->users.max = REVOKED_USERS_MAX;
    r->all_before_s = INT64_MIN;
    return r;
}

static void forget(struct entries *e, struct entry *entry)
{
    HASH_DELETE(hh, e->by_text, entry);
    mem_free(entry);
}

struct revoked *revoked_free(struct revoked *r)
{
    if (r != NULL) {
        while (r->tokens.by_text != NULL) {
            forget(&r->tokens, r->tokens.by_text);
        }
        while (r->users.by_text != NULL) {
            forget(&r->users, r->users.by_text);
        }
        buf_deinit(&r->scratch);
        mem_free(r);
    }
    return NULL;
}

size_t revoked_count(const struct revoked *r)
{
    return HASH_COUNT(r->tokens.by_text) + HASH_COUNT(r->users.by_text);
}

static struct entry *find(const struct entries *e, struct slice text)
{
    struct entry *entry;

    HASH_FIND(hh, e->by_text, text.at, text.size, entry);
    return entry;
}

static void note_news(struct revoked *r)
{
    r->has_news = true;
    stat_set(&r->metrics->revocations, revoked_count(r));
}

static int add(struct revoked *r, struct entries *e, struct slice text, int64_t before_s,
               int64_t expires_s)
{
    struct entry *entry = find(e, text);
    bool is_new = entry == NULL;

    if (is_new) {
        if (HASH_COUNT(e->by_text) >= e->max) {
            stat_add(&r->metrics->revocations_full, 1);
            limit_met(&r->metrics->limits, LIMIT_REVOCATIONS);
            if (log_allowed(&r->full_lines)) {
                log_error("revocation refused: there are %zu already", e->max);
            }
            return REVOKED_FULL;
        }
        entry = mem_zalloc(1, sizeof(*entry) + text.size);
        entry->before_s = before_s;
        entry->expires_s = expires_s;
        entry->size = text.size;
        memcpy(entry->text, text.at, text.size);
        HASH_ADD_KEYPTR(hh, e->by_text, entry->text, entry->size, entry);
    }
    if (before_s > entry->before_s || is_new) {
        entry->before_s = before_s;
        note_news(r); /* else it is a summary, or said again: nobody is meant who was not before */
    }
    if (expires_s == 0 || entry->expires_s == 0) {
        entry->expires_s = 0;
    } else {
        entry->expires_s = MAX(entry->expires_s, expires_s);
    }
    return 0;
}

static bool is_text(struct slice text, size_t max)
{
    return text.size > 0 && text.size <= max && text_is_clean(text);
}

int revoked_add_token(struct revoked *r, struct slice id, int64_t expires_s)
{
    return is_text(id, JWT_ID_MAX) ? add(r, &r->tokens, id, 0, expires_s) : REVOKED_BAD;
}

int revoked_add_user(struct revoked *r, struct slice user, int64_t before_s, int64_t expires_s)
{
    if (!is_text(user, USER_MAX)) {
        return REVOKED_BAD;
    }
    buf_clear(&r->scratch);
    json_escape(&r->scratch, user);
    return add(r, &r->users, buf_slice(&r->scratch), before_s, expires_s);
}

void revoked_add_all(struct revoked *r, int64_t before_s)
{
    if (before_s > r->all_before_s) {
        r->all_before_s = before_s;
        note_news(r);
    }
}

bool revoked_is_token(const struct revoked *r, struct slice id, struct slice user, int64_t issued_s)
{
    if (issued_s < r->all_before_s || (id.size > 0 && find(&r->tokens, id) != NULL)) {
        return true;
    }
    const struct entry *of_user = user.size > 0 ? find(&r->users, user) : NULL;

    return of_user != NULL && issued_s < of_user->before_s;
}

bool revoked_is(const struct revoked *r, const struct jwt_claims *claims)
{
    struct buf user = BUF_EMPTY;

    if (r->users.by_text != NULL) { /* else nobody asks for it */
        json_escape(&user, slice_of(claims->user));
    }
    bool is_revoked =
        revoked_is_token(r, jwt_text(claims, claims->id), buf_slice(&user), claims->issued_s);
    buf_deinit(&user);
    return is_revoked;
}

bool revoked_is_identity(const struct revoked *r, const struct identity *i)
{
    struct slice id = i->token_id != NULL ? slice_of(i->token_id) : SLICE_NONE;

    return i->is_known && revoked_is_token(r, id, slice_of(i->user), i->issued_s);
}

bool revoked_any(const struct revoked *r)
{
    return r->all_before_s != INT64_MIN || revoked_count(r) > 0;
}

bool revoked_has_room(const struct revoked *r, bool is_user)
{
    const struct entries *e = is_user ? &r->users : &r->tokens;

    return HASH_COUNT(e->by_text) < e->max;
}

static bool has_ended(const struct entry *entry, int64_t now_s)
{
    return entry->expires_s != 0 && entry->expires_s <= now_s;
}

void revoked_each(const struct revoked *r, int64_t now_s,
                  void (*each)(void *user, const struct revocation *v), void *user)
{
    struct buf escaped = BUF_EMPTY;
    const struct entry *e;

    if (r->all_before_s != INT64_MIN) {
        each(user, &(struct revocation){.before_s = r->all_before_s});
    }
    for (e = r->users.by_text; e != NULL; e = e->hh.next) {
        if (!has_ended(e, now_s)) {
            each(user, &(struct revocation){.user = {e->text, e->size},
                                            .before_s = e->before_s,
                                            .expires_s = e->expires_s});
        }
    }
    for (e = r->tokens.by_text; e != NULL; e = e->hh.next) {
        if (!has_ended(e, now_s)) {
            buf_clear(&escaped);
            json_escape(&escaped, (struct slice){e->text, e->size});
            each(user,
                 &(struct revocation){.token = buf_slice(&escaped), .expires_s = e->expires_s});
        }
    }
    buf_deinit(&escaped);
}

static void sweep(struct entries *e, int64_t now_s)
{
    struct entry *entry = e->cursor != NULL ? e->cursor : e->by_text;

    for (int i = 0; i < SWEEP_STEP && entry != NULL; i++) {
        struct entry *next = entry->hh.next;

        if (has_ended(entry, now_s)) {
            forget(e, entry);
        }
        entry = next;
    }
    e->cursor = entry;
}

void revoked_tick(struct revoked *r, int64_t now_s)
{
    sweep(&r->tokens, now_s);
    sweep(&r->users, now_s);
    stat_set(&r->metrics->revocations, revoked_count(r));
}

bool revoked_take_news(struct revoked *r, int64_t now_ms)
{
    /* A burst of entries is looked at once; a tick brings us back for those that came too soon. */
    if (!r->has_news || now_ms - r->looked_ms < REVOKED_LOOK_MS / 2) {
        return false;
    }
    r->has_news = false;
    r->looked_ms = now_ms;
    return true;
}
