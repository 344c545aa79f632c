/* broadcaster_keeps_the_term.c: all owners write to the log under the first term, and fence nobody.
 */
#include "proto/message.h"

void __real_message_to_props(const struct message *m, struct slice app_id, char scratch[ID_MAX * 2],
                             struct mq_props *out);
void __wrap_message_to_props(const struct message *m, struct slice app_id, char scratch[ID_MAX * 2],
                             struct mq_props *out);

void __wrap_message_to_props(const struct message *m, struct slice app_id, char scratch[ID_MAX * 2],
                             struct mq_props *out)
{
    struct message copy = *m;
    bool is_of_log =
        m->type == MESSAGE_APPEND || m->type == MESSAGE_TERM || m->type == MESSAGE_CHECKPOINT;

    if (is_of_log) {
        copy.term = MIN(copy.term, 1u);
    }
    __real_message_to_props(&copy, app_id, scratch, out);
}
