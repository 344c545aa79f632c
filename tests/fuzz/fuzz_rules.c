/*
 * fuzz_rules.c: rules of rooms: a room is ruled by its namespace, and by the defaults where that
 * says nothing.
 *
 * The input is lines: "name key value" as it would stand in [room "name"]; or a room alone.
 */
#include "common/mem.h"
#include "proto/room.h"
#include "proto/rules.h"
#include "tests/fuzz/fuzz.h"

#define LINE_MAX 200

/* The words of a line; the last one is the rest of it. False: there are not as many. */
static bool split(char *line, char *words[3])
{
    words[0] = strsep(&line, " ");
    words[1] = strsep(&line, " ");
    words[2] = line;
    return line != NULL;
}

/* A text with the beginning of the line. */
static char *copy_line(char text[LINE_MAX + 1], struct slice line)
{
    size_t size = MIN(line.size, (size_t)LINE_MAX);

    memcpy(text, line.at, size);
    text[size] = '\0';
    return text;
}

static void look_up(const struct rules *r, struct slice room)
{
    const struct rule *found = rules_find(r, room);
    const char *colon = room.size > 0 ? memchr(room.at, ':', room.size) : NULL;
    struct slice space = {room.at, colon != NULL ? (size_t)(colon - room.at) : room.size};

    FUZZ_CHECK(found != NULL && found->subscribe != NULL && found->publish != NULL);
    FUZZ_CHECK(found == rules_find(r, room));
    FUZZ_CHECK(space.size == 0 || found == rules_find(r, space));
    FUZZ_CHECK(!room_is_valid(room) || room_partition(room, 16) < 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char all[] = "*", everyone[] = "everyone", none[] = "none", hidden[] = "hidden";
    struct rules r = {
        .defaults = {.subscribe = mem_copy_text("*", 1),
                     .publish = mem_copy_text("mod, admin", 10),
                     .presence_for = all,
                     .history_for = all,
                     .audience = everyone,
                     .hidden = none,
                     .muted = hidden,
                     .moderators = none,
                     .events = none,
                     .echo = true,
                     .presence = true,
                     .history_size = 7,
                     .history_ttl_ms = 5000},
    };
    struct slice input = {(const char *)data, size};
    char error[RULES_ERROR_SIZE] = "";
    bool is_good = true;

    for (int pass = 0; pass < 2 && is_good; pass++) {
        struct slice rest = input;

        while (rest.size > 0 && is_good) {
            const char *end = memchr(rest.at, '\n', rest.size);
            size_t taken = end != NULL ? (size_t)(end - rest.at) : rest.size;
            char line[LINE_MAX + 1], *words[3];

            if (pass == 1) {
                look_up(&r, (struct slice){rest.at, taken});
            } else if (split(copy_line(line, (struct slice){rest.at, taken}), words)) {
                is_good =
                    rules_set(&r, "room", words[0], words[1], words[2], error, sizeof(error)) == 0;
                FUZZ_CHECK(is_good || error[0] != '\0');
            }
            rest.at += MIN(taken + 1, rest.size);
            rest.size -= MIN(taken + 1, rest.size);
        }
        is_good = is_good && (pass == 1 || rules_settle(&r, error, sizeof(error)) == 0);
    }
    rules_deinit(&r);
    mem_free(r.defaults.subscribe);
    mem_free(r.defaults.publish);
    return 0;
}
