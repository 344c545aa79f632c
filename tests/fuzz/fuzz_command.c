/*
 * fuzz_command.c: commands in JSON: what was read lies within what came; and encoded in Protobuf
 * it is read as the same command.
 */
#include "tests/fuzz/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    command_check_all(&codec_json, (struct slice){(const char *)data, size});
    return 0;
}
