/* test_api_keys.c: whose key may do what, and what settings of keys are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/api/api_keys.h"

#define MAIN "the main key of all"
#define DESK "the key of the desk"

static char error[200];

static int set(struct api_keys *k, const char *name, const char *key, const char *value)
{
    return api_keys_set(k, name, key, value, error, sizeof(error));
}

static bool is_method(struct slice name)
{
    return slice_equal(name, SLICE_LIT("publish")) || slice_equal(name, SLICE_LIT("ban"));
}

static int check(const struct api_keys *k, const char *main_key)
{
    return api_keys_check(k, main_key, is_method, error, sizeof(error));
}

static const char *find(const struct api_keys *k, const char *main_key, const char *presented)
{
    return api_keys_find(k, main_key, slice_of(presented));
}

static void each_key_may_do_what_its_section_says(void **state)
{
    (void)state;
    struct api_keys k = {.count = 0};

    assert_int_equal(set(&k, "desk", "key", DESK), 0);
    assert_int_equal(set(&k, "desk", "allow", "publish, ban"), 0);
    assert_int_equal(set(&k, "nothing", "key", "a key without any right"), 0);
    assert_int_equal(check(&k, MAIN), 0);
    assert_string_equal(find(&k, MAIN, MAIN), "*");
    assert_string_equal(find(&k, MAIN, DESK), "publish, ban");
    assert_string_equal(find(&k, MAIN, "a key without any right"), "");
    api_keys_deinit(&k);
    assert_int_equal(k.count, 0);
    assert_null(find(&k, MAIN, DESK));
}

static void only_the_whole_key_is_the_key(void **state)
{
    (void)state;
    struct api_keys k = {.count = 0};
    char text[64];

    assert_int_equal(set(&k, "desk", "key", DESK), 0);
    for (size_t size = 0; size < strlen(DESK); size++) {
        assert_null(api_keys_find(&k, MAIN, (struct slice){DESK, size}));
    }
    for (size_t i = 0; i < strlen(DESK); i++) {
        for (int bit = 0; bit < 8; bit++) {
            snprintf(text, sizeof(text), "%s", DESK);
            text[i] ^= (char)(1 << bit);
            assert_null(api_keys_find(&k, MAIN, (struct slice){text, strlen(DESK)}));
        }
    }
    assert_null(find(&k, MAIN, DESK "x"));
    assert_null(
        find(&k, MAIN, DESK DESK)); /* what comes is compared with the key again and again */
    assert_null(find(&k, MAIN, MAIN MAIN MAIN));
    assert_null(api_keys_find(&k, MAIN, SLICE_LIT(MAIN "\0")));
    api_keys_deinit(&k);
}

static void no_key_is_nobodys_key(void **state)
{
    (void)state;
    struct api_keys k = {.count = 0};

    assert_null(find(&k, "", ""));
    assert_null(api_keys_find(&k, "", SLICE_NONE));
    assert_null(find(&k, "", "*"));
    assert_null(api_keys_find(&k, MAIN, SLICE_NONE));
}

