/*
 * rules.h: what people may do in a room, and what is kept of it: by namespace.
 *
 * A room's namespace is its name up to the first ':', or all of it: the section
 * [room "support"] is about the rooms `support` and `support:...`. What such a
 * section does not say is as [room] has it, wherever in the file either stands.
 *
 * Both services know all of it, so that they can share one file; each goes by
 * what is its own.
 */
#ifndef WARREN_PROTO_RULES_H
#define WARREN_PROTO_RULES_H

#include "common/base.h"
#include "common/conf.h"
#include "proto/limits.h"

#define RULES_NAMES_MAX 256  /* namespaces with a section of their own */
#define RULES_NAME_MAX 40    /* bytes: [room "..."] has to fit the name of a section */
#define RULES_ERROR_SIZE 256 /* bytes of a message, at most */

/* What other programs are told of a room. */
enum rule_tells { RULE_TELLS_RECORD = 1, RULE_TELLS_JOIN = 2, RULE_TELLS_LEAVE = 4 };

enum rule_audience { RULE_EVERYONE, RULE_ROLES, RULE_PAYLOAD };

/* Of one room, and of all others in its namespace. */
struct rule {
    /* Owned texts that name people (who.h). Read by the gateway. */
    char *subscribe, *publish, *presence_for, *history_for;
    bool presence;   /* gateway: whether it is told who is in the room */
    bool join_leave; /* gateway: everybody is told who comes and goes, asked or not */
    bool hook_subscribe, hook_publish; /* gateway: a backend is asked */
    /* Read by the broadcaster; of history the gateway gives no more from its own memory. */
    int64_t history_size;   /* records kept */
    int64_t history_ttl_ms; /* how long a record is kept, and a room that nobody follows */
    int64_t presence_max;   /* members that a list may have */
    int64_t moves_max;      /* joins and leaves told in a second */
    /* Who may see a record; owned texts. Decided by the broadcaster, the gateway refuses early. */
    char *audience; /* "everyone", "payload", or roles */
    char *hidden;   /* names people whose records only they themselves and moderators see */
    char *muted;    /* "hidden" or "refused" */
    char *moderators;
    char *events;            /* owned text: none, or some of record, join, leave; broadcaster */
    bool echo;               /* the sender's session gets its own records */
    int64_t subscribers_max; /* of one room on one gateway; 0: any number */
    /* What rules_settle() makes of these. */
    enum rule_audience audience_kind;
    unsigned tells; /* bits of enum rule_tells */
    bool refuses_muted;
    bool narrows; /* it may be that not everybody sees a record, whoever is muted */
};

struct rules_name; /* a namespace with a section of its own */

struct rules {
    struct rule defaults;          /* rows of the table of settings: see RULES_ROWS */
    int64_t idempotency_window_ms; /* of all rooms */
    struct rules_name *names;      /* owns: by name */
    size_t count;
};

/* The rows of section [room], of a struct of settings `type` that has a struct rules `field`. */
/* clang-format off */
#define RULES_ROWS(type, field)                                                                    \
    RULES_ROOM_ROWS(offsetof(type, field.defaults)),                                               \
    {"room", "idempotency_window", CONF_DURATION, offsetof(type, field.idempotency_window_ms),     \
     "5m", 0, 86400000, "how long a publish with a key is known again"}

/* Those that a namespace may have too. `base` is where the struct rule begins. */
#define RULES_ROOM_ROWS(base)                                                                      \
    {"room", "subscribe", CONF_TEXT, (base) + offsetof(struct rule, subscribe), "*", 0, 0,         \
     "who may subscribe: * for everybody who is admitted, none, or some of: roles, known (who "    \
     "has a token), anonymous (who has none) (gateway)"},                                          \
    {"room", "publish", CONF_TEXT, (base) + offsetof(struct rule, publish), "*", 0, 0,             \
     "who may publish: likewise (gateway)"},                                                       \
    {"room", "presence", CONF_BOOL, (base) + offsetof(struct rule, presence), "yes", 0, 0,         \
     "keep the list of who is in a room (gateway)"},                                               \
    {"room", "join_leave", CONF_BOOL, (base) + offsetof(struct rule, join_leave), "no", 0, 0,      \
     "tell everybody who comes and goes, not only those who ask (gateway)"},                       \
    {"room", "history_size", CONF_NUMBER, (base) + offsetof(struct rule, history_size), "100", 0,  \
     100000, "recent records kept of a room, for those who come back (broadcaster)"},              \
    {"room", "history_ttl", CONF_DURATION, (base) + offsetof(struct rule, history_ttl_ms), "24h",  \
     1000, INT64_C(365) * 86400000,                                                                \
     "how long they are kept, and a room is that nobody follows (broadcaster)"},                   \
    {"room", "presence_max", CONF_NUMBER, (base) + offsetof(struct rule, presence_max), "1000", 0, \
     100000, "members listed; a room with more answers presence with error 106 (broadcaster)"},    \
    {"room", "join_leave_rate", CONF_NUMBER, (base) + offsetof(struct rule, moves_max), "100", 0,  \
     1000000, "joins and leaves of a room told in a second; those above are not (broadcaster)"},   \
    RULES_AUDIENCE_ROWS(base), RULES_RIGHTS_ROWS(base),                                           \
    {"room", "events", CONF_TEXT, (base) + offsetof(struct rule, events), "none", 0, 0,            \
     "what programs are told through the exchange PREFIX.events: none, or some of record, join, "  \
     "leave (broadcaster)"}

