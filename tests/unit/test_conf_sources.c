/* test_conf_sources.c: settings from a file and the environment, and what is said when they are
 * wrong. Files live in a folder of their own; standard error is read back. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/conf.h"

struct settings {
    char *listen, *key, *url, *level, *public_key_file;
    int64_t size;
    bool demo;
    struct buf named; /* what named() was told */
};

#define AT(field) offsetof(struct settings, field)

static const struct conf_key keys[] = {
    {"amqp", "url", CONF_SECRET, AT(url), "amqp://x", 0, 0, "broker"},
    {"gateway", "listen", CONF_TEXT, AT(listen), "127.0.0.1:8080", 0, 0, "address"},
    {"gateway", "demo", CONF_BOOL, AT(demo), "no", 0, 0, "page"},
    {"gateway", "max_size", CONF_SIZE, AT(size), "64k", 1, 1 << 20, "size"},
    {"auth", "hmac_key", CONF_SECRET, AT(key), "", 0, 0, "key"},
    {"auth", "public_key_file", CONF_TEXT, AT(public_key_file), "", 0, 0, "key"},
    {"log", "level", CONF_TEXT, AT(level), "info", 0, 0, "level"},
};

static const char *const foreign[] = {"broadcaster", NULL};

static int named(void *settings, const char *section, const char *name, const char *key,
                 const char *value, char *error, size_t size)
{
    struct settings *s = settings;
    if (strcmp(section, "room") != 0) {
        snprintf(error, size, "only rooms have names");
        return -1;
    }
    buf_addf(&s->named, "%s/%s/%s=%s;", section, name, key, value);
    return 0;
}

static const struct conf_table table = {keys, ARRAY_LEN(keys), foreign, named};

static char folder[] = "/tmp/warren-conf-XXXXXX";
static char conf_path[64], secret_path[64];
static char complaint[4096]; /* what conf_load() wrote to standard error */

static void write_file(const char *path, const char *at, size_t size)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(at, 1, size, file), size);
    fclose(file);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(conf_path, sizeof(conf_path), "%s/w.ini", folder);
    snprintf(secret_path, sizeof(secret_path), "%s/secret", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(conf_path);
    unlink(secret_path);
    return rmdir(folder);
}

/* Every test begins with an environment without settings. */
static int clear(void **state)
{
    (void)state;
    clearenv();
    unlink(conf_path);
    unlink(secret_path);
    return 0;
}

static int load(const char *path, struct settings *s)
{
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);

    *s = (struct settings){0};
    int r = conf_load(&table, path, s);

    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t size = read(ends[0], complaint, sizeof(complaint) - 1);
    complaint[size > 0 ? size : 0] = '\0';
    close(ends[0]);
    return r;
}

static int load_text(struct slice text, struct settings *s)
{
    write_file(conf_path, text.at, text.size);
    return load(conf_path, s);
}

static void drop(struct settings *s)
{
    conf_free(&table, s);
    buf_deinit(&s->named);
}

/* One line that ends the program: "<path>:12: ...". */
static void assert_refused(struct slice text, const char *want)
{
    struct settings s;
    assert_int_equal(load_text(text, &s), -1);
    size_t size = strlen(conf_path);
    assert_int_equal(strncmp(complaint, conf_path, size), 0);
    if (strncmp(complaint + size, want, strlen(want)) != 0) {
        print_error("%s", complaint);
    }
    assert_int_equal(strncmp(complaint + size, want, strlen(want)), 0);
    assert_ptr_equal(strchr(complaint, '\n'), complaint + strlen(complaint) - 1);
    assert_null(s.listen);
    drop(&s);
}

static void without_a_file_there_are_the_defaults(void **state)
{
    (void)state;
    struct settings s;
    assert_int_equal(load(NULL, &s), 0);
    assert_string_equal(complaint, "");
    assert_string_equal(s.listen, "127.0.0.1:8080");
    assert_string_equal(s.key, "");
    assert_int_equal(s.size, 65536);
    assert_false(s.demo);
    drop(&s);
    assert_int_equal(load_text(SLICE_LIT(""), &s), 0);
    drop(&s);
}

