/* gateway_swaps.c: now and then two records that one publishes change places on their way out. */
#include "gateway/dialect/dialect.h"
#include "tests/campaign/sabotage/gateway_wraps.h"
#include "tests/campaign/sabotage/mistake.h"

static const struct blob *made; /* the last frame with records, and its room */
static char made_room[ROOM_NAME_MAX];
static size_t made_size;

static struct blob *held; /* owns a reference: the frame that the next one overtakes */
static session_handle held_session;
static char held_room[ROOM_NAME_MAX];
static size_t held_size;

struct blob *__wrap_dialect_frame(enum dialect dialect, const struct record *const *run,
                                  size_t count)
{
    struct blob *frame = __real_dialect_frame(dialect, run, count);

    made = frame;
    made_size = run[0]->room.size;
    assert(made_size <= sizeof(made_room));
    memcpy(made_room, run[0]->room.at, made_size);
    return frame;
}

static void hold(const struct session *s, struct blob *frame)
{
    held = blob_ref(frame);
    held_session = s->handle;
    held_size = made_size;
    memcpy(held_room, made_room, made_size);
}

static void let_go(struct session *s)
{
    struct blob *frame = held;

    held = NULL;
    __real_session_send_frame(s, frame);
    blob_unref(frame);
}

void __wrap_session_send_frame(struct session *s, struct blob *frame)
{
    bool is_record = frame == made;

    if (is_record && held == NULL && mistake_now()) {
        hold(s, frame);
        return;
    }
    __real_session_send_frame(s, frame);
    if (is_record && held != NULL && s->handle == held_session && made_size == held_size &&
        memcmp(made_room, held_room, held_size) == 0) {
        let_go(s);
    }
}
