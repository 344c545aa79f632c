/* presence.c: who is in which room: the soft state behind presence. */
#include "broadcaster/presence.h"

#include <utlist.h>

#include "common/mem.h"

static_assert(INFO_MAX <= UINT16_MAX, "the sizes of a member's texts fit");

static struct member *find(const struct place *place, struct slice client)
{
    struct member *m;

    HASH_FIND(hh, place->members, client.at, client.size, m);
    return m;
}

static char *put(char *to, struct slice s)
{
    if (s.size > 0) {
        memcpy(to, s.at, s.size);
    }
    return to + s.size;
}

static struct person *person_take(struct place *place, struct slice user)
{
    struct person *person;

    user.at = user.size > 0 ? user.at : ""; /* nobody known */
    HASH_FIND(hh, place->persons, user.at, user.size, person);
    if (person == NULL) {
        assert(user.size <= UINT16_MAX);
        person = mem_zalloc(1, sizeof(*person) + user.size + 1);
        person->user_size = (uint16_t)user.size;
        put(person->user, user);
        HASH_ADD_KEYPTR(hh, place->persons, person->user, person->user_size, person);
    }
    person->members++;
    return person;
}

static void person_give(struct place *place, struct person *person)
{
    if (--person->members == 0) {
        HASH_DELETE(hh, place->persons, person);
        mem_free(person);
    }
}

bool presence_enter(struct member **of_gateway, struct place *place, const struct line *line)
{
    struct member *old = find(place, line->client);
    struct member *m =
        mem_alloc(sizeof(*m) + line->client.size + line->info.size + line->chan_info.size);
    bool is_new = old == NULL;

    assert(line->client.size > 0 && line->client.size <= UINT16_MAX);
    assert(line->info.size <= UINT16_MAX && line->chan_info.size <= UINT16_MAX);
    *m = (struct member){
        .of_gateway = of_gateway,
        .place = place,
        .person = person_take(place, line->user),
        .client_size = (uint16_t)line->client.size,
        .info_size = (uint16_t)line->info.size,
        .chan_info_size = (uint16_t)line->chan_info.size,
    };
    put(put(put(m->text, line->client), line->info), line->chan_info);
    if (old != NULL) {
        member_free(old);
    }
    HASH_ADD_KEYPTR(hh, place->members, m->text, m->client_size, m);
    DL_APPEND(*of_gateway, m);
    return is_new;
}

struct member *presence_find(struct member **of_gateway, const struct place *place,
                             struct slice client)
{
    struct member *m = find(place, client);

    return m != NULL && m->of_gateway == of_gateway ? m : NULL;
}

void member_free(struct member *m)
{
    person_give(m->place, m->person);
    HASH_DELETE(hh, m->place->members, m);
    DL_DELETE(*m->of_gateway, m);
    mem_free(m);
}

void member_line(const struct member *m, struct line *out)
{
    *out = (struct line){
        .room = place_name(m->place),
        .client = {m->text, m->client_size},
        .user = {m->person->user, m->person->user_size},
        .info = {m->text + m->client_size, m->info_size},
        .chan_info = {m->text + m->client_size + m->info_size, m->chan_info_size},
    };
}

size_t presence_members(const struct place *place)
{
    return HASH_COUNT(place->members);
}

size_t presence_persons(const struct place *place)
{
    return HASH_COUNT(place->persons);
}
