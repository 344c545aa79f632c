/*
 * main.c: a fuzz target without a fuzzer: goes through files.
 *
 *     fuzz_<name> FILE-OR-FOLDER...
 *
 * Each file is an input; one named *.hex holds its bytes in hexadecimal digits. With each go its
 * beginnings up to every length, and the input with one byte changed, everywhere. A file named
 * *.hexes holds an input in each line; they go as they are.
 */
#include <ctype.h>
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define CHANGED_MAX 400 /* bytes of a file that are cut and changed */

static size_t executions;

static void run(const char *at, size_t size)
{
    const char *input = fuzz_copy(at, size);

    (void)LLVMFuzzerTestOneInput((const uint8_t *)input, size);
    fuzz_free(input);
    executions++;
}

static void run_changed(struct buf *input)
{
    static const char changes[] = {1, '\x20', '\x80', '\xff'};

    run(input->at, input->size);
    for (size_t i = 0; i < MIN(input->size, (size_t)CHANGED_MAX); i++) {
        run(input->at, i);
        for (size_t n = 0; n < sizeof(changes); n++) {
            input->at[i] = (char)(input->at[i] ^ changes[n]);
            run(input->at, input->size);
            input->at[i] = (char)(input->at[i] ^ changes[n]);
        }
    }
}

static void read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    size_t size;

    if (f == NULL) {
        perror(path);
        exit(1);
    }
    while ((size = fread(buf_reserve(out, 4096), 1, 4096, f)) > 0) {
        buf_grew(out, size);
    }
    fclose(f);
}

/* Digits become bytes, in place; white space is passed. */
static void from_hex(struct buf *b)
{
    size_t size = 0, digits = 0;
    char pair[3] = "";

    for (size_t i = 0; i < b->size; i++) {
        if (isxdigit((unsigned char)b->at[i])) {
            pair[digits++ % 2] = b->at[i];
            if (digits % 2 == 0) {
                b->at[size++] = (char)strtoul(pair, NULL, 16);
            }
        }
    }
    b->size = size;
}

static void go_through_lines(struct slice lines)
{
    struct buf input = BUF_EMPTY;

    while (lines.size > 0) {
        const char *end = memchr(lines.at, '\n', lines.size);
        size_t size = end != NULL ? (size_t)(end - lines.at) : lines.size;

        buf_clear(&input);
        buf_add(&input, lines.at, size);
        from_hex(&input);
        run(input.at, input.size);
        lines.at += MIN(size + 1, lines.size);
        lines.size -= MIN(size + 1, lines.size);
    }
    buf_deinit(&input);
}

static void go_through_file(const char *path)
{
    const char *end = strrchr(path, '.');
    struct buf input = BUF_EMPTY;

    read_file(path, &input);
    if (end != NULL && strcmp(end, ".hexes") == 0) {
        go_through_lines(buf_slice(&input));
        buf_deinit(&input);
        return;
    }
    if (end != NULL && strcmp(end, ".hex") == 0) {
        from_hex(&input);
    }
    run_changed(&input);
    buf_deinit(&input);
}

static void go_through(const char *path)
{
    struct dirent **entries;
    struct stat is;

    if (stat(path, &is) != 0 || !S_ISDIR(is.st_mode)) {
        go_through_file(path);
        return;
    }
    int count = scandir(path, &entries, NULL, alphasort);

    FUZZ_CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        char *inside = NULL;

        if (entries[i]->d_name[0] != '.' &&
            asprintf(&inside, "%s/%s", path, entries[i]->d_name) > 0) {
            go_through(inside);
        }
        free(inside);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        go_through(argv[i]);
    }
    printf("%zu executions\n", executions);
    return executions > 0 ? 0 : 1;
}