static void lists_name_whole_methods(void **state)
{
    (void)state;
    static const struct {
        const char *allow, *method;
        bool may;
    } cases[] = {
        {"", "publish", false},
        {" , ,", "publish", false},
        {"publish", "publish", true},
        {"publish", "publis", false},
        {"publish", "publish2", false},
        {"publish", "", false},
        {"publish", "Publish", false},
        {"ban,publish", "publish", true},
        {"ban\tpublish ", "publish", true},
        {",ban ,, publish", "publish", true},
        {"unban", "ban", false},
        {"ban unmute", "mute", false},
        {"*", "publish", true},
        {"ban, *", "publish", true},
        {"ban*", "ban", false},
        {"**", "ban", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (api_keys_allow(cases[i].allow, slice_of(cases[i].method)) != cases[i].may) {
            fail_msg("allow \"%s\" of \"%s\"", cases[i].allow, cases[i].method);
        }
    }
}

static void settings_that_are_no_keys_are_refused(void **state)
{
    (void)state;
    struct api_keys k = {.count = 0};
    char name[API_KEY_NAME_MAX + 2];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_not_equal(set(&k, name, "key", DESK), 0);
    assert_int_not_equal(set(&k, "desk", "secret", DESK), 0);
    assert_int_not_equal(set(&k, "desk", "key_file", "/nowhere/at/all"), 0);
    assert_int_equal(set(&k, "desk", "key", DESK), 0);
    assert_int_not_equal(set(&k, "desk", "key", DESK), 0);
    assert_int_not_equal(set(&k, "desk", "key_file", "/dev/null"), 0);
    assert_int_equal(set(&k, "desk", "allow", "ban"), 0);
    assert_int_not_equal(set(&k, "desk", "allow", "ban"), 0);
    assert_int_equal(check(&k, ""), 0);
    assert_int_not_equal(check(&k, "fifteen bytes.."), 0);
    assert_int_equal(check(&k, "sixteen bytes..."), 0);
    api_keys_deinit(&k);
    static const char *const bad[][2] = {
        {"key", "too short"}, {"key", ""}, {"allow", "publish"}, {"key_file", "/dev/null"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(set(&k, "desk", bad[i][0], bad[i][1]), 0);
        assert_int_not_equal(check(&k, MAIN), 0);
        api_keys_deinit(&k);
    }
    assert_int_equal(set(&k, "desk", "key", DESK), 0);
    assert_int_equal(set(&k, "desk", "allow", "publish, dance"), 0);
    assert_int_not_equal(check(&k, MAIN), 0);
    assert_non_null(strstr(error, "dance"));
    api_keys_deinit(&k);
}

static void there_are_so_many_sections_and_no_more(void **state)
{
    (void)state;
    struct api_keys k = {.count = 0};
    char name[16], key[API_KEY_MIN + 16];

    for (int i = 0; i < API_KEY_SECTIONS; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        snprintf(key, sizeof(key), "key of the section %d", i);
        assert_int_equal(set(&k, name, "key", key), 0);
    }
    assert_int_not_equal(set(&k, "more", "key", DESK), 0);
    assert_int_equal(set(&k, "n63", "allow", "ban"), 0);
    assert_int_equal(check(&k, ""), 0);
    assert_string_equal(find(&k, "", "key of the section 63"), "ban");
    api_keys_deinit(&k);
}

static void a_key_can_stand_in_a_file(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        const char *end;
        bool is_good;
    } cases[] = {{20, "\n", true},
                 {20, " \r\n\n", true},
                 {20, "", true},
                 {API_KEY_FILE_MAX, "", false},
                 {API_KEY_FILE_MAX - 1, "", true}};
    char path[] = "/tmp/warren-test-api-keys-XXXXXX", text[API_KEY_FILE_MAX];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    memset(text, 'k', sizeof(text));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_keys k = {.count = 0};

        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, text, cases[i].size, 0), cases[i].size);
        assert_int_equal(pwrite(fd, cases[i].end, strlen(cases[i].end), (off_t)cases[i].size),
                         strlen(cases[i].end));
        assert_int_equal(set(&k, "file", "key_file", path) == 0, cases[i].is_good);
        if (cases[i].is_good) {
            assert_int_equal(check(&k, ""), 0);
            assert_non_null(api_keys_find(&k, "", (struct slice){text, cases[i].size}));
        }
        api_keys_deinit(&k);
    }
    close(fd);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_may_do_what_its_section_says),
        cmocka_unit_test(only_the_whole_key_is_the_key),
        cmocka_unit_test(no_key_is_nobodys_key),
        cmocka_unit_test(lists_name_whole_methods),
        cmocka_unit_test(settings_that_are_no_keys_are_refused),
        cmocka_unit_test(there_are_so_many_sections_and_no_more),
        cmocka_unit_test(a_key_can_stand_in_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