/* Who may see a record, and hear of others. */
#define RULES_AUDIENCE_ROWS(base)                                                                  \
    {"room", "audience", CONF_TEXT, (base) + offsetof(struct rule, audience), "everyone", 0, 0,    \
     "who sees a record: everyone, roles (and its sender), or payload: whom its members to and "   \
     "roles name"},                                                                         \
    {"room", "hidden", CONF_TEXT, (base) + offsetof(struct rule, hidden), "none", 0, 0,            \
     "people whose records only they themselves and moderators see: as subscribe"},         \
    {"room", "muted", CONF_TEXT, (base) + offsetof(struct rule, muted), "hidden", 0, 0,            \
     "what a muted user publishes is hidden (likewise) or refused with error 103"},         \
    {"room", "moderators", CONF_TEXT, (base) + offsetof(struct rule, moderators), "moderator", 0,  \
     0, "roles that see what is hidden, or none"},                                          \
    {"room", "echo", CONF_BOOL, (base) + offsetof(struct rule, echo), "yes", 0, 0,                 \
     "the session that publishes a record is sent it too"}

#define RULES_RIGHTS_ROWS(base)                                                                    \
    {"room", "presence_for", CONF_TEXT, (base) + offsetof(struct rule, presence_for), "*", 0, 0,   \
     "of those in a room, who may ask who else is, and be told who comes and goes "            \
     "(gateway)"},                                                                             \
    {"room", "history_for", CONF_TEXT, (base) + offsetof(struct rule, history_for), "*", 0, 0,     \
     "of those in a room, who may see what was said before they came, or came back (gateway)"},    \
    {"room", "subscribers", CONF_NUMBER, (base) + offsetof(struct rule, subscribers_max), "0", 0,  \
     10000000, "sessions of one gateway in a room; error 106 above it; 0: any number (gateway)"},  \
    {"room", "hook_subscribe", CONF_BOOL, (base) + offsetof(struct rule, hook_subscribe), "no", 0, \
     0, "ask [hooks] subscribe_url who may subscribe, of those who may otherwise (gateway)"},      \
    {"room", "hook_publish", CONF_BOOL, (base) + offsetof(struct rule, hook_publish), "no", 0, 0,  \
     "ask [hooks] publish_url what may be published, likewise (gateway)"}
/* clang-format on */

/* A key of [room "name"], as conf_table.named gets it; `section` is what stands before the name. 0,
 * or -1 with `error` filled. */
int rules_set(struct rules *r, const char *section, const char *name, const char *key,
              const char *value, char *error, size_t size) MUST_CHECK;

/* All is read: checks the defaults and gives every namespace what it does not say itself. 0, or -1
 * with `error` filled. To be called once; rules_find() before it is too early. */
int rules_settle(struct rules *r, char *error, size_t size) MUST_CHECK;

/* The rule for a room. It stays where it is until rules_deinit(). */
const struct rule *rules_find(const struct rules *r, struct slice room);

/* Whether people are asked about in any room. */
enum rules_ask { RULES_ASK_SUBSCRIBE, RULES_ASK_PUBLISH };
bool rules_any_asks(const struct rules *r, enum rules_ask what);

/* The shortest life of history in any room. */
int64_t rules_history_ttl_min_ms(const struct rules *r);

/* Frees what the namespaces own; the defaults belong to the table of settings. Accepts zeros. */
void rules_deinit(struct rules *r);

#endif