static void a_file_may_be_written_the_way_people_write(void **state)
{
    (void)state;
    struct settings s;
    assert_int_equal(load_text(SLICE_LIT("\xef\xbb\xbf; comment\n# comment\n\n"
                                         "[gateway]   ; the gateway\r\n"
                                         "listen=[::1]:80;x ; comment\n"
                                         "  demo : yes ; indented\n"
                                         "\tmax_size = 1m\n"
                                         "[auth]\n"
                                         "hmac_key = a#b = c; # d\n"
                                         "public_key_file =    ; nothing\n"
                                         "[broadcaster]\nwhatever = 1\nwhatever = 2\n"
                                         "[broadcaster \"x\"]\ny = z\n"
                                         "[log]\nlevel ="),
                               &s),
                     0);
    assert_string_equal(complaint, "");
    assert_string_equal(s.listen, "[::1]:80;x");
    assert_true(s.demo);
    assert_int_equal(s.size, 1 << 20);
    assert_string_equal(s.key, "a#b = c; # d");
    assert_string_equal(s.public_key_file, "");
    assert_string_equal(s.level, "");
    drop(&s);
}

static void values_may_be_longer_than_a_line_of_inih(void **state)
{
    (void)state;
    static const size_t sizes[] = {150, 180, 185, 190, 195, 198, 199, 200, 201, 250, 5000, 100000};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct settings s;
        struct buf b = BUF_EMPTY, want = BUF_EMPTY;
        while (want.size < sizes[i]) {
            buf_add_lit(&want, "a b=c:d;e ");
        }
        want.size = sizes[i];
        want.at[want.size - 1] = 'z';
        buf_add_lit(&b, "[gateway]\n  listen = ");
        buf_add_slice(&b, buf_slice(&want));
        buf_add_lit(&b, "  ; comment ; more\ndemo = yes\n");
        assert_int_equal(load_text(buf_slice(&b), &s), 0);
        assert_int_equal(strlen(s.listen), want.size);
        assert_memory_equal(s.listen, want.at, want.size);
        assert_true(s.demo);
        drop(&s);
        buf_deinit(&b);
        buf_deinit(&want);
    }
}

static void sections_with_a_name_reach_the_service(void **state)
{
    (void)state;
    struct settings s;
    const struct slice text = SLICE_LIT("[room \"support\"]\na = 1\nb =\n"
                                        "[room   \"x y\"] ; c\na = 2\n"
                                        "[room\"z\"]\na = 3\n");
    assert_int_equal(load_text(text, &s), 0);
    buf_add_char(&s.named, '\0');
    assert_string_equal(s.named.at, "room/support/a=1;room/support/b=;room/x y/a=2;room/z/a=3;");
    drop(&s);
}

