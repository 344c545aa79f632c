/*
 * fuzz_protobuf.c: commands in Protobuf: what was read lies within what came, raw JSON is JSON;
 * and encoded anew it is the same command.
 */
#include "tests/fuzz/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    command_check_all(&codec_protobuf, (struct slice){(const char *)data, size});
    return 0;
}
