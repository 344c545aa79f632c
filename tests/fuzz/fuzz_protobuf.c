/*
 * fuzz_protobuf.c: commands in Protobuf: what was read lies within what came, raw JSON is JSON;
 * and encoded anew it is the same command.
 */
#include "tests/fuzz/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice message = {(const char *)data, size}, rest = message;
    struct buf texts = BUF_EMPTY, more = BUF_EMPTY;
    struct command c, publish;
    int answer;

    while ((answer = codec_protobuf.next(&rest, &texts, &c)) != COMMAND_END) {
        FUZZ_CHECK(fuzz_within(rest, message));
        if (answer == COMMAND_MALFORMED) {
            break; /* the session ends here */
        }
        if (answer == COMMAND_BAD) {
            FUZZ_CHECK(c.id != 0 || c.method == COMMAND_SEND);
            continue;
        }
        command_check(&c, message, buf_slice(&texts));
        command_check_again(&c, &more);
        command_check_subs(&codec_protobuf, &c, message, &texts);
        if (c.method == COMMAND_RPC && c.data.size > 0 &&
            command_publish_of(&c, &texts, &publish) == 0) {
            command_check(&publish, message, buf_slice(&texts));
        }
    }
    buf_deinit(&texts);
    buf_deinit(&more);
    return 0;
}