static void wrong_files_are_refused_with_file_line_and_key(void **state)
{
    (void)state;
    const struct {
        struct slice text;
        const char *want;
    } cases[] = {
        {SLICE_LIT("[gateway]\n\n; c\nlistne = x\n"),
         ":4: [gateway] listne: unknown key; there are: listen demo max_size"},
        {SLICE_LIT("[gatway]\nlisten = x\n"),
         ":2: [gatway] listen: unknown section; there are: [amqp] [gateway] [auth] [log]"},
        {SLICE_LIT("listen = x\n"), ":1: [] listen: unknown section"},
        {SLICE_LIT("[gateway]\nDemo = yes\n"), ":2: [gateway] Demo: unknown key"},
        {SLICE_LIT("[gateway]\ndemo = maybe\n"), ":2: [gateway] demo: must be yes or no"},
        {SLICE_LIT("[gateway]\ndemo =\n"), ":2: [gateway] demo: must be yes or no, not \"\""},
        {SLICE_LIT("[gateway]\nmax_size = 2m\n"),
         ":2: [gateway] max_size: must be a size such as 64k, 16m or 1g from 1 to 1m, not \"2m\""},
        {SLICE_LIT("[gateway]\ndemo\n"), ":2: neither [section] nor key = value nor comment"},
        {SLICE_LIT("[gateway\ndemo = yes\n"), ":1: neither [section] nor"},
        {SLICE_LIT("[gateway]\nx = 1\nnonsense\n"), ":2: [gateway] x: unknown key"},
        {SLICE_LIT("[gateway]\nnonsense\nx = 1\n"), ":2: neither [section] nor"},
        {SLICE_LIT("[gateway]\ndemo = yes\ndemo = yes\n"), ":3: [gateway] demo: is given twice"},
        {SLICE_LIT("[gateway]\nlisten_file = x\n"), ":2: [gateway] listen_file: unknown key"},
        {SLICE_LIT("[auth]\nhmac_key = x\nhmac_key_file = y\n"),
         ":3: [auth] hmac_key_file: give either hmac_key or hmac_key_file, not both"},
        {SLICE_LIT("[auth]\nhmac_key_file = /nowhere/x\n"),
         ":2: [auth] hmac_key_file: file \"/nowhere/x\" No such file"},
        {SLICE_LIT("[auth]\nhmac_key_file = /tmp\n"),
         ":2: [auth] hmac_key_file: file \"/tmp\" Is a directory"},
        {SLICE_LIT("[user \"x\"]\na = 1\n"), ":2: [user \"x\"] a: only rooms have names"},
        {SLICE_LIT("[room \"\"]\na = 1\n"), ":2: [room \"\"] a: a section with a name looks like"},
        {SLICE_LIT("[room \"x]\na = 1\n"), ":2: [room \"x] a: a section with a name looks like"},
        {SLICE_LIT("[room \"x\"y\"]\na = 1\n"), ":2: [room \"x\"y\"] a: a section with a name"},
        {SLICE_LIT("[room \"x\" y]\na = 1\n"), ":2: [room \"x\" y] a: a section with a name"},
        {SLICE_LIT(
             "[room \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]\na = 1\n"),
         ":2: [room \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa] a: a section's name has at "
         "most"},
        {SLICE_LIT("[gateway]\nlisten = a\0b\n"), ": has a NUL byte"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_refused(cases[i].text, cases[i].want);
    }
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct settings s;
    assert_int_equal(load(conf_path, &s), -1);
    assert_non_null(strstr(complaint, ": No such file or directory\n"));
    drop(&s);
    assert_int_equal(load(folder, &s), -1);
    assert_non_null(strstr(complaint, ": Is a directory\n"));
    drop(&s);

    struct buf b = BUF_EMPTY;
    memset(buf_reserve(&b, (1 << 20) + 1), '\n', (1 << 20) + 1);
    buf_grew(&b, 1 << 20);
    assert_int_equal(load_text(buf_slice(&b), &s), 0);
    drop(&s);
    buf_grew(&b, 1);
    assert_refused(buf_slice(&b), ": is too large");
    buf_deinit(&b);
}

static void the_environment_goes_over_the_file(void **state)
{
    (void)state;
    struct settings s;
    setenv("WARREN_GATEWAY_LISTEN", "1.2.3.4:5;x # y ; z", 1);
    setenv("WARREN_GATEWAY_MAX_SIZE", "2k", 1);
    setenv("WARREN_LOG_LEVEL", "", 1);
    setenv("WARREN_AUTH_PUBLIC_KEY_FILE", "p", 1);
    setenv("WARREN_BROADCASTER_ID", "foreign", 1);
    setenv("WARREN", "not ours", 1);
    setenv("warren_gateway_demo", "not ours", 1);
    assert_int_equal(load_text(SLICE_LIT("[gateway]\nlisten = a\ndemo = yes\n"), &s), 0);
    assert_string_equal(s.listen, "1.2.3.4:5;x # y ; z");
    assert_int_equal(s.size, 2048);
    assert_string_equal(s.level, "");
    assert_string_equal(s.public_key_file, "p");
    assert_true(s.demo);
    drop(&s);
}

static void wrong_variables_are_refused_by_name(void **state)
{
    (void)state;
    const struct {
        const char *name, *value, *want;
    } cases[] = {
        {"WARREN_GATEWAY_LISTNE", "x", "WARREN_GATEWAY_LISTNE: unknown variable"},
        {"WARREN_GATEWAY", "x", "WARREN_GATEWAY: unknown variable"},
        {"WARREN_", "x", "WARREN_: unknown variable"},
        {"WARREN_LISTEN", "x", "WARREN_LISTEN: unknown variable"},
        {"WARREN_gateway_listen", "x", "WARREN_gateway_listen: unknown variable"},
        {"WARREN_BROADCASTERS_ID", "x", "WARREN_BROADCASTERS_ID: unknown variable"},
        {"WARREN_BROADCASTER_", "x", "WARREN_BROADCASTER_: unknown variable"},
        {"WARREN_GATEWAY_LISTEN_FILE", "x", "WARREN_GATEWAY_LISTEN_FILE: unknown variable"},
        {"WARREN_GATEWAY_DEMO", "maybe", "WARREN_GATEWAY_DEMO: must be yes or no, not \"maybe\""},
        {"WARREN_GATEWAY_DEMO", "", "WARREN_GATEWAY_DEMO: must be yes or no, not \"\""},
        {"WARREN_AUTH_HMAC_KEY_FILE", "/nowhere",
         "WARREN_AUTH_HMAC_KEY_FILE: file \"/nowhere\" No"},
        {"WARREN_AUTH_HMAC_KEY_FILE", "", "WARREN_AUTH_HMAC_KEY_FILE: file \"\" No such file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings s;
        clearenv();
        setenv(cases[i].name, cases[i].value, 1);
        assert_int_equal(load(NULL, &s), -1);
        assert_int_equal(strncmp(complaint, cases[i].want, strlen(cases[i].want)), 0);
        assert_ptr_equal(strchr(complaint, '\n'), complaint + strlen(complaint) - 1);
        drop(&s);
    }
}

static void a_secret_may_be_in_a_file_of_its_own(void **state)
{
    (void)state;
    const struct {
        struct slice contents;
        const char *want;
    } cases[] = {
        {SLICE_LIT("s3cret"), "s3cret"},
        {SLICE_LIT("s3cret\n"), "s3cret"},
        {SLICE_LIT("s3 cret \r\n\n"), "s3 cret"},
        {SLICE_LIT(" ; x\n"), " ; x"},
        {SLICE_LIT("\n"), ""},
        {SLICE_LIT(""), ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings s;
        struct buf b = BUF_EMPTY;
        clearenv();
        write_file(secret_path, cases[i].contents.at, cases[i].contents.size);
        buf_addf(&b, "[auth]\nhmac_key_file = %s\n", secret_path);
        assert_int_equal(load_text(buf_slice(&b), &s), 0);
        assert_string_equal(s.key, cases[i].want);
        drop(&s);
        setenv("WARREN_AUTH_HMAC_KEY_FILE", secret_path, 1);
        assert_int_equal(load_text(SLICE_LIT("[auth]\nhmac_key = other\n"), &s), 0);
        assert_string_equal(s.key, cases[i].want);
        drop(&s);
        buf_deinit(&b);
    }
}

static void a_secret_is_given_in_one_way_and_never_told(void **state)
{
    (void)state;
    struct settings s;
    write_file(secret_path, "a\0b", 3);
    setenv("WARREN_AUTH_HMAC_KEY_FILE", secret_path, 1);
    assert_int_equal(load(NULL, &s), -1);
    assert_non_null(strstr(complaint, "has a NUL byte"));
    drop(&s);

    write_file(secret_path, "tell-nobody", 11);
    setenv("WARREN_AUTH_HMAC_KEY", "tell-nobody", 1);
    assert_int_equal(load(NULL, &s), -1);
    assert_non_null(strstr(complaint, "give either hmac_key or hmac_key_file, not both"));
    assert_null(strstr(complaint, "tell-nobody"));
    drop(&s);
}

#define TEST(name) cmocka_unit_test_setup(name, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_file_there_are_the_defaults),
        TEST(a_file_may_be_written_the_way_people_write),
        TEST(values_may_be_longer_than_a_line_of_inih),
        TEST(sections_with_a_name_reach_the_service),
        TEST(wrong_files_are_refused_with_file_line_and_key),
        TEST(a_file_that_cannot_be_read_is_an_error),
        TEST(the_environment_goes_over_the_file),
        TEST(wrong_variables_are_refused_by_name),
        TEST(a_secret_may_be_in_a_file_of_its_own),
        TEST(a_secret_is_given_in_one_way_and_never_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
